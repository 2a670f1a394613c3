"""What an ordinary morning does not bring by itself: accounts, and tickets in the states that need luck or bad luck."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from responder.mail import limits
from responder.pipeline import desk
from responder.replies import approval
from responder.tickets import accounts, audit, lifecycle
from responder.tickets.database import Database
from responder.tickets.models import StaffVerdict, Ticket
from responder.tickets.models_staff import Role
from responder.tickets.status import ReplyStatus, TicketStatus

ACTOR = "demo"
PEOPLE = (
    ("petugas", "Petugas Demo", Role.OFFICER),
    ("senior", "Senior Demo", Role.SENIOR),
    ("admin", "Admin Demo", Role.ADMIN),
)


def make_accounts(database: Database, now: datetime) -> str:
    """Make an account of each role with one password, which is another one in each run; return it."""
    password = "-".join(secrets.token_hex(2) for _ in range(4))
    with database.begin() as connection:
        for name, full_name, role in PEOPLE:
            accounts.add(connection, name, role, password, ACTOR, now, full_name=full_name)
    return password


def unreadable(sender: str, to: str) -> bytes:
    """A mail nested deeper than is read: it goes to quarantine."""
    head = f"From: {sender}\r\nTo: {to}\r\nSubject: Dokumen\r\nMIME-Version: 1.0\r\n"
    levels = "".join(
        f'Content-Type: multipart/mixed; boundary="b{level}"\r\n\r\n--b{level}\r\n'
        for level in range(limits.MAX_NESTING + 2)
    )
    return (head + levels + "\r\nisi\r\n").encode()


def set_the_stage(
    database: Database, *, blind: str, failed: str, closed: str, senior: str, now: datetime
) -> None:
    """Put the ticket of each of the four senders into the state that it is to show."""
    with database.begin() as connection:
        if (ticket := _of(connection, blind)) is not None:
            connection.execute(
                update(StaffVerdict)
                .where(StaffVerdict.ticket_id == ticket, StaffVerdict.decided_at.is_(None))
                .values(blind=True)
            )
        if (ticket := _of(connection, failed)) is not None:
            _fail(connection, ticket, now)
        if (ticket := _of(connection, closed)) is not None:
            approval.close(connection, ticket, ACTOR, now, "hanya ucapan terima kasih")
        if (ticket := _of(connection, senior)) is not None:
            desk.flag_senior(
                connection, ticket, ACTOR, now, "Pengirim mengancam melapor; mohon dijawab senior."
            )


def _of(connection: Connection, sender: str) -> int | None:
    """The open ticket of a sender; None when the demo was given other mails."""
    open_states = (TicketStatus.NEEDS_APPROVAL, TicketStatus.NEEDS_STAFF)
    return connection.scalar(
        select(Ticket.id).where(Ticket.vendor_address == sender, Ticket.status.in_(open_states)).limit(1)
    )


def _fail(connection: Connection, ticket: int, now: datetime) -> None:
    """Approved, and refused by the vendor's server: the demo's own server refuses nobody."""
    draft = lifecycle.current_draft(connection, ticket)
    if draft is None:
        return
    approval.approve(connection, draft.id, draft.sha256, ACTOR, now, undo_seconds=0)
    words = "550 5.1.1 User unknown (contoh)"
    lifecycle.move_reply(
        connection, draft.id, ReplyStatus.APPROVED, ReplyStatus.FAILED, outcome=words, next_try=None
    )
    why = f"Balasan tidak terkirim: {words}"
    lifecycle.set_ticket(connection, ticket, TicketStatus.NEEDS_STAFF, now + timedelta(seconds=1), reason=why)
    entry = audit.Entry(ticket, audit.MACHINE, "failed", {"reply": draft.id, "answer": words})
    audit.record(connection, [entry], now)
