"""What staff look at: the queues with their sizes, pages and neighbours; the events of a ticket.

A queue is a condition with an order. Pages go on from the last row seen (keyset), never by counting rows away, so
that a page costs the same at the end of a queue of 60,000 as at its start.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    Text,
    cast,
    exists,
    func,
    literal,
    literal_column,
    select,
    tuple_,
    union,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import aliased
from sqlalchemy.sql.functions import FunctionElement

from responder.errors import Refused
from responder.refusal import Refusal
from responder.tickets.lines import Line, message_line, ticket_lines
from responder.tickets.models import Event, Message, RecordId, Reply, Ticket, UtcDateTime
from responder.tickets.status import Disposition, ReplyStatus, TicketStatus

OPEN = (TicketStatus.NEEDS_APPROVAL, TicketStatus.NEEDS_STAFF)

COUNTED = 1000
"""Sizes are counted up to here: "999+" tells staff as much, and costs the same however long a queue is."""

_STAMP = "%Y%m%dT%H%M%S%f"  # of a cursor: safe in an address, nothing to escape


class Queue(StrEnum):
    """The lists of the staff pages. Work is oldest first; what is over is newest first."""

    TO_APPROVE = "to_approve"  # a draft waits for a decision
    NEEDS_ANSWER = "needs_answer"  # a person must write the answer
    FAILED = "failed"  # a reply was refused for good, or nobody knows whether it arrived
    QUARANTINED = "quarantined"  # mails that could not be read or handled
    SENT_TODAY = "sent_today"  # automatic replies since the day began, for spot checks
    ANSWERED = "answered"  # replied to; nothing to do unless the vendor writes again
    CLOSED = "closed"  # ended by a person
    IGNORED = "ignored"  # machine and list mail that belongs to no ticket (rules 1, 3, 5)


OF_MESSAGES = frozenset({Queue.QUARANTINED, Queue.IGNORED})
"""Queues whose rows are mails without a ticket: an item of theirs is a message's id."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to; every default means everything."""

    mailbox: str = ""
    topic: str = ""  # a slug; mails without a ticket have none
    vendor: str = ""  # the address as the ticket has it
    since: datetime | None = None  # last change at or after
    until: datetime | None = None  # last change before
    senior: bool | None = None  # True: only what an officer flagged for a senior
    status: TicketStatus | None = None  # for a search; a queue has its own


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a queue, and where the next ones begin ("" = these are the last)."""

    rows: tuple[Line, ...]
    next: str


@dataclass(frozen=True, slots=True)
class _List:
    """One queue as SQL: `query` gives (item, at, id) in the order of (at, id)."""

    query: Any  # a Select
    item: Any  # column of the ticket's id, or of the message's in OF_MESSAGES
    at: Any
    id: Any
    newest_first: bool = False

    def beyond(self, at: datetime, id_: int, *, forward: bool) -> ColumnElement[bool]:
        """The rows after a position in the list's order, or before it."""
        here = tuple_(literal(at, UtcDateTime()), literal(id_, RecordId))
        key = tuple_(self.at, self.id)
        return key < here if forward == self.newest_first else key > here

    def ordered(self, query: Any, *, forward: bool = True) -> Any:
        if forward == self.newest_first:
            return query.order_by(self.at.desc(), self.id.desc())
        return query.order_by(self.at, self.id)


def sizes(connection: Connection, filters: Filters, day_start: datetime) -> dict[Queue, int]:
    """How many rows each queue has, at most COUNTED. `day_start`: when the office's day began."""
    return {queue: _size(connection, queue, filters, day_start) for queue in Queue}


def page(
    connection: Connection, queue: Queue, filters: Filters, day_start: datetime, after: str, limit: int
) -> Page:
    """Up to `limit` rows after the cursor `after` ("" = from the start). Raises Refused for a bad cursor."""
    if _has_nothing(queue, filters):
        return Page((), "")
    listed = _listed(queue, filters, day_start)
    query = listed.query
    if after:
        query = query.where(listed.beyond(*_position(after), forward=True))
    found = connection.execute(listed.ordered(query).limit(limit + 1)).all()
    shown = found[:limit]
    if queue in OF_MESSAGES:
        rows = _message_lines(connection, [row.item for row in shown])
    else:
        rows = ticket_lines(connection, {row.item: row.at for row in shown})
    return Page(rows, _cursor(shown[-1]) if len(found) > limit else "")


