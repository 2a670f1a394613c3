"""An SMTP server that takes everything, in a process of its own: `python bench/sink.py SPOOL [DELAY [PORT]]`.

It writes its port on the first line of standard output. Each mail taken is one line of SPOOL: the time, the octets,
the recipient, the id that it answers and its own; the times of connections and the bodies stand in files beside it,
without a promise. DELAY is how many seconds each answer waits; commands that come together (RFC 2920) are answered
together.
"""

from __future__ import annotations

import re
import socket
import sys
import threading
import time
from pathlib import Path

_ANSWERED = re.compile(rb"^In-Reply-To:\s*<([^>]*)>", re.MULTILINE | re.IGNORECASE)
_OWN = re.compile(rb"^Message-ID:\s*<([^>]*)>", re.MULTILINE | re.IGNORECASE)
_PATH = re.compile(rb"<([^>]*)>")
_GREETING = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 50000000\r\n"


class _Sink:
    def __init__(self, spool: Path, delay: float) -> None:
        self._lines = spool.open("a", buffering=1)
        self._bodies = spool.with_suffix(".mails").open("ab")
        self._delay = delay
        self._connections = spool.with_suffix(".connections").open("a", buffering=1)
        self._lock = threading.Lock()

    def serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.write(f"{time.time()}\n")
        buffer = b""
        recipient = b""
        in_body = False
        self._say(connection, b"220 sink\r\n")
        while True:
            try:
                data = connection.recv(1 << 18)
            except OSError:
                return
            if not data:
                return
            buffer += data
            answers = b""
            while True:
                if in_body:
                    end = buffer.find(b"\r\n.\r\n")
                    if end < 0:
                        break
                    self._keep(recipient, buffer[: end + 2])
                    buffer = buffer[end + 5 :]
                    in_body = False
                    answers += b"250 2.0.0 Ok: queued as 4BENCH\r\n"
                    continue
                line, found, rest = buffer.partition(b"\r\n")
                if not found:
                    break
                buffer = rest
                verb = line[:4].upper()
                if verb == b"EHLO":
                    answers += _GREETING
                elif verb == b"DATA":
                    in_body = True
                    answers += b"354 go ahead\r\n"
                elif verb == b"QUIT":
                    self._say(connection, answers + b"221 bye\r\n")
                    connection.close()
                    return
                else:
                    if verb == b"RCPT":
                        recipient = _PATH.search(line)[1]  # type: ignore[index]
                    answers += b"250 ok\r\n"
            if answers:
                self._say(connection, answers)

    def _say(self, connection: socket.socket, answers: bytes) -> None:
        if self._delay:
            time.sleep(self._delay)
        try:
            connection.sendall(answers)
        except OSError:
            connection.close()

    def _keep(self, recipient: bytes, data: bytes) -> None:
        answered, own = (
            found[1].decode() if (found := field.search(data)) else "" for field in (_ANSWERED, _OWN)
        )
        line = f"{time.time():.4f}\t{len(data)}\t{recipient.decode()}\t{answered}\t{own}\n"
        with self._lock:
            self._lines.write(line)
            self._bodies.write(data)


def main() -> None:
    sink = _Sink(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0)
    port = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    with socket.create_server(("127.0.0.1", port), backlog=64) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=sink.serve, args=[connection], daemon=True).start()


if __name__ == "__main__":
    main()
