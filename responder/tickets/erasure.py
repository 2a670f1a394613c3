"""Erasing what the records say about people. Rows, states, times and hashes stay.

So counts of reports, recognising a mail again, threading by Message-ID and the proof that nothing was sent twice go on
as before. An address becomes a pseudonym: the same person has the same one, and only who holds the installation's key
can tell whose it is.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    case,
    delete,
    insert,
    select,
    update,
)

from responder.tickets import audit, lifecycle
from responder.tickets.models import AddressNote, Event, Message, Participant, Reply, StaffVerdict, Ticket
from responder.tickets.models_staff import Edit, Note
from responder.tickets.status import Disposition, Filing, ReplyStatus, TicketStatus

PSEUDONYMS = "@dihapus.invalid"
"""How every pseudonym ends: a domain that never exists (RFC 2606), so that nothing can be sent to one."""

ENDED = (TicketStatus.ANSWERED, TicketStatus.CLOSED)
"""Tickets in these wait for nobody; the content of others is never erased."""

IN_FLIGHT = (ReplyStatus.APPROVED, ReplyStatus.SENDING, ReplyStatus.UNCERTAIN)
"""Replies in these still need their bytes."""

UNDELIVERED = "kembali"
"""Stands for what a bounce said: that there was one counts in reports, its words may name the address."""

RETENTION = "retention"
REQUEST = "request"

_PSEUDONYM_DIGITS = 20  # 80 bits: no two people of an office will ever share one


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """What stands for addresses and Message-IDs that were erased.

    `mailbox_key` takes case and "+suffix" away, as limits and notes about a person are kept.
    """

    key: bytes
    mailbox_key: Callable[[str], str]

    def address(self, address: str) -> str:
        """The pseudonym of an address; "" and pseudonyms stay as they are."""
        if not address or address.endswith(PSEUDONYMS):
            return address
        return f"orang-{self._digest('address', self.mailbox_key(address))}{PSEUDONYMS}"

    def header_id(self, header_id: str) -> str:
        """The pseudonym of a Message-ID; "" and pseudonyms stay as they are."""
        if not header_id or header_id.endswith(PSEUDONYMS):
            return header_id
        return f"surat-{self._digest('message-id', header_id)}{PSEUDONYMS}"

    def _digest(self, what: str, value: str) -> str:
        said = f"erased {what}\n{value}".encode("utf-8", "surrogatepass")
        return hmac.new(self.key, said, hashlib.sha256).hexdigest()[:_PSEUDONYM_DIGITS]


@dataclass(frozen=True, slots=True)
class Erasure:
    """One act of erasing: why, by whom, when, what stands in place of addresses, what training may keep of a text."""

    why: str  # RETENTION or REQUEST
    actor: str
    at: datetime
    pseudonyms: Pseudonyms
    lesson: Callable[[str, str, str], str] | None = None  # (subject, new text, sender's name) → masked text
    taught: frozenset[str] = frozenset()  # decisions of staff that `lesson` is kept for


@contextmanager
def overwriting(connection: Connection) -> Iterator[None]:
    """Have SQLite overwrite with zeros what is erased within the block (PRAGMA secure_delete)."""
    if connection.dialect.name != "sqlite":
        yield
        return
    connection.exec_driver_sql("PRAGMA secure_delete=ON").close()
    try:
        yield
    finally:
        connection.exec_driver_sql("PRAGMA secure_delete=OFF").close()


def settled() -> ColumnElement[bool]:
    """The condition on a ticket that it has ended and that none of its replies needs its bytes any more."""
    needed = select(Reply.id).where(
        Reply.ticket_id == Ticket.id,
        Reply.status.in_(IN_FLIGHT) | ((Reply.filing == Filing.PENDING) & (Reply.status == ReplyStatus.SENT)),
    )
    unread = select(Message.id).where(
        Message.ticket_id == Ticket.id, Message.disposition == Disposition.RECEIVED
    )
    return Ticket.status.in_(ENDED) & ~needed.correlate(Ticket).exists() & ~unread.correlate(Ticket).exists()


def has_content() -> ColumnElement[bool]:
    """The condition on a ticket that anything of it was not erased yet; also mail that came after an erasure."""
    mail = select(Message.id).where(Message.ticket_id == Ticket.id, Message.erased_at.is_(None))
    return Ticket.erased_at.is_(None) | mail.correlate(Ticket).exists()


def still_settled(connection: Connection, ticket_ids: Sequence[int]) -> list[int]:
    """Those of `ticket_ids` that are settled, kept from everybody else until the end of the transaction.

    On PostgreSQL a mail or an approval may have come since they were chosen; whatever comes later waits.
    """
    chosen = select(Ticket.id).where(Ticket.id.in_(ticket_ids), settled()).order_by(Ticket.id)
    return list(connection.scalars(chosen.with_for_update()))


def erase_raw(connection: Connection, message_ids: Sequence[int]) -> None:
    """Erase stored bytes, with them the attachments; what was read from them stays."""
    connection.execute(update(Message).where(Message.id.in_(message_ids)).values(raw=None, parts=None))


def erase_tickets(connection: Connection, ticket_ids: Sequence[int], erasure: Erasure) -> None:
    """Erase everything that was said in these tickets, which have ended: mails, replies, notes, details of events."""
    for ticket_id in ticket_ids:
        lifecycle.retire_drafts(connection, ticket_id, ReplyStatus.DISCARDED, "its content was erased")
    _keep_lessons(connection, ticket_ids, erasure)
    found = connection.scalars(select(Message.id).where(Message.ticket_id.in_(ticket_ids)))
    erase_messages(connection, list(found), erasure)
    _erase_replies(connection, ticket_ids, erasure)
    _erase_participants(connection, ticket_ids, erasure)
    for table in (Edit, Note):
        connection.execute(delete(table).where(table.ticket_id.in_(ticket_ids)))
    connection.execute(update(StaffVerdict).where(StaffVerdict.ticket_id.in_(ticket_ids)).values(reason=""))
    rows = connection.execute(select(Ticket.id, Ticket.vendor_address).where(Ticket.id.in_(ticket_ids)))
    _rewrite(
        connection,
        Ticket,
        {"subject": "", "vendor_name": "", "reason": "", "erased_at": erasure.at},
        [{"row": row.id, "vendor_address": erasure.pseudonyms.address(row.vendor_address)} for row in rows],
    )
    for ticket_id in ticket_ids:
        seqs = connection.scalars(select(Event.seq).where(Event.ticket_id == ticket_id))
        erased = audit.erase(connection, ticket_id, list(seqs), erasure.why, erasure.actor, erasure.at)
        if not erased:
            # `proof` takes this event for why the bytes of replies are gone.
            entry = audit.Entry(ticket_id, erasure.actor, audit.ERASED, {"why": erasure.why, "events": {}})
            audit.record(connection, [entry], erasure.at)


def erase_messages(connection: Connection, message_ids: Sequence[int], erasure: Erasure) -> None:
    """Erase the content of mails. One in quarantine leaves it: there is nothing left to look at."""
    rows = connection.execute(
        select(Message.id, Message.from_address, Message.reply_address, Message.header_id).where(
            Message.id.in_(message_ids)
        )
    ).all()
    names = erasure.pseudonyms
    quarantined = Message.disposition == Disposition.QUARANTINED
    ignored = case((quarantined, Disposition.IGNORED.value), else_=Message.disposition)
    _rewrite(
        connection,
        Message,
        {
            "raw": None,
            "parts": None,
            "from_name": "",
            "subject": "",
            "text": "",
            "new_text": "",
            "attachments": [],
            "reply_references": [],
            "reasons": [],
            "reason": f"content erased ({erasure.why})",
            "disposition": ignored,
            "erased_at": erasure.at,
        },
        [
            {
                "row": row.id,
                "from_address": names.address(row.from_address),
                "reply_address": names.address(row.reply_address),
                "header_id": names.header_id(row.header_id),
            }
            for row in rows
        ],
    )


def erase_note(connection: Connection, address: str, erasure: Erasure) -> None:
    """Let a note on an address go on stopping automatic mail (rules 28 and 47) without naming it."""
    row = connection.execute(select(AddressNote.at).where(AddressNote.address == address)).first()
    pseudonym = erasure.pseudonyms.address(address)
    if row is None or pseudonym == address:
        return
    connection.execute(delete(AddressNote).where(AddressNote.address.in_([address, pseudonym])))
    said = f"alamat dihapus ({erasure.why}); tetap tanpa surat otomatis"
    connection.execute(insert(AddressNote).values(address=pseudonym, reason=said, at=row.at))


def _keep_lessons(connection: Connection, ticket_ids: Sequence[int], erasure: Erasure) -> None:
    """Keep masked what staff's decisions teach, where retention and not the person asks for erasure."""
    if erasure.lesson is None:
        connection.execute(
            update(StaffVerdict).where(StaffVerdict.ticket_id.in_(ticket_ids)).values(masked_text="")
        )
        return
    rows = connection.execute(
        select(StaffVerdict.id, Message.subject, Message.new_text, Message.from_name)
        .join(Message, Message.id == StaffVerdict.message_id)
        .where(
            StaffVerdict.ticket_id.in_(ticket_ids),
            StaffVerdict.decision.in_(erasure.taught),
            StaffVerdict.manner != "batch",
            Message.erased_at.is_(None),
        )
    )
    lessons = [
        {"row": row.id, "masked_text": erasure.lesson(row.subject, row.new_text, row.from_name)}
        for row in rows
    ]
    _rewrite(connection, StaffVerdict, {}, lessons)


