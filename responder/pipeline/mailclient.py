"""The folders that staff work in with their own mail client: Drafts, Approved, Rejected.

Drafts is looked at first and judged last: whatever is missing from it then was already where its move took it when the
other folders were read. A mail is taken out of a folder only when it is stored with us.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import structlog
from sqlalchemy import Connection

from responder.errors import ContentError, MailServerError, Refused, UnreadableMail, UnsendableMail
from responder.mail.imap import ImapSession
from responder.mail.reader import Reader
from responder.pipeline import clientdesk
from responder.pipeline.clientdesk import Drafts, Outcome
from responder.pipeline.clientmail import HEAD_FIELDS, ClientMail, Content, Head
from responder.pipeline.office import Office
from responder.tickets import audit, lifecycle, switches, takeover
from responder.tickets.database import Database

log = structlog.get_logger("responder.mailclient")

Folder = Literal["approved", "rejected"]

BATCH = 50  # mails of a folder looked at in one round
MOST_DRAFTS = 1000
"""Newest mails of Drafts among which the successor of a missing draft is looked for."""

MOST_PLACED = 2000
"""Copies in Drafts that are looked for; those of later versions are when earlier ones are decided."""

LONGEST = 10 * 1024 * 1024
"""Octets of a mail that is sent from Approved, its files included: what most vendors' servers still take."""

NOT_SENT_KEYWORD = "LPSE-Tidak-Dikirim"
"""IMAP keyword on mails in Approved that are not sent, where the server takes keywords (rule 56)."""

_DECIDE: dict[Folder, Callable[[Connection, Office, ClientMail, Drafts, datetime], Outcome]] = {
    "approved": clientdesk.approve,
    "rejected": clientdesk.reject,
}
_STORED = frozenset({Outcome.APPROVED, Outcome.REJECTED, Outcome.KNOWN})


