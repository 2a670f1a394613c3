"""Wishes about the mailbox: drafts in Drafts, sent replies in Sent, flags on the original.

All of it can fail and be tried again for ever; none of it can send, and nothing here changes what was sent. Sent is
read here too: a reply of staff found there takes over ours (rule 28b); our own Message-ID settles an uncertain reply
(rule 75). What staff do in the other folders is read by `mailclient`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from responder.errors import MailServerError, UnreadableMail
from responder.mail import parse
from responder.mail.imap import ImapSession
from responder.mail.reader import Reader
from responder.mail.tokens import is_own_message_id
from responder.pipeline import clientmail
from responder.pipeline.clientmail import HEAD_FIELDS, Head
from responder.pipeline.intake import numbered_anew
from responder.pipeline.mailclient import ClientTally, MailClient
from responder.pipeline.office import Office
from responder.tickets import audit, claims, ledger, lifecycle, switches, takeover
from responder.tickets.database import Database
from responder.tickets.ledger import Cursor
from responder.tickets.status import DraftCopy, Filing, ReplyStatus
from responder.tickets.takeover import SentByHand

BATCH = 50
HEADS_AT_ONCE = 500  # of Sent, all of which is read after a restore: each search goes through the folder
FILING_RETRY = timedelta(minutes=1)
FILING_RETRY_MAX = timedelta(hours=1)
FILING_NOTED_AFTER = 10
"""A wish that has failed this often is noted on its ticket, once; it is tried for ever."""

STAFF_KEYWORD = "LPSE-Staff"
"""IMAP keyword on mails that a person must answer, where the server takes keywords (rule 56)."""


_NOT_SENT_BY_US = frozenset({ReplyStatus.DRAFTED, ReplyStatus.DISCARDED, ReplyStatus.SUPERSEDED})


@dataclass(slots=True)
class FilingTally:
    """What one pass of filing did."""

    drafts_placed: int = 0
    drafts_removed: int = 0
    filed: int = 0
    flagged: int = 0
    taken_over: int = 0
    settled: int = 0
    client: ClientTally = field(default_factory=ClientTally)
    refused: list[str] = field(default_factory=list)  # wishes that the server refused, to be tried again
    more: bool = False  # as much was done as one pass does; there may be more


@dataclass(frozen=True, slots=True)
class SentNews:
    """What came into Sent since the last look; `cursor` moves when it is noted."""

    folder: str
    cursor: Cursor
    mails: tuple[Head, ...]


@dataclass(frozen=True, slots=True)
class _Answered:
    """A mail in Sent that a person wrote: the mail it answers, and our version that it went out under, if any."""

    message_id: int
    ticket_id: int
    named: Any | None


class Filer:
    """Does the wishes of one office over one IMAP connection."""

    def __init__(self, database: Database, office: Office, session: ImapSession, reader: Reader) -> None:
        self._database = database
        self._office = office
        self._session = session
        self._reader = reader
        self._client = MailClient(database, office, session, reader)

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
        last, mails = cursor.uid, list[Head]()
        while uids := self._session.new_uids(last, HEADS_AT_ONCE):
            heads = self._session.fetch_headers(uids, HEAD_FIELDS)
            mails += [Head.of(uid, head) for uid, head in sorted(heads.items())]
            last = max(uids)
        self._hold_if_unknown(folder, mails, now)
        return SentNews(folder, Cursor(state.uidvalidity, last), tuple(mails)) if mails else None

    def note_sent(self, news: SentNews | None, tally: FilingTally, now: datetime) -> None:
        """Note what Sent and the other folders of staff say; after new mail was handled, before anything is sent."""
        if news is not None:
            for mail in news.mails:
                self._note(mail, news.folder, tally, now)
            with self._database.begin() as connection:
                ledger.move_cursor(connection, self._office.name, news.folder, news.cursor, now)
        self._look_up_uncertain(tally, now)
        tally.client = self._client.look(now)
        tally.refused += tally.client.refused
        tally.taken_over += tally.client.taken_over

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

    def _hold_if_unknown(self, folder: str, mails: list[Head], now: datetime) -> None:
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

    def _note(self, mail: Head, folder: str, tally: FilingTally, now: datetime) -> None:
        with self._database.read() as connection:
            ours = takeover.reply_with_id(connection, self._office.name, mail.own_id)
            answered = self._answered(connection, mail, ours)
        if answered is None:
            with self._database.begin() as connection:
                tally.settled += bool(mail.own_id) and takeover.seen_in_sent(connection, mail.own_id, now)
            return
        sent = self._sent_by_hand(mail, folder, answered)
        with self._database.begin() as connection:
            # Our very words under our own Message-ID: that version is what was sent.
            named_sent = (
                answered.named is not None
                and sent is not None
                and clientmail.same_words(sent.text, answered.named.text)
                and claims.proved_sent(connection, answered.named.id, "found in Sent", now, Filing.DONE)
            )
            takeover.by_hand(
                connection, answered.message_id, answered.ticket_id, sent, now, keep=not named_sent
            )
        tally.taken_over += 1

    def _answered(self, connection: Connection, mail: Head, ours: Any | None) -> _Answered | None:
        """Which mail a person has answered with `mail`; None where it is a reply that we sent, or no reply."""
        if ours is not None:
            by_us = ours.status not in _NOT_SENT_BY_US
            return None if by_us else _Answered(ours.message_id, ours.ticket_id, ours)
        row = takeover.answered_message(connection, self._office.name, mail.answered, mail.recipients)
        return None if row is None else _Answered(row.id, row.ticket_id, None)

    def _sent_by_hand(self, mail: Head, folder: str, answered: _Answered) -> SentByHand | None:
        """What a person wrote; None where it cannot be read: that the mail is answered is known all the same."""
        self._session.select(folder, readonly=True)
        limits = self._office.settings.limits
        fetched = list(self._session.fetch_batch([mail.uid], limits.raw_kept_bytes, limits.message_bytes))
        if not fetched or fetched[0].missing:
            return None
        one = fetched[0]
        try:
            read = (
                self._reader.read(one.raw)
                if one.raw is not None
                else parse.read_parts(one.header, one.parts, one.attachments, one.size)
            )
        except UnreadableMail:
            return None
        with self._database.read() as connection:
            proposed = takeover.proposed(connection, answered.message_id)
        decision, topics = clientmail.judged(answered.named or proposed, read.text)
        return SentByHand(
            header_id=mail.own_id,
            recipient=next(iter(mail.recipients), ""),
            subject=mail.subject,
            text=read.text,
            data=one.raw or one.header,
            decision=decision,
            topics=topics,
        )

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

    def _file_sent(self, tally: FilingTally, now: datetime) -> None:
        with self._database.read() as connection:
            rows = lifecycle.to_file(connection, self._office.name, BATCH, now)
        if not rows:
            return
        copied = self._copy_to_sent(rows, tally, now)
        answered = self._mark_answered(copied, tally, now)
        with self._database.begin() as connection:
            for row in answered:
                lifecycle.filed(connection, row.id)
        tally.filed += len(answered)
        tally.more |= len(answered) == BATCH

    def _copy_to_sent(self, rows: Sequence[Any], tally: FilingTally, now: datetime) -> Sequence[Any]:
        """Those of `rows` that are in Sent: a copy from an earlier try is found by its Message-ID."""
        sent = None if self._office.config.files_sent_itself else self._session.find_folder("sent")
        if sent is None:
            return rows
        try:
            # For all at once, and open while they are added: a server may read all of a folder that is not, each time.
            self._session.select(sent, readonly=True)
            there = self._session.known_message_ids(sent, [row.header_id for row in rows])
        except MailServerError as error:
            self._none_filed(rows, error, tally, now)
            return ()
        copied = []
        for row in rows:
            try:
                if row.header_id not in there:
                    self._session.append(sent, row.data, (b"\\Seen",), row.sent_at)
            except MailServerError as error:
                self._none_filed([row], error, tally, now)
            else:
                copied.append(row)
        return copied

    def _mark_answered(self, rows: Sequence[Any], tally: FilingTally, now: datetime) -> Sequence[Any]:
        """Set \\Answered on the mails that `rows` answer; return those of which nothing remains to be done."""
        inbox = self._office.config.folders.inbox
        try:
            uidvalidity = self._session.select(inbox).uidvalidity
            uids = [row.uid for row in rows if row.folder == inbox and row.uidvalidity == uidvalidity]
            self._session.add_flags(inbox, uids, (b"\\Answered",))
        except MailServerError as error:
            self._none_filed(rows, error, tally, now)
            return ()
        return rows

    def _none_filed(
        self, rows: Sequence[Any], error: MailServerError, tally: FilingTally, now: datetime
    ) -> None:
        for row in rows:
            self._filing_failed(row, error, now)
        self._refused(error, tally)

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
        tally.more |= len(rows) == BATCH

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
        tally.more |= tally.drafts_placed == BATCH

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
        tally.more |= len(rows) == BATCH
