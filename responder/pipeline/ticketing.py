"""A person's mail becomes a ticket, or joins one, with a draft, an automatic reply or a flag for staff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection, insert, select

from responder.errors import Refused
from responder.knowledge.checklist import Checklist, check
from responder.knowledge.topic import Topic
from responder.mail import addresses, compose, tokens
from responder.mail.message import Address
from responder.pipeline.case import Case, Handled, handled
from responder.pipeline.office import Office
from responder.replies import policy
from responder.replies.freeze import Origin, Wording, content_version, freeze
from responder.replies.policy import Course, Ruling
from responder.replies.render import RenderedReply, VendorContext
from responder.tickets import audit, brakes, ledger, lifecycle, switches, threading
from responder.tickets.models import Message, StaffVerdict
from responder.tickets.status import Disposition, ReplyKind, ReplyStatus, TicketStatus

log = structlog.get_logger("responder.ticketing")

ACKNOWLEDGED_STATUSES = frozenset(
    {ReplyStatus.APPROVED, ReplyStatus.SENDING, ReplyStatus.SENT, ReplyStatus.UNCERTAIN}
)
"""A reply in one of these has left or is allowed to: an earlier question counts as answered."""


@dataclass(frozen=True, slots=True)
class Live:
    """The switches as they stand in this transaction."""

    arming: switches.Arming
    levels: Mapping[str, str]


def live(connection: Connection, office: Office) -> Live:
    return Live(switches.arming(connection), switches.levels(connection, office.name))


def find_ticket(connection: Connection, office: Office, case: Case) -> threading.Joined:
    """The ticket this mail belongs to (rule 48): by our ids, a verified subject tag or plus address."""
    mail = case.mail
    sender = mail.sender.address if mail.sender else ""
    number = tokens.find_subject_tag(office.key, mail.subject)
    if number is None:
        found = (tokens.number_from_address(office.key, one.address) for one in (*mail.to, *mail.cc))
        number = next((one for one in found if one is not None), None)
    return threading.find(connection, office.name, sender, (*mail.in_reply_to, *mail.references), number)


def write(
    connection: Connection, office: Office, switched: Live, case: Case, seen: Mapping[str, Any], now: datetime
) -> Handled:
    """Write ticket, reply, verdict and events of one mail in the caller's savepoint."""
    mail, decision = case.mail, case.decision
    assert decision is not None
    sender = mail.sender.address if mail.sender else ""
    joined = find_ticket(connection, office, case)
    repeated = None
    if joined.ticket_id is None and sender:
        repeated = threading.same_mail_open(connection, office.name, sender, mail.new_text)
    ticket_id = joined.ticket_id or repeated
    first = ticket_id is None
    if ticket_id is None:
        ticket_id = _open(connection, office, case, now)
    if not ledger.finish(connection, case.row.id, Disposition.TICKETED, ticket_id=ticket_id, **seen):
        raise Refused(f"message {case.row.id} was handled by another worker")
    topics = _topics_to_answer(connection, ticket_id, decision.topics, first)
    checklist = _submission(office, case)
    notes = switches.address_notes(
        connection, {addresses.mailbox_key(one) for one in (sender, case.screening.reply_address) if one}
    )
    ruling = policy.decide(
        policy.Situation(
            screening=case.screening,
            decision=decision,
            mode=office.settings.policy.mode,
            arming=switched.arming,
            received=case.row.internal_date,
            levels=switched.levels,
            content_problems=_content_problems(office, topics, now),
            acknowledgements=office.settings.policy.acknowledge,
            first_mail=first,
            address_note=next(iter(notes.values()), ""),
            extra=_extra(joined, checklist, reused_id=_reuses_an_id(connection, office, case)),
        )
    )
    if case.screening.stop_request and sender:
        wish = "pengirim meminta tidak dikirimi surat otomatis"
        switches.note_address(connection, addresses.mailbox_key(sender), wish, now)
    entries = [_predicted(connection, office, case, ticket_id, topics, now)]
    if repeated is not None:
        _answer_the_newest_copy(connection, ticket_id, case)
        entries.append(audit.Entry(ticket_id, audit.MACHINE, "repeated", {"message": case.row.id}))
        audit.record(connection, entries, now)
        return handled(case, "note", ticket_id, why="the same mail again while its ticket is open (rule 19)")
    writer = _Writer(connection, office, case, ticket_id, now)
    course = ruling.course
    if course is Course.AUTOMATIC:
        ruling = writer.automatic(topics, ruling)
        course = ruling.course
    if course is Course.APPROVAL:
        writer.draft(topics)
        status = TicketStatus.NEEDS_APPROVAL
    elif course is Course.FLAGGED:
        writer.flagged(ruling, checklist)
        status = TicketStatus.NEEDS_STAFF
    else:
        status = TicketStatus.ANSWERED
    why = " ".join(ruling.blockers) or decision.explanation
    lifecycle.set_ticket(
        connection,
        ticket_id,
        status,
        now,
        topics=list(topics),
        confidence=dict(decision.confidence),
        reason=why,
    )
    entries.append(audit.Entry(ticket_id, audit.MACHINE, course.value, {"message": case.row.id, "why": why}))
    audit.record(connection, entries, now)
    return handled(case, course.value, ticket_id, why=why)


