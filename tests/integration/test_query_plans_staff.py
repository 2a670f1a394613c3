"""No query of the staff pages walks through all tickets, mails or replies, on either engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from bench.store import MAILBOX, NOW
from responder.tickets import evidence, lifecycle, queues, search
from responder.tickets.database import Database
from responder.tickets.queues import Filters, Queue
from tests.plans import fill_with_statistics_of_a_large_store, statements, walked
from tests.postgres import Postgres

DAY_START = NOW - timedelta(hours=10)
MIDDLE = f"{NOW - timedelta(days=100):%Y%m%dT%H%M%S%f}-1500"
NARROWED = [Filters(), Filters(mailbox=MAILBOX), Filters(topic="lupa-password"), Filters(since=NOW)]
SOME = 1500  # a ticket, a mail and a reply of the generated store


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def large(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgres: Postgres
) -> Iterator[Database]:
    folder: Path = tmp_path_factory.mktemp("large")
    url = f"sqlite:///{folder}/large.db" if request.param == "sqlite" else postgres.database()
    database = Database(url)
    database.migrate()
    fill_with_statistics_of_a_large_store(database)
    yield database
    database.close()


def walks(database: Database, query: Callable[[Connection], object]) -> list[str]:
    """The steps of every statement of `query` that go through a whole table or index."""
    with database.read() as connection:
        if not database.is_sqlite:
            # Over the few rows of a test PostgreSQL rightly prefers to walk. What is asked is whether it has to.
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        with statements(connection) as seen:
            query(connection)
        found = [step for statement, values in seen for step in walked(connection, statement, values)]
    return [step for step in found if "message_words" not in step and "reply_words" not in step]


@pytest.mark.parametrize("filters", NARROWED, ids=["all", "mailbox", "topic", "since"])
@pytest.mark.parametrize("queue", Queue)
def test_a_queue_reads_an_index(large: Database, queue: Queue, filters: Filters) -> None:
    def query(connection: Connection) -> None:
        queues.page(connection, queue, filters, DAY_START, MIDDLE, 50)
        queues.neighbours(connection, queue, filters, DAY_START, SOME)

    assert walks(large, query) == []


def test_sizes_read_indexes(large: Database) -> None:
    for filters in NARROWED:
        assert walks(large, lambda connection, f=filters: queues.sizes(connection, f, DAY_START)) == []


@pytest.mark.parametrize("words", ["lupa password", "tidakadakata", "LPSE-001500"])
def test_search_reads_the_index_of_words(large: Database, words: str) -> None:
    for filters in NARROWED:
        assert walks(large, lambda connection, f=filters: search.find(connection, words, f, 50)) == []


def test_a_tickets_page_reads_indexes(large: Database) -> None:
    def query(connection: Connection) -> None:
        lifecycle.ticket(connection, SOME)
        lifecycle.messages(connection, SOME)
        lifecycle.replies(connection, SOME)
        lifecycle.latest_message_id(connection, SOME)
        queues.events(connection, SOME)

    assert walks(large, query) == []


def test_a_decision_reads_indexes(large: Database) -> None:
    def query(connection: Connection) -> None:
        given = {"decision": "approved", "topics": ["lupa-password"], "manner": "single", "actor": "petugas"}
        lifecycle.decide_verdict(connection, SOME, now=NOW, **given)

    assert walks(large, query) == []


def test_the_evidence_of_a_topic_reads_an_index(large: Database) -> None:
    def query(connection: Connection) -> None:
        evidence.judged(connection, MAILBOX, "lupa-password", NOW - timedelta(days=180), 500)
        evidence.history(connection, MAILBOX, "lupa-password", NOW - timedelta(days=90), 50)
        evidence.answers(connection, MAILBOX, "lupa-password", NOW - timedelta(days=30))

    assert walks(large, query) == []
