"""Promise: servers, database, disk and clock may go away and come back; the daemon goes on without a restart."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from sqlalchemy import update

from responder.config import load
from responder.daemon import serve
from responder.pipeline.round import OfficeRound
from responder.tickets.database import Database
from responder.tickets.models import Reply
from tests.postgres import Postgres
from tests.scenarios.faults import (
    SECOND_OFFICE,
    Fleet,
    assert_nothing_lost_or_doubled,
    fleet,
    long_run,
)
from tests.scenarios.installation import OFFICE
from tests.servers import wait_until

pytestmark = pytest.mark.timeout(3600 if long_run() else 300)


def test_the_database_goes_away_and_comes_back(
    tmp_path: Path, models: Path, record_faults: list[str]
) -> None:
    times = 10 if long_run() else 2
    with Postgres() as server, fleet(tmp_path, models, server.database()) as nodes:
        node = nodes.signed_in()
        for number in range(times):
            failed = nodes.log.count("round failed")
            if number % 2 == 0:
                # The answer to the final dot finds no database to be written into.
                stopped = threading.Event()
                nodes.sink.once("kept", lambda done=stopped: (server.stop(), done.set()))
                nodes.deliver(2)
                assert stopped.wait(60), nodes.log
                nodes.wait_for("round failed", failed + 1)
            else:
                nodes.deliver(2)
                server.stop()
            nodes.deliver(1)
            server.start()
        nodes.finish()
        assert node.returncode == 0
        count = nodes.count("database away, also between the final dot and the commit (PostgreSQL)")
        record_faults.append(count.row())
        assert_nothing_lost_or_doubled(count, uncertain_at_most=0)


def test_a_paused_node_sends_nothing_when_others_have_taken_over(
    tmp_path: Path, models: Path, record_faults: list[str]
) -> None:
    """Fencing: node A is stopped before DATA and loses its database sessions; B takes the mailbox; A wakes up."""
    with Postgres() as server:
        url = server.database()
        with fleet(tmp_path, models, url) as nodes:
            stopped = threading.Event()
            first = nodes.signed_in()

            def pause() -> None:
                first.send_signal(signal.SIGSTOP)
                stopped.set()

            nodes.sink.once("rcpt", pause)
            nodes.deliver(1)
            assert stopped.wait(60), nodes.log
            server.end_sessions(url)
            nodes.signed_in()
            nodes.deliver(1)
            nodes.wait_for("send outcome unknown", 1)
            wait_until(lambda: len(nodes.sink.mails) == 1, "the second mail answered by the other node")
            first.send_signal(signal.SIGCONT)
            nodes.finish()
            count = nodes.count("node paused before DATA while another takes over (PostgreSQL)")
            record_faults.append(count.row())
            assert_nothing_lost_or_doubled(count, uncertain_at_most=0)


def test_a_dead_nodes_mailbox_is_free_at_once(tmp_path: Path, models: Path, postgres: Postgres) -> None:
    with fleet(tmp_path, models, postgres.database(), (OFFICE, SECOND_OFFICE)) as nodes:
        nodes.signed_in()
        nodes.kill_at("data")
        nodes.finish()
        assert_nothing_lost_or_doubled(nodes.count("data"), uncertain_at_most=2)


def test_a_vanished_nodes_sessions_end_within_thirty_seconds(postgres: Postgres) -> None:
    """What the server is told to do about a client that no longer answers (tcp(7), PostgreSQL 20.3.2)."""
    database = Database(postgres.database())
    with database.read() as connection:
        told = {
            name: int(
                connection.exec_driver_sql(
                    f"SELECT setting FROM pg_settings WHERE name = '{name}'"
                ).scalar_one()
            )
            for name in (
                "tcp_keepalives_idle",
                "tcp_keepalives_interval",
                "tcp_keepalives_count",
                "tcp_user_timeout",
            )
        }
    database.close()
    probes = told["tcp_keepalives_interval"] * told["tcp_keepalives_count"]
    assert told["tcp_keepalives_idle"] + probes <= 30
    assert told["tcp_user_timeout"] <= 30_000


@contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    """A file system of 3 MB; skips where mounting is not allowed."""
    directory.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", directory], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", directory], check=True)


def test_a_full_disk_stops_the_work_and_room_lets_it_go_on(
    tmp_path: Path, models: Path, record_faults: list[str]
) -> None:
    with (
        small_disk(tmp_path / "disk") as disk,
        fleet(tmp_path, models, f"sqlite:///{disk}/responder.db") as nodes,
    ):
        node = nodes.signed_in()
        nodes.deliver(2)
        # Full between the final dot and the commit, which is the worst moment.
        filler = disk / "filler"
        nodes.sink.once("kept", lambda: fill(filler))
        nodes.wait_for("disk is full", 1)
        nodes.deliver(2)
        nodes.wait_for("disk is full", 2)
        filler.unlink()
        nodes.finish()
        assert node.returncode == 0
        count = nodes.count("disk full, also between the final dot and the commit (SQLite)")
        record_faults.append(count.row())
        assert_nothing_lost_or_doubled(count, uncertain_at_most=0)


def fill(path: Path) -> None:
    """Write until no octet more fits."""
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    os.write(file.fileno(), b"\0" * size)
            except OSError:
                continue


def test_both_mail_servers_go_away_and_come_back(
    tmp_path: Path, models: Path, record_faults: list[str]
) -> None:
    with fleet(tmp_path, models) as nodes:
        node = nodes.signed_in()
        nodes.dovecot.stop()
        nodes.wait_for("round not finished", 1)
        nodes.dovecot.start()
        nodes.deliver(1)
        nodes.sink.delay = 0.3
        nodes.deliver(3)
        nodes.finish()
        assert node.returncode == 0
        count = nodes.count("IMAP server away, SMTP server slow (SQLite)")
        record_faults.append(count.row())
        assert_nothing_lost_or_doubled(count, uncertain_at_most=0)


def test_a_clock_that_is_set_back_does_not_stop_the_rounds(tmp_path: Path, models: Path) -> None:
    with fleet(tmp_path, models) as nodes:
        rounds: list[OfficeRound] = []
        stop = threading.Event()
        settings = load(nodes.office.config)
        service = threading.Thread(
            target=serve,
            args=(settings, nodes.database, lambda: datetime.now(UTC), stop, rounds.append),
        )
        service.start()
        try:
            nodes.deliver(1)
            wait_until(lambda: len(nodes.sink.mails) == 1, "the first reply")
            with time_machine.travel(datetime.now(UTC) - timedelta(hours=2), tick=True):
                done = len(rounds)
                wait_until(lambda: len(rounds) > done + 2, "more rounds after the clock was set back")
                nodes.deliver(1)
                wait_until(lambda: len(nodes.office.tickets()) == 2, "the second ticket")
        finally:
            stop.set()
            service.join(60)
        assert len(nodes.sink.mails) == len(set(nodes.sink.mails))
        replies = {mail.recipient for mail in nodes.sink.mails}
        assert replies <= set(nodes.delivered)


def test_drops_and_refusals_of_the_smtp_server(
    tmp_path: Path, models: Path, record_faults: list[str]
) -> None:
    """Only an answer lost after the final dot is uncertain; temporary refusals wait for half an hour."""
    with fleet(tmp_path, models) as nodes:
        sink = nodes.sink
        sink.fail("dot", accept=True, times=1, recipient="admin@vendor1.example")
        sink.fail("dot", times=1, recipient="admin@vendor2.example")
        sink.fail("dot", "554 5.7.1 no", times=1, recipient="admin@vendor3.example")
        sink.fail("rcpt", "451 4.7.1 later", times=1, recipient="admin@vendor4.example")
        sink.fail("data", times=1, recipient="admin@vendor5.example")
        nodes.deliver(6)
        nodes.office.poll()
        count = nodes.count("drops after the dot (2), before it (1), 4xx, 5xx (SQLite)")
        record_faults.append(count.row())
        assert count.replies == {"uncertain": 2, "failed": 1, "approved": 2, "sent": 1}
        assert count.twice == []
        assert {mail.recipient for mail in sink.mails} == {"admin@vendor1.example", "admin@vendor6.example"}
        half_an_hour_later(nodes)
        nodes.office.poll()
        assert len(sink.mails) == 4
        assert nodes.count("").twice == []


def half_an_hour_later(nodes: Fleet) -> None:
    with nodes.database.begin() as connection:
        connection.execute(update(Reply).values(next_try=Reply.created_at))
