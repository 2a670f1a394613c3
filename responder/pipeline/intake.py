"""Intake: every new UID of a mailbox folder into the ledger, raw bytes and cursor in one commit (rules 52 to 60)."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime

from responder.config import Limits
from responder.mail.headers import identity, split
from responder.mail.imap import FetchedMail, ImapSession
from responder.mail.message import Attachment
from responder.mail.parse import Part
from responder.tickets import audit, ledger
from responder.tickets.database import Database
from responder.tickets.ledger import Cursor, Seen
from responder.tickets.status import Disposition


@dataclass(slots=True)
class IntakeTally:
    """What one pass of intake did."""

    new: int = 0
    baseline: bool = False
    uidvalidity_changed: bool = False


def take_in(
    session: ImapSession, database: Database, mailbox: str, folder: str, limits: Limits, now: datetime
) -> IntakeTally:
    """Read every UID after the cursor. Raises MailServerError or StoreError; what was committed stays."""
    tally = IntakeTally()
    state = session.select(folder, readonly=True)
    with database.read() as connection:
        cursor = ledger.cursor(connection, mailbox, folder)
    if cursor is None or cursor.uidvalidity != state.uidvalidity:
        cursor = _start(database, mailbox, folder, state.uidvalidity, state.uidnext, cursor, now)
        tally.baseline = cursor.uid > 0
        tally.uidvalidity_changed = not tally.baseline
    while uids := session.new_uids(cursor.uid, limits.batch):
        seen = _fetch(session, uids, limits)
        with database.begin() as connection:
            tally.new += ledger.store(connection, mailbox, folder, state.uidvalidity, seen, now)
        cursor = Cursor(state.uidvalidity, max(one.uid for one in seen))
    with database.begin() as connection:
        ledger.polled(connection, mailbox, folder, now)
    return tally


def _fetch(session: ImapSession, uids: list[int], limits: Limits) -> list[Seen]:
    """Fetch `uids`; those that came without a body are asked for once more (rule 59)."""
    mails = {
        mail.uid: mail for mail in session.fetch_batch(uids, limits.raw_kept_bytes, limits.message_bytes)
    }
    lacking = [uid for uid in uids if uid not in mails or mails[uid].missing]
    if lacking:
        again = session.fetch_batch(lacking, limits.raw_kept_bytes, limits.message_bytes)
        mails |= {mail.uid: mail for mail in again}
        still_listed = set(session.listed(lacking))
    return [
        _bodiless(uid, uid in still_listed) if uid not in mails or mails[uid].missing else _seen(mails[uid])
        for uid in uids
    ]


def _bodiless(uid: int, listed: bool) -> Seen:
    """A UID without a body: gone from the server, or there and a person must look why it cannot be read."""
    return Seen(
        uid=uid,
        identity="",
        size=0,
        internal_date=None,
        flags=(),
        raw=None,
        disposition=Disposition.QUARANTINED if listed else Disposition.IGNORED,
        reason="the server lists it but gives no body" if listed else "expunged before it could be read",
    )


def _start(
    database: Database,
    mailbox: str,
    folder: str,
    uidvalidity: int,
    uidnext: int,
    previous: Cursor | None,
    now: datetime,
) -> Cursor:
    """First connection: begin after what is there. Another UIDVALIDITY: read all again (rule 55)."""
    start = Cursor(uidvalidity, uidnext - 1 if previous is None else 0)
    with database.begin() as connection:
        ledger.start_folder(connection, mailbox, folder, start, now, baseline=previous is None)
        if previous is not None:
            detail = {"mailbox": mailbox, "folder": folder, "was": previous.uidvalidity, "is": uidvalidity}
            audit.record(
                connection,
                [audit.Entry(audit.INSTALLATION, audit.MACHINE, "uidvalidity_changed", detail)],
                now,
            )
    return start


def _seen(mail: FetchedMail) -> Seen:
    return Seen(
        uid=mail.uid,
        identity=identity(split(mail.header)[0], mail.size),
        size=mail.size,
        internal_date=mail.internal_date,
        flags=mail.flags,
        raw=mail.raw if mail.raw is not None else mail.header,
        parts=None if mail.raw is not None else pack(mail.parts, mail.attachments),
    )


def pack(parts: tuple[Part, ...], attachments: tuple[Attachment, ...]) -> bytes:
    """Text parts and attachment names of a large mail as JSON bytes; `unpack` reads them."""
    return json.dumps(
        {
            "parts": [
                {
                    "content_type": part.content_type,
                    "payload": base64.b64encode(part.payload).decode("ascii"),
                    "filename": part.filename,
                    "headers": part.headers,
                }
                for part in parts
            ],
            "attachments": [[one.name, one.size, one.type, one.inline] for one in attachments],
        }
    ).encode("ascii")


def unpack(data: bytes) -> tuple[tuple[Part, ...], tuple[Attachment, ...]]:
    """The reverse of `pack`."""
    value = json.loads(data)
    parts = tuple(
        Part(
            content_type=part["content_type"],
            payload=base64.b64decode(part["payload"]),
            filename=part["filename"],
            headers=tuple((name, text) for name, text in part["headers"]),
        )
        for part in value["parts"]
    )
    return parts, tuple(Attachment(*one) for one in value["attachments"])
