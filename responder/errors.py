"""The one exception tree. A message names what failed, where, and what to do about it.

Every error carries the exit code that the command line ends with when nothing handles it.
"""

from __future__ import annotations

from responder.refusal import Refusal


class ResponderError(Exception):
    """Base of everything this project raises on purpose."""

    exit_code = 1


class ConfigError(ResponderError):
    """config.toml, an environment override or a secret is missing or wrong."""

    exit_code = 2


class ContentError(ResponderError):
    """A topic folder, a word list or a reply template is broken."""

    exit_code = 3


class MailServerError(ResponderError):
    """An IMAP or SMTP server could not be used. Worth retrying unless it is a `LoginError`."""

    exit_code = 4


class LoginError(MailServerError):
    """The server refused our credentials (RFC 5530 AUTHENTICATIONFAILED, EXPIRED): retrying makes it worse."""


class StoreError(ResponderError):
    """The database is away, locked, full, or of another version."""

    exit_code = 5


class Unstorable(StoreError):  # noqa: N818 - a state of a value, named as `UnreadableMail` is
    """A value that no column can hold: a number that is too large, a text with NUL."""


class UnreadableMail(ResponderError):  # noqa: N818 - a state of a mail, named as the tickets name it
    """A mail is over a limit or cannot be parsed; its raw bytes go to quarantine."""


class UnsendableMail(ResponderError):  # noqa: N818 - a state of a mail, named as the tickets name it
    """A reply cannot be put into bytes that the rules allow: a bad address, a forbidden header, unsafe HTML."""


class ModelError(ResponderError):
    """A classifier model file is missing, stale or corrupt."""

    exit_code = 6


class Refused(ResponderError):  # noqa: N818 - the operation was understood and refused
    """An operation that the rules forbid: a stale approval, an unconfirmed fact, a ticket in another state.

    What staff meet on pages and in the API is raised as a `Refusal` with the facts of its places, so that it can be
    told in their language; what only the terminal shows is raised as a sentence.
    """

    exit_code = 7

    def __init__(self, why: Refusal | str, /, **facts: object) -> None:
        super().__init__(why if isinstance(why, str) else why.value.format(**facts))
        self.refusal = None if isinstance(why, str) else why
        self.facts = facts
