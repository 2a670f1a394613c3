"""The tables. Times are UTC; text columns never hold NUL (`CleanText`).

A status column is written only by the conditional updates of `lifecycle`, `ledger` and the outbox.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from responder.tickets.status import Disposition, DraftCopy, Filing, ReplyKind, ReplyStatus, TicketStatus


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, stored as UTC. SQLite keeps no zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a naive datetime has no place in the database")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Status(TypeDecorator[str]):
    """A StrEnum member, stored as its value; reading an unknown value raises."""

    impl = String(20)
    cache_ok = True

    def __init__(self, enum: type[Any]) -> None:
        super().__init__()
        self.enum = enum

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else str(self.enum(value).value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self.enum(value)


class CleanText(TypeDecorator[str]):
    """Text without NUL, which PostgreSQL refuses, and without lone surrogates, which no database can encode."""

    impl: type[String] = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


class ShortText(CleanText):
    """Like `CleanText`, in a column with an upper length, which PostgreSQL enforces."""

    impl = String
    cache_ok = True


class Base(DeclarativeBase):
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads the class attribute
        datetime: UtcDateTime,
        Disposition: Status(Disposition),
        TicketStatus: Status(TicketStatus),
        ReplyStatus: Status(ReplyStatus),
        ReplyKind: Status(ReplyKind),
        Filing: Status(Filing),
        DraftCopy: Status(DraftCopy),
        dict[str, Any]: JSON,
        list[str]: JSON,
        str: CleanText,
        bytes: LargeBinary,
    }


def only(condition: str) -> dict[str, Any]:
    """The arguments of an index over the rows of `condition`; a query has to say it in the same words."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


RecordId = BigInteger().with_variant(Integer, "sqlite")


class Setting(Base):
    """What must survive a restart and belongs to no ticket: the arming, the last comparison with each mailbox."""

    __tablename__ = "settings"

    key: Mapped[str] = mapped_column(ShortText(60), primary_key=True)
    value: Mapped[dict[str, Any]]


class Folder(Base):
    """How far a folder has been read: everything up to `cursor` in `uidvalidity` is in `messages`."""

    __tablename__ = "folders"

    mailbox: Mapped[str] = mapped_column(ShortText(40), primary_key=True)
    folder: Mapped[str] = mapped_column(ShortText(255), primary_key=True)
    uidvalidity: Mapped[int] = mapped_column(BigInteger)
    cursor: Mapped[int] = mapped_column(BigInteger)
    started_at: Mapped[datetime]  # first connection: mail that came earlier is not ours to answer
    known_before: Mapped[int] = mapped_column(BigInteger, default=0)  # mails there at the first connection
    rescan_to: Mapped[int] = mapped_column(
        BigInteger, default=0
    )  # UIDs up to here may be mails known by another UID
    polled_at: Mapped[datetime | None]


class Message(Base):
    """The ledger: one row for each UID seen in a mailbox folder."""

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("mailbox", "folder", "uidvalidity", "uid"),
        Index("ix_messages_identity", "mailbox", "identity"),
        Index("ix_messages_header_id", "header_id", "mailbox"),
        Index("ix_messages_ticket", "ticket_id"),
        Index("ix_messages_received", "mailbox", "id", **only("disposition = 'received'")),
        Index("ix_messages_quarantined", "received_at", "id", **only("disposition = 'quarantined'")),
        Index("ix_messages_ignored", "received_at", "id", "kind", **only("disposition = 'ignored'")),
    )

    id: Mapped[int] = mapped_column(RecordId, primary_key=True, autoincrement=True)
    mailbox: Mapped[str] = mapped_column(ShortText(40))
    folder: Mapped[str] = mapped_column(ShortText(255))
    uidvalidity: Mapped[int] = mapped_column(BigInteger)
    uid: Mapped[int] = mapped_column(BigInteger)
    identity: Mapped[str] = mapped_column(
        ShortText(64)
    )  # SHA-256 of header block and size; "" for the baseline
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    internal_date: Mapped[datetime | None]
    received_at: Mapped[datetime]
    flags: Mapped[list[str]] = mapped_column(default=list)
    raw: Mapped[bytes | None]  # the whole mail up to limits.raw_kept_bytes, else the header block
    parts: Mapped[bytes | None]  # text parts of a larger mail, as `intake.pack` writes them
    header_id: Mapped[str] = mapped_column(
        ShortText(998), default=""
    )  # its Message-ID, without angle brackets
    from_address: Mapped[str] = mapped_column(ShortText(320), default="")
    from_name: Mapped[str] = mapped_column(default="")
    subject: Mapped[str] = mapped_column(default="")
    text: Mapped[str] = mapped_column(default="")  # the whole visible text
    new_text: Mapped[str] = mapped_column(default="")
    attachments: Mapped[list[str]] = mapped_column(default=list)
    reply_references: Mapped[list[str]] = mapped_column(default=list)  # References of a reply to it (rule 37)
    reply_address: Mapped[str] = mapped_column(ShortText(320), default="")  # where a reply may go (rule 34)
    verdict: Mapped[str] = mapped_column(ShortText(10), default="")
    kind: Mapped[str] = mapped_column(ShortText(12), default="")
    reasons: Mapped[list[str]] = mapped_column(default=list)
    disposition: Mapped[Disposition] = mapped_column(default=Disposition.RECEIVED)
    reason: Mapped[str] = mapped_column(default="")
    attempts: Mapped[int] = mapped_column(default=0)
    next_try: Mapped[datetime | None]
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id"))
    marked: Mapped[bool] = mapped_column(Boolean, default=False)  # flags for staff were set on the server
    erased_at: Mapped[datetime | None]  # its content was erased: after retention or on the person's request


