"""Retention, and export and erasure of what is known about one person."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from responder.config import Settings, load
from responder.errors import Refused
from responder.mail.addresses import mailbox_key
from responder.pipeline import desk, learning
from responder.pipeline.office import make_key, read_key
from responder.replies import approval
from responder.tickets import audit, brakes, ledger, lifecycle, proof, search, switches, threading
from responder.tickets.database import Database
from responder.tickets.erasure import PSEUDONYMS, Pseudonyms
from responder.tickets.ledger import Seen
from responder.tickets.models import Event, Message, Reply, StaffVerdict, Ticket
from responder.tickets.models_staff import Note
from responder.tickets.queues import Filters
from responder.tickets.status import Disposition, Filing, ReplyStatus, TicketStatus
from responder.upkeep import retention, shred
from responder.upkeep.backup import backup
from responder.upkeep.export import export
from responder.upkeep.privacy import erase, look
from responder.upkeep.restore import restore
from tests.command import run
from tests.mails import File, build_mail
from tests.store import MAILBOX, NOW, drafted

PERSON = "Ratna.Dewi@baharijaya.example"
OTHER = "joko@lain.example"
SECRETS = (b"ratna.dewi", b"baharijaya", b"Mawarmelati", b"kaktusduri", b"anggrekbulan", b"Ratna Dewi")
"""The person's address, and words that only the person's mail, reply and note hold."""

CONFIG = """[mailboxes.kemenperin]
unit = "LPSE"
address = "helpdesk@lpse.example"
[mailboxes.kemenperin.imap]
host = "127.0.0.1"
[mailboxes.kemenperin.smtp]
host = "127.0.0.1"
[mailboxes.kemenperin.folders]
sent = "Terkirim"
[database]
url = "{url}"
"""
LATER = NOW + timedelta(days=800)


@pytest.fixture
def settings(tmp_path: Path, database: Database) -> Settings:
    (tmp_path / "config.toml").write_text(CONFIG.format(url=database.url))
    made = load(tmp_path / "config.toml")
    make_key(made.state.secret_key_file)
    return made


@pytest.fixture
def names(settings: Settings) -> Pseudonyms:
    return Pseudonyms(read_key(settings.state.secret_key_file), mailbox_key)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    store = Database(f"sqlite:///{tmp_path}/berkas.db")
    store.migrate()
    yield store
    store.close()


def conversation(
    connection: Any,
    uid: int = 1,
    address: str = PERSON,
    status: TicketStatus = TicketStatus.ANSWERED,
    decision: str = "approved",
) -> int:
    """A ticket with a mail, its attachment, a sent reply, a note, a decided verdict and events; returns its number."""
    body = f"Nama saya Ratna Dewi, NIK 3201012345670001. Kata sandi Mawarmelati hilang {uid}."
    raw = build_mail("Lupa sandi", body, sender=f"Ratna Dewi <{address}>", attachments=[File("ktp.pdf")])
    seen = Seen(uid, f"identity-{uid}", len(raw), NOW, (), raw)
    ledger.store(connection, MAILBOX, "INBOX", 7, [seen], NOW)
    message = connection.scalar(select(Message.id).where(Message.uid == uid))
    values = {"mailbox": MAILBOX, "status": status, "subject": "Lupa sandi Mawarmelati"}
    vendor = {"vendor_address": address, "vendor_name": "Ratna Dewi", "created_at": NOW, "updated_at": NOW}
    ticket = lifecycle.open_ticket(connection, values | vendor)
    ledger.finish(
        connection,
        message,
        Disposition.TICKETED,
        ticket_id=ticket,
        kind="person",
        from_address=address,
        from_name="Ratna Dewi",
        reply_address=address,
        header_id=f"mail-{uid}@baharijaya.example",
        subject="Lupa sandi",
        text=body,
        new_text=body,
        attachments=["ktp.pdf"],
        reasons=[f"From {address}"],
    )
    reply = drafted(
        connection, ticket, message, recipient=address, text="Yth. Ratna Dewi kaktusduri",
        data=f"To: {address}\r\n\r\nYth. Ratna Dewi kaktusduri".encode(), status=ReplyStatus.SENT,
        sent_at=NOW, filing=Filing.DONE, header_id=f"kami-{uid}@lpse.example",
    )  # fmt: skip
    connection.execute(
        Note.__table__.insert(), {"ticket_id": ticket, "at": NOW, "by": "sari", "text": "anggrekbulan"}
    )
    verdict = {"predicted": "draft", "topics": ["lupa-password"], "confidence": {"lupa-password": 0.9}}
    decided = {"decision": decision, "decided_topics": ["lupa-password"], "manner": "single"}
    more = {"reason": "kata Mawarmelati", "model_version": "m", "predicted_at": NOW, "decided_at": NOW}
    connection.execute(
        StaffVerdict.__table__.insert(),
        {"ticket_id": ticket, "message_id": message} | verdict | decided | more,
    )
    events = [
        audit.Entry(ticket, audit.MACHINE, "received", {"message": message, "topics": ["lupa-password"]}),
        audit.Entry(ticket, audit.MACHINE, "sent", {"reply": reply, "answer": f"250 {address} ok"}),
        audit.Entry(ticket, "sari", "closed", {"reason": "Ratna Dewi sudah ditelepon"}),
    ]
    audit.record(connection, events, NOW)
    return ticket


def said(database: Database) -> bytes:
    """Everything that the database says, of every table and of the search index, as an engine-neutral dump."""
    with database.read() as connection:
        if database.is_sqlite:
            raw = connection.connection.dbapi_connection
            assert raw is not None
            return "\n".join(raw.iterdump()).encode("utf-8", "replace")  # type: ignore[attr-defined]
        tables = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
        rows = [connection.scalars(text(f"SELECT t::text FROM {one} t")).all() for one in tables]
        return "\n".join(str(row) for found in rows for row in found).encode()


def reports(connection: Any) -> dict[str, Any]:
    """The counts that reports are made of."""
    by = {
        "tickets": select(Ticket.status, func.count()).group_by(Ticket.status).order_by(Ticket.status),
        "replies": select(Reply.status, Reply.kind, func.count()).group_by(Reply.status, Reply.kind),
        "messages": select(Message.disposition, Message.kind, func.count()).group_by(
            Message.disposition, Message.kind
        ),
        "verdicts": select(StaffVerdict.predicted, StaffVerdict.decision, func.count()).group_by(
            StaffVerdict.predicted, StaffVerdict.decision
        ),
        "vendors": select(func.count(Ticket.vendor_address.distinct())),
        "bounced": select(func.count()).where(Reply.undelivered != ""),
        "opened": select(func.min(Ticket.created_at)),
        "sent": select(func.max(Reply.sent_at)),
    }
    return {name: [tuple(row) for row in connection.execute(query)] for name, query in by.items()}


def test_nothing_is_erased_before_its_time(database: Database, settings: Settings) -> None:
    with database.begin() as connection:
        conversation(connection)
    before = said(database)
    assert retention.purge(database, settings, NOW + timedelta(days=100)).count == 0
    assert said(database) == before


def test_what_a_purge_would_do_is_what_it_does(database: Database, settings: Settings) -> None:
    with database.begin() as connection:
        for uid in range(1, 4):
            conversation(connection, uid)
    planned = retention.survey(database, settings, LATER)
    assert {line.kind: line.count for line in planned.lines if line.count} == {
        "raw mail and attachments": 3,
        "tickets": 3,
    }
    assert {line.oldest for line in planned.lines if line.count} == {NOW}
    assert retention.purge(database, settings, LATER) == planned
    assert retention.purge(database, settings, LATER).count == 0


def test_attachments_go_before_the_text(database: Database, settings: Settings) -> None:
    with database.begin() as connection:
        conversation(connection)
    retention.purge(database, settings, NOW + timedelta(days=200))
    with database.read() as connection:
        row = connection.execute(select(Message.raw, Message.text, Message.attachments)).one()
    assert row.raw is None
    assert "Ratna" in row.text and row.attachments == ["ktp.pdf"]


def test_after_a_purge_reports_count_the_same_and_the_records_are_proved(
    database: Database, settings: Settings
) -> None:
    with database.begin() as connection:
        for uid, address in enumerate(
            (PERSON, PERSON.lower(), "ratna.dewi+x@baharijaya.example", OTHER), start=1
        ):
            conversation(connection, uid, address, decision="closed")
        connection.execute(update(Reply).where(Reply.id == 1).values(undelivered=f"550 {PERSON} unknown"))
        for reply in connection.execute(select(Reply.id, Reply.data)).all():
            frozen = hashlib.sha256(reply.data).hexdigest()
            connection.execute(update(Reply).where(Reply.id == reply.id).values(sha256=frozen))
        before = reports(connection)
    retention.purge(database, settings, LATER)
    with database.read() as connection:
        after = reports(connection)
        assert before.pop("vendors") == [(4,)] and after.pop("vendors") == [(2,)]  # one person, one pseudonym
        assert after == before
        assert proof.problems(connection) == []
    gone = said(database)
    for secret in (*SECRETS, OTHER.encode(), b"ktp.pdf", b"3201012345670001"):
        assert secret not in gone, secret


def test_erased_bytes_without_an_event_are_a_problem(database: Database) -> None:
    with database.begin() as connection:
        ticket = conversation(connection)
        connection.execute(update(Reply).values(data=b""))
        assert any("bytes have changed" in line for line in proof.problems(connection))
        connection.execute(update(Event).where(Event.seq == 2).values(detail={}, salt=""))
        assert audit.broken_chains(connection) == [ticket]


def test_a_detail_that_was_changed_instead_of_erased_breaks_the_chain(
    database: Database, settings: Settings
) -> None:
    with database.begin() as connection:
        ticket = conversation(connection)
    retention.purge(database, settings, LATER)
    with database.begin() as connection:
        assert audit.broken_chains(connection) == []
        connection.execute(update(Event).where(Event.seq == 2).values(detail={"reply": 7}))
        assert audit.broken_chains(connection) == [ticket]


def test_open_tickets_and_replies_on_their_way_are_never_erased(
    database: Database, settings: Settings
) -> None:
    with database.begin() as connection:
        conversation(connection, 1, status=TicketStatus.NEEDS_STAFF)
        conversation(connection, 2)
        conversation(connection, 3)
        conversation(connection, 4)
        connection.execute(update(Reply).where(Reply.id == 2).values(status=ReplyStatus.UNCERTAIN))
        connection.execute(update(Reply).where(Reply.id == 3).values(filing=Filing.PENDING))
    retention.purge(database, settings, LATER)
    with database.read() as connection:
        assert connection.scalars(select(Ticket.id).where(Ticket.erased_at.is_not(None))).all() == [4]


def test_quarantine_is_never_emptied_silently(database: Database, settings: Settings) -> None:
    with database.begin() as connection:
        seen = [Seen(uid, f"i{uid}", 3, NOW, (), b"raw") for uid in (1, 2)]
        ledger.store(connection, MAILBOX, "INBOX", 7, seen, NOW)
        for message in (1, 2):
            ledger.finish(connection, message, Disposition.QUARANTINED, reason="not readable")
    summary = retention.purge(database, settings, LATER)
    assert (summary.count, summary.waiting, summary.waiting_since) == (0, 2, NOW)
    with database.begin() as connection:
        desk.close_quarantined(connection, 1, "sari", LATER)
    assert retention.purge(database, settings, LATER + timedelta(days=30)).count == 0
    assert retention.purge(database, settings, LATER + timedelta(days=100)).count == 1
    with database.read() as connection:
        assert connection.scalars(select(Message.raw).order_by(Message.id)).all() == [None, b"raw"]


def test_machine_mail_goes_after_its_own_period(database: Database, settings: Settings) -> None:
    with database.begin() as connection:
        ledger.store(connection, MAILBOX, "INBOX", 7, [Seen(1, "i", 3, NOW, (), b"raw")], NOW)
        ledger.finish(
            connection,
            1,
            Disposition.IGNORED,
            kind="list",
            from_address="berita@lain.example",
            reason="List-Id",
        )
    assert retention.purge(database, settings, NOW + timedelta(days=89)).count == 0
    retention.purge(database, settings, NOW + timedelta(days=91))
    with database.read() as connection:
        row = connection.execute(select(Message.raw, Message.from_address, Message.kind)).one()
    assert row.raw is None and row.from_address.endswith(PSEUDONYMS) and row.kind == "list"


def test_a_purge_that_is_cut_off_goes_on_where_it_was(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.begin() as connection:
        for uid in range(1, 6):
            conversation(connection, uid)
    monkeypatch.setattr(retention, "BATCH", 2)
    steps = 0

    def cut_off() -> None:
        nonlocal steps
        steps += 1
        if steps == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retention.purge(database, settings, LATER, cut_off)
    with database.read() as connection:
        done = connection.scalar(select(func.count()).where(Ticket.erased_at.is_not(None)))
        assert 0 < done < 5
        assert audit.broken_chains(connection) == []
    retention.purge(database, settings, LATER)
    with database.read() as connection:
        assert connection.scalar(select(func.count()).where(Ticket.erased_at.is_(None))) == 0


def test_the_same_mail_and_its_thread_are_known_after_a_purge(
    database: Database, settings: Settings, names: Pseudonyms
) -> None:
    """Rules 48 and 50."""
    with database.begin() as connection:
        ticket = conversation(connection)
    retention.purge(database, settings, LATER)
    with database.begin() as connection:
        assert ledger.known_identities(connection, MAILBOX, ["identity-1"])["identity-1"].ticket_id == ticket
        pseudonym = names.address(PERSON.lower())
        for ids in (["kami-1@lpse.example"], [names.header_id("mail-1@baharijaya.example")]):
            assert threading.find(connection, MAILBOX, pseudonym, ids, None).ticket_id == ticket
            assert threading.find(connection, MAILBOX, names.address(OTHER), ids, None).ticket_id is None
        again = Seen(1, "identity-1", 10, NOW, (), b"raw")
        assert ledger.store(connection, MAILBOX, "INBOX", 8, [again], LATER) == 0


def test_what_staff_decided_still_teaches_masked_until_its_own_period_ends(
    database: Database, settings: Settings
) -> None:
    with database.begin() as connection:
        conversation(connection)
        conversation(connection, 2, decision="closed")
    retention.purge(database, settings, LATER)
    with database.read() as connection:
        (lesson,) = learning.labelled_texts(connection, MAILBOX, LATER)
        assert lesson.labels == ("lupa-password",)
        assert "hilang 1" in lesson.text
        for word in ("Ratna", "Dewi", "3201012345670001"):
            assert word not in lesson.text
        assert learning.past_mails(connection, MAILBOX, 10) == []
    retention.purge(database, settings, NOW + timedelta(days=1096))
    with database.read() as connection:
        assert learning.labelled_texts(connection, MAILBOX, LATER) == []


def test_the_brakes_forget_what_is_over_and_nothing_else(database: Database, settings: Settings) -> None:
    """Rule 19."""
    limits = brakes.Limits(same_answer_days=7, per_address_day=9, per_domain_day=9, per_hour=9)
    with database.begin() as connection:
        assert brakes.reserve(connection, limits, PERSON, "answer", ["a"], NOW) is None
    retention.purge(database, settings, NOW + timedelta(days=3))
    with database.begin() as connection:
        assert (
            brakes.reserve(connection, limits, PERSON, "answer", ["a"], NOW + timedelta(days=3)) is not None
        )
    retention.purge(database, settings, NOW + timedelta(days=30))
    assert b"ratna" not in said(database).lower()


def test_an_export_holds_everything_about_one_person_and_nobody_else(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    """UU 27/2022 Pasal 7 and 13."""
    with database.begin() as connection:
        conversation(connection, 1)
        conversation(connection, 2, "RATNA.DEWI+lpse@baharijaya.example", TicketStatus.NEEDS_STAFF)
        conversation(connection, 3, OTHER)
    done = export(database, settings, PERSON, tmp_path / "ratna.zip", NOW)
    assert (done.tickets, done.mails, done.replies) == (2, 2, 2)
    assert done.place.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(done.place) as zipped:
        names = zipped.namelist()
        data = json.loads(zipped.read("data.json"))
        index = zipped.read("indeks.html").decode()
        assert b"Mawarmelati" in zipped.read("surat/000001.eml")
        assert b"kaktusduri" in zipped.read("balasan/000001.eml")
    assert len(names) == 6
    assert [ticket["id"] for ticket in data["tickets"]] == [1, 2]
    assert data["tickets"][0]["notes"][0]["text"] == "anggrekbulan"
    assert data["tickets"][0]["verdicts"][0]["decided_topics"] == ["lupa-password"]
    assert "Data pribadi yang disimpan tentang" in index and "Mawarmelati" in index
    assert OTHER not in index and OTHER not in json.dumps(data)
    assert "sari" not in json.dumps(data)  # staff are people too


def test_an_export_to_a_directory_overwrites_nothing(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    with database.begin() as connection:
        conversation(connection)
    export(database, settings, PERSON, tmp_path / "ratna", NOW)
    assert (tmp_path / "ratna" / "indeks.html").is_file()
    with pytest.raises(Refused):
        export(database, settings, PERSON, tmp_path / "ratna", NOW)
    with pytest.raises(Refused, match="nothing is known"):
        export(database, settings, "tidak@ada.example", tmp_path / "kosong", NOW)


def test_erasing_a_person_leaves_no_trace_in_any_table_or_index(
    database: Database, settings: Settings, names: Pseudonyms
) -> None:
    """UU 27/2022 Pasal 8."""
    with database.begin() as connection:
        conversation(connection, 1)
        conversation(connection, 2, "ratna.dewi+lpse@BAHARIJAYA.example")
        other = conversation(connection, 3, OTHER)
        brakes.reserve(connection, brakes.Limits(7, 9, 9, 9), PERSON.lower(), "answer", ["a"], NOW)
        before = reports(connection)
    done = erase(database, settings, PERSON.lower(), "op", LATER)
    assert (done.tickets, done.messages) == ((1, 2), 2)
    assert done.pseudonym == names.address(PERSON)
    with database.begin() as connection:
        after = reports(connection)
        assert {**after, "vendors": 0} == {**before, "vendors": 0}
        assert audit.broken_chains(connection) == []
        assert search.find(connection, "ratna", Filters(), 10).rows[0].ticket_id == other
        assert len(search.find(connection, "Mawarmelati", Filters(), 10).rows) == 1
        connection.execute(Note.__table__.delete())
        for model in (Message, Reply, Ticket):
            kept = model.__table__.c.ticket_id if model is not Ticket else model.__table__.c.id
            row = connection.execute(select(model.__table__).where(kept == other)).first()
            assert row is not None
        (event,) = connection.execute(select(Event.detail).where(Event.action == "person_erased")).all()
        assert event.detail == {"person": done.pseudonym, "counts": {"tickets": 2, "messages": 2}}
    gone = said(database)
    assert b"ratna.dewi" not in gone.lower()
    with pytest.raises(Refused, match="nothing is known"):
        erase(database, settings, PERSON, "op", LATER)


def test_erased_bytes_are_gone_from_the_file(sqlite: Database, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG.format(url=sqlite.url))
    settings = load(tmp_path / "config.toml")
    make_key(settings.state.secret_key_file)
    with sqlite.begin() as connection:
        for uid in range(1, 30):
            conversation(connection, uid)
    for uid in range(1, 30):
        with sqlite.begin() as connection:
            connection.execute(update(Ticket).where(Ticket.id == uid).values(updated_at=NOW))
    files = (tmp_path / "berkas.db", tmp_path / "berkas.db-wal")
    assert any(b"Mawarmelati" in path.read_bytes() for path in files)
    done = erase(sqlite, settings, PERSON, "op", LATER)
    assert done.remains.shredded
    left = b"".join(path.read_bytes() for path in files if path.exists()).lower()
    for secret in (*SECRETS, b"3201012345670001"):
        assert secret.lower() not in left, secret


def test_a_purge_leaves_no_bytes_in_the_file(sqlite: Database, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG.format(url=sqlite.url))
    settings = load(tmp_path / "config.toml")
    make_key(settings.state.secret_key_file)
    with sqlite.begin() as connection:
        for uid in range(1, 30):
            conversation(connection, uid)
    retention.purge(sqlite, settings, NOW + timedelta(days=1200))
    retention.purge(sqlite, settings, NOW + timedelta(days=1201))
    assert shred.shred(sqlite, everything=True)
    left = b"".join(path.read_bytes() for path in tmp_path.glob("berkas.db*")).lower()
    for secret in SECRETS:
        assert secret.lower() not in left, secret


def test_nothing_is_erased_while_a_reply_is_on_its_way_or_a_ticket_is_open(
    database: Database, settings: Settings
) -> None:
    with database.begin() as connection:
        conversation(connection, 1, status=TicketStatus.NEEDS_STAFF)
        conversation(connection, 2)
    before = said(database)
    with pytest.raises(Refused, match="tickets 1 are open"):
        erase(database, settings, PERSON, "op", LATER)
    for status in (ReplyStatus.APPROVED, ReplyStatus.SENDING, ReplyStatus.UNCERTAIN):
        with database.begin() as connection:
            connection.execute(update(Reply).where(Reply.id == 2).values(status=status))
        with pytest.raises(Refused, match=f"ticket 2: a reply is {status.value}"):
            erase(database, settings, PERSON, "op", LATER, close=True)
    with database.begin() as connection:
        connection.execute(update(Reply).where(Reply.id == 2).values(status=ReplyStatus.SENT))
    assert said(database) == before
    assert erase(database, settings, PERSON, "op", LATER, close=True).tickets == (1, 2)
    with database.read() as connection:
        assert connection.scalars(select(Ticket.status).order_by(Ticket.id)).all() == [
            TicketStatus.CLOSED,
            TicketStatus.ANSWERED,
        ]


def test_who_asked_for_no_automatic_mail_gets_none_after_erasure(
    database: Database, settings: Settings, names: Pseudonyms
) -> None:
    """Rule 47."""
    with database.begin() as connection:
        conversation(connection)
        switches.note_address(connection, PERSON.lower(), f"{PERSON} meminta", NOW)
    erase(database, settings, PERSON, "op", LATER)
    with database.read() as connection:
        (reason,) = switches.address_notes(connection, [names.address(PERSON)]).values()
    assert "Ratna" not in reason
    assert run("address", "clear", PERSON, "--config", str(settings.file)).returncode == 0


def test_mail_that_names_the_person_in_its_bytes_only_is_erased_too(
    database: Database, settings: Settings
) -> None:
    raw = build_mail("Undelivered", f"550 {PERSON} unknown", sender="mailer-daemon@lain.example")
    with database.begin() as connection:
        conversation(connection)
        seen = [
            Seen(5, "i5", 3, NOW, (), raw),
            Seen(6, "i6", 3, NOW, (), raw),
            Seen(7, "i7", 3, NOW, (), b"lain"),
        ]
        ledger.store(connection, MAILBOX, "INBOX", 7, seen, NOW)
        ledger.finish(connection, 2, Disposition.IGNORED, kind="bounce")
        ledger.finish(connection, 3, Disposition.QUARANTINED, reason="not readable")
        ledger.finish(connection, 4, Disposition.QUARANTINED, reason="not readable")
    assert erase(database, settings, PERSON, "op", LATER).messages == 3
    with database.read() as connection:
        rows = connection.execute(select(Message.raw, Message.disposition).order_by(Message.id)).all()
    assert [row.raw for row in rows] == [None, None, None, b"lain"]
    # Without bytes nothing is left to look at, and the server must not be asked for them again.
    assert rows[2].disposition is Disposition.IGNORED and rows[3].disposition is Disposition.QUARANTINED


def test_what_remains_elsewhere_is_told(database: Database, settings: Settings) -> None:
    with database.begin() as connection:
        conversation(connection)
        other = conversation(connection, 2, OTHER)
        connection.execute(update(Message).where(Message.id == 2).values(text=f"rekan saya {PERSON}"))
    kept = backup(settings, database, NOW)
    found, remains = look(database, settings, PERSON)
    assert found.tickets == (1,)
    assert remains.mentions == (other,)
    assert remains.backups == (kept,)
    assert remains.folders == ("kemenperin: INBOX", "kemenperin: Terkirim")
    shown = run("privacy", "erase", PERSON, "--dry-run", "--config", str(settings.file)).stdout
    for words in ("INBOX", "Terkirim", kept.name, f"tickets of others that name the address: {other}"):
        assert words in shown


def test_an_erased_reply_cannot_be_sent_again(database: Database, settings: Settings) -> None:
    """Rule 75."""
    with database.begin() as connection:
        conversation(connection)
        connection.execute(update(Reply).values(status=ReplyStatus.FAILED))
    retention.purge(database, settings, LATER)
    with database.begin() as connection, pytest.raises(Refused, match="erased"):
        approval.send_again(connection, 1, "sari", LATER)


def test_the_commands_do_it(settings: Settings, database: Database, tmp_path: Path) -> None:
    with database.begin() as connection:
        conversation(connection)
    where = ("--config", str(settings.file))
    shown = run("purge", "--dry-run", *where)
    assert shown.returncode == 0 and "tickets" in shown.stdout
    assert run("privacy", "export", PERSON, "--to", str(tmp_path / "x"), *where).returncode == 0
    assert run("privacy", "erase", "bukan alamat", "--yes", *where).returncode == 2
    done = run("privacy", "erase", PERSON, "--yes", *where)
    assert done.returncode == 0, done.stderr
    assert "erased: 1 tickets, 1 mails" in done.stdout


def test_a_backup_from_before_an_erasure_still_holds_the_person(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    with database.begin() as connection:
        conversation(connection)
    kept = backup(settings, database, NOW)
    erase(database, settings, PERSON, "op", LATER)
    (tmp_path / "lain").mkdir()
    config = tmp_path / "lain" / "config.toml"
    config.write_text(CONFIG.format(url="sqlite:///state/responder.db"))
    other = load(config)
    restore(kept, other, "op", LATER)
    found, _ = look(Database(other.database.url), other, PERSON)
    assert found.tickets == (1,)
