"""A whole installation as an office has it: a configuration, a mailbox, an SMTP server, and the real command line."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Protocol

from imapclient import IMAPClient

from responder.config import ImapServer, SmtpServer
from responder.pipeline.office import make_key
from tests import command
from tests.faulty_smtp import FaultySmtp
from tests.mails import build_mail
from tests.servers import HOST, PASSWORD, Dovecot, MailDevel

ROOT = Path(__file__).parents[2]
OFFICE = "helpdesk@lpse.example"
VENDOR = "admin@baharijaya.example"
AUTHSERV_ID = "mx.lpse.example"
DRAFTS, SENT = "Drafts", "Sent"
PATIENCE = 120


class Backend(Protocol):
    """Where the mailbox lives and where replies go."""

    @property
    def name(self) -> str: ...

    def imap(self) -> ImapServer: ...

    def smtp(self) -> SmtpServer: ...

    def deliver(self, data: bytes) -> None: ...

    def received_by(self, address: str) -> list[bytes]: ...


class DovecotBackend:
    """The mailbox on Dovecot; replies go to an SMTP server of the tests."""

    name = "dovecot"

    def __init__(self, dovecot: Dovecot, sink: FaultySmtp) -> None:
        self.dovecot = dovecot
        self.sink = sink

    def imap(self) -> ImapServer:
        return self.dovecot.imap(OFFICE)

    def smtp(self) -> SmtpServer:
        return self.sink.settings()

    def deliver(self, data: bytes) -> None:
        self.dovecot.deliver(data, user=OFFICE)

    def received_by(self, address: str) -> list[bytes]:
        return [mail.data for mail in self.sink.mails if mail.recipient == address]


class MailDevelBackend:
    """Mailbox and vendors on mail-devel."""

    name = "mail-devel"

    def __init__(self, server: MailDevel) -> None:
        self.server = server

    def imap(self) -> ImapServer:
        return self.server.imap(OFFICE)

    def smtp(self) -> SmtpServer:
        return self.server.smtp()

    def deliver(self, data: bytes) -> None:
        self.server.deliver(data, to=OFFICE)

    def received_by(self, address: str) -> list[bytes]:
        with signed_in(self.server.imap(address)) as client:
            client.select_folder("INBOX", readonly=True)
            uids = client.search("ALL")
            return (
                [item[b"BODY[]"] for _, item in sorted(client.fetch(uids, ["BODY.PEEK[]"]).items())]
                if uids
                else []
            )


@contextlib.contextmanager
def signed_in(server: ImapServer) -> Iterator[IMAPClient]:
    with IMAPClient(server.host, server.effective_port, ssl=False, timeout=20) as client:
        client.login(server.username, PASSWORD)
        yield client


@dataclass
class Installation:
    """One directory with config.toml, state and secret, working on `backend`."""

    directory: Path
    backend: Backend
    models: Path  # a directory with a trained model, so that not every test trains
    settings: str = ""  # more TOML
    number: int = 0

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "password").write_text(PASSWORD)
        self.write_config(self.settings)
        make_key(self.directory / "state" / "secret.key")
        shutil.copytree(self.models, self.directory / "state" / "models")
        with signed_in(self.backend.imap()) as client:
            for name in (DRAFTS, SENT):
                if not client.folder_exists(name):
                    client.create_folder(name)

    @property
    def config(self) -> Path:
        return self.directory / "config.toml"

    def write_config(self, more: str = "") -> None:
        imap, smtp = self.backend.imap(), self.backend.smtp()
        login = f'username = "{OFFICE}"\npassword_file = "password"\n'
        self.config.write_text(
            f"""[mailboxes.kemenperin]
