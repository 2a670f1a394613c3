"""Every transition of tickets and replies: one conditional UPDATE each, whose row count says who won."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, exists, func, insert, or_, select, update

from responder.tickets.database import table_of
from responder.tickets.ledger import LONGEST_WAIT
from responder.tickets.models import Message, Participant, Reply, StaffVerdict, Ticket
from responder.tickets.status import (
    Disposition,
    DraftCopy,
    Filing,
    ReplyKind,
    ReplyStatus,
    TicketStatus,
)

# Statements of the hot path are made once: building one anew costs several times its execution.
_TICKETS, _REPLIES = table_of(Ticket), table_of(Reply)
_OPEN = insert(_TICKETS).returning(_TICKETS.c.id)
_JOIN = insert(table_of(Participant))
_SET = update(_TICKETS).where(_TICKETS.c.id == bindparam("ticket"))
_ADD = insert(_REPLIES)
_ADD_ONE = _ADD.returning(_REPLIES.c.id)
_MOVE = update(_REPLIES).where(_REPLIES.c.id == bindparam("reply"), _REPLIES.c.status == bindparam("was"))
# The ids first: with a long backlog, sorting whole replies would cost more than filing a few.
_TO_FILE = (
    select(Reply.id)
    .where(
        Reply.mailbox == bindparam("mailbox"),
        Reply.filing == bindparam("pending"),
        or_(
            Reply.filing_next_try.is_(None),
            Reply.filing_next_try <= bindparam("now"),
            Reply.filing_next_try > bindparam("far"),
        ),
    )
    .order_by(Reply.id)
    .limit(bindparam("limit"))
)
_FILED = (
    select(
        Reply.id,
        Reply.ticket_id,
        Reply.header_id,
        Reply.data,
        Reply.sent_at,
        Reply.filing_attempts,
        Message.folder,
        Message.uidvalidity,
        Message.uid,
    )
    .join(Message, Message.id == Reply.message_id)
    .where(Reply.id.in_(bindparam("ids", expanding=True)))
    .order_by(Reply.id)
)
_AUDITED = exists().where(
    StaffVerdict.ticket_id == _REPLIES.c.ticket_id,
    StaffVerdict.message_id == _REPLIES.c.message_id,
    StaffVerdict.blind,
    StaffVerdict.decided_at.is_(None),
)
_COPIES = (
    select(_REPLIES)
    .where(_REPLIES.c.mailbox == bindparam("mailbox"), _REPLIES.c.draft_copy == bindparam("state"))
    # A copy in Drafts would tell our topic to who shall name theirs first.
    .where(or_(_REPLIES.c.draft_copy != DraftCopy.PENDING, ~_AUDITED))
    .order_by(_REPLIES.c.id)
    .limit(bindparam("limit"))
)
_PLACED = (
    select(_REPLIES.c.id, _REPLIES.c.draft_uidvalidity, _REPLIES.c.draft_uid)
    .where(
        _REPLIES.c.mailbox == bindparam("mailbox"),
        _REPLIES.c.draft_copy.in_([DraftCopy.PLACED, DraftCopy.REMOVE]),
        _REPLIES.c.status.in_([ReplyStatus.DRAFTED, ReplyStatus.APPROVED]),
    )
    .order_by(_REPLIES.c.id)
    .limit(bindparam("limit"))
)
_PREDICTED = insert(table_of(StaffVerdict))
# The same mail seen again (rule 50) says nothing that its first copy does not.
_LATEST = select(func.max(Message.id)).where(
    Message.ticket_id == bindparam("ticket"),
    Message.kind == "person",
    Message.disposition == Disposition.TICKETED,
)


def open_ticket(connection: Connection, values: dict[str, Any]) -> int:
    """Insert a ticket with its vendor as the first participant; return its number."""
    ticket_id = number_ticket(connection, values)
    add_participants(connection, [{"ticket_id": ticket_id, "address": values["vendor_address"]}])
    return ticket_id


def number_ticket(connection: Connection, values: dict[str, Any]) -> int:
    """Insert a ticket; return its number. The caller adds its vendor with `add_participants`."""
    return int(connection.execute(_OPEN, values).scalar_one())


def add_participants(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Let each `address` write into its `ticket_id`."""
    if rows:
        connection.execute(_JOIN, rows)


def ticket(connection: Connection, ticket_id: int) -> Row[Any] | None:
    return connection.execute(select(_TICKETS).where(Ticket.id == ticket_id)).first()


def reply(connection: Connection, reply_id: int) -> Row[Any] | None:
    return connection.execute(select(_REPLIES).where(Reply.id == reply_id)).first()


