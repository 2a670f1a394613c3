"""The single signs that a machine sent a mail, each by its rule."""

from __future__ import annotations

import pytest

from responder.mail import parse, tokens
from responder.mail.message import Kind, Screening, Setting, Verdict
from responder.mail.screen import screen
from responder.replies.reason_words import is_known
from tests.mails import build_mail, multipart

KEY = b"kunci-instalasi-untuk-uji"
OWN = Setting(
    own_addresses=frozenset({"lpse@instansi.example", "helpdesk@instansi.example"}), own_token=KEY, trust=True
)


def judged(
    subject: str = "Lupa kata sandi",
    body: str = "Selamat pagi, bagaimana cara mengganti kata sandi?",
    sender: str = "Budi <budi@penyedia.example>",
    setting: Setting = OWN,
    **headers: str | list[str],
) -> Screening:
    """The screening of an ordinary mail with these headers; "_" in a name stands for "-". Staff can read why."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    found = screen(parse.read(build_mail(subject, body, sender, headers=named)), setting)
    assert all(map(is_known, found.reasons))
    return found


@pytest.mark.parametrize("value", ["<>", "< >", ""])
def test_the_null_sender_gets_no_reply_from_anyone(value: str) -> None:
    """Rule 1: nothing goes out without a person changing the address."""
    found = judged(Return_Path=value)
    assert found.verdict is Verdict.NO_AUTO
    assert found.reply_address == ""
    assert "rule 1: Return-Path is <>" in found.reasons


def test_an_ordinary_return_path_is_no_sign() -> None:
    """Rule 1."""
    assert judged(Return_Path="<budi@penyedia.example>").verdict is Verdict.AUTO


@pytest.mark.parametrize("value", ["no", "No  ", "no (orang)", "NO (a (b))", "no; a=b"])
def test_auto_submitted_no_is_a_person(value: str) -> None:
    """Rule 2."""
    assert judged(Auto_Submitted=value).verdict is Verdict.AUTO


@pytest.mark.parametrize(
    "value",
    [
        "auto-replied",
        "auto-replied (vacation)",
        "(no) auto-generated; a=b",
        "auto-notified",
        "Auto-Replied",
        "x-lain",
        "",
        "(no)",
        "noauto",
    ],
)
def test_any_other_auto_submitted_is_a_machine(value: str) -> None:
    """Rule 2."""
    found = judged(Auto_Submitted=value)
    assert (found.verdict, found.kind) == (Verdict.NO_AUTO, Kind.AUTO_REPLY)


def test_every_instance_of_auto_submitted_is_read() -> None:
    """Rule 2."""
    assert judged(Auto_Submitted=["no", "auto-generated"]).verdict is Verdict.NO_AUTO


@pytest.mark.parametrize(
    "kind", ["disposition-notification", "feedback-report", "delivery-status", "tracking-status"]
)
def test_reports_of_every_type_are_never_answered(kind: str) -> None:
    """Rules 3 and 12: a report (a read receipt too) is answered by nothing, not even another report."""
    content_type, body = multipart(
        f"report; report-type={kind}",
        "Content-Type: text/plain\n\nx",
        f"Content-Type: message/{kind}\n\nA: b",
    )
    found = judged("Re: Lupa", body, Content_Type=content_type)
    assert found.verdict is Verdict.NO_AUTO
    assert found.kind is (Kind.BOUNCE if kind == "delivery-status" else Kind.REPORT)
    assert found.reply_address == ""


def test_a_delivery_status_inside_another_mail_counts() -> None:
    """Rule 3: a part anywhere."""
    content_type, body = multipart(
        "mixed", "Content-Type: text/plain\n\nx", "Content-Type: message/delivery-status\n\nAction: failed"
    )
    assert judged("Lupa", body, Content_Type=content_type).verdict is Verdict.NO_AUTO


@pytest.mark.parametrize("name", ["Disposition-Notification-To", "Return-Receipt-To", "X-Confirm-Reading-To"])
def test_a_wish_for_a_receipt_changes_nothing(name: str) -> None:
    """Rule 12: no MDN is ever sent, so the wish is neither fulfilled nor held against the sender."""
    assert judged(**{name: "budi@penyedia.example"}).verdict is Verdict.AUTO


@pytest.mark.parametrize(
    "name",
    [
        "List-Id",
        "List-Help",
        "List-Subscribe",
        "List-Post",
        "List-Owner",
        "List-Archive",
        "Mailing-List",
        "X-BeenThere",
    ],
)
def test_list_mail_is_never_answered(name: str) -> None:
    """Rule 5."""
    found = judged(**{name: "<milis.example>"})
    assert (found.verdict, found.kind) == (Verdict.NO_AUTO, Kind.LIST)


@pytest.mark.parametrize("name", ["List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID", "X-Campaign"])
def test_what_contact_forms_carry_too_needs_a_person(name: str) -> None:
    """Rule 5 blocks AUTO; alone these lower no further than DRAFT."""
    found = judged(**{name: "<https://x.example/stop>"})
    assert (found.verdict, found.kind) == (Verdict.DRAFT, Kind.PERSON)


@pytest.mark.parametrize("value", ["bulk", "Junk", "LIST", "auto_reply", "auto-reply", "bulk (massal)"])
@pytest.mark.parametrize("name", ["Precedence", "X-Precedence"])
def test_bulk_precedence_is_never_answered(name: str, value: str) -> None:
    """Rule 6."""
    assert judged(**{name: value}).verdict is Verdict.NO_AUTO


@pytest.mark.parametrize("value", ["first-class", "special-delivery", "normal", ""])
def test_other_precedence_is_no_sign(value: str) -> None:
    """Rule 6."""
    assert judged(Precedence=value).verdict is Verdict.AUTO


@pytest.mark.parametrize(
    "value", ["All", "OOF", "AutoReply", "DR, OOF", "oof,autoreply", "NDR, RN, NRN, AutoReply"]
)
def test_suppressed_auto_responses_are_kept_back(value: str) -> None:
    """Rule 7: the mail itself is a person's all the same."""
    found = judged(X_Auto_Response_Suppress=value)
    assert (found.verdict, found.kind) == (Verdict.NO_AUTO, Kind.PERSON)


