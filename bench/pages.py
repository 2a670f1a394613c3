"""How long the staff pages take and what they weigh, on a store as years of service leave it, on both engines.

    python -m bench.pages [--tickets 60000] [--rounds 60] [--json FILE] [--sqlite-only]

Times are taken at the application itself, in one process, one request after the other: from the request's first byte
handed in to the answer's last. One column asks the same of `responder web` over HTTP on the loopback. Every request
of a page names another ticket, another topic or other words than the one before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from sqlalchemy import Connection, event, insert, select, update

from bench.queues import TOPICS, WORDS
from bench.store import MAILBOX, NOW, fill
from bench.visitor import NAME, PASSWORD, Ask, Asked, Client, Remote, log_in
from responder.classifier.model import load_or_train
from responder.config import Settings, load
from responder.paths import shipped
from responder.pipeline.office import make_key
from responder.tickets import accounts, lifecycle, queues
from responder.tickets.database import Database, table_of
from responder.tickets.models import Message, Reply, Ticket
from responder.tickets.models_staff import Role
from responder.tickets.queues import Filters, Queue
from responder.tickets.status import ReplyStatus, TicketStatus
from responder.web.app import create_app
from tests.postgres import Postgres

TICKETS = 60_000
ROUNDS = 60
WARM = 5  # requests before the first one that counts: templates compile, the model is read, caches fill
MAILS = 10  # of the long conversations
LONG = 20  # such conversations
DEEP = 15  # pages of a queue before the deep one
TARGET_MS = 50.0  # of queue and ticket pages, for 95 of 100
TARGET_BYTES = 100 * 1024  # of a first load
_FILES = re.compile(r'(?:src|href)="(/berkas/[^"]+)"')
_FOREIGN = re.compile(r'(?:src|href|action)="(?:https?:)?//|url\(|@import')

_CONFIG = """[mailboxes.{name}]
unit = "LPSE Kementerian Perindustrian"
address = "helpdesk@lpse.example"
[mailboxes.{name}.imap]
host = "127.0.0.1"
security = "none"
port = 1
[mailboxes.{name}.smtp]
host = "127.0.0.1"
security = "none"
port = 1
[database]
url = "{url}"
[web]
listen = "127.0.0.1:0"
"""


Wanted = Iterator[Asked]


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True, slots=True)
class Figure:
    """One page. Times in milliseconds."""

    p50: float
    p95: float
    most: float
    cpu: float  # p95 of this process's processor time alone: what other programs on the machine do not lengthen
    statements: float  # mean number of SQL statements a request
    octets: int  # of the answer's body, median


def pages(database: Database) -> dict[str, Wanted]:
    """Every page by name, as requests that never end."""
    with database.read() as connection:
        deep = {queue: _deep(connection, queue) for queue in Queue}
        drafts = connection.execute(
            select(Reply.ticket_id, Reply.id, Reply.sha256)
            .join(Ticket, Ticket.id == Reply.ticket_id)
            .where(Reply.status == ReplyStatus.DRAFTED, Ticket.status == TicketStatus.NEEDS_APPROVAL)
        ).all()
        over = connection.scalars(
            select(Ticket.id).where(Ticket.status == TicketStatus.ANSWERED).limit(2000)
        ).all()
        waiting = connection.scalars(
            select(Ticket.id).where(Ticket.status == TicketStatus.NEEDS_STAFF).limit(2000)
        ).all()
    by_age = sorted(drafts, key=lambda row: row.ticket_id)
    long, drafted, decided = by_age[:LONG], by_age[LONG : len(by_age) // 2], by_age[len(by_age) // 2 :]
    found: dict[str, Wanted] = {}
    for queue in Queue:
        found[f"queue {queue}"] = _always(f"/antrean?antrean={queue}")
        if deep[queue]:
            found[f"queue {queue}, page {DEEP + 1}"] = _always(
                f"/antrean?antrean={queue}&sesudah={deep[queue]}"
            )
    for queue in (Queue.TO_APPROVE, Queue.ANSWERED, Queue.CLOSED):
        found[f"queue {queue}, one topic"] = _each(f"/antrean?antrean={queue}&topik={{}}", TOPICS)
        found[f"queue {queue}, two months"] = _always(
            f"/antrean?antrean={queue}&sejak={_day(90)}&sampai={_day(30)}&kotak={MAILBOX}"
        )
    return found | {
        "ticket with a draft": _each("/tiket/{}", [row.ticket_id for row in drafted]),
        "ticket with a draft, one topic's queue": _each(
            f"/tiket/{{}}?antrean=to_approve&topik={TOPICS[0]}", [row.ticket_id for row in drafted]
        ),
        f"ticket with {MAILS} mails": _each("/tiket/{}", [row.ticket_id for row in long]),
        "ticket without a draft": _each("/tiket/{}?antrean=needs_answer", waiting),
        "answered ticket": _each("/tiket/{}?antrean=answered", over),
        "search": _each("/cari?kata={}", [urlencode({"": word})[1:] for word in WORDS]),
        "search, one topic": _each(
            f"/cari?topik={TOPICS[0]}&kata={{}}", [urlencode({"": word})[1:] for word in WORDS]
        ),
        "edit": _each("/tiket/{}/sunting", [row.ticket_id for row in drafted]),
        "batch": _each("/sekaligus?topik={}", TOPICS[:3]),
        "help": _always("/bantuan"),
        "reports": _always("/laporan"),
        "topics": _always("/topik"),
        "one topic": _each(f"/topik/{MAILBOX}/{{}}", TOPICS[:3]),
        "autosave": (
            Asked(
                f"/tiket/{row.ticket_id}/simpan", {"dari": str(row.id), "teks": f"Yth.\n\nsurat {number}\n"}
            )
            for number, row in enumerate(_endless(drafted))
        ),
        "approve, with the next ticket": (
            Asked(
                f"/tiket/{row.ticket_id}/setujui",
                {"balasan": str(row.id), "sha256": row.sha256},
                boosted=True,
            )
            for row in decided
        ),
    }


def _endless(values: Sequence[Any]) -> Iterator[Any]:
    chance = random.Random(len(values))
    while True:
        yield chance.choice(values)


def _each(pattern: str, values: Sequence[Any]) -> Wanted:
    return (Asked(pattern.format(value)) for value in _endless(values))


def _always(path: str) -> Wanted:
    return _each(path.replace("{", "{{"), [""])


def _day(ago: int) -> str:
    return (NOW - timedelta(days=ago)).date().isoformat()


def _deep(connection: Connection, queue: Queue) -> str:
    cursor = ""
    for _ in range(DEEP):
        cursor = queues.page(connection, queue, Filters(), NOW - timedelta(hours=10), cursor, 40).next
        if not cursor:
            return ""
    return cursor


def measure(
    ask: Ask, wanted: Wanted, rounds: int, statements: Sequence[str], clock: Clock | None
) -> Figure | None:
    """None when the address is not served."""
    taken, used, sizes = [], [], []
    before = 0
    for count in range(-WARM, rounds):
        asked = next(wanted)
        if count == 0:
            before = len(statements)
        if clock is not None:
            clock.now += timedelta(seconds=1)
        started, working = time.perf_counter(), time.process_time()
        answer = ask(asked)
        spent, worked = (time.perf_counter() - started) * 1000, (time.process_time() - working) * 1000
        if answer.status == 404:
            return None
        assert answer.status == 200, (asked, answer.status, answer.body[:2000])
        if count >= 0:
            taken.append(spent)
            used.append(worked)
            sizes.append(len(answer.body))
    taken.sort()
    return Figure(
        round(taken[rounds // 2], 1),
        round(taken[rounds * 95 // 100], 1),
        round(taken[-1], 1),
        round(sorted(used)[rounds * 95 // 100], 1),
        round((len(statements) - before) / rounds, 1),
        sorted(sizes)[rounds // 2],
    )


def weigh(ask: Ask, path: str) -> dict[str, int]:
    """The first load of a page by a browser that has nothing: requests, and octets as they are sent."""
    page = ask(Asked(path))
    files = [ask(Asked(one)) for one in sorted(set(_FILES.findall(page.body.decode())))]
    return {
        "requests": 1 + len(files),
        "page": len(page.body),
        "files": sum(len(one.body) for one in files),
        "all": len(page.body) + sum(len(one.body) for one in files),
        "later": len(page.body),
        "foreign": len(_FOREIGN.findall(page.body.decode())),
    }


def prepare(database: Database, tickets: int) -> None:
    """Fill the store, make some long conversations, and an account."""
    database.migrate()
    fill(database, tickets, mailbox=MAILBOX)
    with database.begin() as connection:
        accounts.add(connection, NAME, Role.SENIOR, PASSWORD, "bench", NOW)
        drafts = connection.execute(
            select(Reply.ticket_id, Reply.id)
            .where(Reply.status == ReplyStatus.DRAFTED)
            .order_by(Reply.ticket_id)
            .limit(LONG)
        )
        for row in drafts.all():
            _lengthen(connection, row.ticket_id, row.id)


def _lengthen(connection: Connection, ticket_id: int, draft_id: int) -> None:
    """Repeat the ticket's newest mail until it has MAILS; the draft answers the last."""
    table = table_of(Message)
    mail = connection.execute(
        select(table).where(table.c.id == lifecycle.latest_message_id(connection, ticket_id))
    )
    values = dict(mail.mappings().one())
    values.pop("id")
    for number in range(1, MAILS):
        again = values | {
            "uid": values["uid"] + number * 1_000_000,
            "identity": f"{number}-{values['identity']}"[:64],
            "header_id": f"{number}.{values['header_id']}",
        }
        made = connection.execute(insert(table).values(again).returning(table.c.id)).scalar_one()
    connection.execute(update(Reply).where(Reply.id == draft_id).values(message_id=made))


