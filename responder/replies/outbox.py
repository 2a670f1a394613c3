"""The outbox: approved replies leave through SMTP, at most once each.

`sending` is committed before MAIL FROM for a group of at most GROUP replies; only the owner of that claim writes an
outcome. A claim that is found abandoned becomes `uncertain`: a row in `sending` is never sent again by a machine.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, Row

from responder.errors import MailServerError
from responder.mail.smtp import SendResult
from responder.tickets import audit, lifecycle, switches
from responder.tickets.database import Database
from responder.tickets.status import Filing, ReplyStatus, TicketStatus

GROUP = 8
"""Replies claimed in one commit: the most that a kill can leave `uncertain` (design.md)."""

CLAIM = timedelta(minutes=30)
"""Longer than every SMTP time-out of one reply together (RFC 5321 4.5.3.2: 5+5+5+2+3+10 minutes)."""

RENEW_AFTER_SECONDS = 10.0
"""A claim older than this is proved again before MAIL FROM: the process may have been paused meanwhile."""

BACKOFF_MINUTES = (30, 30, 120, 180)
"""Waits after a temporary failure, the last one repeated (RFC 5321 4.5.4.1, rule 74)."""

GIVE_UP_AFTER = timedelta(days=5)


class Sender(Protocol):
    """An SMTP connection, opened when needed. Raises MailServerError only when nothing at all was transmitted."""

    def send(
        self,
        envelope_from: str,
        recipient: str,
        data: bytes,
        *,
        before_data: Callable[[], None] | None = None,
    ) -> SendResult: ...


class Held(Exception):  # noqa: N818 - a signal, not an error
    """Raised inside a send when the global stop was thrown after the claim: the reply goes back unharmed."""


@dataclass(slots=True)
class Tally:
    """What one pass of the outbox did."""

    sent: int = 0
    retry: int = 0
    failed: int = 0
    uncertain: int = 0
    held: int = 0


class Outbox:
    """Sends the due replies of one mailbox."""

    def __init__(self, database: Database, node: str, mailbox: str, envelope_from: str) -> None:
        self._database = database
        self._node = node
        self._mailbox = mailbox
        self._envelope_from = envelope_from

    def due(self, now: datetime) -> bool:
        """Whether there is anything to send; cheap, asks no server."""
        with self._database.read() as connection:
            return switches.arming(connection).armed and lifecycle.has_due(connection, self._mailbox, now)

    def send_due(self, sender: Sender, clock: Callable[[], datetime]) -> Tally:
        """Send everything that is due, group by group.

        Raises MailServerError when the connection cannot be used at all; the claimed replies are then due again.
        """
        tally = Tally()
        while True:
            group = self._claim(clock())
            if not group:
                return tally
            self._send_group(sender, group, clock, tally)

    def _claim(self, now: datetime) -> Sequence[Row[Any]]:
        with self._database.begin() as connection:
            if not switches.arming(connection).armed:
                return []
            return lifecycle.claim_due(connection, self._mailbox, self._node, GROUP, now, now + CLAIM)

    def _send_group(
        self, sender: Sender, group: Sequence[Row[Any]], clock: Callable[[], datetime], tally: Tally
    ) -> None:
        proved = _since_boot()
        outcomes: list[tuple[Row[Any], SendResult | None]] = []
        waiting = list(group)
        try:
            while waiting:
                if _since_boot() - proved > RENEW_AFTER_SECONDS:
                    waiting = self._still_ours(waiting, clock())
                    proved = _since_boot()
                    continue
                # Out of the list before it is tried: what an unforeseen error leaves in flight stays in `sending`
                # and becomes `uncertain`; only those never tried go back untouched.
                row = waiting.pop(0)
                try:
                    outcomes.append((row, self._send_one(sender, row, clock)))
                except MailServerError:
                    waiting.insert(0, row)
                    raise
        finally:
            self._write(outcomes + [(row, None) for row in waiting], clock(), tally)

    def _send_one(self, sender: Sender, row: Row[Any], clock: Callable[[], datetime]) -> SendResult | None:
        try:
            return sender.send(
                self._envelope_from,
                row.recipient,
                row.data,
                before_data=lambda: self._check_stop(row, clock()),
            )
        except Held:
            return None

    def _still_ours(self, rows: Sequence[Row[Any]], now: datetime) -> list[Row[Any]]:
        """Renew the claims of `rows`; return those that this node still owns."""
        with self._database.begin() as connection:
            return [row for row in rows if lifecycle.renew_claim(connection, row.id, self._node, now + CLAIM)]

    def _check_stop(self, row: Row[Any], now: datetime) -> None:
        """Read the global stop again directly before DATA (rule 78)."""
        with self._database.read() as connection:
            state = switches.arming(connection)
        if not state.armed or (row.automatic and state.breaker):
            raise Held

    def _write(
        self, outcomes: Sequence[tuple[Row[Any], SendResult | None]], now: datetime, tally: Tally
    ) -> None:
        with self._database.begin() as connection:
            entries = []
            for row, result in outcomes:
                entry = self._write_one(connection, row, result, now, tally)
                if entry is not None:
                    entries.append(entry)
            audit.record(connection, entries, now)

    def _write_one(
        self, connection: Connection, row: Row[Any], result: SendResult | None, now: datetime, tally: Tally
    ) -> audit.Entry | None:
        if result is None:
            tally.held += 1
            lifecycle.settle(
                connection, row.id, self._node, ReplyStatus.APPROVED, attempts=row.attempts - 1, next_try=now
            )
            return None
        words = f"{result.code} {result.message}".strip()
        detail = {"reply": row.id, "phase": result.phase, "answer": words}
        if result.status == "sent":
            tally.sent += 1
            lifecycle.settle(
                connection,
                row.id,
                self._node,
                ReplyStatus.SENT,
                sent_at=now,
                outcome=words,
                filing=Filing.PENDING,
            )
            return audit.Entry(row.ticket_id, audit.MACHINE, "sent", detail)
        if result.status == "retry" and now - row.decided_at < GIVE_UP_AFTER:
            tally.retry += 1
            lifecycle.settle(
                connection,
                row.id,
                self._node,
                ReplyStatus.APPROVED,
                outcome=words,
                next_try=now + backoff(row.attempts),
            )
            return audit.Entry(row.ticket_id, audit.MACHINE, "deferred", detail)
        if result.status == "uncertain":
            tally.uncertain += 1
            lifecycle.settle(connection, row.id, self._node, ReplyStatus.UNCERTAIN, outcome=words)
            action, why = "uncertain", "Tidak diketahui apakah balasan sampai; periksa folder Terkirim."
        else:
            tally.failed += 1
            lifecycle.settle(connection, row.id, self._node, ReplyStatus.FAILED, outcome=words)
            action, why = "failed", f"Balasan ditolak server: {words}"
        lifecycle.set_ticket(connection, row.ticket_id, TicketStatus.NEEDS_STAFF, now, reason=why)
        return audit.Entry(row.ticket_id, audit.MACHINE, action, detail)


def sweep_abandoned(database: Database, dead_nodes: Sequence[str], now: datetime) -> list[int]:
    """Turn claims whose owner is gone into `uncertain`; return the replies."""
    with database.begin() as connection:
        swept = []
        for reply_id in lifecycle.abandoned(connection, dead_nodes, now):
            row = lifecycle.reply(connection, reply_id)
            if row is None or not lifecycle.move_reply(
                connection,
                reply_id,
                ReplyStatus.SENDING,
                ReplyStatus.UNCERTAIN,
                claimed_by="",
                claimed_until=None,
                outcome="the sender stopped before the outcome was recorded",
            ):
                continue
            swept.append(reply_id)
            lifecycle.set_ticket(
                connection,
                row.ticket_id,
                TicketStatus.NEEDS_STAFF,
                now,
                reason="Pengiriman terputus; tidak diketahui apakah balasan sampai.",
            )
            audit.record(
                connection, [audit.Entry(row.ticket_id, audit.MACHINE, "uncertain", {"reply": reply_id})], now
            )
        return swept


def backoff(attempts: int) -> timedelta:
    """How long to wait after the `attempts`-th temporary failure; up to a fifth longer, so that retries spread."""
    minutes = BACKOFF_MINUTES[min(attempts, len(BACKOFF_MINUTES)) - 1] if attempts > 0 else BACKOFF_MINUTES[0]
    return timedelta(minutes=minutes * (1 + random.random() / 5))  # noqa: S311 - jitter, not a secret


def _since_boot() -> float:
    """Seconds that also pass while the machine sleeps, unaffected by clock changes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
