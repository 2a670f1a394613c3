"""How long the servers of a mailbox are left alone after failures."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress

from responder.config import MailboxConfig
from responder.errors import LoginError, ResponderError, StoreError
from responder.mail import oauth_store
from responder.secret import versions

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
        self._tried = credentials()
        self._refused: object = None
        self._failures = 0
        self._until = 0.0

    def waiting(self) -> bool:
        """Whether to leave it alone; to be asked directly before an attempt."""
        self._tried = self._credentials()
        if self._refused is not None and self._tried != self._refused:
            self.succeeded()
        return time.monotonic() < self._until

    def failed(self, error: Exception) -> None:
        if isinstance(error, StoreError):
            return  # the database is ours: it is asked again at every round
        seconds = self._interval * min(2**self._failures, MAX_BACKOFF_ROUNDS)
        if isinstance(error, LoginError):
            seconds = max(seconds, LOGIN_SECONDS)
            # Those of the attempt: others may have been put in place while the server thought about them.
            self._refused = self._tried
        self._failures += 1
        self._until = time.monotonic() + seconds * (1 + random.random() / 5)  # noqa: S311 - jitter, not a secret

    def succeeded(self) -> None:
        self._failures, self._until, self._refused = 0, 0.0, None


def credentials_of(config: MailboxConfig) -> object:
    """Return a value that differs once a person has put other credentials for this mailbox in place.

    The file of a token is also written by this service, whenever a token is renewed or found to be refused; what a
    person's sign-in changes is the refresh token.
    """
    token_file = config.oauth2.token_file if config.oauth2 is not None else None
    files = [path for path in config.secret_files if path != token_file]
    refresh_token = ""
    if token_file is not None:
        with suppress(ResponderError):  # the attempt itself says what is wrong with the file
            token = oauth_store.read(token_file)
            refresh_token = token.refresh_token if token is not None else ""
    return versions(files), refresh_token
