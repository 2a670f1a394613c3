"""An SMTP server that does what it is told to at any point of the dialogue, and keeps what it accepted.

It is written on bare sockets because the faults are: half a dialogue, no answer, a connection that is cut between
the octet that ends a mail and the answer to it.
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from responder.config import SmtpServer
from tests.servers import HOST, PASSWORD, make_certificate, wait_until

At = Literal["connect", "ehlo", "auth", "mail", "rcpt", "data", "body", "dot", "rset", "quit"]
EXTENSIONS = ("SIZE 40000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")


@dataclass(frozen=True, slots=True)
class Fault:
    """What to do, and how often, instead of the usual answer at one point of the dialogue."""

    at: At
    reply: str = ""  # say this instead; "": say nothing and close the connection
    hang: bool = False  # say nothing and keep the connection open
    accept: bool = False  # at "dot": keep the mail nevertheless
    recipient: str = ""  # only for mails to this address; "": all


@dataclass(frozen=True, slots=True)
class Accepted:
    """One mail that the server took."""

    sender: str
    recipient: str
    data: bytes  # as it was before dot-stuffing
    mail_options: tuple[str, ...]
    rcpt_options: tuple[str, ...]
    connection: int  # 1 for the first connection


class _Cut(Exception):  # noqa: N818 - the connection ends here, which is no error
    pass


class FaultySmtp:
    """Start with `with FaultySmtp() as smtp`; order faults with `fail`; read `mails` and `connections`."""

    def __init__(
        self,
        *,
        extensions: tuple[str, ...] = EXTENSIONS,
        user: str = "",
        starttls: bool = False,
        certificate: tuple[Path, Path] | None = None,  # and its key; by default a self-made one
        delay: float = 0,
        token_is_good: Callable[[str, str], bool] | None = None,
    ) -> None:
        self.extensions = extensions
        self.user = user  # "": no log-in is asked for
        self.delay = delay  # seconds before every answer
        self.token_is_good = token_is_good  # asked with user and access token; None: XOAUTH2 is not offered
        self.connections = 0
        self.commands: list[str] = []  # as said, the verb in upper case
        self._mails: list[Accepted] = []
        self._faults: list[tuple[Fault, int]] = []
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._starttls = starttls
        self._certificate = certificate
        self._directory = tempfile.TemporaryDirectory()
        self.tls: ssl.SSLContext | None = None
        self.certificate: Path | None = None
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        if self._starttls:
            pair = self._certificate or make_certificate(Path(self._directory.name))
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*pair)
            self.certificate = pair[0]
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._directory.cleanup()

    @property
    def mails(self) -> list[Accepted]:
        """Every mail accepted so far, in order."""
        with self._lock:
            return list(self._mails)

    def settings(self, **changes: object) -> SmtpServer:
        """Settings to reach this server."""
        values: dict[str, object] = {
            "host": HOST,
            "port": self.port,
            "security": "none",
            "username": self.user,
        }
        return SmtpServer.model_validate(values | {"timeout_seconds": 10} | changes)

    def fail(
        self,
        at: At,
        reply: str = "",
        *,
        times: int = 1_000_000,
        hang: bool = False,
        accept: bool = False,
        recipient: str = "",
    ) -> None:
        """Order a fault for the next `times` that the dialogue comes to `at`; see `Fault`."""
        with self._lock:
            self._faults.append((Fault(at, reply, hang, accept, recipient), times))

    def repair(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._faults.clear()

    def wait_for(self, count: int) -> list[Accepted]:
        """Return the mails once there are `count`."""
        wait_until(lambda: len(self.mails) >= count, f"{count} mails at the SMTP server")
        return self.mails

    def _spawn(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ending.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            self._spawn(_Dialogue(self, connection, self.connections).run)

    def take_fault(self, at: At, recipient: str) -> Fault | None:
        """Return the first fault ordered for this point, and count it."""
        with self._lock:
            for place, (fault, times) in enumerate(self._faults):
                if fault.at == at and fault.recipient in ("", recipient):
                    self._faults[place : place + 1] = [(fault, times - 1)] if times > 1 else []
                    return fault
        return None

    def keep(self, mail: Accepted) -> int:
        """Keep a mail; return its number."""
        with self._lock:
            self._mails.append(mail)
            return len(self._mails)

    def pause(self) -> None:
        if self.delay:
            self._ending.wait(self.delay)

    def hang(self) -> None:
        """Say nothing until the server ends."""
        self._ending.wait()


class _Dialogue:
    """One connection."""

    def __init__(self, server: FaultySmtp, connection: socket.socket, number: int) -> None:
        self._server = server
        self._socket = connection
        self._number = number
        self._lines = connection.makefile("rb")
        self._sender = self._recipient = ""
        self._mail_options: tuple[str, ...] = ()
        self._rcpt_options: tuple[str, ...] = ()

    def run(self) -> None:
        with contextlib.suppress(_Cut, OSError):
            self._answer("connect", "220 uji.contoh.id ESMTP")
            for line in self._commands():
                self._obey(line)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._lines.close()
        self._socket.close()

    def _commands(self) -> Iterator[str]:
        while line := self._lines.readline():
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            verb, space, rest = text.partition(" ")
            self._server.commands.append(verb.upper() + space + rest)
            yield text

    def _obey(self, line: str) -> None:
        verb = line.split(" ")[0].upper()
        match verb:
            case "EHLO":
                self._answer("ehlo", self._greeting())
            case "STARTTLS" if self._server.tls is not None:
                self._say("220 go ahead")
                self._lines.close()
                self._socket = self._server.tls.wrap_socket(self._socket, server_side=True)
                self._lines = self._socket.makefile("rb")
            case "AUTH" if line.upper().startswith("AUTH XOAUTH2 "):
                self._sign_in_by_token(line.split(" ")[2])
            case "AUTH":
                good = base64.b64encode(f"\0{self._server.user}\0{PASSWORD}".encode()).decode()
                self._answer(
                    "auth", "235 2.7.0 ok" if line.split(" ")[-1] == good else "535 5.7.8 wrong password"
                )
            case "MAIL":
                self._sender, self._mail_options = _path(line)
                self._answer("mail", "250 2.1.0 ok")
            case "RCPT":
                self._recipient, self._rcpt_options = _path(line)
                self._answer("rcpt", "250 2.1.5 ok")
            case "DATA":
                if self._answer("data", "354 go ahead"):
                    self._take_mail()
            case "QUIT":
                self._answer("quit", "221 2.0.0 bye")
                raise _Cut
            case "RSET":
                self._answer("rset", "250 2.0.0 ok")
            case _:
                self._say("250 2.0.0 ok")

    def _sign_in_by_token(self, response: str) -> None:
        found = re.fullmatch(
            r"user=([^\x01]*)\x01auth=Bearer ([^\x01]*)\x01\x01", base64.b64decode(response).decode()
        )
        check = self._server.token_is_good
        if check is not None and found is not None and check(found[1], found[2]):
            self._answer("auth", "235 2.7.0 ok")
            return
        # As Gmail: the reason in a challenge, which the client answers with an empty line.
        self._say("334 " + base64.b64encode(b'{"status":"401","schemes":"bearer"}').decode())
        assert self._lines.readline() == b"\r\n"
        self._answer("auth", "535 5.7.8 Username and Password not accepted.")

    def _take_mail(self) -> None:
        cut = self._server.take_fault("body", self._recipient)
        data = bytearray()
        while (line := self._lines.readline()) != b".\r\n":
            if not line or cut is not None:
                raise _Cut
            data += line[1:] if line.startswith(b".") else line
        mail = Accepted(
            self._sender, self._recipient, bytes(data), self._mail_options, self._rcpt_options, self._number
        )
        fault = self._server.take_fault("dot", self._recipient)
        if fault is None or fault.accept:
            number = self._server.keep(mail)
        if fault is None:
            self._server.pause()
            self._say(f"250 2.0.0 Ok: queued as UJI{number:05d}")
        else:
            self._fail(fault)

    def _answer(self, at: At, usual: str) -> bool:
        """Say the usual, or what was ordered for this point. Return whether it was the usual."""
        fault = self._server.take_fault(at, self._recipient)
        self._server.pause()
        if fault is not None:
            self._fail(fault)
            return False
        self._say(usual)
        return True

    def _fail(self, fault: Fault) -> None:
        if fault.hang:
            self._server.hang()
        if fault.hang or not fault.reply:
            raise _Cut
        self._say(fault.reply)
        if fault.reply.startswith("421"):
            raise _Cut

    def _greeting(self) -> str:
        lines = ["uji.contoh.id", *self._server.extensions]
        if self._server.tls is not None and not isinstance(self._socket, ssl.SSLSocket):
            lines.append("STARTTLS")
        if self._server.user:
            lines.append("AUTH PLAIN" if self._server.token_is_good is None else "AUTH PLAIN XOAUTH2")
        return "\r\n".join(f"250{' ' if line == lines[-1] else '-'}{line}" for line in lines)

    def _say(self, text: str) -> None:
        self._socket.sendall(text.encode() + b"\r\n")


def _path(line: str) -> tuple[str, tuple[str, ...]]:
    found = re.match(r"[^<]*<([^>]*)>(.*)", line)
    assert found is not None, line
    return found[1], tuple(found[2].split())
