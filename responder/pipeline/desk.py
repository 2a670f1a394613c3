"""What staff do at a ticket beyond deciding about a draft: the same operations for terminal, pages and API.

Each function is one step of the caller's transaction and leaves an event; `Refused` says what the rules forbid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from responder.errors import Refused
from responder.pipeline import editing
from responder.pipeline.office import Office
from responder.refusal import Refusal
from responder.replies import approval
from responder.tickets import audit, ledger, lifecycle, switches
from responder.tickets.models import StaffVerdict, Ticket
from responder.tickets.models_staff import Edit, Note, Presence, User

LONGEST_NOTE = 4_000  # characters
LONGEST_TEXT = 100_000  # characters of an answer; a long one has 5,000
VERSION_EVERY = timedelta(minutes=1)
"""Text that is saved within this of the last version takes its place; later it becomes a version of its own."""

LOOKING = timedelta(minutes=2)
EDITING = timedelta(minutes=5)
"""How long somebody counts as being at a ticket after the last sign of life."""

BATCH = 20
"""Drafts approved at once: what can be read on one page."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A draft as it stood on the page."""

    reply_id: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of each draft of a batch."""

    approved: tuple[int, ...]  # tickets
    refused: tuple[Refused, ...]  # what `approval.approve` raised


def note(connection: Connection, ticket_id: int, text: str, actor: str, now: datetime) -> int:
    """Write a remark that vendors never see; return its id. Raises Refused for an empty one or no such ticket."""
    text = text.strip()
    if not text:
        raise Refused(Refusal.EMPTY_NOTE, ticket=ticket_id)
    if len(text) > LONGEST_NOTE:
        raise Refused(Refusal.LONG_NOTE, ticket=ticket_id, most=LONGEST_NOTE)
    _ticket(connection, ticket_id)
    note_id = connection.execute(
        insert(Note).values(ticket_id=ticket_id, at=now, by=actor, text=text).returning(Note.id)
    ).scalar_one()
    _record(connection, ticket_id, actor, "noted", {"note": note_id}, now)
    return note_id


def flag_senior(connection: Connection, ticket_id: int, actor: str, now: datetime, reason: str = "") -> None:
    """Ask a senior to look; `reason` becomes a note. Raises Refused when one is asked already."""
    _ticket(connection, ticket_id)
    if not _set_senior(connection, ticket_id, True):
        raise Refused(Refusal.SENIOR_ASKED, ticket=ticket_id)
    if reason.strip():
        note(connection, ticket_id, reason, actor, now)
    _record(connection, ticket_id, actor, "flagged_senior", {}, now)


def unflag_senior(connection: Connection, ticket_id: int, actor: str, now: datetime) -> None:
    """A senior has looked. Raises Refused when none was asked."""
    if not _set_senior(connection, ticket_id, False):
        raise Refused(Refusal.SENIOR_NOT_ASKED, ticket=ticket_id)
    _record(connection, ticket_id, actor, "unflagged_senior", {}, now)


def hand_in(
    connection: Connection,
    office: Office,
    ticket_id: int,
    text: str,
    based_on: int | None,
    actor: str,
    now: datetime,
) -> int:
    """Make the typed text the ticket's draft; return the new reply's id.

    `based_on` is the draft that the text was written over (None: there was none). Raises Refused when another one
    stands there meanwhile, so that nobody's words are lost under somebody else's.
    """
    if len(text) > LONGEST_TEXT:
        raise Refused(Refusal.LONG_TEXT, ticket=ticket_id, most=LONGEST_TEXT)
    current = lifecycle.current_draft(connection, ticket_id)
    if (current.id if current is not None else None) != based_on:
        raise Refused(Refusal.MOVED, ticket=ticket_id)
    return editing.edit(connection, office, ticket_id, text, actor, now)


def hand_in_and_approve(
    connection: Connection,
    office: Office,
    ticket_id: int,
    text: str,
    based_on: int | None,
    actor: str,
    now: datetime,
) -> datetime:
    """Make the typed text the draft and approve exactly it; return when it leaves at the earliest. Raises Refused."""
    reply_id = hand_in(connection, office, ticket_id, text, based_on, actor, now)
    draft = lifecycle.reply(connection, reply_id)
    assert draft is not None
    return approval.approve(
        connection,
        reply_id,
        draft.sha256,
        actor,
        now,
        undo_seconds=office.settings.policy.undo_seconds,
    )


def approve_batch(
    connection: Connection,
    shown: Sequence[Shown],
    topic: str,
    actor: str,
    now: datetime,
    *,
    undo_seconds: int,
) -> Batch:
    """Approve drafts that stood together on one page, each only as it was shown; those refused change nothing.

    Raises Refused when one of them answers anything but `topic`, is a blind audit's, or there are more than BATCH.
    """
    if len(shown) > BATCH:
        raise Refused(Refusal.LARGE_BATCH, most=BATCH)
    rows = {one.reply_id: lifecycle.reply(connection, one.reply_id) for one in shown}
    for row in rows.values():
        if row is not None and list(row.topics) != [topic]:
            raise Refused(Refusal.OTHER_TOPIC, ticket=row.ticket_id, topic=topic)
        if row is not None and blind(connection, row.ticket_id) is not None:
            raise Refused(Refusal.BLIND_IN_BATCH, ticket=row.ticket_id)
    approved: list[int] = []
    refused: list[Refused] = []
    for one in shown:
        row = rows[one.reply_id]
        try:
            with connection.begin_nested():
                approval.approve(
                    connection,
                    one.reply_id,
                    one.sha256,
                    actor,
                    now,
                    undo_seconds=undo_seconds,
                    manner="batch",
                )
        except Refused as error:
            refused.append(error)
        else:
            assert row is not None
            approved.append(row.ticket_id)
    return Batch(tuple(approved), tuple(refused))


def blind(connection: Connection, ticket_id: int) -> Row[Any] | None:
    """The verdict of the ticket's newest mail while it waits for a blind choice; None when nothing is hidden."""
    newest = lifecycle.latest_message_id(connection, ticket_id)
    return connection.execute(
        select(StaffVerdict.__table__).where(
            StaffVerdict.ticket_id == ticket_id,
            StaffVerdict.message_id == newest,
            StaffVerdict.blind,
            StaffVerdict.decided_at.is_(None),
        )
    ).first()


def choose_blind(
    connection: Connection, office: Office, ticket_id: int, topics: Sequence[str], actor: str, now: datetime
) -> bool:
    """Record which topics staff name for a mail before they see ours; () = a person must answer.

    A waiting draft of other topics is drafted again with the chosen ones. Returns whether both say the same.
    Raises Refused when no blind choice is open or a topic is unknown.
    """
    verdict = blind(connection, ticket_id)
    if verdict is None:
        raise Refused(Refusal.TOPIC_CHOSEN, ticket=ticket_id)
    chosen = list(dict.fromkeys(topics))
    if unknown := [slug for slug in chosen if slug not in office.topics]:
        raise Refused(Refusal.NO_TOPIC, topic=unknown[0], known=", ".join(office.topics))
    same = sorted(chosen) == sorted(verdict.topics)
    decision = "approved" if same and chosen else "retopiced" if chosen else "by_hand"
    lifecycle.decide_verdict(
        connection,
        verdict.message_id,
        decision=decision,
        topics=chosen,
        manner="audit",
        actor=actor,
        now=now,
    )
    _record(connection, ticket_id, actor, "audited", {"topics": chosen, "same": same}, now)
    draft = lifecycle.current_draft(connection, ticket_id)
    if chosen and draft is not None and sorted(draft.topics) != sorted(chosen):
        editing.retopic(connection, office, ticket_id, chosen, actor, now)
    return same


def reveal(connection: Connection, ticket_id: int, actor: str, now: datetime) -> None:
    """Note that somebody looked at the masked numbers and passwords of a ticket."""
    _ticket(connection, ticket_id)
    _record(connection, ticket_id, actor, "revealed", {}, now)


