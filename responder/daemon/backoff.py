"""How long the servers of a mailbox are left alone after failures."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from responder.errors import LoginError, StoreError

MAX_BACKOFF_ROUNDS = 8
"""After failures a mailbox's servers are left alone for up to this many times the interval of rounds."""

LOGIN_SECONDS = 3600.0
"""After refused credentials: more attempts would have the account locked (rule 62)."""


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