def neighbours(
    connection: Connection, queue: Queue, filters: Filters, day_start: datetime, item: int
) -> tuple[int | None, int | None]:
    """The items before and after `item` in the queue's order; of one that is not in it, None and the first."""
    if _has_nothing(queue, filters):
        return None, None
    listed = _listed(queue, filters, day_start)
    here = connection.execute(listed.query.where(listed.item == item).limit(1)).first()
    if here is None:
        first = connection.execute(listed.ordered(listed.query).limit(1)).first()
        return None, first.item if first else None
    found = []
    for forward in (False, True):
        query = listed.query.where(listed.beyond(here.at, here.id, forward=forward))
        row = connection.execute(listed.ordered(query, forward=forward).limit(1)).first()
        found.append(row.item if row else None)
    return found[0], found[1]


def _size(connection: Connection, queue: Queue, filters: Filters, day_start: datetime) -> int:
    if _has_nothing(queue, filters):
        return 0
    return int(connection.execute(_counting(queue, filters, day_start, COUNTED)).scalar_one())


@lru_cache(maxsize=256)
def _counting(queue: Queue, filters: Filters, day_start: datetime, most: int) -> Any:
    """The statement for a size. Every page asks for every queue; making the eight takes longer than running them."""
    listed = _listed(queue, filters, day_start)
    rows = listed.ordered(listed.query).limit(most).subquery()
    return select(func.count()).select_from(rows)


def _has_nothing(queue: Queue, filters: Filters) -> bool:
    """Whether `filters` ask for what mails without a ticket do not have."""
    return queue in OF_MESSAGES and bool(filters.topic or filters.senior or filters.status)


def _listed(queue: Queue, filters: Filters, day_start: datetime) -> _List:
    if queue in OF_MESSAGES:
        return _messages(queue, filters)
    if queue is Queue.SENT_TODAY:
        query = (
            select(Ticket.id.label("item"), Reply.sent_at.label("at"), Reply.id)
            .join(Ticket, Ticket.id == Reply.ticket_id)
            .where(Reply.automatic, Reply.sent_at >= day_start)
        )
        listed = _List(query, Ticket.id, Reply.sent_at, Reply.id, newest_first=True)
    else:
        query = select(Ticket.id.label("item"), Ticket.updated_at.label("at"), Ticket.id.label("id"))
        over = queue in {Queue.ANSWERED, Queue.CLOSED}
        listed = _List(query.where(_state(queue)), Ticket.id, Ticket.updated_at, Ticket.id, newest_first=over)
    return replace(listed, query=listed.query.where(*ticket_conditions(filters)))


def _state(queue: Queue) -> ColumnElement[bool]:
    statuses = {
        Queue.TO_APPROVE: TicketStatus.NEEDS_APPROVAL,
        Queue.NEEDS_ANSWER: TicketStatus.NEEDS_STAFF,
        Queue.ANSWERED: TicketStatus.ANSWERED,
        Queue.CLOSED: TicketStatus.CLOSED,
    }
    if queue in statuses:
        return Ticket.status == statuses[queue]
    later = aliased(Reply)
    sent_since = exists().where(
        later.ticket_id == Reply.ticket_id, later.id > Reply.id, later.status == ReplyStatus.SENT
    )
    its = aliased(Ticket)
    in_doubt = select(Reply.ticket_id).where(Reply.status == ReplyStatus.UNCERTAIN)
    refused = (
        select(Reply.ticket_id)
        .join(its, its.id == Reply.ticket_id)
        .where(Reply.status == ReplyStatus.FAILED, its.status == TicketStatus.NEEDS_STAFF, ~sent_since)
    )
    return Ticket.id.in_(union(in_doubt, refused))


def ticket_conditions(filters: Filters) -> list[ColumnElement[bool]]:
    """`filters` as conditions on `tickets`."""
    found: list[ColumnElement[bool]] = []
    if filters.mailbox:
        found.append(Ticket.mailbox == filters.mailbox)
    if filters.topic:
        found.append(has_topic(Ticket.topics, filters.topic))
    if filters.vendor:
        found.append(Ticket.vendor_address == filters.vendor)
    if filters.since is not None:
        found.append(Ticket.updated_at >= filters.since)
    if filters.until is not None:
        found.append(Ticket.updated_at < filters.until)
    if filters.status is not None:
        found.append(Ticket.status == filters.status)
    if filters.senior is not None:
        found.append(Ticket.senior.is_(filters.senior))
    return found


