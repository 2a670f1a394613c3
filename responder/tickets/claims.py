"""Sending as the records see it: which reply may leave, which node has claimed it, and how that ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, false, or_, select, update

from responder.tickets import audit, lifecycle
from responder.tickets.ledger import due
from responder.tickets.models import Message, Reply
from responder.tickets.status import Filing, ReplyStatus
from responder.tickets.switches import Arming

STEP = timedelta(minutes=5)
"""More than a clock is corrected by in normal service."""

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
    ids = list(
        connection.scalars(
            select(Reply.id)
            .where(*_may_leave(mailbox, now, arming))
            .order_by(Reply.next_try, Reply.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    )
    if not ids:
        return []
    connection.execute(
        update(Reply)
        .where(Reply.id.in_(ids), Reply.status == ReplyStatus.APPROVED)
        .values(
            status=ReplyStatus.SENDING,
            claimed_by=node,
            claimed_until=until,
            attempts=Reply.attempts + 1,
        )
    )
    return connection.execute(
        select(Reply.__table__)
        .where(Reply.id.in_(ids), Reply.status == ReplyStatus.SENDING, Reply.claimed_by == node)
        .order_by(Reply.id)
    ).all()


def has_due(connection: Connection, mailbox: str, now: datetime, arming: Arming) -> bool:
    """Whether any reply of `mailbox` is to leave."""
    query = select(Reply.id).where(*_may_leave(mailbox, now, arming)).limit(1)
    return connection.execute(query).first() is not None


def _may_leave(mailbox: str, now: datetime, arming: Arming) -> list[ColumnElement[bool]]:
    """The conditions for a reply to be sent at `now`."""
    # What was decided in the future was decided by a clock that has since been set back.
    set_back = (Reply.attempts == 0) & (Reply.decided_at > now + STEP)
    conditions = [
        Reply.status == ReplyStatus.APPROVED,
        Reply.mailbox == mailbox,
        or_(due(Reply.next_try, now), set_back),
    ]
    if not arming.armed:
        conditions.append(false())
    if arming.breaker or arming.hold:
        conditions.append(Reply.automatic.is_(False))
    if arming.held_since is not None:
        conditions.append(Reply.decided_at >= arming.held_since)
    return conditions


def still_allowed(connection: Connection, reply_id: int, node: str, arming: Arming) -> bool:
    """Directly before DATA (rule 78): `node` still owns the claim, and no switch forbids this reply."""
    row = connection.execute(
        select(Reply.automatic, Reply.decided_at).where(
            Reply.id == reply_id, Reply.status == ReplyStatus.SENDING, Reply.claimed_by == node
        )
    ).first()
    if row is None or not arming.armed:
        return False
    if row.automatic and (arming.breaker or arming.hold):
        return False
    return arming.held_since is None or row.decided_at >= arming.held_since


def recalled(connection: Connection, mailbox: str, arming: Arming) -> Sequence[Row[Any]]:
    """Automatic replies that have not begun to leave and answer mail older than the arming."""
    if not arming.armed or arming.since is None:
        return []
    return connection.execute(
        select(Reply.__table__)
        .join(Message, Message.id == Reply.message_id)
        .where(
            Reply.mailbox == mailbox,
            Reply.status == ReplyStatus.APPROVED,
            Reply.automatic.is_(True),
            Message.internal_date < arming.since,
        )
        .order_by(Reply.id)
    ).all()


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
    return (
        connection.execute(
            update(Reply)
            .where(Reply.id == reply_id, Reply.status.in_(known), Reply.claimed_by == node)
            .values(status=to, claimed_by="", claimed_until=None, **values)
        ).rowcount
        == 1
    )


def abandoned(connection: Connection, mailbox: str) -> list[Any]:
    """Replies of `mailbox` in `sending`, as (id, ticket_id): asked by the holder of its lease, nobody sends them."""
    return list(
        connection.execute(
            select(Reply.id, Reply.ticket_id).where(
                Reply.status == ReplyStatus.SENDING, Reply.mailbox == mailbox
            )
        )
    )


def uncertain(connection: Connection, mailbox: str) -> Sequence[Any]:
    """The newest 100 replies of `mailbox` of which nobody knows whether they were sent, as (id, header_id)."""
    return connection.execute(
        select(Reply.id, Reply.header_id)
        .where(Reply.status == ReplyStatus.UNCERTAIN, Reply.mailbox == mailbox)
        .order_by(Reply.id.desc())
        .limit(100)
    ).all()


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
