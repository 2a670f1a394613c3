"""How long the staff pages' queries take on a store as years of service leave it, on both engines.

    python -m bench.queues [TICKETS] [sqlite:///FILE | postgresql+psycopg://...]

Without an address it makes its own store of TICKETS (100,000) on SQLite and on PostgreSQL. Each query is a
transaction of its own, as a page makes it, and is asked ROUNDS times with values that change from one to the next.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection

from bench.store import MAILBOX, NOW, fill
from responder.tickets import lifecycle, queues, search
from responder.tickets.database import Database
from responder.tickets.queues import Filters, Queue
from tests.postgres import Postgres

ROUNDS = 100
PAGE = 50
DAY_START = NOW - timedelta(hours=10)
TOPICS = ("lupa-password", "pendaftaran-penyedia", "tender-cepat", "no-such-topic")
WORDS = (
    "lupa password",
    "mohon informasi verifikasi",
    "samudra teknik",
    "Ratna Santoso",
    "NPWP",
    "silakan mengikuti langkah",
    "tidakadakata",
    "baharijaya",
    "akun",
)

Query = Callable[[Connection, random.Random], object]


def queries(database: Database) -> dict[str, Query]:
    """Every query of the pages by name; the ones that name a ticket take one from the middle of a queue."""
    with database.read() as connection:
        inside = {queue: _middle(connection, queue) for queue in Queue}
        tickets = _highest_ticket(connection)
    found: dict[str, Query] = {
        "sizes": lambda c, _: queues.sizes(c, Filters(), DAY_START),
        "sizes, one mailbox": lambda c, _: queues.sizes(c, Filters(mailbox=MAILBOX), DAY_START),
        "sizes, one topic": lambda c, r: queues.sizes(c, Filters(topic=r.choice(TOPICS)), DAY_START),
        "search": lambda c, r: search.find(c, r.choice(WORDS), Filters(), PAGE),
        "search, one topic": lambda c, r: search.find(
            c, r.choice(WORDS), Filters(topic=r.choice(TOPICS)), PAGE
        ),
        "search, a number": lambda c, r: search.find(c, f"LPSE-{r.randrange(tickets):06d}", Filters(), PAGE),
        "ticket page": lambda c, r: read_ticket(c, 1 + r.randrange(tickets)),
    }
    for queue in Queue:
        after, item = inside[queue]
        found[f"page {queue}"] = lambda c, r, q=queue, a=after: queues.page(
            c, q, Filters(), DAY_START, r.choice(["", a]), PAGE
        )
        if item is not None:
            found[f"neighbours {queue}"] = lambda c, _, q=queue, i=item: queues.neighbours(
                c, q, Filters(), DAY_START, i
            )
    for queue in (Queue.TO_APPROVE, Queue.CLOSED):
        found[f"page {queue}, one topic"] = lambda c, r, q=queue: queues.page(
            c, q, Filters(topic=r.choice(TOPICS)), DAY_START, "", PAGE
        )
    return found


def read_ticket(connection: Connection, ticket_id: int) -> object:
    """What a ticket's page reads of the records."""
    return (
        lifecycle.ticket(connection, ticket_id),
        lifecycle.messages(connection, ticket_id),
        lifecycle.replies(connection, ticket_id),
        queues.events(connection, ticket_id),
    )


def measure(database: Database) -> Iterator[tuple[str, float, float]]:
    """(query, p50, p95) in milliseconds."""
    for name, query in queries(database).items():
        chance = random.Random(name)
        taken = []
        for _ in range(ROUNDS):
            with database.read() as connection:
                started = time.perf_counter()
                query(connection, chance)
                taken.append((time.perf_counter() - started) * 1000)
        taken.sort()
        yield name, taken[ROUNDS // 2], taken[ROUNDS * 95 // 100]


def _middle(connection: Connection, queue: Queue) -> tuple[str, int | None]:
    """A cursor and an item some pages into `queue`."""
    cursor, item = "", None
    for _ in range(4):
        page = queues.page(connection, queue, Filters(), DAY_START, cursor, PAGE)
        if page.rows:
            line = page.rows[-1]
            item = line.message_id if queue in queues.OF_MESSAGES else line.ticket_id
        if not page.next:
            break
        cursor = page.next
    return cursor, item


def _highest_ticket(connection: Connection) -> int:
    newest = queues.page(connection, Queue.TO_APPROVE, Filters(), DAY_START, "", 1).rows
    return newest[0].ticket_id or 1 if newest else 1


@contextmanager
def _stores(tickets: int, given: str) -> Iterator[list[Database]]:
    if given:
        yield [Database(given)]
        return
    with tempfile.TemporaryDirectory() as folder, Postgres() as server:
        stores = [Database(f"sqlite:///{Path(folder) / 'queues.db'}"), Database(server.database())]
        for store in stores:
            store.migrate()
            fill(store, tickets)
        yield stores
        for store in stores:
            store.close()


def main() -> None:
    tickets = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with _stores(tickets, sys.argv[2] if len(sys.argv) > 2 else "") as stores:
        for store in stores:
            print(f"\n| {store.engine.dialect.name}, {tickets:,} tickets | p50 ms | p95 ms |\n|---|---|---|")
            for name, half, most in measure(store):
                print(f"| {name} | {half:.1f} | {most:.1f} |", flush=True)


if __name__ == "__main__":
    main()
