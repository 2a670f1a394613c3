"""When a job of the schedule is due, and what happens to one that fails."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from responder.config import Settings
from responder.errors import MailServerError
from responder.pipeline.node import this_node
from responder.tickets.database import Database
from responder.upkeep import alarms, jobs
from responder.upkeep.jobs import Job, Record, Runner, due, pause, read
from tests.office_settings import office_settings

JAKARTA = ZoneInfo("Asia/Jakarta")
NOW = datetime(2025, 3, 3, 1, 0, tzinfo=UTC)  # a Monday, 08:00 in Jakarta
MINUTE = timedelta(minutes=1)
DAILY = "30 7 * * *"


def done(ago: timedelta, failures: int = 0) -> Record:
    """A run that began and ended so long ago."""
    return Record(NOW - ago, NOW - ago, None if failures else NOW - ago, failures)


@pytest.mark.parametrize(
    ("when", "record", "expected"),
    [
        (60, Record(), True),
        (60, done(MINUTE), True),
        (60, done(MINUTE / 2), False),  # another node has just done it
        (60, done(-MINUTE), True),  # written by a clock that was set back
        ("", Record(), False),
        (DAILY, done(timedelta(hours=23)), True),  # 07:30 in Jakarta was half an hour ago
        (DAILY, done(timedelta(minutes=29)), False),
        (DAILY, done(timedelta(days=3)), True),
        ("30 18 * * *", done(timedelta(days=3)), False),  # yesterday evening is too long ago to make up for
        ("0 9 * * *", done(timedelta(days=3)), False),
    ],
)
def test_a_job_is_due_when_its_time_has_come_since_the_last_start(
    when: int | str, record: Record, expected: bool
) -> None:
    assert due(when, record, 3, NOW, JAKARTA) is expected


def test_a_job_that_failed_is_tried_again_within_its_budget_and_then_at_its_next_time() -> None:
    assert due(DAILY, done(2 * MINUTE, failures=1), 3, NOW, JAKARTA)
    assert not due(DAILY, done(MINUTE / 2, failures=1), 3, NOW, JAKARTA)
    assert not due(DAILY, done(10 * MINUTE, failures=3), 3, NOW, JAKARTA)
    assert due(DAILY, done(timedelta(hours=23), failures=3), 3, NOW, JAKARTA)


def test_pauses_after_failures_double_up_to_an_hour() -> None:
    assert [pause(failures) / MINUTE for failures in (1, 2, 3, 6, 7, 1000)] == [1, 2, 4, 32, 60, 60]


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return office_settings(tmp_path)


def make(database: Database, settings: Settings) -> tuple[Runner, Clock]:
    clock = Clock()
    return Runner(settings, database, clock, this_node()), clock


def job(work: Callable[[], None], name: str = "alarms", budget: int = 2) -> Job:
    return Job(name, lambda _work: work(), budget=budget)


def active(database: Database) -> list[str]:
    with database.read() as connection:
        return [row.key for row in alarms.active(connection)]


def record_of(database: Database, name: str) -> Record:
    with database.read() as connection:
        found = read(connection, name)
    assert found is not None
    return found


def test_a_job_is_done_once_for_its_time_whoever_asks(database: Database, settings: Settings) -> None:
    runs: list[int] = []
    runner, clock = make(database, settings)
    other, other_clock = make(database, settings)
    one = job(lambda: runs.append(1))
    assert runner.run(one)
    assert not runner.run(one)
    other_clock.now = clock.now + timedelta(seconds=5)
    assert not other.run(one)
    clock.now += timedelta(seconds=30)
    assert runner.run(one)
    assert len(runs) == 2


def test_a_daily_job_is_not_made_up_for_on_the_day_of_the_installation(
    database: Database, settings: Settings
) -> None:
    runner, clock = make(database, settings)
    runs: list[int] = []
    one = job(lambda: runs.append(1), "digest")
    assert not runner.run(one)
    clock.now += timedelta(days=1)
    assert runner.run(one)


def test_a_job_that_keeps_failing_is_told_once_its_budget_is_spent_and_when_it_works_again(
    database: Database, settings: Settings
) -> None:
    runner, clock = make(database, settings)
    broken = True

    def work() -> None:
        if broken:
            raise MailServerError("no answer")

    one = job(work, budget=2)
    assert runner.run(one)
    assert active(database) == []
    clock.now += timedelta(minutes=1)
    assert runner.run(one)
    assert active(database) == ["job:alarms"]
    assert record_of(database, "alarms").error == "no answer"
    broken = False
    clock.now += timedelta(minutes=2)
    assert runner.run(one)
    assert active(database) == []
    assert record_of(database, "alarms").failures == 0


def test_a_fault_of_the_program_in_a_job_is_a_failure_like_any_other(
    database: Database, settings: Settings
) -> None:
    runner, _ = make(database, settings)
    assert runner.run(job(lambda: [][1]))  # type: ignore[func-returns-value, misc]
    assert "IndexError" in record_of(database, "alarms").error


def test_a_job_that_was_killed_is_done_again_and_counts_as_failed(
    database: Database, settings: Settings
) -> None:
    runner, clock = make(database, settings)
    begun = Record(NOW - 10 * MINUTE, NOW - timedelta(days=1), NOW - timedelta(days=1))
    database.write(lambda connection: jobs.write(connection, "digest", "gone:1.1", begun))
    seen: list[int] = []
    one = job(lambda: seen.append(record_of(database, "digest").failures), "digest")
    assert runner.run(one)
    assert seen == [1]
    clock.now += MINUTE


def test_every_job_of_the_table_has_its_time_in_the_schedule(settings: Settings) -> None:
    for one in jobs.TABLE:
        assert one.when(settings.schedule) != ""
    assert len({one.name for one in jobs.TABLE}) == len(jobs.TABLE)
