"""Deciding about a ticket: the operations of the pages. A decision that stands already is answered, not made again."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection, Row

from responder.errors import Refused
from responder.pipeline import desk, editing
from responder.pipeline.office import Office
from responder.replies import approval
from responder.replies.render import unconfirmed_markers
from responder.tickets import lifecycle
from responder.tickets.status import ReplyStatus, TicketStatus
from responder.web.api import given
from responder.web.api.callers import Officer, Senior
from responder.web.api.given import TicketId
from responder.web.api.problems import ApiProblem, Code, Version, conflict, described, not_found
from responder.web.api.reading import existing, not_blind
from responder.web.api.shapes import BatchDone, BlindDone, Done, NoteDone
from responder.web.service import Service, UsesService
from responder.web.wording import refusal, words

router = APIRouter(tags=["deciding"])

_ALLOWED = frozenset({ReplyStatus.APPROVED, ReplyStatus.SENDING, ReplyStatus.SENT, ReplyStatus.UNCERTAIN})
"""States of a reply whose approval stands."""


@router.post("/tickets/{ticket_id}/approve", responses=described(404, 409))
def approve(service: UsesService, caller: Officer, ticket_id: TicketId, wish: given.Approval) -> Done:
    """Let exactly the text with this hash leave. 409 `stale` shows the text that waits by now."""
    try:
        with service.database.begin() as connection:
            row = _reply(connection, ticket_id, wish.reply)
            not_blind(connection, ticket_id)
            repeated = row.status in _ALLOWED and row.sha256 == wish.sha256
            if not repeated:
                approval.approve(
                    connection,
                    wish.reply,
                    wish.sha256,
                    caller.name,
                    service.clock(),
                    undo_seconds=service.settings.policy.undo_seconds,
                )
            return _done(connection, ticket_id, wish.reply, repeated=repeated)
    except Refused as error:
        with service.database.read() as connection:
            raise _why_not(connection, ticket_id, wish.reply, wish.sha256, error) from error


@router.post("/tickets/{ticket_id}/undo", responses=described(404, 409))
def undo(service: UsesService, caller: Officer, ticket_id: TicketId, wish: given.OfReply) -> Done:
    """Take an approval back while the reply has not begun to leave."""
    with service.database.begin() as connection:
        row = _reply(connection, ticket_id, wish.reply)
        repeated = row.status is ReplyStatus.DRAFTED
        if not repeated:
            approval.undo(connection, wish.reply, caller.name, service.clock())
        return _done(connection, ticket_id, wish.reply, repeated=repeated)


@router.post("/tickets/{ticket_id}/reject", responses=described(404, 409))
def reject(service: UsesService, caller: Officer, ticket_id: TicketId, wish: given.Reasoned) -> Done:
    """Discard the draft: a person must answer."""
    with service.database.begin() as connection:
        existing(connection, ticket_id)
        not_blind(connection, ticket_id)
        approval.reject(connection, ticket_id, caller.name, service.clock(), wish.reason.strip())
        return _done(connection, ticket_id)


@router.post("/tickets/{ticket_id}/close", responses=described(404, 409))
def close(service: UsesService, caller: Officer, ticket_id: TicketId, wish: given.Closing) -> Done:
    """End the ticket without a further answer. 409 `newer_mail` when the vendor wrote after `newest`."""
    with service.database.begin() as connection:
        repeated = existing(connection, ticket_id).status is TicketStatus.CLOSED
        if not repeated:
            not_blind(connection, ticket_id)
            reason, now = wish.reason.strip(), service.clock()
            approval.close(connection, ticket_id, caller.name, now, reason, seen=wish.newest)
        return _done(connection, ticket_id, repeated=repeated)


@router.post("/tickets/{ticket_id}/topics", responses=described(404, 409))
def retopic(service: UsesService, caller: Officer, ticket_id: TicketId, wish: given.Topics) -> Done:
    """Draft again with other topics; the new text waits for approval."""
    with service.database.begin() as connection:
        office = _office(connection, service, ticket_id)
        not_blind(connection, ticket_id)
        reply_id = editing.retopic(connection, office, ticket_id, wish.topics, caller.name, service.clock())
        return _done(connection, ticket_id, reply_id)


@router.put("/tickets/{ticket_id}/draft", responses=described(404, 409))
def write(service: UsesService, caller: Officer, ticket_id: TicketId, wish: given.Draft) -> Done:
    """Make this text the draft, or the answer where there is none; with `approve`, let it leave at once."""
    now = service.clock()
    try:
        with service.database.begin() as connection:
            office = _office(connection, service, ticket_id)
            not_blind(connection, ticket_id)
            hand_in = desk.hand_in_and_approve if wish.approve else desk.hand_in
            hand_in(connection, office, ticket_id, wish.text, wish.based_on, caller.name, now)
            desk.drop_edits(connection, ticket_id, caller.user_id)
            written = lifecycle.replies(connection, ticket_id)[-1]
            return _done(connection, ticket_id, written.id)
    except Refused as error:
        with service.database.read() as connection:
            raise _why_not_written(connection, ticket_id, wish, error) from error


@router.post("/tickets/{ticket_id}/send-again", responses=described(404, 409))
def send_again(service: UsesService, caller: Officer, ticket_id: TicketId, wish: given.OfReply) -> Done:
    """Queue the same bytes of a failed or uncertain reply once more."""
    with service.database.begin() as connection:
        repeated = _reply(connection, ticket_id, wish.reply).status is ReplyStatus.APPROVED
        if not repeated:
            approval.send_again(connection, wish.reply, caller.name, service.clock())
        return _done(connection, ticket_id, wish.reply, repeated=repeated)


@router.post("/tickets/{ticket_id}/audit", responses=described(404, 409))
def choose_blind(
    service: UsesService, caller: Officer, ticket_id: TicketId, wish: given.BlindChoice
) -> BlindDone:
    """The choice of a blind audit, before the draft may be seen; no topics = a person must answer."""
    with service.database.begin() as connection:
        office = _office(connection, service, ticket_id)
        same = desk.choose_blind(connection, office, ticket_id, wish.topics, caller.name, service.clock())
    return BlindDone(ticket=ticket_id, same=same)


@router.post("/tickets/{ticket_id}/notes", status_code=201, responses=described(404, 409))
def note(service: UsesService, caller: Officer, ticket_id: TicketId, wish: given.NoteText) -> NoteDone:
    """Write a remark that vendors never see."""
    with service.database.begin() as connection:
        existing(connection, ticket_id)
        return NoteDone(note=desk.note(connection, ticket_id, wish.text, caller.name, service.clock()))


@router.put("/tickets/{ticket_id}/senior", responses=described(404, 409))
def ask_senior(service: UsesService, caller: Officer, ticket_id: TicketId, wish: given.Reasoned) -> Done:
    """Ask a senior to look; the reason becomes a note."""
    with service.database.begin() as connection:
        repeated = bool(existing(connection, ticket_id).senior)
        if not repeated:
            desk.flag_senior(connection, ticket_id, caller.name, service.clock(), wish.reason)
        return _done(connection, ticket_id, repeated=repeated)


@router.delete("/tickets/{ticket_id}/senior", responses=described(403, 404))
def senior_looked(service: UsesService, caller: Senior, ticket_id: TicketId) -> Done:
    """A senior has looked."""
    with service.database.begin() as connection:
        repeated = not existing(connection, ticket_id).senior
        if not repeated:
            desk.unflag_senior(connection, ticket_id, caller.name, service.clock())
        return _done(connection, ticket_id, repeated=repeated)


@router.post("/batches", responses=described(409))
def approve_batch(service: UsesService, caller: Officer, wish: given.Batch) -> BatchDone:
    """Approve drafts of one topic that stood together before one person; those refused change nothing."""
    shown = [desk.Shown(one.reply, one.sha256) for one in wish.drafts]
    with service.database.begin() as connection:
        done = desk.approve_batch(
            connection,
            shown,
            wish.topic,
            caller.name,
            service.clock(),
            undo_seconds=service.settings.policy.undo_seconds,
        )
    said = words(caller.language)
    return BatchDone(approved=list(done.approved), refused=[refusal(said, one) for one in done.refused])


def _done(
    connection: Connection, ticket_id: int, reply_id: int | None = None, *, repeated: bool = False
) -> Done:
    row = lifecycle.reply(connection, reply_id) if reply_id is not None else None
    approved = row is not None and row.status is ReplyStatus.APPROVED
    return Done(
        ticket=ticket_id,
        status=existing(connection, ticket_id).status,
        reply=reply_id,
        reply_status=row.status if row is not None else None,
        leaves_at=row.next_try if row is not None and approved else None,
        repeated=repeated,
    )


def _reply(connection: Connection, ticket_id: int, reply_id: int) -> Row[Any]:
    row = lifecycle.reply(connection, reply_id)
    if row is None or row.ticket_id != ticket_id:
        raise not_found(f"reply {reply_id} of ticket {ticket_id}")
    return row


def _office(connection: Connection, service: Service, ticket_id: int) -> Office:
    return service.office(existing(connection, ticket_id).mailbox)


def _why_not(
    connection: Connection, ticket_id: int, reply_id: int, sha256: str, error: Refused
) -> ApiProblem:
    """What an approval was refused for, told from the records as they are by now."""
    shown = _reply(connection, ticket_id, reply_id)
    current = lifecycle.current_draft(connection, ticket_id)
    if current is None:
        return conflict(Code.DECIDED, error)
    if (current.id, current.sha256) != (reply_id, sha256):
        return conflict(Code.STALE, error, shown=_version(shown), current=_version(current))
    if lifecycle.latest_message_id(connection, ticket_id) != current.message_id:
        return conflict(Code.NEWER_MAIL, error)
    if unconfirmed_markers(current.text):
        return conflict(Code.UNCONFIRMED, error)
    return conflict(Code.REFUSED, error)


def _why_not_written(connection: Connection, ticket_id: int, wish: given.Draft, error: Refused) -> ApiProblem:
    current = lifecycle.current_draft(connection, ticket_id)
    if current is not None and current.id != wish.based_on:
        return conflict(Code.STALE, error, current=_version(current))
    if unconfirmed_markers(wish.text):
        return conflict(Code.UNCONFIRMED, error)
    return conflict(Code.REFUSED, error)


def _version(row: Row[Any]) -> Version:
    return Version(reply=row.id, sha256=row.sha256, text=row.text)
