"""What holds on PostgreSQL only: many writers at once, leases that end with their session, text it would refuse."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, select, text

from responder.errors import StoreError
from responder.tickets import audit, brakes, claims, leases, ledger, lifecycle, switches
from responder.tickets.database import Database, Upgrade
from responder.tickets.ledger import Seen
from responder.tickets.models import Event, Message
from responder.tickets.status import Disposition, ReplyStatus
from tests.postgres import Postgres
from tests.store import MAILBOX, NOW, drafted, received, ticketed


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.database()


@pytest.fixture
def store(url: str) -> Iterator[Database]:
    database = Database(url)
    database.migrate()
    yield database
    database.close()


def side_by_side(*works: Callable[[], Any]) -> list[Any]:
    """Run all of `works` at the same time; return what each returned or raised."""
    results: list[Any] = [None] * len(works)
    start = threading.Barrier(len(works))

    def run(place: int, work: Callable[[], Any]) -> None:
        start.wait(30)
        try:
            results[place] = work()
        except StoreError as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=one) for one in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def living(_node: str) -> bool:
    return False


def test_nodes_that_start_together_migrate_once(url: str) -> None:
    nodes = [Database(url) for _ in range(4)]
    done = side_by_side(*(node.migrate for node in nodes))
    assert sorted(done, key=bool)[:3] == [None] * 3
    assert isinstance(sorted(done, key=bool)[3], Upgrade)
    for node in nodes:
        node.close()


def test_many_writers_of_one_ticket_keep_its_chain_whole(store: Database) -> None:
    def write_events(actor: str) -> None:
        for number in range(20):
            entries = [audit.Entry(7, actor, "noted", {"n": number})]
            store.write(partial(audit.record, entries=entries, at=NOW))

    assert side_by_side(*(lambda name=name: write_events(name) for name in "abcd")) == [None] * 4
    with store.read() as connection:
        assert audit.broken_chains(connection) == []
        assert len(connection.execute(select(Event.id)).all()) == 80


def test_transactions_that_wait_for_each_other_are_repeated(store: Database) -> None:
    """PostgreSQL ends one of two that are in a deadlock; it is run again."""
    with store.begin() as connection:
        tickets = [ticketed(connection, uid)[0] for uid in (1, 2)]
    met = threading.Barrier(2)

    def both(first: int, second: int) -> Callable[[Connection], None]:
        waited = threading.Event()

        def work(connection: Connection) -> None:
            connection.execute(text("SELECT 1 FROM tickets WHERE id = :id FOR UPDATE"), {"id": first})
            if not waited.is_set():
                waited.set()
                met.wait(30)
            connection.execute(text("SELECT 1 FROM tickets WHERE id = :id FOR UPDATE"), {"id": second})

        return work

    one, two = both(*tickets), both(*reversed(tickets))
    assert side_by_side(lambda: store.write(one), lambda: store.write(two)) == [None, None]


def test_claims_of_two_nodes_never_overlap(store: Database) -> None:
    with store.begin() as connection:
        switches.arm(connection, "sari", NOW)
        for uid in range(1, 41):
            ticket, message = ticketed(connection, uid)
            values = {"status": ReplyStatus.APPROVED, "decided_at": NOW, "next_try": NOW}
            drafted(connection, ticket, message, **values)

    def claim_all(node: str) -> list[int]:
        claimed: list[int] = []

        def claim(connection: Connection) -> list[int]:
            arming = switches.arming(connection)
            until = NOW + timedelta(minutes=30)
            return [row.id for row in claims.claim_due(connection, MAILBOX, node, 8, NOW, until, arming)]

        while ids := store.write(claim):
            claimed += ids
        return claimed

    found = side_by_side(*(lambda node=node: claim_all(node) for node in ("a:1.1", "b:2.2", "c:3.3")))
    together = [reply for claimed in found for reply in claimed]
    assert len(together) == len(set(together)) == 40


def test_a_mailbox_is_leased_to_one_node_until_its_session_ends(
    store: Database, url: str, postgres: Postgres
) -> None:
    other = Database(url)
    with leases.lease(store, MAILBOX, "a:1.1", lambda: NOW, living) as mine:
        assert mine is not None
        mine()
        with leases.lease(other, MAILBOX, "b:2.2", lambda: NOW, living) as theirs:
            assert theirs is None
        with leases.lease(other, "daerah", "b:2.2", lambda: NOW, living) as another:
            assert another is not None
        postgres.end_sessions(url)
        with leases.lease(other, MAILBOX, "b:2.2", lambda: NOW, living) as theirs:
            assert theirs is not None
            with pytest.raises(StoreError, match="has ended"):
                mine()
    other.close()


def test_two_nodes_that_ask_at_once_send_the_same_answer_once(store: Database) -> None:
    """Rule 19, across nodes."""
    limits = brakes.Limits(same_answer_days=7, per_address_day=9, per_domain_day=9, per_hour=100)

    def ask() -> brakes.Refusal | None:
        return store.write(
            lambda connection: brakes.reserve(connection, limits, "x@y.example", "answer", ["a"], NOW)
        )

    refusals = [one for one in side_by_side(*[ask] * 4) if one is not None]
    assert len(refusals) == 3 and all("rule 19" in one.reason for one in refusals)


def test_two_pollers_of_one_folder_store_each_mail_once(store: Database) -> None:
    """Fault matrix, "store": two pollers."""
    batch = [Seen(uid, f"identity-{uid}", 10, NOW, (), b"raw") for uid in range(1, 30)]
    side_by_side(
        *[lambda: store.write(lambda connection: ledger.store(connection, MAILBOX, "INBOX", 7, batch, NOW))]
        * 3
    )
    with store.read() as connection:
        assert len(connection.execute(select(Message.id)).all()) == 29


def test_text_with_nul_or_half_a_surrogate_is_stored_without(store: Database) -> None:
    with store.begin() as connection:
        message = received(connection)
        bad = "a\0b\ud800c"
        ledger.finish(
            connection,
            message,
            Disposition.IGNORED,
            subject=bad,
            text=bad,
            header_id=bad,
            attachments=[bad],
            reason=bad,
        )
        audit.record(connection, [audit.Entry(1, "sari", "noted", {"words": bad})], NOW)
        row = connection.execute(select(Message.subject, Message.header_id)).one()
        assert row == ("ab?c", "ab?c")
        assert audit.broken_chains(connection) == []


def test_a_cursor_never_goes_back(store: Database) -> None:
    with store.begin() as connection:
        received(connection, uid=9)
        received(connection, uid=3)
        cursor = ledger.cursor(connection, MAILBOX, "INBOX")
        assert cursor is not None and cursor.uid == 9
        assert lifecycle.ticket(connection, 1) is None
