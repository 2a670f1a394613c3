"""Promise: every UID has one end state; a renumbered or restored mailbox is noticed and nothing is answered again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import connect

import pytest
from sqlalchemy import delete, update

from responder.tickets import switches
from responder.tickets.models import Event, Folder, Message, Reply
from responder.tickets.status import Disposition
from tests.mails import build_mail
from tests.scenarios.faults import QUESTION, Fleet, fleet
from tests.scenarios.installation import OFFICE, ROOT, SENT
from tests.servers import wait_until


@pytest.fixture
def site(tmp_path: Path, models: Path) -> Iterator[Fleet]:
    """An armed installation whose topic of `QUESTION` may answer by itself."""
    with fleet(tmp_path, models) as made:
        yield made


def states(site: Fleet, status: int | None = 0) -> dict[int, str]:
    lines = site.office.run("reconcile", "--json", status=status).stdout.splitlines()
    return {one["uid"]: one["state"] for one in map(json.loads, lines) if "uid" in one}


def held(site: Fleet) -> str:
    with site.database.read() as connection:
        return switches.arming(connection).hold


def renumber(site: Fleet) -> None:
    """Have Dovecot give INBOX another UIDVALIDITY, as a rebuilt index does."""
    site.dovecot.stop()
    mail = site.dovecot.directory / "mail" / OFFICE / "Maildir"
    for name in ("dovecot-uidlist", "dovecot.index", "dovecot.index.log", "dovecot.index.cache"):
        (mail / name).unlink(missing_ok=True)
    site.dovecot.start()


def expunge(site: Fleet, uid: int) -> None:
    with site.dovecot.client(OFFICE) as client:
        client.delete_messages([uid])
        client.expunge()


def test_every_uid_is_reported_with_its_end_state(site: Fleet) -> None:
    site.deliver(3)
    site.office.poll()
    expunge(site, 2)
    site.deliver(1)
    assert states(site) == {1: "ticketed", 2: "ticketed", 3: "ticketed", 4: "pending"}
    site.office.poll()
    assert states(site)[4] == "ticketed"


def test_a_missing_row_is_a_difference_that_the_daemon_heals(site: Fleet) -> None:
    site.deliver(2)
    site.office.poll()
    with site.database.begin() as connection:
        connection.execute(update(Folder).values(cursor=3))
    site.deliver(1)
    assert states(site, status=1) == {1: "ticketed", 2: "ticketed", 3: "missing"}
    site.start()
    wait_until(lambda: states(site, status=None)[3] == "ticketed", "the missing mail taken in")
    assert "server and ledger differ" in site.log
    wait_until(lambda: len(site.sink.mails) == 3, "its reply")


def test_more_mails_than_the_ledger_knows_is_seen_in_the_next_round(site: Fleet) -> None:
    site.deliver(2)
    site.office.poll()
    with site.database.begin() as connection:
        connection.execute(update(Folder).values(cursor=3))
    site.deliver(1)
    done = site.office.run("poll", status=0)
    assert "differ" in done.stderr + done.stdout


def test_another_uidvalidity_answers_nothing_again_and_waits_for_a_person(site: Fleet) -> None:
    """Rule 55."""
    site.deliver(3)
    site.office.poll()
    assert len(site.sink.mails) == 3
    renumber(site)
    site.deliver(1)
    site.office.poll()
    assert "UIDVALIDITY" in held(site)
    assert len(site.sink.mails) == 3
    assert len(site.office.tickets()) == 4
    assert site.office.tickets("needs_approval")[0]["vendor_address"] == site.delivered[3]
    assert sorted(states(site).values()) == ["ticketed"] * 4
    site.office.run("arm")
    site.deliver(1)
    site.office.poll()
    assert len(site.sink.mails) == 4
    assert held(site) == ""


def test_mail_older_than_the_first_connection_stays_old_after_renumbering(site: Fleet) -> None:
    """Rule 55."""
    site.deliver(1)
    site.office.poll()
    old = build_mail(
        "Lupa password", QUESTION, sender="x@lama.example", to=OFFICE, message_id="lama@lama.example"
    )
    renumber(site)
    with site.dovecot.client(OFFICE) as client:
        client.append("INBOX", old, (), datetime.now(UTC) - timedelta(days=30))
    site.office.poll()
    assert sorted(states(site).values()) == ["baseline", "ticketed"]
    assert len(site.office.tickets()) == 1


def test_a_server_restored_from_backup_loses_no_new_mail(site: Fleet) -> None:
    """The UIDs of mails that the backup lacks are given again, under the same UIDVALIDITY."""
    site.deliver(2)
    site.office.poll()
    mail = site.dovecot.directory / "mail" / OFFICE / "Maildir"
    kept = (mail / "dovecot-uidlist").read_text()
    before = {path.name for path in (mail / "cur").iterdir()} | {
        path.name for path in (mail / "new").iterdir()
    }
    site.deliver(2)
    site.office.poll()
    assert len(site.sink.mails) == 4
    site.dovecot.stop()
    for folder in ("cur", "new"):
        for path in (mail / folder).iterdir():
            if path.name.partition(":")[0] not in {name.partition(":")[0] for name in before}:
                path.unlink()
    for name in ("dovecot.index", "dovecot.index.log", "dovecot.index.cache"):
        (mail / name).unlink(missing_ok=True)
    (mail / "dovecot-uidlist").write_text(kept)
    site.dovecot.start()
    site.office.poll()
    assert "comes next" in held(site)
    site.deliver(1)
    site.office.poll()
    assert len(site.office.tickets()) == 5
    assert len(site.sink.mails) == 4
    assert states(site) == {1: "ticketed", 2: "ticketed", 3: "ticketed"}


def test_an_old_database_answers_nothing_that_its_sent_folder_shows_as_answered(site: Fleet) -> None:
    """The database is put back to a state before the replies; Sent holds what it has forgotten."""
    path = site.office.directory / "state" / "responder.db"
    backup = site.office.directory / "backup.db"
    with closing(connect(path)) as live, closing(connect(backup)) as copy:
        live.backup(copy)
    site.deliver(3)
    site.office.poll()
    assert len(site.sink.mails) == 3 and len(site.office.folder(SENT)) == 3
    site.database.close()
    with closing(connect(backup)) as copy, closing(connect(path)) as live:
        copy.backup(live)
    site.deliver(1)
    site.office.poll()
    assert "the database lacks" in held(site)
    assert len(site.sink.mails) == 3
    waiting = site.office.tickets("needs_approval")
    assert [ticket["vendor_address"] for ticket in waiting] == [site.delivered[3]]
    assert len(site.office.tickets("answered")) == 3


def test_mail_older_than_the_arming_is_never_answered_automatically(site: Fleet) -> None:
    site.office.run("disarm")
    site.deliver(1)
    site.office.poll()
    site.office.run("arm")
    site.office.poll()
    assert site.sink.mails == []
    assert [ticket["status"] for ticket in site.office.tickets()] == ["needs_approval"]


def test_a_second_poll_at_the_same_time_says_busy_and_ends_well(site: Fleet) -> None:
    site.deliver(1)
    seconds: list[subprocess.CompletedProcess[str]] = []

    def poll_as_well() -> None:
        arguments = site.office.arguments("poll")
        seconds.append(
            subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
        )

    site.proxy.once("before FETCH", poll_as_well)
    assert site.office.poll()["new"] == 1
    assert seconds[0].returncode == 0 and "busy" in seconds[0].stdout
    assert len(site.office.tickets()) == 1


def test_a_connection_lost_while_fetching_leaves_nothing_half_done(site: Fleet) -> None:
    site.deliver(2)
    site.proxy.cut_after = "FETCH"
    site.office.run("poll", status=4)
    site.office.poll()
    assert sorted(states(site).values()) == ["ticketed", "ticketed"]
    assert len(site.sink.mails) == 2


def test_a_lost_answer_to_append_files_no_second_copy(site: Fleet) -> None:
    site.deliver(1)
    site.proxy.cut_after = "APPEND"
    site.office.run("poll", status=4)
    with site.database.begin() as connection:
        connection.execute(update(Reply).values(filing_next_try=None))
    site.office.poll()
    assert len(site.office.folder(SENT)) == 1
    assert len(site.sink.mails) == 1


def test_prove_pairs_each_mail_with_its_reply_and_finds_a_changed_record(site: Fleet) -> None:
    site.deliver(2)
    site.office.poll()
    lines = [json.loads(line) for line in site.office.run("prove", "--json").stdout.splitlines()]
    assert [one["replies"][0]["to"] for one in lines[:-1]] == site.delivered
    assert lines[-1] == {"mails": 2, "replies": 2, "problems": []}
    with site.database.begin() as connection:
        connection.execute(delete(Event).where(Event.ticket_id == 1, Event.seq == 1))
        connection.execute(update(Message).where(Message.id == 2).values(disposition=Disposition.RECEIVED))
    problems = site.office.run("prove", status=1).stdout
    assert "ticket 1: its chain of events is broken" in problems
    assert "message 2" in problems
