"""Sending: what a reply's fate is, by what the server did and when. Counted at the server."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.config import Folders, SmtpServer
from responder.errors import LoginError, MailServerError, Refused
from responder.mail.imap import ImapSession
from responder.mail.smtp import SendResult, SmtpSession, Timeouts
from tests.faulty_smtp import EXTENSIONS, FaultySmtp
from tests.servers import HOST, PASSWORD, MailDevel, free_port, make_certificate

FROM = "lpse@contoh.go.id"
TO = "budi@penyedia.example"
MAIL = b"From: lpse@contoh.go.id\r\nTo: budi@penyedia.example\r\n\r\n.titik di depan\r\n..dua\r\n.\r\nselesai\r\n"
HASTY = Timeouts(greeting=2, command=0.3, data=0.3, block=0.3, quit=0.3)


@pytest.fixture(params=[(), ("PIPELINING",)], ids=["one by one", "pipelining"])
def faulty_smtp(request: pytest.FixtureRequest) -> Iterator[FaultySmtp]:
    """Whatever goes wrong means the same to a server that takes MAIL and RCPT together (RFC 2920)."""
    with FaultySmtp(extensions=(*EXTENSIONS, *request.param)) as server:
        yield server


def connect(server: FaultySmtp, **changes: object) -> SmtpSession:
    return SmtpSession.connect(server.settings(**changes), PASSWORD, timeouts=HASTY)


def send(server: FaultySmtp, data: bytes = MAIL, *, sender: str = FROM, to: str = TO) -> SendResult:
    with connect(server) as session:
        return session.send(sender, to, data)


def impatient(server: FaultySmtp) -> SmtpServer:
    # The configuration allows no less than 600 s (rule 76), which no test can wait for.
    return server.settings().model_copy(update={"data_timeout_seconds": 0.3})


def test_reply_arrives_octet_by_octet_with_the_servers_id(faulty_smtp: FaultySmtp) -> None:
    """Rules 39 and 73: the frozen bytes, dots and all."""
    result = send(faulty_smtp)
    assert (result.status, result.phase, result.code, result.queue_id) == ("sent", "dot", 250, "UJI00001")
    (mail,) = faulty_smtp.mails
    assert (mail.sender, mail.recipient, mail.data) == (FROM, TO, MAIL)


def test_large_reply_arrives(faulty_smtp: FaultySmtp) -> None:
    data = MAIL + b".baris panjang sekali\r\n" * 200_000
    assert send(faulty_smtp, data).status == "sent"
    assert faulty_smtp.mails[0].data == data


@pytest.mark.parametrize("at", ["mail", "rcpt", "data", "dot"])
def test_temporary_refusal_is_tried_again_later(faulty_smtp: FaultySmtp, at: str) -> None:
    """Rule 74."""
    faulty_smtp.fail(at, "451 4.7.1 coba lagi nanti")  # type: ignore[arg-type]
    result = send(faulty_smtp)
    assert (result.status, result.phase, result.code) == ("retry", at, 451)
    assert result.message == "4.7.1 coba lagi nanti"
    assert faulty_smtp.mails == []


@pytest.mark.parametrize("at", ["mail", "rcpt", "data", "dot"])
def test_permanent_refusal_is_final(faulty_smtp: FaultySmtp, at: str) -> None:
    """Rule 74."""
    faulty_smtp.fail(at, "554 5.7.1 ditolak")  # type: ignore[arg-type]
    result = send(faulty_smtp)
    assert (result.status, result.phase, result.code) == ("failed", at, 554)
    assert faulty_smtp.mails == []


@pytest.mark.parametrize(("at", "phase"), [("mail", "mail"), ("rcpt", "rcpt"), ("data", "data")])
@pytest.mark.parametrize("hang", [False, True])
def test_connection_lost_or_silent_before_the_dot_is_tried_again(
    faulty_smtp: FaultySmtp, at: str, phase: str, hang: bool
) -> None:
    """Rules 74 and 76."""
    faulty_smtp.fail(at, hang=hang)  # type: ignore[arg-type]
    result = send(faulty_smtp)
    assert (result.status, result.phase, result.code) == ("retry", phase, 0)
    assert faulty_smtp.mails == []


def test_connection_lost_in_the_body_is_tried_again(faulty_smtp: FaultySmtp) -> None:
    """Rule 74: a server throws an unfinished body away."""
    faulty_smtp.fail("body")
    result = send(faulty_smtp, MAIL + b"x" * 60 + b"\r\n" + (b"y" * 900 + b"\r\n") * 20_000)
    assert (result.status, result.phase) == ("retry", "data")
    assert faulty_smtp.mails == []


@pytest.mark.parametrize("accept", [False, True])
def test_connection_lost_after_the_dot_is_uncertain(faulty_smtp: FaultySmtp, accept: bool) -> None:
    """Rule 75: whether or not the server kept the mail, it looks the same to us; it is not sent a second time."""
    faulty_smtp.fail("dot", accept=accept)
    result = send(faulty_smtp)
    assert (result.status, result.phase) == ("uncertain", "dot")
    assert len(faulty_smtp.mails) == int(accept)


def test_no_answer_to_the_dot_is_uncertain(faulty_smtp: FaultySmtp) -> None:
    """Rules 75 and 76."""
    faulty_smtp.fail("dot", hang=True, accept=True)
    with SmtpSession.connect(impatient(faulty_smtp), PASSWORD, timeouts=HASTY) as session:
        result = session.send(FROM, TO, MAIL)
    assert (result.status, result.phase) == ("uncertain", "dot")
    assert len(faulty_smtp.mails) == 1


def test_nonsense_after_the_dot_is_uncertain(faulty_smtp: FaultySmtp) -> None:
    """Rule 75."""
    faulty_smtp.fail("dot", "apa?", accept=True)
    assert send(faulty_smtp).status == "uncertain"


def test_answer_to_the_dot_is_waited_for_at_least_ten_minutes() -> None:
    """Rule 76."""
    with pytest.raises(ValueError, match="600"):
        SmtpServer(host=HOST, data_timeout_seconds=599)


@pytest.mark.parametrize("reply", ["421 4.3.2 mati", "500 apa?", ""])
def test_error_at_quit_changes_nothing(faulty_smtp: FaultySmtp, reply: str) -> None:
    """Rule 77."""
    faulty_smtp.fail("quit", reply)
    assert send(faulty_smtp).status == "sent"
    assert len(faulty_smtp.mails) == 1


def test_silence_at_quit_changes_nothing(faulty_smtp: FaultySmtp) -> None:
    """Rule 77."""
    faulty_smtp.fail("quit", hang=True)
    assert send(faulty_smtp).status == "sent"


def test_one_connection_carries_many_replies_also_past_refusals(faulty_smtp: FaultySmtp) -> None:
    faulty_smtp.fail("rcpt", "550 5.1.1 tidak ada", recipient="salah@penyedia.example")
    faulty_smtp.fail("dot", "451 4.3.0 nanti", recipient="nanti@penyedia.example")
    with connect(faulty_smtp) as session:
        names = ["a", "salah", "b", "nanti", "c"]
        results = [session.send(FROM, f"{name}@penyedia.example", MAIL).status for name in names]
    assert results == ["sent", "failed", "sent", "retry", "sent"]
    assert faulty_smtp.connections == 1


def test_connection_is_renewed_after_its_count(faulty_smtp: FaultySmtp) -> None:
    with connect(faulty_smtp, max_per_connection=2) as session:
        assert [session.send(FROM, TO, MAIL).status for _ in range(5)] == ["sent"] * 5
    assert [mail.connection for mail in faulty_smtp.mails] == [1, 1, 2, 2, 3]


@pytest.mark.parametrize("reply", ["", "421 4.4.2 terlalu lama diam"])
def test_idle_connection_that_the_server_gave_up_is_opened_again(faulty_smtp: FaultySmtp, reply: str) -> None:
    """Rule 74: nothing of the mail was said yet."""
    with connect(faulty_smtp) as session:
        assert session.send(FROM, TO, MAIL).status == "sent"
        faulty_smtp.fail("mail", reply, times=1)
        assert session.send(FROM, TO, MAIL).status == "sent"
    assert [mail.connection for mail in faulty_smtp.mails] == [1, 2]


def test_server_that_went_away_is_tried_again_later(faulty_smtp: FaultySmtp) -> None:
    """Rule 74."""
    with connect(faulty_smtp) as session:
        faulty_smtp.fail("mail", "421 4.3.2 mati")
        faulty_smtp.fail("connect", "554 tutup")
        result = session.send(FROM, TO, MAIL)
        assert (result.status, result.phase) == ("retry", "connect")
        faulty_smtp.repair()
        assert session.send(FROM, TO, MAIL).status == "sent"


def test_stop_directly_before_data_sends_nothing(faulty_smtp: FaultySmtp) -> None:
    """Rule 78: the kill switch is asked last, after RCPT was taken and before DATA is said."""

    def stop() -> None:
        assert faulty_smtp.commands[-1].startswith("RCPT")
        raise Refused("disarmed")

    with connect(faulty_smtp) as session:
        with pytest.raises(Refused):
            session.send(FROM, TO, MAIL, before_data=stop)
        assert "DATA" not in faulty_smtp.commands
        assert session.send(FROM, TO, MAIL).status == "sent"
    assert len(faulty_smtp.mails) == 1


def test_database_error_before_data_is_not_taken_for_a_lost_connection(faulty_smtp: FaultySmtp) -> None:
    """Rule 78."""

    def fail() -> None:
        raise OSError("disk full")

    with connect(faulty_smtp) as session, pytest.raises(OSError, match="disk full"):
        session.send(FROM, TO, MAIL, before_data=fail)
    assert faulty_smtp.mails == []


def test_null_sender_asks_for_no_notification(faulty_smtp: FaultySmtp) -> None:
    """Rules 31 and 32."""
    send(faulty_smtp, sender="")
    send(faulty_smtp)
    assert [(mail.sender, mail.rcpt_options) for mail in faulty_smtp.mails] == [
        ("", ("NOTIFY=NEVER",)),
        (FROM, ()),
    ]


def test_notification_is_not_mentioned_to_a_server_without_dsn() -> None:
    """Rule 32."""
    with FaultySmtp(extensions=()) as server:
        assert send(server, sender="").status == "sent"
        assert (server.mails[0].mail_options, server.mails[0].rcpt_options) == ((), ())


def test_international_domain_is_sent_as_a_label(faulty_smtp: FaultySmtp) -> None:
    """Rule 45."""
    send(faulty_smtp, to="budi@penyediaé.example")
    assert faulty_smtp.mails[0].recipient == "budi@xn--penyedia-i1a.example"
    assert "SMTPUTF8" not in faulty_smtp.mails[0].mail_options


def test_international_local_part_needs_smtputf8() -> None:
    """Rule 45."""
    with FaultySmtp() as server:
        assert send(server, to="andré@penyedia.example").status == "sent"
        assert server.mails[0].recipient == "andré@penyedia.example"
        assert "SMTPUTF8" in server.mails[0].mail_options
    with FaultySmtp(extensions=tuple(one for one in EXTENSIONS if one != "SMTPUTF8")) as server:
        result = send(server, to="andré@penyedia.example")
        assert result.status == "failed"
        assert "SMTPUTF8" in result.message
        assert server.mails == []


@pytest.mark.parametrize("address", ["", "budi", "a@b>\r\nRCPT TO:<c@d", "a b@c.example"])
def test_address_that_is_none_is_never_offered(faulty_smtp: FaultySmtp, address: str) -> None:
    result = send(faulty_smtp, to=address)
    assert result.status == "failed"
    assert not any(command.startswith(("MAIL", "RCPT")) for command in faulty_smtp.commands)


@pytest.mark.parametrize("data", [b"A: b\n\nx\r\n", b"A: b\r\n\r\nx\r\n.\n", b"A: b\r\n\r\n\rx\r\n"])
def test_bare_line_end_is_never_sent(faulty_smtp: FaultySmtp, data: bytes) -> None:
    """Rule 41: a second mail could hide behind it (SMTP smuggling)."""
    assert send(faulty_smtp, data).status == "failed"
    assert faulty_smtp.mails == []


def test_wrong_password_says_so_and_is_not_tried_again() -> None:
    """Rules 62 and 71: and the password is not in the message."""
    with FaultySmtp(user="lpse") as server:
        with pytest.raises(LoginError, match=r"127\.0\.0\.1.*'lpse' refused") as caught:
            SmtpSession.connect(server.settings(), "salah-sekali")
        assert "salah-sekali" not in str(caught.value)
        with SmtpSession.connect(server.settings(), PASSWORD) as session:
            assert session.send(FROM, TO, MAIL).status == "sent"


def test_temporary_login_failure_may_be_tried_again() -> None:
    """Rule 62."""
    with FaultySmtp(user="lpse") as server:
        server.fail("auth", "454 4.7.0 coba lagi")
        with pytest.raises(MailServerError, match="454") as caught:
            SmtpSession.connect(server.settings(), PASSWORD)
        assert not isinstance(caught.value, LoginError)


def test_server_that_wants_a_login_at_mail_stops_the_account(faulty_smtp: FaultySmtp) -> None:
    """Rule 62: no reply is burnt as failed for what is no fault of its own."""
    faulty_smtp.fail("mail", "530 5.7.0 masuk dahulu")
    with connect(faulty_smtp) as session, pytest.raises(LoginError):
        session.send(FROM, TO, MAIL)


def test_server_that_offers_no_login_is_named() -> None:
    with FaultySmtp() as server, pytest.raises(MailServerError, match="offers no log-in"):
        SmtpSession.connect(server.settings(username="lpse"), PASSWORD)


def test_refused_connection_is_one_clear_line() -> None:
    port = free_port()
    with pytest.raises(
        MailServerError, match=rf"SMTP server 127\.0\.0\.1:{port}: connection refused; check host"
    ):
        SmtpSession.connect(SmtpServer(host=HOST, port=port, security="none"), "")


def test_unknown_host_is_one_clear_line() -> None:
    with pytest.raises(MailServerError, match="host name is not known"):
        SmtpSession.connect(SmtpServer(host="tidak-ada.invalid"), "")


def test_silent_server_is_one_clear_line(faulty_smtp: FaultySmtp) -> None:
    """Rule 76: no socket without a time-out."""
    faulty_smtp.fail("connect", hang=True)
    with pytest.raises(MailServerError, match="no answer in time"):
        SmtpSession.connect(faulty_smtp.settings(), "", timeouts=Timeouts(greeting=0.2))


def test_missing_starttls_is_one_clear_line(faulty_smtp: FaultySmtp) -> None:
    """Rule 69: never in the clear instead."""
    with pytest.raises(MailServerError, match="offers no STARTTLS"):
        connect(faulty_smtp, security="starttls")
    assert not any(command.startswith(("MAIL", "AUTH")) for command in faulty_smtp.commands)


def test_plain_text_port_with_tls_is_one_clear_line(faulty_smtp: FaultySmtp) -> None:
    with pytest.raises(MailServerError, match="TLS failed"):
        connect(faulty_smtp, security="tls", timeout_seconds=2)


def test_untrusted_certificate_is_refused_and_a_trusted_one_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 69."""
    with FaultySmtp(starttls=True, user="lpse") as server:
        with pytest.raises(MailServerError, match="certificate is not trusted"):
            connect(server, security="starttls")
        assert not any(command.startswith("AUTH") for command in server.commands)
        assert server.certificate is not None
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        with connect(server, security="starttls") as session:
            assert session.send(FROM, TO, MAIL).status == "sent"


def test_certificate_of_another_host_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Rule 69."""
    with FaultySmtp(starttls=True, certificate=make_certificate(tmp_path, "lain.contoh.id")) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        with pytest.raises(MailServerError, match="certificate is not trusted"):
            connect(server, security="starttls")


def test_reply_reaches_a_real_mailbox(mail_devel: MailDevel) -> None:
    with SmtpSession.connect(mail_devel.smtp(), PASSWORD) as session:
        assert session.send(FROM, TO, MAIL).status == "sent"
    with ImapSession.connect(mail_devel.imap(TO), password=PASSWORD, folders=Folders()) as imap:
        imap.select("INBOX", readonly=True)
        (mail,) = imap.fetch_batch(imap.all_uids(), 10_000, 10_000)
        assert mail.raw is not None
        assert b"selesai" in mail.raw


def test_smtplib_itself_agrees_that_the_sink_is_a_server(faulty_smtp: FaultySmtp) -> None:
    with smtplib.SMTP(HOST, faulty_smtp.port, timeout=5) as smtp:
        smtp.sendmail(FROM, [TO], MAIL)
    assert faulty_smtp.wait_for(1)[0].data == MAIL
