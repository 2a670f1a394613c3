"""What staff decide by moving a draft in their mail client: the records' side of it.

Each function is one transaction of the caller's and can be done again after a kill anywhere: what is decided already
stays as it is. Nothing is sent here; an approved version leaves by the outbox like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import Connection, Row, select

from responder.errors import Refused, UnsendableMail
from responder.mail import tokens
from responder.mail.addresses import message_ids
from responder.mail.headers import fields, split
from responder.pipeline import clientmail, editing
from responder.pipeline.clientmail import ClientMail, Content, Head
from responder.pipeline.office import Office
from responder.replies import approval
from responder.replies.render import unconfirmed_markers
from responder.tickets import audit, lifecycle, takeover
from responder.tickets.models import Message
from responder.tickets.status import Disposition, ReplyKind, ReplyStatus, TicketStatus
from responder.tickets.takeover import ACTOR

_LEFT_OR_LEAVING = frozenset(
    {ReplyStatus.APPROVED, ReplyStatus.SENDING, ReplyStatus.SENT, ReplyStatus.UNCERTAIN}
)
_DECIDED = _LEFT_OR_LEAVING | {ReplyStatus.FAILED}
_EDITED_HERE = f"edited by {ACTOR}"  # outcome of a version that the client's own change replaced


class Outcome(Enum):
    """What becomes of a mail in Approved or Rejected."""

    APPROVED = "approved"  # will leave; the mail is stored with us and can go
    REJECTED = "rejected"  # discarded, its words are kept
    KNOWN = "known"  # decided before with the same words: nothing to do but to take it away
    TURNED_DOWN = "turned down"  # stays where it is, the ticket says why
    FOREIGN = "foreign"  # no draft of ours: stays where it is


@dataclass(frozen=True, slots=True)
class Drafts:
    """What stands in Drafts, as seen before the other folders were read."""

    uidvalidity: int = 0
    uids: Collection[int] = frozenset()


@dataclass(frozen=True, slots=True)
class _Place:
    """The mail that is answered, and the version of ours that the client's Message-ID names, if it kept one."""

    ticket_id: int
    message_id: int
    named: Row[Any] | None


class _TurnedDown(Refused):
    """Why a mail in Approved is not sent, in Indonesian."""


def approve(
    connection: Connection, office: Office, mail: ClientMail, drafts: Drafts, now: datetime
) -> Outcome:
    """Send what stands in Approved, as it stands there, with all checks of any other approval."""
    place = _place(connection, office, mail.head)
    if place is None:
        return Outcome.FOREIGN
    ticket = takeover.lock(connection, place.ticket_id)
    assert ticket is not None
    try:
        with connection.begin_nested():
            outcome = _approve(connection, office, mail, place, ticket, now)
    except (Refused, UnsendableMail) as error:
        # Ours are in Indonesian; anything else is better told in English than not at all.
        _turned_down(connection, place, str(error), now)
        outcome = Outcome.TURNED_DOWN
    takeover.left_drafts(connection, place.message_id, drafts.uidvalidity, drafts.uids)
    return outcome


def reject(
    connection: Connection, office: Office, mail: ClientMail, drafts: Drafts, now: datetime
) -> Outcome:
    """Discard what stands in Rejected, also when it was approved and has not begun to leave."""
    place = _place(connection, office, mail.head)
    if place is None or mail.content is None:
        return Outcome.FOREIGN
    takeover.lock(connection, place.ticket_id)
    takeover.left_drafts(connection, place.message_id, drafts.uidvalidity, drafts.uids)
    known = takeover.versions(connection, place.message_id)
    same = [one for one in known if clientmail.says_the_same(mail.head, mail.content, one)]
    meant = [*same, place.named] if place.named is not None else same
    if any(_is_left_behind(one) for one in meant):
        return Outcome.KNOWN if same else Outcome.FOREIGN
    for one in known:
        if one.status is ReplyStatus.APPROVED and lifecycle.withdraw(connection, one.id):
            audit.record(connection, [audit.Entry(one.ticket_id, ACTOR, "undone", {"reply": one.id})], now)
    current = lifecycle.current_draft(connection, place.ticket_id)
    if current is None or current.message_id != place.message_id:
        return Outcome.KNOWN if same else Outcome.FOREIGN
    if not same and mail.content.text.strip():
        _edit(connection, office, mail, place, current, now)
    approval.reject(connection, place.ticket_id, ACTOR, now, "Konsep ditolak petugas di klien email.")
    return Outcome.REJECTED


