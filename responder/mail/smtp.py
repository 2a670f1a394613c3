"""Sending over SMTP: one connection for many replies, and a result that says how far each one came.

smtplib raises the same exception for a connection lost before and after the server took the body, so MAIL, RCPT,
DATA and the final dot are spoken one by one here and the phase is tracked: lost before the dot is safe to retry,
lost after it is `uncertain` (rules 73 to 77).
"""

from __future__ import annotations

import base64
import re
import smtplib
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from responder.config import SmtpServer
from responder.errors import MailServerError, UnsendableMail
from responder.mail import connection, ending, oauth
from responder.mail.domains import wire_address

Status = Literal["sent", "retry", "failed", "uncertain"]
Phase = Literal["connect", "mail", "rcpt", "data", "dot"]

CHUNK = 64 * 1024  # octets of the body per write, so that the time-out of a block means a block

_BARE_LINE_END = re.compile(rb"(?<!\r)\n|\r(?!\n)")
_QUEUE_ID = re.compile(
    r"queued as (?P<postfix>[\w.-]+)|\bid=(?P<exim>[\w.-]+)|InternalId=(?P<exchange>\d+)|^Ok (?P<ses>[0-9a-f-]{20,})",
    re.IGNORECASE,
)
_NOT_SIGNED_IN = frozenset({530, 534, 535, 538})  # RFC 4954 6: no matter which mail, until someone sees to it


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait in each phase, RFC 5321 4.5.3.2; the wait after the dot is in the configuration (rule 76)."""

    greeting: float = 300
    command: float = 300  # MAIL, RCPT and everything around them
    data: float = 120  # for the 354 after DATA
    block: float = 180  # for each block of the body to be taken
    quit: float = 10  # nothing depends on the answer


@dataclass(frozen=True, slots=True)
class SendResult:
    """How far one reply came.

    `sent`: the server took it. `retry`: it did not, and may later (4xx, lost before the dot). `failed`: it never will
    (5xx). `uncertain`: the answer to the final dot was lost, it may or may not have taken it.
    """

    status: Status
    phase: Phase  # where it ended
    code: int  # SMTP reply code, 0 when there was none
    message: str  # the server's words or what went wrong, one line
    queue_id: str = ""  # the server's own id of the mail (rule 49), when it says one


class SmtpSession:
    """One connection at a time to one SMTP server; opened again when it was lost or has served its count."""

    def __init__(self, server: SmtpServer, password: str, timeouts: Timeouts) -> None:
        self._server = server
        self._password = password
        self._timeouts = timeouts
        self._where = connection.name_of("SMTP", server, server.effective_port)
        self._client: _Client | None = None
        self._served = 0
        ending.joined(self)

    @classmethod
    def connect(
        cls,
        server: SmtpServer,
        password: str,
        *,
        timeouts: Timeouts | None = None,
        before_sign_in: Callable[[], object] = tuple,
    ) -> Self:
        """Connect, call `before_sign_in`, sign in; what the call raises ends the attempt.

        Raises LoginError when the credentials are refused, else MailServerError.
        """
        session = cls(server, password, timeouts or Timeouts())
        session._open(before_sign_in)
        return session

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(
        self,
        envelope_from: str,
        recipient: str,
        data: bytes,
        *,
        before_data: Callable[[], None] | None = None,
    ) -> SendResult:
        """Send the finished bytes `data` to one recipient (rule 33), exactly as they are.

        `envelope_from` may be "" (the null sender). `before_data` is called directly before DATA (rule 78); what it
        raises ends the attempt with nothing sent and is raised again. Raises LoginError when the server refuses the
        credentials, or wants some, MailServerError when this process is ending; every other outcome is a SendResult.
        """
        ending.refuse_if_begun(self._where)
        try:
            sender = wire_address(envelope_from) if envelope_from else ""
            recipient = wire_address(recipient)
        except UnsendableMail as error:
            return SendResult("failed", "connect", 0, str(error))
        if _BARE_LINE_END.search(data):
            return SendResult("failed", "connect", 0, "the mail holds a bare CR or LF")
        if self._served >= self._server.max_per_connection:
            self.close()
        reused = self._client is not None
        result = self._attempt(sender, recipient, data, before_data)
        if reused and result.status == "retry" and result.phase == "mail" and result.code in {0, 421}:
            # The server had given up the idle connection: nothing of this mail was taken, so a fresh one may offer it.
            result = self._attempt(sender, recipient, data, before_data)
        return result

    def close(self) -> None:
        """Say QUIT and close; whatever goes wrong there changes nothing (rule 77)."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(smtplib.SMTPException, OSError):
                client.patience(self._timeouts.quit)
                client.quit()
            client.close()

    def cut(self) -> None:
        """End the connection under a thread that waits on it; see `ending`."""
        client = self._client
        if client is not None:
            ending.cut(client.sock)

    def _attempt(
        self, sender: str, recipient: str, data: bytes, before_data: Callable[[], None] | None
    ) -> SendResult:
        if self._client is None:
            try:
                self._open()
            except MailServerError as error:
                if type(error) is not MailServerError:
                    raise
                return SendResult("retry", "connect", 0, str(error))
        assert self._client is not None
        transaction = _Transaction(self._client, self._server, self._timeouts)
        self._served += 1
        result = self._step(transaction, lambda: transaction.offer(sender, recipient, data))
        if result is None:
            if before_data is not None:
                try:
                    before_data()
                except BaseException:
                    self._reset()
                    raise
            result = self._step(transaction, lambda: transaction.deliver(data))
        assert result is not None
        if result.code in _NOT_SIGNED_IN and result.phase == "mail":
            self._drop()
            raise connection.refused_login(self._where, self._server, result.message)
        if result.code == 421 or result.status == "uncertain":
            self._drop()
        elif result.status != "sent":
            self._reset()
        return result

    def _step(self, transaction: _Transaction, step: Callable[[], SendResult | None]) -> SendResult | None:
        """Run one step; a lost connection is a result too, and which one depends on the phase it was lost in."""
        try:
            return step()
        except (smtplib.SMTPException, OSError) as error:
            self._drop()
            lost: Status = "uncertain" if transaction.phase == "dot" else "retry"
            return SendResult(lost, transaction.phase, 0, f"{self._where}: {connection.one_line(error)}")
        except BaseException:
            self._drop()
            raise

    def _reset(self) -> None:
        """Leave the connection ready for the next mail, or leave none."""
        if self._client is None:
            return
        try:
            self._client.patience(self._timeouts.command)
            if self._client.rset()[0] != 250:
                self._drop()
        except (smtplib.SMTPException, OSError):
            self._drop()

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _open(self, before_sign_in: Callable[[], object] = tuple) -> None:
        if self._server.oauth2 is None:
            self._open_with(self._password, before_sign_in)
        else:
            oauth.signed_in(self._server.oauth2, lambda token: self._open_with(token, before_sign_in))

    def _open_with(self, secret: str, before_sign_in: Callable[[], object]) -> None:
        """Connect and sign in with the password or access token `secret`."""
        client = _Client(self._server, self._timeouts)
        self._served = 0
        try:
            client.connect(self._server.host, self._server.effective_port)
            client.begin()
            before_sign_in()
            self._sign_in(client, secret)
        except smtplib.SMTPResponseException as error:
            client.close()
            raise MailServerError(
                f"{self._where}: {error.smtp_code} {connection.one_line(error.smtp_error)}"
            ) from error
        except (smtplib.SMTPException, OSError) as error:
            client.close()
            # smtplib hides a time-out or TLS error in the words of SMTPServerDisconnected; its cause says it.
            cause = error.__context__ if isinstance(error.__context__, OSError) else error
            raise connection.explain(self._where, cause) from error
        except BaseException:
            client.close()
            raise
        self._client = client

    def _sign_in(self, client: _Client, secret: str) -> None:
        if not self._server.username:
            return
        try:
            if self._server.oauth2 is None:
                client.login(self._server.username, secret)
            else:
                client.xoauth2(self._server.username, secret)
        except smtplib.SMTPNotSupportedError:
            raise MailServerError(
                f"{self._where}: offers no log-in of our kind; check port and security, or leave username empty"
            ) from None
        except smtplib.SMTPAuthenticationError as error:
            answer = f"{error.smtp_code} {connection.one_line(error.smtp_error)}"
            if 400 <= error.smtp_code < 500:
                raise MailServerError(f"{self._where}: log-in is not possible at present: {answer}") from None
            raise connection.refused_login(self._where, self._server, answer) from None


