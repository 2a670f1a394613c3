"""Promise: brakes and flags hold automatic mail back, say why, and only a person lifts them."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from tests.mails import MAILBOX as NOT_US
from tests.mails import build_mail, multipart, text_part
from tests.scenarios.installation import (
    AUTHSERV_ID,
    DRAFTS,
    OFFICE,
    VENDOR,
    Installation,
    plain_text,
    signed_in,
)

QUESTION = "Kami lupa password akun LPSE. Bagaimana cara reset password? Email terdaftar masih aktif."
OTHER_QUESTION = "Kami tidak pernah mendapat undangan tender cepat. Apa syarat supaya bisa ikut tender cepat?"
AUTO = '[policy]\nmode = "auto"\nrequire_evidence = false\naudit_share = 0\nundo_seconds = 0\nacknowledge = true\n'
STAMP = {"Authentication-Results": f"{AUTHSERV_ID}; dmarc=pass header.from=baharijaya.example"}


@pytest.fixture
def auto_office(dovecot_office: Installation) -> Installation:
    """Everything that can answer by itself may, and acknowledgements are on."""
    dovecot_office.write_config(AUTO)
    dovecot_office.ready("lupa-password", "tender-cepat")
    return dovecot_office


def reasons(office: Installation, ticket: int = 1) -> str:
    return " ".join(office.show(ticket)["messages"][-1]["reasons"])


def notes(office: Installation) -> list[str]:
    lines = office.run("address", "list", "--json").stdout.splitlines()
    return [json.loads(line)["address"] for line in lines]


def put(office: Installation, data: bytes, flags: tuple[bytes, ...] = (), at: datetime | None = None) -> None:
    """Put a mail in the inbox as a server does that filters or restores."""
    with signed_in(office.backend.imap()) as client:
        client.append("INBOX", data, flags, at)


def report(message_id: str, action: str) -> bytes:
    """A delivery status notification (RFC 3464) about the mail `message_id`."""
    status = "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n"
    status += f"Final-Recipient: rfc822; {VENDOR}\nAction: {action}\nStatus: 4.4.7\n"
    content_type, body = multipart(
        "report; report-type=delivery-status",
        text_part("Tentang surat Anda."),
        status,
        f"Content-Type: message/rfc822\n\nFrom: {OFFICE}\nMessage-ID: {message_id}\n\nisi",
    )
    headers = {"Return-Path": "<>", "Content-Type": content_type}
    sender = "MAILER-DAEMON@mx.example"
    return build_mail("Delivery status", body, sender=sender, to=OFFICE, headers=headers)


def question(**more: object) -> bytes:
    values = {"sender": f"Ratna <{VENDOR}>", "to": OFFICE, "headers": STAMP, **more}
    return build_mail("Lupa password", QUESTION, **values)  # type: ignore[arg-type]


def test_a_bcc_to_us_becomes_a_draft(auto_office: Installation) -> None:
    """Rule 10."""
    put(auto_office, question(to=NOT_US))
    assert auto_office.poll()["sent"] == 0
    assert [ticket["status"] for ticket in auto_office.tickets()] == ["needs_approval"]
    assert "rule 10" in reasons(auto_office)


def test_a_receipt_is_asked_for_in_vain(auto_office: Installation) -> None:
    """Rule 12: the answer is all that leaves."""
    wish = {"Disposition-Notification-To": VENDOR, "Return-Receipt-To": VENDOR}
    auto_office.deliver("Lupa password", QUESTION, headers=wish)
    auto_office.poll()
    auto_office.poll()
    (reply,) = auto_office.replies_to()
    assert reply.get_content_type() != "multipart/report"
    assert "klik lupa password" in plain_text(reply)


@pytest.mark.parametrize("action", ["delayed", "relayed", "delivered", "expanded"])
def test_a_report_that_is_no_failure_is_a_note_and_changes_nothing(
    auto_office: Installation, action: str
) -> None:
    """Rules 3 and 4: no ticket of its own, the reply stays delivered, its address may get automatic mail."""
    auto_office.deliver("Lupa password", QUESTION)
    auto_office.poll()
    (reply,) = auto_office.replies_to()
    auto_office.backend.deliver(report(reply["Message-ID"], action))
    (row,) = auto_office.poll()["handled"]
    assert (row["result"], row["ticket"]) == ("note", 1)
    shown = auto_office.show(1)
    assert shown["ticket"]["status"] == "answered"
    assert shown["replies"][0]["undelivered"] == ""
    assert notes(auto_office) == []
    assert len(auto_office.tickets()) == 1


def test_a_bounce_of_a_mail_that_is_not_ours_changes_nothing(auto_office: Installation) -> None:
    """Rules 3 and 4: an id that we never gave stops nobody's mail."""
    auto_office.deliver("Lupa password", QUESTION)
    auto_office.poll()
    auto_office.backend.deliver(report(f"<karangan@{OFFICE.partition('@')[2]}>", "failed"))
    (row,) = auto_office.poll()["handled"]
    assert row["result"] == "ignored"
    assert notes(auto_office) == []
    assert [ticket["status"] for ticket in auto_office.tickets()] == ["answered"]


