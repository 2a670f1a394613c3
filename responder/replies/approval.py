"""What staff decide about a draft: the same operations for the terminal, the pages and the mail folders.

Each is one transaction, checks that what was shown is still current, and leaves an event and a verdict.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from responder.errors import Refused
from responder.refusal import Refusal
from responder.replies.render import unconfirmed_markers
from responder.tickets import audit, authorship, lifecycle, takeover
from responder.tickets.status import ReplyKind, ReplyStatus, TicketStatus

_LEAVING = frozenset({ReplyStatus.APPROVED, ReplyStatus.SENDING})


def approve(
    connection: Connection,
    reply_id: int,
    sha256: str,
    actor: str,
    now: datetime,
    *,
    undo_seconds: int,
    manner: str = "single",
) -> datetime:
    """Allow exactly the bytes with `sha256` to leave; return when they will at the earliest.

    Raises Refused when the draft is stale (a newer mail or draft), already decided, or holds an unconfirmed fact, and
    while another answer to the same mail is on its way.
    """
    row = _waiting(connection, reply_id)
    if row.sha256 != sha256:
        raise Refused(Refusal.CHANGED, ticket=row.ticket_id)
    takeover.lock(connection, row.ticket_id)  # or a mail that is being handled would be overlooked
    _refuse_if_stale(connection, row)
    _refuse_a_second_answer(connection, row)
    if markers := unconfirmed_markers(row.text):
        raise Refused(Refusal.UNCONFIRMED, ticket=row.ticket_id, marker=markers[0])
    not_before = now + timedelta(seconds=undo_seconds)
    if not lifecycle.approve(connection, reply_id, sha256, actor, now, not_before):
        raise Refused(Refusal.DECIDED_MEANWHILE, ticket=row.ticket_id)
    lifecycle.unwant_copy(connection, reply_id)
    lifecycle.set_ticket(connection, row.ticket_id, TicketStatus.ANSWERED, now, reason="")
    lifecycle.decide_verdict(
        connection,
        row.message_id,
        decision=authorship.decision(connection, row),
        topics=row.topics,
        manner=manner,
        actor=actor,
        now=now,
    )
    audit.record(
        connection,
        [
            audit.Entry(
                row.ticket_id, actor, "approved", {"reply": reply_id, "sha256": sha256, "manner": manner}
            )
        ],
        now,
    )
    return not_before


def reject(connection: Connection, ticket_id: int, actor: str, now: datetime, reason: str = "") -> None:
    """Discard the waiting draft; a person must answer. Raises Refused when there is none."""
    row = lifecycle.current_draft(connection, ticket_id)
    if row is None:
        raise Refused(Refusal.NOTHING_TO_REJECT, ticket=ticket_id)
    lifecycle.retire_drafts(connection, ticket_id, ReplyStatus.DISCARDED, reason or f"rejected by {actor}")
    lifecycle.set_ticket(
        connection, ticket_id, TicketStatus.NEEDS_STAFF, now, reason=reason or "Konsep ditolak petugas."
    )
    lifecycle.decide_verdict(
        connection, row.message_id, decision="rejected", topics=[], manner="single", actor=actor, now=now
    )
    audit.record(
        connection, [audit.Entry(ticket_id, actor, "rejected", {"reply": row.id, "reason": reason})], now
    )


def close(
    connection: Connection,
    ticket_id: int,
    actor: str,
    now: datetime,
    reason: str = "",
    *,
    seen: int | None = None,
) -> None:
    """End a ticket without (further) answer. Raises Refused when an approved reply has not left yet.

    `seen` is the newest mail of a person that was shown (0: there was none); a newer one is a reason to refuse.
    None asks for no such thing.
    """
    row = takeover.lock(connection, ticket_id)
    if row is None:
        raise Refused(Refusal.NO_TICKET, ticket=ticket_id)
    newest = lifecycle.latest_message_id(connection, ticket_id)
    if seen is not None and seen != (newest or 0):
        raise Refused(Refusal.UNSEEN_MAIL, ticket=ticket_id)
    for reply in lifecycle.replies(connection, ticket_id):
        if reply.status in {ReplyStatus.APPROVED, ReplyStatus.SENDING, ReplyStatus.UNCERTAIN}:
            raise Refused(Refusal.UNSETTLED, ticket=ticket_id, state=reply.status)
    lifecycle.retire_drafts(connection, ticket_id, ReplyStatus.DISCARDED, f"ticket closed by {actor}")
    if row.status is not TicketStatus.ANSWERED and newest is not None:
        lifecycle.decide_verdict(
            connection, newest, decision="closed", topics=[], manner="single", actor=actor, now=now
        )
    lifecycle.set_ticket(connection, ticket_id, TicketStatus.CLOSED, now)
    audit.record(connection, [audit.Entry(ticket_id, actor, "closed", {"reason": reason})], now)


def undo(connection: Connection, reply_id: int, actor: str, now: datetime) -> None:
    """Take an approved reply back to draft while it has not begun to leave. Raises Refused when it is too late."""
    row = lifecycle.reply(connection, reply_id)
    if row is None:
        raise Refused(Refusal.NO_REPLY, reply=reply_id)
    if not lifecycle.withdraw(connection, reply_id):
        raise Refused(Refusal.TOO_LATE, reply=reply_id, state=row.status)
    lifecycle.copy_wanted_again(connection, reply_id)
    lifecycle.set_ticket(connection, row.ticket_id, TicketStatus.NEEDS_APPROVAL, now)
    audit.record(connection, [audit.Entry(row.ticket_id, actor, "undone", {"reply": reply_id})], now)


def send_again(connection: Connection, reply_id: int, actor: str, now: datetime) -> None:
    """Queue the same bytes of an uncertain or failed reply once more, by a person's decision (rule 75)."""
    row = lifecycle.reply(connection, reply_id)
    if row is None:
        raise Refused(Refusal.NO_REPLY, reply=reply_id)
    takeover.lock(connection, row.ticket_id)
    if not row.data:
        raise Refused(Refusal.ERASED, reply=reply_id)
    for frm in (ReplyStatus.UNCERTAIN, ReplyStatus.FAILED):
        if lifecycle.move_reply(
            connection,
            reply_id,
            frm,
            ReplyStatus.APPROVED,
            decided_by=actor,
            decided_at=now,
            next_try=now,
        ):
            lifecycle.answered_by(connection, row, now)
            audit.record(
                connection,
                [audit.Entry(row.ticket_id, actor, "send_again", {"reply": reply_id, "was": frm.value})],
                now,
            )
            return
    raise Refused(Refusal.NOT_AGAIN, reply=reply_id, state=row.status)


