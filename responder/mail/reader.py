"""The reader process: hostile octets are parsed outside the service, with bounded time and memory (rule 64).

A plain child of its own, started through `subprocess` at the first mail, not `multiprocessing`: forkserver and spawn
import the parent's main module into the child (here the whole command line with database and model) and leave helper
processes behind when the parent is killed. This child sees no secrets of the environment, ends by itself when the
parent's end of the socket closes, whatever closed it, and starts in a fraction of a second.

Frames on the socket: an unsigned 32-bit length in network order, then the octets. To the child: a count of mails, then
each mail. From the child: an empty frame when it is ready, then for each mail a pickle of `IncomingMail`, or of the
reason (str) why there is none.
"""

from __future__ import annotations

import io
import os
import pickle
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import responder
from responder.errors import ResponderError, UnreadableMail
from responder.mail import limits
from responder.mail.message import (
    Address,
    Attachment,
    DeliveryReport,
    IncomingMail,
    RecipientStatus,
)

WALL_SECONDS = 5.0
# Interpreter and libraries map about 150 MB; the largest mail needs some four times its size.
MEMORY_BYTES = 768 * 1024 * 1024
# Imports on a loaded machine; only the first mail of a child waits this long.
START_SECONDS = 30.0
# The child reads a whole batch before it answers, so neither side can wait for the other; this bounds its memory.
BATCH_BYTES = 1024 * 1024
BATCH_MAILS = 64

# Over any mail that may come in and any answer to it.
MAX_FRAME = 128 * 1024 * 1024

_LENGTH = struct.Struct("!I")
_SMALL = 16 * 1024  # octets that are cheaper to copy than to write apart from their length
_VALUES = {
    (cls.__module__, cls.__qualname__): cls
    for cls in (Address, Attachment, DeliveryReport, IncomingMail, RecipientStatus)
}
_DATE_CLASSES = frozenset({"datetime", "timezone", "timedelta"})

Result = IncomingMail | UnreadableMail