def test_after_a_bounce_an_address_waits_until_a_person_clears_it(auto_office: Installation) -> None:
    """Rule 28."""
    auto_office.deliver("Lupa password", QUESTION)
    auto_office.poll()
    (reply,) = auto_office.replies_to()
    auto_office.backend.deliver(report(reply["Message-ID"], "failed"))
    auto_office.poll()
    assert notes(auto_office) == [VENDOR]
    auto_office.run("address", "clear", VENDOR.upper())
    auto_office.deliver("Tender cepat", OTHER_QUESTION)
    assert auto_office.poll()["sent"] == 1


@pytest.mark.parametrize("keyword", [b"$Junk", b"$Phishing"])
def test_what_the_server_calls_junk_gets_nothing(auto_office: Installation, keyword: bytes) -> None:
    """Rule 13: no answer, and no acknowledgement of what a person would have to answer."""
    put(auto_office, question(), (keyword,))
    complaint = build_mail(
        "Mohon bantuan", "Akun kami dinonaktifkan admin, kenapa?", sender=VENDOR, to=OFFICE, headers=STAMP
    )
    put(auto_office, complaint, (keyword,))
    assert auto_office.poll()["sent"] == 0
    assert auto_office.replies_to() == []
    assert "rule 13" in reasons(auto_office)


def test_a_mail_that_arrived_long_ago_waits_for_a_person(auto_office: Installation) -> None:
    """Rule 16: by INTERNALDATE, in a mailbox that was restored, whatever the mail's own Date says."""
    put(auto_office, question(), at=datetime.now(UTC) - timedelta(hours=25))
    assert auto_office.poll()["sent"] == 0
    assert [ticket["status"] for ticket in auto_office.tickets()] == ["needs_approval"]
    assert "rule 16" in reasons(auto_office)


def test_an_encrypted_mail_is_a_ticket_that_staff_can_answer(auto_office: Installation) -> None:
    """Rule 17."""
    content_type = "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m"
    raw = build_mail(
        "Lupa password",
        "MIAGCSqGSIb3DQEHA6CAMIACAQAx",
        sender=VENDOR,
        to=OFFICE,
        headers={**STAMP, "Content-Type": content_type},
    )
    put(auto_office, raw)
    assert auto_office.poll()["sent"] == 0
    (ticket,) = auto_office.tickets()
    assert ticket["status"] == "needs_staff"
    assert "aturan 17" in ticket["reason"]
    assert auto_office.drafts_of(1) == []
    kept = auto_office.directory / "kept.eml"
    auto_office.run("quarantine", "export", str(auto_office.show(1)["messages"][0]["id"]), str(kept))
    assert kept.read_bytes() == raw
    auto_office.run("edit", "1", "--file", "-", stdin="Mohon kirim tanpa enkripsi.\n")
    auto_office.run("approve", "1", "--yes")
    assert auto_office.poll()["sent"] == 1


def test_an_empty_mail_and_an_undecodable_one_go_to_a_person(auto_office: Installation) -> None:
    """Rule 17."""
    auto_office.deliver("Lupa password", "")
    auto_office.deliver(
        "Lupa password", QUESTION, headers={"Content-Type": "text/plain; charset=tidak-ada-xyz"}
    )
    assert auto_office.poll()["sent"] == 0
    assert {ticket["status"] for ticket in auto_office.tickets()} <= {"needs_staff", "needs_approval"}


