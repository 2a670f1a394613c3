"""Reading and filing over IMAP, against Dovecot as the conforming server and mail-devel as the small one."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from responder.config import Folders, ImapServer
from responder.errors import LoginError, MailServerError
from responder.mail import headers
from responder.mail.imap import FetchedMail, ImapSession
from tests.conftest import require_dovecot
from tests.mails import build_mail
from tests.servers import HOST, PASSWORD, Dovecot, MailDevel, free_port, wait_until

WHOLE = 256 * 1024
LIMIT = 32 * 1024 * 1024
NOW = datetime(2025, 3, 3, 2, 15, 7, tzinfo=UTC)


@contextmanager
def session(server: Dovecot | MailDevel, **folders: str) -> Iterator[ImapSession]:
    with ImapSession.connect(server.imap(), password=PASSWORD, folders=Folders(**folders)) as opened:
        yield opened


def fetch(
    opened: ImapSession, uids: list[int], keep_whole: int = WHOLE, limit: int = LIMIT
) -> dict[int, FetchedMail]:
    return {mail.uid: mail for mail in opened.fetch_batch(uids, keep_whole, limit)}


def large_mail(text: str = "Terlampir berkas kami.", octets: int = 3_000_000) -> bytes:
    """Text and HTML, then a large attachment, written by hand so that a test can be read against it."""
    encoded = base64.encodebytes(b"\0" * octets).replace(b"\n", b"\r\n")
    head = (
        "From: Budi <budi@penyedia.example>\r\nTo: lpse@contoh.go.id\r\nSubject: Berkas\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="luar"\r\n\r\n--luar\r\n'
        'Content-Type: multipart/alternative; boundary="dalam"\r\n\r\n--dalam\r\n'
        'Content-Type: text/plain; charset="iso-8859-1"; format=flowed\r\n'
        f"Content-Transfer-Encoding: quoted-printable\r\n\r\n{text} caf=E9\r\n--dalam\r\n"
        "Content-Type: text/html; charset=utf-8\r\n\r\n<p>Terlampir</p>\r\n--dalam--\r\n--luar\r\n"
        "Content-Type: application/pdf; name*=utf-8''Surat%20Kuasa%20%E2%80%9CA%E2%80%9D.pdf\r\n"
        "Content-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    return head.encode() + encoded + b"--luar--\r\n"


def test_mail_is_fetched_whole_with_size_date_and_flags(dovecot: Dovecot) -> None:
    data = build_mail()
    uid = dovecot.deliver(data)
    with session(dovecot) as opened:
        state = opened.select("INBOX", readonly=True)
        mail = fetch(opened, [uid])[uid]
    assert (mail.raw, mail.size, mail.missing) == (data, len(data), False)
    assert mail.header == headers.split(data)[0]
    assert mail.internal_date is not None
    assert mail.internal_date.tzinfo is UTC
    assert state.exists == 1
    assert state.uidnext == uid + 1


def test_fetching_leaves_a_mail_unseen(dovecot: Dovecot) -> None:
    """Rule 52."""
    uids = [dovecot.deliver(build_mail()), dovecot.deliver(large_mail(octets=400_000))]
    with session(dovecot) as opened:
        opened.select("INBOX")
        fetch(opened, uids)
        opened.fetch_headers(uids, ("Message-ID",))
    with dovecot.client() as staff:
        assert staff.search("SEEN") == []


def test_only_uids_above_the_cursor_are_given(dovecot: Dovecot) -> None:
    """Rule 54: the last mail is no new one, though `n:*` names it."""
    uids = [dovecot.deliver(build_mail(subject=f"ke-{n}")) for n in range(5)]
    with session(dovecot) as opened:
        opened.select("INBOX")
        assert opened.new_uids(0, 3) == uids[:3]
        assert opened.new_uids(uids[1], 100) == uids[2:]
        assert opened.new_uids(uids[-1], 100) == []
        assert opened.new_uids(uids[-1] + 1000, 100) == []


def test_mail_that_arrives_on_an_open_connection_is_found(dovecot: Dovecot) -> None:
    with session(dovecot) as opened:
        opened.select("INBOX")
        assert opened.new_uids(0, 10) == []
        uid = dovecot.deliver(build_mail())
        assert opened.new_uids(0, 10) == [uid]
        assert opened.all_uids() == [uid]


def test_folder_with_more_mails_than_one_search_may_name_is_read_in_windows(
    dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("responder.mail.imap.SEARCH_WINDOW", 3)
    monkeypatch.setattr("responder.mail.imap.SMALL_WINDOW", 3)
    monkeypatch.setattr("responder.mail.imap.SET_SIZE", 3)
    uids = [dovecot.deliver(build_mail(subject=f"ke-{n}")) for n in range(8)]
    with session(dovecot) as opened:
        opened.select("INBOX")
        assert opened.all_uids() == uids
        assert [uid for uid, octets in opened.sizes() if octets] == uids
        assert opened.new_uids(uids[1], 4) == uids[2:6]
        uids.append(dovecot.deliver(build_mail(subject="terakhir")))
        assert opened.new_uids(uids[5], 100) == uids[6:]


def test_mails_removed_between_two_windows_hide_no_other(
    dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mail that is passed over here would be passed by the cursor."""
    monkeypatch.setattr("responder.mail.imap.SEARCH_WINDOW", 3)
    uids = [dovecot.deliver(build_mail(subject=f"ke-{n}")) for n in range(8)]
    search = ImapSession._search

    def then_staff_tidy_up(opened: ImapSession, criteria: list[Any]) -> list[int]:
        found = search(opened, criteria)
        with dovecot.client() as staff:
            staff.delete_messages(uids[:2])
            staff.expunge()
        return found

    with session(dovecot) as opened:
        opened.select("INBOX")
        monkeypatch.setattr(ImapSession, "_search", then_staff_tidy_up)
        assert set(opened.new_uids(0, 100)) >= set(uids[2:])


