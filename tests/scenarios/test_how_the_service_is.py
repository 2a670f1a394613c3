"""Promise: whoever looks sees how the service is, on a screen, by monitoring, and in the morning's summary."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from responder.config import load
from responder.tickets.database import Database
from responder.upkeep import alarms, digest
from responder.web.app import create_app
from tests.alarm_channels import Channel
from tests.scenarios.installation import VENDOR, Installation

QUESTION = "Kami lupa password akun LPSE. Bagaimana cara reset password? Email terdaftar masih aktif."
MONDAY = datetime(2025, 3, 3, 0, 30, tzinfo=UTC)  # 07:30 in Jakarta
PERSONAL = (VENDOR, "Ratna", "Lupa password akun")


@pytest.fixture
def office(dovecot_office: Installation) -> Installation:
    dovecot_office.ready()
    dovecot_office.deliver("Lupa password", QUESTION)
    dovecot_office.poll()
    return dovecot_office


@pytest.fixture
def database(office: Installation) -> Iterator[Database]:
    store = Database(f"sqlite:///{office.directory}/state/responder.db")
    yield store
    store.close()


def client(office: Installation, database: Database, ahead: timedelta = timedelta()) -> TestClient:
    settings = load(office.config)
    application = create_app(settings, database, lambda: datetime.now(UTC) + ahead)
    return TestClient(application, base_url="http://127.0.0.1")


def test_status_shows_everything_on_one_screen(office: Installation) -> None:
    shown = office.run("status").stdout
    for words in ("mode review, armed", "kemenperin", "for approval", "alarms", "answers by itself: nothing"):
        assert words in shown
    whole = json.loads(office.run("status", "--json").stdout)
    assert whole["to_approve"]["count"] == 1
    assert whole["mailboxes"][0]["failures"] == 0
    assert not any(word in shown for word in PERSONAL)


def test_a_service_that_reads_its_mailboxes_is_ready_and_one_that_does_not_is_not(
    office: Installation, database: Database
) -> None:
    with client(office, database) as monitoring:
        assert monitoring.get("/healthz").json() == {"ok": True, "problems": []}
        assert monitoring.get("/readyz").status_code == 200
    with client(office, database, timedelta(hours=2)) as monitoring:
        answer = monitoring.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["problems"] == ["mailbox kemenperin: no good round for 120 minutes"]


def test_figures_are_there_without_a_word_about_any_person(office: Installation, database: Database) -> None:
    database.write(lambda c: alarms.raise_alarm(c, "disk", "penuh", datetime.now(UTC)))
    with client(office, database) as monitoring:
        figures = monitoring.get("/metrics")
    assert figures.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'responder_queue_size{queue="to_approve"} 1.0' in figures.text
    assert 'responder_last_good_poll_timestamp_seconds{mailbox="kemenperin"}' in figures.text
    assert 'responder_alarm{key="disk"} 1.0' in figures.text
    assert 'responder_job_failures{job="alarms"} 0.0' in figures.text
    assert not any(word in figures.text for word in PERSONAL)


def with_channel(office: Installation, channel: Channel) -> None:
    (office.directory / "channels").write_text(channel.url)
    text = office.config.read_text()
    office.config.write_text(text + '[alarms]\nurls_file = "channels"\n')


def test_staff_get_the_summary_once_on_a_working_day(office: Installation, database: Database) -> None:
    with Channel() as channel:
        with_channel(office, channel)
        settings = load(office.config)
        for moment in (MONDAY - timedelta(days=1), MONDAY, MONDAY + timedelta(hours=1)):
            digest.tell(database, settings, moment)
    (message,) = channel.messages
    assert message["title"] == "[LPSE Kementerian Perindustrian] Ringkasan 03-03-2025"
    assert "1 tiket (tertua" in message["message"]
    assert not any(word in channel.text for word in PERSONAL)


def test_alarms_are_listed_and_their_channels_can_be_tried(office: Installation, database: Database) -> None:
    assert "no alarms" in office.run("alarms").stdout
    database.write(lambda c: alarms.raise_alarm(c, "disk", "ruang disk tinggal 1 MB", datetime.now(UTC)))
    assert "ruang disk tinggal 1 MB" in office.run("alarms").stdout
    assert "no channels" in office.run("alarms", "--test").stdout
    with Channel() as channel:
        with_channel(office, channel)
        assert "channel 1 (json): taken" in office.run("alarms", "--test").stdout
        channel.broken = True
        assert "not taken" in office.run("alarms", "--test", status=4).stderr
