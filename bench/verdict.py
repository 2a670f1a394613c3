"""After a run: was every mail handled once, and every reply sent once? Told by records, server and sink together."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from bench import inbox
from bench.office import ROOT, BenchOffice, Sink
from responder.tickets.models import Message, Reply
from responder.tickets.status import Disposition, ReplyStatus

_IN_DOUBT = frozenset({ReplyStatus.SENT, ReplyStatus.UNCERTAIN})
"""States in which a reply may be at the SMTP server."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the records, the mailbox and the sink say; `problems` are what contradicts the promise."""

    states: dict[str, int]  # of mails, by `reconcile`
    replies: dict[str, int]  # by status
    at_sink: int
    doubled: int
    lost: int
    problems: tuple[str, ...]


def settle(office: BenchOffice, taken: Sink) -> Account:
    """Compare everything with what was delivered."""
    delivered = sum(office.delivered.values())
    ran, proof = _last_line(office, "prove")
    compared, server = _last_line(office, "reconcile")
    states = {name: number for name, number in server.get("counts", {}).items() if name != "baseline"}
    database = office.database()
    with database.read() as connection:
        tickets = Counter(
            connection.scalars(
                select(Message.from_address).where(Message.disposition == Disposition.TICKETED)
            )
        )
        status_of = {
            row.header_id: row.status for row in connection.execute(select(Reply.header_id, Reply.status))
        }
        statuses = connection.execute(select(Reply.status, func.count()).group_by(Reply.status)).all()
    database.close()
    at_sink = Counter(line[4] for line in taken.taken())
    wanted = {inbox.vendor(number) for number in range(delivered)}
    doubled = [one for one, times in at_sink.items() if times > 1]
    lost = [one for one, status in status_of.items() if status is ReplyStatus.SENT and one not in at_sink]

    def problems() -> Iterator[str]:
        yield from map(str, proof.get("problems", ["`prove` said nothing"]))
        yield from map(str, server.get("differences", ["`reconcile` said nothing"]))
        if ran or compared:
            yield f"prove ended with {ran}, reconcile with {compared}"
        if states != {Disposition.TICKETED.value: delivered}:
            yield f"of {delivered} mails delivered the mailbox has {states}"
        if missing := len(wanted - tickets.keys()):
            yield f"{missing} vendors have no ticket"
        if several := sum(1 for times in tickets.values() if times > 1):
            yield f"{several} mails are in the ledger more than once"
        if doubled:
            yield f"{len(doubled)} replies came twice, such as {doubled[0]}"
        if lost:
            yield f"{len(lost)} replies recorded as sent never came, such as {lost[0]}"
        if strange := [one for one in at_sink if status_of.get(one) not in _IN_DOUBT]:
            yield f"{len(strange)} replies came without a record of leaving, such as {strange[0]}"

    return Account(
        states,
        {row[0].value: row[1] for row in statuses},
        sum(at_sink.values()),
        len(doubled),
        len(lost),
        tuple(problems()),
    )


def _last_line(office: BenchOffice, command: str) -> tuple[int, dict[str, Any]]:
    """Exit code and summary of `command --json`."""
    done = subprocess.run(office.command(command, "--json"), cwd=ROOT, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    summary: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return done.returncode, summary
