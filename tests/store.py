"""A database with records in it, for tests of what stands on the store."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from responder.tickets import ledger, lifecycle
from responder.tickets.database import Database
from responder.tickets.ledger import Seen
from responder.tickets.models import Message
from responder.tickets.status import Disposition, ReplyKind, ReplyStatus, TicketStatus

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
MAILBOX = "kemenperin"
VENDOR = "admin@baharijaya.example"


def open_database(folder: Path) -> Database:
    database = Database(f"sqlite:///{folder}/responder.db")
    database.migrate()
    return database


def received(connection: Connection, uid: int = 1, **values: Any) -> int:
    """A message that was stored but not handled; returns its id."""
    seen = Seen(uid, values.pop("identity", f"identity-{uid}"), 10, NOW, (), b"raw")
    ledger.store(connection, MAILBOX, "INBOX", 7, [seen], NOW)
    return int(connection.execute(select(Message.id).where(Message.uid == uid)).scalar_one())


def ticketed(
    connection: Connection, uid: int = 1, ticket_id: int | None = None, **values: Any
) -> tuple[int, int]:
    """A message on a ticket of VENDOR; returns (ticket, message)."""
    message_id = received(connection, uid)
    if ticket_id is None:
        ticket_id = lifecycle.open_ticket(
            connection,
            {
                "mailbox": MAILBOX,
                "status": TicketStatus.NEEDS_APPROVAL,
                "subject": "Lupa password",
                "vendor_address": VENDOR,
                "created_at": NOW,
                "updated_at": NOW,
            },
        )
    ledger.finish(
        connection,
        message_id,
        Disposition.TICKETED,
        ticket_id=ticket_id,
        kind="person",
        from_address=VENDOR,
        reply_address=VENDOR,
        header_id=f"mail-{uid}@baharijaya.example",
        **values,
    )
    return ticket_id, message_id


def drafted(connection: Connection, ticket_id: int, message_id: int, version: int = 1, **values: Any) -> int:
    """A draft that waits for approval; returns its id."""
    return lifecycle.add_reply(
        connection,
        {
            "ticket_id": ticket_id,
            "message_id": message_id,
            "mailbox": MAILBOX,
            "version": version,
            "kind": ReplyKind.ANSWER,
            "status": ReplyStatus.DRAFTED,
            "automatic": False,
            "topics": ["lupa-password"],
            "recipient": VENDOR,
            "subject": "Re: Lupa password",
            "text": "Yth. Bapak/Ibu",
            "header_id": f"reply-{message_id}-{version}@lpse.example",
            "data": b"From: x\r\n\r\nYth.\r\n",
            "sha256": f"{version:064x}",
            "created_at": NOW,
            **values,
        },
    )
