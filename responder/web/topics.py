"""The topics: what vendors get, what is unconfirmed, how often it was right, how far it is from answering alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup
from starlette.exceptions import HTTPException

from responder.errors import ContentError, Refused
from responder.knowledge.topic import Topic
from responder.pipeline.office import Office
from responder.tickets import evidence, switches
from responder.tickets.evidence import Judged
from responder.upkeep import autonomy
from responder.upkeep.autonomy import Proof, Standing
from responder.web import charts, content, nav
from responder.web.charts import Dot, Series
from responder.web.guard import FRAME_POLICY
from responder.web.pages import Formats, render
from responder.web.place import At, Place
from responder.web.service import Service, UsesService
from responder.web.visitors import Reads, SeniorDecides, Visitor
from responder.web.wording import Words

router = APIRouter()

HISTORY = timedelta(days=365)
DRAWN = 60  # newest mails of a topic
LISTED = 25  # of them in the table

_DECISIONS = {"": "topic.undecided", "by_hand": "report.by_hand"}
"""Decisions that are no action of the event log."""


@dataclass(frozen=True, slots=True)
class Line:
    """A topic in the list."""

    office: str
    topic: Topic
    standing: Standing
    bar: Markup
    problems: Sequence[str]


@router.get("/topik")
def listed(request: Request, service: UsesService, visitor: Reads, at: At) -> Response:
    """Every topic with its level and its evidence."""
    lines = [
        Line(
            office.name,
            office.topics[one.slug],
            one,
            evidence_bar(visitor.words, one.proof),
            office.topics[one.slug].problems(service.today()),
        )
        for office in service.offices().values()
        for one in service.figures.standings(office)
    ]
    with service.database.read() as connection:
        context = nav.context(connection, service, at, 0)
    several = len(service.settings.mailboxes) > 1
    return render(request, service, "topics.html", visitor, lines=lines, several=several, **context)


@router.get("/topik/{mailbox}/{slug}")
def topic(
    request: Request, service: UsesService, visitor: Reads, mailbox: str, slug: str, at: At
) -> Response:
    return _page(request, service, visitor, mailbox, slug, at)


@router.get("/topik/{mailbox}/{slug}/pratinjau")
def preview(service: UsesService, visitor: Reads, mailbox: str, slug: str) -> Response:
    """The answer as a vendor would see it today, for a frame."""
    office, found = _topic(service, mailbox, slug)
    html = office.renderer.preview(found, office.text, service.today()).html
    return Response(
        html, media_type="text/html; charset=utf-8", headers={"content-security-policy": FRAME_POLICY}
    )


@router.post("/topik/{mailbox}/{slug}/tingkat")
def set_level(
    request: Request,
    service: UsesService,
    visitor: SeniorDecides,
    mailbox: str,
    slug: str,
    at: At,
    tingkat: Annotated[str, Form(max_length=10)],
) -> Response:
    """Let the topic answer by itself, when its evidence holds, or take it back to review."""
    _topic(service, mailbox, slug)
    if tingkat not in {switches.AUTOMATIC, switches.REVIEW}:
        raise HTTPException(400)
    policy, now = service.settings.policy, service.clock()
    try:
        with service.database.begin() as connection:
            autonomy.set_level(connection, mailbox, slug, tingkat, policy, visitor.name, now)
    except Refused:
        problem = visitor.words("topic.not_earned")
        return _page(request, service, visitor, mailbox, slug, at, problem=problem)
    service.figures.forget()
    return RedirectResponse(_url(mailbox, slug), 303)


@router.post("/topik/{mailbox}/{slug}/fakta/{key}")
def confirm(
    request: Request,
    service: UsesService,
    visitor: SeniorDecides,
    mailbox: str,
    slug: str,
    key: str,
    at: At,
    nilai: Annotated[str, Form(max_length=2000)] = "",
    kosong: Annotated[str, Form(max_length=1)] = "",
) -> Response:
    """Settle a fact; an empty value has to be meant, for it leaves the place in the answer out."""
    office, _ = _topic(service, mailbox, slug)
    if not nilai.strip() and not kosong:
        return _page(request, service, visitor, mailbox, slug, at, problem=visitor.words("topic.no_value"))
    try:
        content.settle(service, office, slug, key, nilai.replace("\r\n", "\n").strip(), visitor.name)
    except ContentError as error:
        problem = visitor.words("refused.other", why=str(error))
        return _page(request, service, visitor, mailbox, slug, at, problem=problem)
    return RedirectResponse(_url(mailbox, slug), 303)


def evidence_bar(words: Words, proof: Proof) -> Markup:
    """How far a topic is from being allowed to answer by itself."""
    said = words("topic.proof", have=proof.have, need=proof.need, errors=proof.errors)
    return charts.progress(said, proof.have / proof.need, "c1" if proof.holds else "c3")


def _page(
    request: Request,
    service: Service,
    visitor: Visitor,
    mailbox: str,
    slug: str,
    at: Place,
    *,
    problem: str = "",
) -> Response:
    office, found = _topic(service, mailbox, slug)
    now = service.clock()
    standing = service.figures.standing(office, slug)
    with service.database.read() as connection:
        rows = evidence.history(connection, mailbox, slug, now - HISTORY, DRAWN)
        context = nav.context(connection, service, at, 0)
    # Of an open blind audit nobody may see what was predicted.
    history = [one for one in rows if one.decision or not one.blind]
    return render(
        request,
        service,
        "topic.html",
        visitor,
        409 if problem else 200,
        push="false" if problem else None,
        topic=found,
        office=office,
        standing=standing,
        bar=evidence_bar(visitor.words, standing.proof),
        text=office.renderer.preview(found, office.text, service.today()).text,
        problems=found.problems(service.today()),
        history=history,
        listed=LISTED,
        decisions={one.decision: decided(visitor.words, one.decision) for one in history},
        chart=_confidences(visitor.words, Formats(service, visitor.words), history, now),
        legend=charts.legend(
            [
                Series(visitor.words(key), colour, ())
                for key, colour in (
                    ("topic.right", "c1"),
                    ("topic.not_right", "c5"),
                    ("topic.undecided", "c4"),
                )
            ]
        ),
        url=_url(mailbox, slug),
        may_be_automatic=standing.proof.holds or not service.settings.policy.require_evidence,
        problem=problem,
        **context,
    )


def decided(words: Words, decision: str) -> str:
    """A decision of staff in words."""
    key = _DECISIONS.get(decision)
    return words(key) if key else words.known(f"event.{decision}", decision)


def _confidences(words: Words, formats: Formats, history: Sequence[Judged], now: datetime) -> Markup:
    """How sure the classifier was of the topic, over the time of `history`; "" for too little."""
    known = [one for one in history if one.confidence is not None]
    if len(known) < 2 or known[0].at <= known[-1].at:
        return Markup()
    first, whole = known[-1].at, known[0].at - known[-1].at
    points = [
        Dot(
            (one.at - first) / whole,
            min(max(one.confidence or 0.0, 0.0), 1.0),
            "c4" if not one.decision else "c1" if one.right else "c5",
            f"#{one.ticket_id}: {one.confidence or 0.0:.0%}, {decided(words, one.decision)}",
        )
        for one in known
    ]
    return charts.dots(
        words("topic.confidence_chart"), (formats.when(first), formats.when(known[0].at)), points
    )


def _topic(service: Service, mailbox: str, slug: str) -> tuple[Office, Topic]:
    office = service.offices().get(mailbox)
    if office is None or slug not in office.topics:
        raise HTTPException(404)
    return office, office.topics[slug]


def _url(mailbox: str, slug: str) -> str:
    return f"/topik/{mailbox}/{slug}"
