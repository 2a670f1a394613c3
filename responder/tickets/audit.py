"""The event log: append-only, each event's hash covers the one before it in the same ticket."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from responder.tickets.models import Event

INSTALLATION = 0
"""The "ticket" of events that belong to none: arming, migration, a lost server."""

_CHAIN_LOCK = 0x4C505345_0000_0000  # plus the ticket's number: the advisory lock of its chain

MACHINE = "machine"
"""The actor of what the program does by itself."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event to record."""

    ticket_id: int
    actor: str
    action: str
    detail: Mapping[str, Any] = field(default_factory=dict)


def record(connection: Connection, entries: Iterable[Entry], at: datetime) -> None:
    """Append `entries` in order. On PostgreSQL the second of two writers of one ticket waits for the first."""
    entries = list(entries)
    if not entries:
        return
    tickets = {entry.ticket_id for entry in entries}
    if connection.dialect.name == "postgresql":
        # Sorted, so that two writers of several tickets cannot wait for each other; released with the commit.
        for ticket_id in sorted(tickets):
            connection.execute(select(func.pg_advisory_xact_lock(_CHAIN_LOCK + ticket_id)))
    last = _last(connection, tickets)
    rows = []
    for entry in entries:
        seq, previous = last[entry.ticket_id]
        detail = json.loads(json.dumps(dict(entry.detail), default=str))
        digest = event_hash(previous, entry.ticket_id, seq + 1, at, entry.actor, entry.action, detail)
        last[entry.ticket_id] = (seq + 1, digest)
        rows.append(
            {
                "ticket_id": entry.ticket_id,
                "seq": seq + 1,
                "at": at,
                "actor": entry.actor,
                "action": entry.action,
                "detail": detail,
                "hash": digest,
            }
        )
    connection.execute(insert(Event), rows)


def event_hash(
    previous: str, ticket_id: int, seq: int, at: datetime, actor: str, action: str, detail: Mapping[str, Any]
) -> str:
    """SHA-256 (hex) over the previous event's hash and every field of this one."""
    body = json.dumps(
        [previous, ticket_id, seq, at.astimezone(UTC).isoformat(), actor, action, detail],
        sort_keys=True,
        ensure_ascii=True,
    )
    return hashlib.sha256(body.encode("ascii")).hexdigest()


def broken_chains(connection: Connection, ticket_ids: Sequence[int] | None = None) -> list[int]:
    """Return the tickets (all, or those given) whose event chain has a gap or a changed event."""
    query = select(Event).order_by(Event.ticket_id, Event.seq)
    if ticket_ids is not None:
        query = query.where(Event.ticket_id.in_(ticket_ids))
    state: dict[int, tuple[int, str]] = defaultdict(lambda: (0, ""))
    broken: set[int] = set()
    for row in connection.execute(query.execution_options(yield_per=1000)):
        seq, previous = state[row.ticket_id]
        expected = event_hash(previous, row.ticket_id, seq + 1, row.at, row.actor, row.action, row.detail)
        if row.seq != seq + 1 or row.hash != expected:
            broken.add(row.ticket_id)
        state[row.ticket_id] = (row.seq, row.hash)
    return sorted(broken)


def _last(connection: Connection, tickets: set[int]) -> dict[int, tuple[int, str]]:
    newest = (
        select(Event.ticket_id, func.max(Event.seq).label("seq"))
        .where(Event.ticket_id.in_(tickets))
        .group_by(Event.ticket_id)
        .subquery()
    )
    rows = connection.execute(
        select(Event.ticket_id, Event.seq, Event.hash).join(
            newest, (Event.ticket_id == newest.c.ticket_id) & (Event.seq == newest.c.seq)
        )
    )
    return dict.fromkeys(tickets, (0, "")) | {row.ticket_id: (row.seq, row.hash) for row in rows}