def replies(connection: Connection, ticket_id: int) -> Sequence[Row[Any]]:
    """Every reply of a ticket, oldest version first."""
    return connection.execute(select(_REPLIES).where(Reply.ticket_id == ticket_id).order_by(Reply.id)).all()


def messages(connection: Connection, ticket_id: int) -> Sequence[Row[Any]]:
    """Every incoming message of a ticket, oldest first, without raw bytes."""
    columns = [column for column in Message.__table__.columns if column.name not in {"raw", "parts"}]
    return connection.execute(
        select(*columns).where(Message.ticket_id == ticket_id).order_by(Message.id)
    ).all()


def latest_message_id(connection: Connection, ticket_id: int) -> int | None:
    """The newest mail of a person in a ticket: a draft that answers an older one is stale."""
    return connection.scalar(_LATEST, {"ticket": ticket_id})


def current_draft(connection: Connection, ticket_id: int) -> Row[Any] | None:
    """The draft that waits for a decision; None when there is none."""
    return connection.execute(
        select(_REPLIES)
        .where(Reply.ticket_id == ticket_id, Reply.status == ReplyStatus.DRAFTED)
        .order_by(Reply.id.desc())
        .limit(1)
    ).first()


def set_ticket(
    connection: Connection, ticket_id: int, status: TicketStatus, now: datetime, **values: Any
) -> None:
    set_tickets(connection, [{"ticket": ticket_id, "status": status, "updated_at": now, **values}])


