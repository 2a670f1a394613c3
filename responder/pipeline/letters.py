"""The replies to one mail, as rows with frozen bytes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from responder.knowledge.checklist import Checklist
from responder.knowledge.topic import Topic
from responder.mail import compose, tokens
from responder.mail.message import Address
from responder.pipeline.case import Case
from responder.pipeline.office import Office
from responder.replies.freeze import Origin, Wording, freeze
from responder.replies.render import RenderedReply, VendorContext
from responder.tickets import audit
from responder.tickets.status import ReplyKind

VERSION = 1
"""Of a reply made by handling: a mail that is not handled yet has no reply."""


class Letters:
    """Makes the replies to one mail. Raises ContentError when topics or templates are broken."""

    def __init__(self, office: Office, case: Case, ticket_id: int, now: datetime) -> None:
        self._office = office
        self._case = case
        self._ticket_id = ticket_id
        self._now = now
        self._tag = tokens.subject_tag(office.key, ticket_id)

    def answer(self, topics: Sequence[str], *, automatic: bool) -> dict[str, Any]:
        chosen = [self._office.topics[slug] for slug in topics]
        today = self._now.astimezone(self._office.settings.service.zone).date()
        rendered = self._office.renderer.render_answer(
            chosen, self._vendor(), self._office.text, self._tag, today
        )
        return self._frozen(ReplyKind.ANSWER, rendered, chosen, automatic=automatic)

    def acknowledgement(self) -> dict[str, Any]:
        """Fixed text, to be sent without a person."""
        rendered = self._office.renderer.render_acknowledgement(self._vendor(), self._office.text, self._tag)
        return self._frozen(ReplyKind.ACKNOWLEDGEMENT, rendered, [], automatic=True)

    def documents_received(self, topic: Topic, checklist: Checklist) -> dict[str, Any]:
        """Which documents seem to have come and which are missing, for a person to check."""
        rendered = self._office.renderer.render_documents_received(
            topic, checklist, self._vendor(), self._office.text, self._tag
        )
        return self._frozen(ReplyKind.ACKNOWLEDGEMENT, rendered, [topic], automatic=False)

    def _vendor(self) -> VendorContext:
        mail = self._case.mail
        return VendorContext(name=mail.sender.name if mail.sender else "", language=mail.language)

    def _origin(self) -> Origin:
        mail, row = self._case.mail, self._case.row
        return Origin(
            id=row.id,
            mailbox=row.mailbox,
            identity=row.identity,
            message_id=mail.message_id,
            reply_references=compose.reply_references(mail.message_id, mail.references, mail.in_reply_to),
            reply_to=Address(mail.sender.name if mail.sender else "", self._case.screening.reply_address),
        )

    def _frozen(
        self, kind: ReplyKind, rendered: RenderedReply, topics: Sequence[Topic], *, automatic: bool
    ) -> dict[str, Any]:
        subject = rendered.subject or compose.reply_subject(self._case.mail.subject, self._tag)
        values = freeze(
            self._office.letterhead,
            self._origin(),
            Wording.of(rendered, subject, topics),
            ticket_id=self._ticket_id,
            kind=kind,
            version=VERSION,
            automatic=automatic,
            now=self._now,
        )
        queued = {"decided_by": audit.MACHINE, "decided_at": self._now, "next_try": self._now}
        waiting = {"decided_by": "", "decided_at": None, "next_try": None}
        return values | (queued if automatic else waiting)
