"""What has become due between two rounds of a mailbox: looked for in the database, met by a round."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from responder.pipeline import reconcile
from responder.tickets import claims, switches
from responder.tickets.database import Database
from responder.tickets.ledger import due
from responder.tickets.models import Reply
from responder.tickets.status import Filing


def to_send(database: Database, mailboxes: Iterable[str], now: datetime) -> list[str]:
    """Those of `mailboxes` with an approved reply that may leave at `now`. Raises StoreError."""
    with database.read() as connection:
        arming = switches.arming(connection)
        return [name for name in mailboxes if claims.count_due(connection, name, now, arming, 1)]


def to_file(database: Database, mailboxes: Iterable[str], now: datetime) -> list[str]:
    """Those of `mailboxes` with a sent reply that is to be filed at `now`. Raises StoreError."""
    waiting = select(Reply.mailbox).where(Reply.filing == Filing.PENDING, due(Reply.filing_next_try, now))
    with database.read() as connection:
        found = set(connection.scalars(waiting.distinct()))
    return [name for name in mailboxes if name in found]


def to_compare(database: Database, mailboxes: Iterable[str], now: datetime, interval: timedelta) -> list[str]:
    """Those of `mailboxes` whose every UID was compared with the ledger longer than `interval` ago, by any node."""
    with database.read() as connection:
        return [name for name in mailboxes if _long_ago(connection, name, now, interval)]


def _long_ago(connection: Connection, mailbox: str, now: datetime, interval: timedelta) -> bool:
    last = reconcile.last(connection, mailbox).get("everything_at")
    if last is None:
        return True
    ago = now - datetime.fromisoformat(last)
    return ago < timedelta(0) or ago >= interval
