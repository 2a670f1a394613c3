"""Promise: staff who never leave their mail client send, reject, edit and answer there, and nobody gets two answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from responder.config import load
from responder.tickets.database import Database
from responder.tickets.models import StaffVerdict
from tests.conftest import require_dovecot
from tests.imap_proxy import ImapProxy
from tests.scenarios.faults import FaultBackend
from tests.scenarios.installation import (
    DRAFTS,
    OFFICE,
    SENT,
    VENDOR,
    DovecotBackend,
    Installation,
    kill,
    parsed,
    plain_text,
)
from tests.scenarios.mail_clients import (
    APPROVED,
    FOLDERS,
    REJECTED,
    SETTINGS,
    Store,
    copy,
    gmail,
    move,
    on,
    only_draft,
    outlook,
    put,
    remove,
    save,
    thunderbird,
)
from tests.servers import Dovecot
from tests.watched_smtp import WatchedSmtp

SUBJECT = "Lupa password"
BODY = "Kami lupa password akun LPSE. Bagaimana cara reset password? Email terdaftar masih aktif."
ADDED = "Loket kami buka sampai pukul 15.00."
CLIENTS = pytest.mark.parametrize("store", [thunderbird, outlook, gmail])


def add_line(text: str) -> str:
    return text.rstrip() + f"\n\n{ADDED}\n"


def one_draft(office: Installation, settings: str = SETTINGS) -> str:
    """An armed office with one draft in Drafts; returns the vendor's Message-ID."""
    office.write_config(settings)
    office.ready()
    header_id = office.deliver(SUBJECT, BODY)
    office.poll()
    return header_id


def statuses(office: Installation) -> list[str]:
    return [ticket["status"] for ticket in office.tickets()]


def actions(office: Installation, ticket: int = 1) -> list[str]:
    return [event["action"] for event in office.show(ticket)["events"]]


def reason(office: Installation) -> str:
    (ticket,) = office.tickets()
    return str(ticket["reason"])


def assert_refused(office: Installation, why: str) -> None:
    """Nothing was sent; the mail stays, marked; the ticket says why; and that is said once."""
    for _ in range(2):
        assert office.poll()["sent"] == 0
    assert office.replies_to() == []
    assert len(office.folder(APPROVED)) == 1
    assert b"\\Flagged" in office.flags(APPROVED)[0]
    assert why in reason(office)
    assert actions(office).count("approval_turned_down") == 1


def test_a_draft_moved_to_approved_leaves_once_and_stands_in_sent(office: Installation) -> None:
    header_id = one_draft(office)
    (draft,) = office.folder(DRAFTS)
    move(office, APPROVED)
    assert office.poll()["sent"] == 1
    office.poll()
    (reply,) = office.replies_to()
    assert reply["Message-ID"] == draft["Message-ID"]
    assert reply["In-Reply-To"] == f"<{header_id}>"
    assert plain_text(reply) == plain_text(draft)
    assert office.folder(APPROVED) == office.folder(DRAFTS) == []
    (filed,) = office.folder(SENT)
    assert filed["Message-ID"] == reply["Message-ID"]
    assert statuses(office) == ["answered"]
    (approved,) = [event for event in office.show(1)["events"] if event["action"] == "approved"]
    assert approved["actor"] == "mail client" and approved["detail"]["manner"] == "single"


@CLIENTS
def test_an_edited_draft_is_sent_as_edited_whatever_client_rewrote_it(
    office: Installation, store: Store
) -> None:
    header_id = one_draft(office)
    save(office, store, add_line)
    move(office, APPROVED)
    assert office.poll()["sent"] == 1
    (reply,) = office.replies_to()
    assert ADDED in plain_text(reply)
    assert "lupa password" in plain_text(reply).lower()
    assert reply["In-Reply-To"] == f"<{header_id}>"
    assert reply["From"].addresses[0].addr_spec == OFFICE
    assert "[LPSE-000001-" in reply["Subject"]
    assert office.folder(APPROVED) == office.folder(DRAFTS) == []


