"""What staff changed about a draft before they approved it: its words, its topics, or nothing."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select

from responder.tickets import lifecycle
from responder.tickets.models import Event, StaffVerdict
from responder.tickets.status import ReplyKind

_MADE_BY_STAFF = ("edited", "retopiced")
"""Events that name the version of a draft that a person's change made."""


def decision(connection: Connection, reply: Row[Any]) -> str:
    """The word for the verdict on an approved `reply`: by_hand, edited, retopiced or approved.

    `edited` only where words differ from those that content and templates gave; `retopiced` where staff chose topics
    that were not predicted and left the words alone.
    """
    if reply.kind is ReplyKind.MANUAL:
        return "by_hand"
    made = _made_by_staff(connection, reply.ticket_id)
    rendered = [
        one
        for one in lifecycle.replies(connection, reply.ticket_id)
        if (one.message_id, one.kind) == (reply.message_id, reply.kind)
        and one.version <= reply.version
        and made.get(one.id) != "edited"
    ]
    plain = max(rendered, key=lambda one: one.version, default=None)
    if plain is None or plain.text.strip() != reply.text.strip():
        return "edited"
    chosen = made.get(plain.id) == "retopiced" and set(plain.topics) != _predicted(connection, reply)
    return "retopiced" if chosen else "approved"


def _made_by_staff(connection: Connection, ticket_id: int) -> dict[int, str]:
    """Reply → the event that made it, of those that staff made."""
    rows = connection.execute(
        select(Event.action, Event.detail).where(
            Event.ticket_id == ticket_id, Event.action.in_(_MADE_BY_STAFF)
        )
    )
    return {row.detail["reply"]: row.action for row in rows if "reply" in row.detail}


def _predicted(connection: Connection, reply: Row[Any]) -> set[str]:
    topics = connection.scalar(select(StaffVerdict.topics).where(StaffVerdict.message_id == reply.message_id))
    return set(topics or ())
