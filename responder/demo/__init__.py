"""The demo: the whole service against a mail server of its own, on this machine, with invented vendors.

It sets up what an office would set up itself: folders, configuration, arming, four topics that may answer alone.
"""

from __future__ import annotations

import smtplib
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from email import policy
from pathlib import Path
from textwrap import shorten

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from responder.config import Logging, Settings, load
from responder.daemon import serve
from responder.demo.mails import ANGRY, AUTHSERV_ID, BLIND, CLOSED, FAILED, MAILS
from responder.demo.server import DemoServer
from responder.demo.stage import PEOPLE, make_accounts, set_the_stage, unreadable
from responder.errors import ConfigError
from responder.logs import configure
from responder.mail.imap import ImapSession
from responder.paths import shipped
from responder.pipeline.office import make_key
from responder.pipeline.round import OfficeRound, Rounds
from responder.tickets import switches
from responder.tickets.database import Database
from responder.web.server import serve_in_thread

ADDRESS = "helpdesk@lpse.example"
FOLDERS = ("Drafts", "Sent")
ANSWERING_TOPICS = ("lupa-password", "integrasi-sikap", "verifikasi-sikap", "tender-cepat")
"""The topics without an open fact; the demo lets them answer by themselves, an office earns that by verdicts."""
POLL_SECONDS = 3

_RESULTS = {
    "automatic": ("answered", "green"),
    "approval": ("draft waits for approval", "yellow"),
    "flagged": ("a person must answer", "magenta"),
    "note": ("noted on its ticket", "cyan"),
    "duplicate": ("recognised as known", "cyan"),
    "ignored": ("never answered", "cyan"),
    "quarantined": ("in quarantine", "red"),
    "retry": ("tried again later", "red"),
}


def run_demo(*, once: bool, mails: Path | None, stop: threading.Event | None = None) -> None:
    """Run the demo; with `once` one pass and the end. Raises ResponderError for what goes wrong."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 180
    configure(Logging(level="warning"))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lpse-demo-")))
        server = stack.enter_context(DemoServer(ADDRESS))
        settings = _settings(folder, server)
        database = Database(settings.database.url)
        stack.callback(database.close)
        database.migrate()
        _make_folders(settings)
        console.print(f"Mail server ready on 127.0.0.1 (IMAP {server.imap_port}, SMTP {server.smtp_port}).")
        with Rounds(settings, database, _now) as rounds:
            rounds.run()
            _arm(database)
            delivered = _deliver(server, _messages(mails))
            console.print(
                f"{delivered} mails delivered to {ADDRESS}; the worker fetches and handles them …\n"
                f"In this demo {', '.join(ANSWERING_TOPICS)} may answer by themselves; an office starts with none.\n"
            )
            done = rounds.run()
        for one in done:
            _print(console, one)
            if one.problem is not None:
                raise one.problem
        set_the_stage(database, blind=BLIND, failed=FAILED, closed=CLOSED, senior=ANGRY, now=_now())
        if not once:
            _stay(console, settings, database, server, stop or threading.Event())


def _stay(
    console: Console, settings: Settings, database: Database, server: DemoServer, stop: threading.Event
) -> None:
    password = make_accounts(database, _now())
    # Served here and not by the service itself: the port is a free one, and is to be printed.
    pages = serve_in_thread(settings, database, _now)
    console.print(
        f"\nStaff pages:                     {pages.address}/  log in as {', '.join(name for name, *_ in PEOPLE)}"
        f"\n                                 with password {password}"
        f"\nWrite another mail as a vendor:  http://127.0.0.1:{server.http_port}/  (to {ADDRESS})"
        f"\nThe same from a terminal:        responder tickets --config {settings.state.directory.parent}/config.toml"
        "\n                                 responder show | approve | edit | retopic | reject NUMBER --config …"
        "\nCtrl-C ends the demo and forgets everything.\n",
        soft_wrap=True,
    )
    try:
        serve(settings, database, _now, stop, report=lambda one: _print(console, one))
    except KeyboardInterrupt:
        console.print("\nThe demo has ended.")
    finally:
        pages.stop()


def _settings(folder: Path, server: DemoServer) -> Settings:
    (folder / "password").write_text(server.password, encoding="utf-8")
    (folder / "password").chmod(0o600)
    login = f'host = "127.0.0.1"\nsecurity = "none"\nusername = "{ADDRESS}"\npassword_file = "password"\n'
    (folder / "config.toml").write_text(
        f"""[mailboxes.demo]