@CLIENTS
def test_a_draft_saved_in_drafts_is_the_ticket_s_draft_from_then_on(
    office: Installation, store: Store
) -> None:
    one_draft(office)
    save(office, store, add_line)
    office.poll()
    (draft,) = office.drafts_of(1)
    assert ADDED in draft["text"]
    assert "edited" in actions(office)
    assert len(office.folder(DRAFTS)) == 1
    assert statuses(office) == ["needs_approval"]
    office.run("approve", "1", "--yes")
    assert office.poll()["sent"] == 1
    office.poll()
    (reply,) = office.replies_to()
    assert ADDED in plain_text(reply)
    assert office.folder(DRAFTS) == []


@CLIENTS
def test_a_draft_stored_anew_without_a_change_is_no_edit(office: Installation, store: Store) -> None:
    one_draft(office)
    before = office.drafts_of(1)
    save(office, store, lambda text: text)
    office.poll()
    after = office.drafts_of(1)
    assert statuses(office) == ["needs_approval"]
    assert [one["text"].split() for one in after] == [one["text"].split() for one in before]
    assert len(office.folder(DRAFTS)) == 1


def test_edited_twice_and_saved_in_between_the_last_words_are_sent(office: Installation) -> None:
    one_draft(office)
    save(office, thunderbird, add_line)
    office.poll()
    save(office, outlook, lambda text: text.replace(ADDED, "Loket kami tutup hari Jumat."))
    office.poll()
    move(office, APPROVED)
    office.poll()
    (reply,) = office.replies_to()
    assert "tutup hari Jumat" in plain_text(reply) and ADDED not in plain_text(reply)


def test_a_file_that_was_enclosed_is_sent_along(office: Installation) -> None:
    one_draft(office)
    with on(office) as client:
        uid, draft = only_draft(client)
        mail = parsed(thunderbird(draft, plain_text(draft)))
        mail.add_attachment(b"%PDF-1.7 formulir", maintype="application", subtype="pdf", filename="form.pdf")
        client.append(APPROVED, mail.as_bytes(policy=SMTP), (b"\\Draft",))
        remove(client, [uid])
    office.poll()
    (reply,) = office.replies_to()
    (enclosed,) = reply.iter_attachments()
    assert enclosed.get_filename() == "form.pdf"
    assert enclosed.get_payload(decode=True) == b"%PDF-1.7 formulir"


def test_a_draft_moved_to_rejected_is_never_sent_and_a_person_must_answer(office: Installation) -> None:
    one_draft(office)
    move(office, REJECTED)
    office.poll()
    office.poll()
    assert office.replies_to() == []
    assert office.folder(REJECTED) == office.folder(DRAFTS) == []
    assert statuses(office) == ["needs_staff"]
    assert actions(office).count("rejected") == 1


def test_what_was_edited_before_it_was_rejected_is_kept(office: Installation) -> None:
    one_draft(office)
    save(office, gmail, add_line)
    move(office, REJECTED)
    office.poll()
    texts = [reply["text"] for reply in office.show(1)["replies"]]
    assert ADDED in texts[-1]
    assert {reply["status"] for reply in office.show(1)["replies"]} == {"superseded", "discarded"}


def test_an_approved_draft_moved_to_rejected_within_the_undo_window_does_not_leave(
    office: Installation,
) -> None:
    one_draft(office, FOLDERS + "[policy]\nundo_seconds = 600")
    office.run("approve", "1", "--yes")
    move(office, REJECTED)
    office.poll()
    office.write_config(SETTINGS)
    assert office.poll()["sent"] == 0
    assert statuses(office) == ["needs_staff"]


def test_a_client_that_copies_sends_once(office: Installation) -> None:
    one_draft(office)
    copy(office, APPROVED)
    copy(office, APPROVED)
    assert len(office.folder(APPROVED)) == 2
    assert office.poll()["sent"] == 1
    assert office.poll()["sent"] == 0
    assert len(office.replies_to()) == 1
    assert office.folder(APPROVED) == office.folder(DRAFTS) == []


