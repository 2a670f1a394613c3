"""Hazards of delivery that need two things at once: a slow server, a second thread, a second person."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from responder.classifier.decision import Decision, Explanation, Outcome
from responder.config import Settings
from responder.errors import Refused, StoreError
from responder.mail.reader import Reader
from responder.mail.smtp import SmtpSession, Timeouts
from responder.pipeline.handling import Handler
from responder.pipeline.office import make_key, offices
from responder.replies import approval
from responder.replies.outbox import Outbox
from responder.tickets import leases, ledger, lifecycle, switches
from responder.tickets.database import Database
from responder.tickets.models import Message, Reply, Ticket
from responder.tickets.status import Disposition, ReplyStatus, TicketStatus
from responder.upkeep import privacy, retention
from tests.mails import build_mail
from tests.office_settings import office_settings
from tests.postgres import Postgres
from tests.servers import wait_until
from tests.store import MAILBOX, NOW, VENDOR, drafted, received, ticketed
from tests.watched_smtp import WatchedSmtp

OURS = "helpdesk@lpse.example"


@pytest.fixture
def smtp() -> Iterator[WatchedSmtp]:
    with WatchedSmtp() as server:
        yield server


def test_side_by_side_outcomes_outlive_a_database_that_goes_away(smtp: WatchedSmtp) -> None:
    """The database goes away while one of two replies still waits for its answer: both were taken, both are told."""
    with Postgres() as server:
        database = Database(server.database())
        database.migrate()
        with database.begin() as connection:
            switches.arm(connection, "sari", NOW)
            replies = [
                drafted(
                    connection,
                    *ticketed(connection, uid),
                    status=ReplyStatus.APPROVED,
                    decided_at=NOW,
                    next_try=NOW,
                )
                for uid in (1, 2)
            ]
        both, slow = threading.Barrier(2), threading.Event()

        def kept() -> None:
            # Both are past their check before DATA; the second answer takes longer than outcomes are left unwritten.
            if both.wait(30) == 0:
                server.stop()
            else:
                slow.wait(6)

        smtp.when["kept"] = kept
        outbox = Outbox(database, "host:1.1", MAILBOX, OURS)
        sessions = [SmtpSession.connect(smtp.settings(), "", timeouts=Timeouts()) for _ in range(2)]
        with pytest.raises(StoreError):
            outbox.send_due(sessions, lambda: NOW)
        for session in sessions:
            session.close()
        assert len(smtp.mails) == 2
        server.start()
        assert outbox.recover(NOW) == []
        with database.read() as connection:
            found = connection.scalars(select(Reply.status).where(Reply.id.in_(replies)))
            assert list(found) == [ReplyStatus.SENT] * 2
        database.close()


def test_a_lease_is_held_once_also_within_one_process(database: Database) -> None:
    """The daemon's threads are one node: a second one must not take what the first one holds."""

    def living(_node: str) -> bool:
        return False

    with leases.lease(database, MAILBOX, "a:1.1", lambda: NOW, living) as mine:
        assert mine is not None
        with leases.lease(database, MAILBOX, "a:1.1", lambda: NOW, living) as second:
            assert second is None
        mine()
        with leases.lease(database, "another", "a:1.1", lambda: NOW, living) as other:
            assert other is not None
    with leases.lease(database, MAILBOX, "a:1.1", lambda: NOW, living) as again:
        assert again is not None


def test_a_second_answer_to_one_mail_waits_while_the_first_is_on_its_way(database: Database) -> None:
    """One approves, another drafts anew on a page that was opened before: the vendor gets one of the two."""
    with database.begin() as connection:
        ticket, message = ticketed(connection)
        first = drafted(connection, ticket, message)
        approval.approve(connection, first, f"{1:064x}", "sari", NOW, undo_seconds=60)
        second = drafted(connection, ticket, message, version=2)
        with pytest.raises(Refused, match="on its way"):
            approval.approve(connection, second, f"{2:064x}", "budi", NOW, undo_seconds=60)
        approval.undo(connection, first, "budi", NOW)


