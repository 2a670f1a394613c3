"""Every query that the worker asks for each mail, reply or round finds its rows by an index, however large the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from bench.store import MAILBOX, NOW, UIDVALIDITY
from responder.tickets import (
    audit,
    bodies,
    brakes,
    claims,
    ledger,
    lifecycle,
    switches,
    takeover,
    threading,
)
from responder.tickets.database import Database
from responder.tickets.ledger import Seen
from responder.tickets.models import Message, Reply
from responder.tickets.status import Disposition, DraftCopy, ReplyStatus, TicketStatus
from tests import plans
from tests.postgres import Postgres

INBOX = "INBOX"
LATER = NOW + timedelta(hours=1)
LIMITS = brakes.Limits(same_answer_days=7, per_address_day=10, per_domain_day=50, per_hour=200)
ARMED = switches.Arming(armed=True, since=NOW, by="sari", breaker="")

Query = Callable[[Connection], Any]
QUERIES: dict[str, Query] = {
    "which of a batch are known": lambda c: ledger.store(
        c,
        MAILBOX,
        INBOX,
        UIDVALIDITY,
        [Seen(9_000_000 + n, f"{n:064x}", 10, NOW, (), b"x") for n in range(50)],
        NOW,
    ),
    "the same mails by another numbering": lambda c: ledger.store(
        c,
        MAILBOX,
        INBOX,
        UIDVALIDITY + 1,
        [Seen(n, f"{n:064x}", 10, NOW, (), b"x") for n in range(1, 50)],
        NOW,
    ),
    "mails by identity": lambda c: ledger.known_identities(c, MAILBOX, [f"{n:064x}" for n in range(50)]),
    "mails to handle": lambda c: ledger.work(c, MAILBOX, 50, LATER),
    "mails to handle, after some": lambda c: ledger.work(c, MAILBOX, 50, LATER, after=1_000),
    "bodies to ask for again": lambda c: bodies.due(c, MAILBOX, INBOX, UIDVALIDITY, 50, LATER),
    "mails to compare with the server": lambda c: ledger.rows(
        c, MAILBOX, INBOX, UIDVALIDITY, after=1_000, limit=500
    ),
    "what is older than the first connection": lambda c: ledger.baseline(c, MAILBOX, INBOX, UIDVALIDITY),
    "how many mails are known": lambda c: ledger.known_mails(c, MAILBOX, INBOX, UIDVALIDITY + 1),
    "the end state of a mail": lambda c: ledger.finish(c, 5, Disposition.IGNORED, reason="surat sendiri"),
    "a failed attempt": lambda c: ledger.failed_attempt(c, 5, "apa pun", LATER),
    "the ticket of a reply to us or them": lambda c: threading.find(
        c, MAILBOX, "a@b.example", ["x@y.example", "z@y.example"], None
    ),
    "the ticket of a token": lambda c: threading.find(c, MAILBOX, "a@b.example", [], 17),
    "senders with an open ticket": lambda c: threading.waiting(
        c, MAILBOX, [f"admin@v{n}.example" for n in range(50)]
    ),
    "the same text in an open ticket": lambda c: threading.same_mail_open(c, MAILBOX, "a@b.example", "halo"),
    "mails by Message-ID": lambda c: threading.identities(c, MAILBOX, [f"{n}@x.example" for n in range(50)]),
    "the reply that a bounce names": lambda c: threading.reply_with_ids(c, ["x@lpse.example"]),
    "brakes": lambda c: brakes.reserve_all(
        c, LIMITS, [brakes.Wanted(f"a@v{n}.example", "ack") for n in range(50)], NOW
    ),
    "notes on addresses": lambda c: switches.address_notes(c, [f"a@v{n}.example" for n in range(50)]),
    "the last events of tickets": lambda c: audit.record(
        c, [audit.Entry(ticket, "machine", "sent") for ticket in range(1, 9)], NOW
    ),
    "the newest mail of a ticket": lambda c: lifecycle.latest_message_id(c, 17),
    "the draft of a ticket": lambda c: lifecycle.current_draft(c, 17),
    "the replies of a ticket": lambda c: lifecycle.replies(c, 17),
    "the mails of a ticket": lambda c: lifecycle.messages(c, 17),
    "the next version": lambda c: lifecycle.next_version(c, 17),
    "a ticket's new state": lambda c: lifecycle.set_ticket(c, 17, TicketStatus.CLOSED, NOW),
    "a verdict": lambda c: lifecycle.decide_verdict(
        c, 17, decision="approved", topics=[], manner="single", actor="sari", now=NOW
    ),
    "replies that are due": lambda c: claims.count_due(c, MAILBOX, LATER, ARMED, 8),
    "claiming": lambda c: claims.claim_due(c, MAILBOX, "host:1.1", 8, LATER, LATER, ARMED),
    "the check before DATA": lambda c: claims.still_allowed(c, 17, "host:1.1", "a@b.example", ARMED),
    "renewing a claim": lambda c: claims.renew_claim(c, 17, "host:1.1", LATER),
    "the outcome of a reply": lambda c: claims.settle(c, 17, "host:1.1", ReplyStatus.SENT, sent_at=NOW),
    "abandoned claims": lambda c: claims.abandoned(c, MAILBOX),
    "what a stop held back": lambda c: claims.recalled(c, MAILBOX, ARMED),
    "uncertain replies": lambda c: claims.uncertain(c, MAILBOX),
    "replies to file": lambda c: lifecycle.to_file(c, MAILBOX, 50, LATER),
    "copies to place": lambda c: lifecycle.draft_copies(c, MAILBOX, DraftCopy.PENDING, 50),
    "ids in Sent that we lack": lambda c: takeover.unknown_ids(c, ["x@lpse.example", "y@lpse.example"]),
    "a Message-ID of ours in Sent": lambda c: takeover.seen_in_sent(c, "x@lpse.example", NOW),
    "mails to flag for staff": lambda c: takeover.to_flag(c, MAILBOX, UIDVALIDITY, INBOX, 50),
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def large_store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path_factory.mktemp('large')}/responder.db"
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        url = server.database()
    database = Database(url)
    database.migrate()
    plans.fill_with_statistics_of_a_large_store(database)
    yield database
    database.close()


@pytest.mark.parametrize("what", QUERIES)
def test_no_query_of_the_worker_walks_through_a_whole_table(large_store: Database, what: str) -> None:
    with large_store.engine.connect() as connection, plans.statements(connection) as asked:
        QUERIES[what](connection)
        connection.rollback()
        assert asked
        for statement, parameters in asked:
            one = parameters[0] if isinstance(parameters, list) else parameters
            assert plans.walked(connection, statement, one) == [], statement
        connection.rollback()


def test_sqlite_finds_its_indexes_also_without_statistics(tmp_path: Path) -> None:
    """Nobody has to run ANALYZE for the worker's sake."""
    database = Database(f"sqlite:///{tmp_path}/responder.db")
    database.migrate()
    with database.engine.connect() as connection, plans.statements(connection) as asked:
        for query in QUERIES.values():
            query(connection)
            connection.rollback()
        for statement, parameters in asked:
            one = parameters[0] if isinstance(parameters, list) else parameters
            assert plans.walked(connection, statement, one) == [], statement
    database.close()


def test_the_generated_store_is_sound(large_store: Database) -> None:
    """Plans of a store that could not be ours would prove nothing."""
    with large_store.read() as connection:
        assert audit.broken_chains(connection, range(1, 200)) == []
        assert connection.scalar(select(Message.id).limit(1)) is not None
        assert connection.scalar(select(Reply.id).limit(1)) is not None
