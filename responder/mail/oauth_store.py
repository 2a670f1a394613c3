"""Tokens on disk: one file for each mailbox, 0600, replaced as a whole; a lock beside it for threads and processes."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from responder import files
from responder.errors import ConfigError, MailServerError

LOCK_PATIENCE = 90.0  # seconds; a holder waits for one answer of a token server, or is stopped
LOCK_PAUSE = 0.05  # seconds between two tries
ROOM = 32 * 1024  # octets made ready on disk before a token is asked for; a token file has 2 to 6 KiB


@dataclass(frozen=True, slots=True)
class StoredToken:
    """What a sign-in left, or the last refresh. Times are seconds since 1970 by the clock of this machine."""

    client_id: str  # a token of another client, or of another server, is not ours to use
    token_url: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    obtained_at: float
    expires_at: float
    scope: str
    ends_at: float = 0  # when the provider ends the sign-in itself; 0: it did not say
    after_refusal: bool = False  # whether the token before it was still good by its time, but refused
    refused: str = ""  # why the token server takes the refresh token no longer; a person must sign in


def read(path: Path) -> StoredToken | None:
    """Return the token in the file at `path`, None when there is no file. Raises ConfigError when it is not one."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        token = StoredToken(**values)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the token file: {error.strerror}") from error
    except (ValueError, TypeError):
        raise ConfigError(f"{path}: not a token file; run `responder login` again") from None
    kinds: dict[str, tuple[type, ...]] = {"float": (int, float), "str": (str,), "bool": (bool,)}
    if not all(isinstance(getattr(token, one.name), kinds[str(one.type)]) for one in fields(token)):
        raise ConfigError(f"{path}: not a token file; run `responder login` again")
    return token


@contextmanager
def replacing(path: Path) -> Iterator[Callable[[StoredToken], None]]:
    """Yield what puts a token in the place of the file at `path`: whole or not at all, 0600, and on disk (fsync).

    To be used within `locked`. Room on the disk is taken before the block runs, so that a full disk cannot lose a
    refresh token which the server has exchanged meanwhile. Raises ConfigError when the file cannot be written.
    """
    draft = path.with_name(f"{path.name}.new")
    with _explained(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A draft that a kill left behind is written over.
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        _write(path, descriptor, bytes(ROOM))

        def put(token: StoredToken) -> None:
            _write(path, descriptor, json.dumps(asdict(token), indent=1).encode() + b"\n")
            with _explained(path):
                draft.replace(path)
                files.sync(path.parent)

        yield put
    finally:
        os.close(descriptor)
        draft.unlink(missing_ok=True)


def _write(path: Path, descriptor: int, content: bytes) -> None:
    """Have the open file hold `content` and nothing else, on disk."""
    with _explained(path):
        os.lseek(descriptor, 0, os.SEEK_SET)
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
        os.ftruncate(descriptor, len(content))
        os.fsync(descriptor)


@contextmanager
def locked(path: Path, patience: float = LOCK_PATIENCE) -> Iterator[None]:
    """Be the only one, of all threads and processes of this machine, that replaces the file at `path`.

    flock(2) on a file beside it, which the kernel gives up with its holder: there is no stale lock. Raises
    MailServerError after `patience` seconds.
    """
    with _explained(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        end = time.monotonic() + patience
        while not _taken(descriptor):
            if time.monotonic() > end:
                raise MailServerError(f"{path}: another process has been renewing the token for too long")
            time.sleep(LOCK_PAUSE)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{path}: cannot keep the token: {error.strerror}") from error
