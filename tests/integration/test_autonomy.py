"""Earned autonomy: what lets a topic answer by itself, what counts as evidence, what takes it back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from responder import config
from responder.config import Settings
from responder.errors import ConfigError, Refused
from responder.tickets import evidence, lifecycle, switches
from responder.tickets.database import Database
from responder.tickets.models import Event, StaffVerdict
from responder.tickets.status import ReplyStatus
from responder.upkeep import alarms, autonomy
from tests.store import MAILBOX, NOW, drafted, ticketed

TOPIC = "lupa-password"
ENOUGH = 149  # right out of as many prove at most 2 % of errors


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_with(tmp_path)


def settings_with(folder: Path, policy: str = "") -> Settings:
    (folder / "config.toml").write_text(
        f"""[policy]
{policy}
[mailboxes.{MAILBOX}]
unit = "LPSE"
address = "helpdesk@lpse.example"
imap = {{ host = "imap.lpse.example" }}
smtp = {{ host = "smtp.lpse.example" }}
""",
        encoding="utf-8",
    )
    return config.load(folder / "config.toml")


class Office:
    """Staff who decide about mails, one ticket each."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.uid = 0

    def decide(self, count: int = 1, **given: Any) -> None:
        """`count` mails that the classifier was sure of and staff approved as they were, or as `given`."""
        with self.database.begin() as connection:
            for _ in range(count):
                self.uid += 1
                ticket_id, message_id = ticketed(connection, self.uid)
                self.verdict(connection, ticket_id, message_id, **given)

    def verdict(self, connection: Any, ticket_id: int, message_id: int, **given: Any) -> None:
        values = {
            "ticket_id": ticket_id,
            "message_id": message_id,
            "predicted": "auto",
            "topics": [TOPIC],
            "confidence": {TOPIC: 0.99},
            "reason": "",
            "model_version": "1",
            "predicted_at": NOW,
            "decision": "approved",
            "decided_topics": [TOPIC],
            "manner": "single",
            "decided_by": "petugas",
            "decided_at": NOW,
        }
        connection.execute(insert(StaffVerdict).values(**values | given))

    def answer(self, **given: Any) -> int:
        """An automatic answer that has left; returns its ticket."""
        with self.database.begin() as connection:
            self.uid += 1
            ticket_id, message_id = ticketed(connection, self.uid)
            self.verdict(connection, ticket_id, message_id, decision="", decided_topics=[], manner="")
            sent = {"status": ReplyStatus.SENT, "automatic": True, "sent_at": NOW + timedelta(minutes=1)}
            drafted(connection, ticket_id, message_id, **sent | given)
        return ticket_id

    def ask_again(self, ticket_id: int, after: timedelta) -> None:
        """The vendor writes about the same topic once more."""
        with self.database.begin() as connection:
            self.uid += 1
            _, message_id = ticketed(connection, self.uid, ticket_id)
            undecided = {"decision": "", "decided_topics": [], "manner": ""}
            self.verdict(connection, ticket_id, message_id, predicted_at=NOW + after, **undecided)


@pytest.fixture
def office(database: Database) -> Office:
    return Office(database)


def switch_on(office: Office, settings: Settings) -> None:
    with office.database.begin() as connection:
        autonomy.set_level(connection, MAILBOX, TOPIC, switches.AUTOMATIC, settings.policy, "senior", NOW)


def proof(office: Office, settings: Settings) -> autonomy.Proof:
    with office.database.read() as connection:
        return autonomy.standing(connection, MAILBOX, TOPIC, settings.policy, NOW).proof


def level(office: Office) -> str | None:
    with office.database.read() as connection:
        return switches.levels(connection, MAILBOX).get(TOPIC)


def told(office: Office) -> list[str]:
    with office.database.read() as connection:
        return [row.text for row in alarms.active(connection)]


def test_149_right_of_149_let_a_topic_answer_by_itself(office: Office, settings: Settings) -> None:
    office.decide(ENOUGH)
    switch_on(office, settings)
    assert level(office) == "automatic"


def test_one_verdict_too_few_is_refused_with_the_figures(office: Office, settings: Settings) -> None:
    office.decide(ENOUGH - 1)
    with pytest.raises(Refused, match=r"148 verdicts of staff with 0 errors.*149 verdicts"):
        switch_on(office, settings)
    assert level(office) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"decision": "retopiced", "decided_topics": ["ganti-email"]},
        {"decision": "approved", "decided_topics": [TOPIC, "ganti-email"]},
        {"decision": "rejected", "decided_topics": []},
        {"decision": "by_hand", "decided_topics": []},
        {"decision": "closed", "decided_topics": []},
    ],
    ids=lambda wrong: wrong["decision"],
)
def test_what_staff_answered_otherwise_is_an_error(
    office: Office, settings: Settings, wrong: dict[str, Any]
) -> None:
    office.decide(ENOUGH - 1)
    office.decide(**wrong)
    found = proof(office, settings)
    assert (found.have, found.errors, found.need, found.holds) == (149, 1, 236, False)


def test_another_wording_of_the_same_topic_is_right(office: Office, settings: Settings) -> None:
    office.decide(decision="edited")
    assert proof(office, settings).errors == 0


