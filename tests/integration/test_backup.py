"""Backup, restore into either engine, and the copy that is made before a schema is changed."""

from __future__ import annotations

import json
import sqlite3
import threading
import zipfile
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import MetaData, func, inspect, select, text

from responder.config import Settings, load
from responder.errors import Refused, StoreError
from responder.pipeline.office import make_key
from responder.tickets import accounts, audit, claims, lifecycle, search, switches
from responder.tickets.database import Database, schema_version, upgrade_schema
from responder.tickets.models import Message, Reply
from responder.tickets.models_staff import Role, Session
from responder.tickets.queues import Filters
from responder.upkeep import archive
from responder.upkeep.backup import backup, before_upgrade
from responder.upkeep.restore import restore, restore_key, unpack
from tests.command import run
from tests.mails import build_mail
from tests.postgres import Postgres
from tests.store import MAILBOX, NOW, VENDOR, drafted, ticketed

CONFIG = """[mailboxes.kemenperin]
unit = "LPSE"
address = "helpdesk@lpse.example"
content = "isi"
[mailboxes.kemenperin.imap]
host = "127.0.0.1"
[mailboxes.kemenperin.smtp]
host = "127.0.0.1"
[database]
url = "{url}"
[backup]
keep = 2
"""

Place = Callable[[str], tuple[Settings, Database]]


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """Makes an installation: a directory with a configuration, and a database of the kind that is named."""
    made: list[Database] = []

    def make(name: str, engine: str = "sqlite") -> tuple[Settings, Database]:
        url = "sqlite:///state/responder.db"
        if engine == "postgresql":
            postgres: Postgres = request.getfixturevalue("postgres")
            url = postgres.database()
        directory = tmp_path / name
        (directory / "isi" / "topik").mkdir(parents=True)
        (directory / "isi" / "topik" / "answer.md").write_text("Jawaban.")
        (directory / "config.toml").write_text(CONFIG.format(url=url))
        settings = load(directory / "config.toml")
        make_key(settings.state.secret_key_file)
        database = Database(settings.database.url)
        database.migrate()
        made.append(database)
        return settings, database

    yield make
    for database in made:
        database.close()


def fill(database: Database) -> None:
    """Tickets, replies, an account, a session, an armed installation."""
    with database.begin() as connection:
        for uid in (1, 2, 3):
            ticket, message = ticketed(
                connection,
                uid,
                subject=f"Lupa sandi {uid}",
                text="Kami lupa sandi – mohon bantuan ✓",
                new_text="Kami lupa sandi",
                attachments=["surat kuasa.pdf"],
            )
            reply = drafted(connection, ticket, message)
            lifecycle.approve(connection, reply, f"{1:064x}", "budi", NOW, NOW)
            audit.record(
                connection, [audit.Entry(ticket, "budi", "approved", {"reply": reply, "why": "ya"})], NOW
            )
        accounts.add(connection, "sari", Role.OFFICER, "sandi yang panjang", "test", NOW)
        user = connection.scalar(text("SELECT id FROM users"))
        token = {"token_hash": "a", "user_id": user, "csrf": "b", "agent": ""}
        times = {"created_at": NOW, "seen_at": NOW, "expires_at": NOW}
        connection.execute(Session.__table__.insert(), token | times)
        switches.arm(connection, "budi", NOW)


def content(settings: Settings, database: Database) -> dict[str, list[Any]]:
    """Every row of every table, as values that do not depend on the engine."""
    with TemporaryDirectory() as folder:
        path = backup(settings, database, NOW, to=Path(folder) / "isi.zip")
        with archive.opened(path) as (zipped, manifest):
            return {
                name: [json.loads(line) for line in zipped.read(f"{archive.TABLES}{name}.jsonl").splitlines()]
                for name in manifest.tables
            }


CHANGED_BY_A_RESTORE = {"settings", "events", "sessions", "leases", "presence"}


@pytest.mark.parametrize("frm", ["sqlite", "postgresql"])
@pytest.mark.parametrize("to", ["sqlite", "postgresql"])
def test_what_was_backed_up_comes_back_in_either_engine(place: Any, frm: str, to: str) -> None:
    settings, database = place("lama", frm)
    fill(database)
    path = backup(settings, database, NOW)
    other, target = place("baru", to)
    target.close()
    done = restore(path, other, "op", NOW + timedelta(days=1))
    before, after = content(settings, database), content(other, target)
    for name in before.keys() - CHANGED_BY_A_RESTORE:
        assert after[name] == before[name], name
    assert after["events"][: len(before["events"])] == before["events"]
    assert done.aside == ""
    with target.read() as connection:
        assert audit.broken_chains(connection) == []
        found = search.find(connection, "lupa sandi", Filters(), 10)
        assert [line.ticket_id for line in found.rows] == [3, 2, 1]
    with target.begin() as connection:
        ticket, _ = ticketed(connection, 9)
        assert ticket == 4


