"""The outbox: approved replies leave through SMTP, at most once each.

`sending` is committed before MAIL FROM for a group of at most GROUP replies; only the node that claimed them writes an
outcome. A claim that is found abandoned becomes `uncertain`: a row in `sending` is never sent again by a machine.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, Row

from responder.errors import MailServerError, ResponderError, StoreError
from responder.mail.addresses import mailbox_key
from responder.mail.smtp import SendResult
from responder.tickets import audit, claims, lifecycle, switches
from responder.tickets.database import Database
from responder.tickets.status import Filing, ReplyStatus, TicketStatus

GROUP = 8
"""Replies claimed in one commit: the most that a kill can leave `uncertain` (design.md)."""

CLAIM = timedelta(minutes=30)
"""Longer than every SMTP time-out of one reply together (RFC 5321 4.5.3.2: 5+5+5+2+3+10 minutes)."""

RENEW_AFTER_SECONDS = 2.0
"""After this long the outcomes so far are written and the claims are proved again before the next MAIL FROM: the
process may have been paused, and with a slow server a kill shall not leave the whole group `uncertain`."""

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
    """Raised inside a send when a switch was thrown or the claim was lost: nothing is transmitted."""


@dataclass(slots=True)
class Tally:
    """What one pass of the outbox did."""

    sent: int = 0
    retry: int = 0
    failed: int = 0
    uncertain: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one claimed reply came out; `result` is None when nothing of it was transmitted."""

    row: Row[Any]
    result: SendResult | None


