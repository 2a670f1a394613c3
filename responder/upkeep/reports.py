"""How the helpdesk is doing: mails a day, who answered them and how fast, how right each topic is, what waits.

`read` asks the records, `report` is a pure function of what they say. A "mail" is one that a person wrote; a
conversation counts on the day its first mail came. Hours are hours of service (`workdays`).
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from statistics import quantiles
from typing import Any

from sqlalchemy import Connection, Text, cast, select

from responder.classifier.bounds import upper_bound
from responder.config import Service
from responder.tickets.models import Reply, StaffVerdict, Ticket
from responder.tickets.queues import OPEN
from responder.tickets.status import ReplyKind, ReplyStatus, TicketStatus
from responder.upkeep.workdays import is_working_day, working_hours

_AGES = (timedelta(days=1), timedelta(days=3), timedelta(days=7))
"""Ages that the backlog is divided at."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is a formula to a spreadsheet (OWASP, CSV injection)."""


class Answered(StrEnum):
    """Who answered a conversation first."""

    AUTOMATIC = "automatic"  # allowed by the policy
    APPROVED = "approved"  # a draft from content, after a person's approval
    BY_HAND = "by_hand"  # a person's own text, here or in the mail client
    CLOSED = "closed"  # ended without an answer
    WAITING = "waiting"  # not yet


@dataclass(frozen=True, slots=True)
class Conversation:
    """One ticket: when its first mail came, and its first answer (not an acknowledgement)."""

    came: datetime
    answered: Answered
    answered_at: datetime | None  # None when nobody did, or in a mail client at a time we do not know


@dataclass(frozen=True, slots=True)
class Verdict:
    """One mail's prediction and decision."""

    came: datetime
    sure: bool  # the classifier called it `auto`
    topics: tuple[str, ...]
    decision: str
    decided_topics: tuple[str, ...]
    manner: str


@dataclass(frozen=True, slots=True)
class Records:
    """What the records say about a time."""

    verdicts: tuple[Verdict, ...]
    conversations: tuple[Conversation, ...]
    backlog: Mapping[TicketStatus, tuple[datetime, ...]]  # since when each open ticket waits


@dataclass(frozen=True, slots=True)
class Day:
    day: date
    working: bool
    mails: int
    conversations: int
    answered: Mapping[Answered, int]