def test_a_restored_database_sends_nothing_until_a_person_arms(place: Any) -> None:
    settings, database = place("lama")
    fill(database)
    path = backup(settings, database, NOW)
    other, target = place("baru")
    target.close()
    restore(path, other, "op", NOW + timedelta(days=1))
    with target.read() as connection:
        arming = switches.arming(connection)
        assert not arming.armed
        assert "backup of 2026-11-22" in arming.hold
        assert connection.scalar(select(func.count()).select_from(Session)) == 0


def test_a_backup_holds_one_moment_while_mails_flow(place: Any) -> None:
    settings, database = place("lama")
    stop = threading.Event()

    def flow() -> None:
        uid = 0
        while not stop.is_set():
            uid += 1
            with database.begin() as connection:
                ticket, message = ticketed(connection, uid)
                drafted(connection, ticket, message)
                audit.record(connection, [audit.Entry(ticket, "m", "received")], NOW)

    writer = threading.Thread(target=flow)
    writer.start()
    try:
        paths = [backup(settings, database, NOW + timedelta(seconds=n)) for n in range(2)]
    finally:
        stop.set()
        writer.join(60)
    for path in paths:
        with archive.opened(path) as (_zipped, manifest):
            assert manifest.rows["messages"] == manifest.rows["replies"] == manifest.rows["tickets"]


def test_a_backup_is_the_operators_alone_and_the_newest_are_kept(place: Any) -> None:
    settings, database = place("lama")
    (settings.backups).mkdir(parents=True)
    (settings.backups / "catatan.txt").write_text("bukan cadangan")
    paths = [backup(settings, database, NOW + timedelta(days=n)) for n in range(4)]
    assert paths[-1].stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in settings.backups.iterdir()) == sorted(
        ["catatan.txt", paths[2].name, paths[3].name]
    )


def test_no_secret_is_in_a_backup_unless_asked_for(place: Any) -> None:
    settings, database = place("lama")
    text = settings.file.read_text() + "# postgresql+psycopg://lpse:rahasia@db/lpse\n"
    settings.file.write_text(text)
    key = settings.state.secret_key_file.read_text().strip().encode()
    without = backup(settings, database, NOW)
    with zipfile.ZipFile(without) as zipped:
        names = zipped.namelist()
        assert "files/isi/topik/answer.md" in names
        assert archive.KEY not in names
        everything = b"".join(zipped.read(name) for name in names)
    assert key not in everything and b"rahasia" not in everything
    with_key = backup(settings, database, NOW, to=settings.backups / "dengan-kunci.zip", with_key=True)
    with zipfile.ZipFile(with_key) as zipped:
        assert zipped.read(archive.KEY).strip() == key
    other, _ = place("baru")
    other.state.secret_key_file.unlink()
    assert not restore_key(without, other)
    assert restore_key(with_key, other)
    assert other.state.secret_key_file.stat().st_mode & 0o777 == 0o600