def _open(connection: Connection, office: Office, case: Case, now: datetime) -> int:
    sender = case.mail.sender
    return lifecycle.open_ticket(
        connection,
        {
            "mailbox": office.name,
            "status": TicketStatus.NEEDS_STAFF,
            "subject": case.mail.subject,
            "vendor_address": sender.address if sender else case.screening.reply_address,
            "vendor_name": sender.name if sender else "",
            "language": case.mail.language,
            "created_at": now,
            "updated_at": now,
        },
    )


def _topics_to_answer(
    connection: Connection, ticket_id: int, topics: Sequence[str], first: bool
) -> tuple[str, ...]:
    """The topics of this mail, after those of an earlier mail in the ticket that nobody has answered."""
    if first:
        return tuple(topics)
    replies = lifecycle.replies(connection, ticket_id)
    if any(
        reply.status in ACKNOWLEDGED_STATUSES and reply.kind is not ReplyKind.ACKNOWLEDGEMENT
        for reply in replies
    ):
        return tuple(topics)
    waiting = lifecycle.current_draft(connection, ticket_id)
    earlier = waiting.topics if waiting is not None else []
    return tuple(dict.fromkeys([*earlier, *topics]))


def _content_problems(office: Office, topics: Sequence[str], now: datetime) -> list[str]:
    today = now.astimezone(office.settings.service.zone).date()
    return [problem for slug in topics for problem in office.topics[slug].problems(today)]


def _submission(office: Office, case: Case) -> tuple[Topic, Checklist] | None:
    """The topic that the mail seems to hand in documents for, with what came and what seems to be missing."""
    names = [one.name for one in case.mail.attachments if not one.inline]
    if not names or case.decision is None:
        return None
    for slug in case.decision.likeliest():
        topic = office.topics[slug]
        if topic.documents:
            found = check(topic, names, case.mail.new_text)
            if found.seems_submission:
                return topic, found
    return None


def _reuses_an_id(connection: Connection, office: Office, case: Case) -> bool:
    """Whether another mail came with this Message-ID (rule 50): sent again by another way, or forged."""
    if not case.mail.message_id:
        return False
    earlier = select(Message.id).where(
        Message.mailbox == office.name,
        Message.header_id == case.mail.message_id,
        Message.identity != case.row.identity,
    )
    return connection.execute(earlier.limit(1)).first() is not None


def _answer_the_newest_copy(connection: Connection, ticket_id: int, case: Case) -> None:
    """A waiting draft answers the repeated mail too: without this it would be stale and nobody could approve it."""
    draft = lifecycle.current_draft(connection, ticket_id)
    if draft is not None:
        drafted = ReplyStatus.DRAFTED
        lifecycle.move_reply(connection, draft.id, drafted, drafted, message_id=case.row.id)


def _extra(
    joined: threading.Joined, checklist: tuple[Topic, Checklist] | None, *, reused_id: bool
) -> list[str]:
    found = []
    if reused_id:
        found.append("Message-ID surat ini sudah dipakai surat lain: dikirim ulang atau dipalsukan.")
    if joined.claimed is not None:
        found.append(f"Menyebut tiket {joined.claimed} tetapi pengirim bukan pesertanya.")
    if checklist is not None:
        found.append(f"Tampaknya menyerahkan dokumen untuk “{checklist[0].title}”.")
    return found


def _predicted(
    connection: Connection, office: Office, case: Case, ticket_id: int, topics: Sequence[str], now: datetime
) -> audit.Entry:
    """Keep what was predicted, from the first day, beside which staff's decision will stand."""
    decision = case.decision
    assert decision is not None
    version = content_version([office.topics[slug].digest for slug in topics])
    connection.execute(
        insert(StaffVerdict).values(
            ticket_id=ticket_id,
            message_id=case.row.id,
            predicted=decision.outcome.value,
            topics=list(decision.topics),
            confidence=dict(decision.confidence),
            reason=decision.reason,
            model_version=office.classifier.version,
            content_version=version,
            predicted_at=now,
        )
    )
    detail = {
        "message": case.row.id,
        "verdict": case.screening.verdict.value,
        "outcome": decision.outcome.value,
        "topics": list(decision.topics),
        "model": office.classifier.version,
        "content": version,
    }
    return audit.Entry(ticket_id, audit.MACHINE, "received", detail)