class Reader:
    """Reads mails in a child process; one lock, so threads may share it.

    A mail that takes longer than `wall_seconds`, exhausts `memory_bytes` or crashes the child is unreadable; the
    child is replaced and the other mails are read as if nothing had happened.
    """

    def __init__(
        self,
        *,
        max_size: int = limits.MAX_SIZE,
        wall_seconds: float = WALL_SECONDS,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._max_size = max_size
        self._wall_seconds = wall_seconds
        self._memory_bytes = memory_bytes
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child. The reader can be used again afterwards and then starts another."""
        with self._lock:
            self._stop()

    def read(self, raw: bytes) -> IncomingMail:
        """Read one mail. Raises UnreadableMail with the reason."""
        (result,) = self.read_many([raw])
        if isinstance(result, UnreadableMail):
            raise result
        return result

    def read_many(self, mails: Sequence[bytes]) -> list[Result]:
        """Read mails in order; what cannot be read is an UnreadableMail in its place.

        Raises ResponderError when the child cannot be started, which is no mail's fault.
        """
        results: list[Result] = []
        with self._lock:
            while len(results) < len(mails):
                results.extend(self._read_batch(_batch(mails, len(results))))
        return results

    def _read_batch(self, batch: Sequence[bytes]) -> list[Result]:
        """Results for at least the first mail of `batch`; the last one may be the child's end."""
        results: list[Result] = []
        try:
            child = self._running()
            child.send(batch)
            for _ in batch:
                results.append(child.receive(self._wall_seconds))
        except TimeoutError:
            self._stop()
            results.append(UnreadableMail(f"reading took longer than {self._wall_seconds:g} s"))
        except (OSError, EOFError):
            self._stop()
            results.append(self._read_again(batch[len(results)]))
        return results

    def _read_again(self, raw: bytes) -> Result:
        """One more try for the mail that a child died over: the kernel may have killed it for others' sake."""
        try:
            child = self._running()
            child.send([raw])
            return child.receive(self._wall_seconds)
        except TimeoutError:
            self._stop()
            return UnreadableMail(f"reading took longer than {self._wall_seconds:g} s")
        except (OSError, EOFError):
            self._stop()
            return UnreadableMail("reading crashed the reader process")

    def _running(self) -> _Child:
        if self._child is None:
            self._child = _Child(self._max_size, self._wall_seconds, self._memory_bytes)
        return self._child

    def _stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None


class _Child:
    """The parent's end of one reader process."""

    def __init__(self, max_size: int, wall_seconds: float, memory_bytes: int) -> None:
        ours, theirs = socket.socketpair()
        arguments = [str(max_size), str(wall_seconds), str(memory_bytes)]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
                [sys.executable, "-m", "responder.mail.reading", *arguments],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=_environment(),
                # A session of its own: Ctrl-C and hang-up of the terminal are the parent's business.
                start_new_session=True,
            )
        self._socket = ours
        self._socket.settimeout(START_SECONDS)
        try:
            read_frame(self._socket)
        except (OSError, EOFError) as error:
            self.kill()
            raise ResponderError(
                "the reader process does not start; its message is on standard error"
            ) from error

    def send(self, batch: Sequence[bytes]) -> None:
        """Hand over a batch. Raises OSError when the child is gone."""
        # Nothing hostile happens while the child takes the octets in; only a stopped machine is this slow.
        self._socket.settimeout(START_SECONDS)
        self._socket.sendall(_LENGTH.pack(len(batch)))
        for raw in batch:
            if len(raw) > _SMALL:
                self._socket.sendall(_LENGTH.pack(len(raw)))
                self._socket.sendall(raw)
            else:
                self._socket.sendall(frame(raw))

    def receive(self, seconds: float) -> Result:
        """The next result. Raises TimeoutError after `seconds`, EOFError or OSError when the child died."""
        self._socket.settimeout(seconds)
        answer = read_frame(self._socket)
        try:
            value = _Values(io.BytesIO(answer)).load()
        except Exception as error:  # a child that a mail took over may answer anything
            raise EOFError("the reader process gave no proper answer") from error
        return value if isinstance(value, IncomingMail) else UnreadableMail(str(value))

    def kill(self) -> None:
        """End the child and reap it; it holds nothing worth a farewell."""
        self._socket.close()
        self._process.kill()
        self._process.wait()


class _Values(pickle.Unpickler):
    """Loads results and nothing else: a child that hostile octets took over gets no code into the parent."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) in _VALUES:
            return _VALUES[module, name]
        if module == "datetime" and name in _DATE_CLASSES:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a mail")


def read_frame(connection: socket.socket) -> bytes:
    """One frame. Raises EOFError at the end of the stream, also in the middle of a frame."""
    (length,) = _LENGTH.unpack(read_exactly(connection, _LENGTH.size))
    if length > MAX_FRAME:
        raise EOFError("frame over the limit")
    return read_exactly(connection, length)


def read_exactly(connection: socket.socket, length: int) -> bytes:
    """`length` octets. Raises EOFError when the stream ends before."""
    out = bytearray()
    while len(out) < length:
        chunk = connection.recv(min(length - len(out), 1 << 20))
        if not chunk:
            raise EOFError
        out += chunk
    return bytes(out)


def frame(data: bytes) -> bytes:
    """`data` with its length in front."""
    return _LENGTH.pack(len(data)) + data


def _batch(mails: Sequence[bytes], start: int) -> Sequence[bytes]:
    """The longest run of mails from `start` that may go over at once; at least one."""
    total = len(mails[start])
    for end in range(start + 1, min(start + BATCH_MAILS, len(mails))):
        total += len(mails[end])
        if total > BATCH_BYTES:
            return mails[start:end]
    return mails[start : start + BATCH_MAILS]


def _environment() -> dict[str, str]:
    """What the child needs to import this package, and none of the service's secrets."""
    package = str(Path(responder.__file__).resolve().parent.parent)
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONPATH": package, "PYTHONUTF8": "1"}
