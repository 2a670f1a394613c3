"""What IMAP and SMTP connections share: the TLS context, and one clear line for each way a connection can fail."""

from __future__ import annotations

import socket
import ssl

from responder.config import Server
from responder.errors import LoginError, MailServerError


def tls_context() -> ssl.SSLContext:
    """Return a context that verifies certificate and host name, as the libraries' own defaults do not (rule 69)."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def name_of(protocol: str, server: Server, port: int) -> str:
    """Return "IMAP server host:port", the way every message names a server."""
    return f"{protocol} server {server.host}:{port}"


def explain(where: str, error: Exception) -> MailServerError:
    """Return the MailServerError that says in one line what failed at `where`, and what to do about it."""
    match error:
        case ssl.SSLCertVerificationError():
            problem = (
                f"certificate is not trusted ({error.verify_message}); "
                "check the host name, or install the certificate of its authority on this machine"
            )
        case ssl.SSLError():
            problem = (
                f"TLS failed ({error.reason or error}); check that the port speaks TLS "
                '(security = "tls") or offers it after connecting (security = "starttls")'
            )
        case socket.gaierror():
            problem = f"host name is not known ({error.strerror}); check host, and the DNS of this machine"
        case ConnectionRefusedError():
            problem = "connection refused; check host and port, and that the server runs"
        case TimeoutError():
            problem = (
                "no answer in time; check host and port, firewall, and that the server is not overloaded"
            )
        case OSError():
            problem = f"connection failed: {error.strerror or error}"
        case _:
            problem = one_line(error)
    return MailServerError(f"{where}: {problem}")


def refused_login(where: str, server: Server, answer: str) -> LoginError:
    """Return the LoginError for a refused sign-in; `answer` is the server's words, never the password."""
    remedy = "check username and password (or app password)"
    if server.oauth2 is not None:
        remedy = (
            f"run `responder login {server.oauth2.mailbox}` and sign in as that user; "
            "check that the provider allows the account this protocol"
        )
    return LoginError(f"{where}: log-in as {server.username!r} refused: {answer}; {remedy}")


def one_line(value: object) -> str:
    """Return a server's words as one printable line of at most 300 characters."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]
