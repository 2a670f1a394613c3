"""Where somebody is: a queue and what it is narrowed to. It travels in the address of every page and form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Annotated
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import Depends, Query

from responder.tickets.queues import OF_MESSAGES, Filters, Queue

EARLIEST, LATEST = date(2000, 1, 1), date(2999, 12, 31)
"""Days outside narrow a list as these do, and can be counted with in every time zone."""


@dataclass(frozen=True, slots=True)
class Place:
    """One queue with its filters; dates are days of the office, both inclusive."""

    queue: Queue = Queue.TO_APPROVE
    mailbox: str = ""
    topic: str = ""
    vendor: str = ""
    since: str = ""  # ISO date, or "" as everywhere here
    until: str = ""
    senior: bool = False

    def filters(self, zone: ZoneInfo) -> Filters:
        until = _midnight(self.until, zone)
        return Filters(
            mailbox=self.mailbox,
            topic=self.topic,
            vendor=self.vendor.strip().lower(),
            since=_midnight(self.since, zone),
            until=until + timedelta(days=1) if until else None,
            senior=True if self.senior else None,
        )

    @property
    def narrowed(self) -> bool:
        return self != Place(self.queue)

    @property
    def query(self) -> str:
        """As it stands in an address after the "?"."""
        given = {
            "antrean": self.queue.value,
            "kotak": self.mailbox,
            "topik": self.topic,
            "penyedia": self.vendor,
            "sejak": self.since,
            "sampai": self.until,
            "senior": "1" if self.senior else "",
        }
        return urlencode({name: value for name, value in given.items() if value})

    def at(self, queue: Queue) -> Place:
        return replace(self, queue=queue)

    def list_url(self) -> str:
        return f"/antrean?{self.query}"

    def ticket_url(self, ticket_id: int, more: str = "") -> str:
        return f"/tiket/{ticket_id}?{self.query}{more}"

    @property
    def of_messages(self) -> bool:
        return self.queue in OF_MESSAGES


def _midnight(day: str, zone: ZoneInfo) -> datetime | None:
    try:
        given = date.fromisoformat(day) if day else None
        return datetime.combine(min(max(given, EARLIEST), LATEST), time(), zone) if given else None
    except ValueError:
        return None  # a date that a browser without date fields let through narrows nothing


def _place(
    antrean: str = Queue.TO_APPROVE.value,
    kotak: Annotated[str, Query(max_length=40)] = "",
    topik: Annotated[str, Query(max_length=80)] = "",
    penyedia: Annotated[str, Query(max_length=320)] = "",
    sejak: Annotated[str, Query(max_length=10)] = "",
    sampai: Annotated[str, Query(max_length=10)] = "",
    senior: Annotated[str, Query(max_length=1)] = "",
) -> Place:
    queue = Queue(antrean) if antrean in _QUEUES else Queue.TO_APPROVE
    return Place(queue, kotak, topik, penyedia, sejak, sampai, bool(senior))


_QUEUES = frozenset(queue.value for queue in Queue)

At = Annotated[Place, Depends(_place)]
