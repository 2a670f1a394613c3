"""Topics: what they say, how far each is from answering by itself, and what seniors decide about them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query

from responder.errors import ContentError
from responder.knowledge.topic import Topic
from responder.pipeline.office import Office
from responder.tickets import evidence
from responder.upkeep import autonomy
from responder.upkeep.autonomy import Standing
from responder.web import content
from responder.web.api import given
from responder.web.api.callers import Officer, Senior
from responder.web.api.given import Limit
from responder.web.api.problems import ApiProblem, Code, described, not_found
from responder.web.api.shapes import Shape
from responder.web.service import Service, UsesService

router = APIRouter(tags=["topics"])

Mailbox = Annotated[str, Path(min_length=1, max_length=40)]
Slug = Annotated[str, Path(min_length=1, max_length=80)]
HISTORY = timedelta(days=365)


class Evidence(Shape):
    """What the verdicts of staff prove about a topic answering by itself."""

    have: int  # verdicts that count
    errors: int
    bound: float  # upper bound of the error rate
    need: int  # verdicts at which so many errors would be few enough
    target: float
    holds: bool


class Answers(Shape):
    """What became of its automatic answers."""

    sent: int
    bounced: int
    repeated: int


class TopicLine(Shape):
    mailbox: str
    slug: str
    title: str
    level: str
    since: datetime | None
    by: str
    evidence: Evidence
    answers: Answers
    problems: list[str]  # what keeps its content from being sent automatically


class Topics(Shape):
    topics: list[TopicLine]


class Fact(Shape):
    key: str
    what: str
    reading: str
    evidence: str


class TopicView(TopicLine):
    owner: str
    source: str
    valid_from: date | None
    review_by: date | None
    valid_to: date | None
    text: str  # as a vendor would get it today
    html: str
    unconfirmed: list[Fact]
    confirmed: dict[str, str]


class Judged(Shape):
    ticket_id: int
    at: datetime
    predicted: str
    topics: list[str]
    confidence: float | None
    decision: str
    decided_topics: list[str]
    manner: str
    blind: bool
    right: bool


class History(Shape):
    verdicts: list[Judged]


class Confirmed(Shape):
    key: str
    value: str


@router.get("/topics")
def listed(
    service: UsesService,
    caller: Officer,
    mailbox: Annotated[str, Query(max_length=40, description="Only this one")] = "",
) -> Topics:
    """Every topic with its level and its evidence; the figures are up to two minutes old."""
    offices = [one for one in service.offices().values() if mailbox in ("", one.name)]
    return Topics(
        topics=[
            _line(service, office.topics[one.slug], one)
            for office in offices
            for one in service.figures.standings(office)
        ]
    )


@router.get("/topics/{mailbox}/{slug}", responses=described(404))
def topic(service: UsesService, caller: Officer, mailbox: Mailbox, slug: Slug) -> TopicView:
    """One topic as vendors get it, with its open facts and its evidence."""
    office, found = _topic(service, mailbox, slug)
    preview = office.renderer.preview(found, office.text, service.today())
    return TopicView(
        **_line(service, found, service.figures.standing(office, slug)).model_dump(),
        owner=found.owner,
        source=found.source,
        valid_from=found.valid_from,
        review_by=found.review_by,
        valid_to=found.valid_to,
        text=preview.text,
        html=preview.html,
        unconfirmed=[Fact.model_validate(one) for one in found.unconfirmed],
        confirmed=found.confirmed,
    )


@router.get("/topics/{mailbox}/{slug}/verdicts", responses=described(404))
def verdicts(
    service: UsesService, caller: Officer, mailbox: Mailbox, slug: Slug, limit: Limit = 40
) -> History:
    """The newest mails of the last year that were predicted to ask for it; of open blind audits nothing."""
    _topic(service, mailbox, slug)
    since = service.clock() - HISTORY
    with service.database.read() as connection:
        rows = evidence.history(connection, mailbox, slug, since, limit)
    return History(verdicts=[Judged.model_validate(one) for one in rows if one.decision or not one.blind])


@router.put("/topics/{mailbox}/{slug}/level", responses=described(403, 404, 409))
def set_level(
    service: UsesService, caller: Senior, mailbox: Mailbox, slug: Slug, wish: given.Level
) -> TopicLine:
    """Let a topic answer by itself, or take it back to review. 409 `not_earned` while its evidence does not hold."""
    office, found = _topic(service, mailbox, slug)
    policy, now = service.settings.policy, service.clock()
    with service.database.begin() as connection:
        before = autonomy.standing(connection, mailbox, slug, policy, now)
        if before.level != wish.level:
            autonomy.set_level(connection, mailbox, slug, wish.level, policy, caller.name, now)
    service.figures.forget()
    return _line(service, found, service.figures.standing(office, slug))


@router.post("/topics/{mailbox}/{slug}/facts/{key}", responses=described(403, 404))
def settle(
    service: UsesService,
    caller: Senior,
    mailbox: Mailbox,
    slug: Slug,
    key: Annotated[str, Path(min_length=1, max_length=80)],
    wish: given.Fact,
) -> Confirmed:
    """Settle an unconfirmed fact; drafts made from then on carry it. 422 for a value that cannot stand there."""
    office, found = _topic(service, mailbox, slug)
    if key not in {one.key for one in found.unconfirmed} | found.confirmed.keys():
        raise not_found(f"fact {key!r} of {slug}")
    try:
        value = content.settle(service, office, slug, key, wish.value, caller.name)
    except ContentError as error:
        raise ApiProblem(422, Code.INVALID, str(error)) from error
    return Confirmed(key=key, value=value)


def _topic(service: Service, mailbox: str, slug: str) -> tuple[Office, Topic]:
    office = service.offices().get(mailbox)
    if office is None or slug not in office.topics:
        raise not_found(f"topic {slug!r} of mailbox {mailbox!r}")
    return office, office.topics[slug]


def _line(service: Service, topic: Topic, standing: Standing) -> TopicLine:
    return TopicLine(
        mailbox=standing.mailbox,
        slug=standing.slug,
        title=topic.title,
        level=standing.level,
        since=standing.since,
        by=standing.by,
        evidence=Evidence.model_validate(standing.proof),
        answers=Answers.model_validate(standing.answers),
        problems=topic.problems(service.today()),
    )
