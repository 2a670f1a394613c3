"""What staff find in each queue, in which order, and how they move through it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update

from responder.errors import Refused
from responder.tickets import ledger, lifecycle, queues
from responder.tickets.database import Database
from responder.tickets.models import Message, StaffVerdict, Ticket
from responder.tickets.queues import Filters, Queue
from responder.tickets.status import Disposition, ReplyStatus, TicketStatus
from tests.store import MAILBOX, NOW, VENDOR, drafted, received, ticketed

DAY_START = NOW - timedelta(hours=3)
EVERYTHING = Filters()


def ticket(connection: Connection, uid: int, status: TicketStatus, **values: Any) -> tuple[int, int]:
    """A ticket in `status`, the later the higher its UID; returns (ticket, message)."""
    ticket_id, message_id = ticketed(connection, uid, new_text=f"Pertanyaan  nomor\n{uid}")
    lifecycle.set_ticket(connection, ticket_id, status, NOW + timedelta(minutes=uid))
    if values:
        connection.execute(update(Ticket).where(Ticket.id == ticket_id).values(**values))
    return ticket_id, message_id


def set_aside(connection: Connection, uid: int, disposition: Disposition, kind: str, reason: str) -> int:
    message_id = received(connection, uid)
    ledger.finish(
        connection, message_id, disposition, kind=kind, reason=reason, from_address="mesin@x.example"
    )
    return message_id


def shown(
    connection: Connection, queue: Queue, filters: Filters = EVERYTHING, **given: Any
) -> list[int | None]:
    page = queues.page(connection, queue, filters, DAY_START, given.get("after", ""), given.get("limit", 50))
    return [line.message_id if queue in queues.OF_MESSAGES else line.ticket_id for line in page.rows]


def walk(connection: Connection, queue: Queue, limit: int) -> list[int | None]:
    """Every ticket of `queue`, page by page."""
    found: list[int | None] = []
    after = ""
    while True:
        page = queues.page(connection, queue, EVERYTHING, DAY_START, after, limit)
        found += [line.ticket_id for line in page.rows]
        if not page.next:
            return found
        after = page.next


def test_work_is_shown_oldest_first_and_what_is_over_newest_first(database: Database) -> None:
    with database.begin() as connection:
        for uid in (1, 2, 3):
            ticket(connection, uid, TicketStatus.NEEDS_APPROVAL)
        for uid in (4, 5):
            ticket(connection, uid, TicketStatus.CLOSED)
        assert shown(connection, Queue.TO_APPROVE) == [1, 2, 3]
        assert shown(connection, Queue.CLOSED) == [5, 4]


def test_pages_hold_every_ticket_once_also_with_the_same_time(database: Database) -> None:
    with database.begin() as connection:
        ids = [ticket(connection, uid, TicketStatus.NEEDS_STAFF, updated_at=NOW)[0] for uid in range(1, 8)]
        assert walk(connection, Queue.NEEDS_ANSWER, 3) == ids


def test_a_page_goes_on_after_the_tickets_that_were_decided_meanwhile(database: Database) -> None:
    with database.begin() as connection:
        for uid in range(1, 7):
            ticket(connection, uid, TicketStatus.NEEDS_APPROVAL)
        first = queues.page(connection, Queue.TO_APPROVE, EVERYTHING, DAY_START, "", 3)
        for line in first.rows:
            assert line.ticket_id is not None
            lifecycle.set_ticket(connection, line.ticket_id, TicketStatus.ANSWERED, NOW + timedelta(days=1))
        assert shown(connection, Queue.TO_APPROVE, after=first.next) == [4, 5, 6]


def test_a_cursor_that_nobody_gave_out_is_refused(database: Database) -> None:
    with database.read() as connection, pytest.raises(Refused, match="no page"):
        shown(connection, Queue.TO_APPROVE, after="x' OR 1=1")


def test_sizes_tell_how_long_each_queue_is(database: Database) -> None:
    with database.begin() as connection:
        ticket(connection, 1, TicketStatus.NEEDS_APPROVAL)
        ticket(connection, 2, TicketStatus.NEEDS_STAFF)
        ticket(connection, 3, TicketStatus.NEEDS_STAFF)
        sizes = queues.sizes(connection, EVERYTHING, DAY_START)
    assert {queue.value: size for queue, size in sizes.items() if size} == {
        "to_approve": 1,
        "needs_answer": 2,
    }


def test_sizes_stop_at_a_number_that_says_many(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "COUNTED", 2)
    with database.begin() as connection:
        for uid in (1, 2, 3):
            ticket(connection, uid, TicketStatus.CLOSED)
        assert queues.sizes(connection, EVERYTHING, DAY_START)[Queue.CLOSED] == 2


@pytest.mark.parametrize("status", [ReplyStatus.FAILED, ReplyStatus.UNCERTAIN])
def test_a_send_that_went_wrong_is_shown_until_something_else_was_sent(
    database: Database, status: ReplyStatus
) -> None:
    with database.begin() as connection:
        ticket_id, message_id = ticket(connection, 1, TicketStatus.NEEDS_STAFF)
        reply_id = drafted(connection, ticket_id, message_id, status=status)
        assert shown(connection, Queue.FAILED) == [ticket_id]
        lifecycle.move_reply(connection, reply_id, status, ReplyStatus.SENT)
        assert shown(connection, Queue.FAILED) == []


def test_a_refused_send_that_was_answered_anew_is_no_trouble_but_an_uncertain_one_is(
    database: Database,
) -> None:
    with database.begin() as connection:
        for uid, status in enumerate([ReplyStatus.FAILED, ReplyStatus.UNCERTAIN], 1):
            ticket_id, message_id = ticket(connection, uid, TicketStatus.NEEDS_STAFF)
            drafted(connection, ticket_id, message_id, status=status)
            drafted(connection, ticket_id, message_id, version=2, status=ReplyStatus.SENT)
        assert shown(connection, Queue.FAILED) == [2]


def test_automatic_replies_of_the_day_are_there_for_spot_checks(database: Database) -> None:
    with database.begin() as connection:
        for uid, automatic, hours in ((1, True, 1), (2, True, 2), (3, True, -9), (4, False, 1)):
            ticket_id, message_id = ticket(connection, uid, TicketStatus.ANSWERED)
            sent = {"status": ReplyStatus.SENT, "sent_at": DAY_START + timedelta(hours=hours)}
            drafted(connection, ticket_id, message_id, automatic=automatic, **sent)
        assert shown(connection, Queue.SENT_TODAY) == [2, 1]
        [newest, _] = queues.page(connection, Queue.SENT_TODAY, EVERYTHING, DAY_START, "", 50).rows
    assert newest.automatic
    assert newest.since == DAY_START + timedelta(hours=2)


def test_machine_mail_without_a_ticket_can_be_looked_at(database: Database) -> None:
    """Rules 1, 3 and 5."""
    with database.begin() as connection:
        set_aside(connection, 1, Disposition.IGNORED, "auto", "rule 1: Auto-Submitted")
        set_aside(connection, 2, Disposition.IGNORED, "own", "our own mail")
        set_aside(connection, 3, Disposition.QUARANTINED, "", "no body")
        assert shown(connection, Queue.IGNORED) == [1]
        assert shown(connection, Queue.QUARANTINED) == [3]
        [line] = queues.page(connection, Queue.IGNORED, EVERYTHING, DAY_START, "", 50).rows
    assert (line.ticket_id, line.vendor_address) == (None, "mesin@x.example")
    assert (line.reason, line.state) == ("rule 1: Auto-Submitted", "ignored")


def test_a_line_shows_what_the_ticket_is_about(database: Database) -> None:
    with database.begin() as connection:
        ticket_id, message_id = ticket(connection, 1, TicketStatus.NEEDS_APPROVAL)
        connection.execute(
            update(Ticket)
            .where(Ticket.id == ticket_id)
            .values(topics=["lupa-password"], confidence={"lupa-password": 0.8, "x": 0.1}, reason="Periksa.")
        )
        connection.execute(update(Message).where(Message.id == message_id).values(attachments=["npwp.pdf"]))
        [line] = queues.page(connection, Queue.TO_APPROVE, EVERYTHING, DAY_START, "", 50).rows
    assert (line.subject, line.vendor_address, line.reason) == ("Lupa password", VENDOR, "Periksa.")
    assert (line.topics, line.confidence, line.attachments) == (("lupa-password",), 0.8, 1)
    assert line.snippet == "Pertanyaan nomor 1"


def test_a_blind_audit_shows_nothing_of_what_was_predicted(database: Database) -> None:
    with database.begin() as connection:
        ticket_id, message_id = ticket(connection, 1, TicketStatus.NEEDS_APPROVAL, topics=["lupa-password"])
        verdict = {"ticket_id": ticket_id, "message_id": message_id, "predicted": "auto", "blind": True}
        predicted = {"topics": ["lupa-password"], "confidence": {}, "reason": "", "model_version": "1"}
        connection.execute(insert(StaffVerdict).values(**verdict, **predicted, predicted_at=NOW))
        [line] = queues.page(connection, Queue.TO_APPROVE, EVERYTHING, DAY_START, "", 50).rows
    assert (line.blind, line.topics, line.confidence, line.reason) == (True, (), None, "")


def test_a_list_can_be_narrowed(database: Database) -> None:
    with database.begin() as connection:
        ticket(connection, 1, TicketStatus.NEEDS_STAFF, topics=["lupa-password", "ganti-email"])
        ticket(connection, 2, TicketStatus.NEEDS_STAFF, topics=["ganti-email-lama"], senior=True)
        ticket(connection, 3, TicketStatus.NEEDS_STAFF, vendor_address="lain@y.example")
        narrowed = {
            "topic": Filters(topic="ganti-email"),
            "senior": Filters(senior=True),
            "vendor": Filters(vendor="lain@y.example"),
            "mailbox": Filters(mailbox="lain"),
            "since": Filters(since=NOW + timedelta(minutes=2)),
            "until": Filters(until=NOW + timedelta(minutes=2)),
        }
        found = {name: shown(connection, Queue.NEEDS_ANSWER, one) for name, one in narrowed.items()}
    assert found == {
        "topic": [1],
        "senior": [2],
        "vendor": [3],
        "mailbox": [],
        "since": [2, 3],
        "until": [1],
    }


def test_a_topic_of_strange_signs_finds_nothing(database: Database) -> None:
    with database.begin() as connection:
        ticket(connection, 1, TicketStatus.NEEDS_STAFF, topics=["lupa-password"])
        assert shown(connection, Queue.NEEDS_ANSWER, Filters(topic="%")) == []
        assert shown(connection, Queue.NEEDS_ANSWER, Filters(topic='lupa"')) == []


def test_the_neighbours_of_a_ticket_are_those_of_its_queue(database: Database) -> None:
    with database.begin() as connection:
        for uid in (1, 2, 3):
            ticket(connection, uid, TicketStatus.NEEDS_APPROVAL)
            ticket(connection, 10 + uid, TicketStatus.CLOSED)
        around = [
            queues.neighbours(connection, Queue.TO_APPROVE, EVERYTHING, DAY_START, item) for item in (1, 3, 5)
        ]
        closed = queues.neighbours(connection, Queue.CLOSED, EVERYTHING, DAY_START, 4)
    assert around == [(None, 3), (1, 5), (3, None)]
    assert closed == (6, 2)


def test_from_a_ticket_outside_the_queue_the_way_leads_to_its_first(database: Database) -> None:
    with database.begin() as connection:
        ticket(connection, 1, TicketStatus.NEEDS_APPROVAL)
        ticket(connection, 2, TicketStatus.ANSWERED)
        assert queues.neighbours(connection, Queue.TO_APPROVE, EVERYTHING, DAY_START, 2) == (None, 1)
        assert queues.neighbours(connection, Queue.CLOSED, EVERYTHING, DAY_START, 2) == (None, None)


def test_neighbours_of_a_mail_in_quarantine_are_mails(database: Database) -> None:
    with database.begin() as connection:
        ids = [set_aside(connection, uid, Disposition.QUARANTINED, "", "no body") for uid in (1, 2, 3)]
        assert queues.neighbours(connection, Queue.QUARANTINED, EVERYTHING, DAY_START, ids[1]) == (
            ids[0],
            ids[2],
        )


def test_the_mailbox_is_in_the_line(database: Database) -> None:
    with database.begin() as connection:
        ticket(connection, 1, TicketStatus.NEEDS_APPROVAL)
        [line] = queues.page(connection, Queue.TO_APPROVE, Filters(mailbox=MAILBOX), DAY_START, "", 50).rows
    assert line.mailbox == MAILBOX
