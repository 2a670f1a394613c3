"""A glance at a mailbox: is it as the last round left it, so that another would find nothing to do?

A round opens every folder that staff use and asks the database two dozen questions. Polled every few seconds, a mailbox
at rest would cost more than its mail; a glance is one STATUS a folder and one look into the database.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from responder.errors import MailServerError
from responder.mail.folders import Role
from responder.mail.imap import ImapSession
from responder.pipeline.office import Office
from responder.tickets import bodies, claims, ledger, lifecycle, switches, takeover
from responder.tickets.database import Database
from responder.tickets.status import DraftCopy

LOOK_THROUGH_SECONDS = 30.0
"""After this a mailbox gets a round, however calm: what only changes flags, say, changes no counter."""

_BESIDE_INBOX: tuple[Role, ...] = ("sent", "drafts", "approved", "rejected")

Counters = tuple[tuple[str, int, int, int], ...]
"""(folder, UIDVALIDITY, UIDNEXT, mails) of every folder that is watched, the inbox first."""


@dataclass(frozen=True, slots=True)
class _Left:
    """How a round left a mailbox."""

    office: Office  # another one after its content, templates or model have changed
    seen: Counters
    until: float  # running time


class Glance:
    """At one office by one process; what a round found is remembered with the counters from before it."""

    def __init__(self) -> None:
        self._seen: Counters = ()
        self._left: _Left | None = None

    def is_calm(self, office: Office, session: ImapSession | None, database: Database, now: datetime) -> bool:
        """Whether `office` is as `left_calm` noted it; False where the server does not answer. Raises StoreError."""
        left, self._left, self._seen = self._left, None, ()
        if session is None or not session.usable:
            return False
        try:
            self._seen = _counters(office, session)
        except MailServerError:
            session.close()
            return False
        if (
            left is None
            or left.office is not office
            or left.seen != self._seen
            or time.monotonic() > left.until
        ):
            return False
        with database.read() as connection:
            if _due(connection, office, self._seen, now):
                return False
        self._left = left
        return True

    def left_calm(self, office: Office) -> None:
        """A round that followed `is_calm` found nothing to do."""
        if self._seen:
            self._left = _Left(office, self._seen, time.monotonic() + LOOK_THROUGH_SECONDS)

    def forget(self) -> None:
        """Something was done: the next glance sees a mailbox that it does not know."""
        self._left, self._seen = None, ()


def _counters(office: Office, session: ImapSession) -> Counters:
    beside = [session.find_folder(role) for role in _BESIDE_INBOX]
    return tuple(
        (folder, *session.counters(folder)) for folder in (office.config.folders.inbox, *filter(None, beside))
    )


def _due(connection: Connection, office: Office, seen: Counters, now: datetime) -> bool:
    """Whether the database holds anything for a round of `office` to do."""
    name, inbox = office.name, office.config.folders.inbox
    uidvalidity = seen[0][1]
    return bool(
        ledger.work(connection, name, 1, now)
        or bodies.due(connection, name, inbox, uidvalidity, 1, now)
        or claims.abandoned(connection, name)
        or claims.count_due(connection, name, now, switches.arming(connection), 1)
        or lifecycle.to_file(connection, name, 1, now)
        or lifecycle.draft_copies(connection, name, DraftCopy.REMOVE, 1)
        or lifecycle.draft_copies(connection, name, DraftCopy.PENDING, 1)
        or takeover.to_flag(connection, name, uidvalidity, inbox, 1)
    )
