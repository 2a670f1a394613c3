"""Counters that limit automatic mail (rules 19, 22, 23, 25). Raised in the transaction that queues the reply."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, select

from responder.tickets.database import table_of, upsert_insert
from responder.tickets.models import Counter

SERVICE_KEY = "service"
FOREVER = "same-answer"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much automatic mail is allowed; see `[policy.brakes]`."""

    same_answer_days: int
    per_address_day: int
    per_domain_day: int
    per_hour: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an automatic reply may not be queued. `service_wide` trips the breaker (rule 22)."""

    reason: str
    service_wide: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """An automatic reply that is to be queued: to which address, of which kind, answering which topics."""

    address: str
    kind: str
    topics: tuple[str, ...] = ()

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    @property
    def answer_key(self) -> str:
        what = hashlib.sha256("\n".join([self.kind, *sorted(self.topics)]).encode()).hexdigest()[:32]
        return f"same:{self.address}:{what}"


def reserve(
    connection: Connection, limits: Limits, address: str, kind: str, topics: Sequence[str], now: datetime
) -> Refusal | None:
    """Count one automatic reply to `address`, or say why it may not be; see `reserve_all`."""
    return reserve_all(connection, limits, [Wanted(address, kind, tuple(topics))], now)[0]


def reserve_all(
    connection: Connection, limits: Limits, wanted: Sequence[Wanted], now: datetime
) -> list[Refusal | None]:
    """Count automatic replies in order; for each None, or why it may not be queued: that one counts nothing.

    Windows are UTC days and hours of `now`; a clock that jumps back finds its old counters again, so it opens no
    new allowance. To be called late in the transaction that queues the replies: until its end every other node that
    asks waits.
    """
    if not wanted:
        return []
    counters = _Counters(connection, wanted, now)
    refusals = [counters.take(one, limits) for one in wanted]
    counters.write(connection)
    return refusals


class _Counters:
    """The counters that some replies touch, as they stand in this transaction."""

    def __init__(self, connection: Connection, wanted: Sequence[Wanted], now: datetime) -> None:
        self._now = now
        self._day = now.strftime("%Y-%m-%d")
        self._service = (SERVICE_KEY, now.strftime("%Y-%m-%dT%H"))
        self._changed: set[tuple[str, str]] = set()
        key, window = self._service
        # First the row that every automatic reply counts in: it makes two nodes that ask at once take turns.
        count = connection.scalar(_lock_statement(connection.dialect.name), _row(key, window, 0, now))
        self._counts: dict[tuple[str, str], int] = {self._service: int(count or 0)}
        self._until: dict[str, datetime] = {}
        keys = {
            key for one in wanted for key in (f"to:{one.address}", f"domain:{one.domain}", one.answer_key)
        }
        for row in connection.execute(_COUNTERS, {"keys": list(keys), "windows": [self._day, FOREVER]}):
            self._counts[row.key, row.window] = row.n
            if row.window == FOREVER:
                self._until[row.key] = row.at

    def take(self, one: Wanted, limits: Limits) -> Refusal | None:
        days = limits.same_answer_days
        address, domain = (f"to:{one.address}", self._day), (f"domain:{one.domain}", self._day)
        if self._until.get(one.answer_key, _LONG_AGO) > self._now:
            return Refusal(f"rule 19: the same answer went to this address within {days} days")
        if self._counts[self._service] >= limits.per_hour:
            return Refusal(
                f"rule 22: more than {limits.per_hour} automatic replies in an hour", service_wide=True
            )
        if self._counts.get(address, 0) >= limits.per_address_day:
            return Refusal(
                f"rule 23: more than {limits.per_address_day} automatic replies to this address in a day"
            )
        if self._counts.get(domain, 0) >= limits.per_domain_day:
            return Refusal(
                f"rule 23: more than {limits.per_domain_day} automatic replies to this domain in a day"
            )
        for counter in (self._service, address, domain, (one.answer_key, FOREVER)):
            self._counts[counter] = self._counts.get(counter, 0) + 1
            self._changed.add(counter)
        self._until[one.answer_key] = self._now + timedelta(days=days)
        return None

    def write(self, connection: Connection) -> None:
        if self._changed:
            rows = [
                _row(key, window, self._counts[key, window], self._until.get(key, self._now))
                for key, window in sorted(self._changed)
            ]
            connection.execute(_write_statement(connection.dialect.name), rows)


def _row(key: str, window: str, n: int, at: datetime) -> dict[str, Any]:
    return {"key": key, "window": window, "n": n, "at": at}


_TABLE = table_of(Counter)
_COUNTERS = select(_TABLE).where(
    _TABLE.c.key.in_(bindparam("keys", expanding=True)),
    _TABLE.c.window.in_(bindparam("windows", expanding=True)),
)


@cache
def _lock_statement(dialect: str) -> Any:
    """Insert a counter unless it is there, lock it, return its count."""
    insert = upsert_insert(dialect)(_TABLE)
    same = insert.on_conflict_do_update(index_elements=["key", "window"], set_={"n": _TABLE.c.n})
    return same.returning(_TABLE.c.n)


@cache
def _write_statement(dialect: str) -> Any:
    insert = upsert_insert(dialect)(_TABLE)
    values = {"n": insert.excluded.n, "at": insert.excluded.at}
    return insert.on_conflict_do_update(index_elements=["key", "window"], set_=values)


_LONG_AGO = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