class _Place(FunctionElement[int]):
    """Where a text stands in another one, from 1; 0 when it does not.

    LIKE would do the same, but PostgreSQL believes that it hardly ever holds, and begins with it.
    """

    type = Integer()
    inherit_cache = True


@compiles(_Place)
def _on_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)})"


@compiles(_Place, "sqlite")
def _on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"


def has_topic(column: Any, slug: str) -> ColumnElement[bool]:
    """The condition that the JSON list of slugs in `column` holds `slug`, said in a way that needs no parsing."""
    return _Place(cast(column, Text), json.dumps(slug)) > 0


def _messages(queue: Queue, filters: Filters) -> _List:
    # The word itself, not a parameter: SQLite uses a partial index only for a condition that it can read.
    word = Disposition.QUARANTINED if queue is Queue.QUARANTINED else Disposition.IGNORED
    query = select(Message.id.label("item"), Message.received_at.label("at"), Message.id.label("id"))
    query = query.where(Message.disposition == literal_column(f"'{word.value}'"))
    if queue is Queue.IGNORED:
        query = query.where(
            Message.kind.not_in(["own", ""])
        )  # our own mail; mail that was gone before we read it
    if filters.mailbox:
        query = query.where(Message.mailbox == filters.mailbox)
    if filters.vendor:
        query = query.where(Message.from_address == filters.vendor)
    if filters.since is not None:
        query = query.where(Message.received_at >= filters.since)
    if filters.until is not None:
        query = query.where(Message.received_at < filters.until)
    return _List(query, Message.id, Message.received_at, Message.id, newest_first=queue is Queue.IGNORED)


def _message_lines(connection: Connection, message_ids: Sequence[int]) -> tuple[Line, ...]:
    rows = connection.execute(
        select(
            Message.id,
            Message.mailbox,
            Message.subject,
            Message.from_name,
            Message.from_address,
            Message.disposition,
            Message.reason,
            Message.received_at,
            Message.attachments,
            Message.new_text,
        ).where(Message.id.in_(message_ids))
    )
    found = {row.id: message_line(row) for row in rows}
    return tuple(found[message_id] for message_id in message_ids)


def _cursor(row: Row[Any]) -> str:
    return f"{row.at.astimezone(UTC).strftime(_STAMP)}-{row.id}"


def _position(cursor: str) -> tuple[datetime, int]:
    stamp, _, id_ = cursor.partition("-")
    try:
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC), int(id_)
    except ValueError:
        raise Refused(Refusal.NO_PAGE, cursor=cursor) from None


def tickets(connection: Connection, status: str, limit: int) -> Sequence[Row[Any]]:
    """Tickets in `status` ("open", "all" or a status), oldest first. Raises Refused for an unknown status."""
    query = select(Ticket.__table__).order_by(Ticket.updated_at, Ticket.id).limit(limit)
    if status == "open":
        query = query.where(Ticket.status.in_(OPEN))
    elif status != "all":
        try:
            query = query.where(Ticket.status == TicketStatus(status))
        except ValueError:
            names = ", ".join(["open", "all", *TicketStatus])
            raise Refused(f"unknown status {status!r}; one of: {names}") from None
    return connection.execute(query).all()


def events(connection: Connection, ticket_id: int) -> Sequence[Any]:
    """The events of a ticket, oldest first."""
    return connection.execute(
        select(Event.at, Event.actor, Event.action, Event.detail)
        .where(Event.ticket_id == ticket_id)
        .order_by(Event.seq)
    ).all()


def quarantined(connection: Connection) -> Sequence[Any]:
    """Messages in quarantine, oldest first, without their bytes."""
    return connection.execute(
        select(Message.id, Message.mailbox, Message.uid, Message.size, Message.received_at, Message.reason)
        .where(Message.disposition == Disposition.QUARANTINED)
        .order_by(Message.id)
    ).all()


def counts(connection: Connection) -> dict[str, dict[str, int]]:
    """How many tickets, replies and messages are in each state."""

    def by(column: Any) -> dict[str, int]:
        return {
            row[0].value: row[1] for row in connection.execute(select(column, func.count()).group_by(column))
        }

    return {"tickets": by(Ticket.status), "replies": by(Reply.status), "messages": by(Message.disposition)}
