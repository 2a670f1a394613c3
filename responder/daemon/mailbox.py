"""The rounds of one mailbox in the daemon: one at a time, whoever asks for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress

import structlog

from responder.daemon.backoff import Backoff, credentials_of
from responder.daemon.progress import Progress
from responder.errors import ResponderError
from responder.pipeline.round import OfficeRound, Rounds

log = structlog.get_logger("responder.daemon")

Report = Callable[[OfficeRound, float], None]
"""Gets the outcome of each round and the seconds that it took."""


class MailboxWorker:
    """Does a round of mailbox `name` when it is woken; a wish that comes during a round is met right after it.

    Schedule, IDLE and what has become due all wake it, so a round is the one unit of work on a mailbox: Sent is read
    before anything is sent (rule 28b), and nobody waits for a lease that this process holds.
    """

    def __init__(
        self, name: str, rounds: Rounds, interval: float, pool: Executor, progress: Progress, report: Report
    ) -> None:
        self.name = name
        self._pool = pool
        self._progress = progress
        self._report = report
        self._lock = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()
        self._again = self._everything = self._stopped = False
        self._glance = True
        self._using: Rounds | None = None
        self.use(rounds, interval)

    def use(self, rounds: Rounds, interval: float) -> None:
        """Do the rounds from the next one on with `rounds`; `interval` is the usual time between two, in seconds."""
        with self._lock:
            self._rounds = rounds
            self._backoff, self._sending = (
                Backoff(interval, lambda: credentials_of(rounds.offices[self.name].config)) for _ in range(2)
            )
            self._unsent: ResponderError | None = None

    def uses(self, rounds: Rounds) -> bool:
        """Whether a round with `rounds` is in hand or still to come."""
        with self._lock:
            return rounds in (self._rounds, self._using)

    def wake(self, *, everything: bool = False, glance: bool = False) -> None:
        """Ask for a round as soon as possible; with `everything` one that compares every UID.

        With `glance` only if something has changed, unless others ask for a round.
        """
        with self._lock:
            self._everything |= everything
            self._glance &= glance
            if self._stopped:
                return
            if not self._idle.is_set():
                self._again = True
                return
            self._idle.clear()
        self._pool.submit(self._work)

    def wake_to_send(self) -> None:
        """Ask for a round because a reply is to leave, unless the SMTP server is being left alone."""
        if not self._sending.waiting():
            self.wake()

    def stop(self) -> None:
        """No round begins any more."""
        with self._lock:
            self._stopped = True

    def finished(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the round in hand; return whether there is none."""
        return self._idle.wait(max(timeout, 0))

    def _work(self) -> None:
        going_on = True
        while going_on:
            with self._lock:
                self._again = False
                self._using = self._rounds
                rounds, backoff, sending = self._rounds, self._backoff, self._sending
                stopped = self._stopped
                glance, self._glance = self._glance, True
            if not stopped and not backoff.waiting():
                self._guarded(rounds, backoff, sending, glance)
            with self._lock:
                self._using = None
                going_on = self._again and not self._stopped
                if not going_on:
                    self._idle.set()

    def _guarded(self, rounds: Rounds, backoff: Backoff, sending: Backoff, glance: bool) -> None:
        with self._progress.task(f"round of {self.name}"):
            try:
                self._round(rounds, backoff, sending, glance)
            except ResponderError as error:
                log.error("round failed", mailbox=self.name, error=str(error))
                backoff.failed(error)
            except Exception as error:  # a fault of one round, whatever it is, must not end the service
                log.exception("round failed", mailbox=self.name)
                backoff.failed(error)

    def _round(self, rounds: Rounds, backoff: Backoff, sending: Backoff, glance: bool) -> None:
        everything, began = self._everything, time.monotonic()
        # An SMTP server that is away or refuses us must not keep mail from being taken in and drafted.
        send = not sending.waiting()
        done = rounds.run_office(self.name, compare_everything=everything, glance_first=glance, send=send)
        if not send:
            done.unsent = self._unsent
        elif done.unsent is not None:
            sending.failed(done.unsent)
        elif done.error is None:
            sending.succeeded()
        self._unsent = done.unsent
        say = log.debug if done.calm else log.info
        say(
            "round",
            mailbox=done.mailbox,
            busy=done.busy,
            new=done.intake.new,
            handled=len(done.handled),
            sent=done.outbox.sent,
            filed=done.filing.filed,
        )
        if done.error is not None:
            backoff.failed(done.error)
        else:
            backoff.succeeded()
            if everything and not done.busy:
                self._everything = False
        self._report(done, time.monotonic() - began)
        if done.filing.more:
            self.wake()  # between two passes new mail has its turn
        if not (done.busy or done.calm or done.handled):
            _make_ready(rounds, self.name)


def _make_ready(rounds: Rounds, name: str) -> None:
    """Load in a quiet moment what the first mail would have to wait for."""
    office = rounds.offices[name]
    with suppress(ResponderError):  # the round that needs it says what is wrong
        if office.topics and office.renderer and office.classifier:
            return
