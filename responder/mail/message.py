"""The values that the mail side produces: a mail as read, and what screening thinks of it.

Pure data, no parsing. All are frozen, compare by value and pickle (the reader is another process).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What sort of sender a mail comes from."""

    PERSON = "person"  # nothing says that a machine wrote it
    BOUNCE = "bounce"  # a delivery status notification, standard or not
    AUTO_REPLY = "auto_reply"  # out-of-office and other automatic answers and notices
    LIST = "list"  # mailing list or bulk mail
    REPORT = "report"  # read receipt, feedback report, other multipart/report
    OWN = "own"  # sent by this installation
    UNREADABLE = "unreadable"  # over a limit, broken or encrypted: a person must look at the raw mail


class Verdict(StrEnum):
    """How far a machine may go with a mail (email-rules 0). Uncertain evidence only ever lowers it."""

    LOOP = "loop"  # our own mail: file it, never answer
    NO_AUTO = "no_auto"  # machine or list mail: no unattended reply of any kind
    DRAFT = "draft"  # a person must approve whatever is answered
    AUTO = "auto"  # an unattended reply is allowed

    @property
    def rank(self) -> int:
        """0 (LOOP) to 3 (AUTO)."""
        return _RANK[self]


_RANK = {Verdict.LOOP: 0, Verdict.NO_AUTO: 1, Verdict.DRAFT: 2, Verdict.AUTO: 3}


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox: display name (decoded, no controls) and address (domain in lower case)."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>" if self.name else self.address


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attachment that nobody opened: safe base name, size in octets (decoded, about), MIME type."""

    name: str
    size: int
    type: str
    inline: bool = False


@dataclass(frozen=True, slots=True)
class RecipientStatus:
    """One recipient block of a delivery status notification (RFC 3464 2.3)."""

    recipient: str
    action: str  # failed, delayed, delivered, relayed, expanded, or "" when not stated
    status: str  # enhanced status code such as 5.1.1, or ""
    diagnostic: str  # the remote server's words, controls removed, at most 500 characters


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What a bounce says: the Message-IDs of the returned mail and the state of each recipient."""

    original_ids: tuple[str, ...]  # without angle brackets, most certain first
    recipients: tuple[RecipientStatus, ...]

    @property
    def failed(self) -> bool:
        """Whether any recipient block says Action: failed (rule 4)."""
        return any(r.action == "failed" for r in self.recipients)


@dataclass(frozen=True, slots=True)
class IncomingMail:
    """A mail as read from bytes. Every str is free of NUL and surrogates; headers are unfolded."""

    identity: str  # SHA-256 (hex) of header block and size: recognises the same mail again (rule 50)
    size: int  # octets of the whole mail as the server counts them (RFC822.SIZE)
    headers: tuple[tuple[str, str], ...]  # raw name and unfolded value, in order, not RFC 2047-decoded
    message_id: str  # without angle brackets; "" when absent or not usable as an id
    in_reply_to: tuple[str, ...]  # ids without angle brackets
    references: tuple[str, ...]  # ids without angle brackets, oldest first
    sender: Address | None  # the one From mailbox; None when none, several, or two parsers disagree (rule 11)
    from_addresses: tuple[Address, ...]  # everything that any parser saw in From
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    return_path: str | None  # "" for the null sender, None when there is no such header
    subject: str  # decoded, one line, no controls
    date: datetime | None  # aware; None when absent or broken
    text: str  # the whole visible text: text/plain, else HTML made text with hidden parts removed
    new_text: str  # without quotes, forwarded headers and signature; the full text when little is left
    quoted_text: str  # quoted or forwarded text, markers removed
    html: str  # sanitised for showing to people (rule 66); "" when the mail has no HTML
    attachments: tuple[Attachment, ...]
    language: str  # "id", "en" or "other", of the new text
    content_types: tuple[str, ...]  # lower-case MIME type of every part, outermost first
    report: DeliveryReport | None
    signed_or_encrypted: bool  # nothing readable but a signature or encrypted part (rule 17)
    doubts: tuple[str, ...] = field(default=())  # what reading was not sure of, in words

    def values(self, name: str) -> tuple[str, ...]:
        """Every raw value of header `name` (any case), in order."""
        wanted = name.lower()
        return tuple(v for n, v in self.headers if n.lower() == wanted)


@dataclass(frozen=True, slots=True)
class Setting:
    """What screening must know about the live setting; `trust` takes rules 10, 14 and 16 as met."""

    own_addresses: frozenset[str] = frozenset()  # address, aliases, every mailbox here; lower case
    authserv_id: str | None = None  # None: nobody is authenticated; "": accept a header without id
    now: datetime | None = None  # aware
    received: datetime | None = None  # INTERNALDATE, aware
    max_age_hours: float = 24.0
    flags: tuple[str, ...] = ()  # IMAP flags and keywords of the mail
    own_token: bytes | None = None  # installation key: recognises our own Message-ID and loop header by MAC
    trust: bool = False


@dataclass(frozen=True, slots=True)
class Screening:
    """The verdict with the reasons in words (English, short, rule number first where there is one)."""

    verdict: Verdict
    kind: Kind
    reasons: tuple[str, ...]
    authenticated: bool  # rule 14 passed
    reply_address: str  # where a reply may go (rule 34); "" when nowhere
    stop_request: bool = False  # the sender asked not to get automatic mail (rule 47)
