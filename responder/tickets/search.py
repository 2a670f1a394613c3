"""Search over what vendors wrote and what we said: SQLite's FTS5, PostgreSQL's text search, one set of rules.

The index holds subject, text and address of incoming mails, and subject, text and recipient of replies. The schema
keeps it in step by itself (migration 0002), also when a row is erased. A hit is a ticket in which one mail or one
reply holds the beginnings of all the words; the newest is first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection, select

from responder.tickets.lines import Line, ticket_lines
from responder.tickets.models import Ticket
from responder.tickets.queues import Filters, ticket_conditions

WORDS = 12
"""Words of a query that are looked for; nobody types more on purpose."""

_NUMBER = re.compile(r"\s*(?:\[?\s*LPSE-|#)?0*(\d{1,9})(?:-[a-z0-9]+\s*\]?)?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """Some results of a search, and whether there are more."""

    rows: tuple[Line, ...]
    more: bool


def find(connection: Connection, words: str, filters: Filters, limit: int, offset: int = 0) -> Found:
    """Tickets that `words` are in, newest first, narrowed by `filters`; nothing for no words.

    A ticket's number, "#123" or a subject tag gives that ticket first.
    """
    wanted = tokens(words)
    if not wanted:
        return Found((), more=False)
    jump = number(words) if not offset else None
    rows = connection.execute(
        select(Ticket.id, Ticket.updated_at)
        .where(Ticket.id == jump, *ticket_conditions(connection, filters))
        .limit(limit + 1)
    ).all()
    return Found(
        ticket_lines(connection, {row.id: row.updated_at for row in rows[:limit]}), more=len(rows) > limit
    )


def number(words: str) -> int | None:
    """The ticket that `words` name by its number, "#123" or a subject tag; None when they are words."""
    match = _NUMBER.fullmatch(words)
    return int(match[1]) if match else None


def tokens(words: str) -> list[str]:
    """`words` as the index has them: lower case, cut at everything that is no letter or digit."""
    cut = "".join(letter if letter.isalnum() else " " for letter in words.lower())
    return list(dict.fromkeys(cut.split()))[:WORDS]
