"""Hazards of delivery that need two things at once: a slow server, a second thread, a second person."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from responder.errors import Refused, StoreError
from responder.mail.smtp import SmtpSession, Timeouts
from responder.replies import approval
from responder.replies.outbox import Outbox
from responder.tickets import leases, ledger, lifecycle, switches
from responder.tickets.database import Database
from responder.tickets.status import Disposition, ReplyStatus
from tests.postgres import Postgres
from tests.store import MAILBOX, NOW, drafted, received, ticketed
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
