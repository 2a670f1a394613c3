"""How the helpdesk is doing: mails, who answered them and how fast, how right each topic is, what waits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from markupsafe import Markup

from responder.upkeep import reports
from responder.upkeep.reports import Answered, Day, Report
from responder.web import charts, nav
from responder.web.charts import Series
from responder.web.pages import Formats, render
from responder.web.place import At
from responder.web.service import Service, UsesService
from responder.web.visitors import Reads, Visitor
from responder.web.wording import Words

router = APIRouter()

PERIODS = (7, 30, 90, 365)
DAILY = 45
"""Days up to which each has a column of its own; longer periods are drawn by weeks."""

COLOURS = {
    Answered.AUTOMATIC: ("report.automatic", "c1"),
    Answered.APPROVED: ("report.approved", "c2"),
    Answered.BY_HAND: ("report.by_hand", "c3"),
    Answered.CLOSED: ("report.closed", "c4"),
    Answered.WAITING: ("report.waiting", "c5"),
}
"""Who answered: its words and its colour."""

Period = Annotated[int, Query(alias="hari")]
Mailbox = Annotated[str, Query(alias="kotak", max_length=40)]


@router.get("/laporan")
def page(
    request: Request, service: UsesService, visitor: Reads, at: At, days: Period = 30, mailbox: Mailbox = ""
) -> Response:
    days, mailbox = _chosen(service, days, mailbox)
    made_at, made = service.figures.report(days, mailbox)
    with service.database.read() as connection:
        context = nav.context(connection, service, at, 0)
    formats = Formats(service, visitor.words)
    return render(
        request,
        service,
        "reports.html",
        visitor,
        made=made,
        made_at=made_at,
        days=days,
        mailbox=mailbox,
        periods=PERIODS,
        mailboxes=tuple(service.settings.mailboxes),
        kinds=[(kind, visitor.words(key)) for kind, (key, _) in COLOURS.items()],
        rows=_rows(formats, made),
        daily=len(made.days) <= DAILY,
        mails_chart=_mails(visitor.words, formats, made),
        answered_chart=_answered(visitor.words, formats, made),
        bounds={one.slug: _bound(visitor, one) for one in made.topics},
        query=urlencode({"hari": days, "kotak": mailbox}),
        **context,
    )


@router.get("/laporan.csv")
def as_csv(service: UsesService, visitor: Reads, days: Period = 30, mailbox: Mailbox = "") -> Response:
    """Every figure of the report, one a row."""
    days, mailbox = _chosen(service, days, mailbox)
    _, made = service.figures.report(days, mailbox)
    name = f"laporan-{made.since}-{made.until}.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(reports.as_csv(made), media_type="text/csv; charset=utf-8", headers=headers)


def _chosen(service: Service, days: int, mailbox: str) -> tuple[int, str]:
    """A period and mailbox that there are; an address with others shows the usual."""
    return (
        days if days in PERIODS else 30,
        mailbox if mailbox in service.settings.mailboxes else "",
    )


def _mails(words: Words, formats: Formats, made: Report) -> Markup:
    buckets = _buckets(made.days)
    mails = [sum(day.mails for day in bucket) for bucket in buckets]
    labels = [formats.day(bucket[0].day) for bucket in buckets]
    return charts.columns(words("report.mails_chart"), labels, [Series(words("report.mails"), "c1", mails)])


def _answered(words: Words, formats: Formats, made: Report) -> Markup:
    buckets = _buckets(made.days)
    series = [
        Series(words(key), colour, [sum(day.answered[kind] for day in bucket) for bucket in buckets])
        for kind, (key, colour) in COLOURS.items()
    ]
    labels = [formats.day(bucket[0].day) for bucket in buckets]
    return charts.columns(words("report.answered_chart"), labels, series)


def _rows(formats: Formats, made: Report) -> list[tuple[str, list[int]]]:
    """(day or first day of the week, mails, conversations and who answered) for the table of the charts."""
    return [
        (
            formats.day(bucket[0].day),
            [
                sum(day.mails for day in bucket),
                sum(day.conversations for day in bucket),
                *(sum(day.answered[kind] for day in bucket) for kind in COLOURS),
            ],
        )
        for bucket in _buckets(made.days)
    ]


def _buckets(days: Sequence[Day]) -> list[Sequence[Day]]:
    """Single days, or weeks from Monday on where there are too many."""
    if len(days) <= DAILY:
        return [[day] for day in days]
    weeks: dict[tuple[int, int], list[Day]] = {}
    for day in days:
        weeks.setdefault(_week(day.day), []).append(day)
    return list(weeks.values())


def _week(day: date) -> tuple[int, int]:
    return day.isocalendar()[:2]


def _bound(visitor: Visitor, topic: reports.TopicRecord) -> Markup:
    share = f"{topic.precision_at_least:.0%}"
    return charts.at_least(
        visitor.words("report.at_least", share=share), topic.precision_at_least, topic.precision
    )
