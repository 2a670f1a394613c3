"""Alarms: what is one, and that each is told once when it begins and once when it is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from responder.config import Settings
from responder.tickets.database import Database
from responder.tickets.switches import Arming
from responder.upkeep import alarms
from responder.upkeep.conditions import FAMILIES, conditions
from responder.upkeep.situation import MailboxState, Queue, Situation
from tests.office_settings import office_settings

NOW = datetime(2025, 3, 3, 3, 0, tzinfo=UTC)  # Monday, 10:00 in Jakarta
HOUR = timedelta(hours=1)
WELL = Situation(
    at=NOW,
    mailboxes=(MailboxState("kemenperin", NOW, 0, "", (), ""),),
    arming=Arming(armed=True, since=NOW, by="", breaker=""),
    to_approve=Queue(),
    to_answer=Queue(),
    unsent=Queue(),
    unfiled=Queue(),
    unhandled=Queue(),
    quarantined=Queue(),
    uncertain=0,
    failed=0,
    disk_free=10**12,
    dead_links=(),
    past_review=(),
    alarms=(),
    jobs=(),
)
MAILBOX = WELL.mailboxes[0]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return office_settings(tmp_path)


def test_a_service_that_is_well_has_no_alarm(settings: Settings) -> None:
    assert conditions(WELL, settings) == {}


def test_what_was_told_at_once_is_not_told_again_when_it_has_lasted(settings: Settings) -> None:
    stale = replace(WELL, mailboxes=(replace(MAILBOX, last_good=NOW - HOUR, error="refused"),))
    told = replace(stale, alarms=(SimpleNamespace(key="sign-in:kemenperin"),))
    assert conditions(told, settings) == {}
    elsewhere = replace(stale, alarms=(SimpleNamespace(key="sign-in:daerah"),))
    assert list(conditions(elsewhere, settings)) == ["poll:kemenperin"]


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"mailboxes": (replace(MAILBOX, last_good=NOW - HOUR, error="away"),)}, "poll:kemenperin", "away"),
        ({"mailboxes": (replace(MAILBOX, last_good=None, failures=3),)}, "poll:kemenperin", "belum pernah"),
        (
            {"mailboxes": (replace(MAILBOX, signed_out="invalid_grant"),)},
            "oauth:kemenperin",
            "responder login",
        ),
        ({"mailboxes": (replace(MAILBOX, differences=("INBOX: 1",)),)}, "reconcile:kemenperin", "INBOX: 1"),
        ({"unsent": Queue(2, NOW - HOUR)}, "unsent", "2 balasan"),
        ({"unfiled": Queue(1, NOW - HOUR)}, "unfiled", "folder Terkirim"),
        ({"unhandled": Queue(1, NOW - HOUR)}, "unhandled", "belum diproses"),
        ({"to_approve": Queue(4, NOW - 73 * HOUR)}, "unapproved", "8 jam kerja"),
        ({"to_answer": Queue(4, NOW - 96 * HOUR)}, "unapproved", "4 tiket"),
        ({"quarantined": Queue(1, NOW)}, "quarantine", "karantina"),
        ({"arming": replace(WELL.arming, breaker="rule 22")}, "breaker", "rule 22"),
        ({"arming": replace(WELL.arming, hold="UIDVALIDITY")}, "hold", "UIDVALIDITY"),
        ({"disk_free": 10**6}, "disk", "1 MB"),
        ({"dead_links": ("https://a.example/",)}, "links", "https://a.example/"),
        ({"past_review": ("lupa-password",)}, "review", "lupa-password"),
    ],
)
def test_each_condition_is_an_alarm_of_its_own(
    settings: Settings, change: dict[str, object], key: str, words: str
) -> None:
    found = conditions(replace(WELL, **change), settings)  # type: ignore[arg-type]
    assert list(found) == [key]
    assert words in found[key]
    assert key.partition(":")[0] in FAMILIES


def test_tickets_that_came_on_friday_evening_do_not_wait_on_the_weekend(settings: Settings) -> None:
    friday = datetime(
        2025, 2, 28, 8, 30, tzinfo=UTC
    )  # 15:30 in Jakarta: half an hour until the office closes
    assert conditions(replace(WELL, to_approve=Queue(1, friday)), settings) == {}


def told(database: Database, at: datetime = NOW) -> list[tuple[str, bool]]:
    """Tell what is to be told; return (text, whether it was a recovery)."""

    def work(connection: object) -> list[tuple[str, bool]]:
        found = alarms.untold(connection)  # type: ignore[arg-type]
        for notice in found:
            alarms.told(connection, notice, at)  # type: ignore[arg-type]
        return [(notice.text, notice.recovered) for notice in found]

    return database.write(work)


def settle(database: Database, at: datetime, **found: str) -> None:
    database.write(lambda connection: alarms.settle(connection, found, {"disk", "links"}, at))


def test_an_alarm_is_told_once_when_it_begins_and_once_when_it_is_over(database: Database) -> None:
    settle(database, NOW, disk="penuh")
    assert told(database) == [("penuh", False)]
    settle(database, NOW + HOUR, disk="hampir penuh")
    assert told(database) == []
    settle(database, NOW + 2 * HOUR)
    assert told(database) == [("hampir penuh", True)]
    settle(database, NOW + 3 * HOUR)
    assert told(database) == []
    settle(database, NOW + 4 * HOUR, disk="lagi")
    assert told(database) == [("lagi", False)]


def test_an_alarm_that_was_over_before_anybody_was_told_is_not_told(database: Database) -> None:
    settle(database, NOW, disk="penuh")
    settle(database, NOW + HOUR)
    assert told(database) == []


def test_an_alarm_that_comes_back_before_its_end_was_told_never_ended(database: Database) -> None:
    settle(database, NOW, disk="penuh")
    told(database)
    settle(database, NOW + HOUR)
    settle(database, NOW + 2 * HOUR, disk="penuh")
    assert told(database) == []


def test_alarms_of_others_are_left_alone(database: Database) -> None:
    database.write(lambda connection: alarms.raise_alarm(connection, "job:backup", "gagal", NOW))
    settle(database, NOW + HOUR)
    with database.read() as connection:
        assert [row.key for row in alarms.active(connection)] == ["job:backup"]


def test_one_message_tells_of_all_that_began_and_ended() -> None:
    begun = alarms.Notice("disk", NOW, "ruang disk tinggal 1 MB", recovered=False)
    over = alarms.Notice("links", NOW, "tautan mati", recovered=True)
    title, text = alarms.message([begun, over], "LPSE Kemenperin")
    assert title == "[LPSE Kemenperin] 1 alarm, 1 pulih"
    assert text == "Perlu diperhatikan:\n- ruang disk tinggal 1 MB\n\nSudah pulih:\n- tautan mati"
    assert alarms.message([begun], "LPSE")[0] == "[LPSE] Alarm: ruang disk tinggal 1 MB"
