"""Restoring a backup: checked whole before anything is touched, and nothing is sent until a person arms again.

A restored database is an old one: since the backup was made mails came and replies left. The mailbox tells which, once
rounds run; until a person has looked and armed, sending is off and on hold (email-rules, "whole service").
"""

from __future__ import annotations

import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from sqlalchemy import Connection, delete, func, inspect, literal_column, select, table, text

from responder.config import Settings
from responder.errors import Refused, StoreError
from responder.files import replacing, sync
from responder.tickets import audit, switches
from responder.tickets.database import Database, upgrade_schema
from responder.tickets.models import Lease
from responder.tickets.models_staff import Presence, Session
from responder.upkeep import archive, backup
from responder.upkeep.archive import Manifest

_ASIDE = "before-restore"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and where the database that stood there is."""

    made_at: datetime
    rows: int
    aside: str  # file or schema; "" when there was nothing
    same_key: bool | None  # whether the secret key here is the one of the backup; None: there is none here


def unpack(path: Path, directory: Path) -> list[str]:
    """Write the files of a backup into `directory`; return a line for each that was written or left as it is.

    Raises StoreError for a damaged backup, Refused when the directory cannot be written.
    """
    with archive.opened(path) as (zipped, manifest):
        return [_unpack_one(zipped, name, directory) for name in sorted(_files(manifest))]


def restore_key(path: Path, settings: Settings) -> bool:
    """Put the secret key of a backup in its place, where it holds one and none is there; return whether it was put."""
    target = settings.state.secret_key_file
    with archive.opened(path) as (zipped, manifest):
        if archive.KEY not in manifest.members or target.exists():
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target, mode=0o600) as part:
            part.write_bytes(zipped.read(archive.KEY))
    return True


def restore(
    path: Path,
    settings: Settings,
    actor: str,
    now: datetime,
    *,
    replace: bool = False,
    progress: Callable[[str], None] = lambda _table: None,
) -> Restored:
    """Restore the database of a backup into the configured one, of either engine.

    With `replace` a database with records is put aside whole. Raises Refused without it, or while the service runs;
    StoreError for a damaged backup, or one of a newer version: nothing was changed then.
    """
    with archive.opened(path) as (zipped, manifest):

        def fill(connection: Connection) -> None:
            upgrade_schema(connection, manifest.schema)
            archive.load(zipped, manifest, connection, progress)
            upgrade_schema(connection)
            _silence(connection, manifest, actor, now)

        if settings.database.url.startswith("sqlite"):
            aside = _into_file(settings, fill, now, replace=replace)
        else:
            aside = _into_schema(settings, fill, now, replace=replace)
    here = backup.key_check(settings)
    return Restored(
        manifest.at,
        sum(manifest.rows.values()),
        aside,
        here == manifest.key_check if here else None,
    )


def _silence(connection: Connection, manifest: Manifest, actor: str, now: datetime) -> None:
    """Nothing leaves until a person arms; log-ins that were ended since the backup must not come alive again."""
    for model in (Lease, Presence, Session):
        connection.execute(delete(model))
    made = f"{manifest.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    switches.disarm(connection, actor, now)
    switches.hold(connection, f"database restored from the backup of {made}", now)
    audit.record(connection, [audit.Entry(audit.INSTALLATION, actor, "restored", {"backup": made})], now)


def _into_file(
    settings: Settings, fill: Callable[[Connection], None], now: datetime, *, replace: bool
) -> str:
    path = Path(settings.database.url.removeprefix("sqlite:///"))
    beside = path.with_name(f"{path.name}.restoring")
    aside = path.with_name(f"{path.name}.{_ASIDE}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}")
    used = path.exists() and _used(settings.database.url)
    if used and not replace:
        raise Refused(f"{path} holds records; give --replace to put it aside as {aside.name}")
    beside.unlink(missing_ok=True)
    database = Database(f"sqlite:///{beside}")
    try:
        try:
            with database.begin() as connection:
                fill(connection)
        finally:
            database.close()
        _one_file(beside)
        sync(beside)
        if path.exists():
            _one_file(path)
            path.replace(aside)
        beside.replace(path)
        sync(path.parent)
    finally:
        for name in (beside.name, f"{beside.name}-wal", f"{beside.name}-shm"):
            path.with_name(name).unlink(missing_ok=True)
    if not used:
        aside.unlink(missing_ok=True)
    return str(aside) if used else ""


def _one_file(path: Path) -> None:
    """Bring a database with its write-ahead log into one file. Raises Refused while another process has it open."""
    try:
        with closing(sqlite3.connect(path, timeout=5)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError as error:
        raise Refused(f"{path} is in use ({error}); stop the service first") from error


def _into_schema(
    settings: Settings, fill: Callable[[Connection], None], now: datetime, *, replace: bool
) -> str:
    """All in one transaction: the database is the old one or the restored one, whatever happens."""
    database = Database(settings.database.url)
    try:
        with database.begin() as connection:
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            _refuse_while_used(connection)
            used = bool(inspect(connection).get_table_names()) and _rows(connection)
            if used and not replace:
                raise Refused(
                    "the database holds records; give --replace to put them aside in a schema of their own"
                )
            schema = connection.scalar(select(func.current_schema()))
            name = f"{_ASIDE.replace('-', '_')}_{now.astimezone(UTC):%Y%m%dt%H%M%S}"
            if used:
                connection.exec_driver_sql(f'ALTER SCHEMA "{schema}" RENAME TO "{name}"')
                connection.exec_driver_sql(f'CREATE SCHEMA "{schema}"')
            else:
                _drop_empty_tables(connection)
            fill(connection)
            return f"schema {name}" if used else ""
    finally:
        database.close()


def _refuse_while_used(connection: Connection) -> None:
    others = connection.scalar(
        text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND application_name = 'lpse-responder'"
        )
    )
    if others:
        raise Refused(f"{others} sessions of the service are open; stop it on every node first")


def _drop_empty_tables(connection: Connection) -> None:
    for name in inspect(connection).get_table_names():
        connection.exec_driver_sql(f'DROP TABLE "{name}" CASCADE')


def _used(url: str) -> bool:
    database = Database(url)
    try:
        with database.read() as connection:
            return bool(inspect(connection).get_table_names()) and _rows(connection)
    finally:
        database.close()


def _rows(connection: Connection) -> bool:
    """Whether any table of ours holds a record; settings and leases of an installation that never ran count not."""
    names = set(inspect(connection).get_table_names())
    return any(
        connection.execute(select(literal_column("1")).select_from(table(name)).limit(1)).first() is not None
        for name in ("messages", "tickets", "events", "users", "folders")
        if name in names
    )


def _files(manifest: Manifest) -> list[str]:
    return [name for name in manifest.members if name.startswith(archive.FILES)]


def _unpack_one(zipped: zipfile.ZipFile, name: str, directory: Path) -> str:
    inside = PurePosixPath(name.removeprefix(archive.FILES))
    if inside.is_absolute() or ".." in inside.parts:
        raise StoreError(f"the backup names a file outside of its directory: {name}")
    target = directory / inside
    try:
        if target.exists():
            return f"kept {target}"
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipped.open(name) as source, target.open("xb") as copy:
            shutil.copyfileobj(source, copy)
    except OSError as error:
        raise Refused(f"{target}: {error.strerror or error}") from error
    return f"made {target}"