def test_a_damaged_backup_touches_nothing(place: Any, tmp_path: Path) -> None:
    settings, database = place("lama")
    fill(database)
    whole = backup(settings, database, NOW).read_bytes()
    other, target = place("baru")
    fill(target)
    before = content(other, target)
    target.close()
    spoilt = bytearray(whole)
    spoilt[len(whole) // 2] ^= 0xFF
    for name, data in (
        ("potong", whole[: len(whole) // 2]),
        ("rusak", bytes(spoilt)),
        ("lain", b"bukan zip"),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(StoreError):
            restore(path, other, "op", NOW, replace=True)
    assert content(other, target) == before


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_database_with_records_is_replaced_only_on_demand_and_kept_aside(place: Any, engine: str) -> None:
    settings, database = place("lama", engine)
    fill(database)
    path = backup(settings, database, NOW)
    other, target = place("baru", engine)
    with target.begin() as connection:
        ticketed(connection, 77)
    target.close()
    with pytest.raises(Refused, match="--replace"):
        restore(path, other, "op", NOW)
    done = restore(path, other, "op", NOW, replace=True)
    with target.read() as connection:
        assert connection.scalar(select(func.count()).select_from(Message)) == 3
    if engine == "sqlite":
        with closing(sqlite3.connect(done.aside)) as aside:
            assert aside.execute("SELECT uid FROM messages").fetchall() == [(77,)]
    else:
        schema = done.aside.removeprefix("schema ")
        with target.read() as connection:
            assert "messages" in inspect(connection).get_table_names(schema=schema)


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_running_service_keeps_its_database(place: Any, engine: str) -> None:
    settings, database = place("lama", engine)
    fill(database)
    path = backup(settings, database, NOW)
    with database.read() as connection:
        connection.execute(select(Message.id)).all()
        with pytest.raises(Refused, match="stop"):
            restore(path, settings, "op", NOW, replace=True)
    assert content(settings, database)["messages"]


def test_a_restore_that_fails_leaves_the_old_database(place: Any, tmp_path: Path) -> None:
    settings, database = place("lama")
    fill(database)
    path = backup(settings, database, NOW)
    newer = tmp_path / "baru.zip"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(newer, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == archive.MANIFEST:
                data = json.dumps(json.loads(data) | {"schema": "9999"}).encode()
            new.writestr(name, data)
    before = content(settings, database)
    database.close()
    with pytest.raises(StoreError, match="upgrade the program"):
        restore(newer, settings, "op", NOW, replace=True)
    assert content(settings, database) == before
    database.close()
    assert [
        one.name for one in Path(database.url.removeprefix("sqlite:///")).parent.glob("responder.db*")
    ] == ["responder.db"]


def test_another_machine_gets_a_whole_installation(place: Any, tmp_path: Path) -> None:
    settings, database = place("lama")
    fill(database)
    path = backup(settings, database, NOW)
    directory = tmp_path / "mesin-lain"
    ended = run("restore", str(path), "--to", str(directory))
    assert ended.returncode == 0, ended.stderr
    assert "the secret key" in ended.stdout and "is not there" in ended.stdout
    assert (directory / "isi/topik/answer.md").read_text() == "Jawaban."
    assert (directory / "state/responder.db").is_file()
    assert unpack(path, directory)[0].startswith("kept ")


def old_database(settings: Settings, postgres_url: str = "") -> Database:
    """A database as version 0001 left it, with a ticket, a reply and its events."""
    database = Database(postgres_url or settings.database.url)
    with database.begin() as connection:
        upgrade_schema(connection, "0001")
        metadata = MetaData()
        metadata.reflect(connection)
        raw = build_mail("Lupa sandi")
        message = {
            "id": 1, "mailbox": MAILBOX, "folder": "INBOX", "uidvalidity": 7, "uid": 1, "identity": "x", "size": 9,
            "received_at": NOW, "flags": [], "raw": raw, "header_id": "a@b", "from_address": VENDOR, "from_name": "",
            "subject": "Lupa sandi", "text": "Kami lupa", "new_text": "Kami lupa", "attachments": [],
            "reply_references": [], "reply_address": VENDOR, "verdict": "draft", "kind": "person", "reasons": [],
            "disposition": "ticketed", "reason": "", "attempts": 0, "ticket_id": 1, "marked": False,
        }  # fmt: skip
        ticket = {
            "id": 1, "mailbox": MAILBOX, "status": "closed", "subject": "Lupa sandi", "vendor_address": VENDOR,
            "vendor_name": "", "language": "id", "topics": [], "confidence": {}, "reason": "",
            "created_at": NOW, "updated_at": NOW,
        }  # fmt: skip
        connection.execute(metadata.tables["tickets"].insert(), ticket)
        connection.execute(metadata.tables["messages"].insert(), message)
        previous = ""
        for seq, detail in enumerate(({"why": VENDOR, "message": 1}, {"reason": "selesai"}), start=1):
            previous = audit.event_hash(previous, 1, seq, NOW, "budi", "noted", detail)
            event = {"ticket_id": 1, "seq": seq, "at": NOW, "actor": "budi", "action": "noted"}
            connection.execute(
                metadata.tables["events"].insert(), event | {"detail": detail, "hash": previous}
            )
    return database


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_an_older_database_is_copied_before_it_is_changed(
    place: Any, tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    settings, first = place("lama")
    first.close()
    Path(settings.database.url.removeprefix("sqlite:///")).unlink()
    url = request.getfixturevalue("postgres").database() if engine == "postgresql" else ""
    database = old_database(settings, url)
    with pytest.raises(StoreError, match="responder upgrade"):
        database.migrate()
    done = database.migrate(before_upgrade(settings, database, lambda: NOW))
    assert done is not None and done.frm == "0001" and done.copy is not None
    assert database.migrate() is None
    with database.read() as connection:
        assert schema_version(connection) == done.to
        assert audit.broken_chains(connection) == []
        assert [line.ticket_id for line in search.find(connection, "kami lupa", Filters(), 9).rows] == [1]
    if engine == "sqlite":
        with closing(sqlite3.connect(done.copy)) as copy:
            assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
            assert copy.execute("SELECT subject FROM messages").fetchone() == ("Lupa sandi",)
    else:
        target = load(settings.file)
        restore(done.copy, target, "op", NOW)
        with closing(sqlite3.connect(target.database.url.removeprefix("sqlite:///"))) as restored:
            assert restored.execute("SELECT subject FROM messages").fetchone() == ("Lupa sandi",)
    database.close()


def test_starting_says_that_the_database_was_upgraded_and_where_the_old_one_is(place: Any) -> None:
    settings, first = place("lama")
    first.close()
    Path(settings.database.url.removeprefix("sqlite:///")).unlink()
    old_database(settings).close()
    ended = run("upgrade", "--config", str(settings.file))
    assert ended.returncode == 0
    assert "upgraded from version 0001" in ended.stderr and "before-" in ended.stderr
    assert run("upgrade", "--config", str(settings.file)).stderr == ""


def test_approved_replies_of_a_restored_database_wait(place: Any) -> None:
    settings, database = place("lama")
    fill(database)
    path = backup(settings, database, NOW)
    other, target = place("baru")
    target.close()
    restore(path, other, "op", NOW + timedelta(days=1))
    with target.begin() as connection:
        arming = switches.arming(connection)
        assert connection.scalar(select(func.count()).where(Reply.status == "approved")) == 3
        later = NOW + timedelta(days=2)
        assert not claims.claim_due(connection, MAILBOX, "node", 8, later, later, arming)
