"""Promise: bounces, out-of-office answers, lists and our own mail are never answered, whatever topic they name."""

from __future__ import annotations

import pytest

from tests.mails import build_mail
from tests.scenarios.installation import AUTHSERV_ID, OFFICE, VENDOR, Installation, plain_text, signed_in

QUESTION = "Kami lupa password akun LPSE. Bagaimana cara reset password? Email terdaftar masih aktif."
TOPICS = ("lupa-password", "integrasi-sikap", "verifikasi-sikap", "tender-cepat")


@pytest.fixture
def auto_office(office: Installation) -> Installation:
    """Everything that can answer by itself may, and acknowledgements are on."""
    office.write_config(
        '[policy]\nmode = "auto"\nrequire_evidence = false\naudit_share = 0\nundo_seconds = 0\nacknowledge = true'
    )
    office.ready(*TOPICS)
    return office


def test_machine_and_list_mail_gets_nothing(auto_office: Installation) -> None:
    """Rules 1, 2, 3, 5, 6, 7, 8 and 9."""
    machines = {
        "auto@mesin.example": {"Auto-Submitted": "auto-replied"},
        "notified@mesin.example": {"Auto-Submitted": "auto-notified; owner-email=x"},
        "list@milis.example": {"List-Id": "<pengadaan.milis.example>"},
        "bulk@milis.example": {"Precedence": "bulk"},
        "null@mesin.example": {"Return-Path": "<>"},
        "oof@kantor.example": {"X-Auto-Response-Suppress": "OOF, AutoReply"},
        "no-reply@portal.example": {},
        "mailer-daemon@mx.example": {},
        OFFICE: {},
    }
    for sender, headers in machines.items():
        auto_office.deliver("Lupa password", QUESTION, sender=sender, headers=headers)
    auto_office.deliver("Automatic reply: Lupa password", QUESTION, sender="cuti@kantor.example")
    round_ = auto_office.poll()
    assert round_["new"] == len(machines) + 1
    assert round_["sent"] == 0
    auto_office.poll()
    for sender in [*machines, "cuti@kantor.example"]:
        if sender != OFFICE:
            assert auto_office.replies_to(sender) == [], sender
    assert all(row["result"] in {"ignored", "approval", "flagged"} for row in round_["handled"])


def test_a_person_is_answered_automatically_once_and_only_once(auto_office: Installation) -> None:
    """Rules 19, 20, 29 and 30."""
    auto_office.deliver("Lupa password", QUESTION)
    assert auto_office.poll()["sent"] == 1
    (reply,) = auto_office.replies_to()
    assert reply["Auto-Submitted"] == "auto-replied"
    assert reply["X-Auto-Response-Suppress"] == "All"
    assert reply["X-LPSE-Loop"]
    assert "klik lupa password" in plain_text(reply)
    auto_office.deliver(
        "Re: " + reply["Subject"],
        "Masih belum bisa, mohon info cara reset password lagi",
        headers={"In-Reply-To": reply["Message-ID"]},
    )
    auto_office.deliver("password", "Bagaimana cara reset password akun LPSE karena saya lupa?")
    assert auto_office.poll()["sent"] == 0
    assert len(auto_office.replies_to()) == 1
    assert len(auto_office.tickets()) == 2


def test_an_unauthenticated_sender_waits_for_a_person(auto_office: Installation) -> None:
    """Rule 14."""
    auto_office.deliver("Lupa password", QUESTION, authenticated=False)
    assert auto_office.poll()["sent"] == 0
    assert [ticket["status"] for ticket in auto_office.tickets()] == ["needs_approval"]


def test_an_acknowledgement_repeats_nothing_of_the_mail(auto_office: Installation) -> None:
    """Rule 36."""
    auto_office.deliver(
        "Beli obat murah di sini", "Akun kami dinonaktifkan oleh admin, kenapa? kunjungi situs-jahat.example"
    )
    assert auto_office.poll()["sent"] == 1
    (reply,) = auto_office.replies_to()
    assert reply["Auto-Submitted"] == "auto-replied"
    for words in ("obat", "dinonaktifkan", "situs-jahat"):
        assert words not in reply.as_string()
    assert "[LPSE-000001-" in reply["Subject"]


def test_a_bounce_marks_the_reply_undelivered_and_stops_automatic_mail(auto_office: Installation) -> None:
    """Rules 4 and 28."""
    auto_office.deliver("Lupa password", QUESTION)
    auto_office.poll()
    (reply,) = auto_office.replies_to()
    auto_office.backend.deliver(_bounce_of(reply["Message-ID"]))
    auto_office.poll()
    shown = auto_office.show(1)
    assert shown["ticket"]["status"] == "needs_staff"
    assert "5.1.1" in shown["replies"][0]["undelivered"]
    auto_office.deliver("Tender cepat", "Apa syarat supaya kami diundang tender cepat?")
    assert auto_office.poll()["sent"] == 0
    assert "kembali" in auto_office.tickets()[-1]["reason"]


def test_nobody_can_write_into_anothers_ticket(auto_office: Installation) -> None:
    """Rule 48."""
    auto_office.deliver("Lupa password", QUESTION)
    auto_office.poll()
    (reply,) = auto_office.replies_to()
    auto_office.deliver(
        reply["Subject"],
        "Saya lupa password, bagaimana cara resetnya?",
        sender="orang@lain.example",
        headers={"In-Reply-To": reply["Message-ID"]},
    )
    auto_office.poll()
    first, second = auto_office.tickets()
    assert (first["vendor_address"], second["vendor_address"]) == (VENDOR, "orang@lain.example")
    assert "bukan pesertanya" in second["reason"]


def test_the_same_mail_again_is_not_answered_again(auto_office: Installation) -> None:
    """Rule 50: the same octets twice in the folder, as a copy or a restored mailbox leaves them."""
    mail = build_mail(
        "Lupa password", QUESTION, sender=VENDOR, to=OFFICE,
        headers={"Authentication-Results": f"{AUTHSERV_ID}; dmarc=pass header.from=baharijaya.example"},
    )  # fmt: skip
    with signed_in(auto_office.backend.imap()) as client:
        client.append("INBOX", mail)
        client.append("INBOX", mail)
    round_ = auto_office.poll()
    assert sorted(row["result"] for row in round_["handled"]) in (
        ["automatic", "duplicate"],
        ["approval", "duplicate"],
    )
    assert len(auto_office.tickets()) == 1


def _bounce_of(message_id: str) -> bytes:
    return (
        "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example\r\n"
        f"To: {OFFICE}\r\nSubject: Undelivered Mail Returned to Sender\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nTidak terkirim.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        f"Final-Recipient: rfc822; {VENDOR}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 User unknown\r\n\r\n"
        f"--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: {OFFICE}\r\nMessage-ID: {message_id}\r\n\r\nisi\r\n--b--\r\n"
    ).encode()
