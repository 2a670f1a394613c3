"""Promise: a backup taken while mails flow, restored elsewhere while the mailbox went on, loses and doubles nothing."""

from __future__ import annotations

import copy
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.tickets import audit, proof, switches
from responder.tickets.database import Database
from tests import command
from tests.scenarios.faults import Fleet, fleet
from tests.scenarios.installation import SENT, Installation
from tests.servers import wait_until


@pytest.fixture
def site(tmp_path: Path, models: Path) -> Iterator[Fleet]:
    """An armed installation whose topic of `QUESTION` may answer by itself."""
    with fleet(tmp_path, models) as made:
        yield made


def on_another_machine(site: Fleet, backup: Path) -> Installation:
    """Restore `backup` in another directory, with password and key from where the office keeps them."""
    directory = site.office.directory.parent / "mesin-lain"
    ended = command.run("restore", str(backup), "--to", str(directory))
    assert ended.returncode == 0, ended.stderr
    assert "nothing is sent" in ended.stdout
    shutil.copy(site.office.directory / "password", directory)
    shutil.copy(site.office.directory / "state/secret.key", directory / "state")
    shutil.copytree(site.office.models, directory / "state/models")
    office = copy.copy(site.office)
    office.directory = directory
    return office


def taken_while_mails_flow(site: Fleet) -> Path:
    """A backup in the middle of a service that answers mail."""
    site.deliver(2)
    site.start()
    wait_until(lambda: len(site.sink.mails) >= 1, "the first reply")
    site.deliver(2)
    path = site.office.directory / "cadangan.zip"
    site.office.run("backup", "--to", str(path))
    site.deliver(2)
    site.finish()
    assert len(site.sink.mails) == 6
    return path


def test_nothing_is_lost_and_nothing_doubled_after_a_restore(site: Fleet) -> None:
    backup = taken_while_mails_flow(site)
    site.deliver(2)  # the old machine is gone; nobody fetches these
    office = on_another_machine(site, backup)
    database = Database(f"sqlite:///{office.directory}/state/responder.db")
    office.poll()
    office.poll()
    assert len(site.sink.mails) == 6, "nothing leaves before a person arms"
    with database.read() as connection:
        assert "restored from the backup" in switches.arming(connection).hold
    assert len(office.tickets()) == 8
    waiting = office.tickets("needs_approval")
    assert [ticket["vendor_address"] for ticket in waiting] == site.delivered[6:]
    office.run("reconcile", status=0)

    office.run("arm")
    for ticket in waiting:
        office.run("approve", str(ticket["id"]), "--yes")
    site.deliver(1)
    office.poll()
    got = Counter(mail.recipient for mail in site.sink.mails)
    assert got == Counter(site.delivered), "each vendor has exactly one reply"
    assert len({mail["Message-ID"] for mail in office.folder(SENT)}) == len(office.folder(SENT)) == 9
    with database.read() as connection:
        assert proof.problems(connection) == []
        assert audit.broken_chains(connection) == []
    database.close()


def test_a_reply_that_was_approved_before_the_backup_and_left_after_it_leaves_once(site: Fleet) -> None:
    site.office.run("disarm")
    site.deliver(1)
    site.office.poll()
    (ticket,) = site.office.tickets("needs_approval")
    site.office.run("approve", str(ticket["id"]), "--yes")
    backup = site.office.directory / "cadangan.zip"
    site.office.run("backup", "--to", str(backup))
    site.office.run("arm")
    site.office.poll()
    assert len(site.sink.mails) == 1
    office = on_another_machine(site, backup)
    office.run("arm")
    office.poll()
    office.poll()
    assert len(site.sink.mails) == 1
    assert [one["status"] for one in office.tickets()] == ["answered"]
