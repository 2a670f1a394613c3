"""Tokens in use, against a token server, and Dovecot and an SMTP server that look tokens up there."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from responder.config import Folders, ImapServer, OAuth2, SmtpServer
from responder.errors import LoginError, MailServerError
from responder.mail import oauth, oauth_store
from responder.mail.imap import ImapSession
from responder.mail.smtp import SmtpSession
from tests.conftest import require_dovecot
from tests.faulty_smtp import FaultySmtp
from tests.mails import build_mail
from tests.servers import HOST, Dovecot, free_port, make_certificate
from tests.sign_in import ACCOUNT, age, kept, signed_in
from tests.token_server import TokenServer


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[TokenServer, Dovecot]]:
    """A token server, and Dovecot that asks it whose a token is."""
    require_dovecot()
    with (
        TokenServer(account=ACCOUNT) as tokens,
        Dovecot((ACCOUNT,), tokeninfo=f"{tokens.url}/tokeninfo?access_token=") as dovecot,
    ):
        yield tokens, dovecot


@pytest.fixture
def tokens(servers: tuple[TokenServer, Dovecot]) -> TokenServer:
    servers[0].reset(ACCOUNT)
    return servers[0]


@pytest.fixture
def mailbox(servers: tuple[TokenServer, Dovecot]) -> Dovecot:
    return servers[1]


@pytest.fixture
def sink(tokens: TokenServer) -> Iterator[FaultySmtp]:
    with FaultySmtp(user=ACCOUNT, token_is_good=tokens.owns) as server:
        yield server


def imap(server: Dovecot, config: OAuth2) -> ImapServer:
    return server.imap(ACCOUNT).with_oauth2(config)


def open_imap(server: Dovecot, config: OAuth2) -> ImapSession:
    return ImapSession.connect(imap(server, config), password="", folders=Folders())


def smtp(server: FaultySmtp, config: OAuth2) -> SmtpServer:
    return server.settings().with_oauth2(config)


def test_token_opens_mailbox_and_smtp(
    tokens: TokenServer, mailbox: Dovecot, sink: FaultySmtp, tmp_path: Path
) -> None:
    config = signed_in(tokens, tmp_path)
    uid = mailbox.deliver(build_mail())
    with open_imap(mailbox, config) as session:
        session.select("INBOX")
        assert session.new_uids(0, 10) == [uid]
    with SmtpSession.connect(smtp(sink, config), "") as session:
        assert session.send(ACCOUNT, "budi@penyedia.example", build_mail()).status == "sent"
    assert tokens.refreshes == 0


def test_token_near_its_end_is_renewed_before_it_is_used(
    tokens: TokenServer, mailbox: Dovecot, tmp_path: Path
) -> None:
    """Rule 70: and the rotated refresh token replaces the old one, which is of no more use."""
    config = signed_in(tokens, tmp_path)
    for number in (1, 2, 3):
        before = kept(config)
        age(config, 3600 - oauth.EXPIRY_MARGIN + 1)
        open_imap(mailbox, config).close()
        assert tokens.refreshes == number
        assert kept(config).refresh_token != before.refresh_token
        assert kept(config).scope == before.scope != ""
        assert config.token_file is not None
        assert config.token_file.stat().st_mode & 0o777 == 0o600


def test_provider_that_does_not_rotate_keeps_the_refresh_token(tokens: TokenServer, tmp_path: Path) -> None:
    """Google."""
    tokens.rotates = False
    config = signed_in(tokens, tmp_path)
    before = kept(config).refresh_token
    age(config, 3600)
    assert tokens.owns(ACCOUNT, oauth.access_token(config))
    assert kept(config).refresh_token == before


def test_token_that_a_server_no_longer_takes_is_renewed_once_and_tried_once_more(
    tokens: TokenServer, mailbox: Dovecot, sink: FaultySmtp, tmp_path: Path
) -> None:
    """Rules 62 and 70."""
    config = signed_in(tokens, tmp_path)
    tokens.forget_access_tokens()
    open_imap(mailbox, config).close()
    assert tokens.refreshes == 1
    age(config, oauth.RENEWAL_PAUSE)
    tokens.forget_access_tokens()
    SmtpSession.connect(smtp(sink, config), "").close()
    assert tokens.refreshes == 2
    assert [line for line in sink.commands if line.startswith("AUTH")] != []


def test_account_that_the_server_refuses_with_a_fresh_token_is_one_clear_line(
    tokens: TokenServer, mailbox: Dovecot, sink: FaultySmtp, tmp_path: Path
) -> None:
    """Signed in as somebody else in the browser: the usual mistake. Rule 62: the token server is not asked for more."""
    tokens.account = "orang.lain@contoh.go.id"
    config = signed_in(tokens, tmp_path)
    words = (
        r"log-in as 'lpse@contoh\.go\.id' refused: .*; run `responder login pusat` and sign in as that user"
    )
    with pytest.raises(LoginError, match=rf"IMAP server .*{words}") as caught:
        open_imap(mailbox, config)
    assert kept(config).access_token not in str(caught.value)
    with pytest.raises(LoginError, match=rf"SMTP server .*{words}"):
        SmtpSession.connect(smtp(sink, config), "")
    assert tokens.refreshes == 1


def test_challenge_that_tells_what_is_wrong_is_answered_with_an_empty_line(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """As Gmail's and Microsoft's documents have it: the refusal itself comes after that line only."""
    config = signed_in(tokens, tmp_path)
    said: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                connection.sendall(b"* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2] uji\r\n")
                for line in lines:
                    tag, verb = line.split()[:2]
                    if verb.upper() == b"CAPABILITY":
                        connection.sendall(
                            b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2\r\n" + tag + b" OK selesai\r\n"
                        )
                        continue
                    for challenge in (b"", b"eyJzdGF0dXMiOiI0MDAifQ=="):
                        connection.sendall(b"+ " + challenge + b"\r\n")
                        said.append(lines.readline())
                    connection.sendall(tag + b" NO AUTHENTICATE failed.\r\n")

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        server = ImapServer(
            host=HOST, port=listener.getsockname()[1], security="none", username=ACCOUNT, timeout_seconds=5
        )
        with pytest.raises(LoginError, match=r"refused: AUTHENTICATE failed\.; run"):
            ImapSession.connect(server.with_oauth2(config), password="", folders=Folders())
        thread.join(30)
    assert [line == b"\r\n" for line in said] == [False, True, False, True]


def test_server_without_xoauth2_is_one_clear_line(tokens: TokenServer, tmp_path: Path) -> None:
    require_dovecot()
    config = signed_in(tokens, tmp_path)
    with Dovecot((ACCOUNT,)) as plain, pytest.raises(MailServerError, match="offers no log-in with OAuth 2"):
        open_imap(plain, config)
    with FaultySmtp(user=ACCOUNT) as plain_smtp, pytest.raises(MailServerError, match="offers no log-in"):
        SmtpSession.connect(smtp(plain_smtp, config), "")


def test_many_threads_and_processes_renew_once(tokens: TokenServer, tmp_path: Path) -> None:
    """Rule 70, single flight: two refreshes with one rotated token would end the sign-in."""
    config = signed_in(tokens, tmp_path)
    age(config, 3600)
    tokens.delay.clear()
    program = (
        "import sys, json; from pathlib import Path; from responder.config import OAuth2; from responder.mail import oauth; "
        "values, directory = json.loads(sys.argv[1]), Path(sys.argv[2]); "
        "print(oauth.access_token(OAuth2.model_validate(values).of('pusat', directory)))"
    )
    values = json.dumps({"provider": "microsoft", **tokens.settings})
    arguments = [sys.executable, "-c", program, values, str(tmp_path)]
    processes = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    with ThreadPoolExecutor(8) as pool:
        results = [pool.submit(oauth.access_token, config) for _ in range(8)]
        tokens.delay.set()
        found = {result.result(60) for result in results}
    found |= {process.communicate(timeout=60)[0].strip() for process in processes}
    assert len(found) == 1
    assert tokens.refreshes == 1
    assert tokens.owns(ACCOUNT, found.pop())


def test_token_that_another_process_renewed_is_taken_up(
    tokens: TokenServer, mailbox: Dovecot, tmp_path: Path
) -> None:
    config = signed_in(tokens, tmp_path)
    old = kept(config)
    age(config, 3600)
    oauth.access_token(config)
    renewed = kept(config)
    assert renewed.access_token != old.access_token
    assert oauth.access_token(config, refused=old.access_token) == renewed.access_token
    assert tokens.refreshes == 1


def test_revoked_sign_in_is_said_once_and_the_token_server_left_alone(
    tokens: TokenServer, mailbox: Dovecot, tmp_path: Path
) -> None:
    """Rules 62 and 70."""
    config = signed_in(tokens, tmp_path)
    secret = kept(config).refresh_token
    tokens.revoke(ACCOUNT)
    for _ in range(3):
        with pytest.raises(
            LoginError, match=r"mailbox pusat: signed out .*invalid_grant.*run `responder login pusat`"
        ) as caught:
            open_imap(mailbox, config)
        assert secret not in str(caught.value)
    assert tokens.refreshes == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_token_server_that_is_away_is_tried_again_later(
    tokens: TokenServer, tmp_path: Path, status: int
) -> None:
    config = signed_in(tokens, tmp_path)
    age(config, 3600)
    tokens.outage = status
    with pytest.raises(MailServerError, match=rf"token server 127\.0\.0\.1:\d+: .*{status}") as caught:
        oauth.access_token(config)
    assert not isinstance(caught.value, LoginError)
    tokens.outage = 0
    assert tokens.owns(ACCOUNT, oauth.access_token(config))


def test_client_that_is_no_longer_known_says_what_to_check(tokens: TokenServer, tmp_path: Path) -> None:
    config = signed_in(tokens, tmp_path)
    age(config, 3600)
    tokens.secret = "diganti"
    with pytest.raises(
        LoginError, match=r"mailbox pusat: .*invalid_client: .*; check client_id and the client secret"
    ):
        oauth.access_token(config)
    tokens.secret = ""
    assert tokens.owns(ACCOUNT, oauth.access_token(config))


def test_answer_that_is_not_of_a_token_server_is_one_clear_line(
    tokens: TokenServer, mailbox: Dovecot, tmp_path: Path
) -> None:
    """A captive portal, a proxy's page, a wrong address."""
    config = signed_in(tokens, tmp_path)
    age(config, 3600)
    assert config.token_file is not None
    for url in (
        f"{tokens.url}/elsewhere",
        f"http://{HOST}:{mailbox.port}/token",
    ):
        with oauth_store.replacing(config.token_file) as put:
            put(replace(kept(config), token_url=url))
        with pytest.raises(MailServerError, match=r"token server 127\.0\.0\.1:\d+: ") as caught:
            oauth.access_token(config.model_copy(update={"token_url": url}))
        assert "\n" not in str(caught.value)
        assert not isinstance(caught.value, LoginError)


