"""How the service is, read at one moment: what alarms, the daily summary, `status` and /metrics are made from."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from responder.config import MailboxConfig, Settings
from responder.errors import ResponderError
from responder.files import Stamp, stamps
from responder.knowledge.load import load_topics
from responder.mail import oauth_store
from responder.pipeline import reconcile
from responder.tickets import links, switches
from responder.tickets.database import Database
from responder.tickets.models import Message, Reply, Ticket
from responder.tickets.models_upkeep import Job
from responder.tickets.status import Disposition, Filing, ReplyStatus, TicketStatus
from responder.tickets.switches import Arming
from responder.upkeep import alarms, jobs
from responder.upkeep.polls import KEY


@dataclass(frozen=True, slots=True)
class MailboxState:
    """One mailbox, as its rounds left it."""

    name: str
    last_good: datetime | None  # end of the last round without an error
    failures: int  # rounds in a row with one
    error: str
    differences: tuple[str, ...]  # between server and ledger, one line each
    signed_out: str  # why the provider takes the OAuth 2 sign-in no longer; "" = it does, or there is none


@dataclass(frozen=True, slots=True)
class Queue:
    """How many wait, and since when the oldest does."""

    count: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that is looked at."""

    at: datetime
    mailboxes: tuple[MailboxState, ...]
    arming: Arming
    to_approve: Queue
    to_answer: Queue
    unsent: Queue  # approved replies, since they were decided
    unfiled: Queue  # sent replies that are not in Sent, since they were sent
    unhandled: Queue  # mails taken in that are not handled, since they came
    quarantined: Queue
    uncertain: int
    failed: int
    disk_free: int  # octets where state and database are
    dead_links: tuple[str, ...]
    past_review: tuple[str, ...]  # slugs of topics
    alarms: tuple[Any, ...]  # rows that hold
    jobs: tuple[tuple[str, jobs.Record], ...]


def observe(database: Database, settings: Settings, now: datetime) -> Situation:
    """Read all of it, in one snapshot of the database. Raises StoreError."""
    with database.read() as connection:
        records = _records(connection)
        return Situation(
            at=now,
            mailboxes=tuple(
                _mailbox(connection, name, mailbox, records.get(KEY + name, jobs.Record()))
                for name, mailbox in settings.mailboxes.items()
            ),
            arming=switches.arming(connection),
            to_approve=_tickets(connection, TicketStatus.NEEDS_APPROVAL),
            to_answer=_tickets(connection, TicketStatus.NEEDS_STAFF),
            unsent=_queue(connection, Reply.decided_at, Reply.status == ReplyStatus.APPROVED),
            unfiled=_queue(connection, Reply.sent_at, Reply.filing == Filing.PENDING),
            unhandled=_queue(connection, Message.received_at, Message.disposition == Disposition.RECEIVED),
            quarantined=_queue(
                connection, Message.received_at, Message.disposition == Disposition.QUARANTINED
            ),
            uncertain=_count(connection, ReplyStatus.UNCERTAIN),
            failed=_count(connection, ReplyStatus.FAILED),
            disk_free=_free(settings.state.directory),
            dead_links=tuple(links.dead(connection, now)),
            past_review=tuple(past_review(settings, now.astimezone(settings.service.zone).date())),
            alarms=tuple(alarms.active(connection)),
            jobs=tuple((name, record) for name, record in records.items() if not name.startswith(KEY)),
        )


def past_review(settings: Settings, today: date) -> Sequence[str]:
    """Slugs of the topics whose owner should have looked at them again before `today`."""
    found: set[str] = set()
    for folder in {mailbox.content for mailbox in settings.mailboxes.values()}:
        # Broken content is an alarm of its own, by the rounds that need it.
        with suppress(ResponderError):
            found |= {slug for slug, due in _review_dates(folder, stamps(folder)).items() if due < today}
    return sorted(found)


@lru_cache(32)
def _review_dates(folder: Path, _as_it_is: frozenset[Stamp]) -> Mapping[str, date]:
    """Slug → day until which its owner should look at a topic again. Figures are asked for every few seconds."""
    return {slug: one.review_by for slug, one in load_topics(folder).items() if one.review_by}


def _records(connection: Connection) -> Mapping[str, jobs.Record]:
    rows = connection.execute(select(Job.__table__).order_by(Job.name))
    return {
        row.name: jobs.Record(row.started_at, row.finished_at, row.succeeded_at, row.failures, row.error)
        for row in rows
    }


def _mailbox(connection: Connection, name: str, mailbox: MailboxConfig, record: jobs.Record) -> MailboxState:
    differences = reconcile.last(connection, name).get("differences", [])
    return MailboxState(
        name,
        record.succeeded_at,
        record.failures,
        record.error,
        tuple(differences),
        _signed_out(mailbox),
    )


def _signed_out(mailbox: MailboxConfig) -> str:
    oauth2 = mailbox.imap.oauth2
    if oauth2 is None or oauth2.token_file is None:
        return ""
    with suppress(ResponderError):  # a file that cannot be used fails the round, which says so
        token = oauth_store.read(oauth2.token_file)
        return token.refused if token is not None else ""
    return ""


def _tickets(connection: Connection, status: TicketStatus) -> Queue:
    return _queue(connection, Ticket.updated_at, Ticket.status == status)


def _queue(connection: Connection, since: Any, condition: Any) -> Queue:
    count, oldest = connection.execute(select(func.count(), func.min(since)).where(condition)).one()
    return Queue(count, oldest)


def _count(connection: Connection, status: ReplyStatus) -> int:
    return connection.scalar(select(func.count()).where(Reply.status == status)) or 0


def _free(directory: Path) -> int:
    while not directory.exists():
        directory = directory.parent
    return shutil.disk_usage(directory).free