def test_expunged_mail_is_left_out_and_the_others_come(dovecot: Dovecot) -> None:
    """Rule 59."""
    uids = [dovecot.deliver(build_mail(subject=f"ke-{n}")) for n in range(3)]
    with session(dovecot) as opened:
        opened.select("INBOX")
        assert opened.new_uids(0, 10) == uids
        with dovecot.client() as staff:
            staff.delete_messages(uids[1])
            staff.expunge()
        assert opened.listed(uids) == [uids[0], uids[2]]
        assert sorted(fetch(opened, uids)) == [uids[0], uids[2]]


def test_of_a_large_mail_header_and_texts_come_and_the_attachment_stays(dovecot: Dovecot) -> None:
    """Rule 60."""
    data = large_mail()
    uid = dovecot.deliver(data)
    with session(dovecot) as opened, counting(opened) as received:
        opened.select("INBOX")
        mail = fetch(opened, [uid])[uid]
    assert mail.raw is None
    assert mail.header == headers.split(data)[0]
    assert [(part.content_type, part.charset) for part in mail.parts] == [
        ("text/plain", "iso-8859-1"),
        ("text/html", "utf-8"),
    ]
    assert mail.parts[0].payload.rstrip() == "Terlampir berkas kami. café".encode("latin-1")
    assert [(one.name, one.type) for one in mail.attachments] == [("Surat Kuasa “A”.pdf", "application/pdf")]
    assert abs(mail.attachments[0].size - 3_000_000) < 10_000
    assert "multipart" not in mail.structure
    assert "application" in mail.structure
    assert received() < 20_000


def test_large_texts_are_cut_so_that_any_mail_costs_at_most_300_kb(dovecot: Dovecot) -> None:
    """Rule 60."""
    uid = dovecot.deliver(large_mail(text=("panjang " * 9 + "=\r\n") * 20_000))
    with session(dovecot) as opened, counting(opened) as received:
        opened.select("INBOX")
        mail = fetch(opened, [uid])[uid]
    assert len(mail.parts[0].payload) > 80_000
    assert received() < 300 * 1024