@dataclass(frozen=True, slots=True)
class Speed:
    """Hours of service until the first answer; None when there was none."""

    answers: int
    median: float | None
    ninety_percent: float | None  # nine of ten were faster


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """How right a topic was in what staff decided singly or in an audit."""

    slug: str
    mails: int  # predicted to ask for it
    decided: int
    wrong: int  # other topics, rejected, closed or answered by hand
    precision_at_least: float  # exact one-sided 95 % bound
    sure_decided: int  # of mails that the classifier was sure of
    sure_wrong: int
    sure_at_least: float
    edited: int  # approved with another wording

    @property
    def precision(self) -> float | None:
        return 1 - self.wrong / self.decided if self.decided else None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for staff in one state."""

    status: TicketStatus
    count: int
    oldest_hours: float  # of service; 0.0 when nothing waits
    ages: tuple[int, ...]  # up to 1 day, up to 3, up to 7, older


@dataclass(frozen=True, slots=True)
class Report:
    since: date
    until: date  # inclusive
    days: tuple[Day, ...]
    answered: Mapping[Answered, int]
    speed: Speed  # of every first answer
    speed_of_people: Speed  # without the automatic ones
    topics: tuple[TopicRecord, ...]
    backlog: tuple[Backlog, ...]

    @property
    def mails(self) -> int:
        return sum(day.mails for day in self.days)

    def share(self, answered: Answered) -> float | None:
        """Part of all conversations (0 to 1); None when there were none."""
        total = sum(self.answered.values())
        return self.answered[answered] / total if total else None


def make(connection: Connection, service: Service, now: datetime, days: int, mailbox: str = "") -> Report:
    """The report of the last `days` days, today included; of all mailboxes or one."""
    until = now.astimezone(service.zone).date()
    since = until - timedelta(days=days - 1)
    records = read(connection, datetime.combine(since, time(), service.zone), now, mailbox)
    return report(records, service, since, until, now)


def read(connection: Connection, since: datetime, until: datetime, mailbox: str = "") -> Records:
    """Everything that the report from `since` to `until` needs."""
    chosen = [Ticket.mailbox == mailbox] if mailbox else []
    rows = connection.execute(
        select(
            StaffVerdict.ticket_id,
            StaffVerdict.predicted_at,
            StaffVerdict.predicted,
            cast(StaffVerdict.topics, Text).label("topics"),
            StaffVerdict.decision,
            cast(StaffVerdict.decided_topics, Text).label("decided_topics"),
            StaffVerdict.manner,
            Ticket.created_at,
            Ticket.status,
        )
        .join(Ticket, Ticket.id == StaffVerdict.ticket_id)
        .where(StaffVerdict.predicted_at >= since, StaffVerdict.predicted_at <= until, *chosen)
        .order_by(StaffVerdict.predicted_at)
    ).all()
    verdicts = tuple(
        Verdict(
            row.predicted_at,
            row.predicted == "auto",
            _slugs(row.topics),
            row.decision,
            _slugs(row.decided_topics),
            row.manner,
        )
        for row in rows
    )
    waiting = connection.execute(
        select(Ticket.status, Ticket.updated_at).where(Ticket.status.in_(OPEN), *chosen)
    ).all()
    return Records(
        verdicts,
        tuple(_conversations(rows, _first_answers(connection, since, until), since)),
        {
            status: tuple(row.updated_at for row in waiting if row.status is status)
            for status in (TicketStatus.NEEDS_APPROVAL, TicketStatus.NEEDS_STAFF)
        },
    )


@lru_cache(maxsize=1024)
def _slugs(stored: str) -> tuple[str, ...]:
    """Of a JSON list. A year of mails has few different ones, and decoding each would take a quarter of the time."""
    return tuple(json.loads(stored))


def report(records: Records, service: Service, since: date, until: date, now: datetime) -> Report:
    """Count `records`; days are those of the office's time zone."""
    answered = Counter(one.answered for one in records.conversations)
    hours = [
        (one.answered, working_hours(one.came, one.answered_at, service))
        for one in records.conversations
        if one.answered_at is not None
    ]
    return Report(
        since,
        until,
        tuple(_days(records, service, since, until)),
        {kind: answered[kind] for kind in Answered},
        _speed([taken for _, taken in hours]),
        _speed([taken for by, taken in hours if by is not Answered.AUTOMATIC]),
        tuple(_topics(records.verdicts)),
        tuple(_backlog(status, times, service, now) for status, times in records.backlog.items()),
    )


def as_csv(made: Report) -> str:
    """The report as CSV: one figure a row, each with its part, name and measure."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(["part", "name", "measure", "value"])
    rows.writerows([cell(value) for value in row] for row in _figures(made))
    return out.getvalue()


def cell(value: Any) -> Any:
    """`value` for a spreadsheet: text that would be a formula begins with a quote, so that it stays text."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return round(value, 4) if isinstance(value, float) else value


def _figures(made: Report) -> Iterator[tuple[str, str, str, Any]]:
    for day in made.days:
        name = day.day.isoformat()
        yield "day", name, "working", int(day.working)
        yield "day", name, "mails", day.mails
        for kind, count in day.answered.items():
            yield "day", name, kind.value, count
    for kind, count in made.answered.items():
        yield "answered", kind.value, "conversations", count
    for name, speed in (("all", made.speed), ("people", made.speed_of_people)):
        yield "hours to answer", name, "answers", speed.answers
        yield "hours to answer", name, "median", speed.median
        yield "hours to answer", name, "90 percent", speed.ninety_percent
    for topic in made.topics:
        for measure in ("mails", "decided", "wrong", "precision", "precision_at_least", "edited"):
            yield "topic", topic.slug, measure, getattr(topic, measure)
        for measure in ("sure_decided", "sure_wrong", "sure_at_least"):
            yield "topic", topic.slug, measure, getattr(topic, measure)
    for waiting in made.backlog:
        yield "backlog", waiting.status.value, "tickets", waiting.count
        yield "backlog", waiting.status.value, "oldest hours", waiting.oldest_hours