class _Client(smtplib.SMTP):
    """smtplib's connection with verified TLS and a time-out of its own for every phase."""

    def __init__(self, server: SmtpServer, timeouts: Timeouts) -> None:
        # A host name would be looked up in the DNS by smtplib; the literal of RFC 5321 4.1.4 is set once connected.
        super().__init__(local_hostname="[127.0.0.1]", timeout=server.timeout_seconds)
        self._server = server
        self._timeouts = timeouts

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = socket.create_connection((host, port), timeout)
        # The dot follows the body in a write of its own; Nagle's algorithm would hold it back for the server's delayed
        # acknowledgement of the body, 40 ms for each mail.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._server.security == "tls":
            sock = connection.tls_context().wrap_socket(sock, server_hostname=host)
        sock.settimeout(self._timeouts.greeting)
        own = sock.getsockname()[0]
        self.local_hostname = f"[IPv6:{own}]" if ":" in own else f"[{own}]"
        return sock

    def connect(
        self, host: str = "localhost", port: int = 0, source_address: object = None
    ) -> tuple[int, bytes]:
        # smtplib's STARTTLS verifies the certificate against the host given to its constructor, which connects at once.
        self._host = host
        code, answer = super().connect(host, port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, answer)
        return code, answer

    def begin(self) -> None:
        """Greet, and turn on TLS where the configuration says so."""
        self.patience(self._timeouts.command)
        self.ehlo_or_helo_if_needed()
        if self._server.security == "starttls":
            if not self.has_extn("starttls"):
                raise smtplib.SMTPException(
                    'the server offers no STARTTLS; check the port, or use security = "tls" with port 465'
                )
            self.starttls(context=connection.tls_context())
            self.ehlo_or_helo_if_needed()

    def xoauth2(self, username: str, access_token: str) -> None:
        """Sign in with a token. Raises as `login` does."""
        if "XOAUTH2" not in self.esmtp_features.get("auth", "").upper().split():
            raise smtplib.SMTPNotSupportedError("XOAUTH2 is not offered")
        response = base64.b64encode(oauth.xoauth2(username, access_token).encode()).decode("ascii")
        code, answer = self.docmd("AUTH", f"XOAUTH2 {response}")
        if code == 334:
            # A challenge that only says what is wrong; the refusal itself follows an empty line.
            code, answer = self.docmd("")
        if code != 235:
            raise smtplib.SMTPAuthenticationError(code, answer)

    def patience(self, seconds: float) -> None:
        """Wait at most `seconds` in each following read or write."""
        if self.sock is not None:
            self.sock.settimeout(seconds)