def test_large_mail_without_parts_gives_its_text(dovecot: Dovecot) -> None:
    """Rule 60."""
    uid = dovecot.deliver(build_mail(body="isi surat\r\n" * 60_000))
    with session(dovecot) as opened:
        opened.select("INBOX")
        mail = fetch(opened, [uid])[uid]
    assert mail.raw is None
    assert [part.content_type for part in mail.parts] == ["text/plain"]
    assert mail.parts[0].payload.startswith(b"isi surat\r\n")


def test_large_bounce_gives_its_report_and_the_returned_header(dovecot: Dovecot) -> None:
    """Rules 4 and 60."""
    data = (
        (
            "From: MAILER-DAEMON@mx.example\r\nMIME-Version: 1.0\r\n"
            'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
            "--b\r\n\r\nGagal.\r\n--b\r\n"
            "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
            "Final-Recipient: rfc822; budi@penyedia.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b\r\n"
            "Content-Type: message/rfc822\r\n\r\nMessage-ID: <kami@contoh.go.id>\r\nSubject: Re: x\r\n\r\n"
        )
        + "isi\r\n" * 80_000
        + "--b--\r\n"
    )
    uid = dovecot.deliver(data.encode())
    with session(dovecot) as opened:
        opened.select("INBOX")
        parts = {part.content_type: part.payload for part in fetch(opened, [uid])[uid].parts}
    assert b"Action: failed" in parts["message/delivery-status"]
    assert b"Message-ID: <kami@contoh.go.id>" in parts["text/rfc822-headers"]


def test_mail_over_the_limit_gives_its_header_only(dovecot: Dovecot) -> None:
    """Rule 60."""
    uid = dovecot.deliver(large_mail())
    with session(dovecot) as opened:
        opened.select("INBOX")
        mail = fetch(opened, [uid], limit=1_000_000)[uid]
    assert b"Subject: Berkas" in mail.header
    assert (mail.raw, mail.parts, mail.structure, mail.missing) == (None, (), "", False)


@pytest.mark.parametrize(
    "body",
    [
        b"".join(b"--b\r\nContent-Type: application/x; name=%d\r\n\r\nx\r\n" % n for n in range(20_000))
        + b"--b--\r\n",
        b"".join(
            b'--b%d\r\nContent-Type: multipart/mixed; boundary="b%d"\r\n\r\n' % (n, n + 1)
            for n in range(5_000)
        ),
    ],
    ids=["parts", "levels"],
)
def test_mail_built_to_break_its_reader_does_not_stop_the_others(dovecot: Dovecot, body: bytes) -> None:
    """Rule 63."""
    head = b'From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b%s"\r\n\r\n'
    uids = [
        dovecot.deliver(head % (b"0" if body.startswith(b"--b0") else b"") + body + b" " * WHOLE),
        dovecot.deliver(large_mail()),
    ]
    with session(dovecot) as opened:
        opened.select("INBOX")
        mails = fetch(opened, uids)
    assert b"From: a@b.example" in mails[uids[0]].header
    assert len(mails[uids[1]].parts) == 2


def test_headers_of_many_mails_come_in_one_go(dovecot: Dovecot) -> None:
    uids = [dovecot.deliver(build_mail(message_id=f"m{n}@x.example")) for n in range(3)]
    with session(dovecot) as opened:
        opened.select("INBOX", readonly=True)
        found = opened.fetch_headers(uids, ("Message-ID", "In-Reply-To"))
    assert [headers.first(headers.fields(found[uid])[0], "message-id") for uid in uids] == [
        f"<m{n}@x.example>" for n in range(3)
    ]


