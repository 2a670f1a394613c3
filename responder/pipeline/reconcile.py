"""Comparing the mailbox with the ledger: has every UID on the server exactly one end state?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection

from responder.mail.imap import FolderState, ImapSession
from responder.pipeline.intake import numbered_anew
from responder.tickets import ledger, switches
from responder.tickets.database import Database
from responder.tickets.ledger import Cursor
from responder.tickets.status import Disposition

UNFINISHED_AFTER = timedelta(hours=1)
"""A mail that is still `received` this long after it came is reported: its retries are over within minutes."""

ROWS_AT_ONCE = 500

MISSING = "missing"  # on the server, passed by the cursor, not in the ledger
CHANGED = "changed"  # on the server with another size than in the ledger: another mail by the same UID
UNFINISHED = "unfinished"  # in the ledger without an end state for too long
PENDING = "pending"  # came after the last poll: no difference
_KEY = "reconcile:"
_DIFFERENCES = frozenset({MISSING, CHANGED, UNFINISHED})


@dataclass(frozen=True, slots=True)
class UidState:
    """One UID with its end state."""

    uidvalidity: int
    uid: int
    on_server: bool
    state: str  # a Disposition, or MISSING, CHANGED, UNFINISHED, PENDING
    reason: str = ""
    ticket_id: int | None = None

    @property
    def differs(self) -> bool:
        return self.state in _DIFFERENCES


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison of server and ledger of one folder came to."""

    mailbox: str
    folder: str
    renumbered: str = ""  # why the ledger's UIDs mean nothing; the next round reads everything again
    counts: Counter[str] = field(default_factory=Counter)  # state → number of UIDs
    differing: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))  # state → UIDs

    @property
    def missing(self) -> Sequence[int]:
        return self.differing.get(MISSING, ())

    @property
    def differences(self) -> list[str]:
        """What differs, one line each; empty when all is well."""
        lines = [f"{self.folder}: {self.renumbered}"] if self.renumbered else []
        for state, uids in sorted(self.differing.items()):
            shown = ", ".join(map(str, uids[:10])) + (", ..." if len(uids) > 10 else "")
            lines.append(f"{self.folder}: {len(uids)} UIDs {state}: {shown}")
        return lines


def compare(
    session: ImapSession,
    database: Database,
    mailbox: str,
    folder: str,
    now: datetime,
    tell: Callable[[UidState], object] = lambda _one: None,
) -> Comparison:
    """Compare every UID and its size, ascending, and `tell` of each; keep the result for `last`.

    Before the first poll there is nothing to compare: every UID is PENDING. Memory does not grow with the mailbox,
    but for its UIDs. Raises MailServerError or StoreError.
    """
    state = session.select(folder, readonly=True)
    # The cursor first: what it has passed is in the ledger, whatever is taken in meanwhile.
    with database.read() as connection:
        cursor = ledger.cursor(connection, mailbox, folder)
        baseline = ledger.baseline(connection, mailbox, folder, state.uidvalidity)
    found = Comparison(mailbox, folder, numbered_anew(cursor, state) if cursor is not None else "")
    rows = _rows(database, mailbox, folder, state.uidvalidity)
    if cursor is None or found.renumbered:
        cursor, rows, baseline = Cursor(state.uidvalidity, 0), iter(()), 0
    for uid, size, row in _side_by_side(session.sizes(), rows):
        one = _state(uid, size, row, cursor, baseline, now)
        found.counts[one.state] += 1
        if one.differs:
            found.differing[one.state].append(uid)
        tell(one)
    _keep(database, mailbox, found.differences, now, everything=True)
    return found


def _rows(database: Database, mailbox: str, folder: str, uidvalidity: int) -> Iterator[Any]:
    """The ledger's rows of one folder incarnation, ascending by UID."""
    last = 0
    while True:
        with database.read() as connection:
            found = ledger.rows(connection, mailbox, folder, uidvalidity, after=last, limit=ROWS_AT_ONCE)
        yield from found
        if len(found) < ROWS_AT_ONCE:
            return
        last = found[-1].uid


def _side_by_side(
    sizes: Iterator[tuple[int, int]], rows: Iterator[Any]
) -> Iterator[tuple[int, int | None, Any]]:
    """(UID, size on the server, row of the ledger) of two ascending sequences; None where one has none."""
    of_server = ((uid, 0, size) for uid, size in sizes)
    of_ledger = ((row.uid, 1, row) for row in rows)
    for uid, both in groupby(merge(of_server, of_ledger, key=itemgetter(0, 1)), key=itemgetter(0)):
        sides = {side: value for _, side, value in both}
        yield uid, sides.get(0), sides.get(1)


def compare_counters(
    state: FolderState, database: Database, mailbox: str, folder: str, now: datetime
) -> list[str]:
    """Compare how many mails there are, after intake, with what SELECT said before it; return what differs.

    Costs one query. The server cannot hold more mails than the ledger knows: those of the first connection and one
    row for each since. `compare` says which UIDs they are.
    """
    with database.read() as connection:
        known = ledger.known_mails(connection, mailbox, folder, state.uidvalidity)
    differences = []
    if state.exists > known:
        differences = [f"{folder}: {state.exists} mails on the server, {known} in the ledger"]
    _keep(database, mailbox, differences, now, everything=False)
    return differences


def last(connection: Connection, mailbox: str) -> dict[str, Any]:
    """The last comparison of `mailbox`: `at`, `differences`, and `everything_at` of the last whole one; or empty."""
    return switches.recall(connection, _KEY + mailbox)


def _state(uid: int, size: int | None, row: Any, cursor: Cursor, baseline: int, now: datetime) -> UidState:
    there = size is not None
    if row is None:
        passed = MISSING if uid <= cursor.uid else PENDING
        return UidState(
            cursor.uidvalidity, uid, there, Disposition.BASELINE.value if uid <= baseline else passed
        )
    state = row.disposition.value
    if there and row.size and size != row.size:
        state = CHANGED
    elif row.disposition is Disposition.RECEIVED and now - row.received_at > UNFINISHED_AFTER:
        state = UNFINISHED
    return UidState(cursor.uidvalidity, uid, there, state, row.reason, row.ticket_id)


def _keep(
    database: Database, mailbox: str, differences: list[str], now: datetime, *, everything: bool
) -> None:
    """Keep the result; an idle round whose counters agree as before writes nothing."""
    with database.read() as connection:
        kept = last(connection, mailbox)
    if not everything and kept.get("differences", []) == differences:
        return
    whole = {"everything_at": now.isoformat()} if everything else {}
    value = {**kept, **whole, "at": now.isoformat(), "differences": differences}
    with database.begin() as connection:
        switches.remember(connection, _KEY + mailbox, value)
