"""Jobs on the schedule: what is due, that one node does it, that a failure is tried again and told.

`TABLE` is the list of them. The table `jobs` is their memory, shared by all nodes: the daemon (`responder run`) and
cron (`responder poll`) do the same jobs from it, and each of them once.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo

import structlog
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy import Connection, select

from responder.config import Schedule, Settings
from responder.errors import ResponderError, StoreError
from responder.pipeline.node import is_dead
from responder.tickets import leases
from responder.tickets.database import Database
from responder.tickets.models_upkeep import Job as JobRow
from responder.tickets.switches import upsert
from responder.upkeep import alarms

log = structlog.get_logger("responder.jobs")

MISSED = timedelta(hours=6)
"""A cron time that passed while nothing ran is made up for during this long, then left out."""

FIRST_RETRY = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)

NEARLY = 0.9
"""Of an interval: nodes with the same interval come at different moments, and none shall do what another just did."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a job works with."""

    settings: Settings
    database: Database
    clock: Callable[[], datetime]
    renew: leases.Renew = field(repr=False)  # to be called now and then by a job that takes minutes

    @property
    def now(self) -> datetime:
        return self.clock()


@dataclass(frozen=True, slots=True)
class Job:
    """One job. Its time is the key of the same name in `[schedule]`."""

    name: str
    work: Callable[[Work], None]
    budget: int = 3  # failures in a row after which people are told and it waits for its next regular time
    on_each_host: bool = False  # its result stays on the machine that it ran on

    @property
    def key(self) -> str:
        return f"{self.name}@{socket.gethostname()}"[:80] if self.on_each_host else self.name

    def when(self, schedule: Schedule) -> int | str:
        """An interval in seconds, a cron line, or "" for never."""
        value: int | str = getattr(schedule, self.name)
        return value


@dataclass(frozen=True, slots=True)
class Record:
    """What the table knows of a job."""

    started_at: datetime | None = None
    finished_at: datetime | None = None
    succeeded_at: datetime | None = None
    failures: int = 0  # in a row
    error: str = ""


