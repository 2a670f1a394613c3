"""What staff look at: tickets by state, the events of one, what is in quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from responder.errors import Refused
from responder.tickets.models import Event, Message, Reply, Ticket
from responder.tickets.status import Disposition, TicketStatus

OPEN = (TicketStatus.NEEDS_APPROVAL, TicketStatus.NEEDS_STAFF)


def tickets(connection: Connection, status: str, limit: int) -> Sequence[Row[Any]]:
    """Tickets in `status` ("open", "all" or a status), oldest first. Raises Refused for an unknown status."""
    query = select(Ticket.__table__).order_by(Ticket.updated_at, Ticket.id).limit(limit)
    if status == "open":
        query = query.where(Ticket.status.in_(OPEN))
    elif status != "all":
        try:
            query = query.where(Ticket.status == TicketStatus(status))
        except ValueError:
            names = ", ".join(["open", "all", *TicketStatus])
            raise Refused(f"unknown status {status!r}; one of: {names}") from None
    return connection.execute(query).all()


def events(connection: Connection, ticket_id: int) -> Sequence[Any]:
    """The events of a ticket, oldest first."""
    return connection.execute(
        select(Event.at, Event.actor, Event.action, Event.detail)
        .where(Event.ticket_id == ticket_id)
        .order_by(Event.seq)
    ).all()


def quarantined(connection: Connection) -> Sequence[Any]:
    """Messages in quarantine, oldest first, without their bytes."""
    return connection.execute(
        select(Message.id, Message.mailbox, Message.uid, Message.size, Message.received_at, Message.reason)
        .where(Message.disposition == Disposition.QUARANTINED)
        .order_by(Message.id)
    ).all()


def counts(connection: Connection) -> dict[str, dict[str, int]]:
    """How many tickets, replies and messages are in each state."""

    def by(column: Any) -> dict[str, int]:
        return {
            row[0].value: row[1] for row in connection.execute(select(column, func.count()).group_by(column))
        }

    return {"tickets": by(Ticket.status), "replies": by(Reply.status), "messages": by(Message.disposition)}
