"""The daemon: rounds on the schedule until asked to stop, the mailboxes side by side.

Nothing that goes wrong in a round ends the service: server, database, disk and clock may come back at any time.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import datetime

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from responder.config import Settings
from responder.errors import ConfigError, LoginError, ResponderError, StoreError
from responder.pipeline.round import OfficeRound, Rounds
from responder.secret import versions
from responder.tickets.database import Database

log = structlog.get_logger("responder.daemon")

SIDE_BY_SIDE = 8
"""Mailboxes that one process works on at the same time; more wait for their turn, or for another node."""

MAX_BACKOFF_ROUNDS = 8
"""After failures a mailbox's servers are left alone for up to this many times the interval of rounds."""

LOGIN_SECONDS = 3600.0
"""After refused credentials: more attempts would have the account locked (rule 62)."""

EVERYTHING_SECONDS = 3600.0
"""How often every UID is compared with the ledger; the counters are compared in every round."""

CLOCK_STEP_SECONDS = 5.0
"""A wall clock that differs from the running time by more than this since the last look was set."""


class Backoff:
    """When a mailbox may be worked on again after failures: 1, 2, 4, then 8 intervals later, and a fifth of jitter.

    `credentials` gives a value that differs once a person has put other credentials in place: that ends a wait for
    refused ones.
    """

    def __init__(self, interval: float, credentials: Callable[[], object] = tuple) -> None:
        self._interval = interval
        self._credentials = credentials
        self._refused: object = None
        self._failures = 0
        self._until = 0.0

    def waiting(self) -> bool:
        if self._refused is not None and self._credentials() != self._refused:
            self.succeeded()
        return time.monotonic() < self._until

    def failed(self, error: Exception) -> None:
        if isinstance(error, StoreError):
            return  # the database is ours: it is asked again at every round
        seconds = self._interval * min(2**self._failures, MAX_BACKOFF_ROUNDS)
        if isinstance(error, LoginError):
            seconds = max(seconds, LOGIN_SECONDS)
            self._refused = self._credentials()
        self._failures += 1
        self._until = time.monotonic() + seconds * (1 + random.random() / 5)  # noqa: S311 - jitter, not a secret

    def succeeded(self) -> None:
        self._failures, self._until, self._refused = 0, 0.0, None


class _MailboxJob:
    """Rounds of one mailbox."""

    def __init__(
        self,
        rounds: Rounds,
        name: str,
        interval: float,
        stop: threading.Event,
        report: Callable[[OfficeRound], None],
    ) -> None:
        self._rounds = rounds
        self._name = name
        self._backoff = Backoff(interval, lambda: versions(rounds.offices[name].config.secret_files))
        self._stop = stop
        self._report = report
        self._everything_due = time.monotonic()

    def __call__(self) -> None:
        if self._backoff.waiting() or self._stop.is_set():
            return
        everything = time.monotonic() >= self._everything_due
        try:
            done = self._rounds.run_office(self._name, compare_everything=everything)
        except ResponderError as error:
            log.error("round failed", mailbox=self._name, error=str(error))
            self._backoff.failed(error)
            return
        except Exception as error:  # a fault of one round, whatever it is, must not end the service
            log.exception("round failed", mailbox=self._name)
            self._backoff.failed(error)
            return
        if everything and not done.busy and done.error is None:
            self._everything_due = time.monotonic() + EVERYTHING_SECONDS
        self._report(done)
        log.info(
            "round",
            mailbox=done.mailbox,
            busy=done.busy,
            new=done.intake.new,
            handled=len(done.handled),
            sent=done.outbox.sent,
            filed=done.filing.filed,
        )
        if done.error is not None:
            self._backoff.failed(done.error)
        else:
            self._backoff.succeeded()


def serve(
    settings: Settings,
    database: Database,
    clock: Callable[[], datetime],
    stop: threading.Event,
    report: Callable[[OfficeRound], None] = lambda _done: None,
) -> None:
    """Run rounds until `stop` is set; the rounds in hand are finished first.

    `report` gets the outcome of each round. Raises ConfigError for a bad schedule."""
    trigger = _trigger(settings)
    interval = float(settings.schedule.poll) if isinstance(settings.schedule.poll, int) else 60.0
    with Rounds(settings, database, clock) as rounds:
        workers = min(len(settings.mailboxes), SIDE_BY_SIDE)
        scheduler = BackgroundScheduler(
            timezone=settings.service.zone, executors={"default": ThreadPoolExecutor(workers)}
        )
        for name in settings.mailboxes:
            scheduler.add_job(
                _MailboxJob(rounds, name, interval, stop, report),
                trigger,
                id=name,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
                next_run_time=clock(),
            )
        scheduler.start()
        log.info("started", mailboxes=list(settings.mailboxes), node=rounds.node)
        _watch_clock(scheduler, clock, stop)
        scheduler.shutdown(wait=True)
        log.info("stopped")


def _watch_clock(
    scheduler: BackgroundScheduler, clock: Callable[[], datetime], stop: threading.Event
) -> None:
    """Wait for `stop`. When the clock is set, run all jobs at once: their next times were told by the old clock."""
    wall, running = clock(), time.monotonic()
    while not stop.wait(1.0):
        step = (clock() - wall).total_seconds() - (time.monotonic() - running)
        wall, running = clock(), time.monotonic()
        if abs(step) > CLOCK_STEP_SECONDS:
            log.warning("clock was set", seconds=round(step))
            for job in scheduler.get_jobs():
                job.modify(next_run_time=wall)


def _trigger(settings: Settings) -> BaseTrigger:
    when = settings.schedule.poll
    if isinstance(when, int):
        return IntervalTrigger(seconds=when, jitter=min(5, when // 4) or None)
    try:
        return CronTrigger.from_crontab(when, timezone=settings.service.zone)
    except ValueError as error:
        raise ConfigError(f"schedule.poll: {when!r} is not a cron line: {error}") from error
