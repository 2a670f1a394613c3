"""One row of a list of staff: what there is to see of a ticket, or of a mail without one, at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from responder.tickets.models import Message, Reply, StaffVerdict, Ticket
from responder.tickets.status import Disposition, ReplyKind

SNIPPET = 160
"""Characters of the newest mail that a list shows."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a queue or of search results."""

    ticket_id: int | None  # None for a mail without a ticket
    message_id: int | None  # the newest mail of a person in the ticket
    mailbox: str
    subject: str
    vendor_name: str
    vendor_address: str
    topics: tuple[str, ...]  # () also while a blind audit hides them
    confidence: float | None  # of the least sure of `topics`; None without topics
    reason: str  # why a person is needed
    state: str  # value of TicketStatus, or of Disposition for a mail without a ticket
    since: datetime  # waiting or over since; in SENT_TODAY when it left
    snippet: str  # start of the new text, spaces collapsed
    senior: bool
    attachments: int
    automatic: bool  # an answer of this ticket was allowed by the policy, not by a person
    blind: bool  # chosen for an audit and not decided: nobody may see what was predicted


def ticket_lines(connection: Connection, at: Mapping[int, datetime]) -> tuple[Line, ...]:
    """The lines of the tickets that are the keys of `at`, in its order; its values become `since`."""
    ids = list(at)
    if not ids:
        return ()
    tickets = {row.id: row for row in connection.execute(select(Ticket.__table__).where(Ticket.id.in_(ids)))}
    mails = _newest_mails(connection, ids)
    blind = set(
        connection.scalars(
            select(StaffVerdict.ticket_id).where(
                StaffVerdict.ticket_id.in_(ids), StaffVerdict.blind, StaffVerdict.decision == ""
            )
        )
    )
    automatic = set(
        connection.scalars(
            select(Reply.ticket_id).where(
                Reply.ticket_id.in_(ids), Reply.automatic, Reply.kind == ReplyKind.ANSWER
            )
        )
    )
    return tuple(
        _ticket_line(
            tickets[ticket_id],
            mails.get(ticket_id),
            at[ticket_id],
            blind=ticket_id in blind,
            automatic=ticket_id in automatic,
        )
        for ticket_id in ids
    )


def message_line(row: Any) -> Line:
    """The line of a mail without a ticket, from its row of `messages`."""
    return Line(
        ticket_id=None,
        message_id=row.id,
        mailbox=row.mailbox,
        subject=row.subject,
        vendor_name=row.from_name,
        vendor_address=row.from_address,
        topics=(),
        confidence=None,
        reason=row.reason,
        state=row.disposition.value,
        since=row.received_at,
        snippet=_snippet(row.new_text),
        senior=False,
        attachments=len(row.attachments),
        automatic=False,
        blind=False,
    )


def _newest_mails(connection: Connection, ticket_ids: Sequence[int]) -> dict[int, Row[Any]]:
    """The newest mail of a person in each ticket."""
    newest = (
        select(func.max(Message.id))
        .where(
            Message.ticket_id.in_(ticket_ids),
            Message.kind == "person",
            Message.disposition == Disposition.TICKETED,
        )
        .group_by(Message.ticket_id)
    )
    rows = connection.execute(
        select(
            Message.id,
            Message.ticket_id,
            Message.attachments,
            func.substr(Message.new_text, 1, 4 * SNIPPET).label("new_text"),
        ).where(Message.id.in_(newest))
    )
    return {row.ticket_id: row for row in rows}


def _ticket_line(
    row: Row[Any], mail: Row[Any] | None, since: datetime, *, blind: bool, automatic: bool
) -> Line:
    topics = () if blind else tuple(row.topics)
    known = [row.confidence[slug] for slug in topics if slug in row.confidence]
    return Line(
        ticket_id=row.id,
        message_id=mail.id if mail else None,
        mailbox=row.mailbox,
        subject=row.subject,
        vendor_name=row.vendor_name,
        vendor_address=row.vendor_address,
        topics=topics,
        confidence=min(known, default=None),
        reason="" if blind else row.reason,
        state=row.status.value,
        since=since,
        snippet=_snippet(mail.new_text) if mail else "",
        senior=row.senior,
        attachments=len(mail.attachments) if mail else 0,
        automatic=automatic,
        blind=blind,
    )


def _snippet(text: str) -> str:
    collapsed = " ".join(text.split())
    return collapsed if len(collapsed) <= SNIPPET else collapsed[: SNIPPET - 1].rstrip() + "…"