def test_appended_mail_is_the_same_octets_and_its_uid_is_told(dovecot: Dovecot) -> None:
    """Rule 39."""
    data = build_mail(message_id="kami-1@contoh.go.id")
    with session(dovecot) as opened:
        placed = opened.append("Sent", data, (b"\\Seen",), NOW)
        assert placed is not None
        state = opened.select("Sent", readonly=True)
        mail = fetch(opened, [placed[1]])[placed[1]]
    assert placed[0] == state.uidvalidity
    assert (mail.raw, mail.internal_date) == (data, NOW)
    assert "\\Seen" in mail.flags


def test_append_to_a_folder_that_is_not_there_says_which(dovecot: Dovecot) -> None:
    with session(dovecot) as opened:
        with pytest.raises(MailServerError, match=r"append to folder 'Arsip'.*TRYCREATE"):
            opened.append("Arsip", build_mail(), (), NOW)
        assert opened.usable


def test_message_id_is_found_in_another_folder_and_the_working_folder_stays(dovecot: Dovecot) -> None:
    uid = dovecot.deliver(build_mail(message_id="kami-2@contoh.go.id"), folder="Sent")
    inbox = dovecot.deliver(build_mail(message_id="vendor@x.example"))
    with session(dovecot) as opened:
        opened.select("INBOX")
        assert opened.search_message_id("Sent", "kami-2@contoh.go.id") == [uid]
        assert opened.search_message_id("Sent", "vendor@x.example") == []
        assert opened.new_uids(0, 10) == [inbox]


def test_many_message_ids_are_looked_for_at_once(dovecot: Dovecot) -> None:
    ours = [f"kami-{number}@contoh.go.id" for number in range(20)]
    for one in (ours[3], ours[4], ours[19]):
        dovecot.deliver(build_mail(message_id=one), folder="Sent")
    with session(dovecot) as opened:
        opened.select("INBOX")
        assert opened.known_message_ids("Sent", ours) == {ours[3], ours[4], ours[19]}
        assert opened.known_message_ids("Sent", ours[5:19]) == set()
        assert opened.known_message_ids("Sent", []) == set()


def test_many_message_ids_are_looked_for_at_once_with_mail_devel(mail_devel: MailDevel) -> None:
    mail_devel.deliver(build_mail(message_id="kami-1@contoh.go.id", to=mail_devel.user))
    with session(mail_devel) as opened:
        assert opened.known_message_ids("INBOX", ["kami-0@contoh.go.id", "kami-1@contoh.go.id"]) == {
            "kami-1@contoh.go.id"
        }


def test_copy_that_another_client_just_filed_is_seen(dovecot: Dovecot) -> None:
    with session(dovecot) as opened:
        opened.select("Sent")
        uid = dovecot.deliver(build_mail(message_id="kami-3@contoh.go.id"), folder="Sent")
        assert opened.search_message_id("Sent", "kami-3@contoh.go.id") == [uid]


def test_flags_and_keywords_are_set_where_the_server_keeps_them(dovecot: Dovecot) -> None:
    """Rule 56."""
    uid = dovecot.deliver(build_mail())
    with session(dovecot) as opened:
        opened.select("INBOX", readonly=True)
        assert opened.add_flags("INBOX", [uid], (b"\\Flagged", b"LPSE-Staff"))
        assert {"\\Flagged", "LPSE-Staff"} <= set(fetch(opened, [uid])[uid].flags)


def test_keyword_that_the_server_does_not_keep_is_left_out(mail_devel: MailDevel) -> None:
    """Rule 56: Exchange refuses such a STORE as a whole."""
    mail_devel.deliver(build_mail(to=mail_devel.user))
    with session(mail_devel) as opened:
        opened.select("INBOX")
        uids = opened.all_uids()
        assert not opened.add_flags("INBOX", uids, (b"\\Flagged", b"LPSE-Staff"))
        (mail,) = fetch(opened, uids).values()
    assert "\\Flagged" in mail.flags
    assert "LPSE-Staff" not in mail.flags


