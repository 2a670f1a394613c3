"""The ledger of messages: what was seen in a mailbox folder, and the one end state of each UID."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from responder.tickets.models import Folder, Message
from responder.tickets.status import Disposition
from responder.tickets.switches import upsert

MAX_ATTEMPTS = 3
"""A message that fails this often is quarantined, so that it cannot block others (fault matrix, "classify")."""

RETRY_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything up to `uid` in `uidvalidity` is in the ledger."""

    uidvalidity: int
    uid: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A message as it came from the server, to be written into the ledger."""

    uid: int
    identity: str
    size: int
    internal_date: datetime | None
    flags: tuple[str, ...]
    raw: bytes | None
    parts: bytes | None = None
    disposition: Disposition = Disposition.RECEIVED
    reason: str = ""


def cursor(connection: Connection, mailbox: str, folder: str) -> Cursor | None:
    """Return how far the folder was read; None before the first connection."""
    row = connection.execute(
        select(Folder.uidvalidity, Folder.cursor).where(Folder.mailbox == mailbox, Folder.folder == folder)
    ).first()
    return Cursor(row.uidvalidity, row.cursor) if row else None


def start_folder(
    connection: Connection, mailbox: str, folder: str, at: Cursor, now: datetime, *, baseline: bool
) -> None:
    """Begin to read a folder after `at`. With `baseline` one row stands for every UID up to there."""
    _move(connection, mailbox, folder, at, now)
    if baseline and at.uid:
        seen = Seen(
            at.uid,
            "",
            0,
            None,
            (),
            None,
            disposition=Disposition.BASELINE,
            reason="older than the first poll",
        )
        store(connection, mailbox, folder, at.uidvalidity, [seen], now)


def store(
    connection: Connection, mailbox: str, folder: str, uidvalidity: int, batch: Sequence[Seen], now: datetime
) -> int:
    """Write `batch` and move the cursor over it, in the caller's transaction. Returns how many rows are new.

    A UID that is in the ledger already (a second poller, a repeated fetch) is left as it is.
    """
    known = set(
        connection.scalars(
            select(Message.uid).where(
                Message.mailbox == mailbox,
                Message.folder == folder,
                Message.uidvalidity == uidvalidity,
                Message.uid.in_([seen.uid for seen in batch]),
            )
        )
    )
    rows: list[dict[str, Any]] = [
        {
            "mailbox": mailbox,
            "folder": folder,
            "uidvalidity": uidvalidity,
            "uid": seen.uid,
            "identity": seen.identity,
            "size": seen.size,
            "internal_date": seen.internal_date,
            "received_at": now,
            "flags": list(seen.flags),
            "raw": seen.raw,
            "parts": seen.parts,
            "disposition": seen.disposition,
            "reason": seen.reason,
        }
        for seen in batch
        if seen.uid not in known
    ]
    if rows:
        connection.execute(insert(Message), rows)
    if batch:
        _move(connection, mailbox, folder, Cursor(uidvalidity, max(seen.uid for seen in batch)), now)
    return len(rows)


def polled(connection: Connection, mailbox: str, folder: str, now: datetime) -> None:
    """Remember that the folder was looked at without a fault."""
    connection.execute(
        update(Folder).where(Folder.mailbox == mailbox, Folder.folder == folder).values(polled_at=now)
    )


def work(connection: Connection, mailboxes: Sequence[str], limit: int, now: datetime) -> Sequence[Row[Any]]:
    """Return up to `limit` received messages of `mailboxes` that are due, oldest first."""
    return connection.execute(
        select(Message.__table__)
        .where(
            Message.disposition == Disposition.RECEIVED,
            Message.mailbox.in_(mailboxes),
            or_(Message.next_try.is_(None), Message.next_try <= now),
        )
        .order_by(Message.id)
        .limit(limit)
    ).all()


def finish(connection: Connection, message_id: int, disposition: Disposition, **values: Any) -> bool:
    """Give a received message its end state; False when another worker was first."""
    return (
        connection.execute(
            update(Message)
            .where(Message.id == message_id, Message.disposition == Disposition.RECEIVED)
            .values(disposition=disposition, next_try=None, **values)
        ).rowcount
        == 1
    )


def failed_attempt(connection: Connection, message_id: int, reason: str, now: datetime) -> Disposition:
    """Count a failure of handling; the third quarantines. Returns the state after it."""
    attempts = connection.scalar(select(Message.attempts).where(Message.id == message_id)) or 0
    if attempts + 1 >= MAX_ATTEMPTS:
        finish(connection, message_id, Disposition.QUARANTINED, attempts=attempts + 1, reason=reason)
        return Disposition.QUARANTINED
    connection.execute(
        update(Message)
        .where(Message.id == message_id, Message.disposition == Disposition.RECEIVED)
        .values(attempts=attempts + 1, reason=reason, next_try=now + RETRY_AFTER)
    )
    return Disposition.RECEIVED


def retry_quarantined(connection: Connection, message_id: int) -> bool:
    """Put a quarantined message back to work; False when it is not in quarantine."""
    return (
        connection.execute(
            update(Message)
            .where(Message.id == message_id, Message.disposition == Disposition.QUARANTINED)
            .values(disposition=Disposition.RECEIVED, attempts=0, next_try=None)
        ).rowcount
        == 1
    )


def known_identities(connection: Connection, mailbox: str, identities: Iterable[str]) -> dict[str, Any]:
    """Return identity → its first handled message (id, ticket_id), for recognising a mail again (rule 50)."""
    rows = connection.execute(
        select(Message.id, Message.identity, Message.ticket_id)
        .where(
            Message.mailbox == mailbox,
            Message.identity.in_(set(identities) - {""}),
            Message.disposition != Disposition.RECEIVED,
            Message.disposition != Disposition.DUPLICATE,
        )
        .order_by(Message.id.desc())
    ).all()
    return {row.identity: row for row in rows}


def counts(connection: Connection, mailbox: str, folder: str, uidvalidity: int) -> dict[str, int]:
    """Return disposition → number of rows of one folder incarnation."""
    rows = connection.execute(
        select(Message.disposition, func.count())
        .where(Message.mailbox == mailbox, Message.folder == folder, Message.uidvalidity == uidvalidity)
        .group_by(Message.disposition)
    )
    return {row[0].value: row[1] for row in rows}


def _move(connection: Connection, mailbox: str, folder: str, to: Cursor, now: datetime) -> None:
    upsert(
        connection,
        Folder,
        {"mailbox": mailbox, "folder": folder},
        {"uidvalidity": to.uidvalidity, "cursor": to.uid, "polled_at": now},
    )


def raw(connection: Connection, message_id: int) -> bytes | None:
    """The stored bytes of a message (of a large one its header block); None when there are none."""
    return connection.scalar(select(Message.raw).where(Message.id == message_id))