class Ticket(Base):
    """A conversation with one vendor. Its number, shown to vendors, is its id."""

    __tablename__ = "tickets"
    __table_args__ = (Index("ix_tickets_vendor", "vendor_address", "mailbox"),)

    id: Mapped[int] = mapped_column(RecordId, primary_key=True, autoincrement=True)
    mailbox: Mapped[str] = mapped_column(ShortText(40))
    status: Mapped[TicketStatus]
    subject: Mapped[str]
    vendor_address: Mapped[str] = mapped_column(ShortText(320))
    vendor_name: Mapped[str] = mapped_column(default="")
    language: Mapped[str] = mapped_column(ShortText(5), default="id")
    topics: Mapped[list[str]] = mapped_column(default=list)
    confidence: Mapped[dict[str, Any]] = mapped_column(default=dict)
    reason: Mapped[str] = mapped_column(default="")  # why a person is needed, Indonesian
    senior: Mapped[bool] = mapped_column(Boolean, default=False)  # an officer asks a senior to look
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]  # what was said in it up to here was erased


class Participant(Base):
    """Who may write into a ticket (rule 48)."""

    __tablename__ = "participants"

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"), primary_key=True)
    address: Mapped[str] = mapped_column(ShortText(320), primary_key=True)


class Reply(Base):
    """One version of what we say: frozen bytes and what became of them."""

    __tablename__ = "replies"
    __table_args__ = (
        UniqueConstraint("message_id", "version"),
        Index("ix_replies_ticket", "ticket_id"),
        Index("ix_replies_header_id", "header_id"),
        Index("ix_replies_work", "status", "next_try"),
        Index("ix_replies_filing", "filing", "filing_next_try"),
        Index("ix_replies_draft_copy", "draft_copy"),
        Index(
            "ix_replies_automatic",
            "sent_at",
            "id",
            sqlite_where=text("automatic = 1"),
            postgresql_where=text("automatic"),
        ),
    )

    id: Mapped[int] = mapped_column(RecordId, primary_key=True, autoincrement=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id"))  # the mail it answers
    mailbox: Mapped[str] = mapped_column(ShortText(40))
    version: Mapped[int]
    kind: Mapped[ReplyKind]
    status: Mapped[ReplyStatus]
    automatic: Mapped[bool] = mapped_column(Boolean)  # allowed by the policy, not by a person
    topics: Mapped[list[str]] = mapped_column(default=list)
    content_version: Mapped[str] = mapped_column(default="")
    recipient: Mapped[str] = mapped_column(ShortText(320))
    subject: Mapped[str]
    text: Mapped[str]  # the plain text part, as staff edit it
    header_id: Mapped[str] = mapped_column(ShortText(100))  # our Message-ID, without angle brackets
    data: Mapped[bytes]  # frozen bytes: sent, filed and hashed as they are
    sha256: Mapped[str] = mapped_column(ShortText(64))
    created_at: Mapped[datetime]
    decided_by: Mapped[str] = mapped_column(default="")
    decided_at: Mapped[datetime | None]
    next_try: Mapped[datetime | None]  # not before; undo window and back-off
    attempts: Mapped[int] = mapped_column(default=0)
    claimed_by: Mapped[str] = mapped_column(ShortText(100), default="")
    claimed_until: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(default="")  # the server's last words, or why it waits
    sent_at: Mapped[datetime | None]
    undelivered: Mapped[str] = mapped_column(default="")  # what a bounce said (rule 28)
    filing: Mapped[Filing] = mapped_column(default=Filing.NONE)
    filing_attempts: Mapped[int] = mapped_column(default=0)
    filing_next_try: Mapped[datetime | None]
    draft_copy: Mapped[DraftCopy] = mapped_column(default=DraftCopy.NONE)
    draft_uidvalidity: Mapped[int | None] = mapped_column(BigInteger)
    draft_uid: Mapped[int | None] = mapped_column(BigInteger)


class Event(Base):
    """Who did what, when: append-only, hash-chained per ticket."""

    __tablename__ = "events"
    __table_args__ = (UniqueConstraint("ticket_id", "seq"), Index("ix_events_at", "at"))

    id: Mapped[int] = mapped_column(RecordId, primary_key=True, autoincrement=True)
    ticket_id: Mapped[int] = mapped_column(BigInteger)  # 0 = the installation itself
    seq: Mapped[int]
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(ShortText(120))
    action: Mapped[str] = mapped_column(ShortText(40))
    detail: Mapped[dict[str, Any]]
    salt: Mapped[str] = mapped_column(ShortText(32), default="")  # of `digest`; "" once `detail` was erased
    digest: Mapped[str] = mapped_column(
        ShortText(64), default=""
    )  # of salt and detail: what `hash` covers, so that the detail can be erased; "": it covers the detail itself
    hash: Mapped[str] = mapped_column(ShortText(64))


class StaffVerdict(Base):
    """What was predicted for a mail, beside what staff decided."""

    __tablename__ = "verdicts"
    __table_args__ = (
        Index("ix_verdicts_ticket", "ticket_id"),
        Index("ix_verdicts_message", "message_id"),
        Index("ix_verdicts_predicted", "predicted_at"),
        Index("ix_verdicts_evidence", "decided_at", "id", **only("predicted = 'auto' AND decision <> ''")),
    )

    id: Mapped[int] = mapped_column(RecordId, primary_key=True, autoincrement=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id"))
    predicted: Mapped[str] = mapped_column(ShortText(10))  # auto, draft, staff
    topics: Mapped[list[str]]
    confidence: Mapped[dict[str, Any]]
    reason: Mapped[str]
    model_version: Mapped[str] = mapped_column(ShortText(80))
    content_version: Mapped[str] = mapped_column(default="")
    predicted_at: Mapped[datetime]
    blind: Mapped[bool] = mapped_column(
        Boolean, default=False
    )  # chosen for an audit: staff name the topic first
    decision: Mapped[str] = mapped_column(
        ShortText(20), default=""
    )  # approved, edited, retopiced, rejected, ...
    decided_topics: Mapped[list[str]] = mapped_column(default=list)
    manner: Mapped[str] = mapped_column(ShortText(10), default="")  # single, batch, audit
    decided_by: Mapped[str] = mapped_column(default="")
    decided_at: Mapped[datetime | None]
    masked_text: Mapped[str] = mapped_column(default="")  # what the mail taught, when its text was erased


class Counter(Base):
    """Brakes: how many automatic replies were queued for a key in a window (rules 19 to 25)."""

    __tablename__ = "counters"

    key: Mapped[str] = mapped_column(ShortText(400), primary_key=True)
    window: Mapped[str] = mapped_column(ShortText(20), primary_key=True)
    n: Mapped[int]
    at: Mapped[datetime]


class AddressNote(Base):
    """What is known about an address that stops automatic mail to it (rules 28 and 47)."""

    __tablename__ = "address_notes"

    address: Mapped[str] = mapped_column(ShortText(320), primary_key=True)
    reason: Mapped[str]
    at: Mapped[datetime]


class Lease(Base):
    """Which node works a mailbox."""

    __tablename__ = "leases"

    mailbox: Mapped[str] = mapped_column(ShortText(40), primary_key=True)
    node: Mapped[str] = mapped_column(ShortText(100))
    until: Mapped[datetime]


class TopicLevel(Base):
    """Whether a topic may answer by itself: `review` (also when there is no row) or `automatic`."""

    __tablename__ = "topic_levels"

    mailbox: Mapped[str] = mapped_column(ShortText(40), primary_key=True)
    slug: Mapped[str] = mapped_column(ShortText(80), primary_key=True)
    level: Mapped[str] = mapped_column(ShortText(10))
    since: Mapped[datetime]
    by: Mapped[str]


def is_in_models(_object: Any, name: str | None, kind: str, _reflected: bool, _compared: Any) -> bool:
    """Alembic's `include_object`: False for what migration 0002 makes in each engine's own way.

    That is the index of the words (`search`), and the index of the queues, which holds the topics too: a list
    narrowed to a topic then reads nothing else, however long it is. PostgreSQL cannot order by a JSON column and
    includes it; SQLite cannot include one and orders by it.
    """
    words = (kind == "column" and name == "words") or (name or "").startswith(
        ("message_words", "reply_words")
    )
    return not words and name not in {"ix_messages_words", "ix_replies_words", "ix_tickets_queue"}
