"""Figures that take longer than a page may: made once for everybody who asks within a short time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from responder.config import Settings
from responder.pipeline.office import Office
from responder.tickets.database import Database
from responder.upkeep import autonomy, reports
from responder.upkeep.autonomy import Standing
from responder.upkeep.reports import Report

T = TypeVar("T")

FRESH = timedelta(minutes=2)
"""How long a figure is kept; a report of many days at least a tenth of a minute for each: it reads thousands of rows
(a year of a big office takes seconds), and changes as much more slowly."""

KEPT = 512  # figures; each mailbox has four periods and a few dozen topics


class Figures:
    """One for each application; threads share it. Whoever asks while a figure is made waits for it."""

    def __init__(self, settings: Settings, database: Database, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._locks: dict[Hashable, threading.Lock] = {}
        self._kept: dict[Hashable, tuple[datetime, Any]] = {}

    def report(self, days: int, mailbox: str) -> tuple[datetime, Report]:
        """(when it was made, the report of the last `days` days); "" = all mailboxes. Raises StoreError."""

        def make(now: datetime) -> Report:
            with self._database.read() as connection:
                return reports.make(connection, self._settings.service, now, days, mailbox)

        return self._fresh(("report", days, mailbox), make, max(FRESH, timedelta(minutes=days / 10)))

    def standings(self, office: Office) -> list[Standing]:
        """How each topic of an office stands. Raises StoreError."""
        return [self.standing(office, slug) for slug in office.topics]

    def standing(self, office: Office, slug: str) -> Standing:
        """How one topic stands. Raises StoreError."""

        def make(now: datetime) -> Standing:
            with self._database.read() as connection:
                return autonomy.standing(connection, office.name, slug, self._settings.policy, now)

        return self._fresh(("standing", office.name, slug), make)[1]

    def forget(self) -> None:
        """Somebody changed what the figures say."""
        self._kept.clear()

    def _fresh(
        self, key: Hashable, make: Callable[[datetime], T], fresh: timedelta = FRESH
    ) -> tuple[datetime, T]:
        with self._locks.setdefault(key, threading.Lock()):
            now = self._clock()
            made = self._kept.get(key)
            if made is None or not made[0] <= now < made[0] + fresh:
                if len(self._kept) >= KEPT:
                    self._kept.clear()
                made = self._kept[key] = now, make(now)
            return made
