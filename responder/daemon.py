"""The daemon: rounds on the schedule, one at a time, until asked to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from responder.config import Settings
from responder.errors import ConfigError, ResponderError
from responder.pipeline.round import OfficeRound, Rounds
from responder.tickets.database import Database

log = structlog.get_logger("responder.daemon")

MAX_BACKOFF_ROUNDS = 8
"""After failures a mailbox's server is left alone for up to this many rounds."""


class Backoff:
    """Counts failed rounds and says which rounds to leave out: 1, 2, 4, then 8 after each further failure."""

    def __init__(self) -> None:
        self._failures = 0
        self._skip = 0

    def skip(self) -> bool:
        if self._skip:
            self._skip -= 1
            return True
        return False

    def failed(self) -> None:
        self._skip = min(2**self._failures, MAX_BACKOFF_ROUNDS)
        self._failures += 1

    def succeeded(self) -> None:
        self._failures = self._skip = 0


def serve(
    settings: Settings,
    database: Database,
    clock: Callable[[], datetime],
    stop: threading.Event,
    report: Callable[[OfficeRound], None] = lambda _done: None,
) -> None:
    """Run rounds until `stop` is set; the round in hand is finished first.

    `report` gets the outcome of each round. Raises ConfigError for a bad schedule."""
    with Rounds(settings, database, clock) as rounds:
        backoff = Backoff()

        def one_round() -> None:
            if backoff.skip() or stop.is_set():
                return
            try:
                done = rounds.run()
            except ResponderError as error:
                log.error("round failed", error=str(error))
                backoff.failed()
                return
            for one in done:
                report(one)
                log.info(
                    "round",
                    mailbox=one.mailbox,
                    busy=one.busy,
                    new=one.intake.new,
                    handled=len(one.handled),
                    sent=one.outbox.sent,
                    filed=one.filing.filed,
                )
            if any(one.error for one in done):
                backoff.failed()
            else:
                backoff.succeeded()

        scheduler = BackgroundScheduler(timezone=settings.service.zone)
        scheduler.add_job(
            one_round,
            _trigger(settings),
            id="round",
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
            next_run_time=clock(),
        )
        scheduler.start()
        log.info("started", mailboxes=list(settings.mailboxes), node=rounds.node)
        stop.wait()
        scheduler.shutdown(wait=True)
        log.info("stopped")


def _trigger(settings: Settings) -> BaseTrigger:
    when = settings.schedule.poll
    if isinstance(when, int):
        return IntervalTrigger(seconds=when, jitter=min(5, when // 4) or None)
    try:
        return CronTrigger.from_crontab(when, timezone=settings.service.zone)
    except ValueError as error:
        raise ConfigError(f"schedule.poll: {when!r} is not a cron line: {error}") from error