def installation(folder: Path, url: str) -> Path:
    """config.toml of an office whose model is trained."""
    folder.mkdir()
    config = folder / "config.toml"
    config.write_text(_CONFIG.format(name=MAILBOX, url=url))
    make_key(folder / "state" / "secret.key")
    load_or_train(shipped("content"), folder / "state" / "models" / MAILBOX)
    return config


def at_the_application(settings: Settings, database: Database, rounds: int) -> dict[str, Any]:
    statements: list[str] = []
    event.listen(
        database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]), named=False
    )
    clock = Clock()
    app = create_app(settings, database, clock)
    loop = asyncio.new_event_loop()
    try:
        client = Client(app, loop)
        log_in(client)
        found = {
            name: measure(client, wanted, rounds, statements, clock)
            for name, wanted in pages(database).items()
        }
        weights = {
            name: weigh(client, path)
            for name, path in {
                "queue of 40": "/antrean?antrean=to_approve",
                "ticket with a draft": f"/tiket/{_a_draft(database)}",
                "edit": f"/tiket/{_a_draft(database)}/sunting",
            }.items()
        }
    finally:
        app.state.service.close()
        loop.close()
    times = {name: asdict(figure) for name, figure in found.items() if figure is not None}
    return {"pages": times, "weights": weights}


