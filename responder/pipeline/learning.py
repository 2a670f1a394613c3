"""Learning: what staff decided becomes labelled text for the classifier. It stays in the database, not in content/."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from responder.classifier.labelled import LabelledText
from responder.mail.masking import blank
from responder.tickets.database import Database
from responder.tickets.models import Message, StaffVerdict

KEPT = 5000
"""Newest verdicts that training uses; more would only slow it down."""

HALF_LIFE = timedelta(days=365)
"""After this long a verdict counts half: wording and content change over the years."""

_TAUGHT_TOPICS = frozenset({"approved", "edited", "retopiced"})
_TAUGHT_STAFF = frozenset({"rejected", "by_hand"})
TAUGHT = _TAUGHT_TOPICS | _TAUGHT_STAFF
"""Decisions of staff that the classifier learns from."""

_SHORTEST_NAME = 3
"""Letters; a shorter word of a name is an initial, or a word of the language."""


def labelled_texts(connection: Connection, mailbox: str, now: datetime) -> list[LabelledText]:
    """Return the mails of `mailbox` that staff decided about singly, newest last, personal numbers masked.

    A verdict given in a batch teaches nothing: nobody looked at that one mail. Of a mail whose text was erased after
    retention the masked text is used as long as it is kept.
    """
    rows = connection.execute(
        select(
            Message.subject,
            Message.new_text,
            StaffVerdict.masked_text,
            StaffVerdict.decision,
            StaffVerdict.decided_topics,
            StaffVerdict.decided_at,
        )
        .join(Message, Message.id == StaffVerdict.message_id)
        .where(
            Message.mailbox == mailbox,
            StaffVerdict.decision.in_(TAUGHT),
            StaffVerdict.manner != "batch",
            Message.erased_at.is_(None) | (StaffVerdict.masked_text != ""),
        )
        .order_by(StaffVerdict.decided_at.desc())
        .limit(KEPT)
    ).all()
    return [
        LabelledText(
            text=row.masked_text or blank(f"{row.subject}\n{row.new_text}"),
            labels=tuple(row.decided_topics) if row.decision in _TAUGHT_TOPICS else (),
            weight=0.5 ** ((now - row.decided_at) / HALF_LIFE),
        )
        for row in reversed(rows)
        if row.decision in _TAUGHT_STAFF or row.decided_topics
    ]


def source(database: Database, clock: Callable[[], datetime]) -> Callable[[str], Sequence[LabelledText]]:
    """Return a function mailbox → its labelled texts, for `office.offices`."""

    def of(mailbox: str) -> Sequence[LabelledText]:
        with database.read() as connection:
            return labelled_texts(connection, mailbox, clock())

    return of


def lesson(subject: str, text: str, name: str) -> str:
    """What stays of a mail for training when its text is erased: masked, without its sender's name."""
    words = {word for word in re.findall(r"\w+", name) if len(word) >= _SHORTEST_NAME}
    kept = blank(f"{subject}\n{text}")
    if words:
        names = "|".join(re.escape(word) for word in sorted(words))
        kept = re.sub(rf"\b(?:{names})\b", "nama", kept, flags=re.IGNORECASE)
    return kept


def past_mails(connection: Connection, mailbox: str, limit: int) -> Sequence[tuple[str, str]]:
    """(subject, new text) of the newest mails of people, oldest first: what `replay` compares models on."""
    rows = connection.execute(
        select(Message.subject, Message.new_text)
        .where(Message.mailbox == mailbox, Message.kind == "person", Message.erased_at.is_(None))
        .order_by(Message.id.desc())
        .limit(limit)
    ).all()
    return [(row.subject, row.new_text) for row in reversed(rows)]