@pytest.mark.parametrize(
    "added",
    [
        "Pelayanan ini sangat mengecewakan, kami akan melapor ke Ombudsman!",
        "Kami sudah menunjuk kuasa hukum dan akan menggugat ke PTUN.",
        "Kami juga mau tanya kenapa penawaran kami digugurkan pokja pada tender jembatan.",
        "Sepertinya akun kami diretas orang lain.",
    ],
    ids=["angry", "legal", "out of scope", "security"],
)
def test_a_question_beside_what_a_person_must_see_is_not_answered_by_itself(
    auto_office: Installation, added: str
) -> None:
    """Rule 18."""
    auto_office.write_config(AUTO.replace("acknowledge = true", "acknowledge = false"))
    auto_office.deliver("Lupa password", f"{QUESTION}\n\n{added}")
    assert auto_office.poll()["sent"] == 0
    (ticket,) = auto_office.tickets()
    assert ticket["status"] in {"needs_staff", "needs_approval"}
    assert ticket["reason"]


def test_a_mail_over_the_size_limit_is_a_ticket_from_its_headers(auto_office: Installation) -> None:
    """Rules 17 and 60."""
    auto_office.write_config(AUTO + "[limits]\nmessage_bytes = 65536\nraw_kept_bytes = 65536\n")
    auto_office.deliver(
        "Lupa password", QUESTION, attachments=[("scan.pdf", b"x" * 100_000, "application/pdf")]
    )
    assert auto_office.poll()["sent"] == 0
    (ticket,) = auto_office.tickets()
    assert ticket["status"] in {"needs_staff", "needs_approval"}
    assert "rule 17" in reasons(auto_office)


def test_the_same_mail_sent_again_joins_its_open_ticket_whose_draft_stays_good(office: Installation) -> None:
    """Rule 19."""
    office.ready()
    office.deliver("Lupa password", QUESTION)
    office.poll()
    (before,) = office.drafts_of(1)
    office.deliver("Lupa password", QUESTION)
    (row,) = office.poll()["handled"]
    assert (row["result"], row["ticket"]) == ("note", 1)
    assert len(office.tickets()) == 1
    assert len(office.show(1)["messages"]) == 2
    office.run("approve", "1", "--sha256", before["sha256"])
    assert office.poll()["sent"] == 1
    office.run("prove")
    assert len(office.replies_to()) == 1
    assert [ticket["status"] for ticket in office.tickets()] == ["answered"]


def test_brakes_see_one_person_behind_capitals_and_plus_suffixes(auto_office: Installation) -> None:
    """Rules 19 and 23: the address is normalised before it is counted."""
    auto_office.deliver("Lupa password", QUESTION)
    assert auto_office.poll()["sent"] == 1
    auto_office.deliver("Password", QUESTION, sender="Admin+lagi@baharijaya.example")
    assert auto_office.poll()["sent"] == 0
    assert "aturan 19" in auto_office.tickets()[-1]["reason"]


def test_a_later_mail_of_a_ticket_is_never_answered_by_itself(auto_office: Installation) -> None:
    """Rule 20: also about another topic."""
    auto_office.deliver("Lupa password", QUESTION)
    auto_office.poll()
    (reply,) = auto_office.replies_to()
    auto_office.deliver(
        f"Re: {reply['Subject']}", OTHER_QUESTION, headers={"In-Reply-To": reply["Message-ID"]}
    )
    assert auto_office.poll()["sent"] == 0
    (ticket,) = auto_office.tickets()
    assert ticket["status"] == "needs_approval"
    assert "Surat lanjutan" in ticket["reason"]


def test_the_breaker_stops_what_is_automatic_until_a_person_arms_again(auto_office: Installation) -> None:
    """Rule 22: drafts and approved replies go on, and the log says it loudly."""
    auto_office.write_config(AUTO + "[policy.brakes]\nper_hour = 1\n")
    for number, sent in ((1, 1), (2, 0), (3, 0)):
        auto_office.deliver("Lupa password", QUESTION, sender=f"admin@vendor{number}.example")
        done = auto_office.run("poll")
        assert f" {sent} sent" in done.stdout
        assert ("automatic sending stopped" in done.stderr) is (number == 2)
    assert [ticket["status"] for ticket in auto_office.tickets()] == [
        "answered",
        "needs_approval",
        "needs_approval",
    ]
    assert "aturan 22" in auto_office.tickets()[1]["reason"]
    assert "rule 22" in auto_office.run("check", status=None).stdout
    auto_office.run("approve", "2", "--yes")
    assert auto_office.poll()["sent"] == 1
    auto_office.write_config(AUTO)
    auto_office.deliver("Lupa password", QUESTION, sender="admin@vendor4.example")
    assert auto_office.poll()["sent"] == 0
    auto_office.run("arm")
    with signed_in(auto_office.backend.imap()) as client:
        client.append("INBOX", _stamped_for("vendor5.example"), (), datetime.now(UTC) + timedelta(seconds=2))
    assert auto_office.poll()["sent"] == 1


