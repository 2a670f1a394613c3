"""What visits to the links of answers came to: dead is one after three failures in a row over 48 hours (rule 28a)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select

from responder.tickets.models_upkeep import LinkVisit
from responder.tickets.switches import upsert

FAILURES = 3
FAILING_FOR = timedelta(hours=48)

LONGEST_URL = 500  # characters that the table holds


def note(connection: Connection, url: str, outcome: str, now: datetime) -> None:
    """Write one visit; `outcome` is why the link does not work, "" when it does."""
    before = connection.execute(select(LinkVisit.__table__).where(LinkVisit.url == url)).first()
    values = {"visited_at": now, "works": not outcome, "outcome": outcome}
    if not outcome:
        values |= {"failing_since": None, "failures": 0}
    elif before is None or before.failing_since is None:
        values |= {"failing_since": now, "failures": 1}
    else:
        values |= {"failing_since": before.failing_since, "failures": before.failures + 1}
    upsert(connection, LinkVisit, {"url": url}, values)


def dead(connection: Connection, now: datetime) -> list[str]:
    """The addresses that do not work, as far as that is known."""
    query = select(LinkVisit.url).where(
        LinkVisit.failures >= FAILURES, LinkVisit.failing_since <= now - FAILING_FOR
    )
    return list(connection.scalars(query.order_by(LinkVisit.url)))


def forget_others(connection: Connection, urls: Iterable[str]) -> None:
    """Forget the links that no answer has any more."""
    connection.execute(delete(LinkVisit).where(LinkVisit.url.not_in(list(urls))))
