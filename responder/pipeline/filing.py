"""Wishes about the mailbox: drafts in Drafts, sent replies in Sent, flags on the original.

All of it can fail and be tried again for ever; none of it can send, and nothing here changes what was sent. What
staff do in their own mail client is read here too: a reply of theirs found in Sent, or a draft gone from Drafts,
takes over ours (rule 28b); our own Message-ID found in Sent settles an uncertain reply (rule 75).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from responder.errors import LoginError, MailServerError
from responder.mail.addresses import mailboxes, message_ids
from responder.mail.headers import fields
from responder.mail.imap import ImapSession
from responder.pipeline.office import Office
from responder.tickets import audit, ledger, lifecycle, takeover
from responder.tickets.database import Database
from responder.tickets.ledger import Cursor
from responder.tickets.status import DraftCopy, Filing, ReplyStatus

BATCH = 50
FILING_ATTEMPTS = 10
FILING_RETRY = timedelta(minutes=10)
STAFF_KEYWORD = "LPSE-Staff"
"""IMAP keyword on mails that a person must answer, where the server takes keywords (rule 56)."""


@dataclass(slots=True)
class FilingTally:
    """What one pass of filing did."""

    drafts_placed: int = 0
    drafts_removed: int = 0
    filed: int = 0
    flagged: int = 0
    taken_over: int = 0
    settled: int = 0


class Filer:
    """Does the wishes of one office over one IMAP connection."""

    def __init__(self, database: Database, office: Office, session: ImapSession) -> None:
        self._database = database
        self._office = office
        self._session = session

    def look_for_takeovers(self, now: datetime) -> FilingTally:
        """Read what happened in Sent and Drafts since the last look; to be done before anything is sent."""
        tally = FilingTally()
        self._read_sent(tally, now)
        self._check_placed_drafts(tally, now)
        return tally

    def do_wishes(self, tally: FilingTally, now: datetime) -> FilingTally:
        """File sent replies, place and remove draft copies, set flags. Raises MailServerError when the line drops."""
        self._file_sent(tally, now)
        self._remove_drafts(tally)
        self._place_drafts(tally, now)
        self._flag(tally)
        return tally

    def _read_sent(self, tally: FilingTally, now: datetime) -> None:
        folder = self._session.find_folder("sent")
        if folder is None:
            return
        name = self._office.name
        state = self._session.select(folder, readonly=True)
        with self._database.read() as connection:
            cursor = ledger.cursor(connection, name, folder)
        if cursor is None or cursor.uidvalidity != state.uidvalidity:
            cursor = Cursor(state.uidvalidity, state.uidnext - 1 if cursor is None else 0)
            with self._database.begin() as connection:
                ledger.start_folder(connection, name, folder, cursor, now, baseline=False)
        while uids := self._session.new_uids(cursor.uid, BATCH):
            heads = self._session.fetch_headers(uids, ("Message-ID", "In-Reply-To", "To", "Cc"))
            cursor = Cursor(state.uidvalidity, max(uids))
            with self._database.begin() as connection:
                for head in heads.values():
                    self._note_sent(connection, head, tally, now)
                ledger.start_folder(connection, name, folder, cursor, now, baseline=False)

    def _note_sent(self, connection: Connection, head: bytes, tally: FilingTally, now: datetime) -> None:
        values = {name.lower(): value for name, value in fields(head)[0]}
        own_id = next(iter(message_ids(values.get("message-id", ""))), "")
        if own_id and takeover.seen_in_sent(connection, own_id, now):
            tally.settled += 1
            return
        answered = message_ids(values.get("in-reply-to", ""))
        recipients = [one.address for one in mailboxes((values.get("to", ""), values.get("cc", "")))]
        if answered and takeover.answered_by_hand(connection, self._office.name, answered, recipients, now):
            tally.taken_over += 1

    def _check_placed_drafts(self, tally: FilingTally, now: datetime) -> None:
        """A placed draft that is no longer there was taken over, unless the whole folder was renumbered."""
        with self._database.read() as connection:
            placed = [
                row
                for state in (DraftCopy.PLACED, DraftCopy.REMOVE)
                for row in lifecycle.draft_copies(connection, self._office.name, state, BATCH * 20)
                if row.status in {ReplyStatus.DRAFTED, ReplyStatus.APPROVED}
            ]
        folder = self._session.find_folder("drafts") if placed else None
        if folder is None:
            return
        uidvalidity = self._session.select(folder, readonly=True).uidvalidity
        there = set(self._session.listed([row.draft_uid for row in placed]))
        for row in placed:
            if row.draft_uidvalidity != uidvalidity:
                found = self._session.search_message_id(folder, row.header_id)
                with self._database.begin() as connection:
                    if found:
                        lifecycle.copy_placed(connection, row.id, uidvalidity, found[0])
                    else:
                        lifecycle.copy_wanted(connection, row.id)
            elif row.draft_uid not in there:
                with self._database.begin() as connection:
                    tally.taken_over += takeover.draft_gone(connection, row.id, now)

    def _file_sent(self, tally: FilingTally, now: datetime) -> None:
        with self._database.read() as connection:
            rows = lifecycle.to_file(connection, self._office.name, BATCH, now)
        if not rows:
            return
        sent = None if self._office.config.files_sent_itself else self._session.find_folder("sent")
        inbox = self._session.select(self._office.config.folders.inbox).uidvalidity
        for row in rows:
            try:
                if sent is not None and not self._session.search_message_id(sent, row.header_id):
                    self._session.append(sent, row.data, (b"\\Seen",), row.sent_at)
                if row.folder == self._office.config.folders.inbox and row.uidvalidity == inbox:
                    self._session.select(row.folder)
                    self._session.add_flags(row.folder, [row.uid], (b"\\Answered",))
            except LoginError:
                raise
            except MailServerError as error:
                self._filing_failed(row, error, now)
                raise
            with self._database.begin() as connection:
                lifecycle.filed(connection, row.id, Filing.DONE)
            tally.filed += 1

    def _filing_failed(self, row: Any, error: MailServerError, now: datetime) -> None:
        with self._database.begin() as connection:
            if row.filing_attempts + 1 < FILING_ATTEMPTS:
                lifecycle.filing_again(connection, row.id, now + FILING_RETRY)
                return
            lifecycle.filed(connection, row.id, Filing.GIVEN_UP)
            entry = audit.Entry(
                row.ticket_id, audit.MACHINE, "not_filed", {"reply": row.id, "why": str(error)}
            )
            audit.record(connection, [entry], now)

    def _remove_drafts(self, tally: FilingTally) -> None:
        with self._database.read() as connection:
            rows = lifecycle.draft_copies(connection, self._office.name, DraftCopy.REMOVE, BATCH)
        folder = self._session.find_folder("drafts") if rows else None
        if folder is None:
            return
        uidvalidity = self._session.select(folder).uidvalidity
        for row in rows:
            if row.draft_uidvalidity == uidvalidity:
                self._session.delete(folder, [row.draft_uid])
            with self._database.begin() as connection:
                lifecycle.copy_gone(connection, row.id)
            tally.drafts_removed += 1

    def _place_drafts(self, tally: FilingTally, now: datetime) -> None:
        with self._database.read() as connection:
            rows = lifecycle.draft_copies(connection, self._office.name, DraftCopy.PENDING, BATCH)
        folder = self._session.find_folder("drafts") if rows else None
        if folder is None:
            return
        for row in rows:
            # A copy from an append whose answer was lost is found by its Message-ID, not placed twice.
            found = self._session.search_message_id(folder, row.header_id)
            uidvalidity = self._session.select(folder).uidvalidity
            if not found:
                placed = self._session.append(folder, row.data, (b"\\Draft", b"\\Seen"), now)
                uidvalidity, uid = placed or (uidvalidity, 0)
                found = [uid] if uid else self._session.search_message_id(folder, row.header_id)
            with self._database.begin() as connection:
                lifecycle.copy_placed(connection, row.id, uidvalidity, found[-1] if found else 0)
            tally.drafts_placed += 1

    def _flag(self, tally: FilingTally) -> None:
        inbox = self._office.config.folders.inbox
        with self._database.read() as connection:
            cursor = ledger.cursor(connection, self._office.name, inbox)
            if cursor is None:
                return
            rows = takeover.to_flag(connection, self._office.name, cursor.uidvalidity, inbox, BATCH)
        if not rows or self._session.select(inbox).uidvalidity != cursor.uidvalidity:
            return
        uids = [uid for _, uid in rows]
        self._session.add_flags(inbox, uids, (b"\\Flagged",))
        self._session.add_flags(inbox, uids, (STAFF_KEYWORD.encode("ascii"),))
        with self._database.begin() as connection:
            takeover.flagged(connection, [message_id for message_id, _ in rows])
        tally.flagged += len(rows)
