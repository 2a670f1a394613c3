"""The child of `reader.Reader`: `python -m responder.mail.reading MAX_SIZE WALL_SECONDS MEMORY_BYTES`.

Serves batches of mails from the socket on its standard input until the other side closes it.
"""

from __future__ import annotations

import gc
import pickle
import resource
import signal
import socket
import struct
import sys

from responder.errors import UnreadableMail
from responder.mail import parse
from responder.mail.reader import frame, read_exactly, read_frame

_COUNT = struct.Struct("!I")
# The parent's limit comes first; this one ends a child whose parent was killed while it was stuck.
_ORPHAN_MARGIN_SECONDS = 2.0


def serve(connection: socket.socket, max_size: int, wall_seconds: float) -> None:
    """Answer batches until the other side is gone."""
    connection.sendall(frame(b""))
    while True:
        try:
            (count,) = _COUNT.unpack(read_exactly(connection, _COUNT.size))
            batch = [read_frame(connection) for _ in range(count)]
            for index, raw in enumerate(batch):
                batch[index] = b""
                signal.setitimer(signal.ITIMER_REAL, wall_seconds + _ORPHAN_MARGIN_SECONDS)
                connection.sendall(frame(answer(raw, max_size)))
            signal.setitimer(signal.ITIMER_REAL, 0)
        except (EOFError, ConnectionError):
            return


def answer(raw: bytes, max_size: int) -> bytes:
    """The pickled mail, or the pickled reason why it cannot be read."""
    result: object
    try:
        result = parse.read(raw, max_size=max_size)
    except UnreadableMail as error:
        result = str(error)
    except Exception as error:  # noqa: BLE001 - rule 64: whatever a mail provokes quarantines that mail only
        result = f"reading failed: {type(error).__name__}"
    return pickle.dumps(result, protocol=5)


def main(arguments: list[str]) -> None:
    max_size, wall_seconds, memory_bytes = int(arguments[0]), float(arguments[1]), int(arguments[2])
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A service manager signals every process of the service. The parent may still wait for an answer, and closes
    # the socket when it ends; dying before that would make a mail look like a crash.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What the imports made lives as long as the process; no use in walking it again and again.
    gc.freeze()
    with socket.socket(fileno=sys.stdin.fileno()) as connection:
        serve(connection, max_size, wall_seconds)


if __name__ == "__main__":
    main(sys.argv[1:])