def set_tickets(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """The same for several: each row has `ticket`, `status`, `updated_at` and the same further columns."""
    if rows:
        connection.execute(_SET, rows)


def answered_by(connection: Connection, reply: Row[Any], now: datetime) -> None:
    """`reply` has left, or will: its ticket is answered unless a newer mail waits or it only acknowledges."""
    if (
        reply.kind is not ReplyKind.ACKNOWLEDGEMENT
        and latest_message_id(connection, reply.ticket_id) == reply.message_id
    ):
        set_ticket(connection, reply.ticket_id, TicketStatus.ANSWERED, now, reason="")


def next_version(connection: Connection, message_id: int) -> int:
    return 1 + (connection.scalar(select(func.max(Reply.version)).where(Reply.message_id == message_id)) or 0)


def add_reply(connection: Connection, values: dict[str, Any]) -> int:
    return int(connection.execute(_ADD_ONE, values).scalar_one())


def add_replies(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert several replies; all rows have the same columns."""
    if rows:
        connection.execute(_ADD, rows)


def move_reply(
    connection: Connection, reply_id: int, frm: ReplyStatus, to: ReplyStatus, **values: Any
) -> bool:
    """Move one reply from `frm` to `to`; False when it is not in `frm` (somebody was first)."""
    return connection.execute(_MOVE, {"reply": reply_id, "was": frm, "status": to, **values}).rowcount == 1


def retire_drafts(connection: Connection, ticket_id: int, to: ReplyStatus, reason: str) -> list[int]:
    """End every waiting draft of a ticket (superseded or discarded) and want its copies out of Drafts."""
    ids = list(
        connection.scalars(
            select(Reply.id).where(Reply.ticket_id == ticket_id, Reply.status == ReplyStatus.DRAFTED)
        )
    )
    return [
        reply_id
        for reply_id in ids
        if move_reply(connection, reply_id, ReplyStatus.DRAFTED, to, outcome=reason)
        and unwant_copy(connection, reply_id)
    ]


def unwant_copy(connection: Connection, reply_id: int) -> bool:
    """Have the copy in Drafts taken out, or not placed at all. Always True, so that it chains."""
    for frm, to in ((DraftCopy.PENDING, DraftCopy.GONE), (DraftCopy.PLACED, DraftCopy.REMOVE)):
        connection.execute(
            update(Reply).where(Reply.id == reply_id, Reply.draft_copy == frm).values(draft_copy=to)
        )
    return True


def add_verdicts(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Keep what was predicted for each mail, from the first day; staff's decision will stand beside it."""
    if rows:
        connection.execute(_PREDICTED, rows)


def decide_verdict(
    connection: Connection,
    message_id: int,
    *,
    decision: str,
    topics: Sequence[str],
    manner: str,
    actor: str,
    now: datetime,
) -> None:
    """Write beside the prediction what staff decided; a later decision on the same mail replaces an earlier.

    What was chosen in a blind audit stands: whatever follows was decided with our topic in view.
    """
    connection.execute(
        update(StaffVerdict)
        .where(StaffVerdict.message_id == message_id, StaffVerdict.manner != "audit")
        .values(
            decision=decision, decided_topics=list(topics), manner=manner, decided_by=actor, decided_at=now
        )
    )


def approve(
    connection: Connection, reply_id: int, sha256: str, actor: str, now: datetime, not_before: datetime
) -> bool:
    """Allow exactly the bytes that were shown to leave; False when they are not the waiting draft."""
    return (
        connection.execute(
            update(Reply)
            .where(Reply.id == reply_id, Reply.status == ReplyStatus.DRAFTED, Reply.sha256 == sha256)
            .values(
                status=ReplyStatus.APPROVED,
                decided_by=actor,
                decided_at=now,
                next_try=not_before,
                outcome="",
            )
        ).rowcount
        == 1
    )


def withdraw(connection: Connection, reply_id: int) -> bool:
    """Take an approved reply back to draft while it has not begun to leave."""
    return move_reply(
        connection,
        reply_id,
        ReplyStatus.APPROVED,
        ReplyStatus.DRAFTED,
        decided_by="",
        decided_at=None,
        next_try=None,
    )


def to_file(connection: Connection, mailbox: str, limit: int, now: datetime) -> Sequence[Any]:
    """Sent replies that wait to be filed, with the (folder, uidvalidity, uid) of the mail they answer."""
    asked = {"mailbox": mailbox, "limit": limit, "now": now, "far": now + LONGEST_WAIT}
    ids = list(connection.scalars(_TO_FILE, {**asked, "pending": Filing.PENDING}))
    return connection.execute(_FILED, {"ids": ids}).all() if ids else []


def draft_copies(connection: Connection, mailbox: str, state: DraftCopy, limit: int) -> Sequence[Row[Any]]:
    """Replies whose copy in Drafts is in `state`."""
    return connection.execute(_COPIES, {"mailbox": mailbox, "state": state, "limit": limit}).all()


def placed_copies(connection: Connection, mailbox: str, limit: int) -> Sequence[Any]:
    """(id, draft_uidvalidity, draft_uid) of the versions that wait, or are about to leave, with a copy in Drafts.

    It is asked for in every round: whole versions would be megabytes where many drafts wait.
    """
    return connection.execute(_PLACED, {"mailbox": mailbox, "limit": limit}).all()


def mark_undelivered(connection: Connection, reply_id: int, words: str) -> None:
    """Note on a sent reply what a bounce said (rule 28)."""
    connection.execute(update(Reply).where(Reply.id == reply_id).values(undelivered=words))


def filed(connection: Connection, reply_id: int) -> None:
    """The wish to file a sent reply is done."""
    connection.execute(
        update(Reply)
        .where(Reply.id == reply_id, Reply.filing == Filing.PENDING)
        .values(filing=Filing.DONE, filing_next_try=None)
    )


def filing_again(connection: Connection, reply_id: int, at: datetime) -> None:
    """Try to file once more at `at`."""
    connection.execute(
        update(Reply)
        .where(Reply.id == reply_id)
        .values(filing_attempts=Reply.filing_attempts + 1, filing_next_try=at)
    )


def copy_placed(connection: Connection, reply_id: int, uidvalidity: int, uid: int) -> None:
    """The copy stands in Drafts; if the draft ended meanwhile, the copy is to be taken out again."""
    connection.execute(
        update(Reply)
        .where(Reply.id == reply_id, Reply.draft_copy == DraftCopy.PENDING)
        .values(draft_copy=DraftCopy.PLACED)
    )
    connection.execute(
        update(Reply)
        .where(Reply.id == reply_id, Reply.draft_copy == DraftCopy.GONE)
        .values(draft_copy=DraftCopy.REMOVE)
    )
    connection.execute(
        update(Reply).where(Reply.id == reply_id).values(draft_uidvalidity=uidvalidity, draft_uid=uid)
    )


def copy_wanted_again(connection: Connection, reply_id: int) -> None:
    """An approval was taken back: keep the copy that is still in Drafts, or place it anew."""
    for frm, to in ((DraftCopy.REMOVE, DraftCopy.PLACED), (DraftCopy.GONE, DraftCopy.PENDING)):
        connection.execute(
            update(Reply).where(Reply.id == reply_id, Reply.draft_copy == frm).values(draft_copy=to)
        )


def copy_wanted(connection: Connection, reply_id: int) -> None:
    """Place the copy of a waiting draft in Drafts (again)."""
    connection.execute(
        update(Reply)
        .where(Reply.id == reply_id, Reply.status == ReplyStatus.DRAFTED)
        .values(draft_copy=DraftCopy.PENDING)
    )


def copy_gone(connection: Connection, reply_id: int) -> None:
    """The copy was taken out of Drafts by us."""
    connection.execute(
        update(Reply)
        .where(Reply.id == reply_id, Reply.draft_copy == DraftCopy.REMOVE)
        .values(draft_copy=DraftCopy.GONE)
    )
