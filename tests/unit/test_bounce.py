"""Bounces of many mail systems: none is answered, and what they report is found."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from responder.mail import parse
from responder.mail.message import DeliveryReport, IncomingMail, Kind, Setting, Verdict
from responder.mail.screen import screen
from tests.mails import build_mail, multipart

ID = "abcd.efgh@instansi.example"
USER = "tidakada@penyedia.example"
TRUST = Setting(trust=True)
RETURNED = (
    f"Message-ID: <{ID}>\nFrom: lpse@instansi.example\nTo: {USER}\nSubject: Re: Lupa kata sandi\n\nYth."
)


def dsn(status: str, returned: str = RETURNED, kind: str = "message/rfc822", **headers: str) -> IncomingMail:
    """A standard delivery status notification (RFC 3464)."""
    content_type, body = multipart(
        "report; report-type=delivery-status",
        "Content-Type: text/plain\n\nPemberitahuan.",
        f"Content-Type: message/delivery-status\n\n{status}",
        f"Content-Type: {kind}\n\n{returned}",
    )
    fields = {"Content-Type": content_type, "Return-Path": "<>", **headers}
    return parse.read(
        build_mail("Undelivered Mail Returned to Sender", body, "MAILER-DAEMON@mx.example", headers=fields)
    )


def failed(action: str = "failed", status: str = "5.1.1") -> str:
    return (
        f"Reporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; {USER}\nAction: {action}\nStatus: {status}\n"
        f"Diagnostic-Code: smtp; 550 5.1.1 <{USER}>:\n    user unknown\n"
    )


def reported(mail: IncomingMail) -> DeliveryReport:
    assert mail.report is not None
    return mail.report


def test_a_failed_delivery_names_recipient_reason_and_original() -> None:
    """Rule 4."""
    report = reported(dsn(failed()))
    assert report.failed
    assert report.original_ids[0] == ID
    (recipient,) = report.recipients
    assert (recipient.recipient, recipient.action, recipient.status) == (USER, "failed", "5.1.1")
    assert recipient.diagnostic == f"550 5.1.1 <{USER}>: user unknown"


@pytest.mark.parametrize("action", ["delayed", "relayed", "delivered", "expanded"])
def test_other_actions_are_no_failure(action: str) -> None:
    """Rule 4: they are notes."""
    mail = dsn(failed(action, "4.4.1" if action == "delayed" else "2.0.0"))
    assert not reported(mail).failed
    assert screen(mail, TRUST).verdict is Verdict.NO_AUTO


def test_the_original_is_found_in_returned_headers_alone() -> None:
    """Rule 4: text/rfc822-headers (RFC 3462 2)."""
    assert reported(dsn(failed(), kind="text/rfc822-headers")).original_ids[0] == ID


def test_several_recipients_are_reported_each() -> None:
    """Rule 4: one block a recipient, also where blank lines are lost."""
    status = failed().rstrip() + "\nFinal-Recipient: rfc822; dua@x.example\nAction: delayed\nStatus: 4.4.1\n"
    assert [(r.recipient, r.action) for r in reported(dsn(status)).recipients] == [
        (USER, "failed"),
        ("dua@x.example", "delayed"),
    ]


def test_original_recipient_may_stand_first() -> None:
    status = (
        f"Original-Recipient: rfc822; {USER}\nFinal-Recipient: rfc822; lain@x.example\n"
        "Action: failed\nStatus: 5.0.0\n"
    )
    (recipient,) = reported(dsn(status)).recipients
    assert recipient.recipient == "lain@x.example"


@pytest.mark.parametrize(
    "status", ["", "\n\n", "\x00\xff", "Final-Recipient:", "Action: failed", ":" * 5000, "a: b\n" * 5000]
)
def test_a_broken_status_is_still_a_bounce(status: str) -> None:
    """Rule 3."""
    assert screen(dsn(status), TRUST).kind is Kind.BOUNCE


class Old(NamedTuple):
    """A bounce that is no multipart/report."""

    system: str
    sender: str
    subject: str
    body: str
    headers: dict[str, str] = {}


COPY = f"--- Below this line is a copy of the message.\n\n{RETURNED}"
OLD_BOUNCES = [
    Old(
        "qmail",
        "MAILER-DAEMON@mx.example",
        "failure notice",
        f"Hi. This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to deliver your message to the "
        f"following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n<{USER}>:\n"
        f"192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 no such user\n\n{COPY}",
    ),
    Old(
        "exim",
        "Mail Delivery System <Mailer-Daemon@mx.example>",
        "Mail delivery failed: returning message to sender",
        f"This message was created automatically by mail delivery software.\n\nA message that you sent could not be "
        f"delivered to one or more of its recipients.\n\n  {USER}\n    host mx.x.example [192.0.2.1]\n"
        f"    SMTP error from remote mail server: 550 5.1.1 unknown user\n\n------ This is a copy of the message ------"
        f"\n\n{RETURNED}",
        {"X-Failed-Recipients": USER, "Auto-Submitted": "auto-replied"},
    ),
    Old(
        "postfix",
        "MAILER-DAEMON@mx.example (Mail Delivery System)",
        "Undelivered Mail Returned to Sender",
        f"This is the mail system at host mx.example.\n\n<{USER}>: host mx.x.example[192.0.2.1] said: 550 5.1.1\n"
        f"    <{USER}>: Recipient address rejected\n\n{RETURNED}",
    ),
    Old(
        "sendmail",
        "Mail Delivery Subsystem <MAILER-DAEMON@mx.example>",
        "Returned mail: see transcript for details",
        f"The original message was received at Mon, 3 Mar 2025\n\n   ----- The following addresses had permanent fatal "
        f"errors -----\n<{USER}>\n    (reason: 550 5.1.1 unknown)\n\n   ----- Transcript of session follows -----\n"
        f"550 5.1.1 <{USER}>... User unknown\n\n   ----- Original message follows -----\n\n{RETURNED}",
    ),
    Old(
        "exchange",
        "System Administrator <postmaster@x.example>",
        "Undeliverable: Re: Lupa kata sandi",
        f"Your message did not reach some or all of the intended recipients.\n\nThe following recipient(s) could not "
        f"be reached:\n\n      {USER} on 3/3/2025 9:15 AM\n            The e-mail account does not exist. <mx #5.1.1>",
        {"In-Reply-To": f"<{ID}>"},
    ),
    Old(
        "google",
        "Mail Delivery Subsystem <mailer-daemon@mail.example>",
        "Delivery Status Notification (Failure)",
        f"Delivery to the following recipient failed permanently:\n\n     {USER}\n\nTechnical details of permanent "
        f"failure:\n550 5.1.1 no such user\n\n----- Original message -----\n\n{RETURNED}",
    ),
    Old(
        "courier",
        '"Courier mail server at mx" <postmaster@mx.example>',
        "NOTICE: mail delivery status.",
        f"This is a delivery status notification from mx.example.\n\nUNDELIVERABLE MAIL\n\n<{USER}>:\n     550 5.1.1 "
        f"User unknown.\n\n{RETURNED}",
    ),
]


@pytest.mark.parametrize("old", OLD_BOUNCES, ids=lambda old: old.system)
def test_a_bounce_without_report_parts_is_read_from_its_text(old: Old) -> None:
    """Rule 4, and rule 28: the address that got our reply is known, whatever system bounced it."""
    mail = parse.read(build_mail(old.subject, old.body, old.sender, headers=old.headers))
    report = reported(mail)
    assert ID in report.original_ids
    assert report.failed
    assert [recipient.recipient for recipient in report.recipients] == [USER]
    assert report.recipients[0].status == "5.1.1"
    assert screen(mail, TRUST).kind is Kind.BOUNCE


def test_a_notice_of_delay_is_no_failure() -> None:
    """Rule 4."""
    body = (
        f"A message that you sent has not yet been delivered to one or more of its recipients.\n\n  {USER}\n"
    )
    mail = parse.read(build_mail("Warning: message 1abc delayed 24 hours", body, "Mailer-Daemon@mx.example"))
    assert not reported(mail).failed
    assert screen(mail, TRUST).verdict is Verdict.NO_AUTO


# system|From|Subject|Return-Path or empty|body
UNION = """
Domino|postmaster@x.example|DELIVERY FAILURE: User not listed in Directory|<>|Your message could not be delivered
Notes|MAILER-DAEMON@x.example|Undeliverable message||Failed recipients
GroupWise|postmaster@x.example|Message status - undeliverable||The message that you sent was undeliverable
MailMarshal|postmaster@x.example|Undeliverable Mail: "Re: Lupa"||Your message was not delivered
Office 365|MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@x.example|Tidak dapat dikirim: Lupa||Pesan
Office 365 de|postmaster@x.example|Unzustellbar: Lupa||Fehler
Exchange fr|postmaster@x.example|Non remis : Lupa||Impossible
Exchange es|postmaster@x.example|No se puede entregar: Lupa||Error
Exchange it|postmaster@x.example|Non recapitabile: Lupa||Errore
Exchange pt|postmaster@x.example|Não entregue: Lupa||Erro
Exchange nl|postmaster@x.example|Onbestelbaar: Lupa||Fout
Exchange zh|postmaster@x.example|未送达: Lupa||x
Exchange ja|postmaster@x.example|配信不能: Lupa||x
Exchange ru|postmaster@x.example|Не удается доставить: Lupa||x
Amazon SES|MAILER-DAEMON@amazonses.example|Delivery Status Notification (Failure)||An error occurred
Yahoo|MAILER-DAEMON@yahoo.example|Failure Notice||Sorry, we were unable to deliver your message
Zoho|mailer-daemon@mail.zoho.example|Undelivered Mail Returned to Sender||x
OpenSMTPD|Mailer Daemon <MAILER-DAEMON@mx.example>|Delivery status notification: error||Hi! This is the MAILER-DAEMON
MessageLabs|Mail Delivery System <MAILER-DAEMON@x.example>|Mail Delivery Failure||x
MailFoundry|postmaster@x.example|Message delivery has failed||Unable to deliver message to
IMail|postmaster@x.example|Undeliverable Mail||unknown user
Activehunter|MAILER-DAEMON@x.example|FAILURE NOTICE :||Subject: FAILURE NOTICE
SurfControl|Mail Delivery System <postmaster@x.example>|Delivery failure notification||Your message could not be sent
TrendMicro|postmaster@x.example|Mail Delivery Failure||x
InterScan|InterScan MSS <postmaster@x.example>|Mail could not be delivered||x
McAfee|postmaster@x.example|Undeliverable: Lupa||x
docomo|mailer-daemon@docomo.example|Returned mail: User unknown||User unknown
au|Postmaster@ezweb.example|Mail System Error - Returned Mail|<>|The user(s) account is disabled.
KDDI|no-reply@x.example|Mail System Error||x
Facebook|MAILER-DAEMON@mx.example|Sorry, your message could not be delivered||x
X.400|postmaster@x.example|Delivery Report (failure) for tidakada|<>|This report relates to a message you sent
Barracuda|MAILER-DAEMON@x.example|**Message you sent blocked by our bulk email filter**||x
James|postmaster@x.example|[BOUNCE]||Hi. This is the James mail server
Amavis|postmaster@x.example|Undeliverable mail, MTA-BLOCKED||x
FML|fml-admin@x.example|NOT MEMBER article from budi|<>|you are not a member
PowerMTA|Mail Delivery System <pmta@x.example>|Delivery report|<>|Hello, this is the mail server on x
Messaging Server|Internet Mail Delivery <postmaster@x.example>|Delivery Notification: Delivery has failed||x
Verizon|post_master@x.example|Undeliverable Message||Message could not be delivered to mobile
DragonFly|<MAILER-DAEMON>|Mail delivery failed||This is the DragonFly Mail Agent
Yandex|mailer-daemon@x.example|Недоставленное сообщение||x
Mimecast|postmaster@x.example|[Postmaster] Email Delivery Failure||x
1&1|Mail Delivery System <mailer-daemon@x.example>|Mail delivery failed: returning message to sender||x
Biglobe|postmaster@biglobe.example|Returned mail: User unknown||x
MXLogic|Mail Delivery System <Mailer-Daemon@x.example>|Mail delivery failed: returning message to sender||x
no subject|MAILER-DAEMON@x.example|||550 5.1.1
null sender|admin@x.example|Lupa|<>|x
no from|<>|Undelivered mail||x
""".strip().split("\n")


@pytest.mark.parametrize("line", UNION)
def test_the_union_of_signs_finds_bounces_of_every_system(line: str) -> None:
    """Rules 1, 3, 8: no single header finds them all."""
    _, sender, subject, return_path, body = line.split("|")
    headers = {"Return-Path": return_path} if return_path else {}
    judged = screen(parse.read(build_mail(subject, body, sender, headers=headers)), TRUST)
    assert judged.verdict is Verdict.NO_AUTO
    assert judged.reasons


def test_a_vendor_who_complains_about_a_bounce_gets_a_person_not_silence() -> None:
    """Email-rules 0: weak evidence lowers to DRAFT, no further."""
    body = "Pak, email kami ke panitia ditolak: 550 5.1.1 user unknown. Final-Recipient: rfc822; a@b.example"
    judged = screen(parse.read(build_mail("Gagal kirim email", body)), TRUST)
    assert (judged.verdict, judged.kind) == (Verdict.DRAFT, Kind.PERSON)
    assert parse.read(build_mail("Gagal kirim email", body)).report is None


@pytest.mark.parametrize("subject", ["Fwd: Undelivered Mail Returned to Sender", "Re: Mail delivery failed"])
def test_a_bounce_that_a_person_passes_on_is_no_bounce(subject: str) -> None:
    judged = screen(parse.read(build_mail(subject, "Mohon bantuannya, mengapa ini?")), TRUST)
    assert judged.verdict is Verdict.AUTO


def test_an_ordinary_mail_reports_nothing() -> None:
    assert parse.read(build_mail()).report is None


def test_a_report_of_many_recipients_is_bounded() -> None:
    status = "".join(
        f"Final-Recipient: rfc822; a{n}@x.example\nAction: failed\nStatus: 5.1.1\n\n" for n in range(900)
    )
    assert len(reported(dsn(status)).recipients) == 50