def test_approved_again_after_it_was_sent_it_is_taken_away_and_not_sent(office: Installation) -> None:
    one_draft(office)
    with on(office) as client:
        _, draft = only_draft(client)
    move(office, APPROVED)
    office.poll()
    put(office, APPROVED, draft.as_bytes())
    put(office, APPROVED, thunderbird(draft, plain_text(draft)))
    office.poll()
    assert len(office.replies_to()) == 1
    assert office.folder(APPROVED) == []
    assert statuses(office) == ["answered"]


def test_another_text_for_a_mail_that_was_answered_is_not_sent(office: Installation) -> None:
    one_draft(office)
    with on(office) as client:
        _, draft = only_draft(client)
    office.run("approve", "1", "--yes")
    office.poll()
    put(office, APPROVED, thunderbird(draft, add_line(plain_text(draft))))
    office.poll()
    assert len(office.replies_to()) == 1
    assert "sudah dijawab" in reason(office)
    assert statuses(office) == ["needs_staff"]
    assert b"\\Flagged" in office.flags(APPROVED)[0]


def test_approved_in_both_places_leaves_once(office: Installation) -> None:
    one_draft(office, FOLDERS + "[policy]\nundo_seconds = 600")
    office.run("approve", "1", "--yes")
    move(office, APPROVED)
    office.poll()
    assert office.folder(APPROVED) == []
    assert statuses(office) == ["answered"]
    assert [reply["status"] for reply in office.show(1)["replies"]] == ["approved"]


def test_the_undo_window_holds_for_a_move_too(office: Installation) -> None:
    one_draft(office, FOLDERS + "[policy]\nundo_seconds = 600")
    move(office, APPROVED)
    assert office.poll()["sent"] == 0
    assert office.folder(APPROVED) == []
    office.run("undo", "1")
    office.poll()
    assert len(office.folder(DRAFTS)) == 1
    assert statuses(office) == ["needs_approval"]


def test_disarmed_an_approved_draft_waits_until_the_service_is_armed(office: Installation) -> None:
    one_draft(office)
    office.run("disarm")
    move(office, APPROVED)
    assert office.poll()["sent"] == 0
    assert office.folder(APPROVED) == []
    office.run("arm")
    assert office.poll()["sent"] == 1


def test_a_draft_with_an_unconfirmed_fact_is_not_sent(office: Installation) -> None:
    office.write_config(SETTINGS)
    office.ready()
    office.deliver("Ganti email", "Apa persyaratan untuk mengganti email akun LPSE perusahaan kami?")
    office.poll()
    move(office, APPROVED)
    assert_refused(office, "belum dikonfirmasi")


def test_a_draft_is_not_sent_when_the_vendor_has_written_again(office: Installation) -> None:
    header_id = one_draft(office)
    save(office, thunderbird, add_line)
    office.deliver(
        f"Re: {SUBJECT}",
        "Maaf, ternyata yang kami maksud adalah cara mengganti alamat email akun.",
        headers={"In-Reply-To": f"<{header_id}>", "References": f"<{header_id}>"},
    )
    move(office, APPROVED)
    assert_refused(office, "surat baru")


def test_a_draft_whose_recipient_was_changed_is_not_sent_anywhere(office: Installation) -> None:
    one_draft(office)
    with on(office) as client:
        uid, draft = only_draft(client)
        text = thunderbird(draft, plain_text(draft)).replace(VENDOR.encode(), b"orang.lain@vendor.example")
        client.append(APPROVED, text, (b"\\Draft",))
        remove(client, [uid])
    assert_refused(office, "penerima diubah")
    assert office.replies_to("orang.lain@vendor.example") == []


def test_an_added_recipient_gets_nothing_behind_the_office_s_back(office: Installation) -> None:
    one_draft(office)
    with on(office) as client:
        uid, draft = only_draft(client)
        text = b"Bcc: orang.lain@vendor.example\r\n" + thunderbird(draft, plain_text(draft))
        client.append(APPROVED, text, (b"\\Draft",))
        remove(client, [uid])
    assert_refused(office, "penerima diubah")


