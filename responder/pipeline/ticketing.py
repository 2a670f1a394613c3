"""A person's mail becomes a ticket, or joins one, with a draft, an automatic reply or a flag for staff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from responder.classifier.decision import Outcome as Certainty
from responder.knowledge.checklist import Checklist, check
from responder.knowledge.topic import Topic
from responder.mail import addresses, tokens
from responder.pipeline.batch import Batch, Decided, Outcome
from responder.pipeline.case import Case, handled
from responder.pipeline.letters import Letters
from responder.pipeline.office import Office
from responder.replies import policy
from responder.replies.freeze import content_version
from responder.replies.policy import Course, Ruling
from responder.replies.reason_words import told
from responder.tickets import audit, brakes, ledger, lifecycle, threading
from responder.tickets.status import Disposition, ReplyKind, ReplyStatus, TicketStatus

ACKNOWLEDGED_STATUSES = frozenset(
    {ReplyStatus.APPROVED, ReplyStatus.SENDING, ReplyStatus.SENT, ReplyStatus.UNCERTAIN}
)
"""A reply in one of these has left or is allowed to: an earlier question counts as answered."""


def find_ticket(connection: Connection, office: Office, case: Case) -> threading.Joined:
    """The ticket this mail belongs to (rule 48): by our ids, a verified subject tag or plus address."""
    mail = case.mail
    sender = mail.sender.address if mail.sender else ""
    ids, number = (*mail.in_reply_to, *mail.references), _named(office, case)
    joined = threading.find(connection, office.name, sender, ids, number)
    if joined.ticket_id is not None or not (ids or number):
        return joined
    # In a ticket whose content was erased ids and participants are pseudonyms.
    pseudonym = office.pseudonyms.address(sender)
    ids = (*ids, *map(office.pseudonyms.header_id, ids))
    found = threading.find(connection, office.name, pseudonym, ids, number)
    return found if found.ticket_id is not None else joined


def _named(office: Office, case: Case) -> int | None:
    """The ticket number that a verified subject tag or plus address names."""
    mail = case.mail
    number = tokens.find_subject_tag(office.key, mail.subject)
    if number is None:
        found = (tokens.number_from_address(office.key, one.address) for one in (*mail.to, *mail.cc))
        number = next((one for one in found if one is not None), None)
    return number


def write(batch: Batch, case: Case, seen: Mapping[str, Any]) -> None:
    """Decide what becomes of one mail: ticket, reply, verdict and events, written with the batch.

    `seen` are the values of its ledger row.
    """
    sender = case.mail.sender.address if case.mail.sender else ""
    mail = case.mail
    joined, repeated = threading.Joined(None), None
    alone = not (mail.in_reply_to or mail.references or _named(batch.office, case) is not None)
    if not alone or batch.has_open_ticket(sender):
        connection = batch.settled()
        joined = find_ticket(connection, batch.office, case)
        if joined.ticket_id is None and sender:
            repeated = threading.same_mail_open(connection, batch.office.name, sender, mail.new_text)
    ticket_id = joined.ticket_id or repeated
    desk = _Desk(batch, case, seen)
    if repeated is not None:
        desk.note_repetition(repeated)
    else:
        desk.take(joined, ticket_id)
    if ticket_id is not None:
        batch.write()
    batch.seen(case, desk.ticket_id)


class _Desk:
    """Decides about one mail of a person and makes its rows."""

    def __init__(self, batch: Batch, case: Case, seen: Mapping[str, Any]) -> None:
        assert case.decision is not None
        self._batch = batch
        self._office = batch.office
        self._case = case
        self._seen = seen
        self._decision = case.decision
        self._sender = case.mail.sender.address if case.mail.sender else ""
        self._audited = False
        self.ticket_id = 0

    def note_repetition(self, ticket_id: int) -> None:
        """The same mail again while its ticket is open (rule 19): no draft of its own."""
        self.ticket_id = ticket_id
        connection, now = self._batch.connection, self._batch.now
        ledger.finish(connection, **self._message())
        _answer_the_newest_copy(connection, ticket_id, self._case)
        topics = _topics_to_answer(connection, ticket_id, self._decision.topics, first=False)
        lifecycle.add_verdicts(connection, [self._verdict(topics)])
        events = [self._received(topics), self._event("repeated", {})]
        audit.record(connection, events, now)
        why = "the same mail again while its ticket is open (rule 19)"
        self._batch.done.append(handled(self._case, "note", ticket_id, why=why))

    def take(self, joined: threading.Joined, ticket_id: int | None) -> None:
        """Open a ticket or go on with the one that was joined, and say what is to be answered."""
        batch, case, office = self._batch, self._case, self._office
        first = ticket_id is None
        self._audited = first and _chosen_for_audit(office, case)
        self.ticket_id = self._open() if ticket_id is None else ticket_id
        topics = _topics_to_answer(batch.connection, self.ticket_id, self._decision.topics, first=first)
        checklist = _submission(office, case)
        ruling = policy.decide(
            policy.Situation(
                screening=case.screening,
                decision=self._decision,
                mode=office.settings.policy.mode,
                arming=batch.live.arming,
                received=case.row.internal_date,
                levels=batch.live.levels,
                content_problems=_content_problems(office, topics, batch),
                acknowledgements=office.settings.policy.acknowledge,
                first_mail=first,
                audited=self._audited,
                address_note=batch.note(self._sender, case.screening.reply_address),
                extra=_extra(joined, checklist, reused_id=batch.reuses_an_id(case)),
            )
        )
        if case.screening.stop_request and self._sender:
            batch.note_address(self._sender, "pengirim meminta tidak dikirimi surat otomatis")
        kind = _automatic_kind(ruling, checklist, case)
        wanted = None
        if kind is not None:
            answered = tuple(topics) if kind is ReplyKind.ANSWER else ()
            address = addresses.mailbox_key(case.screening.reply_address)
            wanted = brakes.Wanted(address, kind.value, answered)
        batch.add(
            case,
            Decided(
                message=self._message(),
                ticket_id=self.ticket_id,
                opened={"ticket_id": self.ticket_id, "address": self._vendor_address} if first else None,
                verdict=self._verdict(topics),
                wanted=wanted,
                outcome=lambda refusal: self._outcome(topics, ruling, checklist, kind, refusal),
            ),
        )

    def _outcome(
        self,
        topics: Sequence[str],
        ruling: Ruling,
        checklist: tuple[Topic, Checklist] | None,
        automatic: ReplyKind | None,
        refusal: brakes.Refusal | None,
    ) -> Outcome:
        """The rows of this mail; a refusal of the brakes makes a draft of an automatic answer."""
        if refusal is not None and automatic is ReplyKind.ANSWER:
            blockers = (f"Rem pengiriman otomatis: {told(refusal.reason)}",)
            ruling = replace(ruling, course=Course.APPROVAL, blockers=blockers)
        if refusal is not None:
            automatic = None
        letters = Letters(self._office, self._case, self.ticket_id, self._batch.now)
        reply = None
        if automatic is ReplyKind.ACKNOWLEDGEMENT:
            reply = letters.acknowledgement()
        elif ruling.course in {Course.AUTOMATIC, Course.APPROVAL}:
            reply = letters.answer(topics, automatic=automatic is not None)
        elif checklist is not None and self._case.screening.reply_address:
            reply = letters.documents_received(*checklist)
        if reply is not None and reply["status"] is ReplyStatus.DRAFTED:
            lifecycle.retire_drafts(
                self._batch.connection, self.ticket_id, ReplyStatus.SUPERSEDED, "a newer mail came"
            )
        why = " ".join(ruling.blockers) or self._decision.explanation
        return Outcome(
            handled(self._case, ruling.course.value, self.ticket_id, why=why),
            {
                "ticket": self.ticket_id,
                "status": _STATUS[ruling.course],
                "updated_at": self._batch.now,
                "topics": list(topics),
                "confidence": dict(self._decision.confidence),
                "reason": why,
            },
            reply,
            (self._received(topics), self._event(ruling.course.value, {"why": why})),
        )

    @property
    def _vendor_address(self) -> str:
        return self._sender or self._case.screening.reply_address

    def _open(self) -> int:
        sender = self._case.mail.sender
        return lifecycle.number_ticket(
            self._batch.connection,
            {
                "mailbox": self._office.name,
                "status": TicketStatus.NEEDS_STAFF,
                "subject": self._case.mail.subject,
                "vendor_address": self._vendor_address,
                "vendor_name": sender.name if sender else "",
                "language": self._case.mail.language,
                "created_at": self._batch.now,
                "updated_at": self._batch.now,
            },
        )

    def _message(self) -> dict[str, Any]:
        ended = {"disposition": Disposition.TICKETED, "ticket_id": self.ticket_id}
        return {"message_id": self._case.row.id, **ended, **self._seen}

    def _verdict(self, topics: Sequence[str]) -> dict[str, Any]:
        return {
            "ticket_id": self.ticket_id,
            "message_id": self._case.row.id,
            "predicted": self._decision.outcome.value,
            "topics": list(self._decision.topics),
            "confidence": dict(self._decision.confidence),
            "reason": self._decision.reason,
            "model_version": self._office.classifier.version,
            "content_version": self._content_version(topics),
            "predicted_at": self._batch.now,
            "blind": self._audited,
        }

    def _content_version(self, topics: Sequence[str]) -> str:
        return content_version([self._office.topics[slug].digest for slug in topics])

    def _received(self, topics: Sequence[str]) -> audit.Entry:
        detail = {
            "verdict": self._case.screening.verdict.value,
            "outcome": self._decision.outcome.value,
            "topics": list(self._decision.topics),
            "model": self._office.classifier.version,
            "content": self._content_version(topics),
        }
        return self._event("received", detail)

    def _event(self, action: str, detail: Mapping[str, Any]) -> audit.Entry:
        return audit.Entry(self.ticket_id, audit.MACHINE, action, {"message": self._case.row.id, **detail})


_STATUS = {
    Course.AUTOMATIC: TicketStatus.ANSWERED,
    Course.APPROVAL: TicketStatus.NEEDS_APPROVAL,
    Course.FLAGGED: TicketStatus.NEEDS_STAFF,
}


def _automatic_kind(
    ruling: Ruling, checklist: tuple[Topic, Checklist] | None, case: Case
) -> ReplyKind | None:
    """What may leave without a person, if the brakes allow it."""
    if ruling.course is Course.AUTOMATIC:
        return ReplyKind.ANSWER
    # Where documents seem to be handed in, a person checks what is said about them.
    if ruling.course is Course.FLAGGED and ruling.acknowledge and checklist is None:
        return ReplyKind.ACKNOWLEDGEMENT if case.screening.reply_address else None
    return None


def _topics_to_answer(
    connection: Connection, ticket_id: int, topics: Sequence[str], *, first: bool
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


def _content_problems(office: Office, topics: Sequence[str], batch: Batch) -> list[str]:
    today = batch.now.astimezone(office.settings.service.zone).date()
    found = [problem for slug in topics for problem in office.topics[slug].problems(today)]
    shown = {link.url for slug in topics for link in office.topics[slug].links}
    return found + [f"tautan tidak dapat dibuka: {url}" for url in sorted(shown & batch.live.dead_links)]


def _chosen_for_audit(office: Office, case: Case) -> bool:
    """Audits prove what may leave by itself: first mails that the classifier is sure of and a draft answers."""
    sure = case.decision is not None and case.decision.outcome is Certainty.AUTO
    if not (sure and case.screening.reply_address):
        return False
    share = office.settings.policy.audit_share
    return policy.chosen_for_audit(office.key, office.name, case.row.identity, share)


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
