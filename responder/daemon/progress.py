"""Whether the threads of the daemon get on: the watchdog of the unit is told so only while they do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

STUCK_SECONDS = 1800.0
"""A step that takes longer is hung: every wait for a server ends before (RFC 5321 4.5.3.2: 30 minutes for all
waits of one reply together)."""


class Progress:
    """The last sign of life of each task at work.

    Steps of a round read the clock, before each batch, each group of replies and each commit, so `clock` is where a
    round shows that it gets on.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tasks: dict[int, tuple[str, float]] = {}  # thread → name, running time of the last sign

    def clock(self) -> datetime:
        """The time, and a sign of life of this thread's task."""
        self.sign()
        return self._clock()

    def sign(self) -> None:
        thread = threading.get_ident()
        with self._lock:
            if thread in self._tasks:
                self._tasks[thread] = (self._tasks[thread][0], time.monotonic())

    @contextmanager
    def task(self, name: str) -> Iterator[None]:
        """The block is a task of this thread."""
        thread = threading.get_ident()
        with self._lock:
            self._tasks[thread] = (name, time.monotonic())
        try:
            yield
        finally:
            with self._lock:
                del self._tasks[thread]

    def stuck(self, after: float = STUCK_SECONDS) -> list[str]:
        """Names of the tasks without a sign of life for `after` seconds."""
        limit = time.monotonic() - after
        with self._lock:
            return sorted(name for name, last in self._tasks.values() if last < limit)
