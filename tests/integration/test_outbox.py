"""The outbox against an SMTP server that fails on order, on both kinds of database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import func, select

from responder.errors import StoreError
from responder.mail.smtp import SmtpSession, Timeouts
from responder.mail.smtp_sessions import SmtpSessions
from responder.replies import approval
from responder.replies.outbox import GIVE_UP_AFTER, GROUP, Outbox, Tally, backoff
from responder.tickets import audit, claims, lifecycle, switches
from responder.tickets.database import Database
from responder.tickets.models import Reply
from responder.tickets.status import Filing, ReplyKind, ReplyStatus, TicketStatus
from tests.faulty_smtp import At
from tests.postgres import Postgres
from tests.store import MAILBOX, NOW, VENDOR, drafted, ticketed
from tests.watched_smtp import WatchedSmtp

OURS = "helpdesk@lpse.example"
IN_AN_HOUR = NOW + timedelta(hours=1)


@pytest.fixture
def smtp() -> Iterator[WatchedSmtp]:
    with WatchedSmtp() as server:
        yield server


class Office:
    """A mailbox with approved replies, and the outboxes of its nodes."""

    def __init__(self, database: Database, smtp: WatchedSmtp) -> None:
        self.database = database
        self.smtp = smtp
        self.now = NOW
        self.outbox = self.node("host:1.1")
        with database.begin() as connection:
            switches.arm(connection, "sari", NOW)

    def node(self, name: str) -> Outbox:
        return Outbox(self.database, name, MAILBOX, OURS)

    def approved(self, uid: int = 1, **values: Any) -> int:
        """A reply that may leave; returns its id."""
        with self.database.begin() as connection:
            ticket, message = ticketed(connection, uid)
            data = f"From: x\r\nMessage-ID: <reply-{uid}@lpse.example>\r\n\r\nYth.\r\n".encode()
            values = {
                "status": ReplyStatus.APPROVED,
                "decided_at": NOW,
                "next_try": NOW,
                "data": data,
                **values,
            }
            lifecycle.set_ticket(connection, ticket, TicketStatus.ANSWERED, NOW)
            return drafted(connection, ticket, message, **values)

    def send(self, outbox: Outbox | None = None, **timeouts: float) -> Tally:
        session = SmtpSession(self.smtp.settings(), "", Timeouts(**timeouts))
        try:
            return (outbox or self.outbox).send_due([session], lambda: self.now)
        finally:
            session.close()

    def reply(self, reply_id: int) -> Any:
        with self.database.read() as connection:
            return lifecycle.reply(connection, reply_id)

    def ticket_of(self, reply_id: int) -> Any:
        with self.database.read() as connection:
            return lifecycle.ticket(connection, self.reply(reply_id).ticket_id)

    def write(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        with self.database.begin() as connection:
            return work(connection, *arguments, **named)


@pytest.fixture
def office(database: Database, smtp: WatchedSmtp) -> Office:
    return Office(database, smtp)


def test_an_approved_reply_leaves_once_as_the_bytes_that_were_frozen(office: Office) -> None:
    """Rule 73."""
    reply = office.approved()
    assert office.send().sent == 1
    assert office.send().sent == 0
    (mail,) = office.smtp.mails
    sent = office.reply(reply)
    assert (mail.sender, mail.recipient, mail.data) == (OURS, VENDOR, sent.data)
    assert (sent.status, sent.filing, sent.sent_at) == (ReplyStatus.SENT, Filing.PENDING, NOW)


def test_nothing_leaves_within_the_undo_window(office: Office) -> None:
    office.approved(next_try=NOW + timedelta(seconds=60))
    assert not office.outbox.due(NOW + timedelta(seconds=59))
    office.send()
    assert office.smtp.mails == []
    office.now = NOW + timedelta(seconds=60)
    assert office.send().sent == 1


@pytest.mark.parametrize("at", ["connect", "mail", "rcpt", "data", "dot"])
def test_a_temporary_refusal_waits_and_sends_the_same_bytes_later(office: Office, at: At) -> None:
    """Rule 74."""
    reply = office.approved()
    office.smtp.fail(at, "451 4.7.1 greylisted")
    office.send()
    row = office.reply(reply)
    assert row.status is ReplyStatus.APPROVED
    assert timedelta(minutes=30) <= row.next_try - NOW <= timedelta(minutes=36)
    office.smtp.repair()
    assert office.send().sent == 0
    office.now = IN_AN_HOUR
    assert office.send().sent == 1
    assert [mail.data for mail in office.smtp.mails] == [row.data]


@pytest.mark.parametrize("at", ["mail", "rcpt", "data"])
def test_a_connection_lost_before_the_dot_is_tried_again(office: Office, at: At) -> None:
    """Rule 74."""
    reply = office.approved()
    office.smtp.fail(at)
    assert office.send().retry == 1
    assert office.reply(reply).status is ReplyStatus.APPROVED
    office.smtp.repair()
    office.now = IN_AN_HOUR
    assert office.send().sent == 1
    assert len(office.smtp.mails) == 1


@pytest.mark.parametrize("at", ["mail", "rcpt", "data", "dot"])
def test_a_final_refusal_reopens_the_ticket_and_is_not_repeated(office: Office, at: At) -> None:
    reply = office.approved()
    office.smtp.fail(at, "554 5.7.1 no thanks", times=1)
    assert office.send().failed == 1
    assert office.reply(reply).status is ReplyStatus.FAILED
    ticket = office.ticket_of(reply)
    assert ticket.status is TicketStatus.NEEDS_STAFF and "no thanks" in ticket.reason
    office.now = IN_AN_HOUR
    assert office.send().sent == 0
    assert office.smtp.mails == []


def test_refused_for_five_days_is_given_up(office: Office) -> None:
    """Rule 74."""
    reply = office.approved()
    office.smtp.fail("rcpt", "451 4.7.1 greylisted")
    office.now = NOW + GIVE_UP_AFTER
    assert office.send().failed == 1
    assert office.reply(reply).status is ReplyStatus.FAILED


def test_waits_after_refusals_grow_and_spread() -> None:
    """Rule 74."""
    waits = [backoff(attempts).total_seconds() / 60 for attempts in (1, 2, 3, 4, 9)]
    for wait, minutes in zip(waits, (30, 30, 120, 180, 180), strict=True):
        assert minutes <= wait <= minutes * 1.2
    assert len({backoff(1) for _ in range(20)}) > 1


@pytest.mark.parametrize("accept", [True, False])
def test_a_lost_answer_to_the_dot_is_uncertain_and_never_repeated_by_itself(
    office: Office, accept: bool
) -> None:
    """Rule 75."""
    reply = office.approved()
    office.smtp.fail("dot", accept=accept, times=1)
    assert office.send().uncertain == 1
    assert office.reply(reply).status is ReplyStatus.UNCERTAIN
    assert office.ticket_of(reply).status is TicketStatus.NEEDS_STAFF
    office.now = NOW + timedelta(days=1)
    office.outbox.recover(office.now)
    assert office.send() == Tally()
    assert len(office.smtp.mails) == int(accept)


def test_a_person_sends_an_uncertain_reply_again_as_the_same_bytes(office: Office) -> None:
    """Rule 75."""
    reply = office.approved()
    office.smtp.fail("dot", accept=True, times=1)
    office.send()
    office.write(approval.send_again, reply, "sari", NOW)
    assert office.send().sent == 1
    first, second = office.smtp.mails
    assert first.data == second.data


def test_evidence_settles_an_uncertain_reply(office: Office) -> None:
    """Rule 75."""
    reply = office.approved()
    office.smtp.fail("dot", accept=True, times=1)
    office.send()
    assert office.write(claims.proved_sent, reply, "found in Sent", NOW, Filing.DONE)
    assert office.reply(reply).status is ReplyStatus.SENT
    assert office.ticket_of(reply).status is TicketStatus.ANSWERED


def test_evidence_about_an_acknowledgement_leaves_the_ticket_with_staff(office: Office) -> None:
    reply = office.approved(kind=ReplyKind.ACKNOWLEDGEMENT, automatic=True)
    office.smtp.fail("dot", accept=True, times=1)
    office.send()
    office.write(claims.proved_sent, reply, "found in Sent", NOW, Filing.DONE)
    assert office.ticket_of(reply).status is TicketStatus.NEEDS_STAFF


def test_an_error_at_quit_changes_nothing(office: Office) -> None:
    """Rule 77."""
    reply = office.approved()
    office.smtp.fail("quit", "500 5.5.1 what")
    assert office.send().sent == 1
    assert office.reply(reply).status is ReplyStatus.SENT


def test_many_replies_share_a_connection_and_at_most_a_group_is_claimed(office: Office) -> None:
    for uid in range(1, 21):
        office.approved(uid)
    claimed = []
    office.smtp.when["data"] = lambda: claimed.append(_count(office, ReplyStatus.SENDING))
    assert office.send().sent == 20
    assert office.smtp.connections == 1
    assert max(claimed) == GROUP


def test_disarmed_directly_before_data_nothing_leaves_until_armed(office: Office) -> None:
    """Rule 78."""
    replies = [office.approved(uid) for uid in (1, 2)]
    office.smtp.once("rcpt", lambda: office.write(switches.disarm, "sari", NOW))
    assert office.send().held == 2
    assert office.smtp.mails == []
    assert [office.reply(one).attempts for one in replies] == [0, 0]
    assert not office.outbox.due(IN_AN_HOUR)
    office.write(switches.arm, "sari", NOW)
    assert office.send().sent == 2


def test_the_breaker_stops_automatic_replies_and_no_others(office: Office) -> None:
    """Rules 22 and 78."""
    office.approved(1, automatic=True)
    by_person = office.approved(2)
    office.smtp.once("rcpt", lambda: office.write(switches.trip_breaker, "rule 22: too many", NOW))
    tally = office.send()
    assert (tally.sent, tally.held) == (1, 1)
    assert office.reply(by_person).status is ReplyStatus.SENT
    assert not office.outbox.due(IN_AN_HOUR)


def test_an_automatic_reply_held_back_by_a_stop_goes_to_a_person(office: Office) -> None:
    """Mail older than the arming is never answered automatically."""
    reply = office.approved(automatic=True)
    office.write(switches.disarm, "sari", NOW)
    office.write(switches.arm, "sari", NOW + timedelta(minutes=1))
    office.outbox.recover(office.now)
    assert office.send().sent == 0
    assert office.reply(reply).status is ReplyStatus.DISCARDED
    assert office.ticket_of(reply).status is TicketStatus.NEEDS_STAFF


def test_on_hold_only_what_was_decided_since_leaves(office: Office) -> None:
    old = office.approved(1)
    office.write(switches.hold, "database restored", NOW + timedelta(minutes=1))
    office.now = NOW + timedelta(minutes=5)
    new = office.approved(2, decided_at=NOW + timedelta(minutes=2))
    assert office.send().sent == 1
    assert office.reply(new).status is ReplyStatus.SENT
    assert office.reply(old).status is ReplyStatus.APPROVED
    office.write(switches.arm, "sari", NOW)
    assert office.send().sent == 1


def test_a_killed_node_leaves_its_group_uncertain_and_the_rest_untouched(office: Office) -> None:
    replies = [office.approved(uid) for uid in range(1, GROUP + 3)]
    dead = office.node("host:9.9")
    assert len(dead._claim(NOW, Tally())) == GROUP
    assert sorted(office.outbox.recover(NOW)) == replies[:GROUP]
    assert office.send().sent == 2
    assert {mail.data for mail in office.smtp.mails} == {office.reply(one).data for one in replies[GROUP:]}


def test_a_node_that_was_paused_too_long_sends_nothing_under_its_old_claim(office: Office) -> None:
    """Fencing: the claim is read again before DATA. Its owner knows that nothing left, so the reply is due again."""
    reply = office.approved()
    other = office.node("other:2.2")
    at_data: list[Any] = []
    office.smtp.when["data"] = lambda: at_data.append(office.reply(reply).status)
    office.smtp.once("rcpt", lambda: other.recover(NOW) and None)
    tally = office.send()
    assert (tally.held, tally.sent) == (1, 1)
    assert at_data == [ReplyStatus.SENDING]
    assert len(office.smtp.mails) == 1


def test_a_slow_node_still_tells_that_its_reply_was_sent(office: Office) -> None:
    reply = office.approved()
    other = office.node("other:2.2")
    office.smtp.once("kept", lambda: other.recover(NOW) and None)
    assert office.send().sent == 1
    assert office.reply(reply).status is ReplyStatus.SENT
    assert office.ticket_of(reply).status is TicketStatus.ANSWERED


def test_a_slow_node_tells_even_after_a_person_had_the_reply_queued_again(office: Office) -> None:
    reply = office.approved()
    other = office.node("other:2.2")

    def taken_for_dead() -> None:
        other.recover(NOW)
        office.write(approval.send_again, reply, "sari", NOW)

    office.smtp.once("kept", taken_for_dead)
    office.send()
    assert office.send(other) == Tally()
    assert len(office.smtp.mails) == 1
    assert office.reply(reply).status is ReplyStatus.SENT


def test_two_nodes_share_the_work_and_no_reply_leaves_twice(office: Office) -> None:
    for uid in range(1, 31):
        office.approved(uid)
    other = office.node("other:2.2")
    others: list[Tally] = []

    def as_well() -> None:
        others.append(office.send(other))

    office.smtp.once("kept", as_well)
    mine = office.send()
    assert mine.sent + others[0].sent == 30 and others[0].sent > 0
    assert len({mail.data for mail in office.smtp.mails}) == len(office.smtp.mails) == 30


def test_a_clock_that_is_set_back_does_not_hold_replies_for_long(office: Office) -> None:
    office.approved(1)
    office.approved(2, next_try=NOW + timedelta(seconds=60))
    office.now = NOW - timedelta(hours=6)
    assert office.send().sent == 2


def test_an_outcome_outlives_a_database_that_goes_away(smtp: WatchedSmtp) -> None:
    """What the server answered is written once the database is back; nothing is sent again or called uncertain."""
    with Postgres() as server:
        database = Database(server.database())
        database.migrate()
        office = Office(database, smtp)
        replies = [office.approved(uid) for uid in (1, 2, 3)]
        smtp.once("kept", server.stop)
        with pytest.raises(StoreError):
            office.send()
        assert len(smtp.mails) == 1
        with pytest.raises(StoreError):
            office.outbox.recover(NOW)
        server.start()
        assert office.outbox.recover(NOW) == []
        assert office.send().sent == 2
        assert [office.reply(one).status for one in replies] == [ReplyStatus.SENT] * 3
        assert len({mail.data for mail in smtp.mails}) == len(smtp.mails) == 3
        with database.read() as connection:
            assert audit.broken_chains(connection) == []
        database.close()


def _count(office: Office, status: ReplyStatus) -> int:
    with office.database.read() as connection:
        return connection.execute(select(func.count()).where(Reply.status == status)).scalar_one()


def test_a_note_on_the_address_holds_an_automatic_reply_that_was_queued_before(office: Office) -> None:
    """Rules 28 and 78: a bounce or a wish to stop that came meanwhile; what a person approved still leaves."""
    held = office.approved(1, automatic=True)
    office.write(switches.note_address, VENDOR, "balasan kami kembali", NOW)
    wanted = office.approved(2)
    assert office.send().sent == 1
    assert office.reply(wanted).status is ReplyStatus.SENT
    row, ticket = office.reply(held), office.ticket_of(held)
    assert row.status is ReplyStatus.DISCARDED
    assert ticket.status is TicketStatus.NEEDS_STAFF and "balasan kami kembali" in ticket.reason


def test_a_note_that_comes_while_the_reply_is_on_its_way_is_read_before_data(office: Office) -> None:
    """Rules 28 and 78."""
    held = office.approved(1, automatic=True)
    noted = lambda: office.write(switches.note_address, VENDOR, "jangan balas", NOW)  # noqa: E731
    office.smtp.once("rcpt", noted)
    assert office.send().sent == 0
    assert office.smtp.mails == []
    assert office.reply(held).status is ReplyStatus.DISCARDED


def test_a_slow_server_gets_replies_side_by_side_each_once(office: Office) -> None:
    office.smtp.delay = 0.1
    replies = [office.approved(uid) for uid in range(1, 21)]
    with SmtpSessions.connect(office.smtp.settings(), "", office.outbox.due(NOW)) as sessions:
        assert len(sessions) == GROUP
        assert office.outbox.send_due(sessions, lambda: office.now).sent == 20
    assert {office.reply(one).status for one in replies} == {ReplyStatus.SENT}
    assert len(office.smtp.mails) == len({mail.data for mail in office.smtp.mails}) == 20


def test_a_limit_on_connections_leaves_those_that_stand(office: Office) -> None:
    """Providers refuse the fourth connection or so; that is no failure."""
    office.smtp.delay = 0.1
    for uid in range(1, 6):
        office.approved(uid)
    earlier = count()
    office.smtp.when["connect"] = lambda: (
        office.smtp.fail("connect", "421 4.3.2 too many connections") if next(earlier) else None
    )
    with SmtpSessions.connect(office.smtp.settings(), "", GROUP) as sessions:
        assert len(sessions) == 1
        assert office.outbox.send_due(sessions, lambda: office.now).sent == 5


def test_side_by_side_one_refusal_concerns_one_reply(office: Office) -> None:
    office.smtp.delay = 0.1
    refused = office.approved(1, recipient="penuh@penyedia.example")
    others = [office.approved(uid) for uid in range(2, 9)]
    office.smtp.fail("rcpt", "550 5.1.1 no such user", recipient="penuh@penyedia.example")
    with SmtpSessions.connect(office.smtp.settings(), "", GROUP) as sessions:
        office.outbox.send_due(sessions, lambda: office.now)
    assert office.reply(refused).status is ReplyStatus.FAILED
    assert {office.reply(one).status for one in others} == {ReplyStatus.SENT}
