"""The page of one ticket: the vendor's mail beside the draft, and everything that helps to decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from responder.errors import ContentError, Refused
from responder.knowledge import checklist
from responder.knowledge.places import unconfirmed_markers
from responder.mail import masking, tokens
from responder.pipeline.office import Office
from responder.refusal import Refusal
from responder.replies.render import VendorContext
from responder.tickets import queues
from responder.tickets.status import ReplyKind
from responder.web import attachments, marking, nav, reading, timeline
from responder.web.pages import render
from responder.web.place import At, Place
from responder.web.reading import Desk
from responder.web.service import Service, UsesService
from responder.web.visitors import Reads, Visitor

router = APIRouter()

EARLIER_TEXT = 4_000  # characters of each earlier mail
CHOICES = 3
"""Topics with a key of their own."""


@router.get("/tiket/{ticket_id}")
def ticket(
    request: Request, service: UsesService, visitor: Reads, ticket_id: int, at: At, setelah: int = 0
) -> Response:
    return ticket_page(request, service, visitor, ticket_id, at, decided=setelah)


@router.get("/tiket/{ticket_id}/{anything:path}")
def back(visitor: Reads, ticket_id: int, anything: str, at: At) -> Response:
    """The address of a form, reloaded: back to the ticket."""
    return RedirectResponse(at.ticket_url(ticket_id), 303)


def ticket_page(
    request: Request,
    service: Service,
    visitor: Visitor,
    ticket_id: int,
    at: Place,
    *,
    decided: int = 0,
    revealed: bool = False,
    problem: str = "",
    note: str = "",
    difference: Sequence[marking.Piece] = (),
    status: int = 200,
    push: str | None = None,
) -> Response:
    """Render the ticket. `problem` and `difference` say why the last wish was refused, `note` was not saved.

    Raises Refused when there is no such ticket.
    """
    with service.database.read() as connection:
        found = reading.read(connection, ticket_id, visitor.user_id, service.clock())
        if found is None:
            raise Refused(Refusal.NO_TICKET, ticket=ticket_id)
        filters, day = at.filters(service.settings.service.zone), service.day_start()
        previous, following = (
            (None, None)
            if at.of_messages
            else queues.neighbours(connection, at.queue, filters, day, ticket_id)
        )
        files = attachments.of_mail(connection, found.newest)
        context = nav.context(connection, service, at, decided)
    office = service.offices().get(found.ticket.mailbox)
    known = predicted(service, office, found, revealed=revealed)
    return render(
        request,
        service,
        "ticket.html",
        visitor,
        status,
        push=push,
        d=found,
        previous=previous,
        following=following if following != ticket_id else None,
        files=files,
        revealed=revealed,
        problem=problem,
        note=note,
        hides=_hides(found),
        reason=_reason(found, known["content_problems"]),
        shown_of_earlier=EARLIER_TEXT,
        difference=difference,
        **known,
        timeline=[] if found.blind else timeline.told(found.events, visitor.words, context["titles"]),
        longest=reading.LONGEST_TEXT,
        **context,
    )


def _hides(found: Desk) -> bool:
    """Whether anything on the page is masked."""
    newest = (found.newest.subject, found.newest.text) if found.newest is not None else ()
    earlier = ((one.new_text or one.text)[:EARLIER_TEXT] for one in found.mails if one is not found.newest)
    return any(masking.find(text) for text in (*newest, *earlier))


def _reason(found: Desk, problems: Sequence[tuple[str, str]]) -> str:
    """Why the ticket waits, without the problems of content that are listed beside it."""
    if found.blind or found.troubled is not None:
        return ""
    said = found.ticket.reason
    for _, problem in problems:
        said = said.replace(f"{problem[:1].upper()}{problem[1:]}.", "")
    return masking.mask(" ".join(said.split()))


def predicted(service: Service, office: Office | None, found: Desk, *, revealed: bool) -> dict[str, Any]:
    """Everything that tells what we think: nothing of it while a blind choice is open."""
    text = found.newest.new_text if found.newest is not None else ""
    if found.blind or office is None:
        return {
            "mail_pieces": marking.mail_pieces(text, revealed=revealed),
            "choices": (),
            "topics": tuple(office.topics) if office is not None else (),
            "draft_pieces": (marking.Piece(found.draft.text),) if found.draft and not found.blind else (),
            "content_problems": (),
            "markers": (),
            "papers": None,
            "words_marked": (),
        }
    words = _deciding(service, office, found)
    return {
        "mail_pieces": marking.mail_pieces(text, words, revealed=revealed),
        "choices": _choices(found.ticket.confidence, office),
        "topics": tuple(office.topics),
        "draft_pieces": _draft_pieces(office, found),
        "content_problems": _content_problems(service, office, found),
        "markers": unconfirmed_markers(found.draft.text) if found.draft is not None else (),
        "papers": _papers(office, found),
        "words_marked": words,
    }


def _choices(confidence: Mapping[str, float], office: Office) -> list[tuple[str, float]]:
    known = [(slug, float(share)) for slug, share in confidence.items() if slug in office.topics]
    return sorted(known, key=lambda one: (-one[1], one[0]))[:CHOICES]


def _deciding(service: Service, office: Office, found: Desk) -> tuple[str, ...]:
    if found.newest is None:
        return ()
    topics = found.draft.topics if found.draft is not None else found.ticket.topics
    subject = tokens.strip_subject_tags(found.newest.subject)
    return service.deciding_words(office, subject, found.newest.new_text, next(iter(topics), ""))


def _draft_pieces(office: Office, found: Desk) -> Sequence[marking.Piece]:
    """The draft, with what differs from the untouched text of the same topics marked."""
    draft = found.draft
    if draft is None:
        return ()
    topics = [office.topics[slug] for slug in draft.topics if slug in office.topics]
    if draft.kind is not ReplyKind.ANSWER or not topics or len(topics) != len(draft.topics):
        return (marking.Piece(draft.text),)
    ticket = found.ticket
    try:
        plain = office.renderer.render_answer(
            topics,
            VendorContext(ticket.vendor_name, ticket.language),
            office.text,
            tokens.subject_tag(office.key, ticket.id),
            draft.created_at.astimezone(office.settings.service.zone).date(),
        ).text
    except ContentError:
        return (
            marking.Piece(draft.text),
        )  # content that is being worked on; approval will say what is wrong
    pieces = marking.differences(plain, draft.text)
    return (marking.Piece(draft.text, "rewritten"),) if marking.rewritten(pieces) else pieces


def _content_problems(service: Service, office: Office, found: Desk) -> list[tuple[str, str]]:
    """(title, problem) for each thing that keeps a topic of the draft from leaving by itself."""
    slugs = found.draft.topics if found.draft is not None else ()
    topics = [office.topics[slug] for slug in slugs if slug in office.topics]
    return [(topic.title, problem) for topic in topics for problem in topic.problems(service.today())]


def _papers(office: Office, found: Desk) -> tuple[str, checklist.Checklist] | None:
    """The documents that the mail seems to hand in, by its likeliest topic that wants any."""
    mail = found.newest
    if mail is None or not mail.attachments:
        return None
    draft_topics = found.draft.topics if found.draft is not None else ()
    likeliest = [slug for slug, _ in _choices(found.ticket.confidence, office)]
    for slug in dict.fromkeys([*draft_topics, *likeliest]):
        topic = office.topics.get(slug)
        if topic is not None and topic.documents:
            result = checklist.check(topic, mail.attachments, mail.new_text)
            if result.seems_submission:
                return topic.title, result
    return None
