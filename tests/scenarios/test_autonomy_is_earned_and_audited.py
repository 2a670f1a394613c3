"""Promise: a topic answers by itself only when staff's verdicts prove it, and a share is always checked blind."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from responder.pipeline.office import read_key
from responder.replies.policy import chosen_for_audit
from responder.tickets.database import Database
from responder.tickets.models import Message, StaffVerdict
from tests.scenarios.installation import Installation

QUESTION = "Kami lupa password akun LPSE. Bagaimana cara reset password? Email terdaftar masih aktif."
SHARE = 0.5
TRIAL = f'[policy]\nmode = "auto"\nrequire_evidence = false\naudit_share = {SHARE}\nundo_seconds = 0\n'
MAILS = 8


@pytest.fixture
def no_audits() -> None:
    """Here they are what is looked at."""


def test_a_topic_without_evidence_is_refused_with_the_figures(dovecot_office: Installation) -> None:
    dovecot_office.ready()
    done = dovecot_office.run("level", "lupa-password", "automatic", status=7)
    assert "0 verdicts of staff" in done.stderr
    assert "149 verdicts with 0 errors would do" in done.stderr
    dovecot_office.run("level", "lupa-password", "review")


def test_a_mail_chosen_for_an_audit_waits_though_its_topic_answers_by_itself(
    dovecot_office: Installation,
) -> None:
    office = dovecot_office
    office.write_config(TRIAL)
    office.ready("lupa-password")
    for number in range(MAILS):
        office.deliver("Lupa password", QUESTION, sender=f"admin@pt{number}.example")
    office.poll()
    key = read_key(office.directory / "state" / "secret.key")
    database = Database(f"sqlite:///{office.directory / 'state' / 'responder.db'}")
    with database.read() as connection:
        identities = {
            row.from_address: row.identity
            for row in connection.execute(select(Message.from_address, Message.identity))
        }
    database.close()
    for ticket in office.tickets():
        vendor = ticket["vendor_address"]
        audited = chosen_for_audit(key, "kemenperin", identities[vendor], SHARE)
        assert ticket["status"] == ("needs_approval" if audited else "answered")
        assert len(office.replies_to(vendor)) == (0 if audited else 1)
        if audited:
            assert "Dipilih untuk audit" in ticket["reason"]


def test_a_mail_chosen_for_an_audit_has_no_copy_in_drafts_until_staff_chose(
    dovecot_office: Installation,
) -> None:
    office = dovecot_office
    office.write_config(TRIAL.replace('mode = "auto"', 'mode = "review"'))
    office.ready()
    for number in range(MAILS):
        office.deliver("Lupa password", QUESTION, sender=f"admin@pt{number}.example")
    office.poll()
    database = Database(f"sqlite:///{office.directory / 'state' / 'responder.db'}")
    with database.read() as connection:
        audited = set(connection.scalars(select(StaffVerdict.ticket_id).where(StaffVerdict.blind)))
    database.close()
    assert 0 < len(audited) < MAILS
    assert len(office.folder("Drafts")) == MAILS - len(audited)
    for ticket in audited:
        office.run("retopic", str(ticket), "lupa-password")
    office.poll()
    assert len(office.folder("Drafts")) == MAILS


def test_the_operator_sees_how_far_each_topic_is(dovecot_office: Installation) -> None:
    lines = dovecot_office.run("topics", "--json").stdout.splitlines()
    [topic] = [one for one in map(json.loads, lines) if one["slug"] == "lupa-password"]
    assert (topic["level"], topic["proved"]) == ("review", False)
    assert (topic["proof"]["have"], topic["proof"]["need"]) == (0, 149)


def test_the_report_counts_what_came_and_goes_to_a_file(dovecot_office: Installation) -> None:
    office = dovecot_office
    office.ready()
    office.deliver("Lupa password", QUESTION)
    office.poll()
    made = json.loads(office.run("report", "--days", "2", "--json").stdout)
    assert made["answered"]["waiting"] == 1
    assert sum(day["mails"] for day in made["days"]) == 1
    path = office.directory / "laporan.csv"
    office.run("report", "--csv", str(path))
    assert "topic,lupa-password,mails,1" in path.read_text(encoding="utf-8-sig").splitlines()
