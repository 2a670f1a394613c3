"""Counters that limit automatic mail (rules 19, 22, 23, 25). Raised in the transaction that queues the reply."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

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


def reserve(
    connection: Connection, limits: Limits, address: str, kind: str, topics: Sequence[str], now: datetime
) -> Refusal | None:
    """Count one automatic reply to `address`, or say why it may not be.

    Windows are UTC days and hours of `now`; a clock that jumps back finds its old counters again, so it opens no
    new allowance. The caller rolls back (a savepoint) when it gets a Refusal or does not queue the reply.
    """
    # First the row that every automatic reply counts in: it makes two nodes that ask at once take turns.
    service = _raise(connection, SERVICE_KEY, now.strftime("%Y-%m-%dT%H"), now)
    day = now.strftime("%Y-%m-%d")
    domain = address.rpartition("@")[2]
    if _same_answer_until(connection, address, kind, topics) > now:
        return Refusal(f"rule 19: the same answer went to this address within {limits.same_answer_days} days")
    if service > limits.per_hour:
        return Refusal(
            f"rule 22: more than {limits.per_hour} automatic replies in an hour", service_wide=True
        )
    if _raise(connection, f"to:{address}", day, now) > limits.per_address_day:
        return Refusal(
            f"rule 23: more than {limits.per_address_day} automatic replies to this address in a day"
        )
    if _raise(connection, f"domain:{domain}", day, now) > limits.per_domain_day:
        return Refusal(
            f"rule 23: more than {limits.per_domain_day} automatic replies to this domain in a day"
        )
    _remember_answer(connection, address, kind, topics, now + timedelta(days=limits.same_answer_days))
    return None


def _answer_key(address: str, kind: str, topics: Sequence[str]) -> str:
    what = hashlib.sha256("\n".join([kind, *sorted(topics)]).encode()).hexdigest()[:32]
    return f"same:{address}:{what}"


def _same_answer_until(connection: Connection, address: str, kind: str, topics: Sequence[str]) -> datetime:
    key = _answer_key(address, kind, topics)
    until = connection.scalar(select(Counter.at).where(Counter.key == key, Counter.window == FOREVER))
    return until if until is not None else _LONG_AGO


def _remember_answer(
    connection: Connection, address: str, kind: str, topics: Sequence[str], until: datetime
) -> None:
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    statement = insert(Counter).values(key=_answer_key(address, kind, topics), window=FOREVER, n=1, at=until)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["key", "window"], set_={"n": Counter.n + 1, "at": statement.excluded.at}
        )
    )


def _raise(connection: Connection, key: str, window: str, now: datetime) -> int:
    """Add one and return the new count, atomically on both engines."""
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    statement = insert(Counter).values(key=key, window=window, n=1, at=now)
    return int(
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["key", "window"], set_={"n": Counter.n + 1}
            ).returning(Counter.n)
        ).scalar_one()
    )


_LONG_AGO = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