def saved(
    connection: Connection,
    office: Office,
    reply_id: int,
    mail: ClientMail,
    uidvalidity: int,
    now: datetime,
) -> bool:
    """A draft stands in Drafts under another UID: its words become the draft's. False: a person took it over.

    What was approved and is being edited waits for another approval.
    """
    row = lifecycle.reply(connection, reply_id)
    if row is None or mail.content is None:
        return False
    takeover.lock(connection, row.ticket_id)
    if row.status not in {ReplyStatus.DRAFTED, ReplyStatus.APPROVED}:
        return True
    if clientmail.says_the_same(mail.head, mail.content, row):
        lifecycle.copy_placed(connection, row.id, uidvalidity, mail.head.uid)
        return True
    if not _goes_to(office, mail.head, row.recipient) or not mail.content.text.strip():
        return False
    if lifecycle.latest_message_id(connection, row.ticket_id) != row.message_id:
        return False
    if row.status is ReplyStatus.APPROVED and not lifecycle.withdraw(connection, row.id):
        return True
    place = _Place(row.ticket_id, row.message_id, row)
    edited = _edit(connection, office, mail, place, row, now)
    lifecycle.copy_placed(connection, edited, uidvalidity, mail.head.uid)
    takeover.left_drafts(connection, row.message_id, uidvalidity, {mail.head.uid})
    if row.status is ReplyStatus.APPROVED:
        reason = "Konsep diubah di klien email setelah disetujui; perlu disetujui lagi."
        lifecycle.set_ticket(connection, row.ticket_id, TicketStatus.NEEDS_APPROVAL, now, reason=reason)
    return True


def answers_of(row: Row[Any]) -> tuple[str, ...]:
    """The ids in In-Reply-To of our version `row`."""
    values = [value for name, value in fields(split(row.data)[0])[0] if name.lower() == "in-reply-to"]
    return message_ids(" ".join(values))


def is_version_of(office: Office, head: Head, row: Row[Any]) -> bool:
    """Whether a mail in Drafts may be our version `row` as a client stored it again."""
    if head.own_id == row.header_id:
        return True
    if head.delivered:
        return False
    same_mail = bool(set(head.answered) & set(answers_of(row)))
    same_tag = tokens.find_subject_tag(office.key, head.subject) == row.ticket_id
    return (same_mail or same_tag) and row.recipient.lower() in head.recipients


def _approve(
    connection: Connection,
    office: Office,
    mail: ClientMail,
    place: _Place,
    ticket: Row[Any],
    now: datetime,
) -> Outcome:
    content = mail.content
    if content is None:
        raise _TurnedDown(mail.unread)
    known = takeover.versions(connection, place.message_id)
    same = [one for one in known if clientmail.says_the_same(mail.head, content, one)]
    if any(one.status in _DECIDED for one in same):
        return Outcome.KNOWN
    if any(_answers(one) and one.status in _LEFT_OR_LEAVING for one in known):
        raise _TurnedDown("surat ini sudah dijawab dengan teks lain.")
    _check(connection, office, mail, content, place, ticket)
    current = lifecycle.current_draft(connection, place.ticket_id)
    stale = [*same, place.named] if place.named is not None else same
    if any(_is_left_behind(one) for one in stale if current is None or one.id != current.id):
        raise _TurnedDown("konsep ini sudah diganti atau ditolak di tempat lain; lihat konsep yang terbaru.")
    approved = next((one for one in same if current is not None and one.id == current.id), None)
    if approved is None:
        over = current if current is not None else place.named or _last_answer(known)
        edited = lifecycle.reply(connection, _edit(connection, office, mail, place, over, now))
        assert edited is not None
        approved = edited
    undo_seconds = office.settings.policy.undo_seconds
    approval.approve(connection, approved.id, approved.sha256, ACTOR, now, undo_seconds=undo_seconds)
    # On PostgreSQL a colleague's approval may have been committed since `known` was read.
    for one in takeover.versions(connection, place.message_id):
        if one.id != approved.id and _answers(one) and one.status in _LEFT_OR_LEAVING:
            raise _TurnedDown("surat ini baru saja dijawab di tempat lain.")
    return Outcome.APPROVED