class Outbox:
    """Sends the due replies of one mailbox, for the holder of its lease.

    Kept between rounds: outcomes that could not be written (disk full, database away) are known here alone, and are
    written before anything else happens.
    """

    def __init__(self, database: Database, node: str, mailbox: str, envelope_from: str) -> None:
        self._database = database
        self._node = node
        self._mailbox = mailbox
        self._envelope_from = envelope_from
        self._unwritten: list[Outcome] = []

    def recover(self, now: datetime) -> list[int]:
        """Write what an earlier round could not; then turn claims that nobody works on into `uncertain`.

        To be called with the mailbox's lease newly held: whoever claimed before has lost it. Returns the uncertain
        replies. Raises StoreError.
        """
        self._settle(now, Tally())
        with self._database.read() as connection:
            if not (self._to_sweep(connection) or self._to_recall(connection)):
                return []
        swept = self._database.write(lambda connection: self._sweep(connection, now))
        self._database.write(lambda connection: self._recall(connection, now))
        return swept

    def _to_sweep(self, connection: Connection) -> Sequence[Any]:
        return claims.abandoned(connection, self._mailbox)

    def _to_recall(self, connection: Connection) -> Sequence[Any]:
        return claims.recalled(connection, self._mailbox, switches.arming(connection))

    def due(self, now: datetime) -> int:
        """How many replies are to leave, counted up to GROUP; cheap, asks no server."""
        with self._database.read() as connection:
            return claims.count_due(connection, self._mailbox, now, switches.arming(connection), GROUP)

    def send_due(
        self,
        senders: Sequence[Sender],
        clock: Callable[[], datetime],
        renew: Callable[[], None] = lambda: None,
    ) -> Tally:
        """Send everything that is due, group by group; `renew` proves the mailbox's lease before each group.

        The outcomes of a group are written in the commit that claims the next one. Each of `senders` has one reply at
        a time. Raises MailServerError when a connection cannot be used at all, or StoreError; the replies that were
        not tried are then due again.
        """
        tally = Tally()
        try:
            with ThreadPoolExecutor(len(senders), "smtp") as threads:
                while True:
                    renew()
                    proved = _since_boot()
                    group = self._claim(clock(), tally)
                    if not group:
                        return tally
                    self._send_group(senders, threads, group, proved, clock, tally)
        finally:
            self._settle(clock(), tally)

    def _claim(self, now: datetime, tally: Tally) -> Sequence[Row[Any]]:
        """Write the outcomes so far and claim the next group, in one commit."""

        def claim(connection: Connection) -> Sequence[Row[Any]]:
            self._write(connection, now)
            arming = switches.arming(connection)
            while rows := claims.claim_due(
                connection, self._mailbox, self._node, GROUP, now, now + CLAIM, arming
            ):
                if leaving := self._without_noted(connection, rows, now):
                    return leaving
            return []

        group = self._database.write(claim)
        self._count(tally)
        return group

    def _without_noted(
        self, connection: Connection, rows: Sequence[Row[Any]], now: datetime
    ) -> list[Row[Any]]:
        """`rows` but automatic replies to addresses that get none any more (rules 28, 47): a person decides."""
        keys = {row.id: mailbox_key(row.recipient) for row in rows if row.automatic}
        notes = switches.address_notes(connection, keys.values()) if keys else {}
        leaving = []
        for row in rows:
            note = notes.get(keys.get(row.id, ""))
            if note is None:
                leaving.append(row)
                continue
            reason = f"Balasan otomatis ditarik: alamat ini tidak menerima surat otomatis: {note}"
            self._withdraw(connection, row, ReplyStatus.SENDING, reason, now)
        return leaving

    def _send_group(
        self,
        senders: Sequence[Sender],
        threads: ThreadPoolExecutor,
        group: Sequence[Row[Any]],
        proved: float,
        clock: Callable[[], datetime],
        tally: Tally,
    ) -> None:
        waiting = list(group)
        try:
            while waiting:
                if _since_boot() - proved > RENEW_AFTER_SECONDS:
                    proved = _since_boot()
                    self._settle(clock(), tally)
                    waiting = self._still_ours(waiting, clock())
                    continue
                # Out of the list before they are tried: what an unforeseen error leaves in flight stays in `sending`
                # and becomes `uncertain`; only those never tried go back untouched.
                wave, waiting = waiting[: len(senders)], waiting[len(senders) :]
                if untried := self._send_wave(senders, threads, wave, clock, tally):
                    waiting = [row for row, _ in untried] + waiting
                    raise untried[0][1]
        finally:
            self._unwritten += [Outcome(row, None) for row in waiting]

    def _send_wave(
        self,
        senders: Sequence[Sender],
        threads: ThreadPoolExecutor,
        wave: Sequence[Row[Any]],
        clock: Callable[[], datetime],
        tally: Tally,
    ) -> list[tuple[Row[Any], ResponderError]]:
        """Send at most one reply by each sender; return those of which nothing was transmitted, and why.

        While a slow server makes the wave last, the outcomes so far are written.
        """
        if len(wave) == 1:
            return self._collect(wave[0], lambda: self._send_one(senders[0], wave[0]), clock())
        sent = {
            threads.submit(self._send_one, one, row): row for one, row in zip(senders, wave, strict=False)
        }
        untried: list[tuple[Row[Any], ResponderError]] = []
        unforeseen: list[Exception] = []
        left = set(sent)
        while left:
            done, left = wait(left, RENEW_AFTER_SECONDS)
            for one in done:
                try:
                    untried += self._collect(sent[one], one.result, clock())
                except Exception as error:  # noqa: BLE001 - raised again when the others' outcomes are known
                    unforeseen.append(error)
            if left:
                with suppress(StoreError):  # kept, and written when the others' outcomes are known too
                    self._settle(clock(), tally)
        if unforeseen:
            self._unwritten += [Outcome(row, None) for row, _ in untried]
            raise unforeseen[0]
        return untried

    def _collect(
        self, row: Row[Any], outcome: Callable[[], SendResult | None], now: datetime
    ) -> list[tuple[Row[Any], ResponderError]]:
        try:
            self._unwritten.append(_final(Outcome(row, outcome()), now))
        except (MailServerError, StoreError) as error:
            # Neither can happen once DATA was said: see Sender, and _check runs before it.
            return [(row, error)]
        return []

    def _send_one(self, sender: Sender, row: Row[Any]) -> SendResult | None:
        try:
            return sender.send(
                self._envelope_from, row.recipient, row.data, before_data=lambda: self._check(row)
            )
        except Held:
            return None

    def _still_ours(self, rows: Sequence[Row[Any]], now: datetime) -> list[Row[Any]]:
        """Renew the claims of `rows`; return those that this node still owns."""

        def renew(connection: Connection) -> list[Row[Any]]:
            return [row for row in rows if claims.renew_claim(connection, row.id, self._node, now + CLAIM)]

        return self._database.write(renew)

    def _check(self, row: Row[Any]) -> None:
        """Read switches, notes on the address and claim again directly before DATA (rules 28 and 78)."""
        with self._database.read() as connection:
            arming, address = switches.arming(connection), mailbox_key(row.recipient)
            if not claims.still_allowed(connection, row.id, self._node, address, arming):
                raise Held

    def _settle(self, now: datetime, tally: Tally) -> None:
        """Write the outcomes that are not written yet; they are kept until that works."""
        if not self._unwritten:
            return
        self._database.write(lambda connection: self._write(connection, now))
        self._count(tally)

    def _count(self, tally: Tally) -> None:
        """What was unwritten is written."""
        for outcome in self._unwritten:
            status = outcome.result.status if outcome.result is not None else "held"
            setattr(tally, status, getattr(tally, status) + 1)
        self._unwritten.clear()

    def _write(self, connection: Connection, now: datetime) -> None:
        entries = [self._write_one(connection, one.row, one.result, now) for one in self._unwritten]
        audit.record(connection, [entry for entry in entries if entry is not None], now)

    def _write_one(
        self, connection: Connection, row: Row[Any], result: SendResult | None, now: datetime
    ) -> audit.Entry | None:
        def settle(to: ReplyStatus, **values: Any) -> bool:
            if claims.settle(connection, row.id, self._node, to, **values):
                return True
            if not claims.settle_late(connection, row.id, self._node, to, **values):
                return False
            lifecycle.answered_by(connection, row, now)
            return True

        if result is None:
            settle(ReplyStatus.APPROVED, attempts=row.attempts - 1, next_try=now)
            return None
        words = f"{result.code} {result.message}".strip()
        detail = {"reply": row.id, "phase": result.phase, "answer": words}
        if result.status == "sent":
            if not settle(ReplyStatus.SENT, sent_at=now, outcome=words, filing=Filing.PENDING):
                return None
            return audit.Entry(row.ticket_id, audit.MACHINE, "sent", detail)
        if result.status == "retry":
            if not settle(ReplyStatus.APPROVED, outcome=words, next_try=now + backoff(row.attempts)):
                return None
            return audit.Entry(row.ticket_id, audit.MACHINE, "deferred", detail)
        if result.status == "uncertain":
            to, why = ReplyStatus.UNCERTAIN, "Tidak diketahui apakah balasan sampai; periksa folder Terkirim."
        else:
            to, why = ReplyStatus.FAILED, f"Balasan tidak dapat dikirim: {words}"
        if not settle(to, outcome=words):
            return None
        lifecycle.set_ticket(connection, row.ticket_id, TicketStatus.NEEDS_STAFF, now, reason=why)
        return audit.Entry(row.ticket_id, audit.MACHINE, to.value, detail)

    def _sweep(self, connection: Connection, now: datetime) -> list[int]:
        """`sending` becomes `uncertain`, but keeps its node: it may only be slow, and still tell the outcome."""
        rows = [
            row
            for row in self._to_sweep(connection)
            if lifecycle.move_reply(
                connection,
                row.id,
                ReplyStatus.SENDING,
                ReplyStatus.UNCERTAIN,
                claimed_until=None,
                outcome="the sender stopped before the outcome was recorded",
            )
        ]
        for row in rows:
            reason = "Pengiriman terputus; tidak diketahui apakah balasan sampai."
            lifecycle.set_ticket(connection, row.ticket_id, TicketStatus.NEEDS_STAFF, now, reason=reason)
        entries = [audit.Entry(row.ticket_id, audit.MACHINE, "uncertain", {"reply": row.id}) for row in rows]
        audit.record(connection, entries, now)
        return [row.id for row in rows]

    def _recall(self, connection: Connection, now: datetime) -> None:
        """An automatic reply that a stop held back, to mail older than the arming: a person decides."""
        for row in self._to_recall(connection):
            reason = "Balasan otomatis ditarik: pengiriman dihentikan sebelum balasan berangkat."
            self._withdraw(connection, row, ReplyStatus.APPROVED, reason, now)

    def _withdraw(
        self, connection: Connection, row: Any, frm: ReplyStatus, reason: str, now: datetime
    ) -> None:
        """An automatic reply does not leave; its ticket goes to staff, who see why."""
        if lifecycle.move_reply(
            connection,
            row.id,
            frm,
            ReplyStatus.DISCARDED,
            outcome=reason,
            claimed_by="",
            claimed_until=None,
        ):
            lifecycle.set_ticket(connection, row.ticket_id, TicketStatus.NEEDS_STAFF, now, reason=reason)
            entry = audit.Entry(row.ticket_id, audit.MACHINE, "recalled", {"reply": row.id})
            audit.record(connection, [entry], now)


def _final(outcome: Outcome, now: datetime) -> Outcome:
    """A temporary refusal is final once the reply has been tried for long enough (RFC 5321 4.5.4.1)."""
    row, result = outcome.row, outcome.result
    if result is None or result.status != "retry" or now - row.decided_at < GIVE_UP_AFTER:
        return outcome
    return Outcome(row, replace(result, status="failed"))


def backoff(attempts: int) -> timedelta:
    """How long to wait after the `attempts`-th temporary failure; up to a fifth longer, so that retries spread."""
    minutes = BACKOFF_MINUTES[min(attempts, len(BACKOFF_MINUTES)) - 1] if attempts > 0 else BACKOFF_MINUTES[0]
    return timedelta(minutes=minutes * (1 + random.random() / 5))  # noqa: S311 - jitter, not a secret


def _since_boot() -> float:
    """Seconds that also pass while the machine sleeps, unaffected by clock changes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
