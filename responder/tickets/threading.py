"""Which ticket a mail belongs to (rules 48 to 51): our own ids or a signed token, and only for a participant."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, func, select

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
    if connection.scalar(_MAILBOX_OF, {"ticket": named}) != mailbox:
        return Joined(None)
    participant = connection.scalar(_PARTICIPANT, {"ticket": named, "sender": sender.lower()})
    return Joined(named) if participant else Joined(None, claimed=named)


def same_mail_open(connection: Connection, mailbox: str, sender: str, new_text: str) -> int | None:
    """Return the vendor's open ticket whose newest mail says exactly the same (rule 19); None when there is none."""
    rows = connection.execute(_SAID_IN_OPEN, {"mailbox": mailbox, "sender": sender})
    wanted = " ".join(new_text.split())
    return next((row.id for row in rows if wanted and " ".join(row.new_text.split()) == wanted), None)


def waiting(connection: Connection, mailbox: str, senders: Collection[str]) -> set[str]:
    """Those of `senders` who have an open ticket: only for them `same_mail_open` can find one."""
    return set(connection.scalars(_WAITING, {"mailbox": mailbox, "senders": list(senders)}))


def identities(connection: Connection, mailbox: str, header_ids: Collection[str]) -> dict[str, set[str]]:
    """Message-ID → identities of the mails that came with it, for those of `header_ids` that are known."""
    found: dict[str, set[str]] = {}
    for row in connection.execute(_IDENTITIES, {"mailbox": mailbox, "ids": list(header_ids)}):
        found.setdefault(row.header_id, set()).add(row.identity)
    return found


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
    asked = {"ids": list(header_ids), "mailbox": mailbox}
    ours = connection.scalar(_BY_OUR_ID, asked)
    if ours is not None:
        return int(ours)
    theirs = connection.scalar(_BY_THEIR_ID, asked)
    return int(theirs) if theirs is not None else None


_OPEN = (TicketStatus.NEEDS_STAFF, TicketStatus.NEEDS_APPROVAL)
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_MAILBOX: BindParameter[Any] = bindparam("mailbox")

_MAILBOX_OF = select(Ticket.mailbox).where(Ticket.id == bindparam("ticket"))
_PARTICIPANT = select(Participant.address).where(
    Participant.ticket_id == bindparam("ticket"), func.lower(Participant.address) == bindparam("sender")
)
_WAITING = (
    select(Ticket.vendor_address)
    .where(
        Ticket.mailbox == _MAILBOX,
        Ticket.vendor_address.in_(bindparam("senders", expanding=True)),
        Ticket.status.in_(_OPEN),
    )
    .distinct()
)
_SAID_IN_OPEN = (
    select(Ticket.id, Message.new_text)
    .join(Message, Message.ticket_id == Ticket.id)
    .where(
        Ticket.mailbox == _MAILBOX,
        Ticket.vendor_address == bindparam("sender"),
        Ticket.status.in_(_OPEN),
        Message.from_address == bindparam("sender"),
    )
    .order_by(Message.id.desc())
    .limit(20)
)
_IDENTITIES = select(Message.header_id, Message.identity).where(
    Message.header_id.in_(_IDS), Message.mailbox == _MAILBOX
)
_BY_OUR_ID = (
    select(Reply.ticket_id)
    .where(Reply.header_id.in_(_IDS), Reply.mailbox == _MAILBOX)
    .order_by(Reply.id.desc())
    .limit(1)
)
_BY_THEIR_ID = (
    select(Message.ticket_id)
    .where(Message.header_id.in_(_IDS), Message.mailbox == _MAILBOX, Message.ticket_id.is_not(None))
    .order_by(Message.id.desc())
    .limit(1)
)