def test_an_emptied_draft_is_not_sent(office: Installation) -> None:
    one_draft(office)
    with on(office) as client:
        uid, draft = only_draft(client)
        client.append(APPROVED, thunderbird(draft, " "), (b"\\Draft",))
        remove(client, [uid])
    assert_refused(office, "kosong")


def test_a_draft_that_a_colleague_replaced_is_not_sent(office: Installation) -> None:
    one_draft(office)
    move(office, APPROVED)
    office.run("edit", "1", "--file", "-", stdin="Yth. Ibu Ratna,\n\nSilakan datang ke kantor kami.\n")
    assert_refused(office, "sudah diganti")
    office.run("approve", "1", "--yes")
    office.poll()
    (reply,) = office.replies_to()
    assert "datang ke kantor" in plain_text(reply)


def test_mail_in_approved_that_is_not_ours_stays_there_marked(office: Installation) -> None:
    one_draft(office)
    foreign = b"From: a@b.example\r\nTo: c@d.example\r\nSubject: Undangan\r\nMessage-ID: <x@b.example>\r\n\r\nHai\r\n"
    office.poll()
    put(office, APPROVED, foreign)
    office.poll()
    office.poll()
    (left,) = office.folder(APPROVED)
    assert left["Subject"] == "Undangan"
    assert b"\\Flagged" in office.flags(APPROVED)[0]
    assert statuses(office) == ["needs_approval"]


def test_a_delivered_mail_in_approved_is_nobody_s_draft(office: Installation) -> None:
    """A sieve rule or a plus address can put a stranger's mail there: it must not leave under the office's name."""
    header_id = one_draft(office)
    forged = (
        "Return-Path: <penipu@vendor.example>\r\nReceived: from x by y; Mon, 1 Jan 2024 00:00:00 +0700\r\n"
        f"From: {OFFICE}\r\nTo: {VENDOR}\r\nSubject: Re: {SUBJECT}\r\nIn-Reply-To: <{header_id}>\r\n"
        "Message-ID: <palsu@vendor.example>\r\n\r\nSurat keterangan palsu.\r\n"
    )
    put(office, APPROVED, forged.encode())
    office.poll()
    assert office.replies_to() == []
    assert len(office.folder(APPROVED)) == 1


def test_an_answer_written_from_scratch_is_sent_in_the_ticket(office: Installation) -> None:
    header_id = one_draft(office)
    with on(office) as client:
        uid, _ = only_draft(client)
        remove(client, [uid])
    office.poll()
    assert statuses(office) == ["needs_staff"]
    own = (
        f"From: {OFFICE}\r\nTo: {VENDOR}\r\nSubject: Re: {SUBJECT}\r\nIn-Reply-To: <{header_id}>\r\n"
        "Message-ID: <sendiri@petugas.example>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        "Yth. Ibu Ratna,\r\n\r\nSilakan hubungi kami.\r\n"
    )
    put(office, APPROVED, own.encode())
    assert office.poll()["sent"] == 1
    (reply,) = office.replies_to()
    assert "Silakan hubungi kami." in plain_text(reply)
    assert "[LPSE-000001-" in reply["Subject"]
    assert statuses(office) == ["answered"]


def test_nothing_is_sent_from_a_folder_of_another_name(office: Installation) -> None:
    one_draft(office)
    with on(office) as client:
        client.create_folder("Arsip")
    move(office, "Arsip")
    assert office.poll()["sent"] == 0
    assert statuses(office) == ["needs_staff"]


def sent_by_hand(office: Installation, data: bytes) -> None:
    with on(office, SENT) as client:
        client.append(SENT, data, (b"\\Seen",))


def reply_rows(office: Installation) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = office.show(1)["replies"]
    return rows


