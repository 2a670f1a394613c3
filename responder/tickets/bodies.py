"""Mails that the server lists without giving their body: quarantined, and asked for again (rule 59)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select, text, update

from responder.tickets import ledger
from responder.tickets.database import table_of
from responder.tickets.models import Message
from responder.tickets.status import Disposition

RETRIES = 20
"""How often a body is asked for again, ever more rarely."""


_MESSAGES = table_of(Message)
_DUE = select(_MESSAGES.c.mailbox, _MESSAGES.c.folder, _MESSAGES.c.uidvalidity, _MESSAGES.c.uid).where(
    # In the words of ix_messages_quarantined, and of nothing that makes SQLite prefer an index over the whole folder.
    text("disposition = 'quarantined'"),
    _MESSAGES.c.raw.is_(None),
    _MESSAGES.c.attempts < RETRIES,
    or_(_MESSAGES.c.next_try <= bindparam("now"), _MESSAGES.c.next_try > bindparam("far")),
)


def due(
    connection: Connection, mailbox: str, folder: str, uidvalidity: int, limit: int, now: datetime
) -> list[int]:
    """UIDs that the server listed without a body and that are due to be asked for again."""
    asked = {"now": now, "far": now + ledger.LONGEST_WAIT}
    here = (mailbox, folder, uidvalidity)
    found = (
        row.uid
        for row in connection.execute(_DUE, asked)
        if (row.mailbox, row.folder, row.uidvalidity) == here
    )
    return sorted(found)[:limit]


def write(
    connection: Connection, mailbox: str, folder: str, uidvalidity: int, seen: ledger.Seen, now: datetime
) -> None:
    """Write what asking again for a bodiless UID brought: the mail, or that it is still lacking or gone."""
    if seen.raw is not None:
        values: dict[str, Any] = {
            "identity": seen.identity,
            "size": seen.size,
            "internal_date": seen.internal_date,
            "flags": list(seen.flags),
            "raw": seen.raw,
            "parts": seen.parts,
            "disposition": Disposition.RECEIVED,
            "reason": "",
            "attempts": 0,
            "next_try": None,
        }
    else:
        values = {"disposition": seen.disposition, "reason": seen.reason, "attempts": Message.attempts + 1}
    row = connection.execute(
        update(Message)
        .where(
            *ledger.in_folder(mailbox, folder, uidvalidity),
            Message.uid == seen.uid,
            Message.raw.is_(None),
        )
        .values(**values)
        .returning(Message.id, Message.attempts)
    ).first()
    if row is not None and seen.raw is None:
        wait = min(ledger.RETRY_AFTER * 2**row.attempts, ledger.LONGEST_WAIT / 2)
        connection.execute(update(Message).where(Message.id == row.id).values(next_try=now + wait))
