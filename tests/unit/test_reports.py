"""The figures of the report: pure counting, with the office's days, hours and holidays."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from responder.config import Service
from responder.tickets.status import TicketStatus
from responder.upkeep import reports
from responder.upkeep.reports import Answered, Conversation, Records, Report, Verdict

SERVICE = Service()
MONDAY = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)  # 09:00 in Jakarta
NOTHING: dict[TicketStatus, tuple[datetime, ...]] = {
    TicketStatus.NEEDS_APPROVAL: (),
    TicketStatus.NEEDS_STAFF: (),
}


def verdict(came: datetime = MONDAY, **given: Any) -> Verdict:
    values = {
        "came": came,
        "sure": True,
        "topics": ("lupa-password",),
        "decision": "approved",
        "decided_topics": ("lupa-password",),
        "manner": "single",
    }
    return Verdict(**values | given)


def answered(came: datetime, after: timedelta, by: Answered = Answered.APPROVED) -> Conversation:
    return Conversation(came, by, came + after)


def made(
    verdicts: list[Verdict] | None = None,
    conversations: list[Conversation] | None = None,
    backlog: dict[TicketStatus, tuple[datetime, ...]] | None = None,
    days: int = 2,
    now: datetime = MONDAY + timedelta(days=1),
) -> Report:
    until = now.astimezone(SERVICE.zone).date()
    records = Records(tuple(verdicts or ()), tuple(conversations or ()), NOTHING | (backlog or {}))
    return reports.report(records, SERVICE, until - timedelta(days=days - 1), until, now)


def test_a_mail_counts_on_the_offices_day() -> None:
    """23:30 in Jakarta is 16:30 UTC of the same day, 00:30 is 17:30 UTC of the day before."""
    late = datetime(2026, 11, 23, 16, 30, tzinfo=UTC)
    found = made([verdict(late), verdict(late + timedelta(hours=1))])
    assert [(day.day, day.mails) for day in found.days] == [(date(2026, 11, 23), 1), (date(2026, 11, 24), 1)]


def test_shares_are_of_all_conversations() -> None:
    ends = [Answered.AUTOMATIC, Answered.APPROVED, Answered.APPROVED, Answered.WAITING]
    found = made(conversations=[Conversation(MONDAY, end, None) for end in ends])
    assert found.share(Answered.APPROVED) == 0.5
    assert found.share(Answered.BY_HAND) == 0.0


def test_without_conversations_there_is_no_share() -> None:
    assert made().share(Answered.AUTOMATIC) is None


def test_only_hours_of_service_count_until_the_answer() -> None:
    """Friday 15:00 to Monday 09:00 is one hour of Friday and one of Monday."""
    friday = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    found = made(conversations=[answered(friday, timedelta(days=2, hours=18))])
    assert found.speed.median == 2.0


@pytest.mark.parametrize(
    ("eve", "hours"),
    [
        (datetime(2026, 8, 14, 8, 0, tzinfo=UTC), 2.0),  # Independence Day is Monday 17 August
        (
            datetime(2026, 5, 26, 8, 0, tzinfo=UTC),
            2.0,
        ),  # Eid al-Adha on the 27th, its cuti bersama on the 28th
        (datetime(2026, 12, 23, 8, 0, tzinfo=UTC), 2.0),  # cuti bersama on 24 December, Christmas, a weekend
    ],
    ids=["public holiday", "cuti bersama after", "cuti bersama before"],
)
def test_holidays_and_cuti_bersama_are_no_hours_of_service(eve: datetime, hours: float) -> None:
    """From 15:00 to 09:00 of the next working day."""
    days = {8: 4, 5: 3, 12: 5}[eve.month]
    found = made(conversations=[answered(eve, timedelta(days=days - 1, hours=18))])
    assert found.speed.median == hours


def test_automatic_answers_do_not_make_people_look_fast() -> None:
    machine = [answered(MONDAY, timedelta(), Answered.AUTOMATIC) for _ in range(9)]
    found = made(conversations=[*machine, answered(MONDAY, timedelta(hours=4))])
    assert found.speed.median == 0.0
    assert (found.speed_of_people.answers, found.speed_of_people.median) == (1, 4.0)


def test_precision_has_an_exact_bound() -> None:
    """149 right of 149 prove at least 98 %, by the rule (1 - p) ** n = 5 %."""
    [topic] = made([verdict() for _ in range(149)]).topics
    assert topic.precision == 1.0
    assert topic.precision_at_least == pytest.approx(0.05 ** (1 / 149), abs=1e-6)
    assert topic.precision_at_least > 0.98


def test_a_topic_without_verdicts_proves_nothing() -> None:
    [topic] = made([verdict(decision="", decided_topics=(), manner="")]).topics
    assert (topic.mails, topic.decided, topic.precision, topic.precision_at_least) == (1, 0, None, 0.0)


def test_batches_prove_nothing_and_edits_are_right_but_counted() -> None:
    [topic] = made(
        [
            verdict(manner="batch"),
            verdict(decision="edited"),
            verdict(decision="retopiced", decided_topics=("ganti-email",), sure=False),
        ]
    ).topics
    assert (topic.mails, topic.decided, topic.wrong, topic.edited) == (3, 2, 1, 1)
    assert (topic.sure_decided, topic.sure_wrong) == (1, 0)


def test_the_backlog_has_an_age() -> None:
    now = MONDAY + timedelta(days=1)
    times = tuple(now - timedelta(days=days) for days in (0.1, 2, 5, 30))
    approval, staff = made(backlog={TicketStatus.NEEDS_APPROVAL: times}, now=now).backlog
    assert (approval.count, approval.ages) == (4, (1, 1, 1, 1))
    assert (staff.count, staff.oldest_hours) == (0, 0.0)


@pytest.mark.parametrize("text", ["=1+1", "+62", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_of_the_csv_is_a_formula(text: str) -> None:
    found = made([verdict(topics=(text,), decided_topics=(text,))])
    names = {row[1] for row in csv.reader(io.StringIO(reports.as_csv(found)))}
    assert f"'{text}".replace("\r", "\n") in {name.replace("\r", "\n") for name in names}
    assert not any(name.startswith(("=", "+", "-", "@", "\t", "\r")) for name in names)


def test_the_csv_has_one_figure_a_row() -> None:
    rows = list(csv.DictReader(io.StringIO(reports.as_csv(made([verdict()])))))
    assert {"part": "topic", "name": "lupa-password", "measure": "decided", "value": "1"} in rows
    assert {"part": "day", "name": "2026-11-23", "measure": "mails", "value": "1"} in rows
