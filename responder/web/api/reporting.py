"""The report of the pages, as JSON and as CSV."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from responder.tickets.status import TicketStatus
from responder.upkeep import reports
from responder.upkeep.reports import Answered
from responder.web.api.callers import Officer
from responder.web.api.problems import described, not_found
from responder.web.api.shapes import Shape
from responder.web.service import Service, UsesService

router = APIRouter(tags=["reports"])

LONGEST_DAYS = 366

Days = Annotated[int, Query(ge=1, le=LONGEST_DAYS, description="How many days, today included")]
Mailbox = Annotated[str, Query(max_length=40, description="Only this one")]


class Day(Shape):
    day: date
    working: bool
    mails: int
    conversations: int
    answered: dict[Answered, int]


class Speed(Shape):
    """Hours of service until the first answer."""

    answers: int
    median: float | None
    ninety_percent: float | None


class TopicRecord(Shape):
    slug: str
    mails: int
    decided: int
    wrong: int
    precision: float | None
    precision_at_least: float  # exact one-sided 95 % bound
    sure_decided: int
    sure_wrong: int
    sure_at_least: float
    edited: int


class Backlog(Shape):
    status: TicketStatus
    count: int
    oldest_hours: float
    ages: list[int]  # up to 1 day, up to 3, up to 7, older


class Report(Shape):
    made_at: datetime
    since: date
    until: date
    mails: int
    days: list[Day]
    answered: dict[Answered, int]
    speed: Speed
    speed_of_people: Speed
    topics: list[TopicRecord]
    backlog: list[Backlog]


@router.get("/reports", responses=described(404))
def report(service: UsesService, caller: Officer, days: Days = 30, mailbox: Mailbox = "") -> Report:
    """Mails, who answered them and how fast, how right each topic is, what waits, as of `made_at`."""
    made_at, made = _made(service, days, mailbox)
    parts = {name: getattr(made, name) for name in Report.model_fields if name != "made_at"}
    return Report.model_validate({**parts, "made_at": made_at})


@router.get(
    "/reports.csv",
    response_class=Response,
    responses={
        200: {"description": "Every figure", "content": {"text/csv": {"schema": {"type": "string"}}}},
        **described(404),
    },
)
def as_csv(service: UsesService, caller: Officer, days: Days = 30, mailbox: Mailbox = "") -> Response:
    """The same, one figure a row."""
    _, made = _made(service, days, mailbox)
    return Response(reports.as_csv(made), media_type="text/csv")


def _made(service: Service, days: int, mailbox: str) -> tuple[datetime, reports.Report]:
    if mailbox and mailbox not in service.settings.mailboxes:
        raise not_found(f"mailbox {mailbox!r}")
    return service.figures.report(days, mailbox)
