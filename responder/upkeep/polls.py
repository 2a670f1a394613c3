"""What each round of a mailbox came to, in the table `jobs`: the last good one is what alarms and pages look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from responder.errors import ConfigError, ContentError, LoginError, ModelError
from responder.pipeline.round import OfficeRound
from responder.tickets.database import Database
from responder.upkeep import alarms, jobs

KEY = "poll:"

AT_ONCE = ("sign-in", "broken")
"""Families of alarms about why a mailbox is not worked on that are raised here, whatever `alarms.poll_minutes` says."""

NOTED_EVERY = timedelta(seconds=15)
"""Good rounds in between are not written: with IDLE a busy mailbox has one a second."""


def note(
    database: Database,
    node: str,
    began: datetime,
    done: OfficeRound,
    clock: Callable[[], datetime],
) -> None:
    """Write how a round that `began` then ended, and raise what people must know at once.

    Raises StoreError.
    """
    mailbox, error = done.mailbox, done.error
    with database.read() as connection:
        before = jobs.read(connection, KEY + mailbox) or jobs.Record()
    now = clock()
    if done.problem is None and not before.failures and _recent(before.succeeded_at, now):
        return
    if error is None:
        record = jobs.Record(began, now, now)
    else:
        record = replace(
            before, started_at=began, finished_at=now, failures=before.failures + 1, error=str(error)[:1000]
        )

    def write(connection: Connection) -> None:
        jobs.write(connection, KEY + mailbox, node, record)
        for family, text in _at_once(done).items():
            if text:
                alarms.raise_alarm(connection, f"{family}:{mailbox}", text, now)
            elif done.problem is None:
                alarms.clear_alarm(connection, f"{family}:{mailbox}", now)

    database.write(write)


def _recent(last: datetime | None, now: datetime) -> bool:
    return last is not None and last <= now < last + NOTED_EVERY


def _at_once(done: OfficeRound) -> dict[str, str]:
    """Family of alarm → its text, "" when it does not hold: what only a person can end is not waited for."""
    mailbox, error = done.mailbox, done.problem
    refused = isinstance(error, LoginError)
    broken = isinstance(error, (ContentError, ModelError, ConfigError))
    return {
        "sign-in": f"kotak surat {mailbox}: tidak dapat masuk: {error}" if refused else "",
        "broken": f"kotak surat {mailbox}: {error}" if broken else "",
    }