@pytest.mark.parametrize("value", ["DR", "NDR", "RN", "NRN", "DR, NDR, RN, NRN", "None"])
def test_suppressed_receipts_are_no_sign(value: str) -> None:
    """Rule 7."""
    assert judged(X_Auto_Response_Suppress=value).verdict is Verdict.AUTO


SYSTEM = [
    "noreply",
    "no-reply",
    "no_reply",
    "No.Reply",
    "noreply-42",
    "no-reply+abc",
    "do-not-reply",
    "donotreply",
    "tender.noreply",
    "jangan-balas",
    "owner-milis",
    "milis-request",
    "milis-bounces",
    "listserv",
    "majordomo",
    "mailer-daemon",
]


@pytest.mark.parametrize("local", SYSTEM)
@pytest.mark.parametrize("place", ["From", "Sender", "Reply-To", "Return-Path"])
def test_system_addresses_are_never_answered(local: str, place: str) -> None:
    """Rule 8: in From, Sender, Reply-To or Return-Path."""
    assert judged(**{place: f"<{local}@penyedia.example>"}).verdict is Verdict.NO_AUTO


@pytest.mark.parametrize("local", ["postmaster", "abuse", "notifications", "newsletter", "bounces+7-abc"])
def test_addresses_where_people_may_sit_need_a_person(local: str) -> None:
    """Rule 8: people sit at postmaster (RFC 5230)."""
    assert judged(sender=f"{local}@penyedia.example").verdict is Verdict.DRAFT


@pytest.mark.parametrize(
    "local", ["budi", "nora", "reply.budi", "request", "norepl", "pengadaan", "answer", "notaris"]
)
def test_people_are_not_taken_for_systems(local: str) -> None:
    """Rule 8."""
    assert judged(sender=f"{local}@penyedia.example").verdict is Verdict.AUTO


