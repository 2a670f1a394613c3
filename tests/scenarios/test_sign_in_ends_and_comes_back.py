"""Promise: tokens renew themselves; a sign-in that ends is said once, stops one mailbox only, and is mended in place."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import require_dovecot
from tests.faulty_smtp import FaultySmtp
from tests.mails import build_mail
from tests.scenarios.faults import QUESTION, TOPIC
from tests.scenarios.installation import OFFICE, ROOT, DovecotBackend, Installation
from tests.servers import HOST, PASSWORD, Dovecot, wait_until
from tests.token_server import TokenServer, visit

SECRETS = ("code", "code_verifier", "refresh_token")  # of what the token server is sent
OTHER_OFFICE = "helpdesk@lpse-daerah.example"
SETTINGS = """[policy]
undo_seconds = 0
mode = "auto"
require_evidence = false
audit_share = 0
[schedule]
poll = 1
[mailboxes.kemenperin.oauth2]
provider = "google"
client_id = "{client_id}"
authorization_url = "{authorization_url}"
token_url = "{token_url}"
[mailboxes.daerah]
unit = "LPSE Daerah"
address = "{other}"
content = "{root}/content"
templates = "{root}/templates"
[mailboxes.daerah.imap]
host = "{host}"
port = {port}
security = "none"
username = "{other}"
password_file = "password-daerah"
[mailboxes.daerah.smtp]
host = "{host}"
port = {smtp_port}
security = "none"
"""


@dataclass
class TwoOffices:
    """One installation: `kemenperin` signs in by token, `daerah` by password."""

    office: Installation
    dovecot: Dovecot
    sink: FaultySmtp
    tokens: TokenServer
    log: list[str] = field(default_factory=list)

    def login(self) -> str:
        """Run `responder login` as a person does who opens its address; return what it says."""
        process = self.office.start("login", "kemenperin")
        try:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if line.startswith("http"):
                    assert visit(line.strip())[0] == 200
            assert process.wait(60) == 0, said
        finally:
            process.kill()
            process.communicate(timeout=60)
        return "".join(said)

    @contextmanager
    def daemon(self) -> Iterator[None]:
        """`responder run`, whose lines are added to `log`."""
        process = self.office.start("run")
        output = process.stdout
        assert output is not None
        reader = threading.Thread(target=lambda: self.log.extend(output))
        reader.start()
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)
            reader.join(60)
            output.close()

    def stopped_rounds(self) -> list[str]:
        """Lines of the log that say why mail was not taken in or replies not sent."""
        return [line for line in self.log if "round not finished" in line or "nothing can be sent" in line]


@pytest.fixture
def offices(tmp_path: Path, models: Path) -> Iterator[TwoOffices]:
    require_dovecot()
    with (
        TokenServer(account=OFFICE) as tokens,
        Dovecot((OFFICE, OTHER_OFFICE), tokeninfo=f"{tokens.url}/tokeninfo?access_token=") as dovecot,
        FaultySmtp(user=OFFICE, token_is_good=tokens.owns) as sink,
    ):
        values = {
            "other": OTHER_OFFICE,
            "root": ROOT,
            "host": HOST,
            "port": dovecot.port,
            "smtp_port": sink.port,
        }
        settings = SETTINGS.format(**values, **tokens.settings)
        office = Installation(tmp_path / "office", DovecotBackend(dovecot, sink), models, settings)
        text = office.config.read_text()
        office.config.write_text(text.replace('password_file = "password"\n', ""))
        (office.directory / "password-daerah").write_text(PASSWORD)
        shutil.copytree(models / "kemenperin", office.directory / "state" / "models" / "daerah")
        yield TwoOffices(office, dovecot, sink, tokens)


def test_a_sign_in_that_ends_stops_one_mailbox_and_is_mended_without_a_restart(offices: TwoOffices) -> None:
    """Rules 62 and 70."""
    office, tokens, sink = offices.office, offices.tokens, offices.sink
    tokens.lifetime = 2
    assert f"IMAP: signed in as {OFFICE}" in offices.login()
    office.run("poll")
    office.run("arm")
    office.run("level", TOPIC, "automatic", "--mailbox", "kemenperin")
    with offices.daemon():
        office.deliver("Lupa password", QUESTION, sender="admin@vendor1.example")
        wait_until(lambda: len(sink.mails) == 1, "the answer, with tokens that end every 2 s")
        assert tokens.refreshes > 0
        assert offices.stopped_rounds() == []

        tokens.revoke(OFFICE)
        # The connection to IMAP is kept and needs no sign-in; the one for the next answer does.
        office.deliver("Lupa password", QUESTION, sender="admin@vendor2.example")
        wait_until(lambda: bool(offices.stopped_rounds()), "a round that finds the sign-in ended")
        asked = tokens.refreshes
        offices.dovecot.deliver(build_mail(), user=OTHER_OFFICE)
        wait_until(lambda: len(office.tickets()) == 3, "a ticket of the other mailbox")
        (line,) = offices.stopped_rounds()
        assert "signed out by the provider" in line
        assert "run `responder login kemenperin`" in line
        assert tokens.refreshes == asked

        offices.login()
        wait_until(lambda: len(sink.mails) == 2, "the answer after the new sign-in")
    assert len(offices.stopped_rounds()) == 1
    assert [mail.recipient for mail in sink.mails] == ["admin@vendor1.example", "admin@vendor2.example"]


def test_check_tells_the_state_of_the_sign_in(offices: TwoOffices) -> None:
    office = offices.office
    before = office.run("check", status=1).stdout
    assert "not signed in yet; run `responder login kemenperin`" in before
    said = offices.login()
    assert f"SMTP: signed in as {OFFICE}" in said
    after = office.run("check").stdout
    assert "signed in by google; access token until" in after
    assert "scopes: https://mail.google.com/" in after
    token_file = office.directory / "state" / "oauth2" / "kemenperin.json"
    token_file.chmod(0o644)
    assert "chmod 600" in office.run("check", status=1).stdout


def test_check_warns_of_a_sign_in_that_ends_by_itself(offices: TwoOffices) -> None:
    """Google ends those of a client in status "Testing" after 7 days."""
    offices.tokens.testing = 7 * 86400
    offices.login()
    assert "the provider ends this sign-in at" in offices.office.run("check").stdout


def test_a_password_that_ends_is_said_once_and_its_successor_taken_up(offices: TwoOffices) -> None:
    """Rule 62: a revoked password, or an app password that went with it."""
    offices.login()
    office = offices.office
    office.run("poll")
    (office.directory / "password-daerah").write_text("sudah-dicabut")
    with offices.daemon():
        wait_until(lambda: bool(offices.stopped_rounds()), "a round that is refused")
        offices.dovecot.deliver(build_mail(), user=OTHER_OFFICE)
        (office.directory / "password-daerah").write_text(PASSWORD)
        wait_until(lambda: len(office.tickets()) == 1, "a ticket after the password was replaced")
    (line,) = offices.stopped_rounds()
    assert "check username and password" in line
    assert not any("sudah-dicabut" in line for line in offices.log)


def test_root_does_not_keep_a_token_that_the_service_cannot_read(offices: TwoOffices) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    office = offices.office
    os.chown(office.directory / "state", 65534, 65534)
    assert "run this as that user: sudo -u" in office.run("login", "kemenperin", status=2).stderr


def test_login_that_cannot_be_says_why(offices: TwoOffices) -> None:
    failed = offices.office.run("login", "--device", status=2)
    assert "Google's device flow excludes the mail scope" in failed.stderr
    failed = offices.office.run("login", "daerah", status=2)
    assert "daerah: signs in with a password" in failed.stderr
    failed = offices.office.run("login", "pusat", status=2)
    assert "there is no such mailbox; there are kemenperin, daerah" in failed.stderr


def test_no_secret_of_the_sign_in_is_printed(offices: TwoOffices) -> None:
    """Rules 70 and 71."""
    said = offices.login()
    offices.tokens.revoke(OFFICE)
    for arguments in (("poll",), ("poll", "--json"), ("check",), ("check", "--json")):
        ended = offices.office.run(*arguments, status=None)
        said += ended.stdout + ended.stderr
    assert "signed out by the provider" in said
    sent = {request[name] for request in offices.tokens.requests for name in SECRETS if name in request}
    assert len(sent) == 3
    assert [secret for secret in (*sent, "akses-", "segar-") if secret in said] == []