@dataclass(slots=True)
class ClientTally:
    """What staff did in their mail client since the last look."""

    approved: int = 0
    rejected: int = 0
    turned_down: int = 0
    edited: int = 0
    taken_over: int = 0
    refused: list[str] = field(default_factory=list)  # what server or content stood in the way of


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is known of the UIDs of one folder: each is decided about once."""

    uidvalidity: int
    take_out: frozenset[int] = frozenset()  # stored with us
    mark: frozenset[int] = frozenset()  # to be marked as not sent
    left: frozenset[int] = frozenset()  # stay where they are

    @property
    def decided(self) -> frozenset[int]:
        return self.take_out | self.mark | self.left

    def among(self, there: Collection[int], listed: Collection[int]) -> _Kept:
        """Those that are still `there`; what is to be taken out also where only marked as deleted."""
        uids = frozenset(there)
        return _Kept(self.uidvalidity, self.take_out & frozenset(listed), self.mark & uids, self.left & uids)


class MailClient:
    """Looks at one office's folders over one IMAP connection."""

    def __init__(self, database: Database, office: Office, session: ImapSession, reader: Reader) -> None:
        self._database = database
        self._office = office
        self._session = session
        self._reader = reader

    def look(self, now: datetime) -> ClientTally:
        """Take in everything that staff did; to be done before anything is sent (rule 28b).

        What cannot be decided waits in its folder. Raises StoreError, and MailServerError when the connection is lost
        or Drafts is refused.
        """
        tally = ClientTally()
        drafts = self._drafts() if self._placed(1) else Drafts()
        for role in _DECIDE:
            try:
                folder = self._find(role)
                if folder is not None:
                    self._decide_all(role, folder, drafts, tally, now)
            except (MailServerError, ContentError) as error:
                if not self._session.usable:
                    raise
                tally.refused.append(str(error))
        self._judge_missing(drafts, tally, now)
        return tally

    def _find(self, role: Folder) -> str | None:
        """The folder by its configured name, made when it is not there, or by a usual one."""
        folder = self._session.find_folder(role)
        configured: str = getattr(self._office.config.folders, role)
        if folder is None and configured:
            self._session.create_folder(configured)
            folder = configured
        return folder

    def _drafts(self) -> Drafts:
        folder = self._session.find_folder("drafts")
        if folder is None:
            return Drafts()
        state = self._session.select(folder, readonly=True)
        return Drafts(state.uidvalidity, frozenset(self._session.undeleted()))

    def _placed(self, most: int = MOST_PLACED) -> Sequence[Any]:
        with self._database.read() as connection:
            return lifecycle.placed_copies(connection, self._office.name, most)

    def _decide_all(
        self, role: Folder, folder: str, drafts: Drafts, tally: ClientTally, now: datetime
    ) -> None:
        state = self._session.select(folder, readonly=True)
        there = self._session.undeleted() if state.exists else []
        with self._database.read() as connection:
            before = _recall(connection, self._key(role))
        kept = _Kept(state.uidvalidity)
        if before.uidvalidity == state.uidvalidity:
            # A kill may have come between marking them as deleted and removing them.
            kept = before.among(there, self._session.listed(sorted(before.take_out)))
        # The newest first: while a client stores a draft anew, the older one stands beside it for a moment.
        fresh = [uid for uid in reversed(there) if uid not in kept.decided][:BATCH]
        for mail in self._read(fresh):
            kept = self._decide(role, folder, mail, drafts, kept, tally, now)
        if kept.mark:
            self._session.add_flags(folder, sorted(kept.mark), (b"\\Flagged",))
            self._session.add_flags(folder, sorted(kept.mark), (NOT_SENT_KEYWORD.encode("ascii"),))
        if kept.take_out:
            self._session.delete(folder, sorted(kept.take_out))
        done = _Kept(kept.uidvalidity, frozenset(), frozenset(), kept.left | kept.mark)
        if done != before:
            with self._database.begin() as connection:
                _remember(connection, self._key(role), done)

    def _decide(
        self,
        role: Folder,
        folder: str,
        mail: ClientMail,
        drafts: Drafts,
        kept: _Kept,
        tally: ClientTally,
        now: datetime,
    ) -> _Kept:
        def work(connection: Connection) -> tuple[Outcome, _Kept]:
            outcome = _DECIDE[role](connection, self._office, mail, drafts, now)
            if role == "approved" and outcome is Outcome.FOREIGN:
                detail = {"mailbox": self._office.name, "folder": folder, "uid": mail.head.uid}
                entry = audit.Entry(audit.INSTALLATION, audit.MACHINE, "not_ours_in_approved", detail)
                audit.record(connection, [entry], now)
            after = _with(kept, role, outcome, mail.head.uid)
            # Decision and memory are one: an approval that is taken back is not repeated by the same mail.
            _remember(connection, self._key(role), after)
            return outcome, after

        outcome, after = self._database.write(work)
        tally.approved += outcome is Outcome.APPROVED
        tally.rejected += outcome is Outcome.REJECTED
        if role == "approved" and outcome in {Outcome.TURNED_DOWN, Outcome.FOREIGN}:
            tally.turned_down += 1
            log.warning(
                "not sent from the approved folder",
                mailbox=self._office.name,
                folder=folder,
                uid=mail.head.uid,
                why="no draft of ours" if outcome is Outcome.FOREIGN else "see the ticket",
            )
        return after

    def _read(self, uids: Sequence[int]) -> list[ClientMail]:
        """The mails `uids` of the selected folder, in this order; those that vanished meanwhile are left out."""
        fetched = {one.uid: one for one in self._session.fetch_batch(uids, LONGEST, 0)} if uids else {}
        found = []
        for uid in uids:
            one = fetched.get(uid)
            if one is None or one.missing:
                continue
            head = Head.of(uid, one.header)
            if one.raw is None:
                why = f"surat lebih besar dari {LONGEST // 1024 // 1024} MiB."
                found.append(ClientMail(head, None, why))
                continue
            try:
                found.append(ClientMail(head, Content.of(one.raw, self._reader.read)))
            except UnreadableMail as error:
                found.append(ClientMail(head, None, f"surat tidak dapat dibaca ({error})."))
        return found

    def _judge_missing(self, drafts: Drafts, tally: ClientTally, now: datetime) -> None:
        """A placed draft that is no longer there was edited, or taken over; or the folder was renumbered."""
        placed = self._placed()
        missing = [
            row
            for row in placed
            if row.draft_uidvalidity != drafts.uidvalidity or row.draft_uid not in drafts.uids
        ]
        folder = self._session.find_folder("drafts") if missing else None
        if folder is None:
            return
        uidvalidity = self._session.select(folder, readonly=True).uidvalidity
        taken = {row.draft_uid for row in placed if row.draft_uidvalidity == uidvalidity} - {
            row.draft_uid for row in missing
        }
        uids = [uid for uid in self._session.undeleted() if uid not in taken][-MOST_DRAFTS:]
        heads = [
            Head.of(uid, block)
            for uid, block in sorted(self._session.fetch_headers(uids, HEAD_FIELDS).items(), reverse=True)
        ]
        with self._database.read() as connection:
            versions = [lifecycle.reply(connection, row.id) for row in missing]
        for row in filter(None, versions):
            head = next((one for one in heads if clientdesk.is_version_of(self._office, one, row)), None)
            if head is not None:
                heads.remove(head)
            self._judge(row, head, uidvalidity, tally, now)

    def _judge(
        self, row: Any, head: Head | None, uidvalidity: int, tally: ClientTally, now: datetime
    ) -> None:
        mails = self._read([head.uid]) if head is not None else []
        if mails and self._save(row, mails[0], uidvalidity, now):
            tally.edited += 1
            return
        unknown = not row.draft_uid or row.draft_uidvalidity != uidvalidity
        with self._database.begin() as connection:
            if unknown and not mails:
                lifecycle.copy_wanted(connection, row.id)
            else:
                tally.taken_over += takeover.draft_gone(connection, row.id, now)

    def _save(self, row: Any, mail: ClientMail, uidvalidity: int, now: datetime) -> bool:
        try:
            return self._database.write(
                lambda connection: clientdesk.saved(connection, self._office, row.id, mail, uidvalidity, now)
            )
        except (Refused, UnsendableMail, ContentError) as error:
            # Held and shown to a person, who still has the words in Drafts.
            log.warning("edited draft not taken", mailbox=self._office.name, reply=row.id, why=str(error))
            return False

    def _key(self, role: Folder) -> str:
        return f"folder:{role}:{self._office.name}"


def _with(kept: _Kept, role: Folder, outcome: Outcome, uid: int) -> _Kept:
    one = frozenset({uid})
    if outcome in _STORED:
        return _Kept(kept.uidvalidity, kept.take_out | one, kept.mark, kept.left)
    if role == "approved":
        return _Kept(kept.uidvalidity, kept.take_out, kept.mark | one, kept.left)
    return _Kept(kept.uidvalidity, kept.take_out, kept.mark, kept.left | one)


def _recall(connection: Connection, key: str) -> _Kept:
    value = switches.recall(connection, key)
    uids = [frozenset(value.get(name, ())) for name in ("take_out", "mark", "left")]
    return _Kept(int(value.get("uidvalidity", 0)), *uids)


def _remember(connection: Connection, key: str, kept: _Kept) -> None:
    value = {
        "uidvalidity": kept.uidvalidity,
        "take_out": sorted(kept.take_out),
        "mark": sorted(kept.mark),
        "left": sorted(kept.left),
    }
    switches.remember(connection, key, value)
