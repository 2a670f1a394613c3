"""One signed-in IMAP connection: opening it, talking over it so that every failure is one clear line, waiting on it."""

from __future__ import annotations

import binascii
import imaplib
import re
import select
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientError, ProtocolError
from imapclient.exceptions import LoginError as RefusedLogin

from responder.config import ImapServer
from responder.errors import MailServerError
from responder.mail import connection, ending, oauth

MAX_IDLE = 25 * 60  # seconds; IDLE is renewed well before the server's 29 minutes (rule 61, RFC 2177)
LOGOUT_PATIENCE = 5  # seconds; nothing depends on the answer
# RFC 5530 codes, and the words of Gmail and Exchange, for a log-in that may work later with the same password.
_LATER = re.compile(
    r"\[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG|CONTACTADMIN)\]|too many|temporar|try again", re.IGNORECASE
)


class ImapConnection:
    """A connection to one server as one user. After a loss it is of no more use, unless `_open` is called again."""

    def __init__(self, server: ImapServer, password: str) -> None:
        self._server = server
        self._password = password
        self._where = connection.name_of("IMAP", server, server.effective_port)
        self._client: IMAPClient | None = None
        self._fresh = False  # nothing was asked since the working folder was selected
        ending.joined(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Log out and close; what goes wrong there changes nothing."""
        client, self._client = self._client, None
        if client is None:
            return
        with suppress(IMAPClientError, OSError):
            client.socket().settimeout(LOGOUT_PATIENCE)
            client.logout()
        with suppress(IMAPClientError, OSError):
            client.shutdown()

    def cut(self) -> None:
        """End the connection under a thread that waits on it; see `ending`."""
        client = self._client
        if client is not None:
            with suppress(IMAPClientError, OSError):
                ending.cut(client.socket())

    @property
    def usable(self) -> bool:
        """False once the connection was lost or closed."""
        return self._client is not None

    @property
    def can_idle(self) -> bool:
        return self._can("IDLE")

    def noop(self) -> None:
        """Ask for nothing: keeps the connection, or finds that it is lost."""
        with self._talking("NOOP") as client:
            client.noop()

    def idle(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds; return True as soon as the server tells of mail in the working folder.

        False at once when the server has no IDLE (`can_idle`). IDLE is renewed every `MAX_IDLE` seconds and every
        answer has a time limit, so a dead link ends in MailServerError (rule 61). Mail that was there before is not
        told of, nor is every change: a plain poll must run anyway.
        """
        if not self.can_idle:
            return False
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            try:
                told = self._idle_once(min(left, MAX_IDLE))
            except MailServerError:
                # Whatever went wrong, the server may still take the next line for the end of IDLE.
                self._lose()
                raise
            if any(len(line) > 1 and line[1] == b"EXISTS" for line in told):
                return True
        return False

    def _idle_once(self, seconds: float) -> list[tuple[Any, ...]]:
        with self._talking("IDLE") as client:
            client.idle()
            _wait_for_octets(client.socket(), seconds)
            # Everything is read by the answer to DONE. IMAPClient.idle_check takes a line that comes in two packets
            # for a broken one.
            return list(client.idle_done()[1])

    def _open(self) -> None:
        if self._server.oauth2 is None:
            self._open_with(self._password)
        else:
            oauth.signed_in(self._server.oauth2, self._open_with)

    def _open_with(self, secret: str) -> None:
        """Connect and sign in with the password or access token `secret`."""
        server = self._server
        try:
            client = IMAPClient(
                server.host,
                server.effective_port,
                ssl=server.security == "tls",
                ssl_context=connection.tls_context() if server.security == "tls" else None,
                timeout=SocketTimeout(server.timeout_seconds, server.timeout_seconds),
            )
        except (IMAPClientError, OSError) as error:
            raise connection.explain(self._where, error) from error
        try:
            # IMAPClient sets imaplib's debug level 5, which makes a repr of every octet received: five times the CPU.
            client._imap.debug = 0
            client.normalise_times = False
            if server.security == "starttls":
                client.starttls(connection.tls_context())
            self._sign_in(client, secret)
        except BaseException as error:
            with suppress(IMAPClientError, OSError):
                client.shutdown()
            if not isinstance(error, (IMAPClientError, OSError)):
                raise
            raise self._not_signed_in(error) from error
        self._client = client

    def _sign_in(self, client: IMAPClient, secret: str) -> None:
        if self._server.oauth2 is None:
            client.login(self._server.username, secret)
        elif not client.has_capability("AUTH=XOAUTH2"):
            raise MailServerError(f"{self._where}: offers no log-in with OAuth 2 (XOAUTH2)")
        else:
            # The token once; then an empty line for the challenge that only says what is wrong with it.
            said = iter((oauth.xoauth2(self._server.username, secret),))
            try:
                client.sasl_login("XOAUTH2", lambda _challenge: next(said, ""))
            except binascii.Error:
                raise MailServerError(f"{self._where}: log-in: a challenge that is not Base64") from None

    def _not_signed_in(self, error: IMAPClientError | OSError) -> MailServerError:
        lost = isinstance(error.__context__, (imaplib.IMAP4.abort, OSError))
        if isinstance(error, RefusedLogin) and not lost and not _LATER.search(str(error)):
            answer = re.sub("^(login|authenticate) failed: ", "", connection.one_line(error))
            return connection.refused_login(self._where, self._server, answer)
        return connection.explain(self._where, error)

    @contextmanager
    def _talking(self, what: str) -> Iterator[IMAPClient]:
        """The client; its errors become MailServerError, and one that leaves the dialogue unclear ends the session."""
        if self._client is None:
            raise MailServerError(f"{self._where}: the connection is closed")
        self._fresh = False
        try:
            yield self._client
        except (imaplib.IMAP4.abort, ProtocolError, OSError) as error:
            self._lose()
            raise connection.explain(f"{self._where}: {what}", error) from error
        except IMAPClientError as error:
            raise MailServerError(f"{self._where}: {what}: {connection.one_line(error)}") from error
        except BaseException:
            self._lose()
            raise

    def _lose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(IMAPClientError, OSError):
                client.shutdown()

    def _can(self, capability: str) -> bool:
        # Read after the log-in only: Office 365 shows MOVE to nobody else.
        with self._talking("capabilities") as client:
            return bool(client.has_capability(capability))


def _wait_for_octets(sock: socket.socket, seconds: float) -> None:
    """Return when there is something to read, or after `seconds`."""
    if isinstance(sock, ssl.SSLSocket) and sock.pending():
        return
    ready = select.poll()
    ready.register(sock, select.POLLIN)
    ready.poll(seconds * 1000)
