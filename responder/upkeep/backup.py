"""Backups: one consistent file while the service runs, written whole or not at all, the newest few kept.

In it are the database, config.toml without passwords, and the content and templates that are the office's own. The
secret key is in it only on demand: who has it can sign Message-IDs and ticket tags, and tell whose a pseudonym is.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from responder.config import Settings
from responder.errors import ConfigError, Refused, StoreError
from responder.files import replacing
from responder.paths import shipped
from responder.pipeline.office import read_key
from responder.tickets.database import Database, Preserve
from responder.upkeep import archive

COPIES_KEPT = 3
"""Copies from before an upgrade; more would only keep erased people longer."""

_STAMP = "%Y%m%dT%H%M%SZ"
_BACKUP = re.compile(r"responder-\d{8}T\d{6}Z\.zip")
_COPY = re.compile(r"before-\w+-\d{8}T\d{6}Z\.(db|zip)")
_PASSWORD_IN_URL = re.compile(rb"(://[^\s:/@\"']+:)[^\s@\"']+@")


def backup(
    settings: Settings, database: Database, now: datetime, *, to: Path | None = None, with_key: bool = False
) -> Path:
    """Write a backup to `to`, or to the configured directory, where the oldest beyond `backup.keep` then go.

    Returns the file, whose checksums were verified. Raises Refused when it exists or cannot be written, StoreError.
    """
    path = to or settings.backups / f"responder-{_stamp(now)}.zip"
    with _written_whole(path) as part:
        _write(part, settings, database, _files(settings, with_key=with_key), now)
    if to is None:
        _rotate(settings.backups, _BACKUP, settings.backup.keep)
    return path


def before_upgrade(settings: Settings, database: Database, clock: Callable[[], datetime]) -> Preserve:
    """Return what `Database.migrate` calls before it changes a schema: a copy of the database among the backups."""

    def preserve(_frm: str, to: str) -> Path:
        name = f"before-{to}-{_stamp(clock())}"
        path = settings.backups / f"{name}.{'db' if database.is_sqlite else 'zip'}"
        with _written_whole(path) as part:
            if database.is_sqlite:
                _copy(Path(database.url.removeprefix("sqlite:///")), part)
            else:
                _write(part, settings, database, {}, clock())
        _rotate(settings.backups, _COPY, COPIES_KEPT)
        return path

    return preserve


def key_check(settings: Settings) -> str:
    """A sign that two installations have the same secret key, which tells nothing about the key; "" without one."""
    try:
        key = read_key(settings.state.secret_key_file)
    except ConfigError:
        return ""
    return hmac.new(key, b"key of a backup", hashlib.sha256).hexdigest()[:16]


def own_folders(settings: Settings) -> Iterator[tuple[str, Path]]:
    """(path in a backup, folder) of content and templates that are not the shipped ones."""
    root = settings.file.parent
    for name, mailbox in settings.mailboxes.items():
        for kind, folder in (("content", mailbox.content), ("templates", mailbox.templates)):
            if folder == shipped(kind).resolve() or not folder.is_dir():
                continue
            inside = folder.is_relative_to(root)
            yield (folder.relative_to(root).as_posix() if inside else f"elsewhere/{name}/{kind}"), folder


def _files(settings: Settings, *, with_key: bool) -> dict[str, Path | bytes]:
    files: dict[str, Path | bytes] = {}
    if settings.file.is_file():
        config = settings.file.read_bytes()
        files[f"{archive.FILES}config.toml"] = _PASSWORD_IN_URL.sub(rb"\1***@", config)
    for place, folder in own_folders(settings):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts:
                files[f"{archive.FILES}{place}/{path.relative_to(folder).as_posix()}"] = path
    if with_key:
        files[archive.KEY] = settings.state.secret_key_file.read_bytes()
    return files


def _write(
    part: Path, settings: Settings, database: Database, files: Mapping[str, Path | bytes], now: datetime
) -> None:
    with part.open("r+b") as file, archive.snapshot(database) as connection:
        archive.write(file, connection, files, key_check(settings), now)
    with archive.opened(part):
        pass  # what the disk gives back is what was written


def _copy(source: Path, target: Path) -> None:
    """A copy of an SQLite database while others use it (its backup API)."""
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)
        (state,) = copy.execute("PRAGMA quick_check").fetchone()
    if state != "ok":
        raise StoreError(f"{source}: its copy is damaged: {state}")


@contextmanager
def _written_whole(path: Path) -> Iterator[Path]:
    """A file for the operator only, to be filled; it gets its name when it is whole and on disk."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists():
            raise Refused(f"{path}: exists already; nothing was written")
        with replacing(path, mode=0o600) as part:
            yield part
    except OSError as error:
        raise Refused(f"{path}: {error.strerror or error}") from error
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error


def _rotate(directory: Path, pattern: re.Pattern[str], keep: int) -> None:
    """Delete all but the newest; only files that were named here."""
    named = sorted(
        (path for path in directory.iterdir() if pattern.fullmatch(path.name)),
        key=lambda path: path.stem.rpartition("-")[2],
    )
    for path in named[:-keep]:
        path.unlink()


def _stamp(now: datetime) -> str:
    return now.astimezone(UTC).strftime(_STAMP)