def test_an_address_has_a_daily_limit_of_automatic_mail(auto_office: Installation) -> None:
    """Rule 23."""
    auto_office.write_config(AUTO + "[policy.brakes]\nper_address_day = 1\n")
    auto_office.deliver("Lupa password", QUESTION)
    auto_office.deliver("Tender cepat", OTHER_QUESTION)
    assert auto_office.poll()["sent"] == 1
    assert "aturan 23" in auto_office.tickets()[-1]["reason"]


def test_without_the_counters_nothing_is_sent(auto_office: Installation) -> None:
    """Rule 25: reply and counter are one transaction, and a store that cannot count sends nothing."""
    path = auto_office.directory / "state" / "responder.db"
    with sqlite3.connect(path) as database:
        database.execute("ALTER TABLE counters RENAME TO counters_away")
    auto_office.deliver("Lupa password", QUESTION)
    auto_office.run("poll", status=5)
    assert auto_office.replies_to() == []
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM replies").fetchone() == (0,)
        database.execute("ALTER TABLE counters_away RENAME TO counters")
    assert auto_office.poll()["sent"] == 1
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT n FROM counters WHERE key = ?", [f"to:{VENDOR}"]).fetchone() == (1,)


def test_a_wish_for_no_automatic_mail_is_kept_until_a_person_lifts_it(auto_office: Installation) -> None:
    """Rules 28 and 47."""
    auto_office.deliver("Permintaan", "Mohon jangan kirim email otomatis lagi ke alamat ini.")
    assert auto_office.poll()["sent"] == 0
    auto_office.deliver("Lupa password", QUESTION, sender="Admin@baharijaya.example")
    assert auto_office.poll()["sent"] == 0
    assert "tidak menerima surat otomatis" in auto_office.tickets()[-1]["reason"]
    assert notes(auto_office) == [VENDOR]
    auto_office.run("address", "clear", VENDOR)
    assert notes(auto_office) == []
    auto_office.deliver("Tender cepat", OTHER_QUESTION)
    assert auto_office.poll()["sent"] == 1


def test_an_address_without_a_note_cannot_be_cleared(auto_office: Installation) -> None:
    """Rule 28."""
    done = auto_office.run("address", "clear", "orang@lain.example", status=7)
    assert done.stderr.startswith("responder: orang@lain.example: nothing stops")


def test_an_approved_reply_carries_no_mark_of_a_machine(auto_office: Installation) -> None:
    """Rules 29 and 30: `Precedence: bulk` neither, where the office has chosen it for automatic replies."""
    auto_office.write_config(AUTO + "precedence_bulk = true\n")
    auto_office.deliver("Lupa password", QUESTION)
    auto_office.deliver(
        "Lupa password", QUESTION, sender="tanpa@bukti.example", name="Budi", authenticated=False
    )
    auto_office.poll()
    auto_office.run("approve", "2", "--yes")
    auto_office.poll()
    (automatic,) = auto_office.replies_to()
    (approved,) = auto_office.replies_to("tanpa@bukti.example")
    marks = ("Auto-Submitted", "X-Auto-Response-Suppress", "Precedence")
    assert [automatic[mark] for mark in marks] == ["auto-replied", "All", "bulk"]
    assert [approved[mark] for mark in marks] == [None, None, None]