def trigger(when: int | str, zone: tzinfo, jitter: int = 0) -> BaseTrigger:
    """The APScheduler trigger for a time of `[schedule]`; `jitter` seconds later at most."""
    if isinstance(when, int):
        return IntervalTrigger(seconds=when, jitter=min(jitter, when // 4) or None)
    made = CronTrigger.from_crontab(when, timezone=zone)
    made.jitter = jitter or None
    return made


def pause(failures: int) -> timedelta:
    """How long a job that failed so often in a row is left alone: 1, 2, 4, ... minutes, at most an hour."""
    doublings = min(max(failures - 1, 0), 10)
    return min(FIRST_RETRY * float(2**doublings), LONGEST_PAUSE)


def due(when: int | str, record: Record, budget: int, now: datetime, zone: tzinfo) -> bool:
    """Whether a job is to run at `now`: its time has come since the last start, or a failure is to be tried again."""
    if when == "":
        return False
    if record.failures and record.finished_at is not None:
        if record.finished_at <= now < record.finished_at + pause(record.failures):
            return False
        if record.failures < budget:
            return True
    started = record.started_at
    if isinstance(when, int):
        # A start that lies ahead was written by a clock that has since been set back.
        return started is None or started > now or now - started >= timedelta(seconds=when) * NEARLY
    if started is None:
        return False
    since = max(min(started, now), now - MISSED)
    following = trigger(when, zone).get_next_fire_time(None, since.astimezone(zone) + timedelta(seconds=1))
    return following is not None and following <= now


class Runner:
    """Runs jobs of the table for one node."""

    def __init__(
        self, settings: Settings, database: Database, clock: Callable[[], datetime], node: str
    ) -> None:
        self.settings = settings
        self._database = database
        self._clock = clock
        self._node = node

    def run_due(self, jobs: Sequence[Job]) -> list[str]:
        """Run those of `jobs` that are due; return the names of those that were run. Never raises StoreError."""
        return [job.name for job in jobs if self.run(job)]

    def run(self, job: Job) -> bool:
        """Run `job` if it is due and no other node is at it; return whether it was run. What fails is recorded."""
        try:
            return self._run(job)
        except StoreError as error:
            # Nothing can be recorded; the job is due again as soon as the database is back.
            log.error("job not run", job=job.name, error=str(error))
            return False

    def _run(self, job: Job) -> bool:
        when = job.when(self.settings.schedule)
        zone = self.settings.service.zone
        if not self._glance(job, when, zone):
            return False
        lease = f"job {job.key}"[:40]
        with leases.lease(
            self._database, lease, self._node, self._clock, lambda node: is_dead(node, self._node)
        ) as renew:
            if renew is None:
                return False
            record = self._begin(job, when, zone)
            if record is None:
                return False
            self._finish(job, record, self._attempt(job, renew))
        return True

    def _glance(self, job: Job, when: int | str, zone: tzinfo) -> bool:
        """Whether it is worth asking for the lease; a job met for the first time is noted."""
        with self._database.read() as connection:
            record = read(connection, job.key)
        if record is None and isinstance(when, str):
            # Its first time is the next one from here on, not one before the installation was made.
            now = self._clock()
            self._database.write(lambda c: write(c, job.key, self._node, Record(now, now)))
            return False
        return due(when, _interrupted(record or Record()), job.budget, self._clock(), zone)

    def _begin(self, job: Job, when: int | str, zone: tzinfo) -> Record | None:
        now = self._clock()

        def begin(connection: Connection) -> Record | None:
            record = _interrupted(read(connection, job.key) or Record())
            if not due(when, record, job.budget, now, zone):
                return None
            record = replace(record, started_at=now)
            write(connection, job.key, self._node, record)
            return record

        return self._database.write(begin)

    def _attempt(self, job: Job, renew: leases.Renew) -> str:
        """Return what went wrong, "" when nothing did."""
        try:
            job.work(Work(self.settings, self._database, self._clock, renew))
        except ResponderError as error:
            log.error("job failed", job=job.name, error=str(error))
            return str(error) or type(error).__name__
        except Exception as error:  # a fault in one job, whatever it is, must not end the others
            log.exception("job failed", job=job.name)
            return f"{type(error).__name__}: {error}"
        log.debug("job done", job=job.name)
        return ""

    def _finish(self, job: Job, begun: Record, error: str) -> None:
        now = self._clock()
        if error:
            record = replace(begun, finished_at=now, failures=begun.failures + 1, error=error[:1000])
        else:
            record = Record(begun.started_at, now, now)

        def finish(connection: Connection) -> None:
            write(connection, job.key, self._node, record)
            if record.failures >= job.budget:
                text = f"pekerjaan terjadwal {job.name} gagal {record.failures} kali: {record.error}"
                alarms.raise_alarm(connection, f"job:{job.key}", text, now)
            elif not error and begun.failures:
                alarms.clear_alarm(connection, f"job:{job.key}", now)

        self._database.write(finish)


def read(connection: Connection, key: str) -> Record | None:
    row = connection.execute(select(JobRow.__table__).where(JobRow.name == key)).first()
    if row is None:
        return None
    return Record(row.started_at, row.finished_at, row.succeeded_at, row.failures, row.error)


def write(connection: Connection, key: str, node: str, record: Record) -> None:
    upsert(
        connection,
        JobRow,
        {"name": key},
        {
            "node": node[:100],
            "started_at": record.started_at,
            "finished_at": record.finished_at,
            "succeeded_at": record.succeeded_at,
            "failures": record.failures,
            "error": record.error,
        },
    )


def _interrupted(record: Record) -> Record:
    """With the lease in hand, a start without an end is a run that was killed: it counts as a failure."""
    started, finished = record.started_at, record.finished_at
    if started is None or (finished is not None and finished >= started):
        return record
    return replace(
        record, finished_at=started, failures=record.failures + 1, error="the process ended during the job"
    )


def _alarms(work: Work) -> None:
    from responder.upkeep.conditions import watch

    watch(work.database, work.settings, work.now)


def _digest(work: Work) -> None:
    from responder.upkeep.digest import tell

    tell(work.database, work.settings, work.now)


def _links(work: Work) -> None:
    from responder.upkeep.linkcheck import visit

    visit(work.database, work.settings, work.now)


def _retention(work: Work) -> None:
    from responder.upkeep.retention import purge

    purge(work.database, work.settings, work.now, work.renew)


def _backup(work: Work) -> None:
    from responder.upkeep.backup import backup

    backup(work.settings, work.database, work.now)


def _retrain(work: Work) -> None:
    from responder.upkeep.retrain import retrain

    retrain(work.database, work.settings, work.clock)


def _autonomy(work: Work) -> None:
    from responder.upkeep.autonomy import review_levels

    review_levels(work.database, work.settings, work.now)


TABLE = (
    Job("alarms", _alarms),
    Job("autonomy", _autonomy),
    Job("digest", _digest),
    Job("links", _links),
    Job("retention", _retention),
    Job("backup", _backup, budget=2),
    Job("retrain", _retrain, on_each_host=True),
)
