"""The ledger of messages: what was seen in a mailbox folder, and the one end state of each UID."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, bindparam, case, func, or_, select, text, update

from responder.tickets.database import table_of, upsert_insert
from responder.tickets.models import Folder, Message
from responder.tickets.status import Disposition

MAX_ATTEMPTS = 3
"""A message that fails this often is quarantined, so that it cannot block others (fault matrix, "classify")."""

QUARANTINE_CLOSED = "quarantine_closed"
"""The event with which a person takes a message out of quarantine for good; retention counts from it."""

RETRY_AFTER = timedelta(minutes=1)

LONGEST_WAIT = timedelta(days=1)
"""A time to try again that is further ahead was written by a clock that has since been set back: it counts as due."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything up to `uid` in `uidvalidity` is in the ledger.

    UIDs up to `rescan_to` may be mails that the ledger knows by another UID (rule 55); mail that came before
    `started_at`, the first connection, is not ours to answer.
    """

    uidvalidity: int
    uid: int
    rescan_to: int = field(default=0, compare=False)
    started_at: datetime | None = field(default=None, compare=False)


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
    row = connection.execute(_CURSOR, {"mailbox": mailbox, "folder": folder}).first()
    return Cursor(row.uidvalidity, row.cursor, row.rescan_to, row.started_at) if row else None


def start_folder(
    connection: Connection, mailbox: str, folder: str, at: Cursor, now: datetime, *, exists: int = 0
) -> None:
    """First connection: begin to read after `at`. One row stands for the `exists` mails up to there."""
    _move(connection, mailbox, folder, at, now, known_before=exists)
    if exists:
        reason = f"{exists} mails older than the first connection"
        older = Seen(at.uid, "", 0, None, (), None, disposition=Disposition.BASELINE, reason=reason)
        store(connection, mailbox, folder, at.uidvalidity, [older], now)


def rescan_folder(
    connection: Connection, mailbox: str, folder: str, uidvalidity: int, last_uid: int, now: datetime
) -> None:
    """The server has numbered the folder anew: read everything again, up to `last_uid` by identity (rule 55).

    Rows of an earlier numbering under the same UIDVALIDITY (a server restored from backup) get a number that no
    server gives, so that the UIDs are free for what they mean from here on.
    """
    lowest = connection.scalar(
        select(func.min(Message.uidvalidity)).where(Message.mailbox == mailbox, Message.folder == folder)
    )
    connection.execute(
        update(Message)
        .where(*in_folder(mailbox, folder, uidvalidity))
        .values(uidvalidity=min(lowest or 0, 0) - 1)
    )
    connection.execute(
        update(Folder)
        .where(Folder.mailbox == mailbox, Folder.folder == folder)
        .values(uidvalidity=uidvalidity, cursor=0, rescan_to=last_uid, known_before=0, polled_at=now)
    )


def move_cursor(connection: Connection, mailbox: str, folder: str, to: Cursor, now: datetime) -> None:
    """Everything up to `to` is read; the cursor of one UIDVALIDITY never goes back."""
    _move(connection, mailbox, folder, to, now)


def store(
    connection: Connection, mailbox: str, folder: str, uidvalidity: int, batch: Sequence[Seen], now: datetime
) -> int:
    """Write `batch` and move the cursor over it, in the caller's transaction. Returns how many rows are new.

    A UID that is in the ledger already (a second poller, a repeated fetch) is left as it is; a mail that the ledger
    knows by a UID of an earlier numbering keeps its row, which gets the new UID.
    """
    known = set(
        connection.scalars(
            select(Message.uid).where(
                *in_folder(mailbox, folder, uidvalidity),
                Message.uid.in_([seen.uid for seen in batch]),
            )
        )
    )
    unknown = [seen for seen in batch if seen.uid not in known]
    renumbered = _renumber(connection, mailbox, folder, uidvalidity, unknown)
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
            "next_try": now if _lacks_body(seen) else None,
        }
        for seen in unknown
        if seen.uid not in renumbered
    ]
    if rows:
        connection.execute(_insert(connection, Message).on_conflict_do_nothing(), rows)
    if batch:
        _move(connection, mailbox, folder, Cursor(uidvalidity, max(seen.uid for seen in batch)), now)
    return len(rows)


def _renumber(
    connection: Connection, mailbox: str, folder: str, uidvalidity: int, batch: Sequence[Seen]
) -> set[int]:
    """Give rows of an earlier numbering their new UIDs; return those UIDs."""
    identities = {seen.identity for seen in batch} - {""}
    if not identities:
        return set()
    free: dict[str, list[int]] = {}
    for row in connection.execute(
        select(Message.id, Message.identity)
        .where(
            Message.mailbox == mailbox,
            Message.folder == folder,
            Message.uidvalidity != uidvalidity,
            Message.identity.in_(identities),
        )
        .order_by(Message.id.desc())
    ):
        free.setdefault(row.identity, []).append(row.id)
    done = set()
    for seen in sorted(batch, key=lambda one: one.uid):
        if ids := free.get(seen.identity):
            connection.execute(
                update(Message).where(Message.id == ids.pop()).values(uidvalidity=uidvalidity, uid=seen.uid)
            )
            done.add(seen.uid)
    return done


def _lacks_body(seen: Seen) -> bool:
    return seen.disposition is Disposition.QUARANTINED and seen.raw is None


def polled(connection: Connection, mailbox: str, folder: str, now: datetime) -> None:
    """Remember that the folder was looked at without a fault."""
    connection.execute(_POLLED, {"mailbox_": mailbox, "folder_": folder, "polled_at": now})


def work(
    connection: Connection, mailbox: str, limit: int, now: datetime, after: int = 0
) -> Sequence[Row[Any]]:
    """Return up to `limit` received messages of `mailbox` with ids above `after` that are due, oldest first."""
    asked = {"mailbox": mailbox, "limit": limit, "after": after, "now": now, "far": now + LONGEST_WAIT}
    return connection.execute(_WORK, asked).all()


def finish(connection: Connection, message_id: int, disposition: Disposition, **values: Any) -> bool:
    """Give a received message its end state; False when another worker was first."""
    return finish_all(connection, [{"message_id": message_id, "disposition": disposition, **values}]) == 1


def finish_all(connection: Connection, rows: Sequence[dict[str, Any]]) -> int:
    """Give received messages their end states; return how many no other worker had finished before.

    Each row has `message_id`, `disposition` and the same further columns.
    """
    if not rows:
        return 0
    return connection.execute(_FINISH, [{"next_try": None, **row} for row in rows]).rowcount


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
    """Put a quarantined message back to work; False when it is not in quarantine.

    One whose body never came stays there until it does; it is asked for again at the next round.
    """
    again = update(Message).where(Message.id == message_id, Message.disposition == Disposition.QUARANTINED)
    here = again.where(Message.raw.is_not(None)).values(
        disposition=Disposition.RECEIVED, attempts=0, next_try=None
    )
    lacking = again.where(Message.raw.is_(None)).values(attempts=0, next_try=Message.received_at)
    return bool(connection.execute(here).rowcount or connection.execute(lacking).rowcount)


def close_quarantined(connection: Connection, message_id: int, why: str) -> bool:
    """Set a quarantined message aside for good; False when it is not in quarantine."""
    return (
        connection.execute(
            update(Message)
            .where(Message.id == message_id, Message.disposition == Disposition.QUARANTINED)
            .values(disposition=Disposition.IGNORED, reason=why, next_try=None)
        ).rowcount
        == 1
    )


class Known(NamedTuple):
    """A handled message that a mail may be the same as."""

    id: int
    ticket_id: int | None


def known_identities(connection: Connection, mailbox: str, identities: Iterable[str]) -> dict[str, Known]:
    """Return identity → its first handled message, for recognising a mail again (rule 50)."""
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
    return {row.identity: Known(row.id, row.ticket_id) for row in rows}


def raw(connection: Connection, message_id: int) -> bytes | None:
    """The stored bytes of a message (of a large one its header block); None when there are none."""
    return connection.scalar(select(Message.raw).where(Message.id == message_id))


def in_folder(mailbox: Any, folder: Any, uidvalidity: Any) -> tuple[ColumnElement[bool], ...]:
    """Conditions for the messages of one folder incarnation; values or bound parameters."""
    return Message.mailbox == mailbox, Message.folder == folder, Message.uidvalidity == uidvalidity


def rows(
    connection: Connection, mailbox: str, folder: str, uidvalidity: int, *, after: int, limit: int
) -> Sequence[Any]:
    """At most `limit` rows of one folder incarnation with a UID above `after`, ascending.

    Each is (uid, size, disposition, reason, ticket_id, received_at).
    """
    place = {"mailbox": mailbox, "folder": folder, "uidvalidity": uidvalidity}
    return connection.execute(_ROWS, {**place, "after": after, "limit": limit}).all()


def baseline(connection: Connection, mailbox: str, folder: str, uidvalidity: int) -> int:
    """The UID up to which mails are older than the first connection; 0 when there were none."""
    stands_for_older = (Message.identity == "") & (Message.disposition == Disposition.BASELINE)
    return (
        connection.scalar(
            select(func.max(Message.uid)).where(*in_folder(mailbox, folder, uidvalidity), stands_for_older)
        )
        or 0
    )


def known_mails(connection: Connection, mailbox: str, folder: str, uidvalidity: int) -> int:
    """How many mails of one folder incarnation are accounted for: those of the first connection and all rows."""
    before = connection.scalar(
        select(Folder.known_before).where(Folder.mailbox == mailbox, Folder.folder == folder)
    )
    rows = connection.scalar(select(func.count()).where(*in_folder(mailbox, folder, uidvalidity)))
    return (before or 0) + (rows or 0)


_ROWS = (
    select(
        Message.uid,
        Message.size,
        Message.disposition,
        Message.reason,
        Message.ticket_id,
        Message.received_at,
    )
    .where(
        *in_folder(bindparam("mailbox"), bindparam("folder"), bindparam("uidvalidity")),
        Message.uid > bindparam("after"),
    )
    .order_by(Message.uid)
    .limit(bindparam("limit"))
)
_MESSAGES, _FOLDERS = table_of(Message), table_of(Folder)
_CURSOR = select(
    _FOLDERS.c.uidvalidity, _FOLDERS.c.cursor, _FOLDERS.c.rescan_to, _FOLDERS.c.started_at
).where(_FOLDERS.c.mailbox == bindparam("mailbox"), _FOLDERS.c.folder == bindparam("folder"))
_POLLED = update(_FOLDERS).where(
    _FOLDERS.c.mailbox == bindparam("mailbox_"), _FOLDERS.c.folder == bindparam("folder_")
)
_WORK = (
    select(_MESSAGES)
    .where(
        text("disposition = 'received'"),  # in the words of ix_messages_received
        _MESSAGES.c.mailbox == bindparam("mailbox"),
        _MESSAGES.c.id > bindparam("after"),
        or_(
            _MESSAGES.c.next_try.is_(None),
            _MESSAGES.c.next_try <= bindparam("now"),
            _MESSAGES.c.next_try > bindparam("far"),
        ),
    )
    .order_by(_MESSAGES.c.id)
    .limit(bindparam("limit"))
)
_FINISH = update(_MESSAGES).where(
    _MESSAGES.c.id == bindparam("message_id"), _MESSAGES.c.disposition == Disposition.RECEIVED
)


def due(column: Any, now: datetime) -> Any:
    """The condition that the time in `column` has come, also after the clock was set back."""
    return or_(column <= now, column > now + LONGEST_WAIT)


def _move(
    connection: Connection, mailbox: str, folder: str, to: Cursor, now: datetime, known_before: int = 0
) -> None:
    insert = _insert(connection, Folder).values(
        mailbox=mailbox,
        folder=folder,
        uidvalidity=to.uidvalidity,
        cursor=to.uid,
        started_at=now,
        known_before=known_before,
        rescan_to=0,
        polled_at=now,
    )
    ahead = (Folder.uidvalidity == insert.excluded.uidvalidity) & (Folder.cursor > insert.excluded.cursor)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["mailbox", "folder"],
            set_={
                "uidvalidity": insert.excluded.uidvalidity,
                "cursor": case((ahead, Folder.cursor), else_=insert.excluded.cursor),
                "polled_at": now,
            },
        )
    )


def _insert(connection: Connection, table: Any) -> Any:
    return upsert_insert(connection.dialect.name)(table)
