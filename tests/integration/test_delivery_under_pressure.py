"""Hazards of delivery that need two things at once: a slow server, a second thread, a second person."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from responder.config import Settings
from responder.errors import Refused, StoreError
from responder.mail.smtp import SmtpSession, Timeouts
from responder.pipeline.office import make_key
from responder.replies import approval
from responder.replies.outbox import Outbox
from responder.tickets import leases, ledger, lifecycle, switches
from responder.tickets.database import Database
from responder.tickets.models import Message, Reply, Ticket
from responder.tickets.status import Disposition, ReplyStatus, TicketStatus
from responder.upkeep import privacy, retention
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
            assert [lifecycle.reply(connection, one).status for one in replies] == [ReplyStatus.SENT] * 2
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
        sha256 = lifecycle.reply(connection, first).sha256
        approval.approve(connection, first, sha256, "sari", NOW, undo_seconds=60)
        second = drafted(connection, ticket, message, version=2)
        sha256 = lifecycle.reply(connection, second).sha256
        with pytest.raises(Refused, match="on its way"):
            approval.approve(connection, second, sha256, "budi", NOW, undo_seconds=60)
        approval.undo(connection, first, "budi", NOW)


def test_the_same_mail_seen_again_leaves_its_draft_current(database: Database) -> None:
    """A mail that was moved out of the inbox and back is a duplicate (rule 50), no news from the vendor."""
    with database.begin() as connection:
        ticket, message = ticketed(connection)
        draft = drafted(connection, ticket, message)
        again = received(connection, uid=2)
        ledger.finish(connection, again, Disposition.DUPLICATE, ticket_id=ticket, kind="person")
        assert lifecycle.latest_message_id(connection, ticket) == message
        sha256 = lifecycle.reply(connection, draft).sha256
        approval.approve(connection, draft, sha256, "sari", NOW, undo_seconds=0)


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
    with store.read() as connection:
        return connection.scalar(
            text(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )
