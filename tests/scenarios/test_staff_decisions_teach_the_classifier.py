"""Promise: what staff decide is kept, explained, learned from, and shown before it changes anything."""

from __future__ import annotations

from tests.scenarios.installation import Installation

BODY = "Kami lupa password akun LPSE. Bagaimana cara reset password? Email terdaftar masih aktif."


def test_verdicts_are_learned_explained_and_replayed(dovecot_office: Installation) -> None:
    office = dovecot_office
    office.ready()
    office.deliver("Lupa password", BODY)
    office.deliver("Tender cepat", "Apa syarat supaya kami diundang tender cepat?", sender="b@c.example")
    office.poll()
    explained = office.run("explain", "1").stdout
    assert "lupa-password" in explained.splitlines()[1]
    assert "Nearest examples:" in explained
    office.run("approve", "1", "--yes")
    office.run("retopic", "2", "verifikasi-sikap")
    trained = office.run("train").stdout
    assert "kemenperin: 2 verdicts of staff" in trained
    assert "target error" in trained
    replayed = office.run("replay").stdout
    assert "kemenperin: 2 mails, 0 decided differently" in replayed


def test_what_nobody_looked_at_singly_teaches_nothing(dovecot_office: Installation) -> None:
    office = dovecot_office
    office.ready()
    office.deliver("Lupa password", BODY)
    office.poll()
    assert "kemenperin: 0 verdicts of staff" in office.run("train").stdout
