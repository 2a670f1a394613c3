"""Promise: what was said is erased, and still nothing is answered twice, to the wrong ticket, or against a wish."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.scenarios.installation import VENDOR, Installation

QUESTION = "Kami lupa password akun LPSE. Bagaimana cara reset password? Email terdaftar masih aktif."
AUTO = '[policy]\nmode = "auto"\nrequire_evidence = false\naudit_share = 0\nundo_seconds = 0\n'


@pytest.fixture
def office(dovecot_office: Installation) -> Installation:
    """A question that was answered by itself, then erased because its retention is over."""
    dovecot_office.write_config(AUTO)
    dovecot_office.ready("lupa-password")
    dovecot_office.deliver("Lupa password", QUESTION)
    assert dovecot_office.poll()["sent"] == 1
    sql(dovecot_office, "UPDATE tickets SET updated_at = '2020-01-01 00:00:00.000000'")
    dovecot_office.run("purge")
    shown = dovecot_office.show(1)
    assert VENDOR not in json.dumps(shown) and "lupa password" not in json.dumps(shown).lower()
    return dovecot_office


def sql(office: Installation, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(office.directory / "state" / "responder.db")) as connection, connection:
        connection.execute(statement, values)


def test_an_answer_to_an_erased_ticket_joins_it_and_waits_for_a_person(office: Installation) -> None:
    """Rules 20 and 48."""
    (reply,) = office.replies_to()
    office.deliver("Re: Lupa password", QUESTION, headers={"In-Reply-To": reply["Message-ID"]})
    assert office.poll()["sent"] == 0
    assert [ticket["id"] for ticket in office.tickets()] == [1]
    assert office.tickets()[0]["status"] == "needs_approval"


def test_a_stranger_cannot_join_an_erased_ticket(office: Installation) -> None:
    """Rule 48."""
    (reply,) = office.replies_to()
    headers = {"In-Reply-To": reply["Message-ID"]}
    office.deliver("Re: Lupa password", QUESTION, sender="lain@asing.example", headers=headers)
    office.poll()
    assert len(office.tickets()) == 2


def test_the_vendors_own_message_id_still_leads_to_the_ticket(office: Installation) -> None:
    """Rule 48."""
    headers = {"References": "<vendor-1@baharijaya.example>"}
    office.deliver("Re: Lupa password", QUESTION, headers=headers)
    office.poll()
    assert len(office.tickets()) == 1


def test_a_used_message_id_is_noticed_after_erasure(office: Installation) -> None:
    """Rule 50."""
    office.deliver("Lupa password lagi", QUESTION, message_id="vendor-1@baharijaya.example")
    assert office.poll()["sent"] == 0
    assert "Message-ID" in office.tickets()[-1]["reason"]


def test_a_wish_for_no_automatic_mail_outlives_erasure(office: Installation) -> None:
    """Rule 47."""
    office.deliver("Tanya", QUESTION, sender="budi@pt.example")
    assert office.poll()["sent"] == 1
    statement = (
        "INSERT INTO address_notes (address, reason, at) VALUES (?, 'meminta', '2026-01-01 00:00:00.000000')"
    )
    sql(office, statement, "budi@pt.example")
    office.run("privacy", "erase", "Budi@pt.example", "--yes")
    office.deliver("Tanya lagi", QUESTION, sender="budi@pt.example")
    assert office.poll()["sent"] == 0
    assert len(office.replies_to("budi@pt.example")) == 1


def test_the_records_are_proved_after_erasure(office: Installation) -> None:
    office.run("prove", status=0)
    office.run("reconcile", status=0)