def test_mail_is_moved(dovecot: Dovecot) -> None:
    """Rule 57."""
    uid = dovecot.deliver(build_mail(message_id="draf@contoh.go.id"), folder="Approved")
    with session(dovecot) as opened:
        opened.move("Approved", [uid], "Drafts")
        assert opened.search_message_id("Approved", "draf@contoh.go.id") == []
        assert len(opened.search_message_id("Drafts", "draf@contoh.go.id")) == 1


@pytest.fixture(scope="module")
def plain_dovecot() -> Iterator[Dovecot]:
    """A server that offers no extension at all."""
    require_dovecot()
    with Dovecot(capability="IMAP4rev1") as server:
        yield server


def test_without_move_the_mail_is_copied_once_and_taken_out(plain_dovecot: Dovecot) -> None:
    """Rule 57: also when an interrupted move had already copied it."""
    data = build_mail(message_id="draf@contoh.go.id")
    uid = plain_dovecot.deliver(data, folder="Approved")
    with session(plain_dovecot) as opened:
        for _ in range(2):
            opened.move("Approved", [uid], "Drafts", message_id="draf@contoh.go.id")
            assert len(opened.search_message_id("Drafts", "draf@contoh.go.id")) == 1
        opened.select("Approved")
        assert "\\Deleted" in fetch(opened, [uid])[uid].flags


def test_deleting_removes_nothing_that_others_marked(dovecot: Dovecot) -> None:
    """Rule 57."""
    theirs, ours = (dovecot.deliver(build_mail(), folder="Drafts") for _ in range(2))
    with dovecot.client(folder="Drafts") as staff:
        staff.delete_messages(theirs)
    with session(dovecot) as opened:
        assert opened.delete("Drafts", [ours])
        opened.select("Drafts")
        assert opened.all_uids() == [theirs]


def test_without_uidplus_a_mail_is_marked_and_stays(plain_dovecot: Dovecot) -> None:
    """Rule 57: plain EXPUNGE would remove others' deletions."""
    uid = plain_dovecot.deliver(build_mail(), folder="Drafts")
    with session(plain_dovecot) as opened:
        assert not opened.delete("Drafts", [uid])
        opened.select("Drafts")
        assert "\\Deleted" in fetch(opened, [uid])[uid].flags


def test_folders_are_found_by_their_special_use(dovecot: Dovecot) -> None:
    """Rule 58."""
    with dovecot.client() as staff:
        staff.create_folder("Sent Items")
    with session(dovecot) as opened:
        assert [opened.find_folder(role) for role in ("inbox", "drafts", "sent", "junk")] == [
            "INBOX",
            "Drafts",
            "Sent",
            "Junk",
        ]


def test_configured_folder_is_taken_and_no_other_in_its_place(dovecot: Dovecot) -> None:
    """Rule 58."""
    with dovecot.client() as staff:
        staff.create_folder("Keluar/Terkirim LPSE")
    with session(dovecot, sent="Keluar/Terkirim LPSE", drafts="Tidak Ada") as opened:
        assert opened.find_folder("sent") == "Keluar/Terkirim LPSE"
        assert opened.find_folder("drafts") is None


def test_looking_for_folders_creates_none(mail_devel: MailDevel) -> None:
    """Rule 58."""
    with session(mail_devel) as opened:
        assert [opened.find_folder(role) for role in ("drafts", "sent", "approved")] == [None] * 3
        assert [folder.name for folder in opened.folders()] == ["INBOX"]
        opened.create_folder("Draf")
        opened.create_folder("Draf")
        assert opened.find_folder("drafts") == "Draf"


def test_folder_names_in_indonesian_and_with_accents_work(dovecot: Dovecot) -> None:
    with session(dovecot) as opened:
        opened.create_folder("Disetujui – café")
        opened.append("Disetujui – café", build_mail(), (), NOW)
        assert opened.counters("Disetujui – café")[2] == 1