@pytest.mark.parametrize(
    "address",
    [
        "lpse@instansi.example",
        "LPSE@Instansi.Example",
        "helpdesk@instansi.example",
        "lpse+000012-abc@instansi.example",
    ],
)
@pytest.mark.parametrize("place", ["From", "Sender"])
def test_mail_of_our_own_is_filed_and_not_answered(place: str, address: str) -> None:
    """Rule 9."""
    found = judged(**{place: f"LPSE <{address}>"})
    assert (found.verdict, found.kind, found.reply_address) == (Verdict.LOOP, Kind.OWN, "")


def test_a_message_id_of_ours_is_our_own_mail() -> None:
    """Rule 9: the MAC tells, whatever From says."""
    own = tokens.message_id(KEY, mailbox="a", identity="b", kind="answer", n=1, domain="instansi.example")
    assert judged(Message_ID=f"<{own}>").verdict is Verdict.LOOP
    forged = own.replace(own[:4], "aaaa", 1)
    assert judged(Message_ID=f"<{forged}>").verdict is Verdict.AUTO


def test_our_own_loop_token_is_a_loop() -> None:
    """Rule 27."""
    token = tokens.loop_token(KEY, "x@instansi.example")
    assert judged(**{tokens.LOOP_HEADER: token}).verdict is Verdict.LOOP


@pytest.mark.parametrize(
    "name", [tokens.LOOP_HEADER, "X-Loop", "X-No-Loop", "X-OTRS-Loop", "X-RT-Loop-Prevention"]
)
def test_anothers_loop_header_is_a_machine(name: str) -> None:
    """Rule 27, and rule 26: another installation of this responder is not answered."""
    assert judged(**{name: "lain"}).verdict is Verdict.NO_AUTO


@pytest.mark.parametrize(("hops", "verdict"), [(100, Verdict.AUTO), (101, Verdict.LOOP)])
def test_more_than_a_hundred_hops_are_a_loop(hops: int, verdict: Verdict) -> None:
    """Rule 27 (RFC 5321 6.3)."""
    assert judged(Received=["from a by b; Mon, 03 Mar 2025 09:15:00 +0700"] * hops).verdict is verdict


@pytest.mark.parametrize("flag", ["$Junk", "$phishing", "Junk"])
def test_mail_flagged_as_junk_gets_nothing(flag: str) -> None:
    """Rule 13."""
    assert judged(setting=Setting(trust=True, flags=(flag,))).verdict is Verdict.NO_AUTO


@pytest.mark.parametrize(
    ("value", "verdict"), [("YES", Verdict.NO_AUTO), ("yes, score=9", Verdict.NO_AUTO), ("NO", Verdict.AUTO)]
)
def test_mail_marked_as_spam_gets_nothing(value: str, verdict: Verdict) -> None:
    """Rule 13."""
    assert judged(X_Spam_Flag=value).verdict is verdict


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Autoreply", "yes"),
        ("X-Autorespond", "x"),
        ("X-Autoresponder", "x"),
        ("X-Autoresponse", "x"),
        ("X-AutoReply-From", "a@b.example"),
        ("X-Mail-Autoreply", "x"),
        ("X-Autogenerated", "Reply"),
        ("X-FC-MachineGenerated", "true"),
        ("X-POST-MessageClass", "9; Autoresponder"),
        ("Delivered-To", "Autoresponder"),
        ("X-AMAZON-MAIL-RELAY-TYPE", "notification"),
        ("X-Ack", "no"),
        ("X-Failed-Recipients", "a@b.example"),
    ],
)
def test_headers_of_automatic_mail_are_never_answered(name: str, value: str) -> None:
    """Email-rules 0, table of signals."""
    assert judged(**{name: value}).verdict is Verdict.NO_AUTO


