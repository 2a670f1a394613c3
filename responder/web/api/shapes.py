"""What the API answers with: one typed model a thing, so that the description and the answers cannot part."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from responder.knowledge.checklist import Checklist
from responder.mail import masking
from responder.tickets.lines import Line
from responder.tickets.models_staff import Role
from responder.tickets.queues import Queue
from responder.tickets.status import ReplyKind, ReplyStatus, TicketStatus
from responder.web.reading import Desk

Seen = Callable[[str], str]
"""How a text of a vendor is shown: masked, or as it is."""


class Shape(BaseModel):
    """An answer."""

    model_config = ConfigDict(from_attributes=True)


class Me(Shape):
    name: str
    full_name: str
    role: Role
    program: str
    expires_at: datetime


class Row(Shape):
    """A ticket in a list, or a mail without one. Personal numbers are masked."""

    ticket: int | None
    message: int | None
    mailbox: str
    subject: str
    vendor_name: str
    vendor_address: str
    topics: list[str]
    confidence: float | None
    reason: str
    state: str
    since: datetime
    snippet: str
    senior: bool
    attachments: int
    automatic: bool
    blind: bool

    @classmethod
    def of(cls, line: Line) -> Self:
        return cls(
            ticket=line.ticket_id,
            message=line.message_id,
            mailbox=line.mailbox,
            subject=masking.mask(line.subject),
            vendor_name=masking.mask(line.vendor_name),
            vendor_address=line.vendor_address,
            topics=list(line.topics),
            confidence=line.confidence,
            reason=masking.mask(line.reason),
            state=line.state,
            since=line.since,
            snippet=masking.mask(line.snippet),
            senior=line.senior,
            attachments=line.attachments,
            automatic=line.automatic,
            blind=line.blind,
        )


class QueueSize(Shape):
    queue: Queue
    size: int
    more: bool  # there are more than `size`


class Sizes(Shape):
    queues: list[QueueSize]


class Page(Shape):
    rows: list[Row]
    next: str  # `after` of the next page; "" = this is the last


class Found(Shape):
    rows: list[Row]
    more: bool


class Mail(Shape):
    id: int
    received_at: datetime
    from_address: str
    from_name: str
    subject: str
    new_text: str  # without quotes and signature
    text: str
    characters: int  # of the whole text, which may be longer than `text`
    attachments: list[str]
    kind: str
    verdict: str
    reasons: list[str]

    @classmethod
    def of(cls, row: Any, seen: Seen) -> Self:
        return cls(
            id=row.id,
            received_at=row.received_at,
            from_address=row.from_address,
            from_name=seen(row.from_name),
            subject=seen(row.subject),
            new_text=seen(row.new_text),
            text=seen(row.text),
            characters=row.characters or 0,
            attachments=[seen(name) for name in row.attachments],
            kind=row.kind,
            verdict=row.verdict,
            reasons=row.reasons,
        )


class File(Shape):
    name: str
    size: int | None
    number: int | None  # for fetching it; null = not stored, or of a kind that is not handed over


class Reply(Shape):
    id: int
    message_id: int
    version: int
    kind: ReplyKind
    status: ReplyStatus
    automatic: bool
    topics: list[str]
    recipient: str
    subject: str
    text: str
    sha256: str  # names exactly this version: give it with the approval
    created_at: datetime
    decided_by: str
    decided_at: datetime | None
    leaves_at: datetime | None
    outcome: str
    sent_at: datetime | None
    undelivered: str

    @classmethod
    def of(cls, row: Any) -> Self:
        due = row.next_try if row.status is ReplyStatus.APPROVED else None
        named = {name: getattr(row, name) for name in cls.model_fields if name != "leaves_at"}
        return cls(**named, leaves_at=due)


class ReplyView(Reply):
    html: str  # as the vendor will see it


class Choice(Shape):
    topic: str
    title: str
    confidence: float


class ContentProblem(Shape):
    title: str
    problem: str


class Papers(Shape):
    """The documents that the mail seems to hand in."""

    topic: str
    received: list[str]
    seemingly_missing: list[str]

    @classmethod
    def of(cls, title: str, found: Checklist) -> Self:
        return cls(
            topic=title,
            received=[one.name for one in found.received],
            seemingly_missing=[one.name for one in found.seemingly_missing],
        )


class Note(Shape):
    at: datetime
    by: str
    text: str


class Event(Shape):
    at: datetime
    actor: str
    action: str
    detail: dict[str, Any]

    @classmethod
    def of(cls, row: Any, seen: Seen) -> Self:
        detail = {
            key: seen(value) if isinstance(value, str) else value for key, value in (row.detail or {}).items()
        }
        return cls(at=row.at, actor=row.actor, action=row.action, detail=detail)


class Earlier(Shape):
    id: int
    subject: str
    status: TicketStatus
    updated_at: datetime


class Other(Shape):
    """Somebody else who is at the ticket."""

    name: str
    full_name: str
    editing: bool


class Unfinished(Shape):
    """What the account typed and did not hand in."""

    text: str
    based_on: int | None
    saved_at: datetime


class Ticket(Shape):
    """Everything that the page of a ticket shows. While `blind`, what was predicted is left out."""

    id: int
    mailbox: str
    status: TicketStatus
    subject: str
    vendor_name: str
    vendor_address: str
    language: str
    senior: bool
    created_at: datetime
    updated_at: datetime
    masked: bool
    blind: bool
    stale: bool  # a newer mail came than the draft answers
    reason: str
    address_note: str  # why this address gets no automatic mail
    topics: list[str]
    choices: list[Choice]  # the likeliest topics
    deciding_words: list[str]
    draft: Reply | None
    unconfirmed: list[str]  # marks in the draft that keep it from being approved
    content_problems: list[ContentProblem]
    papers: Papers | None
    mails: list[Mail]  # newest first
    newest: int | None  # the mail that a reply has to answer
    files: list[File]  # of the newest mail
    replies: list[Reply]  # newest first
    notes: list[Note]
    events: list[Event]  # oldest first
    earlier: list[Earlier]  # other tickets of the vendor
    others: list[Other]
    unfinished: Unfinished | None


class Done(Shape):
    """What a decision came to."""

    ticket: int
    status: TicketStatus
    reply: int | None
    reply_status: ReplyStatus | None
    leaves_at: datetime | None  # until then the approval can be undone
    repeated: bool  # it stood already; nothing was changed


class BatchDone(Shape):
    approved: list[int]  # tickets
    refused: list[str]


class NoteDone(Shape):
    note: int


class BlindDone(Shape):
    same: bool  # the caller chose what was predicted
    ticket: int


class Others(Shape):
    others: list[Other]


def ticket_fields(found: Desk, seen: Seen) -> dict[str, Any]:
    """The parts of `Ticket` that are the same whether a blind choice is open or not."""
    row = found.ticket
    return {
        "id": row.id,
        "mailbox": row.mailbox,
        "status": row.status,
        "subject": seen(row.subject),
        "vendor_name": seen(row.vendor_name),
        "vendor_address": row.vendor_address,
        "language": row.language,
        "senior": row.senior,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "blind": found.blind,
        "stale": found.stale,
        "address_note": found.address_note,
        "mails": [Mail.of(one, seen) for one in found.mails],
        "newest": found.newest.id if found.newest is not None else None,
        "notes": [Note.model_validate(one) for one in found.notes],
        "earlier": [
            Earlier(id=one.id, subject=seen(one.subject), status=one.status, updated_at=one.updated_at)
            for one in found.earlier
        ],
        "others": [Other.model_validate(one) for one in found.others],
        "unfinished": unfinished(found.edit),
    }


def unfinished(edit: Any | None) -> Unfinished | None:
    return (
        None if edit is None else Unfinished(text=edit.text, based_on=edit.reply_id, saved_at=edit.saved_at)
    )