class _Writer:
    """Writes the replies of one mail."""

    def __init__(
        self, connection: Connection, office: Office, case: Case, ticket_id: int, now: datetime
    ) -> None:
        self._connection = connection
        self._office = office
        self._case = case
        self._ticket_id = ticket_id
        self._now = now
        self._tag = tokens.subject_tag(office.key, ticket_id)
        self._today = now.astimezone(office.settings.service.zone).date()

    def automatic(self, topics: Sequence[str], ruling: Ruling) -> Ruling:
        """Queue an automatic answer unless a brake holds; then the ruling becomes APPROVAL, with the reason."""
        refusal = self._queue(ReplyKind.ANSWER, self._answer(topics), topics)
        if refusal is None:
            return ruling
        return replace(ruling, course=Course.APPROVAL, blockers=(f"Rem pengiriman otomatis: {refusal}",))

    def draft(self, topics: Sequence[str]) -> None:
        self._waiting(ReplyKind.ANSWER, self._answer(topics))

    def flagged(self, ruling: Ruling, checklist: tuple[Topic, Checklist] | None) -> None:
        """A person must answer: at most an acknowledgement leaves, or a drafted one names missing documents."""
        if not self._case.screening.reply_address:
            return
        if checklist is not None:
            rendered = self._office.renderer.render_documents_received(
                *checklist, self._vendor(), self._office.text, self._tag
            )
            self._waiting(ReplyKind.ACKNOWLEDGEMENT, self._wording(rendered, [checklist[0]]))
        elif ruling.acknowledge:
            rendered = self._office.renderer.render_acknowledgement(
                self._vendor(), self._office.text, self._tag
            )
            self._queue(ReplyKind.ACKNOWLEDGEMENT, self._wording(rendered, []), ())

    def _answer(self, topics: Sequence[str]) -> Wording:
        chosen = [self._office.topics[slug] for slug in topics]
        rendered = self._office.renderer.render_answer(
            chosen, self._vendor(), self._office.text, self._tag, self._today
        )
        return self._wording(rendered, chosen)

    def _wording(self, rendered: RenderedReply, topics: Sequence[Topic]) -> Wording:
        subject = rendered.subject or compose.reply_subject(self._case.mail.subject, self._tag)
        return Wording.of(rendered, subject, topics)

    def _vendor(self) -> VendorContext:
        mail = self._case.mail
        return VendorContext(name=mail.sender.name if mail.sender else "", language=mail.language)

    def _origin(self) -> Origin:
        mail, row = self._case.mail, self._case.row
        name = mail.sender.name if mail.sender else ""
        return Origin(
            id=row.id,
            mailbox=row.mailbox,
            identity=row.identity,
            message_id=mail.message_id,
            reply_references=compose.reply_references(mail.message_id, mail.references, mail.in_reply_to),
            reply_to=Address(name, self._case.screening.reply_address),
        )

    def _queue(self, kind: ReplyKind, wording: Wording, topics: Sequence[str]) -> str | None:
        """Queue an automatic reply in one step with its brakes (rule 25); return why not, or None."""
        limits = self._office.settings.policy.brakes
        with self._connection.begin_nested() as savepoint:
            refusal = brakes.reserve(
                self._connection,
                brakes.Limits(**limits.model_dump()),
                addresses.mailbox_key(self._case.screening.reply_address),
                kind.value,
                topics,
                self._now,
            )
            if refusal is None:
                values = self._frozen(kind, wording, automatic=True)
                values |= {"decided_by": audit.MACHINE, "decided_at": self._now, "next_try": self._now}
                lifecycle.add_reply(self._connection, values)
                return None
            savepoint.rollback()
        if refusal.service_wide:
            log.error("automatic sending stopped", mailbox=self._office.name, why=refusal.reason)
            switches.trip_breaker(self._connection, refusal.reason, self._now)
        return refusal.reason

    def _waiting(self, kind: ReplyKind, wording: Wording) -> None:
        lifecycle.retire_drafts(
            self._connection, self._ticket_id, ReplyStatus.SUPERSEDED, "a newer mail came"
        )
        lifecycle.add_reply(self._connection, self._frozen(kind, wording, automatic=False))

    def _frozen(self, kind: ReplyKind, wording: Wording, *, automatic: bool) -> dict[str, Any]:
        return freeze(
            self._office.letterhead,
            self._origin(),
            wording,
            ticket_id=self._ticket_id,
            kind=kind,
            version=lifecycle.next_version(self._connection, self._case.row.id),
            automatic=automatic,
            now=self._now,
        )
