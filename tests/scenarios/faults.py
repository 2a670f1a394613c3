"""The fault harness: real nodes on real servers, killed and cut off at any point, and the count of what is left.

Mails of vendors are answered automatically, so every one of them goes the whole way: fetched, stored, handled,
drafted, queued, sent, filed. After the faults one undisturbed node finishes the work, then mails at the SMTP server
and rows in the store are counted.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from responder.config import ImapServer, SmtpServer
from responder.tickets import audit, switches
from responder.tickets.database import Database
from responder.tickets.models import Message, Reply
from responder.tickets.status import Disposition, Filing, ReplyStatus
from tests.imap_proxy import ImapProxy
from tests.mails import build_mail
from tests.scenarios.installation import AUTHSERV_ID, OFFICE, ROOT, SENT, Installation
from tests.servers import HOST, Dovecot, wait_until
from tests.watched_smtp import WatchedSmtp

TOPIC = "lupa-password"
QUESTION = "Kami lupa password akun LPSE. Bagaimana cara reset password? Email terdaftar masih aktif."
SECOND_OFFICE = "helpdesk@lpse-daerah.example"
SETTINGS = """[policy]
undo_seconds = 0
mode = "auto"
require_evidence = false
audit_share = 0
[policy.brakes]
per_hour = 100000
[schedule]
poll = 1
idle = false
"""

SMTP_POINTS = ("connect", "ehlo", "mail", "rcpt", "data", "body", "dot", "kept", "quit")
IMAP_POINTS = (
    "after LOGIN",
    "before EXAMINE",
    "after FETCH",
    "before APPEND",
    "after APPEND",
    "before STORE",
    "after STORE",
    "before NOOP",
)


class FaultBackend:
    """Mailboxes on Dovecot behind a proxy; replies go to an SMTP server of the tests."""

    name = "faults"

    def __init__(self, dovecot: Dovecot, proxy: ImapProxy, sink: WatchedSmtp) -> None:
        self.dovecot = dovecot
        self.proxy = proxy
        self.sink = sink

    def imap(self) -> ImapServer:
        return self.dovecot.imap(OFFICE).model_copy(update={"port": self.proxy.port})

    def smtp(self) -> SmtpServer:
        return self.sink.settings()

    def deliver(self, data: bytes) -> None:
        self.dovecot.deliver(data, user=OFFICE)

    def received_by(self, address: str) -> list[bytes]:
        return [mail.data for mail in self.sink.mails if mail.recipient == address]


@dataclass
class Count:
    """What is left after the faults."""

    faults: str
    kills: int
    mails: int  # delivered by vendors
    ledger: dict[str, int]  # disposition → rows
    replies: dict[str, int]  # status → rows
    at_server: int  # mails that the SMTP server took
    twice: list[str]  # recipients that got more than one
    sent_lacking: list[str]  # recipients whose reply counts as sent but is not at the server
    filed_twice: int
    broken_chains: list[int]
    seconds: float

    def row(self) -> str:
        """One row of the table in docs/reliability.md."""
        cells: list[Any] = [
            self.faults,
            self.kills,
            self.mails,
            self.mails - self.ledger.get("ticketed", 0),
            len(self.twice) + self.ledger.get("duplicate", 0) + self.filed_twice,
            self.replies.get("sent", 0),
            self.replies.get("uncertain", 0),
            self.at_server,
            f"{self.seconds:.0f} s",
        ]
        return "| " + " | ".join(str(cell) for cell in cells) + " |"


HEADINGS = (
    "faults",
    "kills",
    "mails",
    "lost",
    "doubled",
    "sent",
    "uncertain",
    "at the SMTP server",
    "time",
)


@dataclass
class Fleet:
    """One installation with any number of nodes."""

    office: Installation
    dovecot: Dovecot
    proxy: ImapProxy
    sink: WatchedSmtp
    database: Database
    offices: tuple[str, ...] = (OFFICE,)
    nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    kills: int = 0
    started: float = field(default_factory=time.monotonic)
    delivered: list[str] = field(default_factory=list)

    def start(self) -> subprocess.Popen[bytes]:
        """Start one more node."""
        with (self.office.directory / "log").open("ab") as log:
            node = subprocess.Popen(
                self.office.arguments("run"), cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        self.nodes.append(node)
        return node

    @property
    def log(self) -> str:
        return (self.office.directory / "log").read_text(errors="replace")

    def deliver(self, count: int = 1) -> None:
        """Deliver mails of `count` vendors, each to the next of the offices."""
        for _ in range(count):
            number = len(self.delivered) + 1
            vendor = f"admin@vendor{number}.example"
            office = self.offices[number % len(self.offices)]
            verdict = f"{AUTHSERV_ID}; dmarc=pass header.from=vendor{number}.example"
            mail = build_mail(
                f"Lupa password {number}",
                QUESTION,
                sender=f"Ratna Dewi <{vendor}>",
                to=office,
                headers={"Authentication-Results": verdict},
                message_id=f"{number}@vendor{number}.example",
            )
            self.dovecot.deliver(mail, user=office)
            self.delivered.append(vendor)

    def kill(self, node: subprocess.Popen[bytes]) -> None:
        """kill -9."""
        node.send_signal(signal.SIGKILL)
        node.wait(30)
        self.nodes.remove(node)
        self.kills += 1

    def kill_at(self, point: str) -> None:
        """Start a node with two mails to answer and kill it when the dialogue with a server comes to `point`."""
        server = self.sink if point in SMTP_POINTS else self.proxy
        dead = threading.Event()
        ready = threading.Event()

        def kill() -> None:
            ready.wait(30)
            self.kill(node)
            dead.set()

        server.once(point, kill)
        self.deliver(2)
        node = self.start()
        ready.set()
        assert dead.wait(60), f"no node came to {point}:\n{self.log}"

    def kill_at_random(self, node: subprocess.Popen[bytes], rng: random.Random) -> None:
        """Kill `node` at any moment of a round in which it answers mails."""
        self.deliver(rng.randint(1, 4))
        time.sleep(rng.uniform(0, 1.2))
        self.kill(node)

    def signed_in(self, start_node: bool = True) -> subprocess.Popen[bytes]:
        """Start a node and wait until it is at work."""
        at_work = threading.Event()
        self.proxy.once("after LOGIN", at_work.set)
        node = self.start()
        assert at_work.wait(60), self.log
        return node

    def wait_for(self, words: str, times: int) -> None:
        """Wait until the nodes have logged `words` so often."""
        wait_until(lambda: self.log.count(words) >= times, f"{times} times {words!r} in the log")

    def finish(self, patience: float = 60) -> None:
        """Let one undisturbed node do the rest, then stop all."""
        self.proxy.when.clear()
        self.sink.when.clear()
        self.sink.repair()
        if not self.nodes:
            self.start()
        end = time.monotonic() + patience
        while self._unfinished():
            assert time.monotonic() < end, f"{self._unfinished()}\n{self.log[-6000:]}"
            time.sleep(0.1)
        self.stop()

    def stop(self) -> None:
        for node in self.nodes:
            node.terminate()
        for node in self.nodes:
            node.wait(60)
        self.nodes.clear()

    def _unfinished(self) -> dict[str, int]:
        with self.database.read() as connection:
            handled = connection.scalar(
                select(func.count()).where(
                    Message.disposition.in_([Disposition.TICKETED, Disposition.DUPLICATE])
                )
            )
            waiting = connection.scalar(
                select(func.count()).where(
                    Reply.status.in_([ReplyStatus.APPROVED, ReplyStatus.SENDING])
                    | (Reply.filing == Filing.PENDING)
                )
            )
        left = {"mails": len(self.delivered) - (handled or 0), "replies": waiting or 0}
        return {what: number for what, number in left.items() if number > 0}

    def count(self, faults: str) -> Count:
        with self.database.read() as connection:
            ledger = Counter(
                row.disposition.value
                for row in connection.execute(
                    select(Message.disposition).where(Message.disposition != Disposition.BASELINE)
                )
            )
            replies = connection.execute(select(Reply.recipient, Reply.status)).all()
            broken = audit.broken_chains(connection)
        got = Counter(mail.recipient for mail in self.sink.mails)
        return Count(
            faults=faults,
            kills=self.kills,
            mails=len(self.delivered),
            ledger=dict(ledger),
            replies=dict(Counter(row.status.value for row in replies)),
            at_server=len(self.sink.mails),
            twice=sorted(address for address, number in got.items() if number > 1),
            sent_lacking=[
                row.recipient for row in replies if row.status == "sent" and row.recipient not in got
            ],
            filed_twice=self._filed_twice(),
            broken_chains=broken,
            seconds=time.monotonic() - self.started,
        )

    def _filed_twice(self) -> int:
        ids: Counter[bytes] = Counter()
        for office in self.offices:
            with self.dovecot.client(office, SENT) as client:
                uids = client.search("ALL")
                fetched = client.fetch(uids, ["BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"]) if uids else {}
                ids.update(item[b"BODY[HEADER.FIELDS (MESSAGE-ID)]"].strip() for item in fetched.values())
        return sum(number - 1 for number in ids.values())


def assert_nothing_lost_or_doubled(count: Count, uncertain_at_most: int) -> None:
    """0 lost, 0 doubled; uncertain is what was in flight, at most."""
    assert count.ledger == {"ticketed": count.mails}, count
    assert count.twice == [], count
    assert count.filed_twice == 0, count
    assert count.sent_lacking == [], count
    assert count.broken_chains == [], count
    uncertain = count.replies.get("uncertain", 0)
    assert count.replies.get("sent", 0) + uncertain == count.mails, count
    assert uncertain <= uncertain_at_most, count


@contextlib.contextmanager
def fleet(
    directory: Path, models: Path, url: str = "", offices: tuple[str, ...] = (OFFICE,)
) -> Iterator[Fleet]:
    """An armed installation on Dovecot, with `url` as its database (by default SQLite), and no node yet."""
    with Dovecot(offices) as dovecot, ImapProxy(dovecot.port) as proxy, WatchedSmtp() as sink:
        backend = FaultBackend(dovecot, proxy, sink)
        settings = SETTINGS + (f'[database]\nurl = "{url}"\n' if url else "")
        office = Installation(directory / "office", backend, models, settings=settings)
        if len(offices) > 1:
            shutil.copytree(
                office.directory / "state/models/kemenperin", office.directory / "state/models/daerah"
            )
            with office.config.open("a") as config:
                config.write(_second_mailbox(proxy.port, sink.port))
        office.run("poll")
        database = Database(url or f"sqlite:///{office.directory}/state/responder.db")
        with database.begin() as connection:
            switches.arm(connection, "test", datetime.now(UTC))
            for name in ("kemenperin", "daerah"):
                switches.set_level(connection, name, TOPIC, switches.AUTOMATIC, "test", datetime.now(UTC))
        made = Fleet(office, dovecot, proxy, sink, database, offices)
        try:
            yield made
        finally:
            for node in made.nodes:
                node.kill()
                node.wait(30)
            database.close()


def _second_mailbox(imap: int, smtp: int) -> str:
    login = f'username = "{SECOND_OFFICE}"\npassword_file = "password"\n'
    return f"""
[mailboxes.daerah]
unit = "LPSE Daerah"
address = "{SECOND_OFFICE}"
authserv_id = "{AUTHSERV_ID}"
content = "{ROOT / "content"}"
templates = "{ROOT / "templates"}"
[mailboxes.daerah.imap]
host = "{HOST}"
port = {imap}
security = "none"
{login}
[mailboxes.daerah.smtp]
host = "{HOST}"
port = {smtp}
security = "none"
"""


def long_run() -> bool:
    """Whether `make faults` asked for the long run."""
    return os.environ.get("RESPONDER_FAULTS") == "long"
