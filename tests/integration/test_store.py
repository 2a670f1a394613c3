"""The records on real databases of both kinds: ledger, threading, brakes, approvals, events."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text, update

import responder.tickets
from responder.errors import Refused, StoreError
from responder.replies import approval
from responder.tickets import (
    audit,
    bodies,
    brakes,
    claims,
    leases,
    ledger,
    lifecycle,
    queues,
    switches,
    takeover,
    threading,
)
from responder.tickets.database import SCHEMA, Database, schema_version
from responder.tickets.ledger import Cursor, Seen
from responder.tickets.models import Base, Event, Message, is_in_models
from responder.tickets.status import Disposition, DraftCopy, ReplyStatus, TicketStatus
from tests.store import MAILBOX, NOW, VENDOR, drafted, open_database, received, ticketed

LIMITS = brakes.Limits(same_answer_days=7, per_address_day=2, per_domain_day=2, per_hour=100)


def test_migrations_make_exactly_the_tables_of_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": is_in_models})
        assert compare_metadata(context, Base.metadata) == []


def test_the_program_knows_its_own_newest_schema(database: Database) -> None:
    with database.read() as connection:
        assert schema_version(connection) == SCHEMA
    scripts = ScriptDirectory(str(Path(responder.tickets.__file__).with_name("migrations")))
    assert scripts.get_current_head() == SCHEMA


def test_a_database_of_a_newer_program_is_refused(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer version"):
        database.migrate()


def test_a_power_cut_cannot_lose_a_commit(tmp_path: Path) -> None:
    with closing(open_database(tmp_path)) as database, database.read() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"


def test_the_cursor_moves_with_the_mail_and_a_uid_is_stored_once(database: Database) -> None:
    """Rule 53."""
    with database.begin() as connection:
        received(connection, uid=5)
        received(connection, uid=5)
        assert ledger.cursor(connection, MAILBOX, "INBOX") == Cursor(7, 5)
        assert ledger.known_mails(connection, MAILBOX, "INBOX", 7) == 1


def test_a_message_that_fails_three_times_is_quarantined(database: Database) -> None:
    with database.begin() as connection:
        message = received(connection)
        states = [ledger.failed_attempt(connection, message, "boom", NOW) for _ in range(3)]
        assert states == [Disposition.RECEIVED, Disposition.RECEIVED, Disposition.QUARANTINED]
        assert [row.reason for row in queues.quarantined(connection)] == ["boom"]
        assert ledger.retry_quarantined(connection, message)
        assert [row.id for row in ledger.work(connection, MAILBOX, 10, NOW)] == [message]


def test_a_mail_without_a_body_is_asked_for_again_ever_more_rarely_until_it_comes(database: Database) -> None:
    """Rule 59."""
    lacking = Seen(3, "", 0, None, (), None, disposition=Disposition.QUARANTINED, reason="no body")
    with database.begin() as connection:
        ledger.store(connection, MAILBOX, "INBOX", 7, [lacking], NOW)
        assert bodies.due(connection, MAILBOX, "INBOX", 7, 10, NOW) == [3]
        bodies.write(connection, MAILBOX, "INBOX", 7, lacking, NOW)
        assert bodies.due(connection, MAILBOX, "INBOX", 7, 10, NOW + timedelta(minutes=1)) == []
        assert bodies.due(connection, MAILBOX, "INBOX", 7, 10, NOW + timedelta(minutes=2)) == [3]
        bodies.write(connection, MAILBOX, "INBOX", 7, Seen(3, "identity-3", 10, NOW, (), b"raw"), NOW)
        assert [row.raw for row in ledger.work(connection, MAILBOX, 10, NOW)] == [b"raw"]


def test_a_renumbered_mail_keeps_its_row_and_two_copies_keep_two(database: Database) -> None:
    """Rule 55."""
    with database.begin() as connection:
        for uid in (1, 2):
            received(connection, uid=uid, identity="same")
        ledger.rescan_folder(connection, MAILBOX, "INBOX", 8, 2, NOW)
        again = [Seen(uid, "same", 10, NOW, (), b"raw") for uid in (1, 2, 3)]
        assert ledger.store(connection, MAILBOX, "INBOX", 8, again, NOW) == 1
        assert ledger.known_mails(connection, MAILBOX, "INBOX", 7) == 0
        assert ledger.known_mails(connection, MAILBOX, "INBOX", 8) == 3


def test_only_one_worker_gives_a_message_its_end_state(database: Database) -> None:
    with database.begin() as connection:
        message = received(connection)
        assert ledger.finish(connection, message, Disposition.IGNORED, reason="first")
        assert not ledger.finish(connection, message, Disposition.TICKETED)


def test_a_mail_joins_a_ticket_by_our_message_id_only_for_a_participant(database: Database) -> None:
    """Rule 48."""
    with database.begin() as connection:
        ticket, message = ticketed(connection)
        drafted(connection, ticket, message)
        ids = [f"reply-{message}-1@lpse.example"]
        assert threading.find(connection, MAILBOX, VENDOR, ids, None).ticket_id == ticket
        assert threading.find(connection, MAILBOX, VENDOR.title(), ids, None).ticket_id == ticket
        stranger = threading.find(connection, MAILBOX, "x@evil.example", ids, None)
        assert (stranger.ticket_id, stranger.claimed) == (None, ticket)
        assert threading.find(connection, "other", VENDOR, ids, None).ticket_id is None


def test_a_verified_token_of_a_ticket_that_does_not_exist_joins_nothing(database: Database) -> None:
    """Rule 48."""
    with database.begin() as connection:
        assert threading.find(connection, MAILBOX, VENDOR, [], 4711) == threading.Joined(None)


def test_the_same_text_again_is_found_while_its_ticket_is_open(database: Database) -> None:
    """Rule 19."""
    with database.begin() as connection:
        ticket, _ = ticketed(connection, new_text="Lupa password, bagaimana?")
        assert threading.same_mail_open(connection, MAILBOX, VENDOR, "Lupa  password,\nbagaimana?") == ticket
        assert threading.same_mail_open(connection, MAILBOX, VENDOR, "hal lain") is None
        lifecycle.set_ticket(connection, ticket, TicketStatus.CLOSED, NOW)
        assert threading.same_mail_open(connection, MAILBOX, VENDOR, "Lupa password, bagaimana?") is None


def test_the_same_answer_is_not_sent_automatically_twice_in_a_week(database: Database) -> None:
    """Rule 19: keyed on address, kind and topics, not on the text."""
    with database.begin() as connection:
        assert brakes.reserve(connection, LIMITS, VENDOR, "answer", ["a", "b"], NOW) is None
        again = brakes.reserve(connection, LIMITS, VENDOR, "answer", ["b", "a"], NOW + timedelta(days=6))
        assert again is not None and "rule 19" in again.reason
        later = NOW + timedelta(days=7, seconds=1)
        assert brakes.reserve(connection, LIMITS, VENDOR, "answer", ["a", "b"], later) is None


def test_an_address_and_a_domain_have_a_daily_limit(database: Database) -> None:
    """Rule 23."""
    with database.begin() as connection:
        for topic in ("a", "b"):
            assert brakes.reserve(connection, LIMITS, VENDOR, "answer", [topic], NOW) is None
        third = brakes.reserve(connection, LIMITS, VENDOR, "answer", ["c"], NOW)
        assert third is not None and "this address" in third.reason
        other = VENDOR.replace("admin", "other")
        refused = brakes.reserve(connection, LIMITS, other, "answer", ["a"], NOW)
        assert refused is not None and "this domain" in refused.reason


def test_too_much_automatic_mail_in_an_hour_trips_the_breaker_until_a_person_arms(database: Database) -> None:
    """Rule 22."""
    few = brakes.Limits(same_answer_days=7, per_address_day=9, per_domain_day=9, per_hour=1)
    with database.begin() as connection:
        switches.arm(connection, "test", NOW)
        assert brakes.reserve(connection, few, "a@x.example", "answer", ["a"], NOW) is None
        refusal = brakes.reserve(connection, few, "b@y.example", "answer", ["a"], NOW)
        assert refusal is not None and refusal.service_wide
        switches.trip_breaker(connection, refusal.reason, NOW)
        assert "rule 22" in switches.arming(connection).breaker
        switches.arm(connection, "test", NOW)
        assert switches.arming(connection).breaker == ""


def test_a_clock_that_jumps_back_opens_no_new_allowance(database: Database) -> None:
    with database.begin() as connection:
        for topic in ("a", "b"):
            brakes.reserve(connection, LIMITS, VENDOR, "answer", [topic], NOW)
        refusal = brakes.reserve(connection, LIMITS, VENDOR, "answer", ["c"], NOW - timedelta(hours=1))
        assert refusal is not None


def test_a_fresh_install_is_not_armed(database: Database) -> None:
    with database.read() as connection:
        assert not switches.arming(connection).armed


def test_approval_allows_exactly_the_text_that_was_shown(database: Database) -> None:
    """Rule 78."""
    with database.begin() as connection:
        ticket, message = ticketed(connection)
        reply = drafted(connection, ticket, message)
        with pytest.raises(Refused, match="changed since it was shown"):
            approval.approve(connection, reply, "f" * 64, "sari", NOW, undo_seconds=60)
        leaves = approval.approve(connection, reply, f"{1:064x}", "sari", NOW, undo_seconds=60)
        assert leaves == NOW + timedelta(seconds=60)
        with pytest.raises(Refused, match="already approved"):
            approval.approve(connection, reply, f"{1:064x}", "budi", NOW, undo_seconds=60)


def test_a_newer_mail_makes_a_draft_stale(database: Database) -> None:
    with database.begin() as connection:
        ticket, message = ticketed(connection)
        reply = drafted(connection, ticket, message)
        ticketed(connection, uid=2, ticket_id=ticket)
        with pytest.raises(Refused, match="newer mail"):
            approval.approve(connection, reply, f"{1:064x}", "sari", NOW, undo_seconds=60)


def test_an_unconfirmed_fact_blocks_approval(database: Database) -> None:
    with database.begin() as connection:
        ticket, message = ticketed(connection)
        reply = drafted(connection, ticket, message, text="Bawa [belum dikonfirmasi: jumlah meterai] ya")
        with pytest.raises(Refused, match="belum dikonfirmasi"):
            approval.approve(connection, reply, f"{1:064x}", "sari", NOW, undo_seconds=60)


def test_an_approval_can_be_taken_back_until_it_leaves(database: Database) -> None:
    with database.begin() as connection:
        ticket, message = ticketed(connection)
        reply = drafted(connection, ticket, message, draft_copy=DraftCopy.PLACED)
        approval.approve(connection, reply, f"{1:064x}", "sari", NOW, undo_seconds=60)
        approval.undo(connection, reply, "sari", NOW)
        row = lifecycle.reply(connection, reply)
        assert row is not None
        assert (row.status, row.draft_copy) == (ReplyStatus.DRAFTED, DraftCopy.PLACED)
        approval.approve(connection, reply, f"{1:064x}", "sari", NOW, undo_seconds=0)
        switches.arm(connection, "sari", NOW)
        claims.claim_due(connection, MAILBOX, "node", 8, NOW, NOW, switches.arming(connection))
        with pytest.raises(Refused, match="sending"):
            approval.undo(connection, reply, "sari", NOW)


def test_a_reply_is_claimed_by_one_node_and_settled_only_by_it(database: Database) -> None:
    with database.begin() as connection:
        switches.arm(connection, "sari", NOW)
        arming = switches.arming(connection)
        ticket, message = ticketed(connection)
        reply = drafted(connection, ticket, message)
        approval.approve(connection, reply, f"{1:064x}", "sari", NOW, undo_seconds=0)
        until = NOW + timedelta(minutes=30)
        assert len(claims.claim_due(connection, MAILBOX, "host:1.1", 8, NOW, until, arming)) == 1
        assert claims.claim_due(connection, MAILBOX, "host:2.2", 8, NOW, until, arming) == []
        assert not claims.settle(connection, reply, "host:2.2", ReplyStatus.SENT)
        assert not claims.renew_claim(connection, reply, "host:2.2", until)
        assert claims.settle(connection, reply, "host:1.1", ReplyStatus.SENT)


def test_a_reply_by_hand_found_in_sent_holds_ours(database: Database) -> None:
    """Rule 28b."""
    with database.begin() as connection:
        ticket, message = ticketed(connection)
        reply = drafted(connection, ticket, message, draft_copy=DraftCopy.PLACED)
        approval.approve(connection, reply, f"{1:064x}", "sari", NOW, undo_seconds=0)
        ids = ["mail-1@baharijaya.example"]
        assert takeover.answered_by_hand(connection, MAILBOX, ids, ["else@x.example"], NOW) is None
        assert takeover.answered_by_hand(connection, MAILBOX, ids, [VENDOR], NOW) == ticket
        row = lifecycle.reply(connection, reply)
        assert row is not None and row.status is ReplyStatus.DISCARDED
        status = lifecycle.ticket(connection, ticket)
        assert status is not None and status.status is TicketStatus.ANSWERED


def test_an_uncertain_reply_found_in_sent_is_sent(database: Database) -> None:
    """Rule 75."""
    with database.begin() as connection:
        ticket, message = ticketed(connection)
        reply = drafted(connection, ticket, message, status=ReplyStatus.UNCERTAIN)
        assert takeover.seen_in_sent(connection, f"reply-{message}-1@lpse.example", NOW)
        row = lifecycle.reply(connection, reply)
        assert row is not None and row.status is ReplyStatus.SENT


def test_only_an_uncertain_or_failed_reply_can_be_sent_again(database: Database) -> None:
    with database.begin() as connection:
        ticket, message = ticketed(connection)
        reply = drafted(connection, ticket, message)
        with pytest.raises(Refused, match="only an uncertain or failed"):
            approval.send_again(connection, reply, "sari", NOW)
        lifecycle.move_reply(connection, reply, ReplyStatus.DRAFTED, ReplyStatus.UNCERTAIN)
        approval.send_again(connection, reply, "sari", NOW)
        row = lifecycle.reply(connection, reply)
        assert row is not None
        assert (row.status, row.sha256) == (ReplyStatus.APPROVED, f"{1:064x}")


def test_a_ticket_with_a_reply_on_its_way_cannot_be_closed(database: Database) -> None:
    with database.begin() as connection:
        ticket, message = ticketed(connection)
        reply = drafted(connection, ticket, message)
        approval.approve(connection, reply, f"{1:064x}", "sari", NOW, undo_seconds=60)
        with pytest.raises(Refused, match="approved"):
            approval.close(connection, ticket, "sari", NOW)


def test_a_changed_or_missing_event_breaks_the_chain(database: Database) -> None:
    with database.begin() as connection:
        for ticket in (1, 2, 3):
            audit.record(connection, [audit.Entry(ticket, "sari", "noted", {"n": n}) for n in range(3)], NOW)
        assert audit.broken_chains(connection) == []
        connection.execute(update(Event).where(Event.ticket_id == 1, Event.seq == 2).values(actor="budi"))
        last = connection.execute(select(Event.id).where(Event.ticket_id == 2, Event.seq == 2)).scalar_one()
        connection.execute(text("DELETE FROM events WHERE id = :id"), {"id": last})
        assert audit.broken_chains(connection) == [1, 2]


def test_a_mailbox_is_leased_by_one_living_node(database: Database) -> None:
    def alive(_node: str) -> bool:
        return False

    with database.begin() as connection:
        assert leases.acquire(connection, MAILBOX, "a:1.1", NOW, alive)
        assert leases.acquire(connection, MAILBOX, "a:1.1", NOW, alive)
        assert not leases.acquire(connection, MAILBOX, "a:2.2", NOW, alive)
        assert leases.acquire(connection, MAILBOX, "a:2.2", NOW, lambda node: node == "a:1.1")
        assert leases.acquire(connection, MAILBOX, "a:3.3", NOW + timedelta(minutes=11), alive)
        leases.release(connection, MAILBOX, "a:3.3")
        assert leases.acquire(connection, MAILBOX, "a:1.1", NOW, alive)


def test_naive_times_never_reach_the_database(database: Database) -> None:
    with pytest.raises(StoreError, match="naive"), database.begin() as connection:
        connection.execute(update(Message).values(received_at=NOW.replace(tzinfo=None)))
