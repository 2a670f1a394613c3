"""Retention: what is kept for how long, and erasing what is older, in small steps that may be cut off at any point.

Each rule names what is due; erasing makes it no longer due. So a purge that was interrupted goes on where it was, and
one that finds nothing writes nothing. Mail in quarantine is never due: a person sets it aside first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Select, delete, exists, func, literal, select, tuple_, update

from responder.config import Retention, Settings
from responder.mail.addresses import mailbox_key
from responder.pipeline import learning
from responder.pipeline.office import read_key
from responder.tickets import audit, erasure, ledger
from responder.tickets.database import Database
from responder.tickets.erasure import Erasure, Pseudonyms
from responder.tickets.models import AddressNote, Counter, Event, Message, StaffVerdict, Ticket
from responder.tickets.models_staff import Edit, LoginAttempts, Presence, Session
from responder.tickets.status import Disposition
from responder.upkeep import shred

log = structlog.get_logger("responder.retention")

BATCH = 25
"""Rows of one transaction. 100 tickets took up to 0.9 s on a busy machine: writers shall not wait that long."""

COUNTERS_KEPT_DAYS = 2
"""Windows of the brakes are days and hours; a clock set back by a day still finds them."""


Keys = Sequence[tuple[Any, ...]]

Due = Select[*tuple[Any, ...]]
"""A query for the columns of a key and, last, `since`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of data. `due` selects the key and `since` of what is older than a moment; `erase` takes keys."""

    kind: str
    days: Callable[[Retention], float]  # 0: kept for ever
    due: Callable[[datetime], Due]
    erase: Callable[[Connection, Keys, Erasure], None]


@dataclass(frozen=True, slots=True)
class Line:
    """How much of one kind was erased, or is due, and how old the oldest of it is."""

    kind: str
    count: int
    oldest: datetime | None
    days: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What a purge did or would do; `waiting` mails in quarantine are past every period and need a person."""

    lines: tuple[Line, ...]
    waiting: int
    waiting_since: datetime | None

    @property
    def count(self) -> int:
        return sum(line.count for line in self.lines)


def survey(database: Database, settings: Settings, now: datetime) -> Summary:
    """What a purge would erase at `now`; changes nothing."""
    with database.read() as connection:
        lines = tuple(
            Line(rule.kind, *_count(connection, due), days) for rule, days, due in _due(settings, now)
        )
        return Summary(lines, *_quarantine(connection, settings, now))


def purge(
    database: Database, settings: Settings, now: datetime, renew: Callable[[], None] = lambda: None
) -> Summary:
    """Erase what is due; `renew` is called between the steps. Raises StoreError, ConfigError without a secret key."""
    act = Erasure(
        why=erasure.RETENTION,
        actor=audit.MACHINE,
        at=now,
        pseudonyms=Pseudonyms(read_key(settings.state.secret_key_file), mailbox_key),
        lesson=learning.lesson if settings.retention.training_days else None,
        taught=learning.TAUGHT,
    )
    lines = []
    for rule, days, due in _due(settings, now):
        with database.read() as connection:
            count, oldest = _count(connection, due)
        if count:
            count = _erase_all(database, rule, due, act, renew)
            log.info("erased after retention", kind=rule.kind, count=count)
        lines.append(Line(rule.kind, count, oldest, days))
    with database.read() as connection:
        summary = Summary(tuple(lines), *_quarantine(connection, settings, now))
    if summary.count:
        shred.shred(database)
    return summary


def _erase_all(database: Database, rule: Rule, due: Due, act: Erasure, renew: Callable[[], None]) -> int:
    """Erase in the order of the keys, so that no step looks again at what those before it erased."""
    done, last = 0, tuple[Any, ...]()
    while True:
        renew()
        query = _after(due, last).limit(BATCH)

        def step(connection: Connection, query: Due = query) -> list[tuple[Any, ...]]:
            keys = [tuple(row[:-1]) for row in connection.execute(query)]
            if keys:
                with erasure.overwriting(connection):
                    rule.erase(connection, keys, act)
            return keys

        keys = database.write(step)
        if not keys:
            return done
        done, last = done + len(keys), keys[-1]


def _after(due: Due, last: tuple[Any, ...]) -> Due:
    if not last:
        return due
    columns = list(due.selected_columns)[:-1]
    values = [literal(value, column.type) for value, column in zip(last, columns, strict=True)]
    return due.where(tuple_(*columns) > tuple_(*values))


def _due(settings: Settings, now: datetime) -> list[tuple[Rule, float, Due]]:
    periods = ((rule, rule.days(settings.retention)) for rule in RULES)
    return [(rule, days, rule.due(now - timedelta(days=days))) for rule, days in periods if days]


def _count(connection: Connection, due: Due) -> tuple[int, datetime | None]:
    found = due.subquery()
    row = connection.execute(select(func.count(), func.min(found.c.since)).select_from(found)).one()
    return row[0], row[1]


def _quarantine(connection: Connection, settings: Settings, now: datetime) -> tuple[int, datetime | None]:
    before = now - timedelta(days=settings.retention.ignored_days)
    row = connection.execute(
        select(func.count(), func.min(Message.received_at)).where(
            Message.disposition == Disposition.QUARANTINED, Message.received_at < before
        )
    ).one()
    return (row[0], row[1]) if settings.retention.ignored_days else (0, None)


def _raw(before: datetime) -> Due:
    return (
        select(Message.id, Ticket.updated_at.label("since"))
        .join(Ticket, Ticket.id == Message.ticket_id)
        .where(Ticket.updated_at < before, erasure.settled(), Message.raw.is_not(None))
        .order_by(Message.id)
    )


