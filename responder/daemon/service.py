"""The service as a whole: what runs, reading the configuration again, and ending in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Protocol

import structlog

from responder import logs, memory
from responder.config import Settings, load
from responder.daemon.idle import IdleWatcher
from responder.daemon.mailbox import MailboxWorker
from responder.daemon.notify import Notifier
from responder.daemon.progress import Progress
from responder.daemon.timetable import Timetable
from responder.errors import ConfigError, ContentError, ResponderError, StoreError
from responder.mail import ending
from responder.pipeline.node import this_node
from responder.pipeline.round import OfficeRound, Rounds
from responder.tickets.database import Database
from responder.upkeep import alarms, health, metrics, polls
from responder.upkeep.courier import Courier
from responder.upkeep.jobs import Runner

log = structlog.get_logger("responder.daemon")

SIDE_BY_SIDE = 8
"""Mailboxes that one process works on, or listens to, at the same time; more wait for their turn or another node."""

FINISH_SECONDS = 6.0
"""After a request to stop: for the steps in hand. Then connections are cut, which leaves an outcome in doubt."""

CUT_SECONDS = 2.0
"""For what was cut to be written down. Both together stay below 10 seconds, whatever servers do."""

CLOCK_STEP_SECONDS = 5.0
"""A wall clock that differs from the running time by more than this since the last look was set."""

TIDY_SECONDS = 60.0

USUAL_INTERVAL = 60.0
"""Seconds between rounds that back-off counts in where the schedule is a cron line."""


class Pages(Protocol):
    """The staff pages as this process serves them."""

    def stop(self) -> None: ...


class Part(Protocol):
    """Something with threads of its own."""

    def finished(self, timeout: float) -> bool: ...


class Service:
    """Everything that `responder run` does, for one configuration at a time."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Callable[[], datetime],
        *,
        config: Path | None = None,  # where `settings` came from, to read it again; None: they are fixed
        report: Callable[[OfficeRound], None] = lambda _done: None,
        notifier: Notifier | None = None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._config = config
        self._told = report
        self._notifier = notifier or Notifier()
        self._node = this_node()
        self._progress = Progress(clock)
        self._pool = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="round")
        self._rounds = Rounds(settings, database, self._progress.clock)
        self._left: list[Rounds] = []  # of earlier configurations, perhaps with a round in hand
        self._workers: dict[str, MailboxWorker] = {}
        self._watchers: dict[str, IdleWatcher] = {}
        self._runner = Runner(settings, database, clock, self._node)
        self._courier = Courier(settings, database, clock, self._node)
        self._timetable = Timetable(database, clock, self._runner, self._courier)
        self._pages: Pages | None = None
        self._alive_at = self._tidy_at = 0.0

    def run(self, stop: threading.Event, reload: threading.Event | None = None) -> bool:
        """Serve until `stop` is set; read configuration and content again whenever `reload` is set.

        Returns False when a thread still waits for something after the time for ending; the process may be left to
        the operating system then, as every step can be done again. Raises ConfigError for a secret key that cannot be
        used.
        """
        health.watch(self._stuck)
        self._courier.start()
        self._apply(self._settings)
        self._timetable.start(self._settings, self._workers)
        self._notifier.ready()
        self._notifier.status(f"serving {len(self._workers)} mailboxes")
        log.info("started", mailboxes=list(self._workers), node=self._node)
        wall, running = self._clock(), time.monotonic()
        while not stop.wait(1.0):
            step = (self._clock() - wall).total_seconds() - (time.monotonic() - running)
            wall, running = self._clock(), time.monotonic()
            if abs(step) > CLOCK_STEP_SECONDS:
                log.warning("clock was set", seconds=round(step))
                self._timetable.look_again(wall)
            if reload is not None and reload.is_set():
                reload.clear()
                self._reload()
            self._retire()
            self._tidy()
            self._watchdog()
        return self._end()

    def _apply(self, settings: Settings) -> None:
        """Bring workers, watchers, pages and log in line with `settings`."""
        interval = (
            float(settings.schedule.poll) if isinstance(settings.schedule.poll, int) else USUAL_INTERVAL
        )
        for name in self._workers.keys() - settings.mailboxes.keys():
            self._workers.pop(name).stop()
        for name in settings.mailboxes:
            if name in self._workers:
                self._workers[name].use(self._rounds, interval)
            else:
                self._workers[name] = MailboxWorker(
                    name, self._rounds, interval, self._pool, self._progress, self._report
                )
            self._workers[name].wake(everything=settings.schedule.reconcile != "")
        self._listen(settings)
        self._serve_pages(settings)
        self._settings = settings

    def _listen(self, settings: Settings) -> None:
        wanted = list(settings.mailboxes.items())[:SIDE_BY_SIDE] if settings.schedule.idle else []
        if settings.schedule.idle and len(settings.mailboxes) > SIDE_BY_SIDE:
            log.info("mail is fetched on the schedule", mailboxes=list(settings.mailboxes)[SIDE_BY_SIDE:])
        for watcher in self._watchers.values():
            watcher.stop()
        self._watchers = {
            name: IdleWatcher(name, mailbox, self._workers[name].wake) for name, mailbox in wanted
        }
        for watcher in self._watchers.values():
            watcher.start()

    def _serve_pages(self, settings: Settings) -> None:
        if self._pages is not None:
            if settings == self._settings:
                return
            self._pages.stop()
            self._pages = None
        if not settings.web.enabled:
            return
        from responder.web.server import serve_in_thread

        try:
            self._pages = serve_in_thread(settings, self._database, self._clock)
        except (ResponderError, OSError) as error:
            # Mail is answered without the pages; they are tried again with the next configuration.
            log.error("no staff pages", error=str(error))
            self._alarm("web", f"halaman petugas tidak dapat dibuka: {error}")
        else:
            self._alarm("web", "")

    def _reload(self) -> None:
        if self._config is None:
            return
        self._notifier.reloading()
        try:
            settings = load(self._config)
            self._refuse_what_needs_a_restart(settings)
            rounds = Rounds(settings, self._database, self._progress.clock, earlier=self._rounds)
            _check_content(rounds, self._clock())
        except ResponderError as error:
            log.error("configuration refused, the one before stays", error=str(error))
            self._notifier.status(f"configuration refused: {error}")
            self._alarm("config", f"konfigurasi ditolak, yang lama tetap dipakai: {error}")
        else:
            logs.configure(settings.logging)
            self._left.append(self._rounds)
            self._rounds = rounds
            self._apply(settings)
            self._runner.settings = settings
            self._courier.use(settings)
            self._timetable.fill(settings, self._workers)
            self._alarm("config", "")
            self._notifier.status(f"serving {len(self._workers)} mailboxes")
            log.info("configuration read again", mailboxes=list(self._workers))
        self._notifier.ready()

    def _refuse_what_needs_a_restart(self, settings: Settings) -> None:
        for section in ("database", "state"):
            if getattr(settings, section) != getattr(self._settings, section):
                raise ConfigError(f"{self._config}: [{section}] can be changed with a restart only")

    def _retire(self) -> None:
        """Close what earlier configurations left, once no round of theirs is in hand."""
        for rounds in list(self._left):
            if not any(worker.uses(rounds) for worker in self._workers.values()):
                self._left.remove(rounds)
                rounds.disconnect()

    def _tidy(self) -> None:
        """Return what a reload or a backlog has left free; nothing else would for as long as the service runs."""
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + TIDY_SECONDS
            memory.give_back()

    def _watchdog(self) -> None:
        """Tell systemd that we live, as long as schedule and rounds get on."""
        if not self._notifier.watchdog_seconds or time.monotonic() < self._alive_at:
            return
        if stuck := self._stuck():
            log.error("stuck", tasks=stuck)
            return
        self._alive_at = time.monotonic() + self._notifier.watchdog_seconds / 4
        self._notifier.alive()

    def _stuck(self) -> list[str]:
        return [*self._progress.stuck(), *self._timetable.stuck()]

    def _report(self, done: OfficeRound, seconds: float) -> None:
        """After a round, in its thread."""
        metrics.observe_round(done, seconds)
        if not done.busy:
            now = self._clock()
            try:
                polls.note(self._database, self._node, now, done, self._clock)
            except StoreError as error:
                log.error("round not recorded", mailbox=done.mailbox, error=str(error))
        self._told(done)

    def _alarm(self, key: str, text: str) -> None:
        """Raise the alarm `key`, or clear it when `text` is empty; without a database only the log tells."""
        with suppress(StoreError), self._database.begin() as connection:
            if text:
                alarms.raise_alarm(connection, key, text, self._clock())
            else:
                alarms.clear_alarm(connection, key, self._clock())
        self._courier.look()

    def _end(self) -> bool:
        """Finish the steps in hand; cut what waits for a server; return whether everything came to its end."""
        began = time.monotonic()
        self._notifier.stopping()
        log.info("stopping")
        ending.begin()
        self._timetable.stop()
        for worker in self._workers.values():
            worker.stop()
        for watcher in self._watchers.values():
            watcher.stop()
        if self._pages is not None:
            # It may wait longer for a browser than the service has.
            threading.Thread(target=self._pages.stop, name="web end", daemon=True).start()
        ended = self._wait(began + FINISH_SECONDS)
        if not ended:
            log.warning("connections are cut, so that the service ends in time")
            ending.cut_all()
            ended = self._wait(began + FINISH_SECONDS + CUT_SECONDS)
        self._courier.stop()
        if not ended:
            log.error("stopped before everything came to its end")
            return False
        self._pool.shutdown()
        for rounds in self._left:
            rounds.disconnect()
        self._rounds.close()
        ending.over()
        log.info("stopped")
        return True

    def _wait(self, until: float) -> bool:
        """Wait for all threads until the running time `until`; return whether they are done."""
        parts: list[Part] = [*self._workers.values(), *self._watchers.values(), self._timetable]
        return all(part.finished(until - time.monotonic()) for part in parts)


def _check_content(rounds: Rounds, now: datetime) -> None:
    """Raises ConfigError or ContentError for what would keep mail from being answered."""
    today = now.astimezone(rounds.settings.service.zone).date()
    for name, office in rounds.offices.items():
        try:
            for topic in office.topics.values():
                office.renderer.preview(topic, office.text, today)
        except ContentError as error:
            raise ContentError(f"mailbox {name}: {error}") from error


def serve(
    settings: Settings,
    database: Database,
    clock: Callable[[], datetime],
    stop: threading.Event,
    report: Callable[[OfficeRound], None] = lambda _done: None,
) -> None:
    """Run the service with fixed settings until `stop` is set; `report` gets the outcome of each round."""
    Service(settings, database, clock, report=report).run(stop)
