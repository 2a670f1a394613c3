"""Proof from the records that nothing was lost and nothing sent twice: pairs of mail and reply, and what is broken."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, select

from responder.tickets import audit
from responder.tickets.models import Event, Message, Reply, Ticket
from responder.tickets.status import Disposition, ReplyStatus

_MAY_HAVE_LEFT = (ReplyStatus.SENT, ReplyStatus.UNCERTAIN, ReplyStatus.SENDING)


@dataclass(frozen=True, slots=True)
class Outbound:
    """One reply to a mail."""

    reply_id: int
    status: str
    kind: str
    automatic: bool
    recipient: str
    header_id: str


@dataclass(frozen=True, slots=True)
class Pair:
    """One mail that came in, with its end state and every reply that left or may have."""

    message_id: int
    mailbox: str
    sender: str
    subject: str
    state: str
    ticket_id: int | None
    replies: tuple[Outbound, ...]


def pairs(connection: Connection) -> Iterator[Pair]:
    """Yield every mail in the ledger, oldest first."""
    replies: dict[int, list[Outbound]] = defaultdict(list)
    for sent in connection.execute(
        select(
            Reply.id,
            Reply.message_id,
            Reply.status,
            Reply.kind,
            Reply.automatic,
            Reply.recipient,
            Reply.header_id,
        )
        .where(Reply.status.in_(_MAY_HAVE_LEFT))
        .order_by(Reply.id)
    ):
        out = Outbound(
            sent.id, sent.status.value, sent.kind.value, sent.automatic, sent.recipient, sent.header_id
        )
        replies[sent.message_id].append(out)
    query = (
        select(
            Message.id,
            Message.mailbox,
            Message.from_address,
            Message.subject,
            Message.disposition,
            Message.ticket_id,
        )
        .where(Message.disposition != Disposition.BASELINE)
        .order_by(Message.id)
    )
    for row in connection.execute(query.execution_options(yield_per=1000)):
        yield Pair(
            row.id,
            row.mailbox,
            row.from_address,
            row.subject,
            row.disposition.value,
            row.ticket_id,
            tuple(replies.get(row.id, ())),
        )


def problems(connection: Connection) -> list[str]:
    """What contradicts the promise, one line each; empty when it holds."""
    return [
        *_without_end(connection),
        *_sent_twice(connection),
        *_changed_bytes(connection),
        *(f"ticket {one or '-'}: its chain of events is broken" for one in audit.broken_chains(connection)),
    ]


def _without_end(connection: Connection) -> Iterator[str]:
    for row in connection.execute(
        select(Message.id, Message.mailbox, Message.uid, Message.disposition, Message.ticket_id)
        .outerjoin(Ticket, Ticket.id == Message.ticket_id)
        .where(
            (Message.disposition == Disposition.RECEIVED)
            | ((Message.disposition == Disposition.TICKETED) & Ticket.id.is_(None))
        )
        .order_by(Message.id)
    ):
        lacks = "no end state yet" if row.disposition is Disposition.RECEIVED else "no ticket"
        yield f"message {row.id} ({row.mailbox}, UID {row.uid}) has {lacks}"


def _sent_twice(connection: Connection) -> Iterator[str]:
    """One automatic reply for a mail, and for its whole ticket (rule 20); one Message-ID leaves once."""
    by_message: dict[int, list[int]] = defaultdict(list)
    by_ticket: dict[int, list[int]] = defaultdict(list)
    by_header: dict[str, list[int]] = defaultdict(list)
    for row in connection.execute(
        select(Reply.id, Reply.message_id, Reply.ticket_id, Reply.automatic, Reply.header_id)
        .where(Reply.status.in_(_MAY_HAVE_LEFT))
        .order_by(Reply.id)
    ):
        by_header[row.header_id].append(row.id)
        if row.automatic:
            by_message[row.message_id].append(row.id)
            by_ticket[row.ticket_id].append(row.id)
    for what, groups in (("message", by_message), ("ticket", by_ticket), ("Message-ID", by_header)):
        for key, ids in groups.items():
            if len(ids) > 1:
                yield f"{what} {key} has {len(ids)} machine replies: {', '.join(map(str, ids))}"


def _changed_bytes(connection: Connection) -> Iterator[str]:
    """Frozen bytes hash to what was approved (rule 78), or an event says that the ticket's content was erased."""
    erased = set(connection.scalars(select(Event.ticket_id).where(Event.action == audit.ERASED).distinct()))
    query = select(Reply.id, Reply.ticket_id, Reply.data, Reply.sha256).order_by(Reply.id)
    for row in connection.execute(query.execution_options(yield_per=100)):
        if not row.data and row.ticket_id in erased:
            continue
        if hashlib.sha256(row.data).hexdigest() != row.sha256:
            yield f"reply {row.id}: its bytes have changed since they were frozen"
