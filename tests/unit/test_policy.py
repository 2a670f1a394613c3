"""The policy: unattended sending needs every condition."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from responder.classifier.decision import Decision, Outcome
from responder.mail.message import Kind, Screening, Verdict
from responder.replies.policy import Course, Situation, chosen_for_audit, decide
from responder.tickets.switches import Arming

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
SCREENING = Screening(Verdict.AUTO, Kind.PERSON, (), True, "a@b.example")
DECISION = Decision(Outcome.AUTO, ("lupa-password",), {"lupa-password": 0.99}, "sure", "Topiknya jelas.")
ALLOWED = Situation(
    screening=SCREENING,
    decision=DECISION,
    mode="auto",
    arming=Arming(True, NOW, "sari", ""),
    received=NOW,
    levels={"lupa-password": "automatic"},
)


def test_a_reply_leaves_by_itself_when_everything_allows_it() -> None:
    assert decide(ALLOWED).course is Course.AUTOMATIC


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "review"},
        {"arming": Arming(False, None, "", "")},
        {"arming": Arming(True, NOW, "sari", "rule 22")},
        {"received": NOW - timedelta(seconds=1)},
        {"received": None},
        {"levels": {}},
        {"levels": {"lupa-password": "review"}},
        {"content_problems": ["fakta belum dikonfirmasi: x"]},
        {"first_mail": False},
        {"audited": True},
        {"address_note": "balasan kami kembali"},
        {"extra": ["Menyebut tiket lain."]},
        {"screening": replace(SCREENING, verdict=Verdict.DRAFT, reasons=("rule 14: not authenticated",))},
        {"screening": replace(SCREENING, verdict=Verdict.NO_AUTO)},
        {"decision": replace(DECISION, outcome=Outcome.DRAFT)},
        {"decision": replace(DECISION, topics=("lupa-password", "ganti-email"))},
    ],
    ids=lambda change: ",".join(f"{key}={value}"[:40] for key, value in change.items()),
)
def test_anything_less_waits_for_a_person_and_says_why(change: dict[str, object]) -> None:
    """Rules 14, 18, 20, 22, 28 and 47 as the policy sees them."""
    ruling = decide(replace(ALLOWED, **change))  # type: ignore[arg-type]
    assert ruling.course is Course.APPROVAL
    assert all(ruling.blockers)


def test_what_the_classifier_leaves_to_staff_is_flagged() -> None:
    """Rule 18."""
    staff = Decision(Outcome.STAFF, (), {"lupa-password": 0.1}, "complaint", "Ada tanda keluhan.")
    ruling = decide(replace(ALLOWED, decision=staff))
    assert ruling.course is Course.FLAGGED
    assert ruling.blockers == ("Ada tanda keluhan.",)


def test_a_mail_without_a_reply_address_is_flagged() -> None:
    assert decide(replace(ALLOWED, screening=replace(SCREENING, reply_address=""))).course is Course.FLAGGED


def test_an_acknowledgement_needs_screening_auto_and_the_switches() -> None:
    """Rule 36: rule 18 does not apply to it."""
    staff = replace(
        ALLOWED, decision=replace(DECISION, outcome=Outcome.STAFF, topics=()), acknowledgements=True
    )
    assert decide(staff).acknowledge
    assert not decide(replace(staff, acknowledgements=False)).acknowledge
    assert not decide(replace(staff, screening=replace(SCREENING, verdict=Verdict.DRAFT))).acknowledge
    assert not decide(replace(staff, arming=Arming(False, None, "", ""))).acknowledge
    assert not decide(replace(staff, mode="review")).acknowledge


def test_audits_take_their_share_of_the_mails_and_always_the_same_ones() -> None:
    chosen = [chosen_for_audit(b"k" * 32, "kemenperin", str(number), 0.07) for number in range(5000)]
    assert 300 < sum(chosen) < 400
    assert chosen == [chosen_for_audit(b"k" * 32, "kemenperin", str(number), 0.07) for number in range(5000)]


def test_who_has_no_key_cannot_foresee_the_audits() -> None:
    ours, theirs = (
        [chosen_for_audit(key, "kemenperin", str(number), 0.5) for number in range(64)]
        for key in (b"a" * 32, b"b" * 32)
    )
    assert ours != theirs


def test_an_audit_share_of_nothing_chooses_nothing() -> None:
    assert not any(chosen_for_audit(b"k" * 32, "kemenperin", str(number), 0.0) for number in range(1000))
