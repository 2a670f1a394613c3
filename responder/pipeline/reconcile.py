"""Comparing the mailbox with the ledger: has every UID on the server exactly one end state?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
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

MISSING = "missing"  # on the server, passed by the cursor, not in the ledger
CHANGED = "changed"  # on the server with another size than in the ledger: another mail by the same UID
UNFINISHED = "unfinished"  # in the ledger without an end state for too long
PENDING = "pending"  # came after the last poll: no difference
_KEY = "reconcile:"
_DIFFERENCES = frozenset({MISSING, CHANGED, UNFINISHED})


@dataclass(frozen=True, slots=True)
class UidState:
    """One UID with its end state."""

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
    """Server and ledger of one folder, UID by UID."""

    mailbox: str
    folder: str
    uidvalidity: int
    uids: tuple[UidState, ...]
    renumbered: str = ""  # why the ledger's UIDs mean nothing; the next round reads everything again

    @property
    def missing(self) -> list[int]:
        return [one.uid for one in self.uids if one.state == MISSING]

    @property
    def differences(self) -> list[str]:
        """What differs, one line each; empty when all is well."""
        lines = [f"{self.folder}: {self.renumbered}"] if self.renumbered else []
        for state in sorted(_DIFFERENCES):
            if uids := [str(one.uid) for one in self.uids if one.state == state]:
                shown = ", ".join(uids[:10]) + (", ..." if len(uids) > 10 else "")
                lines.append(f"{self.folder}: {len(uids)} UIDs {state}: {shown}")
        return lines

    @property
    def counts(self) -> dict[str, int]:
        """State → number of UIDs."""
        return dict(sorted(Counter(one.state for one in self.uids).items()))


def compare(session: ImapSession, database: Database, mailbox: str, folder: str, now: datetime) -> Comparison:
    """Compare every UID and its size; keep the result for `last`. Raises MailServerError or StoreError.

    Before the first poll there is nothing to compare: every UID is PENDING.
    """
    state = session.select(folder, readonly=True)
    sizes = session.sizes(session.all_uids())
    # The server first: what is committed meanwhile is in the ledger, or above the cursor.
    with database.read() as connection:
        cursor = ledger.cursor(connection, mailbox, folder)
        rows = ledger.rows(connection, mailbox, folder, state.uidvalidity)
    renumbered = numbered_anew(cursor, state) if cursor is not None else ""
    if cursor is None or renumbered:
        cursor, rows = Cursor(state.uidvalidity, 0), {}
    # The one row without identity in this state stands for all UIDs up to its own.
    baseline = max((uid for uid, row in rows.items() if _stands_for_older(row)), default=0)
    found = Comparison(
        mailbox,
        folder,
        state.uidvalidity,
        tuple(
            _state(uid, sizes.get(uid), rows.get(uid), cursor, baseline, now)
            for uid in sorted(sizes.keys() | rows.keys())
        ),
        renumbered,
    )
    _keep(database, mailbox, found.differences, now, everything=True)
    return found


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


def _stands_for_older(row: Any) -> bool:
    return row.disposition is Disposition.BASELINE and not row.identity


def _state(uid: int, size: int | None, row: Any, cursor: Cursor, baseline: int, now: datetime) -> UidState:
    there = size is not None
    if row is None:
        passed = MISSING if uid <= cursor.uid else PENDING
        return UidState(uid, there, Disposition.BASELINE.value if uid <= baseline else passed)
    state = row.disposition.value
    if there and row.size and size != row.size:
        state = CHANGED
    elif row.disposition is Disposition.RECEIVED and now - row.received_at > UNFINISHED_AFTER:
        state = UNFINISHED
    return UidState(uid, there, state, row.reason, row.ticket_id)


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