@pytest.mark.parametrize("envelope_from", ["", "kembali@lpse.example"])
def test_bounces_come_back_to_the_mailbox_or_where_the_office_says(
    dovecot_office: Installation, envelope_from: str
) -> None:
    """Rule 31."""
    office = dovecot_office
    if envelope_from:
        text = office.config.read_text()
        line = f'envelope_from = "{envelope_from}"\n'
        office.config.write_text(text.replace("authserv_id", line + "authserv_id", 1))
    office.ready()
    office.deliver("Lupa password", QUESTION)
    office.poll()
    office.run("approve", "1", "--yes")
    office.poll()
    (mail,) = office.backend.sink.mails  # type: ignore[attr-defined]
    assert (mail.sender, mail.recipient) == (envelope_from or OFFICE, VENDOR)


def test_a_copy_list_is_never_answered(auto_office: Installation) -> None:
    """Rule 33."""
    auto_office.deliver("Lupa password", QUESTION, headers={"Cc": "ani@baharijaya.example, x@lain.example"})
    assert auto_office.poll()["sent"] == 1
    sink = auto_office.backend.sink  # type: ignore[attr-defined]
    assert [mail.recipient for mail in sink.mails] == [VENDOR]
    (reply,) = auto_office.replies_to()
    assert (reply["Cc"], reply["Bcc"]) == (None, None)


def test_a_reply_to_elsewhere_shows_both_addresses_and_gets_nothing(auto_office: Installation) -> None:
    """Rule 34."""
    auto_office.deliver("Lupa password", QUESTION, headers={"Reply-To": "korban@lain.example"})
    assert auto_office.poll()["sent"] == 0
    (ticket,) = auto_office.tickets()
    assert ticket["status"] == "needs_approval"
    assert "korban@lain.example" in ticket["reason"] and VENDOR in ticket["reason"]
    (draft,) = auto_office.drafts_of(1)
    assert draft["recipient"] == VENDOR


def test_an_address_that_cannot_be_written_to_is_a_ticket_with_the_reason(auto_office: Installation) -> None:
    """Rules 11 and 45."""
    auto_office.deliver("Lupa password", QUESTION, sender='"ratna dewi"@baharijaya.example')
    (row,) = auto_office.poll()["handled"]
    assert row["result"] == "flagged"
    assert "aturan 45" in auto_office.tickets()[0]["reason"]


def test_a_reply_threads_by_the_single_in_reply_to_of_its_parent(auto_office: Installation) -> None:
    """Rule 37."""
    header_id = auto_office.deliver("Lupa password", QUESTION, headers={"In-Reply-To": "<akar@lain.example>"})
    auto_office.poll()
    (reply,) = auto_office.replies_to()
    assert reply["In-Reply-To"] == f"<{header_id}>"
    assert reply["References"].split() == ["<akar@lain.example>", f"<{header_id}>"]


@pytest.mark.parametrize(
    "message_id", ["", "=?utf-8?q?x?=@x.example", "é@x.example", "x" * 950 + "@x.example"]
)
def test_a_parent_without_a_usable_id_is_answered_outside_any_thread(
    auto_office: Installation, message_id: str
) -> None:
    """Rules 37 and 51."""
    auto_office.deliver("Lupa password", QUESTION, message_id=message_id)
    assert auto_office.poll()["sent"] == 1
    (reply,) = auto_office.replies_to()
    assert (reply["In-Reply-To"], reply["References"]) == (None, None)


def test_a_reply_with_nothing_but_the_plus_address_finds_its_ticket(auto_office: Installation) -> None:
    """Rule 49: the token is believed from a participant only (rule 48)."""
    text = auto_office.config.read_text()
    auto_office.config.write_text(text.replace("authserv_id", "plus_addressing = true\nauthserv_id", 1))
    auto_office.deliver("Lupa password", QUESTION)
    auto_office.poll()
    (reply,) = auto_office.replies_to()
    address = reply["Reply-To"].addresses[0].addr_spec
    assert address.startswith("helpdesk+000001-")
    for sender in (VENDOR, "orang@lain.example"):
        domain = sender.rpartition("@")[2]
        stamp = {"Authentication-Results": f"{AUTHSERV_ID}; dmarc=pass header.from={domain}"}
        mail = build_mail("Hal lain", "Masih belum bisa.", sender=sender, to=address, headers=stamp)
        auto_office.backend.deliver(mail)
    auto_office.poll()
    assert [message["from_address"] for message in auto_office.show(1)["messages"]] == [VENDOR, VENDOR]
    assert auto_office.tickets()[-1]["vendor_address"] == "orang@lain.example"


