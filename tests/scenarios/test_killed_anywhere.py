"""Promise: kill -9 at any moment loses no mail and sends none twice; what was in flight is shown as uncertain."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from responder.replies.outbox import GROUP
from tests.postgres import Postgres
from tests.scenarios.faults import (
    IMAP_POINTS,
    SECOND_OFFICE,
    SMTP_POINTS,
    assert_nothing_lost_or_doubled,
    fleet,
    long_run,
)
from tests.scenarios.installation import OFFICE

SEED = 20261122
pytestmark = pytest.mark.timeout(3600 if long_run() else 300)


def test_killed_between_any_two_steps(tmp_path: Path, models: Path, record_faults: list[str]) -> None:
    rounds = 3 if long_run() else 1
    with fleet(tmp_path, models) as nodes:
        for point in (IMAP_POINTS + SMTP_POINTS) * rounds:
            nodes.kill_at(point)
        nodes.finish()
        count = nodes.count("one node, killed between any two steps (SQLite)")
        record_faults.append(count.row())
        # Only a kill while a group was being sent can leave uncertain replies: each of these had two mails or so.
        assert_nothing_lost_or_doubled(count, uncertain_at_most=rounds * len(SMTP_POINTS) * GROUP)
        nodes.office.run("prove")
        nodes.office.run("reconcile")


def test_killed_at_random_moments(tmp_path: Path, models: Path, record_faults: list[str]) -> None:
    rng = random.Random(SEED)
    kills = 100 if long_run() else 6
    with fleet(tmp_path, models) as nodes:
        nodes.sink.delay = 0.01
        for _ in range(kills):
            nodes.kill_at_random(nodes.signed_in(), rng)
        nodes.finish(patience=120)
        count = nodes.count("one node, killed at random moments (SQLite)")
        record_faults.append(count.row())
        assert_nothing_lost_or_doubled(count, uncertain_at_most=kills * GROUP)
        nodes.office.run("prove")
        nodes.office.run("reconcile")


@pytest.mark.parametrize("number", [2, 3])
def test_one_of_several_nodes_killed_repeatedly(
    tmp_path: Path, models: Path, postgres: Postgres, record_faults: list[str], number: int
) -> None:
    rng = random.Random(SEED + number)
    kills = 50 if long_run() else 3
    with fleet(tmp_path, models, postgres.database(), (OFFICE, SECOND_OFFICE)) as nodes:
        nodes.sink.delay = 0.01
        for _ in range(number):
            nodes.signed_in()
        for _ in range(kills):
            nodes.kill_at_random(rng.choice(nodes.nodes), rng)
            nodes.signed_in()
        nodes.finish(patience=120)
        count = nodes.count(f"{number} nodes, two mailboxes, one of them killed again and again (PostgreSQL)")
        record_faults.append(count.row())
        assert_nothing_lost_or_doubled(count, uncertain_at_most=kills * GROUP)
        nodes.office.run("prove")
        nodes.office.run("reconcile")