def _tickets(before: datetime) -> Due:
    return (
        select(Ticket.id, Ticket.updated_at.label("since"))
        .where(Ticket.updated_at < before, erasure.settled(), erasure.has_content())
        .order_by(Ticket.id)
    )


def _ignored(before: datetime) -> Due:
    closed = (
        select(Event.id)
        .where(
            Event.ticket_id == audit.INSTALLATION,
            Event.action == ledger.QUARANTINE_CLOSED,
            Event.at >= before,
            Event.detail["message"].as_integer() == Message.id,
        )
        .correlate(Message)
    )
    return (
        select(Message.id, Message.received_at.label("since"))
        .where(
            Message.disposition.in_([Disposition.IGNORED, Disposition.DUPLICATE]),
            Message.ticket_id.is_(None),
            Message.received_at < before,
            Message.erased_at.is_(None),
            ~exists(closed),
        )
        .order_by(Message.id)
    )


def _edits(before: datetime) -> Due:
    return (
        select(Edit.id, Edit.saved_at.label("since"))
        .join(Ticket, Ticket.id == Edit.ticket_id)
        .where(Edit.saved_at < before, Ticket.status.in_(erasure.ENDED))
        .order_by(Edit.id)
    )


def _lessons(before: datetime) -> Due:
    return (
        select(StaffVerdict.id, StaffVerdict.predicted_at.label("since"))
        .where(StaffVerdict.masked_text != "", StaffVerdict.predicted_at < before)
        .order_by(StaffVerdict.id)
    )


def _events(before: datetime) -> Due:
    said = Event.detail["address"].as_string().is_not(None) | Event.detail["reason"].as_string().is_not(None)
    return (
        select(Event.seq, Event.at.label("since"))
        .where(Event.ticket_id == audit.INSTALLATION, Event.at < before, said)
        .order_by(Event.seq)
    )


def _address_notes(before: datetime) -> Due:
    return (
        select(AddressNote.address, AddressNote.at.label("since"))
        .where(AddressNote.at < before, AddressNote.address.not_like(f"%{erasure.PSEUDONYMS}"))
        .order_by(AddressNote.address)
    )


def _sessions(before: datetime) -> Due:
    return (
        select(Session.token_hash, Session.expires_at.label("since"))
        .where(Session.expires_at < before)
        .order_by(Session.token_hash)
    )


def _log_ins(before: datetime) -> Due:
    return (
        select(LoginAttempts.key, LoginAttempts.last_at.label("since"))
        .where(LoginAttempts.last_at < before)
        .order_by(LoginAttempts.key)
    )


def _presence(before: datetime) -> Due:
    return (
        select(Presence.ticket_id, Presence.user_id, Presence.until.label("since"))
        .where(Presence.until < before)
        .order_by(Presence.ticket_id, Presence.user_id)
    )


def _counters(before: datetime) -> Due:
    """Windows that are over, and answers whose time of not being repeated is (rules 19, 22, 23)."""
    return (
        select(Counter.key, Counter.window, Counter.at.label("since"))
        .where(Counter.at < before)
        .order_by(Counter.key, Counter.window)
    )


def _delete(*columns: Any) -> Callable[[Connection, Keys, Erasure], None]:
    """Rows that are nothing without their content are deleted."""

    def erase(connection: Connection, keys: Keys, _act: Erasure) -> None:
        connection.execute(delete(columns[0].class_).where(tuple_(*columns).in_(keys)))

    return erase


def _first(keys: Keys) -> list[Any]:
    return [key[0] for key in keys]


def _erase_tickets(connection: Connection, keys: Keys, act: Erasure) -> None:
    erasure.erase_tickets(connection, erasure.still_settled(connection, _first(keys)), act)


def _erase_lessons(connection: Connection, keys: Keys, _act: Erasure) -> None:
    connection.execute(update(StaffVerdict).where(StaffVerdict.id.in_(_first(keys))).values(masked_text=""))


def _erase_events(connection: Connection, keys: Keys, act: Erasure) -> None:
    audit.erase(connection, audit.INSTALLATION, _first(keys), act.why, act.actor, act.at)


def _erase_notes(connection: Connection, keys: Keys, act: Erasure) -> None:
    for address in _first(keys):
        erasure.erase_note(connection, address, act)


RULES = (
    Rule(
        "raw mail and attachments",
        lambda periods: periods.raw_days,
        _raw,
        lambda connection, keys, _act: erasure.erase_raw(connection, _first(keys)),
    ),
    Rule(
        "tickets",
        lambda periods: periods.tickets_days,
        _tickets,
        _erase_tickets,
    ),
    Rule(
        "mail without a ticket",
        lambda periods: periods.ignored_days,
        _ignored,
        lambda connection, keys, act: erasure.erase_messages(connection, _first(keys), act),
    ),
    Rule("unfinished texts", lambda periods: periods.edits_days, _edits, _delete(Edit.id)),
    Rule("training texts", lambda periods: periods.training_days, _lessons, _erase_lessons),
    Rule("events of the installation", lambda periods: periods.events_days, _events, _erase_events),
    Rule("notes on addresses", lambda periods: periods.address_notes_days, _address_notes, _erase_notes),
    Rule("sessions", lambda periods: periods.log_ins_days, _sessions, _delete(Session.token_hash)),
    Rule("failed log-ins", lambda periods: periods.log_ins_days, _log_ins, _delete(LoginAttempts.key)),
    Rule("who looks at what", lambda _periods: 1, _presence, _delete(Presence.ticket_id, Presence.user_id)),
    Rule(
        "counters of the brakes",
        lambda _periods: COUNTERS_KEPT_DAYS,
        _counters,
        _delete(Counter.key, Counter.window),
    ),
)