def keep_edit(
    connection: Connection, ticket_id: int, user_id: int, based_on: int | None, text: str, now: datetime
) -> None:
    """Save what somebody types and has not handed in."""
    text = text[:LONGEST_TEXT]
    last = kept_edit(connection, ticket_id, user_id)
    if last is not None and last.text == text and last.reply_id == based_on:
        return
    if last is not None and last.reply_id == based_on and now - last.saved_at < VERSION_EVERY:
        # Its time stays that of its beginning, or an hour of typing would be one version.
        connection.execute(update(Edit).where(Edit.id == last.id).values(text=text))
        return
    connection.execute(
        insert(Edit).values(ticket_id=ticket_id, user_id=user_id, reply_id=based_on, text=text, saved_at=now)
    )


def kept_edit(connection: Connection, ticket_id: int, user_id: int) -> Row[Any] | None:
    """The last version of what this account typed at the ticket; None when nothing waits."""
    return connection.execute(
        select(Edit.__table__)
        .where(Edit.ticket_id == ticket_id, Edit.user_id == user_id)
        .order_by(Edit.saved_at.desc(), Edit.id.desc())
        .limit(1)
    ).first()


def drop_edits(connection: Connection, ticket_id: int, user_id: int) -> None:
    """The text was handed in, or its writer gave it up."""
    connection.execute(delete(Edit).where(Edit.ticket_id == ticket_id, Edit.user_id == user_id))


def present(
    connection: Connection, ticket_id: int, user_id: int, now: datetime, *, editing: bool = False
) -> None:
    """Somebody looks at the ticket, or writes in it; ends by itself."""
    switches.upsert(
        connection,
        Presence,
        {"ticket_id": ticket_id, "user_id": user_id},
        {"editing": editing, "until": now + (EDITING if editing else LOOKING)},
    )


def gone(connection: Connection, ticket_id: int, user_id: int) -> None:
    connection.execute(delete(Presence).where(Presence.ticket_id == ticket_id, Presence.user_id == user_id))


def others(connection: Connection, ticket_id: int, user_id: int, now: datetime) -> Sequence[Any]:
    """(name, full_name, editing) of everybody else at the ticket, writers first."""
    return connection.execute(
        select(User.name, User.full_name, Presence.editing)
        .join(User, User.id == Presence.user_id)
        .where(Presence.ticket_id == ticket_id, Presence.user_id != user_id, Presence.until > now)
        .order_by(Presence.editing.desc(), User.name)
    ).all()


def retry_quarantined(connection: Connection, message_id: int, actor: str, now: datetime) -> None:
    """Put a message of the quarantine back to work. Raises Refused when it is not there."""
    if not ledger.retry_quarantined(connection, message_id):
        raise Refused(Refusal.NOT_IN_QUARANTINE, message=message_id)
    _record(connection, audit.INSTALLATION, actor, "quarantine_retried", {"message": message_id}, now)


def close_quarantined(connection: Connection, message_id: int, actor: str, now: datetime) -> None:
    """Set a message of the quarantine aside: nobody needs to look at it. Raises Refused when it is not there."""
    if not ledger.close_quarantined(connection, message_id, f"set aside by {actor}"):
        raise Refused(Refusal.NOT_IN_QUARANTINE, message=message_id)
    _record(connection, audit.INSTALLATION, actor, ledger.QUARANTINE_CLOSED, {"message": message_id}, now)


def _ticket(connection: Connection, ticket_id: int) -> Row[Any]:
    row = lifecycle.ticket(connection, ticket_id)
    if row is None:
        raise Refused(Refusal.NO_TICKET, ticket=ticket_id)
    return row


def _set_senior(connection: Connection, ticket_id: int, wanted: bool) -> bool:
    changed = update(Ticket).where(Ticket.id == ticket_id, Ticket.senior.is_not(wanted))
    return connection.execute(changed.values(senior=wanted)).rowcount == 1


def _record(
    connection: Connection, ticket_id: int, actor: str, action: str, detail: dict[str, Any], now: datetime
) -> None:
    audit.record(connection, [audit.Entry(ticket_id, actor, action, detail)], now)
