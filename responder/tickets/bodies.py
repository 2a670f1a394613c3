"""Mails that the server lists without giving their body: quarantined, and asked for again (rule 59)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from responder.tickets import ledger
from responder.tickets.models import Message
from responder.tickets.status import Disposition

RETRIES = 20
"""How often a body is asked for again, ever more rarely."""


def due(
    connection: Connection, mailbox: str, folder: str, uidvalidity: int, limit: int, now: datetime
) -> list[int]:
    """UIDs that the server listed without a body and that are due to be asked for again."""
    return list(
        connection.scalars(
            select(Message.uid)
            .where(
                Message.mailbox == mailbox,
                Message.folder == folder,
                Message.uidvalidity == uidvalidity,
                Message.disposition == Disposition.QUARANTINED,
                Message.raw.is_(None),
                Message.attempts < RETRIES,
                ledger.due(Message.next_try, now),
            )
            .order_by(Message.uid)
            .limit(limit)
        )
    )


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
            Message.mailbox == mailbox,
            Message.folder == folder,
            Message.uidvalidity == uidvalidity,
            Message.uid == seen.uid,
            Message.raw.is_(None),
        )
        .values(**values)
        .returning(Message.id, Message.attempts)
    ).first()
    if row is not None and seen.raw is None:
        wait = min(ledger.RETRY_AFTER * 2**row.attempts, ledger.LONGEST_WAIT / 2)
        connection.execute(update(Message).where(Message.id == row.id).values(next_try=now + wait))