def _command(verb: str, address: str, options: Sequence[str]) -> bytes:
    """One line with a path; `address` has passed `wire_address`, so it holds no line end."""
    return (" ".join([f"{verb}<{address}>", *options]) + "\r\n").encode()


class _Transaction:
    """One mail on an open connection. `phase` is true at every moment, also while an exception passes through."""

    def __init__(self, client: _Client, server: SmtpServer, timeouts: Timeouts) -> None:
        self._client = client
        self._server = server
        self._timeouts = timeouts
        self.phase: Phase = "mail"

    def offer(self, sender: str, recipient: str, data: bytes) -> SendResult | None:
        """Say MAIL and RCPT. Return None when both were taken."""
        client = self._client
        utf8 = not (sender + recipient).isascii()
        if utf8 and not client.has_extn("smtputf8"):
            return SendResult(
                "failed", "mail", 0, f"the server cannot write to {recipient}: it offers no SMTPUTF8"
            )
        client.patience(self._timeouts.command)
        mail = _command("MAIL FROM:", sender, self._mail_options(data, utf8))
        rcpt = _command("RCPT TO:", recipient, self._rcpt_options(sender))
        together = client.has_extn("pipelining")
        client.send(mail + rcpt if together else mail)
        refused = self._answered(client.getreply(), 250)
        if refused is not None:
            if together and refused.code != 421:
                # What the server says of RCPT then means nothing, but the next mail must not read it for its own.
                with suppress(smtplib.SMTPException, OSError):
                    client.getreply()
            return refused
        self.phase = "rcpt"
        if not together:
            client.send(rcpt)
        return self._answered(client.getreply(), 250, 251)

    def deliver(self, data: bytes) -> SendResult:
        """Say DATA and send the body, unless the server refuses it."""
        self.phase = "data"
        self._client.patience(self._timeouts.data)
        return self._answered(self._client.docmd("DATA"), 354) or self._body(data)

    def _body(self, data: bytes) -> SendResult:
        client = self._client
        client.patience(self._timeouts.block)
        stuffed = (b"." if data.startswith(b".") else b"") + data.replace(b"\r\n.", b"\r\n..")
        for start in range(0, len(stuffed), CHUNK):
            client.send(stuffed[start : start + CHUNK])
        client.patience(self._server.data_timeout_seconds)
        self.phase = "dot"
        client.send(b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n")
        code, answer = client.getreply()
        text = connection.one_line(answer)
        if 200 <= code < 300:
            found = _QUEUE_ID.search(re.sub(r"^\d\.\d\.\d ", "", text))
            return SendResult("sent", "dot", code, text, found[found.lastgroup or 0] if found else "")
        return self._answered((code, answer), 250) or SendResult("uncertain", "dot", code, text)

    def _answered(self, reply: tuple[int, bytes], *wanted: int) -> SendResult | None:
        """Return None for a wanted reply, else what the refusal means (RFC 5321 4.2.1)."""
        code, answer = reply
        if code in wanted:
            return None
        text = connection.one_line(answer)
        if 500 <= code < 600:
            return SendResult("failed", self.phase, code, text)
        if 400 <= code < 500 or self.phase != "dot":
            return SendResult("retry", self.phase, code, text)
        return SendResult("uncertain", self.phase, code, text)

    def _mail_options(self, data: bytes, utf8: bool) -> list[str]:
        options = [f"SIZE={len(data)}"] if self._client.has_extn("size") else []
        if utf8 or not data.isascii():
            # Only address headers hold such octets (rule 45), and RFC 6531 3.4 wants it said.
            options += ["SMTPUTF8"] if self._client.has_extn("smtputf8") else []
            options += ["BODY=8BITMIME"] if self._client.has_extn("8bitmime") else []
        return options

    def _rcpt_options(self, sender: str) -> list[str]:
        # A bounce of a mail from the null sender has nowhere to go (rule 32).
        return ["NOTIFY=NEVER"] if not sender and self._client.has_extn("dsn") else []