def _check(
    connection: Connection,
    office: Office,
    mail: ClientMail,
    content: Content,
    place: _Place,
    ticket: Row[Any],
) -> None:
    if ticket.status is TicketStatus.CLOSED:
        raise _TurnedDown("tiket sudah ditutup.")
    if lifecycle.latest_message_id(connection, place.ticket_id) != place.message_id:
        raise _TurnedDown("ada surat baru dari penyedia yang belum dijawab konsep ini.")
    address = connection.scalar(select(Message.reply_address).where(Message.id == place.message_id)) or ""
    if not _goes_to(office, mail.head, address):
        raise _TurnedDown(
            "penerima diubah: balasan tiket hanya dapat dikirim ke alamat penyedia; "
            "untuk penerima lain kirimlah langsung dari klien email."
        )
    if not content.text.strip():
        raise _TurnedDown("isi surat kosong.")
    if markers := unconfirmed_markers(content.text):
        raise _TurnedDown(f"surat masih memuat “{markers[0]}”.")


def _edit(
    connection: Connection,
    office: Office,
    mail: ClientMail,
    place: _Place,
    over: Row[Any] | None,
    now: datetime,
) -> int:
    assert mail.content is not None
    text = clientmail.text_over(mail.content, over) if over is not None else mail.content.text
    return editing.edit(
        connection,
        office,
        place.ticket_id,
        text,
        ACTOR,
        now,
        over=over,
        subject=mail.head.subject,
        enclosed=mail.content.enclosed,
    )


def _turned_down(connection: Connection, place: _Place, why: str, now: datetime) -> None:
    waits = lifecycle.current_draft(connection, place.ticket_id) is not None
    lifecycle.set_ticket(
        connection,
        place.ticket_id,
        TicketStatus.NEEDS_APPROVAL if waits else TicketStatus.NEEDS_STAFF,
        now,
        reason=f"Tidak dikirim dari folder persetujuan: {why}",
    )
    detail = {"message": place.message_id, "why": why}
    audit.record(connection, [audit.Entry(place.ticket_id, ACTOR, "approval_turned_down", detail)], now)


def _place(connection: Connection, office: Office, head: Head) -> _Place | None:
    """Which mail a client's draft answers: by our Message-ID, the mail's, or the tag of a ticket with one mail."""
    if tokens.is_own_message_id(office.key, head.own_id):
        named = takeover.reply_with_id(connection, office.name, head.own_id)
        # The id of a version that never left is known to nobody outside.
        if named is not None and (not head.delivered or named.sent_at is None):
            return _Place(named.ticket_id, named.message_id, named)
    if head.delivered:
        return None
    row = takeover.answered_message(connection, office.name, head.answered)
    if row is not None:
        current = lifecycle.current_draft(connection, row.ticket_id)
        if current is not None and set(answers_of(current)) & set(head.answered):
            # The draft also answers a repeated mail that came under the same or another id.
            return _Place(current.ticket_id, current.message_id, None)
        return _Place(row.ticket_id, row.id, None)
    number = tokens.find_subject_tag(office.key, head.subject)
    ticket = lifecycle.ticket(connection, number) if number is not None else None
    if ticket is None or ticket.mailbox != office.name:
        return None
    of_people = [
        one.id
        for one in lifecycle.messages(connection, ticket.id)
        if one.kind == "person" and one.disposition is Disposition.TICKETED
    ]
    # With several mails nobody can tell which of them was on the screen.
    return _Place(ticket.id, of_people[0], None) if len(of_people) == 1 else None


def _last_answer(known: Sequence[Row[Any]]) -> Row[Any] | None:
    return next((one for one in reversed(known) if _answers(one)), None)


def _answers(row: Row[Any]) -> bool:
    """Whether a version answers; an automatic acknowledgement does not."""
    return not (row.automatic and row.kind is ReplyKind.ACKNOWLEDGEMENT)


def _is_left_behind(row: Row[Any]) -> bool:
    """Whether a version was replaced or rejected elsewhere, not by the client's own change or move."""
    if row.status is ReplyStatus.SUPERSEDED:
        return bool(row.outcome != _EDITED_HERE)
    return row.status is ReplyStatus.DISCARDED and bool(row.outcome != takeover.TAKEN_FROM_DRAFTS)


def _goes_to(office: Office, head: Head, address: str) -> bool:
    """Whether the mail is addressed to `address` and to nobody else but the office itself."""
    own = {one.lower() for one in (office.config.address, *office.config.aliases)}
    return set(head.recipients) - own == {address.lower()}