@CLIENTS
def test_a_draft_sent_from_the_client_itself_answers_the_ticket(office: Installation, store: Store) -> None:
    """Rule 28b."""
    one_draft(office)
    with on(office) as client:
        uid, draft = only_draft(client)
        remove(client, [uid])
    sent_by_hand(office, store(draft, add_line(plain_text(draft))))
    assert office.poll()["sent"] == 0
    assert statuses(office) == ["answered"]
    (by_hand,) = [row for row in reply_rows(office) if row["status"] == "sent"]
    assert ADDED in by_hand["text"]
    proposed = next(row for row in reply_rows(office) if row["status"] == "discarded")
    assert ADDED not in proposed["text"]
    office.poll()
    assert actions(office).count("answered_by_hand") == 1


def test_the_verdict_on_an_answer_by_hand_is_what_it_took_from_the_draft(
    dovecot_office: Installation,
) -> None:
    office = dovecot_office
    one_draft(office)
    (draft,) = office.folder(DRAFTS)
    sent_by_hand(office, gmail(draft, plain_text(draft)))
    office.poll()
    assert verdict(office, 1) == ("approved", ["lupa-password"])

    header_id = office.deliver(SUBJECT, BODY + " Terima kasih banyak.", sender="direktur@mitra.example")
    office.poll()
    (draft,) = office.folder(DRAFTS)
    sent_by_hand(office, thunderbird(draft, add_line(plain_text(draft))))
    office.poll()
    assert verdict(office, 2) == ("edited", ["lupa-password"])

    header_id = office.deliver(SUBJECT, BODY + " Mohon bantuannya.", sender="admin@ketiga.example")
    office.poll()
    own = (
        f"From: {OFFICE}\r\nTo: admin@ketiga.example\r\nSubject: Re: {SUBJECT}\r\nIn-Reply-To: <{header_id}>\r\n"
        "Message-ID: <lain@petugas.example>\r\n\r\nKami telepon Bapak siang ini.\r\n"
    )
    sent_by_hand(office, own.encode())
    office.poll()
    assert verdict(office, 3) == ("by_hand", [])
    assert office.replies_to() == []


def test_what_is_added_by_hand_to_an_approved_answer_is_no_verdict_on_it(
    dovecot_office: Installation,
) -> None:
    office = dovecot_office
    header_id = one_draft(office)
    office.run("approve", "1", "--yes")
    office.poll()
    more = (
        f"From: {OFFICE}\r\nTo: {VENDOR}\r\nSubject: Re: {SUBJECT}\r\nIn-Reply-To: <{header_id}>\r\n"
        "Message-ID: <susulan@petugas.example>\r\n\r\nSebagai tambahan, loket kami buka besok.\r\n"
    )
    sent_by_hand(office, more.encode())
    office.poll()
    assert verdict(office, 1) == ("approved", ["lupa-password"])
    assert any("loket kami buka besok" in row["text"] for row in reply_rows(office))
    assert statuses(office) == ["answered"]


def test_a_folder_that_refuses_us_stops_nothing_else(dovecot_office: Installation) -> None:
    office = dovecot_office
    backend = office.backend
    assert isinstance(backend, DovecotBackend)
    one_draft(office)
    folder = next(backend.dovecot.directory.glob(f"mail/*/Maildir/.{APPROVED}"))
    office.run("approve", "1", "--yes")
    folder.rename(folder.with_name(".Rusak"))
    folder.write_text("no folder")
    assert office.poll()["sent"] == 1
    folder.unlink()
    folder.with_name(".Rusak").rename(folder)
    assert office.poll()["error"] is None


def verdict(office: Installation, ticket: int) -> tuple[str, list[str]]:
    database = Database(load(office.config).database.url)
    try:
        with database.read() as connection:
            row = connection.execute(
                select(StaffVerdict.decision, StaffVerdict.decided_topics).where(
                    StaffVerdict.ticket_id == ticket
                )
            ).one()
    finally:
        database.close()
    return row.decision, row.decided_topics


