"""Let the whole service run under steady mail and see whether it stays as it was: memory, descriptors, latency.

    python -m bench.soak [--minutes 30] [--rate 20] [--calm] [--json FILE]     (make soak MINUTES=30 RATE=20)

A real `responder run` with IDLE and pages, a Dovecot and an SMTP sink of its own. Vendors write at the rate, an officer
approves drafts, monitoring looks, the configuration is read again; unless --calm, the SMTP server is away for a minute
and the IMAP server restarts. Exit 1 when memory or descriptors grow, or a mail or reply is lost or doubled.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.journeys import Journeys
from bench.office import NAMES, ROOT, BenchOffice, Sink, mail_server, sink
from bench.surroundings import Monitoring, Site, Staff, Vendors, leave_some_to_staff, open_account
from bench.verdict import Account, settle
from bench.vitals import Trend, Vitals, look, spread, trend
from tests.servers import HOST, Dovecot, MailDevel, free_port

POLL_SECONDS = 5
SAMPLE_SECONDS = 2.0
WARM_UP_SECONDS = 300.0  # of a run of 30 minutes: caches fill, and the first configuration is left behind
RELOAD_SECONDS = 300.0
SMTP_AWAY_SECONDS = 60.0
IMAP_AWAY_SECONDS = 3.0
SMTP_AWAY_AT, IMAP_AWAY_AT = 0.4, 0.65  # of the run
DRAIN_SECONDS = 300.0
MOST_GROWTH = 0.05  # of resident memory after the warm-up
MOST_DESCRIPTORS = 3.0  # connections come and go, the line through the samples moves by less
STOP_SECONDS = 10.0
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at everything."""

    at: float  # seconds since the start
    vitals: Vitals
    database_mb: float  # with its log
    backlog: int
    replies: int