@pytest.mark.parametrize(
    "unproving",
    [
        {"manner": "batch"},
        {"predicted": "draft"},
        {"topics": ["ganti-email"], "decided_topics": ["ganti-email"]},
        {"decided_at": NOW - timedelta(days=181)},
        {"decision": "", "manner": "", "decided_at": None},
    ],
    ids=["batch", "unsure", "other topic", "long ago", "undecided"],
)
def test_what_proves_nothing_does_not_count(
    office: Office, settings: Settings, unproving: dict[str, Any]
) -> None:
    office.decide(**unproving)
    assert proof(office, settings).have == 0


def test_a_blind_audit_counts(office: Office, settings: Settings) -> None:
    office.decide(manner="audit", blind=True)
    assert proof(office, settings).have == 1


def test_a_later_mail_of_a_ticket_proves_nothing(office: Office, settings: Settings) -> None:
    office.decide()
    office.ask_again(1, timedelta())
    with office.database.begin() as connection:
        newest = lifecycle.latest_message_id(connection, 1)
        assert newest is not None
        given = {"decision": "approved", "topics": [TOPIC], "manner": "single", "actor": "petugas"}
        lifecycle.decide_verdict(connection, newest, now=NOW, **given)
    assert proof(office, settings).have == 1


def test_another_mailbox_proves_nothing_for_this_one(office: Office, settings: Settings) -> None:
    office.decide(ENOUGH)
    with office.database.read() as connection:
        other = autonomy.standing(connection, "lain", TOPIC, settings.policy, NOW)
    assert other.proof.have == 0


def test_a_correction_takes_the_topic_back_with_an_alarm(office: Office, settings: Settings) -> None:
    office.decide(ENOUGH)
    switch_on(office, settings)
    assert autonomy.review_levels(office.database, settings, NOW) == []
    office.decide(decision="retopiced", decided_topics=["ganti-email"], manner="audit", blind=True)
    [fallen] = autonomy.review_levels(office.database, settings, NOW)
    assert fallen.slug == TOPIC
    assert level(office) == "review"
    assert "1 dari 150 putusan petugas salah" in told(office)[0]
    with office.database.read() as connection:
        last = connection.execute(select(Event).order_by(Event.id.desc()).limit(1)).one()
    assert (last.actor, last.action, last.detail["level"]) == ("machine", "topic_level", "review")


def test_falling_back_happens_once(office: Office, settings: Settings) -> None:
    office.decide(ENOUGH)
    switch_on(office, settings)
    office.decide(decision="rejected", decided_topics=[])
    assert len(autonomy.review_levels(office.database, settings, NOW)) == 1
    assert autonomy.review_levels(office.database, settings, NOW) == []


def test_bounces_take_the_topic_back_but_not_a_single_one(office: Office, settings: Settings) -> None:
    office.decide(ENOUGH)
    switch_on(office, settings)
    office.answer(undelivered="550 unknown user")
    assert autonomy.review_levels(office.database, settings, NOW) == []
    office.answer(undelivered="550 unknown user")
    [fallen] = autonomy.review_levels(office.database, settings, NOW)
    assert "2 kembali" in fallen.why


def test_vendors_who_ask_again_take_the_topic_back(office: Office, settings: Settings) -> None:
    office.decide(ENOUGH)
    switch_on(office, settings)
    for _ in range(2):
        office.ask_again(office.answer(), timedelta(days=2))
    [fallen] = autonomy.review_levels(office.database, settings, NOW + timedelta(days=3))
    assert "2 ditanyakan lagi" in fallen.why


def test_a_question_weeks_later_is_another_one(office: Office, settings: Settings) -> None:
    office.decide(ENOUGH)
    switch_on(office, settings)
    ticket_id = office.answer()
    office.ask_again(ticket_id, timedelta(days=8))
    with office.database.read() as connection:
        found = evidence.answers(connection, MAILBOX, TOPIC, NOW)
    assert (found.sent, found.bounced, found.repeated) == (1, 0, 0)


def test_what_earned_the_level_counts_for_as_long_as_the_topic_has_it(
    office: Office, settings: Settings
) -> None:
    office.decide(ENOUGH)
    switch_on(office, settings)
    assert autonomy.review_levels(office.database, settings, NOW + timedelta(days=400)) == []


def test_switching_on_again_ends_the_alarm(office: Office, settings: Settings) -> None:
    office.decide(ENOUGH)
    switch_on(office, settings)
    office.decide(decision="rejected", decided_topics=[])
    autonomy.review_levels(office.database, settings, NOW)
    office.decide(100)
    switch_on(office, settings)
    assert (level(office), told(office)) == ("automatic", [])


def test_a_trial_needs_no_evidence_and_says_so_in_its_configuration(office: Office, tmp_path: Path) -> None:
    settings = settings_with(tmp_path, "require_evidence = false\naudit_share = 0")
    switch_on(office, settings)
    assert autonomy.review_levels(office.database, settings, NOW) == []
    assert level(office) == "automatic"


def test_without_audits_evidence_cannot_be_required(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"audit_share is at least 0\.05"):
        settings_with(tmp_path, "audit_share = 0.01")


def test_the_history_of_a_topic_shows_confidence_and_verdict(office: Office) -> None:
    office.decide(decision="retopiced", decided_topics=["ganti-email"])
    office.decide(predicted="draft", decision="", predicted_at=NOW + timedelta(hours=1))
    with office.database.read() as connection:
        newest, older = evidence.history(connection, MAILBOX, TOPIC, NOW, 10)
    assert (newest.predicted, newest.confidence, newest.decision) == ("draft", 0.99, "")
    assert (older.decision, older.decided_topics, older.right) == ("retopiced", ("ganti-email",), False)
