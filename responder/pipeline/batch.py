"""Handling's transaction: facts about a whole batch of mails are read at once, and what becomes of them is written so.

A mail that opens a ticket and depends on no other mail of the batch is written together with the others, in one
statement for each table. Any other mail is looked at after everything before it is written (`settled`), and is written
before the next is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection

from responder.errors import Refused
from responder.mail import addresses
from responder.pipeline.case import Case, Handled
from responder.pipeline.office import Office
from responder.tickets import audit, brakes, ledger, lifecycle, links, switches, threading
from responder.tickets.ledger import Known

log = structlog.get_logger("responder.batch")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one mail, as rows."""

    handled: Handled
    ticket: dict[str, Any]  # new values of its ticket's columns
    reply: dict[str, Any] | None  # the reply to add
    events: tuple[audit.Entry, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """One mail whose ticket is known and whose rows wait to be written."""

    message: dict[str, Any]  # the values of its ledger row, with `message_id`
    ticket_id: int
    opened: dict[str, Any] | None  # the first participant, when the ticket was made for this mail
    verdict: dict[str, Any]
    wanted: brakes.Wanted | None  # the automatic reply that the brakes must allow
    outcome: Callable[[brakes.Refusal | None], Outcome]


@dataclass(frozen=True, slots=True)
class Live:
    """The switches as they stand in this transaction."""

    arming: switches.Arming
    levels: Mapping[str, str]
    dead_links: frozenset[str]  # addresses in answers that do not work (rule 28a)


@dataclass
class Batch:
    """One transaction of handling; `done` are the mails so far, oldest first."""

    connection: Connection
    office: Office
    now: datetime
    live: Live
    known: dict[str, Known]  # identity → the message that came first (rule 50)
    done: list[Handled] = field(default_factory=list)
    _identities: dict[str, set[str]] = field(default_factory=dict)  # by Message-ID
    _notes: dict[str, str] = field(default_factory=dict)
    _waiting: set[str] = field(default_factory=set)  # senders with an open ticket
    _decided: list[Decided] = field(default_factory=list)

    @classmethod
    def begin(cls, connection: Connection, office: Office, cases: Sequence[Case], now: datetime) -> Batch:
        """Read what is to be known about `cases`."""
        mails = [case.mail for case in cases]
        senders = {mail.sender.address for mail in mails if mail.sender}
        noted = {addresses.mailbox_key(one) for one in senders}
        noted |= {addresses.mailbox_key(one.screening.reply_address) for one in cases}
        noted |= {office.pseudonyms.address(one) for one in noted}
        ids = {mail.message_id for mail in mails} - {""}
        ids |= {office.pseudonyms.header_id(one) for one in ids}
        return cls(
            connection,
            office,
            now,
            Live(
                switches.arming(connection),
                switches.levels(connection, office.name),
                frozenset(links.dead(connection, now)),
            ),
            ledger.known_identities(connection, office.name, [case.row.identity for case in cases]),
            [],
            threading.identities(connection, office.name, ids),
            switches.address_notes(connection, noted - {""}),
            threading.waiting(connection, office.name, senders),
        )

    def settled(self) -> Connection:
        """The connection, with everything decided so far written: for a mail that others may matter to."""
        self.write()
        return self.connection

    def has_open_ticket(self, sender: str) -> bool:
        return sender in self._waiting

    def reuses_an_id(self, case: Case) -> bool:
        """Whether another mail came with this Message-ID (rule 50): sent again by another way, or forged."""
        own = case.mail.message_id
        known = (self._identities.get(one, set()) for one in (own, self.office.pseudonyms.header_id(own)))
        return bool(set[str]().union(*known) - {case.row.identity})

    def note(self, *wanted: str) -> str:
        """Why one of these addresses gets no automatic mail; "" when none has a note."""
        keys = [addresses.mailbox_key(one) for one in wanted if one]
        keys += [self.office.pseudonyms.address(key) for key in keys]
        return next((self._notes[key] for key in keys if key in self._notes), "")

    def note_address(self, address: str, reason: str) -> None:
        key = addresses.mailbox_key(address)
        switches.note_address(self.connection, key, reason, self.now)
        self._notes[key] = reason

    def add(self, case: Case, decided: Decided) -> None:
        """Have one mail written with the next `write`."""
        self._decided.append(decided)
        if case.mail.sender:
            self._waiting.add(case.mail.sender.address)

    def seen(self, case: Case, ticket_id: int | None) -> None:
        """Remember a mail for those that come after it."""
        self.known.setdefault(case.row.identity, Known(case.row.id, ticket_id))
        if case.mail.message_id:
            self._identities.setdefault(case.mail.message_id, set()).add(case.row.identity)

    def write(self) -> None:
        """Write everything decided. Raises Refused when another worker has finished one of the messages."""
        decided, self._decided = self._decided, []
        if not decided:
            return
        connection = self.connection
        outcomes = [one.outcome(refusal) for one, refusal in zip(decided, self._braked(decided), strict=True)]
        opened = [one.opened for one in decided if one.opened is not None]
        lifecycle.add_participants(connection, opened)
        if ledger.finish_all(connection, [one.message for one in decided]) != len(decided):
            raise Refused("a message was handled by another worker")
        lifecycle.add_replies(connection, [one.reply for one in outcomes if one.reply is not None])
        lifecycle.set_tickets(connection, [one.ticket for one in outcomes])
        lifecycle.add_verdicts(connection, [one.verdict for one in decided])
        fresh = {one.ticket_id for one in decided if one.opened is not None}
        audit.record(connection, [entry for one in outcomes for entry in one.events], self.now, fresh)
        self.done += [one.handled for one in outcomes]

    def _braked(self, decided: Sequence[Decided]) -> list[brakes.Refusal | None]:
        """For each of `decided`, why its automatic reply may not be queued (rule 25); None when it may."""
        limits = brakes.Limits(**self.office.settings.policy.brakes.model_dump())
        wanted = [one.wanted for one in decided if one.wanted is not None]
        refusals = iter(brakes.reserve_all(self.connection, limits, wanted, self.now))
        found = [next(refusals) if one.wanted is not None else None for one in decided]
        for refusal in found:
            if refusal is not None and refusal.service_wide:
                log.error("automatic sending stopped", mailbox=self.office.name, why=refusal.reason)
                switches.trip_breaker(self.connection, refusal.reason, self.now)
                break
        return found
