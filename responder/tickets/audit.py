"""The event log: append-only, each event's hash covers the one before it in the same ticket.

The hash covers the detail by a salted digest, so that what a detail says about a person can be erased: the salt goes
with it, and an event of its own says when, why, and what was left. A detail that is gone without such an event, or
that differs from what the event says was left, is a broken chain.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, text, update

from responder.tickets.database import table_of
from responder.tickets.models import Event

INSTALLATION = 0
"""The "ticket" of events that belong to none: arming, migration, a lost server."""

_CHAIN_LOCK = 0x4C505345_0000_0000  # plus the ticket's number: the advisory lock of its chain

MACHINE = "machine"
"""The actor of what the program does by itself."""

ERASED = "erased"
"""The action of the event that says which details before it were erased."""

_SALT_BYTES = 16

_ABOUT_NO_PERSON = frozenset(
    {"message", "reply", "ticket", "verdict", "outcome", "topics", "model", "content", "evidence", "phase"}
    | {"was", "mailbox", "folder", "slug", "level", "held", "manner", "same", "account", "role", "counts"}
)
"""Keys of a detail that stay when it is erased: numbers of records, words of the program, accounts of staff."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event to record."""

    ticket_id: int
    actor: str
    action: str
    detail: Mapping[str, Any] = field(default_factory=dict)


def record(
    connection: Connection, entries: Iterable[Entry], at: datetime, fresh: AbstractSet[int] = frozenset()
) -> None:
    """Append `entries` in order. On PostgreSQL the second of two writers of one ticket waits for the first.

    `fresh` are tickets that this transaction has made: nobody else sees them, and they have no event yet.
    """
    entries = list(entries)
    if not entries:
        return
    tickets = {entry.ticket_id for entry in entries}
    begun = tickets - fresh
    if connection.dialect.name == "postgresql" and begun:
        # Sorted, so that two writers of several tickets cannot wait for each other; released with the commit.
        connection.execute(_LOCK, {"keys": [_CHAIN_LOCK + ticket_id for ticket_id in sorted(begun)]})
    last = dict.fromkeys(fresh, (0, "")) | (_last(connection, begun) if begun else {})
    rows = []
    for entry in entries:
        seq, previous = last[entry.ticket_id]
        detail = json.loads(json.dumps(dict(entry.detail), default=str))
        salt = secrets.token_hex(_SALT_BYTES)
        digest = _digest(salt, detail)
        event = event_hash(previous, entry.ticket_id, seq + 1, at, entry.actor, entry.action, digest)
        last[entry.ticket_id] = (seq + 1, event)
        rows.append(
            {
                "ticket_id": entry.ticket_id,
                "seq": seq + 1,
                "at": at,
                "actor": entry.actor,
                "action": entry.action,
                "detail": detail,
                "salt": salt,
                "digest": digest,
                "hash": event,
            }
        )
    connection.execute(_APPEND, rows)


def event_hash(
    previous: str,
    ticket_id: int,
    seq: int,
    at: datetime,
    actor: str,
    action: str,
    detail: Mapping[str, Any] | str,
) -> str:
    """SHA-256 (hex) over the previous event's hash and every field of this one.

    `detail` is the digest of the detail, or the detail itself in events of databases that had no digests.
    """
    return _sha256([previous, ticket_id, seq, at.astimezone(UTC).isoformat(), actor, action, detail])


def erase(
    connection: Connection, ticket_id: int, seqs: Sequence[int], why: str, actor: str, at: datetime
) -> int:
    """Erase what the details of these events say about people, and record that; return how many said anything."""
    rows = connection.execute(
        select(_EVENTS.c.id, _EVENTS.c.seq, _EVENTS.c.detail).where(
            _EVENTS.c.ticket_id == ticket_id, _EVENTS.c.seq.in_(seqs), _EVENTS.c.action != ERASED
        )
    )
    left = {row.seq: (row.id, without_persons(row.detail)) for row in rows if says_more(row.detail)}
    if not left:
        return 0
    vouched = {str(seq): _digest("", detail) for seq, (_, detail) in left.items()}
    record(connection, [Entry(ticket_id, actor, ERASED, {"why": why, "events": vouched})], at)
    connection.execute(
        update(_EVENTS).where(_EVENTS.c.id == bindparam("event")).values(detail=bindparam("left"), salt=""),
        [{"event": event, "left": detail} for event, detail in left.values()],
    )
    return len(left)


def without_persons(detail: Mapping[str, Any]) -> dict[str, Any]:
    """What stays of a detail when it is erased."""
    return {key: value for key, value in detail.items() if key in _ABOUT_NO_PERSON}


def says_more(detail: Mapping[str, Any]) -> bool:
    """Whether a detail says anything that an erasure would take."""
    return not detail.keys() <= _ABOUT_NO_PERSON


def broken_chains(connection: Connection, ticket_ids: Sequence[int] | None = None) -> list[int]:
    """Return the tickets (all, or those given) whose event chain has a gap or a changed event."""
    query = select(Event).order_by(Event.ticket_id, Event.seq)
    if ticket_ids is not None:
        query = query.where(Event.ticket_id.in_(ticket_ids))
    chains: dict[int, _Chain] = defaultdict(_Chain)
    for row in connection.execute(query.execution_options(yield_per=1000)):
        chains[row.ticket_id].follow(row)
    return sorted(ticket_id for ticket_id, chain in chains.items() if chain.broken or chain.unexplained)


class _Chain:
    """The events of one ticket, followed from the first to the last."""

    __slots__ = ("_hash", "_seq", "broken", "unexplained")

    def __init__(self) -> None:
        self._seq, self._hash = 0, ""
        self.broken = False
        self.unexplained: dict[
            str, str
        ] = {}  # seq → digest of a detail that its own event does not vouch for

    def follow(self, row: Any) -> None:
        seq, covered = self._seq + 1, row.digest or row.detail
        expected = event_hash(self._hash, row.ticket_id, seq, row.at, row.actor, row.action, covered)
        if row.seq != seq or (row.digest and row.hash != expected):
            self.broken = True
        vouched = row.digest == _digest(row.salt, row.detail) if row.digest else row.hash == expected
        if not vouched:
            self.unexplained[str(row.seq)] = _digest("", row.detail)
        elif row.action == ERASED:
            for erased, left in row.detail["events"].items():
                if self.unexplained.get(erased) == left:
                    del self.unexplained[erased]
        self._seq, self._hash = row.seq, row.hash


def _digest(salt: str, detail: Mapping[str, Any]) -> str:
    return _sha256([salt, detail])


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=True).encode("ascii")).hexdigest()


_EVENTS = table_of(Event)
_APPEND = insert(_EVENTS)
_LOCK = text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key")
_NEWEST = (
    select(_EVENTS.c.ticket_id, func.max(_EVENTS.c.seq).label("seq"))
    .where(_EVENTS.c.ticket_id.in_(bindparam("tickets", expanding=True)))
    .group_by(_EVENTS.c.ticket_id)
    .subquery()
)
_LAST = select(_EVENTS.c.ticket_id, _EVENTS.c.seq, _EVENTS.c.hash).join(
    _NEWEST, (_EVENTS.c.ticket_id == _NEWEST.c.ticket_id) & (_EVENTS.c.seq == _NEWEST.c.seq)
)


def _last(connection: Connection, tickets: AbstractSet[int]) -> dict[int, tuple[int, str]]:
    rows = connection.execute(_LAST, {"tickets": list(tickets)})
    return dict.fromkeys(tickets, (0, "")) | {row.ticket_id: (row.seq, row.hash) for row in rows}