def test_without_plus_addressing_there_is_no_reply_to(auto_office: Installation) -> None:
    """Rule 49: only where the provider takes such addresses."""
    auto_office.deliver("Lupa password", QUESTION)
    auto_office.poll()
    assert [reply["Reply-To"] for reply in auto_office.replies_to()] == [None]


def test_a_message_id_that_is_used_again_suppresses_no_mail_and_is_flagged(auto_office: Installation) -> None:
    """Rule 50."""
    auto_office.deliver("Lupa password", QUESTION, sender="a@jahat.example", message_id="sama@x.example")
    auto_office.poll()
    auto_office.deliver("Lupa password", QUESTION, message_id="sama@x.example")
    assert auto_office.poll()["sent"] == 0
    first, second = auto_office.tickets()
    assert (first["status"], second["status"]) == ("answered", "needs_approval")
    assert "Message-ID surat ini sudah dipakai" in second["reason"]


def test_two_mails_without_message_id_are_two_mails(auto_office: Installation) -> None:
    """Rule 51: told apart by their octets."""
    for body in (QUESTION, OTHER_QUESTION):
        auto_office.deliver("Tanya", body, message_id="")
    round_ = auto_office.poll()
    assert [row["result"] for row in round_["handled"]] == ["automatic", "automatic"]


def test_a_name_that_is_a_template_is_no_template(auto_office: Installation) -> None:
    """Rules 44, 67 and 68: neither in the letter nor in its header."""
    auto_office.deliver("{{ 7*7 }} =?utf-8?q?a=0ABcc:_x=40y.example?=", QUESTION, name='"{{7*7}}"')
    assert auto_office.poll()["sent"] == 1
    (reply,) = auto_office.replies_to()
    assert "49" not in plain_text(reply).split("LPSE Kementerian")[0]
    assert "{{ 7*7 }}" in reply["Subject"]
    assert reply["Bcc"] is None


def test_logs_hold_no_text_of_a_mail_and_no_password(auto_office: Installation) -> None:
    """Rule 71."""
    with auto_office.config.open("a") as file:
        file.write('[logging]\nlevel = "debug"\nformat = "json"\n')
    auto_office.deliver("Perihal istimewa", QUESTION + " Nomor kami kancil-4711.", name="Nama Istimewa")
    auto_office.backend.deliver(b"Subject: " + b"kancil-4711 " * 3000 + b"\r\n\r\nkancil-4711\r\n")
    logged = auto_office.run("poll").stderr
    sink = auto_office.backend.sink  # type: ignore[attr-defined]
    sink.fail("connect", "421 4.3.0 nanti")
    auto_office.deliver("Tender", OTHER_QUESTION + " kancil-4711")
    logged += auto_office.run("poll", status=None).stderr
    assert logged.count("\n") >= 1
    for secret in (
        "kancil-4711",
        "istimewa",
        "Istimewa",
        "password akun",
        (auto_office.directory / "password").read_text(),
    ):
        assert secret not in logged


def test_an_unattended_reply_holds_nothing_of_the_mail_or_of_others_but_a_name(
    auto_office: Installation,
) -> None:
    """Rule 72: approved text alone; whoever is not authenticated gets not even that."""
    private = "NPWP 01.234.567.8-901.000, user id baharijaya01, HP 0812-3456-789"
    auto_office.deliver("Lupa password", f"{QUESTION}\n\n{private}")
    auto_office.deliver(
        "Lupa password", f"{QUESTION}\n\n{private}", sender="a@palsu.example", authenticated=False
    )
    auto_office.deliver("Lupa password", QUESTION, sender="b@lain.example", name="Siti")
    assert auto_office.poll()["sent"] == 2
    assert auto_office.replies_to("a@palsu.example") == []
    for address in (VENDOR, "b@lain.example"):
        (reply,) = auto_office.replies_to(address)
        for words in ("01.234.567.8", "baharijaya01", "0812-3456"):
            assert words not in plain_text(reply)
    assert VENDOR not in plain_text(auto_office.replies_to("b@lain.example")[0])
    assert auto_office.folder(DRAFTS) != []


def _stamped_for(domain: str) -> bytes:
    stamp = {"Authentication-Results": f"{AUTHSERV_ID}; dmarc=pass header.from={domain}"}
    return build_mail("Lupa password", QUESTION, sender=f"admin@{domain}", to=OFFICE, headers=stamp)
