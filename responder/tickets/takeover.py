"""What staff did in their own mail client, as the records should know it (rules 28b and 75)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, or_, select, update

from responder.tickets import audit, claims, lifecycle
from responder.tickets.models import Message, Reply, Ticket
from responder.tickets.status import Disposition, DraftCopy, Filing, ReplyStatus, TicketStatus

_MAY_BE_TAKEN_OVER = (ReplyStatus.DRAFTED, ReplyStatus.APPROVED)


def seen_in_sent(connection: Connection, header_id: str, now: datetime) -> bool:
    """Our own Message-ID stands in Sent: the reply was sent, and nothing is left to file.

    True for an uncertain reply, and for one that a restored database believes to be waiting. Returns whether
    `header_id` is a reply of ours.
    """
    row = connection.execute(select(Reply.id).where(Reply.header_id == header_id)).first()
    if row is None:
        return False
    claims.proved_sent(connection, row.id, "found in Sent", now, Filing.DONE)
    return True


def unknown_ids(connection: Connection, header_ids: Sequence[str]) -> list[str]:
    """Those of `header_ids`, Message-IDs of our making, that no reply has."""
    known = set(connection.scalars(select(Reply.header_id).where(Reply.header_id.in_(header_ids))))
    return [header_id for header_id in header_ids if header_id not in known]


def answered_by_hand(
    connection: Connection,
    mailbox: str,
    answered_ids: Sequence[str],
    recipients: Sequence[str],
    now: datetime,
) -> int | None:
    """A person's reply to one of our tickets was found in Sent: ours is held. Returns the ticket, or None.

    `answered_ids` are the ids of its In-Reply-To, `recipients` its To and Cc addresses.
    """
    row = connection.execute(
        select(Message.id, Message.ticket_id)
        .join(Ticket, Ticket.id == Message.ticket_id)
        .where(
            Message.mailbox == mailbox,
            Message.header_id.in_(answered_ids),
            or_(Message.from_address.in_(recipients), Message.reply_address.in_(recipients)),
        )
        .order_by(Message.id.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    ticket_id = int(row.ticket_id)
    held = _hold(connection, ticket_id, "dijawab petugas dari klien email")
    lifecycle.set_ticket(connection, ticket_id, TicketStatus.ANSWERED, now, reason="")
    lifecycle.decide_verdict(
        connection, row.id, decision="by_hand", topics=[], manner="single", actor="mail client", now=now
    )
    audit.record(connection, [audit.Entry(ticket_id, "mail client", "answered_by_hand", {"held": held})], now)
    return ticket_id


def draft_gone(connection: Connection, reply_id: int, now: datetime) -> bool:
    """A draft left Drafts without our doing: a person took over; ours is held and shown."""
    row = lifecycle.reply(connection, reply_id)
    if row is None or row.status not in _MAY_BE_TAKEN_OVER:
        return False
    held = _hold(connection, row.ticket_id, "konsep diambil alih dari folder Draf")
    connection.execute(update(Reply).where(Reply.id == reply_id).values(draft_copy=DraftCopy.GONE))
    lifecycle.set_ticket(
        connection,
        row.ticket_id,
        TicketStatus.NEEDS_STAFF,
        now,
        reason="Konsep di folder Draf diambil, diubah atau dihapus petugas; balasan mesin ditahan.",
    )
    audit.record(
        connection, [audit.Entry(row.ticket_id, "mail client", "draft_taken_over", {"held": held})], now
    )
    return True


def _hold(connection: Connection, ticket_id: int, reason: str) -> list[int]:
    held = []
    for row in lifecycle.replies(connection, ticket_id):
        for frm in _MAY_BE_TAKEN_OVER:
            if lifecycle.move_reply(connection, row.id, frm, ReplyStatus.DISCARDED, outcome=reason):
                lifecycle.unwant_copy(connection, row.id)
                held.append(row.id)
    return held


def to_flag(
    connection: Connection, mailbox: str, uidvalidity: int, folder: str, limit: int
) -> list[tuple[int, int]]:
    """(message id, UID) of mails that a person must answer and that carry no flag on the server yet."""
    rows = connection.execute(
        select(Message.id, Message.uid)
        .join(Ticket, Ticket.id == Message.ticket_id)
        .where(
            Ticket.status == TicketStatus.NEEDS_STAFF,
            Message.mailbox == mailbox,
            Message.folder == folder,
            Message.uidvalidity == uidvalidity,
            Message.disposition == Disposition.TICKETED,
            Message.kind == "person",
            Message.marked.is_(False),
        )
        .order_by(Message.id)
        .limit(limit)
    )
    return [(row.id, row.uid) for row in rows]


def flagged(connection: Connection, message_ids: Sequence[int]) -> None:
    """Remember that the flags of these messages are set."""
    connection.execute(update(Message).where(Message.id.in_(message_ids)).values(marked=True))
