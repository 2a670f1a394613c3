"""Everything that the page of one ticket shows, read in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from responder.mail import addresses
from responder.pipeline import desk
from responder.tickets import lifecycle, queues, switches
from responder.tickets.models import Message, Reply, StaffVerdict, Ticket
from responder.tickets.models_staff import Note
from responder.tickets.status import ReplyStatus

MAILS = 20  # newest of a conversation that are shown
REPLIES = 10
EARLIER = 6  # other tickets of the same vendor
LONGEST_TEXT = 30_000  # characters shown of one mail


@dataclass(frozen=True, slots=True)
class Desk:
    """One ticket as it lies on the desk."""

    ticket: Row[Any]
    mails: Sequence[Row[Any]]  # newest first
    newest: Row[Any] | None  # newest mail of a person, which a draft has to answer
    newest_id: int  # its number, also when so many mails of machines followed that it is not shown; 0 = none
    replies: Sequence[Row[Any]]  # newest first, without bytes
    verdict: Row[Any] | None  # of the newest mail
    blind: bool  # staff have to choose first; nothing that we predicted may show
    notes: Sequence[Row[Any]]
    events: Sequence[Any]
    earlier: Sequence[Row[Any]]
    others: Sequence[Any]
    edit: Row[Any] | None  # what this account typed and did not hand in
    arming: switches.Arming
    address_note: str

    @property
    def draft(self) -> Row[Any] | None:
        """The reply that waits for a decision."""
        return next((one for one in self.replies if one.status is ReplyStatus.DRAFTED), None)

    @property
    def stale(self) -> bool:
        """Whether a newer mail came than the draft answers."""
        return self.draft is not None and self.newest is not None and self.draft.message_id != self.newest.id

    @property
    def troubled(self) -> Row[Any] | None:
        """The newest reply when it failed, or nobody knows whether it left."""
        said = next((one for one in self.replies if one.status not in _NOT_SAID), None)
        return said if said is not None and said.status in _TROUBLED else None

    @property
    def others_said(self) -> Sequence[Row[Any]]:
        """Every reply but the one in view: the draft, else the newest."""
        shown = self.draft or next(iter(self.replies), None)
        return [one for one in self.replies if shown is None or one.id != shown.id]

    @property
    def undelivered(self) -> Row[Any] | None:
        return next((one for one in self.replies if one.undelivered), None)


_NOT_SAID = frozenset({ReplyStatus.SUPERSEDED, ReplyStatus.DISCARDED, ReplyStatus.DRAFTED})
_TROUBLED = frozenset({ReplyStatus.FAILED, ReplyStatus.UNCERTAIN})


def read(connection: Connection, ticket_id: int, user_id: int, now: datetime) -> Desk | None:
    """The ticket as account `user_id` sees it at `now`; None when there is none."""
    ticket = lifecycle.ticket(connection, ticket_id)
    if ticket is None:
        return None
    mails = _mails(connection, ticket_id)
    newest_id = lifecycle.latest_message_id(connection, ticket_id)
    newest = next((one for one in mails if one.id == newest_id), None)
    verdict = _verdict(connection, newest.id) if newest is not None else None
    key = addresses.mailbox_key(ticket.vendor_address)
    return Desk(
        ticket=ticket,
        mails=mails,
        newest=newest,
        newest_id=newest_id or 0,
        replies=_replies(connection, ticket_id),
        verdict=verdict,
        blind=verdict is not None and verdict.blind and verdict.decided_at is None,
        notes=_notes(connection, ticket_id),
        events=queues.events(connection, ticket_id),
        earlier=_earlier(connection, ticket),
        others=desk.others(connection, ticket_id, user_id, now),
        edit=desk.kept_edit(connection, ticket_id, user_id),
        arming=switches.arming(connection),
        address_note=switches.address_notes(connection, [key]).get(key, ""),
    )


def last_event(connection: Connection, ticket_id: int) -> tuple[Any | None, Row[Any] | None]:
    """(the last event of a ticket, its approved reply that has not begun to leave): for the line after a decision."""
    events = queues.events(connection, ticket_id)
    waiting = connection.execute(
        select(Reply.id, Reply.next_try)
        .where(Reply.ticket_id == ticket_id, Reply.status == ReplyStatus.APPROVED, Reply.automatic.is_(False))
        .order_by(Reply.id.desc())
        .limit(1)
    ).first()
    return (events[-1] if events else None), waiting  # type: ignore[return-value]


def _mails(connection: Connection, ticket_id: int) -> Sequence[Any]:
    shown = (
        "id", "received_at", "from_address", "from_name", "subject", "attachments", "reply_address",
        "verdict", "kind", "reasons", "size",
    )  # fmt: skip
    table = Message.__table__
    return connection.execute(
        select(
            *(table.c[name] for name in shown),
            func.substr(Message.text, 1, LONGEST_TEXT).label("text"),
            func.substr(Message.new_text, 1, LONGEST_TEXT).label("new_text"),
            func.length(Message.text).label("characters"),
            (Message.raw.is_not(None) & Message.parts.is_(None)).label("whole"),
        )
        .where(Message.ticket_id == ticket_id)
        .order_by(Message.id.desc())
        .limit(MAILS)
    ).all()


def _replies(connection: Connection, ticket_id: int) -> Sequence[Any]:
    columns = [column for column in Reply.__table__.columns if column.name != "data"]
    return connection.execute(
        select(*columns).where(Reply.ticket_id == ticket_id).order_by(Reply.id.desc()).limit(REPLIES)
    ).all()


def _verdict(connection: Connection, message_id: int) -> Row[Any] | None:
    return connection.execute(
        select(StaffVerdict.__table__).where(StaffVerdict.message_id == message_id).limit(1)
    ).first()


def _notes(connection: Connection, ticket_id: int) -> Sequence[Any]:
    return connection.execute(
        select(Note.at, Note.by, Note.text).where(Note.ticket_id == ticket_id).order_by(Note.id)
    ).all()


def _earlier(connection: Connection, ticket: Row[Any]) -> Sequence[Any]:
    return connection.execute(
        select(Ticket.id, Ticket.subject, Ticket.status, Ticket.updated_at)
        .where(
            Ticket.mailbox == ticket.mailbox,
            Ticket.vendor_address == ticket.vendor_address,
            Ticket.id != ticket.id,
        )
        .order_by(Ticket.id.desc())
        .limit(EARLIER)
    ).all()
