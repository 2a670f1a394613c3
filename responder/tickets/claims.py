"""Sending as the records see it: which reply may leave, which node has claimed it, and how that ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, exists, func, or_, select, update

from responder.tickets import audit, lifecycle
from responder.tickets.database import table_of
from responder.tickets.ledger import LONGEST_WAIT
from responder.tickets.models import AddressNote, Message, Reply
from responder.tickets.status import Filing, ReplyStatus
from responder.tickets.switches import Arming

STEP = timedelta(minutes=5)
"""More than a clock is corrected by in normal service."""

_REPLIES = table_of(Reply)
_SENT_FROM = (
    _REPLIES.c.id,
    _REPLIES.c.ticket_id,
    _REPLIES.c.message_id,
    _REPLIES.c.kind,
    _REPLIES.c.automatic,
    _REPLIES.c.recipient,
    _REPLIES.c.data,
    _REPLIES.c.decided_at,
    _REPLIES.c.attempts,
)
"""What sending needs to know of a reply; its text alone is larger than all of this but the bytes."""

_STILL_OURS = select(
    _REPLIES.c.automatic,
    _REPLIES.c.decided_at,
    exists().where(AddressNote.address == bindparam("address")).label("noted"),
).where(
    _REPLIES.c.id == bindparam("reply"),
    _REPLIES.c.status == bindparam("was"),
    _REPLIES.c.claimed_by == bindparam("node"),
)
_SETTLE = update(_REPLIES).where(
    _REPLIES.c.id == bindparam("reply"),
    _REPLIES.c.status.in_(bindparam("known", expanding=True)),
    _REPLIES.c.claimed_by == bindparam("node"),
)

_IN_STATE = select(_REPLIES.c.id, _REPLIES.c.ticket_id, _REPLIES.c.header_id).where(
    _REPLIES.c.status == bindparam("status"), _REPLIES.c.mailbox == bindparam("mailbox")
)
_NEWEST_IN_STATE = _IN_STATE.order_by(_REPLIES.c.id.desc()).limit(100)
_TO_RECALL = (
    _IN_STATE.join(Message, Message.id == _REPLIES.c.message_id)
    .where(_REPLIES.c.automatic.is_(True), Message.internal_date < bindparam("since"))
    .order_by(_REPLIES.c.id)
)

_NOT_SENT = (
    ReplyStatus.DRAFTED,
    ReplyStatus.APPROVED,
    ReplyStatus.SENDING,
    ReplyStatus.UNCERTAIN,
    ReplyStatus.FAILED,
)


def claim_due(
    connection: Connection,
    mailbox: str,
    node: str,
    limit: int,
    now: datetime,
    until: datetime,
    arming: Arming,
) -> Sequence[Row[Any]]:
    """Move up to `limit` due approved replies to `sending` for `node` and return them, oldest first."""
    if not arming.armed:
        return []
    # Two statements: PostgreSQL may run a subquery with LIMIT again for each row, and would claim more than `limit`.
    ids = list(
        connection.scalars(
            _may_leave(*_kind(arming))
            .order_by(_REPLIES.c.next_try, _REPLIES.c.id)
            .with_for_update(skip_locked=True),
            _asked(mailbox, now, arming, limit),
        )
    )
    if not ids:
        return []
    claimed = connection.execute(
        update(_REPLIES)
        .where(_REPLIES.c.id.in_(ids), _REPLIES.c.status == ReplyStatus.APPROVED)
        .values(
            status=ReplyStatus.SENDING,
            claimed_by=node,
            claimed_until=until,
            attempts=_REPLIES.c.attempts + 1,
        )
        .returning(*_SENT_FROM)
    ).all()
    return sorted(claimed, key=lambda row: row.id)


def count_due(connection: Connection, mailbox: str, now: datetime, arming: Arming, limit: int) -> int:
    """How many replies of `mailbox` are to leave, counted up to `limit`."""
    if not arming.armed:
        return 0
    due_now = _may_leave(*_kind(arming)).subquery()
    return (
        connection.scalar(select(func.count()).select_from(due_now), _asked(mailbox, now, arming, limit)) or 0
    )


def _kind(arming: Arming) -> tuple[bool, bool]:
    return bool(arming.breaker or arming.hold), arming.held_since is not None


@cache
def _may_leave(only_by_hand: bool, only_since: bool) -> Select[tuple[int]]:
    """The ids of up to `limit` replies that may be sent `now`: built once, for it is asked every few seconds."""
    # What was decided in the future was decided by a clock that has since been set back.
    set_back = (_REPLIES.c.attempts == 0) & (_REPLIES.c.decided_at > bindparam("soon"))
    next_try = _REPLIES.c.next_try
    conditions = [
        _REPLIES.c.status == ReplyStatus.APPROVED,
        _REPLIES.c.mailbox == bindparam("mailbox"),
        func.length(_REPLIES.c.data) > 0,  # erased bytes can never leave
        or_(next_try <= bindparam("now"), next_try > bindparam("far"), set_back),
    ]
    if only_by_hand:
        conditions.append(_REPLIES.c.automatic.is_(False))
    if only_since:
        conditions.append(_REPLIES.c.decided_at >= bindparam("since"))
    return select(_REPLIES.c.id).where(*conditions).limit(bindparam("limit"))


def _asked(mailbox: str, now: datetime, arming: Arming, limit: int) -> dict[str, Any]:
    times = {"now": now, "far": now + LONGEST_WAIT, "soon": now + STEP, "since": arming.held_since}
    return {"mailbox": mailbox, "limit": limit, **times}


def still_allowed(connection: Connection, reply_id: int, node: str, address: str, arming: Arming) -> bool:
    """Directly before DATA (rule 78): `node` still owns the claim, and neither switch nor note forbids this reply.

    `address` is the key under which notes on the recipient stand (rule 28).
    """
    row = connection.execute(
        _STILL_OURS, {"reply": reply_id, "node": node, "address": address, "was": ReplyStatus.SENDING}
    ).first()
    if row is None or not arming.armed:
        return False
    if row.automatic and (row.noted or arming.breaker or arming.hold):
        return False
    return arming.held_since is None or row.decided_at >= arming.held_since


def recalled(connection: Connection, mailbox: str, arming: Arming) -> Sequence[Any]:
    """Automatic replies that have not begun to leave and answer mail older than the arming, as (id, ticket_id)."""
    if not arming.armed or arming.since is None:
        return []
    asked = {"mailbox": mailbox, "status": ReplyStatus.APPROVED, "since": arming.since}
    return connection.execute(_TO_RECALL, asked).all()


def renew_claim(connection: Connection, reply_id: int, node: str, until: datetime) -> bool:
    """Prove that `node` still owns the claim directly before MAIL FROM; False when it lost it."""
    return (
        connection.execute(
            update(Reply)
            .where(Reply.id == reply_id, Reply.status == ReplyStatus.SENDING, Reply.claimed_by == node)
            .values(claimed_until=until)
        ).rowcount
        == 1
    )


def settle(connection: Connection, reply_id: int, node: str, to: ReplyStatus, **values: Any) -> bool:
    """Write the outcome of a send; only the node that claimed it may. False when the claim is lost."""
    return _settle(connection, reply_id, node, [ReplyStatus.SENDING], to, values)


def settle_late(connection: Connection, reply_id: int, node: str, to: ReplyStatus, **values: Any) -> bool:
    """Write the outcome of a send whose claim was found abandoned while its node was only slow.

    Such a claim keeps its node. That a reply was sent is told even after a person had it queued again: it must not
    leave twice.
    """
    known = [ReplyStatus.UNCERTAIN] + ([ReplyStatus.APPROVED] if to is ReplyStatus.SENT else [])
    return _settle(connection, reply_id, node, known, to, values)


def _settle(
    connection: Connection,
    reply_id: int,
    node: str,
    known: Sequence[ReplyStatus],
    to: ReplyStatus,
    values: dict[str, Any],
) -> bool:
    asked = {"reply": reply_id, "node": node, "known": list(known)}
    written = {"status": to, "claimed_by": "", "claimed_until": None, **values}
    return connection.execute(_SETTLE, {**asked, **written}).rowcount == 1


def abandoned(connection: Connection, mailbox: str) -> list[Any]:
    """Replies of `mailbox` in `sending`, as (id, ticket_id): asked by the holder of its lease, nobody sends them."""
    return list(connection.execute(_IN_STATE, {"mailbox": mailbox, "status": ReplyStatus.SENDING}))


def uncertain(connection: Connection, mailbox: str) -> Sequence[Any]:
    """The newest 100 replies of `mailbox` of which nobody knows whether they were sent, as (id, header_id)."""
    return connection.execute(_NEWEST_IN_STATE, {"mailbox": mailbox, "status": ReplyStatus.UNCERTAIN}).all()


def proved_sent(connection: Connection, reply_id: int, evidence: str, now: datetime, filing: Filing) -> bool:
    """`evidence` says that the server took a reply: it is sent, whatever we thought. False when we knew that."""
    row = connection.execute(
        update(Reply)
        .where(Reply.id == reply_id, Reply.status.in_(_NOT_SENT))
        .values(
            status=ReplyStatus.SENT,
            sent_at=now,
            filing=filing,
            claimed_by="",
            claimed_until=None,
            next_try=None,
        )
        .returning(Reply.__table__)
    ).first()
    if row is None:
        return False
    lifecycle.unwant_copy(connection, reply_id)
    lifecycle.answered_by(connection, row, now)
    detail = {"reply": reply_id, "evidence": evidence}
    audit.record(connection, [audit.Entry(row.ticket_id, audit.MACHINE, "settled", detail)], now)
    return True
