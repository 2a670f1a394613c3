"""Leases: one node works a mailbox at a time, and a dead node's mailboxes are free at once.

On PostgreSQL a lease is an advisory lock of a session of its own, so it ends with the node's connection. On SQLite,
where all processes share one machine, it is a row that names the process; it also ends by itself.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from responder.errors import StoreError
from responder.tickets.database import Database
from responder.tickets.models import Lease

DURATION = timedelta(minutes=10)
"""Of a row: it is renewed at every step of a round; this long after the last one another host may take it."""

REWRITE_SECONDS = 30.0
"""A row written less long ago is only read again: far less than DURATION, and each write waits for the disk."""

_HOLDER = select(Lease.node).where(Lease.mailbox == bindparam("mailbox"))

_held: set[tuple[str, str, str]] = set()  # (URL, mailbox, node) of the rows that threads of this process hold
_held_lock = threading.Lock()

Renew = Callable[[], None]
"""Proves that the lease is still held. Raises StoreError when it is lost: the round must end without another step."""


@contextmanager
def lease(
    database: Database,
    mailbox: str,
    node: str,
    clock: Callable[[], datetime],
    is_dead: Callable[[str], bool],
) -> Iterator[Renew | None]:
    """Hold `mailbox` for the block; yields None when another living node holds it."""

    def take() -> bool:
        with database.begin() as connection:
            return acquire(connection, mailbox, node, clock(), is_dead)

    with _row(database, mailbox, node, take) if database.is_sqlite else _lock(database, mailbox) as renew:
        yield renew


@contextmanager
def _row(database: Database, mailbox: str, node: str, take: Callable[[], bool]) -> Iterator[Renew | None]:
    # The row names the process; which of its threads holds it is known here.
    key = (database.url, mailbox, node)
    with _held_lock:
        free = key not in _held
        _held.add(key)
    if not free:
        yield None
        return
    try:
        if not take():
            yield None
            return
        try:
            yield _renewing(database, mailbox, node, take)
        finally:
            with database.begin() as connection:
                release(connection, mailbox, node)
    finally:
        with _held_lock:
            _held.discard(key)


def _renewing(database: Database, mailbox: str, node: str, take: Callable[[], bool]) -> Renew:
    written = _since_boot()

    def renew() -> None:
        nonlocal written
        if _since_boot() - written < REWRITE_SECONDS:
            with database.read() as connection:
                still_held = holder_of(connection, mailbox) == node
        else:
            written = _since_boot()
            still_held = take()
        if not still_held:
            raise StoreError(f"mailbox {mailbox}: another process has taken it over")

    return renew


@contextmanager
def _lock(database: Database, mailbox: str) -> Iterator[Renew | None]:
    key = int.from_bytes(hashlib.sha256(f"lease {mailbox}".encode()).digest()[:8], "big", signed=True)
    lost = f"mailbox {mailbox}: the database session that holds it has ended"
    with database.session() as connection:
        if not connection.scalar(select(func.pg_try_advisory_lock(key))):
            yield None
            return

        def renew() -> None:
            try:
                connection.execute(select(1))
            except DBAPIError as error:
                raise StoreError(lost) from error

        try:
            yield renew
        finally:
            # A session that cannot be asked any more is closed, which frees the lock as well.
            if not connection.invalidated:
                try:
                    connection.execute(select(func.pg_advisory_unlock(key)))
                except DBAPIError:
                    connection.invalidate()


def acquire(
    connection: Connection, mailbox: str, node: str, now: datetime, is_dead: Callable[[str], bool]
) -> bool:
    """Take or renew the row of `mailbox`; False when another living node holds it."""
    holder = connection.execute(select(Lease.node, Lease.until).where(Lease.mailbox == mailbox)).first()
    if holder is None:
        try:
            with connection.begin_nested():
                connection.execute(insert(Lease).values(mailbox=mailbox, node=node, until=now + DURATION))
        except IntegrityError:
            return False
        return True
    # An end that lies far ahead was written by a clock that has since been set back.
    ended = holder.until < now or holder.until > now + 2 * DURATION
    if holder.node != node and not ended and not is_dead(holder.node):
        return False
    return (
        connection.execute(
            update(Lease)
            .where(Lease.mailbox == mailbox, Lease.node == holder.node, Lease.until == holder.until)
            .values(node=node, until=now + DURATION)
        ).rowcount
        == 1
    )


def holder_of(connection: Connection, mailbox: str) -> str | None:
    return connection.scalar(_HOLDER, {"mailbox": mailbox})


def release(connection: Connection, mailbox: str, node: str) -> None:
    connection.execute(delete(Lease).where(Lease.mailbox == mailbox, Lease.node == node))


def _since_boot() -> float:
    """Seconds that also pass while the machine sleeps, unaffected by clock changes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
