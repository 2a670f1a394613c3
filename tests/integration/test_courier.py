"""Alarms on their way to people."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from responder.config import Settings
from responder.errors import ConfigError
from responder.pipeline.node import this_node
from responder.tickets.database import Database
from responder.upkeep import alarms, courier
from responder.upkeep.courier import Courier
from tests.alarm_channels import Channel
from tests.office_settings import office_settings

NOW = datetime(2025, 3, 3, 3, 0, tzinfo=UTC)


@pytest.fixture
def channel() -> Iterator[Channel]:
    with Channel() as channel:
        yield channel


@pytest.fixture
def other() -> Iterator[Channel]:
    with Channel() as channel:
        yield channel


def made(directory: Path, database: Database, *channels: Channel) -> Courier:
    return Courier(with_channels(directory, *channels), database, lambda: NOW, this_node())


def with_channels(directory: Path, *channels: Channel) -> Settings:
    (directory / "channels").write_text("# pribadi\n\n" + "\n".join(one.url for one in channels))
    return office_settings(directory, '[alarms]\nurls_file = "channels"')


def begin(database: Database, key: str, text: str) -> None:
    database.write(lambda connection: alarms.raise_alarm(connection, key, text, NOW))


def end(database: Database, key: str) -> None:
    database.write(lambda connection: alarms.clear_alarm(connection, key, NOW))


def test_people_are_told_when_it_begins_and_when_it_is_over(
    tmp_path: Path, database: Database, channel: Channel
) -> None:
    messenger = made(tmp_path, database, channel)
    begin(database, "disk", "ruang disk tinggal 1 MB")
    assert messenger.tell().told == 1
    assert messenger.tell().told == 0
    end(database, "disk")
    assert messenger.tell().told == 1
    assert [one["title"] for one in channel.messages] == [
        "[LPSE] Alarm: ruang disk tinggal 1 MB",
        "[LPSE] Pulih: ruang disk tinggal 1 MB",
    ]


def test_what_a_channel_did_not_take_is_told_by_it_later(
    tmp_path: Path, database: Database, channel: Channel
) -> None:
    messenger = made(tmp_path, database, channel)
    channel.broken = True
    begin(database, "disk", "penuh")
    assert messenger.tell().failed == ["json"]
    channel.broken = False
    begin(database, "links", "tautan mati")
    assert messenger.tell().told == 2
    (message,) = channel.messages
    assert "penuh" in message["message"]
    assert "tautan mati" in message["message"]


def test_a_channel_that_is_away_keeps_no_other_from_telling(
    tmp_path: Path, database: Database, channel: Channel, other: Channel
) -> None:
    messenger = made(tmp_path, database, channel, other)
    channel.broken = True
    begin(database, "disk", "penuh")
    done = messenger.tell()
    assert (done.told, done.failed) == (1, ["json"])
    assert len(other.messages) == 1
    channel.broken = False
    messenger.tell()
    messenger.tell()
    assert (len(channel.messages), len(other.messages)) == (1, 1)


def test_a_channel_that_hangs_is_left_after_its_time(
    tmp_path: Path, database: Database, channel: Channel
) -> None:
    channel.hanging = True
    begin(database, "disk", "penuh")
    assert made(tmp_path, database, channel).tell().failed == ["json"]


def test_an_address_that_apprise_does_not_know_is_named_without_its_secrets(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="surat://") as caught:
        courier.deliver("surat://pengguna:rahasia@contoh.id", "a", "b")
    assert "rahasia" not in str(caught.value)


def test_addresses_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "CHANNELS", "json://127.0.0.1/a\n# b\njson://127.0.0.1/c")
    settings = office_settings(tmp_path, '[alarms]\nurls_env = "CHANNELS"')
    assert courier.channels(settings) == ["json://127.0.0.1/a", "json://127.0.0.1/c"]