def _a_draft(database: Database) -> int:
    with database.read() as connection:
        page = queues.page(connection, Queue.TO_APPROVE, Filters(), NOW, "", 1)
    assert page.rows[0].ticket_id is not None
    return page.rows[0].ticket_id


def over_http(config: Path, database: Database, rounds: int) -> dict[str, Any]:
    """The same from a process of its own."""
    command = [sys.executable, "-m", "responder", "web", "--config", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        address = next(line for line in process.stdout if line.startswith("pages: ")).split()[1]
        remote = Remote(urlsplit(address).netloc)
        log_in(remote)
        found = {name: measure(remote, wanted, rounds, [], None) for name, wanted in pages(database).items()}
    finally:
        process.terminate()
        process.wait(60)
    return {"pages": {name: asdict(figure) for name, figure in found.items() if figure is not None}}


def report(result: dict[str, Any]) -> str:
    """The tables of docs/performance.md."""
    columns = [name for name in ("sqlite", "postgresql", "http") if name in result]
    titles = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "http": "SQLite, over HTTP"}
    lines = [
        "| page | "
        + " | ".join(f"{titles[one]}: p50 / p95 / max ms" for one in columns)
        + " | CPU p95 ms | statements | KB |",
        "|---|" + "---|" * (len(columns) + 3),
    ]
    for name, first in result[columns[0]]["pages"].items():
        cells = []
        for column in columns:
            one = result[column]["pages"].get(name)
            cells.append("–" if one is None else f"{one['p50']:.0f} / {one['p95']:.0f} / {one['most']:.0f}")
        cells += [f"{first['cpu']:.0f}", f"{first['statements']:.0f}", f"{first['octets'] / 1024:.0f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        "| first load | requests | page KB | with its files KB | to other hosts |",
        "|---|---|---|---|---|",
    ]
    for name, weight in result[columns[0]]["weights"].items():
        lines.append(
            f"| {name} | {weight['requests']} | {weight['page'] / 1024:.1f} | {weight['all'] / 1024:.1f} | "
            f"{weight['foreign']} |"
        )
    return "\n".join(lines)


def missed(result: dict[str, Any]) -> list[str]:
    """What is over its target."""
    found = []
    for column in result.keys() & {"sqlite", "postgresql", "http"}:
        for name, one in result[column]["pages"].items():
            if one["p95"] > TARGET_MS and ("queue" in name or "ticket" in name):
                found.append(f"{column}: {name}: p95 {one['p95']} ms")
        for name, weight in result[column].get("weights", {}).items():
            if weight["all"] > TARGET_BYTES or weight["foreign"]:
                found.append(
                    f"{column}: {name}: {weight['all']} octets, {weight['foreign']} foreign addresses"
                )
    return sorted(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=TICKETS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--sqlite-only", action="store_true")
    given = parser.parse_args()
    result: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "tickets": given.tickets,
        "rounds": given.rounds,
        "machine": {"cpus": os.cpu_count(), "load": os.getloadavg(), "python": platform.python_version()},
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = {"sqlite": f"sqlite:///{folder}/sqlite/state/responder.db"}
        if not given.sqlite_only:
            urls["postgresql"] = stack.enter_context(Postgres()).database()
        for name, url in urls.items():
            config = installation(folder / name, url)
            database = Database(url)
            stack.callback(database.close)
            prepare(database, given.tickets)
            result[name] = at_the_application(load(config), database, given.rounds)
            if name == "sqlite":
                result["http"] = over_http(config, database, given.rounds)
    print(report(result))
    problems = missed(result)
    print("\n".join(problems) or "every target is met")
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps({**result, "missed": problems}, indent=1) + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
