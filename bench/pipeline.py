"""Measure the whole pipeline: from the inbox to the acknowledgement at the SMTP server, with real processes.

    python bench/pipeline.py [--rows bulk,limits,...] [--json FILE] [N ...]     (make bench N="100 1000")

Prints one table: what must be reached, what was measured, and the raw limits of this machine in the same run, of
which each figure is a share. CPU seconds are what the operating system counted for the process and its children.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from sqlalchemy import func, select

from bench import inbox, limits
from bench.accounting import Cost, cpu_of, run, syncs
from bench.office import NAMES, ROOT, BenchOffice, Sink, address, mail_server, sink
from responder.tickets.models import Reply
from tests.imap_proxy import CountingProxy
from tests.postgres import Postgres
from tests.servers import DOVECOT, wait_until

SIZES = (100, 1_000, 5_000, 20_000)
OLD_MAILS = 10_000
IDLE_SECONDS = 10
SLOW_ANSWER = 0.3  # seconds for each group of SMTP commands
SLOW_REPLIES = 30
REPEATS = 5
_PARTS = ("fetch a whole mail", "parse a whole mail", "send one")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str
    measured: str
    must: str = ""
    goal: str = ""
    beside: str = ""  # the raw limit that it is a share of, or how it was measured


@dataclass
class Bench:
    """One run: where it works, what it found."""

    directory: Path
    sizes: tuple[int, ...]
    rows: list[Row] = field(default_factory=list)
    raw: dict[str, object] = field(default_factory=dict)
    limits: dict[str, limits.Limit] = field(default_factory=dict)
    made: int = 0

    def add(self, what: str, measured: str, must: str = "", goal: str = "", beside: str = "") -> None:
        self.rows.append(Row(what, measured, must, goal, beside))
        print(f"  {what}: {measured}", file=sys.stderr, flush=True)

    @contextmanager
    def office(
        self,
        *,
        names: tuple[str, ...] = NAMES[:1],
        url: str = "",
        delay: float = 0,
        proxied: bool = False,
        more: str = "",
    ) -> Iterator[tuple[BenchOffice, Sink, CountingProxy | None]]:
        """An armed installation with empty inboxes; gone afterwards."""
        self.made += 1
        folder = self.directory / str(self.made)
        folder.mkdir()
        with ExitStack() as stack:
            server = stack.enter_context(mail_server(names))
            taken = stack.enter_context(sink(folder / "sink.log", delay))
            proxy = None
            if proxied:
                proxy = stack.enter_context(CountingProxy(server.imap(address(names[0])).effective_port))
            made = BenchOffice(
                folder / "office",
                server,
                taken.port,
                url=url,
                names=names,
                imap_port=proxy.port if proxy else 0,
                more=more,
            )
            made.arm(self.directory / "model")
            yield made, taken, proxy
        shutil.rmtree(folder, ignore_errors=True)


def raw_limits(bench: Bench) -> None:
    """What fetching, parsing, sending and committing cost by themselves."""
    with bench.office() as (office, taken, _):
        office.deliver(1_000)
        now = datetime.now(UTC)
        mails = list(inbox.mails(office.pool, 1_000, address(NAMES[0]), now))
        server = office.server.imap(address(NAMES[0]))
        found = limits.measure(server, taken.port, mails, bench.directory)
    bench.limits = {one.name: one for one in found}
    bench.raw["limits"] = [asdict(one) for one in found]


def bulk(bench: Bench) -> None:
    """One pass over N new mails by `responder poll`."""
    figures = []
    for count in bench.sizes:
        with bench.office() as (office, taken, _):
            # One mail: what a process loads once is start-up, however many mails follow.
            office.deliver(1)
            first = office.poll()
            office.deliver(count)
            cost = office.poll()
            assert cost.status == 0, cost.output[-2000:]
            office.check(taken)
            if count >= 5_000:
                # A large store must not make the next mail dearer.
                office.deliver(1_000)
                again = office.poll()
                office.check(taken)
                per = again.cpu - first.cpu
                bench.add(f"the next 1,000 after {count:,}", f"{per:.1f} CPU s, {1000 / again.wall:.0f}/s")
        figures.append({"mails": count, **_without_output(cost), "start_up_cpu": first.cpu})
        bench.add(
            f"{count:,} mails: CPU s per 1,000 (start-up apart)",
            f"{cost.cpu / count * 1000:.1f} ({(cost.cpu - first.cpu) / count * 1000:.1f})",
            "<= 6",
            "<= 3",
            f"start-up and a first mail: {first.cpu:.2f} CPU s{_cpu_share(bench, (cost.cpu - first.cpu) / count)}",
        )
        bench.add(
            f"{count:,} mails: mails/s on disk",
            f"{count / cost.wall:.0f}",
            ">= 100",
            ">= 250",
            _share(bench, count / cost.wall),
        )
        bench.add(f"{count:,} mails: peak RSS", f"{cost.peak_mb:.0f} MB", "<= 180 MB", "<= 140 MB")
    bench.raw["bulk"] = figures


def durability(bench: Bench) -> None:
    """How often the disk is waited for: intake with the SMTP server away, then sending."""
    if shutil.which("strace") is None:
        bench.add("fdatasync per mail", "not measured: strace is not installed", "<= 0.2 / <= 1")
        return
    count = 1_000
    with bench.office() as (office, taken, _):
        report = office.directory / "strace"
        nothing, _ = syncs(office.command("poll"), ROOT, report)
        office.deliver(count)
        port, office.smtp_port = office.smtp_port, 1  # nothing listens there
        office.write_config()
        intake, _ = syncs(office.command("poll"), ROOT, report)
        office.smtp_port = port
        office.write_config()
        sending, cost = syncs(office.command("poll", "--json"), ROOT, report)
        assert cost.status == 0, cost.output[-2000:]
        office.check(taken)
        filing, _ = syncs(office.command("poll"), ROOT, report)
    bench.raw["fdatasync"] = {"idle": nothing, "intake": intake, "sending": sending, "filing": filing}
    bench.add(
        "fdatasync per mail: intake / sending",
        f"{(intake - nothing) / count:.3f} / {(sending - filing) / count:.3f}",
        "<= 0.2 / <= 1",
        "<= 0.05 / <= 0.5",
        f"strace -f; a round that only files: {filing}, an idle round: {nothing}",
    )


def large(bench: Bench) -> None:
    """A mail with an attachment of 30 MB."""
    with bench.office(proxied=True) as (office, taken, proxy):
        assert proxy is not None
        before = proxy.received
        idle = office.poll()
        octets = proxy.received - before
        office.deliver(1, attachment=inbox.BIG_ATTACHMENT)
        before = proxy.received
        cost = office.poll()
        fetched = proxy.received - before - octets
        office.check(taken)
    bench.raw["large"] = {"octets": fetched, **_without_output(cost), "idle_peak_mb": idle.peak_mb}
    bench.add("bytes fetched for a mail with a 30 MB attachment", f"{fetched / 1000:.1f} KB", "<= 300 KB")
    bench.add("peak RSS with it", f"{cost.peak_mb:.0f} MB", "<= 220 MB", "<= 160 MB")


def idle(bench: Bench) -> None:
    """A poll with nothing to do, 10,000 old mails in the inbox."""
    with bench.office() as (office, taken, _):
        # Old: a second first connection, to a mailbox that holds them.
        office.deliver(OLD_MAILS)
        office.url = office.url.replace("responder.db", "second.db")
        office.write_config()
        assert office.poll().status == 0
        once = [office.poll() for _ in range(REPEATS)]
        assert not taken.taken()
        polling = _at_rest(office)
        office.poll_seconds = 3600
        office.write_config()
        besides = _at_rest(office)
    wall, cpu = (statistics.median(values) for values in ([c.wall for c in once], [c.cpu for c in once]))
    bench.raw["idle"] = {"once_wall": wall, "once_cpu": cpu, "polling": polling, "besides": besides}
    bench.add(
        "idle poll, 10,000 old mails: daemon CPU / one-shot wall",
        f"{(polling - besides) * 1000:.1f} ms / {wall:.2f} s",
        "<= 5 ms / <= 1.5 s",
        "<= 1 ms / <= 0.6 s",
        f"{polling * 1000:.1f} ms a second with a poll each, {besides * 1000:.1f} without; one-shot {cpu:.2f} CPU s",
    )


def _at_rest(office: BenchOffice) -> float:
    """CPU seconds that a daemon with nothing to do takes in a second: the median of some stretches."""
    with daemon(office) as process:
        _settled(process.pid)
        used = [cpu_of(process.pid)]
        for _ in range(REPEATS):
            time.sleep(IDLE_SECONDS)
            used.append(cpu_of(process.pid))
    return statistics.median((after - before) / IDLE_SECONDS for before, after in pairwise(used))


def latency(bench: Bench) -> None:
    """From a new mail in the inbox to its draft, with the daemon."""
    with bench.office() as (office, _, __), daemon(office) as process:
        _settled(process.pid)
        database = office.database()
        took = []
        for number in range(REPEATS):
            office.deliver(1)
            started = time.perf_counter()

            def answered(wanted: int = number + 1) -> bool:
                with database.read() as connection:
                    return connection.scalar(select(func.count(Reply.id))) == wanted

            wait_until(answered, "a draft")
            took.append(time.perf_counter() - started)
        database.close()
    bench.raw["latency"] = took
    bench.add(
        "new mail to draft",
        f"{statistics.median(took):.2f} s",
        "<= 2 s",
        "<= 0.5 s",
        f"daemon, slowest of {REPEATS}: {max(took):.2f} s",
    )


def slow_smtp(bench: Bench) -> None:
    """30 replies through a server that answers each group of commands in 300 ms."""
    with bench.office(delay=SLOW_ANSWER) as (office, taken, _):
        office.deliver(SLOW_REPLIES)
        cost = office.poll()
        office.check(taken)
        times = [float(line[0]) for line in taken.taken()]
        took = max(times) - min(taken.connected())
    bench.raw["slow_smtp"] = {"sending": took, **_without_output(cost)}
    bench.add(
        "SMTP answering in 300 ms: 30 replies",
        f"{took:.1f} s",
        "<= 5 s",
        "",
        f"first connection to last reply; the whole poll with start-up and handling: {cost.wall:.1f} s",
    )


def start_up(bench: Bench) -> None:
    command = [sys.executable, "-m", "responder", "--help"]
    walls = sorted(run(command, ROOT).wall for _ in range(2 * REPEATS))
    bench.raw["help"] = walls
    bare = sorted(run([sys.executable, "-c", "pass"], ROOT).wall for _ in range(2 * REPEATS))
    bench.add(
        "responder --help",
        f"{statistics.median(walls):.2f} s",
        "<= 0.3 s",
        "",
        f"python -c pass: {statistics.median(bare):.2f} s",
    )


def postgresql(bench: Bench) -> None:
    """One node, then three nodes that share one database and three mailboxes."""
    count = 900
    with Postgres() as server:
        for nodes in (1, 3):
            with bench.office(names=NAMES, url=server.database()) as (office, taken, _):
                for name in NAMES:
                    office.deliver(count // len(NAMES), name)
                started = time.perf_counter()
                with ThreadPoolExecutor(nodes) as pool:
                    costs = [one.result() for one in [pool.submit(office.poll) for _ in range(nodes)]]
                wall = time.perf_counter() - started
                office.check(taken)
            cpu = sum(cost.cpu for cost in costs)
            bench.raw[f"postgresql_{nodes}"] = {"mails": count, "wall": wall, "cpu": cpu}
            bench.add(
                f"PostgreSQL, {nodes} node{'s' if nodes > 1 else ''} on 3 mailboxes: mails/s",
                f"{count / wall:.0f}",
                ">= 60" if nodes == 1 else "more than 1 node",
                "",
                f"{count} mails, {cpu / count * 1000:.1f} CPU s per 1,000 in the nodes",
            )


@contextmanager
def daemon(office: BenchOffice) -> Iterator[subprocess.Popen[bytes]]:
    with (office.directory / "daemon.log").open("ab") as log:
        process = subprocess.Popen(office.command("run"), cwd=ROOT, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def _settled(pid: int) -> None:
    """Wait until a daemon has started: until it uses less than a tenth of a core for two seconds."""

    def quiet() -> bool:
        used = cpu_of(pid)
        time.sleep(2)
        return cpu_of(pid) - used < 0.2

    time.sleep(2)
    wait_until(quiet, "a daemon at rest")


def _cpu_share(bench: Bench, seconds: float) -> str:
    """The CPU of one mail beside what its parts cost at the least: a busy machine makes both dearer."""
    parts = [one for one in bench.limits.values() if one.name.startswith(_PARTS)]
    if not parts:
        return ""
    least = sum(one.cpu_ms for one in parts)
    times = seconds * 1000 / least
    return f"; fetch + parse + send by themselves {least:.2f} ms a mail, this is {times:.1f} times that"


def _share(bench: Bench, per_second: float) -> str:
    """The time of one mail beside what its parts cost at the least."""
    parts = [one for one in bench.limits.values() if one.name.startswith(_PARTS)]
    if not parts:
        return ""
    least = sum(1 / one.per_second for one in parts)
    return f"fetch + parse + send by themselves: {1 / least:.0f}/s, so {per_second * least:.2f} of that"


def _without_output(cost: Cost) -> dict[str, object]:
    return {"wall": cost.wall, "cpu": cost.cpu, "peak_mb": cost.peak_mb}


ROWS: dict[str, Callable[[Bench], None]] = {
    "limits": raw_limits,
    "bulk": bulk,
    "fdatasync": durability,
    "large": large,
    "idle": idle,
    "latency": latency,
    "smtp": slow_smtp,
    "help": start_up,
    "postgresql": postgresql,
}


def _print(bench: Bench) -> None:
    server = (
        "Dovecot (Maildir on disk)" if DOVECOT.exists() else "mail-devel (mail in memory; no Dovecot here)"
    )
    print(
        f"\n{server}, Python {platform.python_version()}, {os.cpu_count()} cores, {datetime.now(UTC):%Y-%m-%d}\n"
    )
    print("| row | measured | must | goal | beside |\n| --- | --- | --- | --- | --- |")
    for row in bench.rows:
        print(f"| {row.what} | {row.measured} | {row.must} | {row.goal} | {row.beside} |")
    if bench.limits:
        print("\n| raw limit, one process | per s | CPU ms each |\n| --- | --- | --- |")
        for one in bench.limits.values():
            print(f"| {one.name} | {one.per_second:,.0f} | {one.cpu_ms:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sizes", nargs="*", type=int, default=[], metavar="N")
    parser.add_argument("--rows", default=",".join(ROWS), help="which parts, of: " + ", ".join(ROWS))
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    bench = Bench(directory, tuple(arguments.sizes) or SIZES)
    try:
        for name in arguments.rows.split(","):
            ROWS[name](bench)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    _print(bench)
    if arguments.json:
        kept = {"rows": [asdict(row) for row in bench.rows], **bench.raw, "machine": platform.platform()}
        arguments.json.write_text(json.dumps(kept, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