def test_the_same_mail_seen_again_leaves_its_draft_current(database: Database) -> None:
    """A mail that was moved out of the inbox and back is a duplicate (rule 50), no news from the vendor."""
    with database.begin() as connection:
        ticket, message = ticketed(connection)
        draft = drafted(connection, ticket, message)
        again = received(connection, uid=2)
        ledger.finish(connection, again, Disposition.DUPLICATE, ticket_id=ticket, kind="person")
        assert lifecycle.latest_message_id(connection, ticket) == message
        approval.approve(connection, draft, f"{1:064x}", "sari", NOW, undo_seconds=0)


def _purge(store: Database, settings: Settings) -> None:
    retention.purge(store, settings, NOW + timedelta(days=800))


def _erase(store: Database, settings: Settings) -> None:
    privacy.erase(store, settings, VENDOR, "sari", NOW)


@pytest.mark.parametrize("erasing", [_purge, _erase])
def test_a_mail_that_comes_while_its_ticket_is_erased_keeps_its_content(
    postgres: Postgres, tmp_path: Path, erasing: Callable[[Database, Settings], None]
) -> None:
    """PostgreSQL: an answered ticket is erased in the moment in which the vendor writes into it again."""
    url = postgres.database()
    store, settings = Database(url), office_settings(tmp_path, f'[database]\nurl = "{url}"')
    make_key(settings.state.secret_key_file)
    store.migrate()
    with store.begin() as connection:
        tickets = [ticketed(connection, uid)[0] for uid in (1, 2)]
        connection.execute(update(Ticket).values(status=TicketStatus.ANSWERED))
        slow = drafted(connection, tickets[0], 1)

    def write_again() -> None:
        with store.begin() as connection:
            message = received(connection, uid=3)
            values = {"kind": "person", "from_address": VENDOR, "new_text": "Masih gagal."}
            ledger.finish(connection, message, Disposition.TICKETED, ticket_id=tickets[1], **values)
            drafted(connection, tickets[1], message)
            lifecycle.set_ticket(connection, tickets[1], TicketStatus.NEEDS_APPROVAL, NOW)

    threads = [
        threading.Thread(target=erasing, args=(store, settings)),
        threading.Thread(target=write_again),
    ]
    with store.begin() as connection:
        # Erasing is held up at the first ticket, and has chosen the second one already.
        connection.execute(select(Reply.id).where(Reply.id == slow).with_for_update())
        threads[0].start()
        wait_until(lambda: _waiting_for_a_lock(store) == 1, "waiting for the first ticket")
        threads[1].start()
        wait_until(lambda: not threads[1].is_alive() or _waiting_for_a_lock(store) == 2, "the vendor's mail")
    for thread in threads:
        thread.join(60)
    with store.read() as connection:
        assert connection.scalar(select(Message.new_text).where(Message.uid == 3)) == "Masih gagal."
        draft = lifecycle.current_draft(connection, tickets[1])
        assert draft is not None and draft.data
    store.close()


def _waiting_for_a_lock(store: Database) -> int:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with store.read() as connection:
        return len(connection.execute(text(waiting)).all())


class Stumbling:
    """A classifier that leaves everything to people, and fails at one word."""

    version, topics = "uji", ("lupa-password",)

    def classify(self, mails: Sequence[tuple[str, str]]) -> list[Decision]:
        if any("racun" in text for _, text in mails):
            raise ValueError("cannot be counted")
        decision = Decision(Outcome.STAFF, (), {"lupa-password": 0.1}, "no_topic", "Topik tidak dikenal.")
        return [decision] * len(mails)

    def explain(self, subject: str, text: str) -> Explanation:
        return Explanation((), ())


@pytest.fixture
def handler(database: Database, tmp_path: Path) -> Iterator[Handler]:
    settings = office_settings(tmp_path)
    make_key(settings.state.secret_key_file)
    office = offices(settings)[MAILBOX]
    vars(office)["classifier"] = Stumbling()
    with Reader() as reader:
        yield Handler(database, office, reader)