def _refuse_a_second_answer(connection: Connection, row: Row[Any]) -> None:
    """Somebody drafted anew while a colleague approved: the vendor gets one answer."""
    answers = (
        one for one in lifecycle.replies(connection, row.ticket_id) if one.message_id == row.message_id
    )
    for one in answers:
        if one.id != row.id and one.status in _LEAVING and one.kind is not ReplyKind.ACKNOWLEDGEMENT:
            raise Refused(Refusal.SECOND_ANSWER, ticket=row.ticket_id, who=one.decided_by or "-")


def _waiting(connection: Connection, reply_id: int) -> Row[Any]:
    row = lifecycle.reply(connection, reply_id)
    if row is None:
        raise Refused(Refusal.NO_DRAFT, reply=reply_id)
    if row.status is not ReplyStatus.DRAFTED:
        raise Refused(Refusal.DECIDED, ticket=row.ticket_id, state=row.status, who=row.decided_by or "-")
    return row


def _refuse_if_stale(connection: Connection, row: Row[Any]) -> None:
    current = lifecycle.current_draft(connection, row.ticket_id)
    if current is not None and current.id != row.id:
        raise Refused(Refusal.NEWER_DRAFT, ticket=row.ticket_id)
    if lifecycle.latest_message_id(connection, row.ticket_id) != row.message_id:
        raise Refused(Refusal.NEWER_MAIL, ticket=row.ticket_id)
