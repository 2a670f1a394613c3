"""Erasing everything about one person, on that person's request (UU 27/2022 Pasal 8, 43 and 44)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, String, cast, delete, func, or_, select, update

from responder.config import Settings
from responder.errors import Refused
from responder.mail.addresses import mailbox_key
from responder.pipeline.office import read_key
from responder.replies import approval
from responder.tickets import audit, erasure
from responder.tickets.database import Database
from responder.tickets.erasure import Erasure, Pseudonyms
from responder.tickets.models import Counter, Event, Message, Ticket
from responder.tickets.models_upkeep import Alarm, Job
from responder.upkeep import footprint, shred
from responder.upkeep.footprint import Footprint

HIDDEN = "[dihapus]"


@dataclass(frozen=True, slots=True)
class Remains:
    """Where the person may still be found after an erasure; this program does not touch it."""

    folders: tuple[str, ...]  # "mailbox: folder" on the IMAP servers
    backups: tuple[Path, ...]
    mentions: tuple[int, ...]  # tickets of other people that name the address
    shredded: bool  # the erased bytes are gone from the database's files


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was erased and what is left."""

    tickets: tuple[int, ...]
    messages: int
    pseudonym: str
    remains: Remains


def look(database: Database, settings: Settings, address: str) -> tuple[Footprint, Remains]:
    """What an erasure would take and leave; changes nothing."""
    with database.read() as connection:
        found = footprint.find(connection, address)
        return found, _remains(connection, settings, found, shredded=False)


def erase(
    database: Database, settings: Settings, address: str, actor: str, now: datetime, *, close: bool = False
) -> Outcome:
    """Erase everything about the person with `address`; with `close` their open tickets are closed first.

    Raises Refused, with nothing changed, while a reply to them is on its way or a ticket of theirs is open; raises
    ConfigError without a secret key, StoreError.
    """
    act = Erasure(
        erasure.REQUEST, actor, now, Pseudonyms(read_key(settings.state.secret_key_file), mailbox_key)
    )

    def work(connection: Connection) -> tuple[Footprint, int]:
        # On PostgreSQL: whatever is written into these tickets is there already, or comes when they are erased.
        theirs = select(Ticket.id).where(footprint.of(Ticket.vendor_address, mailbox_key(address)))
        connection.execute(theirs.order_by(Ticket.id).with_for_update())
        found = footprint.find(connection, address)
        _refuse(found, address, close=close)
        with erasure.overwriting(connection):
            return found, _erase(connection, found, act)

    found, count = database.write(work)
    shredded = shred.shred(database, everything=True)
    with database.read() as connection:
        remains = _remains(connection, settings, found, shredded=shredded)
    return Outcome(found.tickets, count, act.pseudonyms.address(found.key), remains)


def _refuse(found: Footprint, address: str, *, close: bool) -> None:
    if found.empty:
        raise Refused(f"{address}: nothing is known about this address")
    if found.blockers:
        raise Refused("\n".join([f"{address}: not yet, nothing was erased:", *found.blockers]))
    if found.open_tickets and not close:
        numbers = ", ".join(map(str, found.open_tickets))
        raise Refused(f"{address}: tickets {numbers} are open; answer or close them, or give --close")


def _erase(connection: Connection, found: Footprint, act: Erasure) -> int:
    """Erase the records of `found`; return how many mails there were."""
    for ticket_id in found.open_tickets:
        approval.close(connection, ticket_id, act.actor, act.at, "erased on request")
    in_tickets = connection.scalar(select(func.count()).where(Message.ticket_id.in_(found.tickets))) or 0
    erasure.erase_tickets(connection, found.tickets, act)
    erasure.erase_messages(connection, found.messages, act)
    for address in found.notes:
        erasure.erase_note(connection, address, act)
    _erase_counters(connection, found.key)
    _erase_elsewhere(connection, found.key, act)
    counts = {"tickets": len(found.tickets), "messages": in_tickets + len(found.messages)}
    detail = {"person": act.pseudonyms.address(found.key), "counts": counts}
    audit.record(connection, [audit.Entry(audit.INSTALLATION, act.actor, "person_erased", detail)], act.at)
    return counts["messages"]


def _erase_counters(connection: Connection, key: str) -> None:
    """The brakes count addresses by their key: "to:KEY", "same:KEY:DIGEST"."""
    same = func.substr(Counter.key, 1, len(f"same:{key}:")) == f"same:{key}:"
    connection.execute(delete(Counter).where(or_(Counter.key == f"to:{key}", same)))


def _erase_elsewhere(connection: Connection, key: str, act: Erasure) -> None:
    """Details of events of other tickets, and messages to operators, that name the address."""

    position = func.instr if connection.dialect.name == "sqlite" else func.strpos

    def names(column: Any) -> ColumnElement[bool]:
        found: ColumnElement[bool] = position(func.lower(column), key) > 0
        return found

    rows = connection.execute(
        select(Event.ticket_id, Event.seq).where(names(cast(Event.detail, String)))
    ).all()
    for ticket_id in sorted({row.ticket_id for row in rows}):
        seqs = [row.seq for row in rows if row.ticket_id == ticket_id]
        audit.erase(connection, ticket_id, seqs, act.why, act.actor, act.at)
    connection.execute(update(Alarm).where(names(Alarm.text)).values(text=HIDDEN))
    connection.execute(update(Job).where(names(Job.error)).values(error=HIDDEN))


def _remains(connection: Connection, settings: Settings, found: Footprint, *, shredded: bool) -> Remains:
    folders = []
    for name, mailbox in settings.mailboxes.items():
        known = mailbox.folders
        folders += [f"{name}: {folder}" for folder in (known.inbox, known.drafts, known.sent) if folder]
    return Remains(tuple(folders), tuple(_backups(settings.backups)), found.mentions, shredded)


def _backups(directory: Path) -> Sequence[Path]:
    return sorted(path for path in directory.iterdir() if path.is_file()) if directory.is_dir() else []
