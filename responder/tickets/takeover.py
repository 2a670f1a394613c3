"""What staff did in their own mail client, as the records should know it (rules 28b and 75)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, insert, or_, select, true, update

from responder.tickets import audit, claims, ledger, lifecycle
from responder.tickets.models import Message, Reply, Ticket
from responder.tickets.status import Disposition, DraftCopy, Filing, ReplyKind, ReplyStatus, TicketStatus

ACTOR = "mail client"
"""Who decided: a mail client signs in as the office, whoever sits before it."""

TAKEN_FROM_DRAFTS = "konsep diambil alih dari folder Draf"
"""Outcome of a version whose copy left Drafts: the same person may still have it sent."""

LONGEST_ID = 100  # of `Reply.header_id`; a longer one is not kept

_TO_FLAG = (
    select(Message.id, Message.uid)
    .join(Ticket, Ticket.id == Message.ticket_id)
    .where(
        Ticket.status == TicketStatus.NEEDS_STAFF,
        *ledger.in_folder(bindparam("mailbox"), bindparam("folder"), bindparam("uidvalidity")),
        Message.disposition == Disposition.TICKETED,
        Message.kind == "person",
        Message.marked.is_(False),
    )
    .order_by(Message.id)
    .limit(bindparam("limit"))
)

_MAY_BE_TAKEN_OVER = (ReplyStatus.DRAFTED, ReplyStatus.APPROVED)


@dataclass(frozen=True, slots=True)
class SentByHand:
    """A person's reply as it stands in Sent, and what it says about our proposal."""

    header_id: str  # its Message-ID, without angle brackets
    recipient: str
    subject: str
    text: str
    data: bytes  # the mail, or its header where it is large
    decision: str = "by_hand"  # for the verdict: also `approved` or `edited`, when the text is ours
    topics: Sequence[str] = ()


def seen_in_sent(connection: Connection, header_id: str, now: datetime) -> bool:
    """Our own Message-ID stands in Sent: the reply was sent, and nothing is left to file.

    True for an uncertain reply, and for one that a restored database believes to be waiting. Returns whether
    `header_id` is a reply of ours.
    """
    row = connection.execute(select(Reply.id).where(Reply.header_id == header_id).order_by(Reply.id)).first()
    if row is None:
        return False
    claims.proved_sent(connection, row.id, "found in Sent", now, Filing.DONE)
    return True


def unknown_ids(connection: Connection, header_ids: Sequence[str]) -> list[str]:
    """Those of `header_ids`, Message-IDs of our making, that no reply has."""
    known = set(connection.scalars(select(Reply.header_id).where(Reply.header_id.in_(header_ids))))
    return [header_id for header_id in header_ids if header_id not in known]


def reply_with_id(connection: Connection, mailbox: str, header_id: str) -> Row[Any] | None:
    """The version of ours with this Message-ID; None when there is none."""
    if not header_id:
        return None
    # A mail that staff sent under our Message-ID is kept under it too; ours is the older row.
    return connection.execute(
        select(Reply.__table__)
        .where(Reply.mailbox == mailbox, Reply.header_id == header_id)
        .order_by(Reply.id)
        .limit(1)
    ).first()


def answered_message(
    connection: Connection,
    mailbox: str,
    answered_ids: Sequence[str],
    recipients: Sequence[str] | None = None,
) -> Any | None:
    """(id, ticket_id) of the newest ticketed mail that one of `answered_ids` names.

    With `recipients` (lower case) only where the mail came from one of them or is to be answered there.
    """
    if not answered_ids:
        return None
    to_them: ColumnElement[bool] = true()
    if recipients is not None:
        to_them = or_(
            func.lower(Message.from_address).in_(recipients),
            func.lower(Message.reply_address).in_(recipients),
        )
    return connection.execute(
        select(Message.id, Message.ticket_id)
        .where(
            Message.mailbox == mailbox,
            Message.header_id.in_(answered_ids),
            Message.disposition == Disposition.TICKETED,
            Message.ticket_id.is_not(None),
            to_them,
        )
        .order_by(Message.id.desc())
        .limit(1)
    ).first()


def answered_by_hand(
    connection: Connection,
    mailbox: str,
    answered_ids: Sequence[str],
    recipients: Sequence[str],
    now: datetime,
    sent: SentByHand | None = None,
) -> int | None:
    """A person's reply to one of our tickets was found in Sent: ours is held. Returns the ticket, or None.

    `answered_ids` are the ids of its In-Reply-To, `recipients` its To and Cc addresses.
    """
    row = answered_message(connection, mailbox, answered_ids, [one.lower() for one in recipients])
    if row is None:
        return None
    by_hand(connection, int(row.id), int(row.ticket_id), sent, now)
    return int(row.ticket_id)


def by_hand(
    connection: Connection,
    message_id: int,
    ticket_id: int,
    sent: SentByHand | None,
    now: datetime,
    *,
    keep: bool = True,
) -> None:
    """A person has answered a mail: hold what we would say to it, keep what was said, learn from it.

    Without `keep` a version of ours is known to be what was sent. What answers a newer mail of the ticket goes on
    waiting. A mail that is kept already (Sent read again) changes nothing. What a person adds by hand to an answer
    that staff had approved is no verdict on it; after an automatic one it is.
    """
    added = keep and any(
        one.status is ReplyStatus.SENT and not one.automatic for one in versions(connection, message_id)
    )
    if sent is not None and keep and not _keep(connection, message_id, ticket_id, sent, now):
        return
    held = _hold(connection, ticket_id, "dijawab petugas dari klien email", up_to=message_id)
    if (lifecycle.latest_message_id(connection, ticket_id) or 0) <= message_id:
        lifecycle.set_ticket(connection, ticket_id, TicketStatus.ANSWERED, now, reason="")
    if not added:
        lifecycle.decide_verdict(
            connection,
            message_id,
            decision=sent.decision if sent is not None else "by_hand",
            topics=sent.topics if sent is not None else [],
            manner="single",
            actor=ACTOR,
            now=now,
        )
    audit.record(connection, [audit.Entry(ticket_id, ACTOR, "answered_by_hand", {"held": held})], now)


