"""What the records hold about one person, found by an address.

Two addresses are one person's when they differ in case or in a "+suffix" only (`mail.addresses.mailbox_key`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, or_, select

from responder.errors import ConfigError
from responder.mail.addresses import mailbox_key, normalise
from responder.tickets import erasure
from responder.tickets.models import AddressNote, Message, Participant, Reply, Ticket
from responder.tickets.status import Disposition, Filing, ReplyStatus, TicketStatus

_OPEN = (TicketStatus.NEEDS_STAFF, TicketStatus.NEEDS_APPROVAL)
_LOOSE = (Disposition.IGNORED, Disposition.DUPLICATE, Disposition.QUARANTINED)


@dataclass(frozen=True, slots=True)
class Footprint:
    """Numbers of the records that are about one person, and what stands in the way of erasing them."""

    key: str  # the address without case and "+suffix"
    tickets: tuple[int, ...]  # conversations of this person: everything in them
    messages: tuple[
        int, ...
    ]  # mails of this person, or with the address in them, that belong to no such ticket
    notes: tuple[str, ...]  # addresses of theirs that get no automatic mail
    open_tickets: tuple[int, ...]
    blockers: tuple[str, ...]  # what must be over before anything may be erased, in words
    mentions: tuple[int, ...]  # tickets of other people in which the address is written

    @property
    def empty(self) -> bool:
        return not (self.tickets or self.messages or self.notes)


def find(connection: Connection, address: str) -> Footprint:
    """Find everything about the person with `address`. Raises ConfigError when it is no address."""
    if not normalise(address):
        raise ConfigError(f"{address}: not an e-mail address")
    key = mailbox_key(address)
    tickets = tuple(
        connection.scalars(select(Ticket.id).where(of(Ticket.vendor_address, key)).order_by(Ticket.id))
    )
    messages = _messages(connection, key, tickets)
    return Footprint(
        key,
        tickets,
        messages,
        tuple(connection.scalars(select(AddressNote.address).where(of(AddressNote.address, key)))),
        tuple(
            connection.scalars(
                select(Ticket.id).where(Ticket.id.in_(tickets), Ticket.status.in_(_OPEN)).order_by(Ticket.id)
            )
        ),
        tuple(_blockers(connection, tickets, messages)),
        _mentions(connection, key, tickets, messages),
    )


def of(column: ColumnElement[str] | object, key: str) -> ColumnElement[bool]:
    """The condition that a column of addresses holds one of the person whose key is given."""
    local, _, domain = key.rpartition("@")
    lower: ColumnElement[str] = func.lower(column)
    return or_(lower == key, lower.like(f"{_escaped(local)}+%@{_escaped(domain)}", escape="\\"))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _messages(connection: Connection, key: str, tickets: Sequence[int]) -> tuple[int, ...]:
    elsewhere = or_(Message.ticket_id.is_(None), Message.ticket_id.not_in(tickets))
    theirs = or_(of(Message.from_address, key), of(Message.reply_address, key))
    found = set(connection.scalars(select(Message.id).where(elsewhere, theirs, Message.erased_at.is_(None))))
    # Bounces, copies and mail that could not be read name people in their bytes only.
    loose = select(Message.id, Message.raw, Message.parts).where(
        Message.ticket_id.is_(None), Message.disposition.in_(_LOOSE), Message.raw.is_not(None)
    )
    wanted = key.encode("utf-8", "surrogatepass")
    for row in connection.execute(loose.execution_options(yield_per=100)):
        if wanted in (row.raw + (row.parts or b"")).lower():
            found.add(row.id)
    return tuple(sorted(found))


def _blockers(connection: Connection, tickets: Sequence[int], messages: Sequence[int]) -> list[str]:
    rows = connection.execute(
        select(Reply.ticket_id, Reply.status, Reply.filing)
        .where(
            Reply.ticket_id.in_(tickets),
            Reply.status.in_(erasure.IN_FLIGHT)
            | ((Reply.status == ReplyStatus.SENT) & (Reply.filing == Filing.PENDING)),
        )
        .order_by(Reply.id)
    )
    found = [
        f"ticket {row.ticket_id}: a reply is {row.status.value}"
        + (" and not yet filed in Sent" if row.status is ReplyStatus.SENT else "")
        for row in rows
    ]
    unread = connection.scalars(
        select(Message.id).where(
            or_(Message.id.in_(messages), Message.ticket_id.in_(tickets)),
            Message.disposition == Disposition.RECEIVED,
        )
    )
    return found + [f"message {message} was received and not handled yet" for message in unread]


def _mentions(
    connection: Connection, key: str, tickets: Sequence[int], messages: Sequence[int]
) -> tuple[int, ...]:
    said = f"%{_escaped(key)}%"
    in_mail = select(Message.ticket_id).where(
        Message.ticket_id.not_in(tickets),
        Message.id.not_in(messages),
        or_(*(func.lower(column).like(said, escape="\\") for column in (Message.subject, Message.text))),
    )
    in_reply = select(Reply.ticket_id).where(
        Reply.ticket_id.not_in(tickets),
        or_(of(Reply.recipient, key), func.lower(Reply.text).like(said, escape="\\")),
    )
    taking_part = select(Participant.ticket_id).where(
        Participant.ticket_id.not_in(tickets), of(Participant.address, key)
    )
    found = [connection.scalars(query) for query in (in_mail, in_reply, taking_part)]
    return tuple(sorted({int(ticket) for rows in found for ticket in rows if ticket is not None}))
