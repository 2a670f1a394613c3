"""Waiting for mail between rounds: IMAP IDLE on a connection of its own for each mailbox (RFC 2177, rule 61)."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

import structlog

from responder.config import MailboxConfig
from responder.daemon.backoff import Backoff, credentials_of
from responder.errors import ResponderError
from responder.mail.imap import ImapSession

log = structlog.get_logger("responder.idle")

PROOF_SECONDS = 240.0
"""How often IDLE is ended and begun anew: the server must answer each time, so a link that died without a word is
found within this and the server's time-out. Far below the 29 minutes of RFC 2177, and below the 5 minutes after which
home and office routers forget a silent connection."""

RETRY_SECONDS = 2.0
"""First pause before connecting again; it grows eightfold, and to an hour after refused credentials."""

STEADY_SECONDS = 30.0
"""A connection that lasted longer is opened again at once; one that did not, after the pause."""


class IdleWatcher:
    """Calls `wake` as soon as the server tells of new mail in the inbox of `name`. Rounds on the schedule go on."""

    def __init__(self, name: str, config: MailboxConfig, wake: Callable[[], None]) -> None:
        self.name = name
        self.config = config
        self._wake = wake
        self._stop = threading.Event()
        self._session: ImapSession | None = None
        self._listening_since = math.inf
        self._backoff = Backoff(RETRY_SECONDS, lambda: credentials_of(config))
        self._thread = threading.Thread(target=self._run, name=f"idle {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the wait; the thread is gone a moment later."""
        self._stop.set()
        session = self._session
        if session is not None:
            session.cut()

    def finished(self, timeout: float) -> bool:
        self._thread.join(max(timeout, 0))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if not self._listen():
                    return
            except ResponderError as error:
                if self._stop.is_set():
                    return
                log.warning(
                    "no IDLE for now, rounds on the schedule go on", mailbox=self.name, error=str(error)
                )
                self._backoff.failed(error)
            while self._backoff.waiting() and not self._stop.wait(1.0):
                pass

    def _listened(self) -> bool:
        """Whether the connection that has just ended was of use for a while."""
        since, self._listening_since = self._listening_since, math.inf
        return time.monotonic() - since > STEADY_SECONDS

    def _listen(self) -> bool:
        """Listen until stopped; False when the server has no IDLE. Raises MailServerError or ConfigError."""
        server = self.config.imap
        with ImapSession.connect(server, password=server.password(), folders=self.config.folders) as session:
            self._session = session
            if not session.can_idle:
                log.info("the server has no IDLE, mail is fetched on the schedule", mailbox=self.name)
                return False
            session.select(self.config.folders.inbox, readonly=True)
            self._backoff.succeeded()
            self._listening_since = time.monotonic()
            log.info("listening", mailbox=self.name)
            # What came while nobody listened is not told of.
            self._wake()
            while not self._stop.is_set():
                if session.idle(PROOF_SECONDS):
                    self._wake()
        return True