unit = "LPSE Kementerian Perindustrian"
address = "{OFFICE}"
authserv_id = "{AUTHSERV_ID}"
content = "{ROOT / "content"}"
templates = "{ROOT / "templates"}"
[mailboxes.kemenperin.imap]
host = "{HOST}"
port = {imap.effective_port}
security = "none"
timeout_seconds = 20
{login}
[mailboxes.kemenperin.smtp]
host = "{HOST}"
port = {smtp.effective_port}
security = "none"
timeout_seconds = 20
{login if smtp.username else ""}
[mailboxes.kemenperin.folders]
drafts = "{DRAFTS}"
sent = "{SENT}"
{more or "[policy]" + chr(10) + "undo_seconds = 0"}
{"" if "[web]" in more else "[web]" + chr(10) + "enabled = false"}
"""
        )

    def arguments(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "responder", *arguments, "--config", str(self.config)]

    def run(
        self,
        *arguments: str,
        status: int | None = 0,
        stdin: str = "",
        environment: dict[str, str] | None = None,
    ) -> command.Ended:
        """Run one command to its end through the real entry point; assert its exit status unless `status` is None.

        In this process: starting an interpreter for each of some hundred commands would double the tests' time.
        """
        done = command.run(
            *arguments, "--config", str(self.config), stdin=stdin.encode(), environment=environment
        )
        if status is not None:
            assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command that goes on; the caller ends it."""
        return subprocess.Popen(
            self.arguments(*arguments), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def poll(self, status: int | None = 0) -> dict[str, Any]:
        """One round; returns what `poll --json` says of the mailbox."""
        lines = self.run("poll", "--json", status=status).stdout.splitlines()
        answer: dict[str, Any] = json.loads(lines[-1]) if lines else {}
        return answer

    def deliver(
        self,
        subject: str,
        body: str,
        *,
        sender: str = VENDOR,
        name: str = "Ratna Dewi",
        authenticated: bool = True,
        **more: Any,
    ) -> str:
        """Deliver a vendor's mail, stamped by the receiving server; returns its Message-ID."""
        self.number += 1
        domain = sender.rpartition("@")[2]
        header_id = more.pop("message_id", f"vendor-{self.number}@{domain}")
        verdict = f"{AUTHSERV_ID}; dmarc={'pass' if authenticated else 'none'} header.from={domain}"
        headers = {"Authentication-Results": verdict, **more.pop("headers", {})}
        self.backend.deliver(
            build_mail(
                subject,
                body,
                sender=f"{name} <{sender}>",
                to=OFFICE,
                headers=headers,
                message_id=header_id,
                date=format_datetime(datetime.now(UTC)),
                **more,
            )
        )
        return str(header_id)

    def ready(self, *automatic: str) -> None:
        """First connection (what is there is not ours to answer), armed, `automatic` topics may answer alone."""
        self.poll()
        self.run("arm")
        for topic in automatic:
            self.run("level", topic, "automatic")

    def tickets(self, status: str = "all") -> list[dict[str, Any]]:
        out = self.run("tickets", "--status", status, "--json").stdout
        return [json.loads(line) for line in out.splitlines()]

    def show(self, ticket: int) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.run("show", str(ticket), "--json").stdout)
        return shown

    def drafts_of(self, ticket: int) -> list[dict[str, Any]]:
        return [reply for reply in self.show(ticket)["replies"] if reply["status"] == "drafted"]

    def replies_to(self, address: str = VENDOR) -> list[EmailMessage]:
        """What the vendor got from us."""
        return [parsed(data) for data in self.backend.received_by(address)]

    def folder(self, name: str) -> list[EmailMessage]:
        """The mails in one of our IMAP folders, oldest first."""
        with signed_in(self.backend.imap()) as client:
            client.select_folder(name, readonly=True)
            uids = client.search("ALL")
            fetched = client.fetch(uids, ["BODY.PEEK[]"]) if uids else {}
        return [parsed(fetched[uid][b"BODY[]"]) for uid in sorted(fetched)]

    def flags(self, name: str = "INBOX") -> list[Sequence[bytes]]:
        with signed_in(self.backend.imap()) as client:
            client.select_folder(name, readonly=True)
            uids = client.search("ALL")
            return (
                [item[b"FLAGS"] for _, item in sorted(client.fetch(uids, ["FLAGS"]).items())] if uids else []
            )


def parsed(data: bytes) -> EmailMessage:
    mail = message_from_bytes(data, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def plain_text(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    text: str = part.get_content()
    return text.replace("\r\n", "\n")


def kill(process: subprocess.Popen[str]) -> None:
    """kill -9, and wait until it is gone."""
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
