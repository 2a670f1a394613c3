"""Earned autonomy: a topic answers by itself only while staff's verdicts prove that it may.

The proof is the exact one-sided 95 % bound (Clopper-Pearson) of its error rate. It has to be at or under
`policy.target_error`: at 2 % that takes 149 mails in a row without an error. A senior then switches the topic on, and
it falls back by itself when the proof no longer holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import Connection, select

from responder.classifier.bounds import upper_bound
from responder.config import Policy, Settings
from responder.errors import Refused
from responder.refusal import Refusal
from responder.tickets import evidence, switches
from responder.tickets.audit import MACHINE
from responder.tickets.database import Database
from responder.tickets.evidence import Answers, Judged
from responder.tickets.models import TopicLevel
from responder.upkeep import alarms

log = structlog.get_logger("responder.autonomy")

WINDOW = timedelta(days=180)
"""Older verdicts prove nothing: vendors' questions, content and model change over the months."""

NEWEST = 500
"""Verdicts that count at most: a topic that went wrong lately must not live on its past."""

COMPLAINTS = 2
"""Bounces and repeated questions from which their share counts: a single one is chance, a full mailbox."""


@dataclass(frozen=True, slots=True)
class Proof:
    """How far a topic is from being allowed to answer by itself; the figures of its evidence bar."""

    have: int  # verdicts that count
    errors: int  # of them: other topics, rejected, closed or answered by hand
    bound: float  # upper bound of the error rate, 1.0 when there is no verdict
    need: int  # verdicts at which `errors` would be few enough
    target: float

    @property
    def holds(self) -> bool:
        return self.bound <= self.target

    def __str__(self) -> str:
        return (
            f"{self.have} verdicts of staff with {self.errors} errors: the error rate is at most {self.bound:.1%}, "
            f"{self.target:.1%} is allowed; {self.need} verdicts with {self.errors} errors would do"
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything about one topic's autonomy."""

    mailbox: str
    slug: str
    level: str
    since: datetime | None  # of the level; None when it was never set
    by: str
    proof: Proof
    answers: Answers  # automatic ones since the level was set, within WINDOW


@dataclass(frozen=True, slots=True)
class Fallen:
    """A topic that was taken back to review, and why (Indonesian, for staff)."""

    mailbox: str
    slug: str
    why: str


def proof(verdicts: Sequence[Judged], target: float) -> Proof:
    """What `verdicts` prove about a topic whose error rate may be `target` (0 to 1)."""
    errors = sum(not one.right for one in verdicts)
    bound = upper_bound(errors, len(verdicts))
    return Proof(len(verdicts), errors, bound, needed(errors, target), target)


def needed(errors: int, target: float) -> int:
    """The fewest verdicts at which `errors` of them still prove an error rate of at most `target`."""
    low, high = errors, errors + 1
    while upper_bound(errors, high) > target:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if upper_bound(errors, middle) <= target else (middle, high)
    return high


def standing(connection: Connection, mailbox: str, slug: str, policy: Policy, now: datetime) -> Standing:
    """How a topic stands. What earned its level counts for as long as it has it."""
    row = connection.execute(
        select(TopicLevel.level, TopicLevel.since, TopicLevel.by).where(
            TopicLevel.mailbox == mailbox, TopicLevel.slug == slug
        )
    ).first()
    automatic = row is not None and row.level == switches.AUTOMATIC
    from_ = (row.since if row is not None and automatic else now) - WINDOW
    verdicts = evidence.judged(connection, mailbox, slug, from_, NEWEST)
    sent_since = max(row.since, now - WINDOW) if row is not None else now - WINDOW
    return Standing(
        mailbox,
        slug,
        row.level if row is not None else switches.REVIEW,
        row.since if row is not None else None,
        row.by if row is not None else "",
        proof(verdicts, policy.target_error),
        evidence.answers(connection, mailbox, slug, sent_since),
    )


def set_level(
    connection: Connection, mailbox: str, slug: str, level: str, policy: Policy, actor: str, now: datetime
) -> Standing:
    """Set a topic's level by a person's decision; return how it stood before.

    Raises Refused when the level is `automatic` and the proof does not hold, unless `policy.require_evidence` is off.
    """
    before = standing(connection, mailbox, slug, policy, now)
    if level == switches.AUTOMATIC and policy.require_evidence:
        if not before.proof.holds:
            raise Refused(Refusal.NOT_EARNED, topic=slug, proof=before.proof)
        if before.level == level and (why := _why_not(before)):
            raise Refused(Refusal.NO_LONGER_EARNED, topic=slug, why=why)
    detail = {"have": before.proof.have, "errors": before.proof.errors, "bound": round(before.proof.bound, 5)}
    switches.set_level(connection, mailbox, slug, level, actor, now, detail)
    alarms.clear_alarm(connection, _alarm(mailbox, slug), now)
    return before


def review_levels(database: Database, settings: Settings, now: datetime) -> list[Fallen]:
    """Take every topic back to review whose proof no longer holds; return which. Raises StoreError.

    Without `policy.require_evidence` nothing was proved, and nothing falls back.
    """
    policy = settings.policy
    if not policy.require_evidence:
        return []
    with database.read() as connection:
        rows = connection.execute(
            select(TopicLevel.mailbox, TopicLevel.slug).where(
                TopicLevel.level == switches.AUTOMATIC, TopicLevel.mailbox.in_(list(settings.mailboxes))
            )
        ).all()
        doubtful = [row for row in rows if _why_not(standing(connection, row.mailbox, row.slug, policy, now))]
    fallen = [
        database.write(partial(_review, mailbox=row.mailbox, slug=row.slug, policy=policy, now=now))
        for row in doubtful
    ]
    return [one for one in fallen if one is not None]


def _review(connection: Connection, mailbox: str, slug: str, policy: Policy, now: datetime) -> Fallen | None:
    seen = standing(connection, mailbox, slug, policy, now)
    why = _why_not(seen)
    if seen.level != switches.AUTOMATIC or not why:
        return None
    switches.set_level(connection, mailbox, slug, switches.REVIEW, MACHINE, now, {"why": why})
    text = f"Topik “{slug}” ({mailbox}) kembali ke peninjauan: {why}"
    alarms.raise_alarm(connection, _alarm(mailbox, slug), text, now)
    log.warning("topic fell back to review", mailbox=mailbox, topic=slug, why=why)
    return Fallen(mailbox, slug, why)


def _why_not(seen: Standing) -> str:
    """Why a topic may not answer by itself any longer, in Indonesian; "" while it may."""
    if not seen.proof.holds:
        return (
            f"{seen.proof.errors} dari {seen.proof.have} putusan petugas salah; "
            f"batas atas kesalahan {seen.proof.bound:.1%}, yang diizinkan {seen.proof.target:.1%}."
        )
    complaints = seen.answers.bounced + seen.answers.repeated
    if complaints >= COMPLAINTS and complaints > seen.proof.target * seen.answers.sent:
        return (
            f"dari {seen.answers.sent} balasan otomatis {seen.answers.bounced} kembali dan "
            f"{seen.answers.repeated} ditanyakan lagi."
        )
    return ""


def _alarm(mailbox: str, slug: str) -> str:
    return f"autonomy:{mailbox}:{slug}"
