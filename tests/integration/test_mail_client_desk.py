"""Decisions from a mail client on the records: several writers at once, and what a version is compared by."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from responder import config
from responder.errors import Refused, StoreError
from responder.pipeline import clientdesk, editing
from responder.pipeline.clientdesk import Drafts, Outcome
from responder.pipeline.clientmail import ClientMail, Content, Head
from responder.pipeline.office import Office
from responder.replies import approval
from responder.tickets import lifecycle, takeover
from responder.tickets.database import Database
from responder.tickets.status import ReplyStatus
from tests.postgres import Postgres
from tests.store import MAILBOX, NOW, VENDOR, ticketed

ROOT = Path(__file__).parents[2]
TEXT = "Yth. Bapak/Ibu,\n\nSilakan buka halaman masuk dan tekan Lupa Password.\n"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    (tmp_path / "config.toml").write_text(
        f"""[mailboxes.{MAILBOX}]
unit = "LPSE"
address = "helpdesk@lpse.example"
content = "{ROOT / "content"}"
templates = "{ROOT / "templates"}"
imap = {{ host = "imap.lpse.example" }}
smtp = {{ host = "smtp.lpse.example" }}
""",
        encoding="utf-8",
    )
    settings = config.load(tmp_path / "config.toml")
    return Office(MAILBOX, settings.mailboxes[MAILBOX], settings, b"k" * 32)


def one_draft(database: Database, office: Office) -> bytes:
    """A ticket whose draft was edited once in the browser; returns the draft as it stands in Drafts."""
    with database.begin() as connection:
        ticket, _ = ticketed(connection)
        reply_id = editing.edit(connection, office, ticket, TEXT, "petugas", NOW)
        row = lifecycle.reply(connection, reply_id)
        assert row is not None
        data: bytes = row.data
        return data


def from_client(text: str = TEXT, *, uid: int = 9, more: str = "") -> ClientMail:
    """A draft as a client that keeps nothing but threading stores it."""
    raw = (
        f"From: helpdesk@lpse.example\r\nTo: {VENDOR}\r\nSubject: Re: Lupa password\r\n"
        f"In-Reply-To: <mail-1@baharijaya.example>\r\nMessage-ID: <{uid}@petugas.example>\r\n{more}"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text.replace("\n", "\r\n")
    ).encode()
    return ClientMail(Head.of(uid, raw.split(b"\r\n\r\n")[0] + b"\r\n\r\n"), Content.of(raw))


def stored(data: bytes, uid: int = 9) -> ClientMail:
    return ClientMail(Head.of(uid, data.split(b"\r\n\r\n")[0] + b"\r\n\r\n"), Content.of(data))


def leaving(database: Database) -> list[str]:
    """The texts of everything that is allowed to leave."""
    with database.read() as connection:
        return [row.text for row in takeover.versions(connection, 1) if row.status is ReplyStatus.APPROVED]


def at_once(*works: Callable[[], object]) -> list[object]:
    results: list[object] = [None] * len(works)
    start = threading.Barrier(len(works))

    def run(place: int, work: Callable[[], object]) -> None:
        start.wait(30)
        try:
            results[place] = work()
        except (Refused, StoreError) as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=one) for one in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


@pytest.fixture
def crowded(postgres: Postgres) -> Iterator[Database]:
    """A database that several writers use at once."""
    database = Database(postgres.database())
    database.migrate()
    yield database
    database.close()


@pytest.mark.parametrize("edited", [False, True] * 3)
def test_two_nodes_that_see_the_same_mail_approve_it_once(
    crowded: Database, office: Office, edited: bool
) -> None:
    """A node that lost its lease without knowing it looks at the folder beside its successor."""
    data = one_draft(crowded, office)
    mail = from_client(TEXT + "\nTerima kasih.\n") if edited else stored(data)

    def approve() -> Outcome:
        return crowded.write(lambda connection: clientdesk.approve(connection, office, mail, Drafts(), NOW))

    outcomes = at_once(*[approve] * 4)
    assert outcomes.count(Outcome.APPROVED) == 1, outcomes
    assert len(leaving(crowded)) == 1


@pytest.mark.parametrize("again", range(6))
def test_approved_in_the_browser_and_edited_in_the_client_at_once_leaves_once(
    crowded: Database, office: Office, again: int
) -> None:
    one_draft(crowded, office)
    with crowded.read() as connection:
        draft = lifecycle.current_draft(connection, 1)
    assert draft is not None
    mail = from_client(TEXT + "\nTerima kasih.\n")

    def in_the_client() -> Outcome:
        return crowded.write(lambda connection: clientdesk.approve(connection, office, mail, Drafts(), NOW))

    def in_the_browser() -> object:
        return crowded.write(
            lambda connection: approval.approve(
                connection, draft.id, draft.sha256, "petugas", NOW, undo_seconds=0
            )
        )

    at_once(in_the_client, in_the_browser)
    assert len(leaving(crowded)) == 1


def test_words_wrapped_and_encoded_otherwise_are_the_same_version(database: Database, office: Office) -> None:
    data = one_draft(database, office)
    subject = next(line for line in data.decode().split("\r\n") if line.startswith("Subject: "))
    flowed = TEXT.replace("masuk dan", "masuk \ndan")
    raw = (
        f"To: {VENDOR}\r\n{subject}\r\nIn-Reply-To: <mail-1@baharijaya.example>\r\n"
        "Content-Type: text/plain; charset=utf-8; format=flowed\r\n\r\n" + flowed
    ).encode()
    with database.begin() as connection:
        assert clientdesk.approve(connection, office, stored(raw), Drafts(), NOW) is Outcome.APPROVED
        assert len(takeover.versions(connection, 1)) == 1


def test_a_change_in_the_html_part_alone_is_what_the_person_wrote(database: Database, office: Office) -> None:
    one_draft(database, office)
    with database.read() as connection:
        draft = lifecycle.current_draft(connection, 1)
    assert draft is not None
    changed = draft.data.replace(b"Lupa Password", b"Atur Ulang Sandi")
    head, _, parts = draft.data.partition(b"text/html")
    half = head + b"text/html" + parts.replace(b"Lupa Password", b"Atur Ulang Sandi")
    assert half not in (draft.data, changed)
    with database.begin() as connection:
        assert clientdesk.approve(connection, office, stored(half), Drafts(), NOW) is Outcome.APPROVED
    (text,) = leaving(database)
    assert "Atur Ulang Sandi" in text and "Lupa Password" not in text


def test_what_a_colleague_rejected_is_not_sent_by_a_late_move(database: Database, office: Office) -> None:
    data = one_draft(database, office)
    with database.begin() as connection:
        approval.reject(connection, 1, "petugas", NOW)
        assert clientdesk.approve(connection, office, stored(data), Drafts(), NOW) is Outcome.TURNED_DOWN
    assert leaving(database) == []


def test_a_move_to_rejected_of_an_old_version_does_not_take_back_the_new_one(
    database: Database, office: Office
) -> None:
    data = one_draft(database, office)
    with database.begin() as connection:
        reply_id = editing.edit(connection, office, 1, "Teks lain.\n", "petugas", NOW)
        row = lifecycle.reply(connection, reply_id)
        assert row is not None
        approval.approve(connection, reply_id, row.sha256, "petugas", NOW, undo_seconds=600)
        assert clientdesk.reject(connection, office, stored(data), Drafts(), NOW) is Outcome.KNOWN
    assert leaving(database) == ["Teks lain.\n"]


def test_a_mail_with_only_our_tag_is_placed_where_the_ticket_has_one_mail(
    database: Database, office: Office
) -> None:
    data = one_draft(database, office)
    subject = next(line for line in data.decode().split("\r\n") if line.startswith("Subject: "))
    raw = f"To: {VENDOR}\r\n{subject}\r\n\r\nHalo.\r\n".encode()
    with database.begin() as connection:
        ticketed(connection, uid=2, ticket_id=1)
        assert clientdesk.approve(connection, office, stored(raw), Drafts(), NOW) is Outcome.FOREIGN
    forged = raw.replace(b"[LPSE-000001-", b"[LPSE-000001-a")
    with database.begin() as connection:
        assert clientdesk.approve(connection, office, stored(forged), Drafts(), NOW) is Outcome.FOREIGN


def test_a_mail_over_the_limit_is_turned_down_with_the_reason(database: Database, office: Office) -> None:
    one_draft(database, office)
    mail = ClientMail(from_client().head, None, "surat lebih besar dari 10 MiB.")
    with database.begin() as connection:
        assert clientdesk.approve(connection, office, mail, Drafts(), NOW) is Outcome.TURNED_DOWN
        ticket = lifecycle.ticket(connection, 1)
    assert ticket is not None and "10 MiB" in ticket.reason