def test_uidvalidity_of_a_folder_made_anew_differs(own_dovecot: Dovecot) -> None:
    """Rule 55."""
    own_dovecot.deliver(build_mail(), folder="Approved")
    with session(own_dovecot) as opened:
        before = opened.select("Approved").uidvalidity
    own_dovecot.stop()
    home = own_dovecot.directory / "mail" / own_dovecot.users[0] / "Maildir" / ".Approved"
    (home / "dovecot-uidlist").write_text(f"3 V{before + 7} N50 G1234567890abcdef1234567890abcdef\n")
    for index in home.glob("dovecot.index*"):
        index.unlink()
    own_dovecot.start()
    with session(own_dovecot) as opened:
        state = opened.select("Approved")
        assert state.uidvalidity == before + 7
        assert opened.all_uids() == [50]


def test_waiting_ends_when_mail_arrives(dovecot: Dovecot) -> None:
    """Rule 61."""
    with session(dovecot) as opened:
        opened.select("INBOX")
        assert opened.can_idle
        told: list[bool] = []
        waiting = threading.Thread(target=lambda: told.append(opened.idle(60)))
        waiting.start()

        # One mail may come before the server listens, which IDLE need not tell of; then the next one ends it.
        def delivered_and_told() -> bool:
            dovecot.deliver(build_mail())
            waiting.join(0.5)
            return bool(told)

        wait_until(delivered_and_told, "IDLE telling of mail")
        assert told == [True]
        assert opened.new_uids(0, 100)


def test_waiting_ends_in_time_without_mail(dovecot: Dovecot) -> None:
    """Rule 61."""
    with session(dovecot) as opened:
        opened.select("INBOX")
        assert opened.idle(0.2) is False
        assert opened.new_uids(0, 10) == []


def test_waiting_on_a_connection_that_ends_is_an_error(own_dovecot: Dovecot) -> None:
    """Rule 61."""
    with session(own_dovecot) as opened:
        opened.select("INBOX")
        own_dovecot.stop()
        with pytest.raises(MailServerError):
            opened.idle(60)
        assert not opened.usable


def test_waiting_for_a_server_without_idle_returns_at_once(plain_dovecot: Dovecot) -> None:
    """Rule 61: Yahoo never offers it."""
    with session(plain_dovecot) as opened:
        assert not opened.can_idle
        assert opened.idle(60) is False


def test_connection_that_breaks_is_one_clear_line_and_the_next_one_works(own_dovecot: Dovecot) -> None:
    """Rule 62."""
    uid = own_dovecot.deliver(build_mail())
    with session(own_dovecot) as opened:
        opened.select("INBOX")
        own_dovecot.stop()
        with pytest.raises(MailServerError, match=rf"IMAP server 127\.0\.0\.1:{own_dovecot.port}: "):
            opened.new_uids(0, 10)
        with pytest.raises(MailServerError, match="closed"):
            opened.new_uids(0, 10)
    own_dovecot.start()
    with session(own_dovecot) as opened:
        opened.select("INBOX")
        assert opened.new_uids(0, 10) == [uid]


def test_wrong_password_says_so_and_is_not_tried_again(dovecot: Dovecot) -> None:
    """Rules 62 and 71: and the password is not in the message."""
    with pytest.raises(LoginError, match=r"IMAP server 127.*log-in as '.*@contoh.go.id' refused") as caught:
        ImapSession.connect(dovecot.imap(), password="salah-sekali", folders=Folders())
    assert "salah-sekali" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "final"),
    [
        ("NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", True),
        ("NO [EXPIRED] Password expired", True),
        ("NO LOGIN failed.", True),
        ("NO [UNAVAILABLE] Temporary authentication failure.", False),
        ("NO [INUSE] Mailbox locked", False),
        ("NO [ALERT] Too many simultaneous connections. (Failure)", False),
        ("", False),
    ],
)
def test_login_is_final_only_when_the_credentials_are_refused(answer: str, final: bool) -> None:
    """Rule 62 (RFC 5530)."""
    with scripted(answer) as server, pytest.raises(MailServerError) as caught:
        ImapSession.connect(server, password="x", folders=Folders())
    assert isinstance(caught.value, LoginError) is final