def test_an_answer_by_hand_to_an_older_mail_leaves_the_newer_one_waiting(office: Installation) -> None:
    header_id = one_draft(office)
    office.deliver(
        f"Re: {SUBJECT}",
        BODY + " Satu lagi: apa syarat perpanjangan akun?",
        headers={"In-Reply-To": f"<{header_id}>", "References": f"<{header_id}>"},
    )
    office.poll()
    own = (
        f"From: {OFFICE}\r\nTo: {VENDOR}\r\nSubject: Re: {SUBJECT}\r\nIn-Reply-To: <{header_id}>\r\n"
        "Message-ID: <lama@petugas.example>\r\n\r\nSudah kami reset.\r\n"
    )
    sent_by_hand(office, own.encode())
    office.poll()
    assert len(office.tickets()) == 1
    assert statuses(office) != ["answered"]


@contextmanager
def behind_a_proxy(directory: Path, models: Path) -> Iterator[tuple[Installation, ImapProxy]]:
    require_dovecot()
    with Dovecot((OFFICE,)) as dovecot, ImapProxy(dovecot.port) as proxy, WatchedSmtp() as sink:
        yield Installation(directory, FaultBackend(dovecot, proxy, sink), models, SETTINGS), proxy


@pytest.mark.parametrize("point", ["before STORE", "after STORE", "before EXPUNGE", "after EXPUNGE"])
@pytest.mark.parametrize("store", [None, thunderbird])
def test_killed_between_approval_and_removal_it_leaves_once(
    tmp_path: Path, models: Path, point: str, store: Store | None
) -> None:
    with behind_a_proxy(tmp_path / "office", models) as (office, proxy):
        one_draft(office)
        if store is not None:
            save(office, store, add_line)
        move(office, APPROVED)
        come = threading.Event()
        dead = threading.Event()

        def stop_here() -> None:
            come.set()
            dead.wait(60)

        proxy.once(point, stop_here)
        process = office.start("poll")
        assert come.wait(60), f"the round did not come to {point}"
        kill(process)
        dead.set()
        proxy.when.clear()
        office.poll()
        office.poll()
        (reply,) = office.replies_to()
        assert (ADDED in plain_text(reply)) == (store is not None)
        assert office.folder(APPROVED) == office.folder(DRAFTS) == []
        assert statuses(office) == ["answered"]


def test_a_renumbered_approved_folder_sends_nothing_twice(dovecot_office: Installation) -> None:
    """UIDVALIDITY of Approved changes (rule 55)."""
    office = dovecot_office
    backend = office.backend
    assert isinstance(backend, DovecotBackend)
    one_draft(office)
    with on(office) as client:
        _, draft = only_draft(client)
    move(office, APPROVED)
    office.poll()
    with on(office) as client:
        client.rename_folder(APPROVED, "Lama")
        client.create_folder(APPROVED)
        client.append(APPROVED, draft.as_bytes(), (b"\\Draft",))
    office.poll()
    assert len(office.replies_to()) == 1
    assert office.folder(APPROVED) == []


def test_an_old_version_that_is_only_marked_as_deleted_is_gone(dovecot_office: Installation) -> None:
    """Clients that leave deleted mails in place until they compact."""
    office = dovecot_office
    one_draft(office)
    with on(office) as client:
        uid, draft = only_draft(client)
        client.append(DRAFTS, outlook(draft, add_line(plain_text(draft))), (b"\\Draft",))
        client.delete_messages([uid])
    office.poll()
    (waiting,) = office.drafts_of(1)
    assert ADDED in waiting["text"]


def test_without_folders_of_these_names_nothing_changes(dovecot_office: Installation) -> None:
    """No folder is made unasked (rule 58)."""
    office = dovecot_office
    with on(office, "INBOX") as client:
        for name in ("Approved", "Rejected"):
            client.delete_folder(name)
    one_draft(office, "[policy]\nundo_seconds = 0")
    office.poll()
    with on(office) as client:
        names = {name for _, _, name in client.list_folders()}
    assert not names & {APPROVED, REJECTED}
    assert statuses(office) == ["needs_approval"]
