"""Search over what vendors wrote and what we said: SQLite's FTS5, PostgreSQL's text search, one set of rules.

The index holds subject, text and address of incoming mails and of replies. The schema keeps it in step by itself
(migration 0002), also when a row is changed or erased. A hit is a ticket in which one mail or one reply holds all the
words, each as the beginning of a word; the newest is first.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, column, func, literal_column, select, text
from sqlalchemy import table as sql_table

from responder.tickets.lines import Line, ticket_lines
from responder.tickets.models import Message, Reply, Ticket
from responder.tickets.queues import Filters, ticket_conditions

WORDS = 12
"""Words of a query that are looked for; nobody types more on purpose."""

BEGINNING = 3
"""A word this long is looked for as the beginning of words (verifikasi, verifikasinya), a shorter one as it is:
the beginnings of one or two letters are most of the index."""

CHUNK = 100
"""Hits asked for at a time: a page of results with some tickets in it more than once."""

_NUMBER = re.compile(r"\s*(?:\[?\s*LPSE-|#)?0*(\d{1,9})(?:-[a-z0-9]+\s*\]?)?\s*", re.IGNORECASE)
_INDEXES = {Message: "message_words", Reply: "reply_words"}  # on SQLite; PostgreSQL has a column `words`


@dataclass(frozen=True, slots=True)
class Found:
    """Some results of a search, and whether there are more."""

    rows: tuple[Line, ...]
    more: bool


def find(connection: Connection, words: str, filters: Filters, limit: int, offset: int = 0) -> Found:
    """Tickets that `words` are in, newest hit first, narrowed by `filters`; nothing for no words.

    A ticket's number, "#123" or a subject tag gives that ticket first.
    """
    wanted = tokens(words)
    if not wanted:
        return Found((), more=False)
    if connection.dialect.name == "postgresql":
        # A plan made for any words is a bad one for these: how rare they are decides how to look for them.
        connection.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))
    hits: dict[int, datetime] = {}
    for at, ticket_id in _all_hits(connection, words, wanted, filters):
        hits.setdefault(ticket_id, at)
        if len(hits) > offset + limit:
            break
    shown = list(hits.items())[offset : offset + limit]
    return Found(ticket_lines(connection, dict(shown)), more=len(hits) > offset + limit)


def number(words: str) -> int | None:
    """The ticket that `words` name by its number, "#123" or a subject tag; None when they are words."""
    match = _NUMBER.fullmatch(words)
    return int(match[1]) if match else None


def tokens(words: str) -> list[str]:
    """`words` as the index has them: lower case, cut at everything that is no letter or digit."""
    cut = "".join(letter if letter.isalnum() else " " for letter in words.lower())
    return list(dict.fromkeys(cut.split()))[:WORDS]


def compact(connection: Connection) -> None:
    """Take the words of erased rows out of SQLite's index for good; until then they stand there as deleted.

    Rewrites the index: seconds for 100,000 tickets. PostgreSQL's autovacuum does the same by itself.
    """
    if connection.dialect.name == "sqlite":
        for index in _INDEXES.values():
            connection.execute(text(f"INSERT INTO {index} ({index}) VALUES ('optimize')"))  # noqa: S608 - our own names


def _all_hits(
    connection: Connection, words: str, wanted: list[str], filters: Filters
) -> Iterator[tuple[datetime, int]]:
    """(when, ticket) of the ticket that is named, then of every mail and reply that matches, newest first."""
    named = number(words)
    if named is not None:
        conditions = ticket_conditions(filters)
        query = select(Ticket.updated_at, Ticket.id).where(Ticket.id == named, *conditions)
        yield from ((row.updated_at, row.id) for row in connection.execute(query))
    yield from heapq.merge(
        _hits(connection, Message, Message.received_at, wanted, filters),
        _hits(connection, Reply, Reply.created_at, wanted, filters),
        reverse=True,
    )


def _hits(
    connection: Connection, table: Any, at: Any, wanted: list[str], filters: Filters
) -> Iterator[tuple[datetime, int]]:
    """(when, ticket) of the rows of `table` that hold all of `wanted`, highest id first, read as they are needed."""
    last: int | None = None
    while True:
        query, row_id = _matching(connection, table, wanted, ticket_conditions(filters))
        query = query.add_columns(at.label("at"), table.ticket_id, table.id)
        if last is not None:
            query = query.where(row_id < last)
        rows = connection.execute(query.order_by(row_id.desc()).limit(CHUNK)).all()
        yield from ((row.at, row.ticket_id) for row in rows)
        if len(rows) < CHUNK:
            return
        last = rows[-1].id


def _matching(
    connection: Connection, table: Any, wanted: list[str], conditions: list[ColumnElement[bool]]
) -> tuple[Any, ColumnElement[int]]:
    """A query over `table` for rows of a ticket that match, and the column to order it by."""
    query = select().where(table.ticket_id.is_not(None))
    if conditions:
        # A value and no join: the words lead, and each hit asks for its ticket. A planner that is free to begin with
        # the tickets reads all of them.
        holds = select(and_(*conditions)).where(Ticket.id == table.ticket_id)
        query = query.where(holds.correlate(table).scalar_subquery())
    if connection.dialect.name == "postgresql":
        expression = " & ".join(word + ":*" if len(word) >= BEGINNING else word for word in wanted)
        derived: ColumnElement[Any] = literal_column(f"{table.__tablename__}.words")
        return query.where(
            derived.op("@@")(func.to_tsquery(literal_column("'simple'"), expression))
        ), table.id
    index = sql_table(_INDEXES[table], column("rowid"))
    expression = " AND ".join(f'"{word}"*' if len(word) >= BEGINNING else f'"{word}"' for word in wanted)
    query = query.join_from(index, table, table.id == index.c.rowid).with_hint(table, "NOT INDEXED", "sqlite")
    return query.where(text(f"{index.name} MATCH :words").bindparams(words=expression)), index.c.rowid
