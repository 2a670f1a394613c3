"""Which ticket a mail belongs to (rules 48 to 51): our own ids or a signed token, and only for a participant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from responder.tickets.models import Message, Participant, Reply, Ticket
from responder.tickets.status import TicketStatus


@dataclass(frozen=True, slots=True)
class Joined:
    """A ticket that a mail may join, or one it only claims to belong to."""

    ticket_id: int | None
    claimed: int | None = None  # the ticket it names without being allowed in


def find(
    connection: Connection, mailbox: str, sender: str, header_ids: Sequence[str], token_ticket: int | None
) -> Joined:
    """Return the ticket of a mail from `sender`.

    `header_ids` are the ids of References and In-Reply-To; `token_ticket` is a ticket number whose MAC was verified.
    """
    named = _by_ids(connection, mailbox, header_ids) or token_ticket
    if named is None:
        return Joined(None)
    row = connection.execute(select(Ticket.mailbox, Ticket.id).where(Ticket.id == named)).first()
    if row is None or row.mailbox != mailbox:
        return Joined(None)
    participant = connection.scalar(
        select(Participant.address).where(
            Participant.ticket_id == named, func.lower(Participant.address) == sender.lower()
        )
    )
    return Joined(named) if participant else Joined(None, claimed=named)


def same_mail_open(connection: Connection, mailbox: str, sender: str, new_text: str) -> int | None:
    """Return the vendor's open ticket whose newest mail says exactly the same (rule 19); None when there is none."""
    rows = connection.execute(
        select(Ticket.id, Message.new_text)
        .join(Message, Message.ticket_id == Ticket.id)
        .where(
            Ticket.mailbox == mailbox,
            Ticket.vendor_address == sender,
            Ticket.status.in_([TicketStatus.NEEDS_STAFF, TicketStatus.NEEDS_APPROVAL]),
            Message.from_address == sender,
        )
        .order_by(Message.id.desc())
        .limit(20)
    )
    wanted = " ".join(new_text.split())
    return next((row.id for row in rows if wanted and " ".join(row.new_text.split()) == wanted), None)


def reply_with_ids(connection: Connection, header_ids: Sequence[str]) -> Any:
    """Return our reply (row) that one of `header_ids` names, for bounces and Sent; None when none is ours."""
    if not header_ids:
        return None
    return connection.execute(
        select(Reply.__table__).where(Reply.header_id.in_(header_ids)).order_by(Reply.id.desc()).limit(1)
    ).first()


def _by_ids(connection: Connection, mailbox: str, header_ids: Sequence[str]) -> int | None:
    if not header_ids:
        return None
    ours = connection.scalar(
        select(Reply.ticket_id)
        .where(Reply.header_id.in_(header_ids), Reply.mailbox == mailbox)
        .order_by(Reply.id.desc())
        .limit(1)
    )
    if ours is not None:
        return int(ours)
    theirs = connection.scalar(
        select(Message.ticket_id)
        .where(Message.header_id.in_(header_ids), Message.mailbox == mailbox, Message.ticket_id.is_not(None))
        .order_by(Message.id.desc())
        .limit(1)
    )
    return int(theirs) if theirs is not None else None
