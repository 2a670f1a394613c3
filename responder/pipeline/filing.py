"""Wishes about the mailbox: drafts in Drafts, sent replies in Sent, flags on the original.

All of it can fail and be tried again for ever; none of it can send, and nothing here changes what was sent. What
staff do in their own mail client is read here too: a reply of theirs found in Sent, or a draft gone from Drafts,
takes over ours (rule 28b); our own Message-ID found in Sent settles an uncertain reply (rule 75).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from responder.errors import MailServerError
from responder.mail.addresses import mailboxes, message_ids
from responder.mail.headers import fields
from responder.mail.imap import ImapSession
from responder.mail.tokens import is_own_message_id
from responder.pipeline.intake import numbered_anew
from responder.pipeline.office import Office
from responder.tickets import audit, claims, ledger, lifecycle, switches, takeover
from responder.tickets.database import Database
from responder.tickets.ledger import Cursor
from responder.tickets.status import DraftCopy, ReplyStatus

BATCH = 50
FILING_RETRY = timedelta(minutes=1)
FILING_RETRY_MAX = timedelta(hours=1)
FILING_NOTED_AFTER = 10
"""A wish that has failed this often is noted on its ticket, once; it is tried for ever."""

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
    refused: list[str] = field(default_factory=list)  # wishes that the server refused, to be tried again


@dataclass(frozen=True, slots=True)
class SentMail:
    """What one mail in Sent says about our replies."""

    own_id: str  # its Message-ID, without angle brackets
    answered: tuple[str, ...]  # ids of its In-Reply-To
    recipients: tuple[str, ...]  # addresses of To and Cc


@dataclass(frozen=True, slots=True)
class SentNews:
    """What came into Sent since the last look; `cursor` moves when it is noted."""

    folder: str
    cursor: Cursor
    mails: tuple[SentMail, ...]


class Filer:
    """Does the wishes of one office over one IMAP connection."""

    def __init__(self, database: Database, office: Office, session: ImapSession) -> None:
        self._database = database
        self._office = office
        self._session = session

    def read_sent(self, now: datetime) -> SentNews | None:
        """Read what came into Sent. A Message-ID of our making that no record knows: the database is an old one.

        It is then held before any new mail is answered. Nothing is noted: replies to the new mail may be among it.
        """
        folder = self._session.find_folder("sent")
        if folder is None:
            return None
        state = self._session.select(folder, readonly=True)
        with self._database.read() as connection:
            cursor = ledger.cursor(connection, self._office.name, folder)
        start = Cursor(state.uidvalidity, state.uidnext - 1)
        if cursor is None:
            with self._database.begin() as connection:
                ledger.start_folder(connection, self._office.name, folder, start, now)
            return None
        if numbered_anew(cursor, state):
            cursor = Cursor(state.uidvalidity, 0)
        last, mails = cursor.uid, list[SentMail]()
        while uids := self._session.new_uids(last, BATCH):
            heads = self._session.fetch_headers(uids, ("Message-ID", "In-Reply-To", "To", "Cc"))
            mails += [_sent_mail(head) for _, head in sorted(heads.items())]
            last = max(uids)
        self._hold_if_unknown(folder, mails, now)
        return SentNews(folder, Cursor(state.uidvalidity, last), tuple(mails)) if mails else None

    def note_sent(self, news: SentNews | None, tally: FilingTally, now: datetime) -> None:
        """Note on our replies what Sent says; to be done after new mail was handled and before anything is sent."""
        if news is not None:
            with self._database.begin() as connection:
                for mail in news.mails:
                    self._note(connection, mail, tally, now)
                ledger.move_cursor(connection, self._office.name, news.folder, news.cursor, now)
        self._look_up_uncertain(tally, now)
        self._check_placed_drafts(tally, now)

    def do_wishes(self, tally: FilingTally, now: datetime) -> None:
        """File sent replies, place and remove draft copies, set flags; each by itself.

        Raises MailServerError when the connection is lost.
        """
        for wish in (self._file_sent, self._remove_drafts, self._place_drafts, self._flag):
            try:
                wish(tally, now)
            except MailServerError as error:
                self._refused(error, tally)

    def _refused(self, error: MailServerError, tally: FilingTally) -> None:
        if not self._session.usable:
            raise error
        tally.refused.append(str(error))

    def _hold_if_unknown(self, folder: str, mails: list[SentMail], now: datetime) -> None:
        ours = {mail.own_id for mail in mails if is_own_message_id(self._office.key, mail.own_id)}
        if not ours:
            return
        with self._database.read() as connection:
            unknown = takeover.unknown_ids(connection, sorted(ours))
        if unknown:
            reason = (
                f"{self._office.name}/{folder} holds {len(unknown)} replies of ours that the database lacks"
            )
            with self._database.begin() as connection:
                switches.hold(connection, reason, now)

    def _note(self, connection: Connection, mail: SentMail, tally: FilingTally, now: datetime) -> None:
        if mail.own_id and takeover.seen_in_sent(connection, mail.own_id, now):
            tally.settled += 1
        elif mail.answered and takeover.answered_by_hand(
            connection, self._office.name, mail.answered, mail.recipients, now
        ):
            tally.taken_over += 1

    def _look_up_uncertain(self, tally: FilingTally, now: datetime) -> None:
        """Search Sent for uncertain replies: a provider that files by itself may do so later than we look (rule 75)."""
        with self._database.read() as connection:
            rows = claims.uncertain(connection, self._office.name)
        folder = self._session.find_folder("sent") if rows else None
        if folder is None:
            return
        for row in rows:
            if self._session.search_message_id(folder, row.header_id):
                with self._database.begin() as connection:
                    tally.settled += takeover.seen_in_sent(connection, row.header_id, now)

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
        there = set(self._session.listed([row.draft_uid for row in placed if row.draft_uid]))
        for row in placed:
            if row.draft_uidvalidity != uidvalidity or not row.draft_uid:
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
                    self._session.add_flags(row.folder, [row.uid], (b"\\Answered",))
            except MailServerError as error:
                self._filing_failed(row, error, now)
                self._refused(error, tally)
                continue
            with self._database.begin() as connection:
                lifecycle.filed(connection, row.id)
            tally.filed += 1

    def _filing_failed(self, row: Any, error: MailServerError, now: datetime) -> None:
        wait = min(FILING_RETRY * 2 ** min(row.filing_attempts, 10), FILING_RETRY_MAX)
        with self._database.begin() as connection:
            lifecycle.filing_again(connection, row.id, now + wait)
            if row.filing_attempts + 1 == FILING_NOTED_AFTER:
                detail = {"reply": row.id, "why": str(error)}
                audit.record(
                    connection, [audit.Entry(row.ticket_id, audit.MACHINE, "not_filed", detail)], now
                )

    def _remove_drafts(self, tally: FilingTally, now: datetime) -> None:
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
            try:
                uidvalidity, uid = self._place(folder, row, now)
            except MailServerError as error:
                self._refused(error, tally)
                continue
            with self._database.begin() as connection:
                lifecycle.copy_placed(connection, row.id, uidvalidity, uid)
            tally.drafts_placed += 1

    def _place(self, folder: str, row: Any, now: datetime) -> tuple[int, int]:
        """Place one copy; return its (UIDVALIDITY, UID), the UID 0 where the server does not tell."""
        # A copy from an append whose answer was lost is found by its Message-ID, not placed twice.
        found = self._session.search_message_id(folder, row.header_id)
        uidvalidity = self._session.select(folder, readonly=True).uidvalidity
        if not found:
            placed = self._session.append(folder, row.data, (b"\\Draft", b"\\Seen"), now)
            if placed is not None:
                return placed
            found = self._session.search_message_id(folder, row.header_id)
        return uidvalidity, found[-1] if found else 0

    def _flag(self, tally: FilingTally, now: datetime) -> None:
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


def _sent_mail(head: bytes) -> SentMail:
    values = {name.lower(): value for name, value in fields(head)[0]}
    return SentMail(
        own_id=next(iter(message_ids(values.get("message-id", ""))), ""),
        answered=tuple(message_ids(values.get("in-reply-to", ""))),
        recipients=tuple(one.address for one in mailboxes((values.get("to", ""), values.get("cc", "")))),
    )
