"""What this machine can do at most: fetching, parsing, sending and committing by themselves, in one process each.

The figures of the pipeline mean something only beside these, taken in the same run on the same noisy machine.
"""

from __future__ import annotations

import imaplib
import os
import smtplib
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from responder.config import ImapServer
from tests.servers import HOST, PASSWORD

COMMITS = 60


@dataclass(frozen=True, slots=True)
class Limit:
    """One part by itself."""

    name: str
    per_second: float
    cpu_ms: float  # each, in this process


def measure(imap: ImapServer, smtp_port: int, mails: Sequence[bytes], directory: Path) -> list[Limit]:
    """Measure every part with the same `mails`; `imap` is a mailbox that holds them."""
    return [
        _timed("fetch a whole mail (imaplib, 50 a command)", len(mails), lambda: _fetch(imap)),
        _timed("parse a whole mail (email.parser, text body found)", len(mails), lambda: _parse(mails)),
        _timed("send one (smtplib, one connection)", len(mails), lambda: _send(smtp_port, len(mails))),
        _timed("fdatasync of 4 KB", COMMITS, lambda: _sync(directory)),
        _timed("SQLite WAL FULL, 1 row a commit", COMMITS, lambda: _commit(directory, COMMITS, 1)),
        _timed("SQLite WAL FULL, 50 rows a commit", COMMITS * 50, lambda: _commit(directory, COMMITS, 50)),
    ]


def _timed(name: str, count: int, work: Callable[[], None]) -> Limit:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Limit(name, count / wall, cpu / count * 1000)


def _fetch(server: ImapServer) -> None:
    with imaplib.IMAP4(server.host, server.effective_port) as client:
        client.login(server.username, PASSWORD)
        client.select("INBOX", readonly=True)
        uids = client.uid("SEARCH", "ALL")[1][0].split()
        for start in range(0, len(uids), 50):
            wanted = b",".join(uids[start : start + 50]).decode()
            client.uid("FETCH", wanted, "(BODY.PEEK[])")


def _parse(mails: Sequence[bytes]) -> None:
    for raw in mails:
        mail = message_from_bytes(raw, policy=policy.default)
        body = mail.get_body(("plain", "html"))
        if body is not None:
            body.get_content()


def _send(port: int, count: int) -> None:
    reply = EmailMessage()
    reply["From"], reply["To"], reply["Subject"] = "a@lpse.example", "b@vendor.example", "Re: batas"
    reply.set_content("Terima kasih.\n" * 60)
    data = reply.as_bytes(policy=policy.SMTP)
    with smtplib.SMTP(HOST, port) as smtp:
        for _ in range(count):
            smtp.sendmail("a@lpse.example", ["b@vendor.example"], data)


def _sync(directory: Path) -> None:
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(COMMITS):
            file.write(b"x" * 4096)
            file.flush()
            os.fdatasync(file.fileno())


def _commit(directory: Path, commits: int, rows: int) -> None:
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        connection = sqlite3.connect(f"{folder}/limit.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
        for _ in range(commits):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO t (text) VALUES (?)", [("x" * 500,)] * rows)
            connection.execute("COMMIT")
        connection.close()