def _keep(connection: Connection, message_id: int, ticket_id: int, sent: SentByHand, now: datetime) -> bool:
    """Keep a person's reply beside ours; False when it is kept already (Sent read again)."""
    sha256 = hashlib.sha256(sent.data).hexdigest()
    known = select(Reply.id).where(Reply.message_id == message_id, Reply.sha256 == sha256)
    if connection.execute(known.limit(1)).first() is not None:
        return False
    message = connection.execute(select(Message.mailbox).where(Message.id == message_id)).one()
    connection.execute(
        insert(Reply).values(
            ticket_id=ticket_id,
            message_id=message_id,
            mailbox=message.mailbox,
            version=lifecycle.next_version(connection, message_id),
            kind=ReplyKind.MANUAL,
            status=ReplyStatus.SENT,
            automatic=False,
            topics=list(sent.topics),
            recipient=sent.recipient[:320],
            subject=sent.subject,
            text=sent.text,
            header_id=sent.header_id if len(sent.header_id) <= LONGEST_ID else "",
            data=sent.data,
            sha256=sha256,
            created_at=now,
            decided_by=ACTOR,
            decided_at=now,
            sent_at=now,
            filing=Filing.DONE,
        )
    )
    return True


def versions(connection: Connection, message_id: int) -> Sequence[Row[Any]]:
    """Everything of ours that answers one mail, oldest version first."""
    return connection.execute(
        select(Reply.__table__).where(Reply.message_id == message_id).order_by(Reply.version)
    ).all()


def proposed(connection: Connection, message_id: int) -> Row[Any] | None:
    """The last version from content that stood ready for a mail and was not sent by us; None: there was none."""
    found = [one for one in versions(connection, message_id) if one.topics and one.sent_at is None]
    return found[-1] if found else None


def lock(connection: Connection, ticket_id: int) -> Row[Any] | None:
    """The ticket, kept from other writers' decisions until the end of the transaction; None: no such ticket."""
    return connection.execute(
        select(Ticket.__table__).where(Ticket.id == ticket_id).with_for_update()
    ).first()


def left_drafts(connection: Connection, message_id: int, uidvalidity: int, there: Collection[int]) -> None:
    """Of the copies of our answers to a mail, those that are not `there` in Drafts were moved out by staff.

    One that was placed under another numbering of the folder may be anywhere.
    """
    for row in versions(connection, message_id):
        moved = row.draft_uidvalidity == uidvalidity and row.draft_uid not in there
        if row.draft_copy in {DraftCopy.PLACED, DraftCopy.REMOVE} and moved:
            connection.execute(update(Reply).where(Reply.id == row.id).values(draft_copy=DraftCopy.GONE))


def draft_gone(connection: Connection, reply_id: int, now: datetime) -> bool:
    """A draft left Drafts without our doing: a person took over; ours is held and shown."""
    row = lifecycle.reply(connection, reply_id)
    if row is None or row.status not in _MAY_BE_TAKEN_OVER:
        return False
    held = _hold(connection, row.ticket_id, TAKEN_FROM_DRAFTS)
    connection.execute(update(Reply).where(Reply.id == reply_id).values(draft_copy=DraftCopy.GONE))
    lifecycle.set_ticket(
        connection,
        row.ticket_id,
        TicketStatus.NEEDS_STAFF,
        now,
        reason="Konsep di folder Draf diambil, diubah atau dihapus petugas; balasan mesin ditahan.",
    )
    audit.record(connection, [audit.Entry(row.ticket_id, ACTOR, "draft_taken_over", {"held": held})], now)
    return True


def _hold(connection: Connection, ticket_id: int, reason: str, up_to: int | None = None) -> list[int]:
    """Discard what waits or is about to leave; with `up_to` only what answers that mail or an older one."""
    held = []
    for row in lifecycle.replies(connection, ticket_id):
        if up_to is not None and row.message_id > up_to:
            continue
        for frm in _MAY_BE_TAKEN_OVER:
            if lifecycle.move_reply(connection, row.id, frm, ReplyStatus.DISCARDED, outcome=reason):
                lifecycle.unwant_copy(connection, row.id)
                held.append(row.id)
    return held


def to_flag(
    connection: Connection, mailbox: str, uidvalidity: int, folder: str, limit: int
) -> list[tuple[int, int]]:
    """(message id, UID) of mails that a person must answer and that carry no flag on the server yet."""
    asked = {"mailbox": mailbox, "uidvalidity": uidvalidity, "folder": folder, "limit": limit}
    return [(row.id, row.uid) for row in connection.execute(_TO_FLAG, asked)]


def flagged(connection: Connection, message_ids: Sequence[int]) -> None:
    """Remember that the flags of these messages are set."""
    connection.execute(update(Message).where(Message.id.in_(message_ids)).values(marked=True))
