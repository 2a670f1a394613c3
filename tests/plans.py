"""How a database would run a query, for tests that no hot query walks through a whole table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event, text

from bench.store import fill
from responder.tickets.database import Database
from responder.tickets.models import Base

GENERATED = 3_000  # tickets that are really there
PRETENDED = 100_000  # tickets that the statistics tell of


def fill_with_statistics_of_a_large_store(database: Database) -> None:
    """Fill `database` with GENERATED tickets; SQLite's planner then believes that there are PRETENDED.

    PostgreSQL counts by itself, and GENERATED tickets are enough for it to want an index.
    """
    fill(database, GENERATED)
    if not database.is_sqlite:
        return
    with database.begin() as connection:
        for table, index, stat in connection.execute(text("SELECT tbl, idx, stat FROM sqlite_stat1")).all():
            rows, _, rest = stat.partition(" ")
            larger = f"{int(rows) * PRETENDED // GENERATED} {rest}".strip()
            connection.execute(
                text("UPDATE sqlite_stat1 SET stat = :stat WHERE tbl = :t AND idx IS :i"),
                {"stat": larger, "t": table, "i": index},
            )
    database.close()  # statistics are read when a connection is opened


@contextmanager
def statements(connection: Connection) -> Iterator[list[tuple[str, object]]]:
    """Every statement that runs on `connection` within the block, with its parameters."""
    seen: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        seen.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(connection, "before_cursor_execute", note)


LARGE = frozenset(
    "messages replies tickets events verdicts participants counters".split()  # noqa: SIM905
)
"""Tables that grow with the years; walking through one of the others is right."""


def walked(connection: Connection, statement: str, parameters: object) -> list[str]:
    """The steps of the plan of one statement that go through a whole LARGE table.

    On SQLite also a walk along a whole index counts, unless it is one over a part of the table. Statements without a
    plan (SAVEPOINT, ...) have no steps.
    """
    if not re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", statement, re.IGNORECASE):
        return []
    sqlite = connection.dialect.name == "sqlite"
    cursor: Any = connection.connection.cursor()
    cursor.execute(f"{'EXPLAIN QUERY PLAN' if sqlite else 'EXPLAIN'} {statement}", parameters)
    steps = [str(row[3] if sqlite else row[0]).strip() for row in cursor.fetchall()]
    pattern = re.compile(
        r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?$" if sqlite else r".*Seq Scan on (\w+)"
    )
    return [
        step
        for step in steps
        if (found := pattern.match(step)) and found[1] in LARGE and not (sqlite and found[2] in PARTIAL)
    ]


PARTIAL = frozenset(
    str(index.name)
    for table in Base.metadata.tables.values()
    for index in table.indexes
    if index.dialect_options["sqlite"]["where"] is not None
)