unit = "LPSE Kementerian Perindustrian"
address = "{ADDRESS}"
authserv_id = "{AUTHSERV_ID}"
content = "{shipped("content")}"
templates = "{shipped("templates")}"
[mailboxes.demo.imap]
{login}port = {server.imap_port}
[mailboxes.demo.smtp]
host = "127.0.0.1"
security = "none"
port = {server.smtp_port}
[mailboxes.demo.folders]
drafts = "{FOLDERS[0]}"
sent = "{FOLDERS[1]}"
[policy]
mode = "auto"
require_evidence = false
audit_share = 0
undo_seconds = 20
[schedule]
poll = {POLL_SECONDS}
[web]
enabled = false
listen = "127.0.0.1:0"
[logging]
level = "warning"
""",
        encoding="utf-8",
    )
    settings = load(folder / "config.toml")
    make_key(settings.state.secret_key_file)
    return settings


def _make_folders(settings: Settings) -> None:
    mailbox = settings.mailboxes["demo"]
    with ImapSession.connect(
        mailbox.imap, password=mailbox.imap.password(), folders=mailbox.folders
    ) as session:
        for name in FOLDERS:
            session.create_folder(name)


def _arm(database: Database) -> None:
    with database.begin() as connection:
        switches.arm(connection, "demo", _now())
        for slug in ANSWERING_TOPICS:
            switches.set_level(connection, "demo", slug, switches.AUTOMATIC, "demo", _now())


def _messages(mails: Path | None) -> Iterator[tuple[str, bytes]]:
    """(envelope sender, bytes) of the demo's own mails, or of the .eml files in a folder."""
    if mails is None:
        for number, mail in enumerate(MAILS, start=1):
            yield mail.sender, mail.message(ADDRESS, number, _now()).as_bytes(policy=policy.SMTP)
        yield "kirim@berlapis.example", unreadable("kirim@berlapis.example", ADDRESS)
        return
    files = sorted(mails.glob("*.eml"))
    if not files:
        raise ConfigError(f"{mails}: holds no .eml files")
    for file in files:
        yield "vendor@demo.example", file.read_bytes()


def _deliver(server: DemoServer, messages: Iterable[tuple[str, bytes]]) -> int:
    count = 0
    with smtplib.SMTP("127.0.0.1", server.smtp_port, timeout=30) as smtp:
        for sender, data in messages:
            smtp.sendmail(sender, [ADDRESS], data)
            count += 1
    return count


def _print(console: Console, done: OfficeRound) -> None:
    if done.handled:
        grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for header in ("from", "subject", "topic", "sure", "decision", "why"):
            grid.add_column(header, overflow="fold", ratio=3 if header == "why" else None)
        for one in done.handled:
            words, colour = _RESULTS[one.result]
            grid.add_row(
                Text(one.sender),
                Text(one.subject[:40]),
                Text(", ".join(one.topics) or "-"),
                "-" if one.confidence is None else f"{one.confidence:.0%}",
                Text(f"{words} (#{one.ticket_id})" if one.ticket_id else words, style=colour),
                Text(shorten(one.why, 160, placeholder=" …")),
            )
        console.print(grid)
    if done.handled or done.outbox.sent or done.filing.taken_over:
        console.print(_summary(done))


def _summary(done: OfficeRound) -> str:
    counts: Sequence[tuple[int, str]] = (
        (done.outbox.sent, "replies sent through SMTP"),
        (done.filing.filed, "filed in Sent"),
        (done.filing.drafts_placed, "drafts placed in Drafts"),
        (done.filing.flagged, "mails flagged for a person"),
        (done.filing.taken_over, "taken over by a person"),
    )
    return ", ".join(f"{count} {what}" for count, what in counts if count) + "."


def _now() -> datetime:
    return datetime.now(UTC)
