"""An installation for the benchmarks: real mailboxes on disk, an SMTP sink, and the real command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench import inbox
from bench.accounting import Cost, run
from responder.config import load
from responder.pipeline.office import make_key, offices
from responder.tickets import switches
from responder.tickets.database import Database
from tests.servers import DOVECOT, HOST, PASSWORD, Dovecot, MailDevel

ROOT = Path(__file__).parents[1]
NAMES = ("satu", "dua", "tiga")

_MAILBOX = """[mailboxes.{name}]
unit = "LPSE {name}"
address = "{address}"
authserv_id = "{authserv_id}"
content = "{root}/content"
templates = "{root}/templates"
[mailboxes.{name}.imap]
host = "{host}"
port = {imap}
security = "none"
username = "{address}"
password_file = "password"
[mailboxes.{name}.smtp]
host = "{host}"
port = {smtp}
security = "none"
"""
_REST = """[policy]
mode = "auto"
require_evidence = false
audit_share = 0
acknowledge = true
undo_seconds = 0
[policy.brakes]
per_hour = 1000000
[schedule]
poll = {poll}
[database]
url = "{url}"
[logging]
level = "warning"
"""


def address(name: str) -> str:
    return f"{name}@lpse.example"


@dataclass
class Sink:
    """The SMTP server of `bench/sink.py`."""

    spool: Path
    delay: float = 0
    port: int = 0
    process: subprocess.Popen[str] | None = None

    def taken(self) -> list[list[str]]:
        """(time, octets, recipient, answered id, own id) of every mail."""
        return [line.split("\t") for line in self.spool.read_text().splitlines()]

    def connected(self) -> list[float]:
        """The time of every connection."""
        return [float(line) for line in self.spool.with_suffix(".connections").read_text().splitlines()]

    def start(self) -> None:
        """Start, after a `stop` on the same port and with the same spool."""
        command = [
            sys.executable,
            str(ROOT / "bench/sink.py"),
            *map(str, (self.spool, self.delay, self.port)),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def stop(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.communicate()


@contextmanager
def sink(spool: Path, delay: float = 0) -> Iterator[Sink]:
    made = Sink(spool, delay)
    spool.touch()
    made.start()
    try:
        yield made
    finally:
        made.stop()


@contextmanager
def mail_server(names: Sequence[str]) -> Iterator[Dovecot | MailDevel]:
    """Dovecot with Maildirs on disk; mail-devel, which keeps mail in memory, where Dovecot is missing."""
    users = tuple(address(name) for name in names)
    with Dovecot(users) if DOVECOT.exists() else MailDevel(users[0]) as server:
        yield server


@dataclass
class BenchOffice:
    """A directory with config.toml, state and secret."""

    directory: Path
    server: Dovecot | MailDevel
    smtp_port: int
    url: str = ""
    names: Sequence[str] = NAMES[:1]
    imap_port: int = 0  # of a proxy; 0: the server's own
    poll_seconds: int = 1
    more: str = ""
    delivered: Counter[str] = field(default_factory=Counter)
    pool: Sequence[inbox.Text] = ()

    def __post_init__(self) -> None:
        (self.directory / "state").mkdir(parents=True)
        (self.directory / "password").write_text(PASSWORD)
        self.url = self.url or f"sqlite:///{self.directory}/state/responder.db"
        self.write_config()
        make_key(self.directory / "state/secret.key")

    @property
    def config(self) -> Path:
        return self.directory / "config.toml"

    def write_config(self) -> None:
        port = self.imap_port or self.server.imap(address(self.names[0])).effective_port
        mailboxes = (
            _MAILBOX.format(
                name=name,
                address=address(name),
                authserv_id=inbox.AUTHSERV_ID,
                root=ROOT,
                host=HOST,
                imap=port,
                smtp=self.smtp_port,
            )
            for name in self.names
        )
        rest = _REST.format(poll=self.poll_seconds, url=self.url)
        self.config.write_text("".join(mailboxes) + rest + self.more)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "responder", *arguments, "--config", str(self.config)]

    def poll(self, environment: dict[str, str] | None = None) -> Cost:
        """One round by a process of its own."""
        return run(self.command("poll", "--json"), ROOT, environment)

    def arm(self, models: Path) -> None:
        """Train (or take the model from `models`), connect for the first time, arm, let sound topics answer alone."""
        served = offices(load(self.config))
        first = served[self.names[0]]
        if models.exists():
            for name in self.names:
                shutil.copytree(models, self.directory / "state/models" / name)
        else:
            first.train()
            shutil.copytree(first.model_file.parent, models)
            for name in self.names[1:]:
                shutil.copytree(models, self.directory / "state/models" / name)
        today = datetime.now(UTC).date()
        sound = frozenset(slug for slug, topic in first.topics.items() if not topic.problems(today))
        self.pool = inbox.texts(first.classifier, list(first.topics.values()), sound)
        started = self.poll()
        assert started.status == 0, started.output
        database = self.database()
        with database.begin() as connection:
            switches.arm(connection, "bench", datetime.now(UTC))
            for name in self.names:
                for slug in sound:
                    switches.set_level(connection, name, slug, switches.AUTOMATIC, "bench", datetime.now(UTC))
        database.close()

    def database(self) -> Database:
        return Database(self.url)

    def deliver(self, count: int, name: str = "", attachment: int = 0) -> None:
        """Put `count` mails into the inbox of `name`, numbered after all that were delivered before."""
        name = name or self.names[0]
        first = sum(self.delivered.values())
        numbers = range(first, first + count)
        now = datetime.now(UTC)
        self._put(name, (inbox.mail(self.pool, one, address(name), now, attachment) for one in numbers))
        self.delivered[name] += count

    def _put(self, name: str, mails: Iterable[bytes]) -> None:
        if isinstance(self.server, MailDevel):
            for mail in mails:
                self.server.deliver(mail, to=address(name))
            return
        maildir = self.server.directory / "mail" / address(name) / "Maildir"
        owner = (maildir / "new").stat()
        for mail in mails:
            file = f"{datetime.now(UTC).timestamp():.6f}.{os.urandom(4).hex()}.bench,S={len(mail)}"
            path = maildir / "tmp" / file
            path.write_bytes(mail)
            os.chown(path, owner.st_uid, owner.st_gid)
            # As Maildir wants it: a server that reads along never sees half a mail.
            path.rename(maildir / "new" / file)

    def check(self, taken: Sink) -> None:
        """Exactly one reply for each mail delivered, and none to anybody else. Raises AssertionError."""
        got = Counter(line[2] for line in taken.taken())
        wanted = {inbox.vendor(number) for number in range(sum(self.delivered.values()))}
        doubled = [one for one, times in got.items() if times > 1]
        assert not doubled, f"{len(doubled)} got more than one reply, such as {doubled[0]}"
        assert not wanted - got.keys(), (
            f"{len(wanted - got.keys())} got no reply, such as {next(iter(wanted - got.keys()))}"
        )
        assert not got.keys() - wanted, f"a reply to {next(iter(got.keys() - wanted))}, who did not write"
