"""Promise: whatever changes around the running service is one clear line and one alarm, and is over by itself once
it is mended, without a restart."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import update

from responder.config import ImapServer
from responder.paths import shipped
from responder.tickets.database import Database
from responder.tickets.models import Reply
from tests.alarm_channels import Channel
from tests.conftest import require_dovecot
from tests.daemon import running
from tests.faulty_smtp import FaultySmtp
from tests.imap_proxy import ImapProxy, RefusingProxy
from tests.postgres import Postgres
from tests.scenarios.faults import TOPIC
from tests.scenarios.installation import OFFICE, DovecotBackend, Installation
from tests.servers import PASSWORD, Dovecot, make_certificate, wait_until

QUESTION = "Kami lupa password akun LPSE. Bagaimana cara reset password? Email terdaftar masih aktif."
SETTINGS = """[policy]
undo_seconds = 0
{policy}
[schedule]
poll = 1
outbox = 1
filing = 1
alarms = 1
reconcile = ""
[alarms]
urls_file = "channels"
poll_minutes = 0.05
unsent_minutes = 0.05
"""
AUTOMATIC = 'mode = "auto"\nrequire_evidence = false'


def settings(channel: Channel, office: Installation, policy: str = "") -> None:
    office.write_config(SETTINGS.format(policy=policy))
    (office.directory / "channels").write_text(f"# saluran uji\n{channel.url}\n")


@contextmanager
def told(channel: Channel, words: str) -> Iterator[None]:
    """People were told once that it began when the block begins, and that it is over when it has ended."""
    wait_until(lambda: words in channel.text, f"an alarm with {words!r}")
    yield
    wait_until(lambda: recovered(channel, words), f"the end of the alarm with {words!r}")
    begun = [one for one in channel.messages if words in one["message"].partition("Sudah pulih:")[0]]
    assert len(begun) == 1, channel.text


def recovered(channel: Channel, words: str) -> bool:
    return any(words in one["message"].partition("Sudah pulih:")[2] for one in channel.messages)


@pytest.fixture
def channel() -> Iterator[Channel]:
    with Channel() as channel:
        yield channel


def test_a_password_that_is_revoked_while_running(dovecot_office: Installation, channel: Channel) -> None:
    """Rule 62: asked once, told once; the new password is taken up as soon as it is in the file."""
    office = dovecot_office
    dovecot = office.backend.dovecot  # type: ignore[attr-defined]
    settings(channel, office)
    with ImapProxy(dovecot.port) as proxy:
        text = office.config.read_text()
        office.config.write_text(text.replace(f"port = {dovecot.port}", f"port = {proxy.port}", 1))
        office.ready()
        revoked_and_replaced(office, proxy, channel)


def revoked_and_replaced(office: Installation, proxy: ImapProxy, channel: Channel) -> None:
    with running(office) as daemon:
        daemon.logs("listening")
        daemon.logs("round  ")
        set_password(office, "sudah-dicabut")
        proxy.cut_after = "STATUS"  # who is signed in stays so
        with told(channel, "tidak dapat masuk"):
            assert daemon.log.count("round not finished") == 1
            office.deliver("Lupa password", QUESTION)
            set_password(office, PASSWORD)
            wait_until(lambda: len(office.tickets()) == 1, "a ticket with the new password")
    assert "sudah-dicabut" not in channel.text + daemon.log


def set_password(office: Installation, password: str) -> None:
    """Put another file in the place of the old one, as whoever rotates passwords does."""
    fresh = office.directory / "password.new"
    fresh.write_text(password)
    fresh.replace(office.directory / "password")


def test_a_folder_that_is_renamed_while_running(dovecot_office: Installation, channel: Channel) -> None:
    office = dovecot_office
    settings(channel, office)
    text = office.config.read_text()
    office.config.write_text(text.replace('sent = "Sent"', 'sent = "Sent"\ninbox = "Masuk"'))
    dovecot = office.backend.dovecot  # type: ignore[attr-defined]
    with dovecot.client(OFFICE) as client:
        client.create_folder("Masuk")
    office.ready()
    with running(office) as daemon:
        daemon.logs("listening")
        with dovecot.client(OFFICE) as client:
            client.rename_folder("Masuk", "Masuk lama")
        with told(channel, "tidak terbaca"):
            assert "'Masuk'" in daemon.log
            with dovecot.client(OFFICE) as client:
                client.rename_folder("Masuk lama", "Masuk")
    assert daemon.process.returncode == 0


def test_a_mailbox_whose_quota_is_full(tmp_path: Path, models: Path, channel: Channel) -> None:
    """RFC 5530 OVERQUOTA: replies leave all the same, and are filed when there is room; none is sent twice."""
    require_dovecot()
    with Dovecot((OFFICE,)) as dovecot, RefusingProxy(dovecot.port) as proxy, FaultySmtp() as sink:
        office = Installation(tmp_path / "office", Behind(dovecot, sink, proxy.port), models)
        settings(channel, office, AUTOMATIC)
        office.ready(TOPIC)
        proxy.refuse["APPEND"] = "[OVERQUOTA] Quota exceeded"
        with running(office) as daemon:
            daemon.logs("listening")
            office.deliver("Lupa password", QUESTION)
            with told(channel, "belum tersimpan di folder Terkirim"):
                assert len(sink.mails) == 1
                daemon.logs("filing refused, tried again later")
                assert "Quota exceeded" in daemon.log
                proxy.refuse.clear()
                in_a_minute(office)
        assert len(sink.mails) == 1
        assert len(office.folder("Sent")) == 1


def in_a_minute(office: Installation) -> None:
    """The pause after a refusal is over."""
    database = Database(f"sqlite:///{office.directory}/state/responder.db")
    with database.begin() as connection:
        connection.execute(update(Reply).values(filing_next_try=Reply.created_at))
    database.close()


class Behind(DovecotBackend):
    """Dovecot, as it is seen through a proxy on another port."""

    def __init__(self, dovecot: Dovecot, sink: FaultySmtp, port: int) -> None:
        super().__init__(dovecot, sink)
        self._port = port

    def imap(self) -> ImapServer:
        return super().imap().model_copy(update={"port": self._port})


def test_a_server_certificate_that_becomes_wrong(tmp_path: Path, models: Path, channel: Channel) -> None:
    """Rule 69: nothing is said over such a connection, least of all the password."""
    require_dovecot()
    with Dovecot((OFFICE,), tls=True) as dovecot, FaultySmtp() as sink:
        office = Installation(tmp_path / "office", DovecotBackend(dovecot, sink), models)
        settings(channel, office)
        text = office.config.read_text()
        plain = f'port = {dovecot.port}\nsecurity = "none"'
        office.config.write_text(text.replace(plain, f'port = {dovecot.tls_port}\nsecurity = "tls"', 1))
        trusted = tmp_path / "trusted.pem"
        certificate = dovecot.certificate
        assert certificate is not None
        trusted.write_bytes(certificate.read_bytes())
        environment = {"SSL_CERT_FILE": str(trusted)}
        office.run("poll", environment=environment)
        with running(office, **environment) as daemon:
            daemon.logs("listening")
            kept = {path: path.read_bytes() for path in (certificate, certificate.with_name("key.pem"))}
            make_certificate(dovecot.directory)
            dovecot.stop()
            dovecot.start()
            with told(channel, "tidak terbaca"):
                assert "certificate is not trusted" in daemon.log
                for path, data in kept.items():
                    path.write_bytes(data)
                dovecot.stop()
                dovecot.start()


def test_content_that_is_broken_while_running(
    dovecot_office: Installation, channel: Channel, tmp_path: Path
) -> None:
    """Mail waits in the ledger until the content can be read again."""
    office = dovecot_office
    settings(channel, office)
    content = own_content(office, tmp_path)
    office.ready()
    with running(office) as daemon:
        daemon.logs("listening")
        answer = next(content.glob("*/answer.md"))
        good = answer.read_text()
        answer.write_text("---\ntitle: [\n---\n")
        office.deliver("Lupa password", QUESTION)
        with told(channel, answer.parent.name):
            answer.write_text(good)
            wait_until(lambda: len(office.tickets()) == 1, "a ticket once the content is good again")


def own_content(office: Installation, tmp_path: Path) -> Path:
    """Give the office a copy of the content, as offices have."""
    content = tmp_path / "content"
    shutil.copytree(shipped("content"), content)
    text = office.config.read_text()
    start = text.index('content = "')
    office.config.write_text(text[:start] + f'content = "{content}"\n' + text[text.index("templates =") :])
    return content


def test_a_configuration_that_is_edited_wrongly(dovecot_office: Installation, channel: Channel) -> None:
    office = dovecot_office
    settings(channel, office)
    office.ready()
    good = office.config.read_text()
    with running(office) as daemon:
        daemon.logs("listening")
        office.config.write_text(good.replace("[policy]", "[policy"))
        daemon.reload()
        with told(channel, "konfigurasi ditolak"):
            office.deliver("Lupa password", QUESTION)
            daemon.logs("handled=1")
            office.config.write_text(good)
            daemon.reload()


def test_a_channel_that_hangs_keeps_no_mail_waiting(dovecot_office: Installation, channel: Channel) -> None:
    office = dovecot_office
    settings(channel, office)
    office.ready()
    channel.hanging = True
    with running(office) as daemon:
        daemon.logs("listening")
        office.config.write_text("?")
        daemon.reload()
        office.deliver("Lupa password", QUESTION)
        daemon.logs("handled=1")
        daemon.logs("a channel did not take the alarms")
        assert daemon.stop() < 10


def test_a_database_that_goes_away_is_told_though_no_table_can_hold_it(
    dovecot_office: Installation, channel: Channel
) -> None:
    office = dovecot_office
    with Postgres() as server:
        settings(channel, office)
        with office.config.open("a") as config:
            config.write(f'[database]\nurl = "{server.database()}"\n')
        with running(office) as daemon:
            daemon.logs("listening")
            server.stop()
            with told(channel, "basis data tidak dapat dipakai"):
                server.start()
