"""The pages over a real database, real content and a real model; mails come in through the real handling."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import select, update

from responder.config import Settings, load
from responder.mail.reader import Reader
from responder.pipeline.handling import Handler
from responder.pipeline.office import make_key, offices
from responder.tickets import accounts, ledger, lifecycle, queues
from responder.tickets.database import Database
from responder.tickets.ledger import Seen
from responder.tickets.models import Message, Reply, StaffVerdict
from responder.tickets.models_staff import Role
from responder.tickets.status import ReplyStatus
from responder.web.app import create_app
from tests.mails import build_mail
from tests.postgres import Postgres

BASE = "http://127.0.0.1:8080"
PASSWORD = "kuda-laut-berenang-7"
QUESTION = (
    "Selamat pagi, kami lupa password akun LPSE. User ID masih ada. Bagaimana cara mereset password-nya?"
)


@dataclass
class Clock:
    """Time as the tests set it."""

    now: datetime = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Pages:
    """The application with its database, and what tests do to both."""

    settings: Settings
    database: Database
    clock: Clock
    reader: Reader
    app: Any = field(init=False)
    handler: Handler = field(init=False)
    _uid: int = 0

    def __post_init__(self) -> None:
        self.app = create_app(self.settings, self.database, self.clock)
        self.handler = Handler(self.database, offices(self.settings)["kemenperin"], self.reader)

    def browser(self, name: str = "", role: Role = Role.OFFICER) -> Browser:
        """A browser, logged in as a fresh account `name` unless that is ""."""
        browser = Browser(self)
        if name:
            with self.database.begin() as connection:
                if accounts.by_name(connection, name) is None:
                    accounts.add(connection, name, role, PASSWORD, "uji", self.clock())
            assert browser.log_in(name).status_code == 303
        return browser

    def receive(self, body: str = QUESTION, *, blind: bool = False, **mail: Any) -> int:
        """A vendor's mail comes in and is handled; returns its ticket."""
        self._uid += 1
        mail.setdefault("message_id", f"surat-{self._uid}@penyedia.example")
        mail.setdefault("sender", f"Budi Santoso <budi{self._uid}@penyedia.example>")
        raw = build_mail(body=body, **mail)
        seen = Seen(self._uid, f"identity-{self._uid}", len(raw), self.clock(), (), raw)
        with self.database.begin() as connection:
            ledger.store(connection, "kemenperin", "INBOX", 7, [seen], self.clock())
        self.handler.handle_due(self.clock())
        with self.database.begin() as connection:
            row = connection.execute(
                select(Message.id, Message.ticket_id).where(Message.uid == self._uid)
            ).one()
            connection.execute(
                update(StaffVerdict).where(StaffVerdict.message_id == row.id).values(blind=blind)
            )
        assert row.ticket_id is not None
        return int(row.ticket_id)

    def draft(self, ticket: int) -> Any:
        with self.database.read() as connection:
            return lifecycle.current_draft(connection, ticket)

    def ticket(self, ticket: int) -> Any:
        with self.database.read() as connection:
            return lifecycle.ticket(connection, ticket)

    def replies(self, ticket: int, status: ReplyStatus) -> list[Any]:
        with self.database.read() as connection:
            return [row for row in lifecycle.replies(connection, ticket) if row.status is status]

    def events(self, ticket: int = 0) -> list[tuple[str, str]]:
        """(actor, action) of a ticket's events, or of the installation's."""
        with self.database.read() as connection:
            return [(event.actor, event.action) for event in queues.events(connection, ticket)]

    def verdict(self, ticket: int) -> Any:
        with self.database.read() as connection:
            return connection.execute(
                select(StaffVerdict.__table__)
                .where(StaffVerdict.ticket_id == ticket)
                .order_by(StaffVerdict.id.desc())
            ).first()

    def set_reply(self, reply_id: int, **values: Any) -> None:
        with self.database.begin() as connection:
            connection.execute(update(Reply).where(Reply.id == reply_id).values(**values))


class Browser:
    """A browser without scripts: it keeps cookies, follows no redirect, and says where a form comes from."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.client = TestClient(pages.app, base_url=BASE, follow_redirects=False)
        self.csrf = ""

    def log_in(self, name: str, password: str = PASSWORD, onward: str = "/") -> Response:
        answer = self.post("/masuk", nama=name, sandi=password, lanjut=onward)
        if answer.status_code == 303:
            self.csrf = self.token(self.client.get("/saya").text)
        return answer

    def get(self, path: str, **headers: str) -> Response:
        return self.client.get(path, headers=headers)

    def post(self, path: str, headers: dict[str, str] | None = None, **form: Any) -> Response:
        data = {"csrf": self.csrf, **form}
        return self.client.post(path, data=data, headers={"origin": BASE, **(headers or {})})

    def approve(self, ticket: int, path: str = "", **headers: str) -> Response:
        draft = self.pages.draft(ticket)
        return self.post(path or f"/tiket/{ticket}/setujui", headers, balasan=draft.id, sha256=draft.sha256)

    @staticmethod
    def token(page: str) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', page)
        return unescape(found[1]) if found else ""


def text_of(page: str) -> str:
    """What a reader sees of a page: no tags, white space folded."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


@pytest.fixture(scope="session")
def reader() -> Iterator[Reader]:
    with Reader() as shared:
        yield shared


@pytest.fixture
def config(tmp_path: Path, models: Path) -> Path:
    """config.toml of an office that reviews everything."""
    path = tmp_path / "config.toml"
    server = 'host = "127.0.0.1"\nsecurity = "none"\nport = 1\n'
    path.write_text(
        '[mailboxes.kemenperin]\nunit = "LPSE Kementerian Perindustrian"\naddress = "lpse@instansi.example"\n'
        f"[mailboxes.kemenperin.imap]\n{server}[mailboxes.kemenperin.smtp]\n{server}[policy]\nundo_seconds = 60\n"
    )
    make_key(tmp_path / "state" / "secret.key")
    shutil.copytree(models, tmp_path / "state" / "models")
    return path


@pytest.fixture
def pages_on_postgresql(config: Path, reader: Reader, postgres: Postgres) -> Iterator[Pages]:
    """The same on the other engine."""
    settings = load(config)
    database = Database(postgres.database())
    database.migrate()
    pages = Pages(settings, database, Clock(), reader)
    yield pages
    pages.app.state.service.close()
    database.close()


@pytest.fixture
def pages(config: Path, reader: Reader) -> Iterator[Pages]:
    settings = load(config)
    database = Database(settings.database.url)
    database.migrate()
    pages = Pages(settings, database, Clock(), reader)
    yield pages
    pages.app.state.service.close()
    database.close()