@dataclass
class Soak:
    """One run and what it saw."""

    office: BenchOffice
    server: Dovecot | MailDevel
    sink: Sink
    site: Site
    seconds: float
    rate: float
    calm: bool
    samples: list[Sample] = field(default_factory=list)
    happened: list[tuple[float, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    stopped_in: float = 0.0
    _began: float = field(default_factory=time.monotonic)

    def run(self) -> tuple[Journeys, Account, int]:
        """Serve for the whole time, finish what waits, stop; return journeys, account and approvals."""
        with self._daemon() as daemon, ExitStack() as stack:
            database = self.office.database()
            stack.callback(database.close)
            self._wait_for_pages()
            vendors, staff = Vendors(self.office, self.rate), Staff(self.site)
            journeys = Journeys(database, self.sink, vendors.delivered_at)
            actors = [vendors, staff, Monitoring(self.site)]
            self._began = time.monotonic()
            with ExitStack() as acting:
                for actor in actors:
                    acting.enter_context(actor)
                self._watch(daemon, journeys)
            self.failures += [f"{type(one).__name__}: {one.failure!r}" for one in actors if one.failure]
            self._drain(daemon, journeys)
        return journeys, settle(self.office, self.sink), staff.approved

    @property
    def now(self) -> float:
        """Seconds since the first mail."""
        return time.monotonic() - self._began

    @contextmanager
    def _daemon(self) -> Iterator[subprocess.Popen[bytes]]:
        """`responder run`, asked to end afterwards."""
        # Visits to the links of answers would leave this machine.
        environment = {**os.environ, "RESPONDER_SCHEDULE__LINKS": ""}
        with (self.office.directory / "daemon.log").open("ab") as log:
            process = subprocess.Popen(
                self.office.command("run"), cwd=ROOT, stdout=log, stderr=log, env=environment
            )
        try:
            yield process
        finally:
            asked = time.monotonic()
            process.terminate()
            status = process.wait(60)
            self.stopped_in = time.monotonic() - asked
            if status or self.stopped_in > STOP_SECONDS:
                self.failures.append(f"the service ended with {status} after {self.stopped_in:.1f} s")

    def _wait_for_pages(self) -> None:
        end = time.monotonic() + START_SECONDS
        while not self.site.ask("/healthz"):
            if time.monotonic() > end:
                raise TimeoutError("the pages did not come up")
            time.sleep(0.2)
        self.site.answers.clear()
        self.site.log_in()

    def _events(self, daemon: subprocess.Popen[bytes]) -> list[tuple[float, str, Callable[[], None]]]:
        """(seconds, name, action) of what happens to the service, in order."""
        every = min(RELOAD_SECONDS, self.seconds / 6)
        found: list[tuple[float, str, Callable[[], None]]] = [
            (every * number, "SIGHUP", lambda: daemon.send_signal(signal.SIGHUP))
            for number in range(1, int(self.seconds / every))
        ]
        if not self.calm and isinstance(self.server, Dovecot):  # mail-devel would forget its mail
            at = self.seconds * SMTP_AWAY_AT
            found.append((at, "SMTP server away", self.sink.stop))
            found.append(
                (at + min(SMTP_AWAY_SECONDS, self.seconds / 10), "SMTP server back", self.sink.start)
            )
            at = self.seconds * IMAP_AWAY_AT
            found.append((at, "IMAP server away", self.server.stop))
            found.append((at + IMAP_AWAY_SECONDS, "IMAP server back", self.server.start))
        return sorted(found, key=lambda event: event[0])

    def _watch(self, daemon: subprocess.Popen[bytes], journeys: Journeys) -> None:
        """Let happen what is due, take samples, print a line a minute."""
        events = self._events(daemon)
        print(_HEAD, flush=True)
        minute = _Minute(journeys, self.samples)
        while self.now < self.seconds:
            if daemon.poll() is not None:
                raise RuntimeError(f"the service ended with {daemon.returncode} in the middle of the run")
            while events and events[0][0] <= self.now:
                _, name, action = events.pop(0)
                action()
                self.happened.append((round(self.now, 1), name))
                print(f"       {name}", flush=True)
            self._sample(daemon, journeys)
            minute.over(self.now)
            time.sleep(SAMPLE_SECONDS)
        self._sample(daemon, journeys)
        minute.over(self.now)

    def _sample(self, daemon: subprocess.Popen[bytes], journeys: Journeys) -> None:
        journeys.follow()
        files = (self.office.directory / "state").glob("responder.db*")
        size = sum(file.stat().st_size for file in files) / 1e6
        self.samples.append(Sample(self.now, look(daemon.pid), size, journeys.backlog, journeys.replies))

    def _drain(self, daemon: subprocess.Popen[bytes], journeys: Journeys) -> None:
        """Wait until everything that can be done at once is done."""
        end = time.monotonic() + DRAIN_SECONDS
        journeys.follow()
        while waiting := journeys.unfinished():
            if time.monotonic() > end or daemon.poll() is not None:
                self.failures.append(f"{waiting} mails, replies and filings still wait")
                return
            time.sleep(1)
            journeys.follow()


_HEAD = (
    "minute  RSS MB (anonymous, first process)   fds  threads   DB MB   CPU %  backlog   replies   "
    "to ticket s: p50/p95/max     to reply s: p50/p95/max"
)


class _Minute:
    """Prints what happened since the last line."""

    def __init__(self, journeys: Journeys, samples: list[Sample]) -> None:
        self._journeys = journeys
        self._samples = samples
        self._number = 1
        self._handled = self._answered = self._replies = self._first = 0
        self._cpu, self._at = 0.0, 0.0

    def over(self, now: float) -> None:
        """Print the line when the minute is over."""
        if now < self._number * 60:
            return
        journeys, last = self._journeys, self._samples[-1]
        if not self._at:
            self._cpu, self._at = self._samples[0].vitals.cpu, self._samples[0].at
        # Both dictionaries grow at their end only.
        handled = list(journeys.handled.values())[self._handled :]
        answered = list(journeys.answered.values())[self._answered :]
        vitals = last.vitals
        busy = (vitals.cpu - self._cpu) / (last.at - self._at) * 100
        print(
            f"{self._number:6}  {vitals.rss_mb:6.1f} ({vitals.anonymous_mb:6.1f}, {vitals.root_rss_mb:6.1f})"
            f"{vitals.descriptors:17}{vitals.threads:9}{last.database_mb:8.0f}{busy:8.0f}{last.backlog:9}"
            f"{last.replies:10}      {seconds(handled):24}     {seconds(answered)}",
            flush=True,
        )
        self._handled, self._answered = len(journeys.handled), len(journeys.answered)
        self._cpu, self._at = vitals.cpu, last.at
        self._number += 1


def seconds(values: list[float]) -> str:
    return " / ".join(f"{one:.2f}" for one in spread(values))


@dataclass(frozen=True, slots=True)
class Result:
    """What the samples after the warm-up come to."""

    memory: Trend
    anonymous: Trend
    descriptors: Trend
    threads: Trend
    problems: tuple[str, ...]


def judge(soak: Soak, account: Account) -> Result:
    """Draw the lines and name what must not be."""
    warm = min(WARM_UP_SECONDS, soak.seconds / 3)
    kept = [one for one in soak.samples if one.at >= warm]
    memory = trend([(one.at, one.vitals.rss_mb) for one in kept])
    anonymous = trend([(one.at, one.vitals.anonymous_mb) for one in kept])
    descriptors = trend([(one.at, one.vitals.descriptors) for one in kept])
    threads = trend([(one.at, one.vitals.threads) for one in kept])
    problems = [*soak.failures, *account.problems]
    if memory.growth > MOST_GROWTH:
        problems.append(f"resident memory grew by {memory.growth:.1%} after the warm-up")
    for name, line in (("descriptors", descriptors), ("threads", threads)):
        if line.last - line.first > MOST_DESCRIPTORS:
            problems.append(f"{name} grew from {line.first:.1f} to {line.last:.1f}")
    if soak.calm and (unsettled := account.replies.get("uncertain", 0) + account.replies.get("failed", 0)):
        problems.append(f"{unsettled} replies are uncertain or failed although no server was away")
    problems += [
        f"{times} times {answer}"
        for answer, times in soak.site.answers.items()
        if not answer.endswith(("200", "409"))  # 409: a vendor wrote again, or the draft was decided
    ]
    return Result(memory, anonymous, descriptors, threads, tuple(problems))


def table(
    soak: Soak, journeys: Journeys, account: Account, approved: int, result: Result
) -> list[tuple[str, str]]:
    """The figures for people."""
    first, last = soak.samples[0], soak.samples[-1]
    cpu = last.vitals.cpu - first.vitals.cpu
    delivered = len(journeys.delivered_at)

    def line(of: Trend, unit: str) -> str:
        return f"{of.first:.1f} → {of.last:.1f}{unit} ({of.growth:+.1%}; {of.slope * 60:+.3f}{unit} a minute)"

    return [
        ("mails delivered", f"{delivered:,} in {soak.seconds / 60:.0f} minutes ({soak.rate:g}/s)"),
        ("tickets", f"{len(journeys.handled):,}; by reconcile {account.states}"),
        ("replies at the SMTP server", f"{account.at_sink:,}; {approved:,} drafts approved by staff"),
        ("replies by state", ", ".join(f"{count:,} {name}" for name, count in account.replies.items())),
        ("lost / doubled", f"{account.lost} / {account.doubled}"),
        ("resident memory, line after warm-up", line(result.memory, " MB")),
        ("of that anonymous", line(result.anonymous, " MB")),
        ("resident memory, highest", f"{max(one.vitals.rss_mb for one in soak.samples):.1f} MB"),
        ("file descriptors", line(result.descriptors, "")),
        ("threads", line(result.threads, "")),
        ("database", f"{first.database_mb:.0f} → {last.database_mb:.0f} MB"),
        ("CPU", f"{cpu:.0f} s: {cpu / delivered * 1000:.1f} s per 1,000 mails"),
        ("backlog, highest", f"{max(one.backlog for one in soak.samples):,} mails"),
        ("delivery to ticket, p50 / p95 / max", f"{seconds(list(journeys.handled.values()))} s"),
        ("delivery to first reply, p50 / p95 / max", f"{seconds(list(journeys.answered.values()))} s"),
        ("slowest page", f"{soak.site.slowest:.2f} s of {sum(soak.site.answers.values()):,} requests"),
        ("end after SIGTERM", f"{soak.stopped_in:.1f} s"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=20, help="mails a second")
    parser.add_argument("--calm", action="store_true", help="no server goes away")
    parser.add_argument("--json", type=Path, help="write samples and figures here as well")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        with mail_server(NAMES[:1]) as server, sink(folder / "sink.log") as taken:
            port = free_port()
            web = f'[web]\nenabled = true\nlisten = "{HOST}:{port}"\n'
            office = BenchOffice(folder / "office", server, taken.port, poll_seconds=POLL_SECONDS, more=web)
            office.arm(folder / "model")
            leave_some_to_staff(office)
            site = Site(f"http://{HOST}:{port}", open_account(office))
            soak = Soak(office, server, taken, site, given.minutes * 60, given.rate, given.calm)
            journeys, account, approved = soak.run()
            log = (office.directory / "daemon.log").read_text(errors="replace").splitlines()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result = judge(soak, account)
    rows = table(soak, journeys, account, approved, result)
    print(f"\nPython {platform.python_version()}, {os.cpu_count()} cores, {datetime.now(UTC):%Y-%m-%d}\n")
    print("| figure | value |\n| --- | --- |")
    for name, value in rows:
        print(f"| {name} | {value} |")
    for problem in result.problems:
        print(f"PROBLEM: {problem}")
    if given.json:
        kept = {
            "rows": dict(rows),
            "result": asdict(result),
            "account": asdict(account),
            "happened": soak.happened,
            "answers": soak.site.answers,
            "log": log,
            "samples": [asdict(one) for one in soak.samples],
            "machine": platform.platform(),
        }
        given.json.write_text(json.dumps(kept, indent=1) + "\n")
    sys.exit(bool(result.problems))


if __name__ == "__main__":
    main()