@pytest.mark.parametrize(
    "subject",
    [
        "Balasan otomatis: Lupa kata sandi",
        "Jawaban otomatis",
        "Di luar kantor: Lupa",
        "Automatic reply: Lupa",
        "Out of Office AutoReply: Lupa",
        "Auto: Lupa",
        "Automatische Antwort: x",
        "Abwesenheitsnotiz",
        "Réponse automatique : x",
        "Respuesta automática: x",
        "Resposta automática: x",
        "Risposta automatica: x",
        "Autosvar: x",
        "Automatisch antwoord: x",
        "Automaattinen vastaus: x",
        "Automatyczna odpowiedź: x",
        "Автоматический ответ: x",
        "Otomatik yanıt: x",
        "自动回复：x",
        "自動応答: x",
        "자동 회신: x",
    ],
)
def test_subjects_of_automatic_answers_are_never_answered(subject: str) -> None:
    """Email-rules 0: the last resort, anchored at the start."""
    found = judged(subject)
    assert (found.verdict, found.kind) == (Verdict.NO_AUTO, Kind.AUTO_REPLY)


@pytest.mark.parametrize(
    "subject",
    [
        "Re: Balasan otomatis: Lupa kata sandi",
        "Cuti bersama: apakah LPSE buka?",
        "Gagal unggah dokumen",
        "Automasi pengadaan",
        "Kesalahan saat masuk SPSE",
        "Read this please",
    ],
)
def test_what_people_write_in_subjects_is_no_sign(subject: str) -> None:
    """False alarms cost a vendor the answer."""
    assert judged(subject).verdict is Verdict.AUTO


def test_a_weak_subject_needs_a_person_and_is_sure_in_an_answer() -> None:
    """Email-rules 0: weak ones only with In-Reply-To."""
    assert judged("Out of office hours support?").verdict is Verdict.DRAFT
    assert judged("Out of office until Monday", In_Reply_To="<x@instansi.example>").verdict is Verdict.NO_AUTO


def test_a_calendars_answer_is_never_answered_and_an_invitation_needs_a_person() -> None:
    invitation, body = multipart(
        "alternative", "Content-Type: text/plain\n\nRapat", "Content-Type: text/calendar\n\nBEGIN"
    )
    assert judged("Accepted: Aanwijzing", body, Content_Type=invitation).verdict is Verdict.NO_AUTO
    assert judged("Aanwijzing", body, Content_Type=invitation).verdict is Verdict.DRAFT
    assert judged("Aanwijzing", "x", Content_Type="text/calendar; method=REPLY").verdict is Verdict.NO_AUTO


@pytest.mark.parametrize("body", ["", "\n \n", "...", "-- \n"])
def test_an_empty_mail_goes_to_a_person(body: str) -> None:
    """Rule 17."""
    assert judged(body=body).verdict is Verdict.DRAFT


def test_an_encrypted_mail_goes_to_a_person() -> None:
    """Rule 17."""
    found = judged(
        body="MIAGCSqGSIb3", Content_Type="application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m"
    )
    assert (found.verdict, found.kind) == (Verdict.DRAFT, Kind.UNREADABLE)


@pytest.mark.parametrize(
    "body",
    [
        "STOP",
        "Berhenti.",
        "unsubscribe",
        "Mohon jangan kirim email otomatis lagi ke alamat ini.",
        "Tolong hentikan balasan otomatis ini.",
        "Please stop sending automated replies.",
        "Jangan kirim email lagi.",
    ],
)
def test_a_wish_to_stop_is_seen(body: str) -> None:
    """Rule 47."""
    found = judged(body=body)
    assert found.stop_request
    assert found.verdict is Verdict.DRAFT


@pytest.mark.parametrize(
    "body",
    [
        "Mohon kirim lagi email verifikasinya.",
        "Apakah sistem stop saat libur?",
        "Kenapa email verifikasi tidak terkirim lagi?",
        "Proses lelang berhenti, bagaimana kelanjutannya?",
    ],
)
def test_other_talk_of_stopping_is_no_wish(body: str) -> None:
    """Rule 47."""
    assert not judged(body=body).stop_request
