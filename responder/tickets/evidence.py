"""What the records say about how often a topic was right: verdicts of staff, and what became of automatic answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, exists, literal_column, select
from sqlalchemy.orm import aliased

from responder.tickets.models import Reply, StaffVerdict, Ticket
from responder.tickets.queues import has_topic
from responder.tickets.status import ReplyKind, ReplyStatus

REPEAT = timedelta(days=7)
"""A vendor who asks about the same topic again within this time was not helped by the automatic answer."""

ANSWERS = 2000
"""Newest automatic answers of a topic that are looked at."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One mail: what was predicted, and what staff decided ("" and () while they have not)."""

    ticket_id: int
    at: datetime  # of the prediction
    predicted: str  # auto, draft or staff
    topics: tuple[str, ...]
    confidence: float | None  # in the topic that was asked for
    decision: str
    decided_topics: tuple[str, ...]
    manner: str  # single, batch or audit
    blind: bool  # chosen for an audit

    @property
    def right(self) -> bool:
        """Staff let exactly the predicted topics be answered, whatever they did to the wording.

        A draft that was rejected, closed away or replaced by an answer of one's own has no decided topics.
        """
        return bool(self.decided_topics) and set(self.decided_topics) == set(self.topics)


@dataclass(frozen=True, slots=True)
class Answers:
    """Automatic answers with a topic, and what spoke against them."""

    sent: int
    bounced: int
    repeated: int  # the vendor asked about the same topic again within REPEAT


def judged(connection: Connection, mailbox: str, slug: str, since: datetime, limit: int) -> list[Judged]:
    """The newest `limit` verdicts since `since` that prove something about `slug` answering by itself.

    They are of first mails that the classifier was sure of, with `slug` among the topics, and were given for that
    one mail alone or in a blind audit: in a batch nobody looked at each, and what follows in a ticket is never
    answered automatically.
    """
    earlier = aliased(StaffVerdict)
    query = _verdicts(mailbox, slug).where(
        # In the very words of the index ix_verdicts_evidence, which SQLite asks for.
        StaffVerdict.predicted == literal_column("'auto'"),
        StaffVerdict.decision != literal_column("''"),
        StaffVerdict.manner.in_(["single", "audit"]),
        StaffVerdict.decided_at >= since,
        ~exists().where(earlier.ticket_id == StaffVerdict.ticket_id, earlier.id < StaffVerdict.id),
    )
    rows = connection.execute(
        query.order_by(StaffVerdict.decided_at.desc(), StaffVerdict.id.desc()).limit(limit)
    )
    return [_judged(row, slug) for row in rows]


def history(connection: Connection, mailbox: str, slug: str, since: datetime, limit: int) -> list[Judged]:
    """The newest `limit` mails since `since` that were predicted to ask for `slug`, decided or not, newest first."""
    query = _verdicts(mailbox, slug).where(StaffVerdict.predicted_at >= since)
    rows = connection.execute(query.order_by(StaffVerdict.predicted_at.desc()).limit(limit))
    return [_judged(row, slug) for row in rows]


def answers(connection: Connection, mailbox: str, slug: str, since: datetime) -> Answers:
    """What became of the newest automatic answers with `slug` that were sent since `since`."""
    sent = (
        select(Reply.id, Reply.sent_at, Reply.message_id, Reply.undelivered, Ticket.vendor_address)
        .join(Ticket, Ticket.id == Reply.ticket_id)
        .where(
            Reply.automatic,
            Reply.kind == ReplyKind.ANSWER,
            Reply.status == ReplyStatus.SENT,
            Reply.sent_at >= since,
            Reply.mailbox == mailbox,
            has_topic(Reply.topics, slug),
        )
        .order_by(Reply.sent_at.desc())
        .limit(ANSWERS)
    ).subquery()
    again = (
        select(sent.c.id, sent.c.sent_at, StaffVerdict.predicted_at)
        .join(Ticket, and_(Ticket.vendor_address == sent.c.vendor_address, Ticket.mailbox == mailbox))
        .join(StaffVerdict, StaffVerdict.ticket_id == Ticket.id)
        .where(StaffVerdict.message_id > sent.c.message_id, has_topic(StaffVerdict.topics, slug))
    )
    rows = connection.execute(select(sent.c.undelivered)).all()
    repeated = {
        row.id for row in connection.execute(again) if timedelta() <= row.predicted_at - row.sent_at <= REPEAT
    }
    return Answers(len(rows), sum(row.undelivered != "" for row in rows), len(repeated))


def _verdicts(mailbox: str, slug: str) -> Any:
    return (
        select(StaffVerdict.__table__)
        .join(Ticket, Ticket.id == StaffVerdict.ticket_id)
        .where(Ticket.mailbox == mailbox, has_topic(StaffVerdict.topics, slug))
    )


def _judged(row: Any, slug: str) -> Judged:
    return Judged(
        row.ticket_id,
        row.predicted_at,
        row.predicted,
        tuple(row.topics),
        row.confidence.get(slug),
        row.decision,
        tuple(row.decided_topics),
        row.manner,
        row.blind,
    )
