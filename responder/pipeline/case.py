"""One message on its way through handling, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from responder.classifier.decision import Decision
from responder.mail.message import IncomingMail, Screening


@dataclass(frozen=True, slots=True)
class Case:
    """A message with everything that reading, screening and classifying found out."""

    row: Row[Any]  # of `messages`
    mail: IncomingMail
    screening: Screening
    decision: Decision | None  # None where no person wrote the mail


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of one message, for the table of `poll` and `demo`."""

    message_id: int
    sender: str
    subject: str
    result: str  # automatic, approval, flagged, note, duplicate, ignored, quarantined, retry
    ticket_id: int | None = None
    topics: tuple[str, ...] = ()
    confidence: float | None = None
    why: str = ""


def handled(case: Case, result: str, ticket_id: int | None = None, *, why: str = "") -> Handled:
    """The outcome of `case`, with topics and confidence as they were decided."""
    decision = case.decision
    return Handled(
        message_id=case.row.id,
        sender=case.mail.sender.address if case.mail.sender else "",
        subject=case.mail.subject,
        result=result,
        ticket_id=ticket_id,
        topics=decision.topics if decision else (),
        confidence=max(decision.confidence.values(), default=None) if decision else None,
        why=why,
    )
