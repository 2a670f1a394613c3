"""Promise: a poll of a mailbox at rest is a glance, and whatever has changed since gets a whole round."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from responder.config import load
from responder.errors import MailServerError
from responder.pipeline.round import OfficeRound, Rounds
from responder.tickets.database import Database
from tests.scenarios.installation import DRAFTS, OFFICE, SENT, DovecotBackend, Installation, signed_in

MAILBOX = "kemenperin"
QUESTION = "Kami lupa password akun LPSE. Bagaimana cara reset password? Email terdaftar masih aktif."


class AtRest:
    """An office with one draft, polled by one process until nothing was left to do."""

    def __init__(self, office: Installation, rounds: Rounds) -> None:
        self.office = office
        self._rounds = rounds

    def poll(self) -> OfficeRound:
        return self._rounds.run_office(MAILBOX, glance_first=True)

    def settle(self) -> None:
        """Poll until a glance suffices."""
        assert any(self.poll().calm for _ in range(10))


@pytest.fixture
def site(dovecot_office: Installation) -> Iterator[AtRest]:
    office = dovecot_office
    office.ready()
    office.deliver("Lupa password", QUESTION)
    office.poll()
    database = Database(f"sqlite:///{office.directory}/state/responder.db")
    with Rounds(load(office.config), database, lambda: datetime.now(UTC)) as rounds:
        made = AtRest(office, rounds)
        made.settle()
        yield made
    database.close()


def test_nothing_happens_and_a_glance_suffices(site: AtRest) -> None:
    assert [site.poll().calm for _ in range(3)] == [True] * 3


def test_a_new_mail_is_taken_in_at_once(site: AtRest) -> None:
    site.office.deliver("Ganti email", "Bagaimana cara mengganti email akun perusahaan kami?")
    done = site.poll()
    assert (done.intake.new, len(done.handled)) == (1, 1)
    site.settle()


def test_an_approved_reply_leaves_at_once(site: AtRest) -> None:
    site.office.run("approve", "1", "--yes")
    assert site.poll().outbox.sent == 1
    site.settle()
    assert len(site.office.replies_to()) == 1


def test_an_edited_draft_is_placed_anew_at_once(site: AtRest) -> None:
    site.office.run("edit", "1", "--file", "-", stdin="Yth. Ibu Ratna,\n\nSilakan datang ke kantor kami.\n")
    done = site.poll()
    assert (done.filing.drafts_removed, done.filing.drafts_placed) == (1, 1)


def test_a_draft_that_leaves_drafts_is_noticed_at_once(site: AtRest) -> None:
    with signed_in(site.office.backend.imap()) as client:
        client.select_folder(DRAFTS)
        client.delete_messages(client.search("ALL"))
        client.expunge()
    assert site.poll().filing.taken_over == 1


def test_a_reply_sent_by_hand_is_noticed_at_once(site: AtRest) -> None:
    answer = (
        f"From: {OFFICE}\r\nTo: admin@baharijaya.example\r\nSubject: Re: Lupa password\r\n"
        "Message-ID: <by-hand@lpse.example>\r\nIn-Reply-To: <vendor-1@baharijaya.example>\r\n\r\n"
        "Silakan datang.\r\n"
    )
    with signed_in(site.office.backend.imap()) as client:
        client.append(SENT, answer.encode(), (b"\\Seen",))
    assert site.poll().filing.taken_over == 1


def test_another_model_gets_a_whole_round(site: AtRest) -> None:
    model = site.office.directory / "state/models" / MAILBOX / "model.npz"
    model.touch()
    assert not site.poll().calm
    site.settle()


def test_a_connection_that_was_lost_gets_a_whole_round_over_another(site: AtRest) -> None:
    backend = site.office.backend
    assert isinstance(backend, DovecotBackend)
    backend.dovecot.stop()
    assert isinstance(site.poll().error, MailServerError)
    backend.dovecot.start()
    done = site.poll()
    assert (done.error, done.calm) == (None, False)
    site.settle()
