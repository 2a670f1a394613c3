"""How long the daemon leaves a mailbox alone after a failure."""

from __future__ import annotations

import pytest

from responder.daemon import backoff
from responder.daemon.backoff import Backoff
from responder.errors import LoginError, MailServerError, StoreError


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The running time in seconds, as the only element."""
    seconds = [1000.0]
    monkeypatch.setattr(backoff.time, "monotonic", lambda: seconds[0])
    return seconds


def waits(backoff: Backoff, running: list[float]) -> float:
    """Seconds until the mailbox may be worked on again."""
    before = running[0]
    while backoff.waiting():
        running[0] += 1
    return running[0] - before


def test_waits_after_failures_of_a_server_grow_to_a_limit(running: list[float]) -> None:
    backoff = Backoff(60)
    for rounds in (1, 2, 4, 8, 8):
        backoff.failed(MailServerError("away"))
        assert 60 * rounds <= waits(backoff, running) <= 60 * rounds * 1.2 + 1
    backoff.succeeded()
    backoff.failed(MailServerError("away"))
    assert waits(backoff, running) <= 73


def test_refused_credentials_are_not_tried_again_for_an_hour(running: list[float]) -> None:
    """Rule 62."""
    backoff = Backoff(60)
    backoff.failed(LoginError("refused"))
    assert waits(backoff, running) >= 3600


def test_credentials_that_a_person_has_replaced_are_tried_at_once(running: list[float]) -> None:
    """Rule 62: it is the refused ones that are not tried again."""
    credentials = ["refused"]
    backoff = Backoff(60, lambda: tuple(credentials))
    backoff.failed(LoginError("refused"))
    assert backoff.waiting()
    credentials[0] = "fresh"
    assert not backoff.waiting()


def test_a_database_that_is_away_is_asked_at_every_round(running: list[float]) -> None:
    backoff = Backoff(60)
    backoff.failed(StoreError("away"))
    assert not backoff.waiting()