def test_refused_connection_and_unknown_host_are_one_clear_line() -> None:
    port = free_port()
    with pytest.raises(
        MailServerError, match=rf"IMAP server 127\.0\.0\.1:{port}: connection refused; check host"
    ):
        ImapSession.connect(ImapServer(host=HOST, port=port, security="none"), password="", folders=Folders())
    with pytest.raises(MailServerError, match="host name is not known"):
        ImapSession.connect(ImapServer(host="tidak-ada.invalid"), password="", folders=Folders())


def test_silent_server_is_one_clear_line() -> None:
    with socket.create_server((HOST, 0)) as listener:
        server = ImapServer(host=HOST, port=listener.getsockname()[1], security="none", timeout_seconds=0.2)
        with pytest.raises(MailServerError, match="no answer in time"):
            ImapSession.connect(server, password="", folders=Folders())


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_untrusted_certificate_is_refused_and_a_trusted_one_taken(
    dovecot_tls: Dovecot, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    """Rule 69."""
    port = dovecot_tls.tls_port if security == "tls" else dovecot_tls.port
    server = dovecot_tls.imap().model_copy(update={"port": port, "security": security})
    with pytest.raises(MailServerError, match="certificate is not trusted"):
        ImapSession.connect(server, password=PASSWORD, folders=Folders())
    monkeypatch.setenv("SSL_CERT_FILE", str(dovecot_tls.certificate))
    with ImapSession.connect(server, password=PASSWORD, folders=Folders()) as opened:
        assert opened.select("INBOX").exists == 0


def test_small_server_serves_the_whole_way(mail_devel: MailDevel) -> None:
    """mail-devel is the demo's server: only INBOX at first, no keywords, UIDPLUS and MOVE."""
    mail_devel.deliver(build_mail(to=mail_devel.user, message_id="vendor@x.example"))
    with session(mail_devel) as opened:
        opened.select("INBOX")
        (uid,) = opened.new_uids(0, 10)
        assert opened.new_uids(uid, 10) == []
        opened.create_folder("Drafts")
        placed = opened.append("Drafts", build_mail(message_id="draf@contoh.go.id"), (b"\\Draft",), NOW)
        assert placed is not None
        assert opened.search_message_id("Drafts", "draf@contoh.go.id") == [placed[1]]
        assert opened.delete("Drafts", [placed[1]])
        assert opened.search_message_id("Drafts", "draf@contoh.go.id") == []
        mail = fetch(opened, [uid], keep_whole=10)[uid]
    assert [part.content_type for part in mail.parts] == ["text/plain"]


@contextmanager
def counting(opened: ImapSession) -> Iterator[Callable[[], int]]:
    """How many octets the session received since."""
    assert opened._client is not None
    imap = opened._client._imap
    total = 0
    read, readline = imap.read, imap.readline

    def counted_read(size: int) -> bytes:
        nonlocal total
        data: bytes = read(size)
        total += len(data)
        return data

    def counted_readline() -> bytes:
        nonlocal total
        data: bytes = readline()
        total += len(data)
        return data

    imap.read, imap.readline = counted_read, counted_readline
    yield lambda: total


@contextmanager
def scripted(answer: str) -> Iterator[ImapServer]:
    """A server that answers LOGIN with `answer`; "" cuts the connection."""
    listener = socket.create_server((HOST, 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"* OK [CAPABILITY IMAP4rev1] uji\r\n")
            for line in lines:
                tag, verb = line.split()[:2]
                if verb.upper() == b"LOGIN" and not answer:
                    return
                said = answer.encode() if verb.upper() == b"LOGIN" else b"OK selesai"
                if verb.upper() == b"CAPABILITY":
                    connection.sendall(b"* CAPABILITY IMAP4rev1\r\n")
                connection.sendall(tag + b" " + said + b"\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listener:
        yield ImapServer(host=HOST, port=listener.getsockname()[1], security="none", timeout_seconds=5)
        thread.join(10)