def _receive(database: Database, *bodies: str) -> None:
    mails = [
        build_mail(body=body, sender=f"pt{uid}@penyedia.example", message_id=f"surat-{uid}@penyedia.example")
        for uid, body in enumerate(bodies, start=1)
    ]
    seen = [ledger.Seen(uid, f"i-{uid}", len(raw), NOW, (), raw) for uid, raw in enumerate(mails, start=1)]
    with database.begin() as connection:
        ledger.store(connection, MAILBOX, "INBOX", 7, seen, NOW)


def test_a_mail_that_cannot_be_classified_holds_up_no_other(database: Database, handler: Handler) -> None:
    """Fault matrix, "classify": it is tried again, then kept for a person."""
    _receive(database, "Lupa password.", "Kata racun.", "Ganti email.")
    assert [one.result for one in handler.handle_due(NOW)] == ["flagged", "retry", "flagged"]
    for minutes in (2, 4):
        (last,) = handler.handle_due(NOW + timedelta(minutes=minutes))
    assert last.result == "quarantined" and "cannot be counted" in last.why


def test_a_mail_that_the_database_refuses_holds_up_no_other(database: Database, handler: Handler) -> None:
    """One row of a batch breaks a rule of the database: the others are written."""
    with database.begin() as connection:
        # A rule that both engines know and that one of the mails breaks.
        connection.execute(text("CREATE UNIQUE INDEX uji ON tickets (vendor_address)"))
        lifecycle.open_ticket(
            connection,
            {
                "mailbox": "lain",
                "status": TicketStatus.ANSWERED,
                "subject": "",
                "vendor_address": "pt2@penyedia.example",
                "created_at": NOW,
                "updated_at": NOW,
            },
        )
    _receive(database, "Lupa password.", "Lupa sandi.", "Ganti email.")
    done = handler.handle_due(NOW)
    assert [one.result for one in done] == ["flagged", "retry", "flagged"]
    assert "pt2@" not in done[1].why


def test_an_approval_meets_the_mail_that_is_being_handled(postgres: Postgres) -> None:
    """PostgreSQL: the vendor's next mail is written while its ticket's draft is approved; it must go on waiting."""
    store = Database(postgres.database())
    store.migrate()
    with store.begin() as connection:
        ticket, message = ticketed(connection)
        draft = drafted(connection, ticket, message)
    refused: list[str] = []

    def approve() -> None:
        try:
            with store.begin() as connection:
                approval.approve(connection, draft, f"{1:064x}", "sari", NOW, undo_seconds=0)
        except Refused as error:
            refused.append(str(error))

    approving = threading.Thread(target=approve)
    with store.begin() as connection:
        newer = received(connection, uid=2)
        ledger.finish(connection, newer, Disposition.TICKETED, ticket_id=ticket, kind="person")
        lifecycle.set_ticket(connection, ticket, TicketStatus.NEEDS_STAFF, NOW)
        approving.start()
        wait_until(lambda: _waiting_for_a_lock(store) == 1, "the approval")
    approving.join(60)
    with store.read() as connection:
        row = lifecycle.ticket(connection, ticket)
    assert row is not None and row.status is TicketStatus.NEEDS_STAFF
    assert refused and "newer mail" in refused[0]
    store.close()


def test_sending_an_earlier_answer_again_leaves_the_newer_mail_in_its_queue(database: Database) -> None:
    with database.begin() as connection:
        ticket, message = ticketed(connection)
        uncertain = drafted(connection, ticket, message, status=ReplyStatus.UNCERTAIN)
        newer = ticketed(connection, uid=2, ticket_id=ticket)[1]
        drafted(connection, ticket, newer)
        approval.send_again(connection, uncertain, "sari", NOW)
        row = lifecycle.ticket(connection, ticket)
    assert row is not None and row.status is TicketStatus.NEEDS_APPROVAL
