"""An IMAP server's door that does something of the test's choice when a command passes, in either direction."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from typing import Self

from tests.servers import HOST

_COMMAND = re.compile(rb"^(\S+) (?:UID )?([A-Z]+)", re.MULTILINE)


class ImapProxy:
    """Forwards every connection to `target`. `when["before APPEND"]` is called before that command reaches the server,
    `when["after APPEND"]` when the server has done it and the client does not know yet. UID is left out of names.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self.when: dict[str, Callable[[], None]] = {}
        self.cut_after: str = ""  # the connection ends instead of passing on that this command was done
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for one in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(10)

    def once(self, point: str, action: Callable[[], None]) -> None:
        """Do `action` the next time that the dialogue comes to `point`."""

        def act() -> None:
            self.when.pop(point, None)
            action()

        self.when[point] = act

    def _spawn(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection((HOST, self._target))
            except OSError:
                client.close()
                continue
            self._open += [client, server]
            waiting: dict[bytes, str] = {}
            self._spawn(lambda c=client, s=server, w=waiting: self._forward(c, s, w))  # type: ignore[misc]
            self._spawn(lambda c=client, s=server, w=waiting: self._back(c, s, w))  # type: ignore[misc]

    def _forward(self, client: socket.socket, server: socket.socket, waiting: dict[bytes, str]) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if refusal := self._refused(data):
                    client.sendall(refusal)
                    continue
                for tag, name in _COMMAND.findall(data):
                    waiting[tag] = name.decode()
                    self._act(f"before {name.decode()}")
                server.sendall(data)
        _end(client, server)

    def _back(self, client: socket.socket, server: socket.socket, waiting: dict[bytes, str]) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                for tag in [tag for tag in waiting if tag + b" OK" in data]:
                    name = waiting.pop(tag)
                    self._act(f"after {name}")
                    if name == self.cut_after:
                        self.cut_after = ""
                        _end(client, server)
                        return
                client.sendall(data)
        _end(client, server)

    def _refused(self, data: bytes) -> bytes:
        """What to answer in the server's place, which is then not told; b"" to pass the command on."""
        return b""

    def _act(self, point: str) -> None:
        if action := self.when.get(point):
            action()


class RefusingProxy(ImapProxy):
    """Answers NO to the commands named in `refuse`, with the words given there."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self.refuse: dict[str, str] = {}

    def _refused(self, data: bytes) -> bytes:
        found = _COMMAND.match(data)
        if found is None or (words := self.refuse.get(found[2].decode())) is None:
            return b""
        return found[1] + f" NO {words}\r\n".encode()


class CountingProxy(ImapProxy):
    """Also counts the octets that came from the server."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self.received = 0

    def _back(self, client: socket.socket, server: socket.socket, waiting: dict[bytes, str]) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 18):
                self.received += len(data)
                client.sendall(data)
        _end(client, server)


def _end(*connections: socket.socket) -> None:
    for one in connections:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