def test_token_server_that_cannot_be_reached_is_tried_again_later(
    tokens: TokenServer, tmp_path: Path
) -> None:
    gone = f"http://{HOST}:{free_port()}/token"
    config = signed_in(tokens, tmp_path)
    age(config, 3600)
    away = config.model_copy(update={"token_url": gone})
    assert config.token_file is not None
    with oauth_store.replacing(config.token_file) as put:
        put(replace(kept(config), token_url=gone))
    with pytest.raises(MailServerError, match="connection refused") as caught:
        oauth.access_token(away)
    assert not isinstance(caught.value, LoginError)


def test_certificate_of_the_token_server_is_verified(tokens: TokenServer, tmp_path: Path) -> None:
    """Rule 69."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*make_certificate(tmp_path))
    config = signed_in(tokens, tmp_path)
    age(config, 3600)
    with socket.create_server((HOST, 0)) as listener:
        url = f"https://{HOST}:{listener.getsockname()[1]}/token"

        def answer() -> None:
            connection, _ = listener.accept()
            try:
                context.wrap_socket(connection, server_side=True).close()
            except OSError:
                connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        assert config.token_file is not None
        with oauth_store.replacing(config.token_file) as put:
            put(replace(kept(config), token_url=url))
        with pytest.raises(MailServerError, match="certificate is not trusted"):
            oauth.access_token(config.model_copy(update={"token_url": url}))
        thread.join(60)