def _erase_replies(connection: Connection, ticket_ids: Sequence[int], erasure: Erasure) -> None:
    rows = connection.execute(select(Reply.id, Reply.recipient).where(Reply.ticket_id.in_(ticket_ids)))
    bounced = case((Reply.undelivered != "", UNDELIVERED), else_="")
    _rewrite(
        connection,
        Reply,
        {"subject": "", "text": "", "data": b"", "outcome": "", "undelivered": bounced},
        [{"row": row.id, "recipient": erasure.pseudonyms.address(row.recipient)} for row in rows],
    )


def _erase_participants(connection: Connection, ticket_ids: Sequence[int], erasure: Erasure) -> None:
    """Under their pseudonyms they may still write into the ticket (rule 48)."""
    rows = connection.execute(
        select(Participant.__table__).where(Participant.ticket_id.in_(ticket_ids))
    ).all()
    connection.execute(delete(Participant).where(Participant.ticket_id.in_(ticket_ids)))
    kept = {(row.ticket_id, erasure.pseudonyms.address(row.address)) for row in rows}
    if kept:
        connection.execute(
            insert(Participant), [{"ticket_id": ticket, "address": one} for ticket, one in sorted(kept)]
        )


def _rewrite(
    connection: Connection, model: Any, same: dict[str, Any], each: Iterable[dict[str, Any]]
) -> None:
    """Set `same` in every row of `each`, with the row's own values; "row" is its id."""
    rows = list(each)
    if not rows:
        return
    table = model.__table__
    own: dict[str, Any] = {name: bindparam(name) for name in rows[0] if name != "row"}
    connection.execute(update(table).where(table.c.id == bindparam("row")).values(**same, **own), rows)
