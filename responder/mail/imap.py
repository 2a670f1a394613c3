"""One IMAP connection, as the pipeline uses it: reading by UID, filing, flags, waiting for mail.

Nothing here depends on \\Seen, and nothing removes mail of others: no plain EXPUNGE, no folder created unasked.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from imapclient import IMAPClient

from responder.config import Folders, ImapServer
from responder.errors import MailServerError
from responder.mail import fetch
from responder.mail.fetch import FetchedMail
from responder.mail.folders import Folder, Role, choose
from responder.mail.imap_connection import ImapConnection

__all__ = ["FetchedMail", "FolderState", "ImapSession"]

SEARCH_WINDOW = 80_000  # mails per SEARCH: imaplib gives up on a line over 1,000,000 octets
SMALL_WINDOW = 10_000  # where all mails are looked at: what a longer answer takes in memory is not given back
LIST_SECONDS = 600.0  # staff rename a folder rarely, and a select that fails ends a kept session
IDS_AT_ONCE = 8  # in one SEARCH: RFC 2683 3.2.1.5 asks for command lines of at most 1,000 octets
SET_SIZE = 500  # UIDs named in one command: servers refuse command lines over 8,000 octets

_APPENDUID = re.compile(rb"\[APPENDUID (\d+) (\d+)\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FolderState:
    """What SELECT said (RFC 9051 6.3.2)."""

    uidvalidity: int
    uidnext: int
    exists: int  # mails in the folder
    permanent_flags: frozenset[str] | None  # None: not said, which means that all system flags are kept
    uid_not_sticky: bool  # UIDs do not outlive this connection (rule 55)
    uidnext_said: bool = True  # False: not said, `uidnext` is one more than the last UID that is there

    def keeps(self, flag: bytes) -> bool:
        """Whether the server keeps `flag` (rule 56): a keyword only where the list names it or has \\*."""
        name = flag.decode("ascii").lower()
        if self.permanent_flags is None:
            return name.startswith("\\")
        return name in self.permanent_flags or ("\\*" in self.permanent_flags and not name.startswith("\\"))


class ImapSession(ImapConnection):
    """One signed-in connection. `select` names the working folder that the methods without a folder use.

    Methods that name a folder visit it and come back. Every method raises MailServerError when the server refuses or
    the connection is lost; after a loss the session is of no more use.
    """

    def __init__(self, server: ImapServer, password: str, folders: Folders) -> None:
        super().__init__(server, password)
        self._names = folders
        self._folder = ""
        self._readonly = False
        self._state: FolderState | None = None
        self._list: list[Folder] | None = None
        self._listed_at = 0.0

    @classmethod
    def connect(cls, server: ImapServer, *, password: str, folders: Folders) -> Self:
        """Connect and sign in. Raises LoginError when the credentials are refused, else MailServerError."""
        session = cls(server, password, folders)
        session._open()
        return session

    def still_there(self) -> bool:
        """Whether a kept connection still answers; it does not remember a folder list for longer than LIST_SECONDS."""
        if not self.usable:
            return False
        if self._listed_at + LIST_SECONDS < time.monotonic():
            self._list = None
        try:
            self.noop()
        except MailServerError:
            self.close()
        return self.usable

    def select(self, folder: str, readonly: bool = False) -> FolderState:
        """Make `folder` the working folder. Raises MailServerError when it is not there or gives no UIDVALIDITY."""
        with self._talking(f"folder {folder!r}") as client:
            answer = client.select_folder(folder, readonly)
            if b"UIDVALIDITY" not in answer:
                raise MailServerError(
                    f"{self._where}: folder {folder!r} has no UIDVALIDITY, its mails cannot be told apart"
                )
            uidnext = answer.get(b"UIDNEXT") or max(client.search(["UID", "*"]), default=0) + 1
        flags = answer.get(b"PERMANENTFLAGS")
        self._folder, self._readonly, self._fresh = folder, readonly, True
        self._state = FolderState(
            uidvalidity=answer[b"UIDVALIDITY"],
            uidnext=uidnext,
            exists=answer.get(b"EXISTS", 0),
            permanent_flags=None
            if flags is None
            else frozenset(f.decode("ascii", "replace").lower() for f in flags),
            uid_not_sticky=b"UIDNOTSTICKY" in answer,
            uidnext_said=b"UIDNEXT" in answer,
        )
        return self._state

    def new_uids(self, after: int, limit: int) -> list[int]:
        """Return at most `limit` UIDs above `after` in the working folder, ascending.

        `UID n:*` also names the last mail when its UID is below n (RFC 9051 6.4.9): those are dropped (rule 54).
        """
        state, fresh = self._state, self._fresh
        self._fresh = False  # what SELECT said answers the first question only: mail may have come since
        if fresh and state is not None and state.uidnext_said and state.uidnext == after + 1:
            return []
        found = self._search_all(["UID", f"{after + 1}:*"], SEARCH_WINDOW)
        return [uid for uid in found if uid > after][:limit]

    def all_uids(self) -> list[int]:
        """Return every UID in the working folder, ascending."""
        return self._search_all(["ALL"], SMALL_WINDOW)

    def undeleted(self) -> list[int]:
        """Return every UID in the working folder that no client has marked as deleted, ascending."""
        return self._search_all(["UNDELETED"], SEARCH_WINDOW)

    def listed(self, uids: Sequence[int]) -> list[int]:
        """Return those of `uids` that are in the working folder, ascending."""
        found: set[int] = set()
        for start in range(0, len(uids), SET_SIZE):
            wanted = uids[start : start + SET_SIZE]
            found.update(self._search(["UID", ",".join(map(str, wanted))]))
        return sorted(found & set(uids))

    def sizes(self) -> Iterator[tuple[int, int]]:
        """Yield UID and RFC822.SIZE in octets of every mail in the working folder, ascending by UID.

        Some hundred are held at a time, as a folder may have a million.
        """
        for answers in self._fetch_in_sets(self.all_uids(), ["RFC822.SIZE"]):
            for uid, answer in sorted(answers.items()):
                if b"RFC822.SIZE" in answer:
                    yield uid, int(answer[b"RFC822.SIZE"])

    def fetch_batch(self, uids: Sequence[int], keep_whole: int, limit: int) -> Iterator[FetchedMail]:
        """Yield the mails `uids` of the working folder; see `fetch.fetch_batch`. Sizes are in octets."""
        return fetch.fetch_batch(self._fetch, self._structure, self.listed, uids, keep_whole, limit)

    def fetch_headers(self, uids: Sequence[int], names: Sequence[str]) -> dict[int, bytes]:
        """Return the header lines `names` of each of `uids` in the working folder, as they stand in the mail."""
        answers = self._fetch(uids, [f"BODY.PEEK[HEADER.FIELDS ({' '.join(names)})]"])
        return {
            uid: value
            for uid, answer in answers.items()
            for key, value in answer.items()
            if key.startswith(b"BODY[HEADER.FIELDS") and isinstance(value, bytes)
        }

    def append(
        self, folder: str, data: bytes, flags: Sequence[bytes], date: datetime
    ) -> tuple[int, int] | None:
        """Add a mail to `folder`. Return (UIDVALIDITY, UID) where the server says it (RFC 4315 3), else None."""
        with self._talking(f"append to folder {folder!r}") as client:
            answer = client.append(folder, data, flags, date)
        found = _APPENDUID.search(answer)
        return (int(found[1]), int(found[2])) if found else None

    def search_message_id(self, folder: str, message_id: str) -> list[int]:
        """Return the UIDs in `folder` of mails with this Message-ID (without angle brackets), ascending."""
        return self.search_header(folder, "Message-ID", f"<{message_id}>")

    def known_message_ids(self, folder: str, message_ids: Sequence[str]) -> set[str]:
        """Return those of `message_ids` (without angle brackets) that mails in `folder` have.

        A server reads a large folder once for several of them, which costs it little more than one.
        """
        found = set[str]()
        with self._visiting(folder, readonly=True):
            for start in range(0, len(message_ids), IDS_AT_ONCE):
                some = message_ids[start : start + IDS_AT_ONCE]
                if self._search(_any_of(some)):
                    found |= {one for one in some if self.search_message_id(folder, one)}
        return found

    def search_header(self, folder: str, name: str, value: str) -> list[int]:
        """Return the UIDs in `folder` of mails whose header `name` holds `value`, ascending."""
        with self._visiting(folder, readonly=True):
            return sorted(self._search(["HEADER", name, value]))

    def add_flags(self, folder: str, uids: Sequence[int], flags: Sequence[bytes]) -> bool:
        """Set those of `flags` on `uids` that the server keeps; return whether it keeps all (rule 56)."""
        with self._visiting(folder, readonly=False) as state:
            kept = [flag for flag in flags if state.keeps(flag)]
            if kept and uids:
                with self._talking(f"flags in folder {folder!r}") as client:
                    client.add_flags(uids, kept, silent=True)
        return len(kept) == len(flags)

    def move(self, folder: str, uids: Sequence[int], target: str, *, message_id: str = "") -> None:
        """Move `uids` from `folder` to `target`: MOVE, else COPY and removal as in `delete` (rule 57).

        With `message_id` of the one mail moved, a copy that an interrupted move left in `target` is not made again.
        """
        copied = (
            bool(message_id) and not self._can("MOVE") and bool(self.search_message_id(target, message_id))
        )
        with self._visiting(folder, readonly=False), self._talking(f"move to folder {target!r}") as client:
            if self._can("MOVE"):
                client.move(uids, target)
                return
            if not copied:
                client.copy(uids, target)
        self.delete(folder, uids)

    def delete(self, folder: str, uids: Sequence[int]) -> bool:
        """Mark `uids` as \\Deleted and, with UIDPLUS, remove exactly them. Return whether they are removed.

        Plain EXPUNGE is never used: it would remove what others marked (rule 57).
        """
        with self._visiting(folder, readonly=False), self._talking(f"delete in folder {folder!r}") as client:
            client.delete_messages(uids, silent=True)
            if self._can("UIDPLUS"):
                client.uid_expunge(uids)
        return self._can("UIDPLUS")

    def folders(self) -> list[Folder]:
        """Return all folders of the mailbox; asked for once per session, see `still_there`."""
        if self._list is None:
            self._listed_at = time.monotonic()
            with self._talking("folder list") as client:
                options = (
                    ("RETURN", "(SPECIAL-USE)")
                    if self._can("SPECIAL-USE") and self._can("LIST-EXTENDED")
                    else ()
                )
                lines = client.list_folders() if not options else _list_special(client, options)
            self._list = [
                Folder(
                    name=name,
                    flags=frozenset(flag.decode("ascii", "replace").lower() for flag in flags),
                    delimiter=delimiter.decode() if delimiter else "",
                )
                for flags, delimiter, name in lines
            ]
        return self._list

    def find_folder(self, role: Role) -> str | None:
        """Return the folder that plays `role`, or None (rule 58); see `folders.choose`. Creates nothing."""
        configured = getattr(self._names, role, "")
        if role == "inbox" and configured in ("", "INBOX"):
            return "INBOX"
        return choose(role, configured, self.folders())

    def create_folder(self, folder: str) -> None:
        """Create `folder` unless it is there. Only for a caller that was told to (rule 58)."""
        if any(one.name == folder for one in self.folders()):
            return
        with self._talking(f"create folder {folder!r}") as client:
            client.create_folder(folder)
            # Mail clients show the folders that are subscribed.
            client.subscribe_folder(folder)
        self._list = None

    def counters(self, folder: str) -> tuple[int, int, int]:
        """Return (UIDVALIDITY, UIDNEXT, number of mails) of `folder`; 0 where the server does not say."""
        if folder == self._folder:
            # Of the selected folder STATUS may tell what the connection was last told (RFC 9051 6.3.11).
            state = self.select(folder, readonly=True)
            return state.uidvalidity, state.uidnext, state.exists
        with self._talking(f"status of folder {folder!r}") as client:
            answer = client.folder_status(folder, ["MESSAGES", "UIDNEXT", "UIDVALIDITY"])
        uidvalidity, uidnext, exists = (
            int(answer.get(name, 0)) for name in (b"UIDVALIDITY", b"UIDNEXT", b"MESSAGES")
        )
        return uidvalidity, uidnext, exists

    @contextmanager
    def _visiting(self, folder: str, *, readonly: bool) -> Iterator[FolderState]:
        if self._state is not None and self._folder == folder and (readonly or not self._readonly):
            yield self._state
            return
        home, home_readonly, home_state = self._folder, self._readonly, self._state
        try:
            yield self.select(folder, readonly)
        finally:
            if home_state is not None and self._client is not None:
                if self.select(home, home_readonly).uidvalidity != home_state.uidvalidity:
                    self._lose()
                    raise MailServerError(
                        f"{self._where}: UIDVALIDITY of folder {home!r} changed; read it again"
                    )
            else:
                self._folder, self._state = "", None

    def _search_all(self, keys: list[Any], length: int) -> list[int]:
        """Every UID of the working folder that `keys` ask for, ascending; searched `length` mails at a time."""
        return sorted({uid for window in self._windows(length) for uid in self._search([*window, *keys])})

    def _windows(self, length: int) -> list[list[str]]:
        """Search keys that divide the working folder so that no answer is too long a line for imaplib.

        The newest mails first: what is removed between two searches moves the newer ones down, into a window that is
        searched again, not out of all of them.
        """
        if self._state is None:
            raise MailServerError(f"{self._where}: no folder is selected")
        if self._state.exists <= length:
            return [[]]
        starts = range(1, self._state.exists + 1, length)
        last = starts[-1]
        return [[f"{start}:{'*' if start == last else start + length - 1}"] for start in reversed(starts)]

    def _search(self, criteria: list[Any]) -> list[int]:
        with self._talking("search") as client:
            # Dovecot and pymap search what the connection was last told of; NOOP makes them tell.
            client.noop()
            return list(client.search(criteria))

    def _fetch(self, uids: Sequence[int], items: Sequence[str]) -> Mapping[int, Mapping[bytes, Any]]:
        answers: dict[int, Mapping[bytes, Any]] = {}
        for some in self._fetch_in_sets(uids, items):
            answers |= some
        return answers

    def _fetch_in_sets(
        self, uids: Sequence[int], items: Sequence[str]
    ) -> Iterator[Mapping[int, Mapping[bytes, Any]]]:
        for start in range(0, len(uids), SET_SIZE):
            with self._talking("fetch") as client:
                answers = client.fetch(uids[start : start + SET_SIZE], items)
            yield answers

    def _structure(self, uid: int) -> Any:
        """Return the parsed BODYSTRUCTURE, or None when it is over what imaplib or IMAPClient can take.

        Some mails are built to be: 5,000 parts make a line that imaplib refuses, 500 levels exhaust the parser's
        stack. The connection is opened again then, so that one such mail does not stop all others.
        """
        assert self._state is not None
        home, readonly, uidvalidity = self._folder, self._readonly, self._state.uidvalidity
        try:
            with self._talking("fetch") as client:
                return client.fetch([uid], ["BODYSTRUCTURE"]).get(uid, {}).get(b"BODYSTRUCTURE")
        except (MailServerError, RecursionError):
            if self._client is not None:
                return None
        self._open()
        if self.select(home, readonly).uidvalidity != uidvalidity:
            self._lose()
            raise MailServerError(f"{self._where}: UIDVALIDITY of folder {home!r} changed; read it again")
        return None


def _any_of(message_ids: Sequence[str]) -> list[Any]:
    """Search keys for mails with any of `message_ids` (RFC 9051 6.4.4: OR takes two keys)."""
    first, *others = (["HEADER", "Message-ID", f"<{one}>"] for one in message_ids)
    keys: list[Any] = first
    for other in others:
        keys = ["OR", other, keys]
    return keys


def _list_special(client: IMAPClient, options: tuple[str, ...]) -> list[Any]:
    """LIST with SPECIAL-USE marks (RFC 6154 3), which servers may leave out of the plain answer."""
    client._imap.xatom("LIST", '""', '"*"', *options)
    return list(client._proc_folder_list(client._imap.response("LIST")[1]))
