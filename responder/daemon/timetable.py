"""The schedule: APScheduler calls each job at its time; rounds are woken, jobs of the table are run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from responder.config import Settings
from responder.daemon import due
from responder.daemon.backoff import Backoff
from responder.daemon.mailbox import MailboxWorker
from responder.errors import ResponderError
from responder.tickets.database import Database
from responder.upkeep.courier import Courier
from responder.upkeep.jobs import TABLE, Job, Runner, trigger

log = structlog.get_logger("responder.schedule")

WORKERS = 4
"""Jobs at the same time. Rounds have threads of their own."""

JITTER_SECONDS = 20
"""Jobs of many installations shall not ask the same servers in the same second."""

RETRY_SECONDS = 60
"""How often is looked for jobs that failed, or whose time passed while nothing ran."""

PULSE_SECONDS = 5
SILENT_SECONDS = 120.0
"""A schedule that has called nothing for so long is hung."""


class _Lookout:
    """Something looked for every few seconds; after failures less often, so that the log stays readable."""

    def __init__(self, name: str, interval: float, look: Callable[[], None]) -> None:
        self._name = name
        self._look = look
        self._backoff = Backoff(interval)
        self._failures = 0

    def __call__(self) -> None:
        if self._failures and self._backoff.waiting():
            return
        try:
            self._look()
        except ResponderError as error:
            self._failures += 1
            if self._failures == 1:
                log.error("cannot look", what=self._name, error=str(error))
        else:
            self._failures = 0


class Timetable:
    """Calls workers and jobs at the times of `[schedule]`."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], runner: Runner, courier: Courier
    ) -> None:
        self._database = database
        self._clock = clock
        self._runner = runner
        self._courier = courier
        self._pulse_at = time.monotonic()
        self._at_work = 0
        self._changed = threading.Condition()
        self._scheduler: BackgroundScheduler | None = None

    def start(self, settings: Settings, workers: Mapping[str, MailboxWorker]) -> None:
        self._scheduler = BackgroundScheduler(executors={"default": ThreadPoolExecutor(WORKERS)})
        self.fill(settings, workers)
        self._scheduler.start()

    def fill(self, settings: Settings, workers: Mapping[str, MailboxWorker]) -> None:
        """Call by these settings from here on."""
        assert self._scheduler is not None
        self._scheduler.remove_all_jobs()
        schedule, database = settings.schedule, self._database
        names = list(workers)

        def send() -> None:
            for name in due.to_send(database, names, self._clock()):
                workers[name].wake_to_send()

        def file() -> None:
            for name in due.to_file(database, names, self._clock()):
                workers[name].wake()

        def compare() -> None:
            interval = schedule.reconcile if isinstance(schedule.reconcile, int) else 0
            ago = timedelta(seconds=interval / 2)
            for name in due.to_compare(database, names, self._clock(), ago):
                workers[name].wake(everything=True)

        for name, worker in workers.items():
            self._add(settings, f"poll {name}", schedule.poll, partial(worker.wake, glance=True))
        self._look(settings, "outbox", send)
        self._look(settings, "filing", file)
        self._look(settings, "reconcile", compare)
        for job in TABLE:
            self._add(settings, job.name, job.when(schedule), partial(self._do, [job]), JITTER_SECONDS)
        self._add(settings, "retries", RETRY_SECONDS, lambda: self._do(TABLE))
        self._add(settings, "pulse", PULSE_SECONDS, self._pulse)

    def look_again(self, now: datetime) -> None:
        """The clock was set: the next times were told by the old one. What is not due does nothing when called."""
        assert self._scheduler is not None
        for job in self._scheduler.get_jobs():
            job.modify(next_run_time=now)

    def stuck(self) -> list[str]:
        return ["schedule"] if time.monotonic() - self._pulse_at > SILENT_SECONDS else []

    def stop(self) -> None:
        """Nothing is called any more."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)

    def finished(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the jobs in hand; return whether there is none."""
        with self._changed:
            return self._changed.wait_for(lambda: self._at_work == 0, max(timeout, 0))

    def _look(self, settings: Settings, name: str, look: Callable[[], None]) -> None:
        when: int | str = getattr(settings.schedule, name)
        interval = float(when) if isinstance(when, int) else float(RETRY_SECONDS)
        self._add(settings, name, when, _Lookout(name, interval, look))

    def _add(
        self,
        settings: Settings,
        name: str,
        when: int | str,
        call: Callable[[], None],
        jitter: int = 5,
    ) -> None:
        if when == "":
            return
        assert self._scheduler is not None
        self._scheduler.add_job(
            call,
            trigger(when, settings.service.zone, jitter),
            id=name,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,  # late is better than left out; `Runner` knows what is too late
        )

    def _do(self, jobs: Iterable[Job]) -> None:
        with self._changed:
            self._at_work += 1
        try:
            self._runner.run_due(list(jobs))
        finally:
            with self._changed:
                self._at_work -= 1
                self._changed.notify_all()
        self._courier.look()

    def _pulse(self) -> None:
        self._pulse_at = time.monotonic()
