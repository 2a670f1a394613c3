"""Intake: every new UID of a mailbox folder into the ledger, raw bytes and cursor in one commit (rules 52 to 60)."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from responder.config import Limits
from responder.mail.headers import identity, split
from responder.mail.imap import FetchedMail, FolderState, ImapSession
from responder.mail.message import Attachment
from responder.mail.parse import Part
from responder.tickets import audit, bodies, ledger, switches
from responder.tickets.database import Database
from responder.tickets.ledger import Cursor, Seen
from responder.tickets.status import Disposition


@dataclass(slots=True)
class IntakeTally:
    """What one pass of intake did."""

    new: int = 0
    baseline: bool = False
    renumbered: str = ""  # why everything was read again; "" = it was not
    state: FolderState | None = None  # of the folder, before the intake


def take_in(
    session: ImapSession, database: Database, mailbox: str, folder: str, limits: Limits, now: datetime
) -> IntakeTally:
    """Read every UID after the cursor that is there. Raises MailServerError or StoreError; what was committed stays."""
    state = session.select(folder, readonly=True)
    tally = IntakeTally(state=state)
    with database.read() as connection:
        cursor = ledger.cursor(connection, mailbox, folder)
        lacking = bodies.due(connection, mailbox, folder, state.uidvalidity, limits.batch, now)
    if cursor is None:
        cursor = _start(database, mailbox, folder, state, now)
        tally.baseline = state.exists > 0
    elif why := numbered_anew(cursor, state):
        tally.renumbered = why
        cursor = _rescan(database, mailbox, folder, cursor, state, why, now)
        lacking = []
    if lacking:
        _ask_again(session, database, mailbox, folder, lacking, limits, now)
    last = cursor.uid
    # What comes meanwhile is for the next round: mail that never stops must not keep mail from being handled.
    while last < state.uidnext - 1 and (uids := session.new_uids(last, limits.batch)):
        seen = [_old_or_new(one, cursor) for one in _fetch(session, uids, limits)]
        with database.begin() as connection:
            tally.new += ledger.store(connection, mailbox, folder, state.uidvalidity, seen, now)
        last = max(uids)
    with database.begin() as connection:
        ledger.polled(connection, mailbox, folder, now)
    return tally


def take_missing(
    session: ImapSession,
    database: Database,
    mailbox: str,
    folder: str,
    uids: Sequence[int],
    limits: Limits,
    now: datetime,
) -> int:
    """Take in `uids` of the working folder that the cursor has passed without a row; return how many are new."""
    new = 0
    uidvalidity = session.select(folder, readonly=True).uidvalidity
    for start in range(0, len(uids), limits.batch):
        seen = _fetch(session, uids[start : start + limits.batch], limits)
        with database.begin() as connection:
            new += ledger.store(connection, mailbox, folder, uidvalidity, seen, now)
    return new


def numbered_anew(cursor: Cursor, state: FolderState) -> str:
    """Why the UIDs of the ledger mean nothing any more (rule 55); "" when they do."""
    if cursor.uidvalidity != state.uidvalidity:
        return f"UIDVALIDITY was {cursor.uidvalidity} and is {state.uidvalidity}"
    if state.uidnext_said and state.uidnext <= cursor.uid:
        return f"the server has given UID {cursor.uid} and says that UID {state.uidnext} comes next"
    return ""


def _ask_again(
    session: ImapSession,
    database: Database,
    mailbox: str,
    folder: str,
    uids: list[int],
    limits: Limits,
    now: datetime,
) -> None:
    uidvalidity = session.select(folder, readonly=True).uidvalidity
    seen = _fetch(session, uids, limits)
    with database.begin() as connection:
        for one in seen:
            bodies.write(connection, mailbox, folder, uidvalidity, one, now)


def _old_or_new(seen: Seen, cursor: Cursor) -> Seen:
    """A mail of a renumbered folder that came before our first connection is not ours to answer.

    `ledger.store` finds by identity those that we know.
    """
    if (
        seen.uid > cursor.rescan_to
        or seen.internal_date is None
        or cursor.started_at is None
        or seen.internal_date >= cursor.started_at
    ):
        return seen
    return replace(
        seen,
        raw=None,
        parts=None,
        disposition=Disposition.BASELINE,
        reason="older than the first connection",
    )


def _fetch(session: ImapSession, uids: Sequence[int], limits: Limits) -> list[Seen]:
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


def _start(database: Database, mailbox: str, folder: str, state: FolderState, now: datetime) -> Cursor:
    """First connection: begin after what is there."""
    start = Cursor(state.uidvalidity, state.uidnext - 1)
    with database.begin() as connection:
        ledger.start_folder(connection, mailbox, folder, start, now, exists=state.exists)
    return start


def _rescan(
    database: Database,
    mailbox: str,
    folder: str,
    cursor: Cursor,
    state: FolderState,
    why: str,
    now: datetime,
) -> Cursor:
    """Read all again. Unless the server never keeps UIDs, that may be a restored mailbox: review mode."""
    detail = {"mailbox": mailbox, "folder": folder, "why": why}
    with database.begin() as connection:
        ledger.rescan_folder(connection, mailbox, folder, state.uidvalidity, state.uidnext - 1, now)
        audit.record(connection, [audit.Entry(audit.INSTALLATION, audit.MACHINE, "renumbered", detail)], now)
        if not state.uid_not_sticky:
            switches.hold(connection, f"{mailbox}/{folder}: {why}", now)
    return replace(cursor, uidvalidity=state.uidvalidity, uid=0, rescan_to=state.uidnext - 1)


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