def _first_answers(connection: Connection, since: datetime, until: datetime) -> dict[int, Any]:
    """Ticket → its first reply that was sent and is no acknowledgement, of tickets with a mail in this time."""
    tickets = (
        select(StaffVerdict.ticket_id)
        .where(StaffVerdict.predicted_at >= since, StaffVerdict.predicted_at <= until)
        .distinct()
    )
    rows = connection.execute(
        select(Reply.ticket_id, Reply.sent_at, Reply.automatic, Reply.kind)
        .where(
            Reply.ticket_id.in_(tickets),
            Reply.status == ReplyStatus.SENT,
            Reply.kind != ReplyKind.ACKNOWLEDGEMENT,
        )
        .order_by(Reply.sent_at.desc())
    )
    return {row.ticket_id: row for row in rows}


def _conversations(
    rows: Iterable[Any], answers: Mapping[int, Any], since: datetime
) -> Iterator[Conversation]:
    """The tickets that began since `since`, from the verdicts on their mails."""
    tickets: dict[int, Any] = {}
    by_hand: set[int] = set()
    for row in rows:
        if row.created_at >= since:
            tickets[row.ticket_id] = row
            if row.decision == "by_hand":
                by_hand.add(row.ticket_id)
    for ticket_id, ticket in tickets.items():
        came, answer = ticket.created_at, answers.get(ticket_id)
        if answer is not None:
            kind = Answered.BY_HAND if answer.kind is ReplyKind.MANUAL else Answered.APPROVED
            yield Conversation(came, Answered.AUTOMATIC if answer.automatic else kind, answer.sent_at)
        elif ticket_id in by_hand:
            yield Conversation(came, Answered.BY_HAND, None)
        else:
            closed = ticket.status is TicketStatus.CLOSED
            yield Conversation(came, Answered.CLOSED if closed else Answered.WAITING, None)


def _days(records: Records, service: Service, since: date, until: date) -> Iterator[Day]:
    def day(at: datetime) -> date:
        return at.astimezone(service.zone).date()

    mails = Counter(day(one.came) for one in records.verdicts)
    began = Counter(day(one.came) for one in records.conversations)
    answered = Counter((day(one.came), one.answered) for one in records.conversations)
    for offset in range((until - since).days + 1):
        at = since + timedelta(days=offset)
        kinds = {kind: answered[at, kind] for kind in Answered}
        yield Day(at, is_working_day(at), mails[at], began[at], kinds)


def _speed(hours: Sequence[float]) -> Speed:
    if len(hours) < 2:
        only = hours[0] if hours else None
        return Speed(len(hours), only, only)
    tenths = quantiles(hours, n=10, method="inclusive")
    return Speed(len(hours), tenths[4], tenths[8])


def _topics(verdicts: Iterable[Verdict]) -> Iterator[TopicRecord]:
    of: dict[str, list[Verdict]] = defaultdict(list)
    for one in verdicts:
        for slug in one.topics:
            of[slug].append(one)
    for slug, mails in sorted(of.items()):
        decided = [one for one in mails if one.decision and one.manner in {"single", "audit"}]
        sure = [one for one in decided if one.sure]
        wrong, sure_wrong = _wrong(decided), _wrong(sure)
        yield TopicRecord(
            slug,
            len(mails),
            len(decided),
            wrong,
            1 - upper_bound(wrong, len(decided)),
            len(sure),
            sure_wrong,
            1 - upper_bound(sure_wrong, len(sure)),
            sum(one.decision == "edited" for one in decided),
        )


def _wrong(decided: Iterable[Verdict]) -> int:
    return sum(set(one.decided_topics) != set(one.topics) for one in decided)


def _backlog(status: TicketStatus, times: Sequence[datetime], service: Service, now: datetime) -> Backlog:
    edges = [timedelta(), *_AGES, timedelta.max]
    ages = [sum(low <= max(now - at, timedelta()) < high for at in times) for low, high in pairwise(edges)]
    oldest = working_hours(min(times), now, service) if times else 0.0
    return Backlog(status, len(times), oldest, tuple(ages))
