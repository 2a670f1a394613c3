"""Leases: one node works a mailbox at a time. A lease ends by itself, or with its process on the same host."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from responder.tickets.models import Lease

DURATION = timedelta(minutes=10)
"""Longer than one round's longest step without a renewal (an IMAP time-out); short enough to wait for."""


def acquire(
    connection: Connection, mailbox: str, node: str, now: datetime, is_dead: Callable[[str], bool]
) -> bool:
    """Take or renew the lease of `mailbox`; False when another living node holds it."""
    holder = connection.execute(select(Lease.node, Lease.until).where(Lease.mailbox == mailbox)).first()
    if holder is None:
        try:
            with connection.begin_nested():
                connection.execute(insert(Lease).values(mailbox=mailbox, node=node, until=now + DURATION))
        except IntegrityError:
            return False
        return True
    free = (
        holder.node == node or holder.until < now or holder.until > now + 2 * DURATION or is_dead(holder.node)
    )
    if not free:
        return False
    return (
        connection.execute(
            update(Lease)
            .where(Lease.mailbox == mailbox, Lease.node == holder.node, Lease.until == holder.until)
            .values(node=node, until=now + DURATION)
        ).rowcount
        == 1
    )


def release(connection: Connection, mailbox: str, node: str) -> None:
    connection.execute(delete(Lease).where(Lease.mailbox == mailbox, Lease.node == node))
