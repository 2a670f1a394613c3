"""How long each mail takes from its delivery to its ticket, and to the first reply at the SMTP server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import func, select

from bench.office import Sink
from responder.tickets.database import Database
from responder.tickets.models import Reply, Ticket
from responder.tickets.status import Filing, ReplyStatus

_NUMBER = re.compile(r"@vendor(\d+)\.")  # of `inbox.vendor`


@dataclass
class Journeys:
    """Follows mails by their number; `follow` is to be called every few seconds."""

    database: Database
    sink: Sink
    delivered_at: Mapping[int, float]  # number of the mail → time.time()
    handled: dict[int, float] = field(default_factory=dict)  # number → seconds until the batch of its ticket
    answered: dict[int, float] = field(
        default_factory=dict
    )  # number → seconds until its first reply was taken
    replies: int = 0  # at the sink
    _last_ticket: int = 0
    _spool_at: int = 0

    @property
    def backlog(self) -> int:
        """Mails delivered and not handled."""
        return len(self.delivered_at) - len(self.handled)

    def follow(self) -> None:
        """Take in what has happened since the last call."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(Ticket.id, Ticket.vendor_address, Ticket.created_at)
                .where(Ticket.id > self._last_ticket)
                .order_by(Ticket.id)
            ).all()
        for row in rows:
            number = _number(row.vendor_address)
            self.handled[number] = row.created_at.timestamp() - self.delivered_at[number]
            self._last_ticket = row.id
        with self.sink.spool.open("rb") as spool:
            spool.seek(self._spool_at)
            lines = spool.read().rpartition(b"\n")[0]
        if not lines:
            return
        self._spool_at += len(lines) + 1
        for line in lines.decode().splitlines():
            self.replies += 1
            taken_at, _, recipient, *_ = line.split("\t")
            number = _number(recipient)
            self.answered.setdefault(number, float(taken_at) - self.delivered_at[number])

    def unfinished(self) -> int:
        """Mails, replies and filings that still wait for their first try."""
        leaving = Reply.status.in_([ReplyStatus.APPROVED, ReplyStatus.SENDING]) & (Reply.attempts == 0)
        filing = (Reply.filing == Filing.PENDING) & (Reply.filing_attempts == 0)
        with self.database.read() as connection:
            waiting = connection.scalar(select(func.count()).select_from(Reply).where(leaving | filing))
        return self.backlog + (waiting or 0)


def _number(address: str) -> int:
    found = _NUMBER.search(address)
    assert found is not None, address
    return int(found[1])
