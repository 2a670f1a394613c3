"""The report from the records, on both engines."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, insert

from responder.config import Service
from responder.tickets import lifecycle
from responder.tickets.database import Database
from responder.tickets.models import StaffVerdict
from responder.tickets.status import ReplyKind, ReplyStatus, TicketStatus
from responder.upkeep import reports
from responder.upkeep.reports import Answered
from tests.store import MAILBOX, NOW, drafted, ticketed


def mail(
    connection: Connection, uid: int, ticket_id: int | None = None, decision: str = ""
) -> tuple[int, int]:
    ticket_id, message_id = ticketed(connection, uid, ticket_id)
    values: dict[str, Any] = {
        "predicted": "auto",
        "topics": ["lupa-password"],
        "confidence": {},
        "reason": "",
        "model_version": "1",
        "predicted_at": NOW,
        "decision": decision,
        "manner": "single" if decision else "",
    }
    connection.execute(insert(StaffVerdict).values(ticket_id=ticket_id, message_id=message_id, **values))
    return ticket_id, message_id


def sent(connection: Connection, uid: int, **given: Any) -> int:
    """A conversation whose first answer left two minutes after its mail."""
    ticket_id, message_id = mail(connection, uid)
    values = {"status": ReplyStatus.SENT, "sent_at": NOW + timedelta(minutes=2)}
    drafted(connection, ticket_id, message_id, **values | given)
    lifecycle.set_ticket(connection, ticket_id, TicketStatus.ANSWERED, NOW)
    return ticket_id


def test_each_conversation_counts_by_its_first_answer(database: Database) -> None:
    with database.begin() as connection:
        sent(connection, 1, automatic=True)
        approved = sent(connection, 2)
        sent(connection, 3, kind=ReplyKind.MANUAL)
        sent(connection, 4, kind=ReplyKind.ACKNOWLEDGEMENT, automatic=True)
        closed, _ = mail(connection, 5)
        lifecycle.set_ticket(connection, closed, TicketStatus.CLOSED, NOW)
        mail(connection, 6, decision="by_hand")
        mail(connection, 7, approved)
    with database.read() as connection:
        found = reports.make(connection, Service(), NOW + timedelta(minutes=5), 2)
    assert found.mails == 7
    assert found.answered == {
        Answered.AUTOMATIC: 1,
        Answered.APPROVED: 1,
        Answered.BY_HAND: 2,
        Answered.CLOSED: 1,
        Answered.WAITING: 1,
    }


def test_the_report_can_be_of_one_mailbox(database: Database) -> None:
    with database.begin() as connection:
        sent(connection, 1)
    with database.read() as connection:
        here = reports.make(connection, Service(), NOW + timedelta(minutes=5), 2, MAILBOX)
        there = reports.make(connection, Service(), NOW + timedelta(minutes=5), 2, "lain")
    assert (here.mails, there.mails) == (1, 0)
    assert sum(there.answered.values()) == 0
