"""One IMAP connection, as the pipeline uses it: reading by UID, filing, flags, waiting for mail.

Nothing here depends on \\Seen, and nothing removes mail of others: no plain EXPUNGE, no folder created unasked.
"""

from __future__ import annotations

import imaplib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientError, ProtocolError
from imapclient.exceptions import LoginError as RefusedLogin

from responder.config import Folders, ImapServer
from responder.errors import MailServerError
from responder.mail import connection, fetch
from responder.mail.fetch import FetchedMail
from responder.mail.folders import Folder, Role, choose

__all__ = ["FetchedMail", "FolderState", "ImapSession"]

MAX_IDLE = 25 * 60  # seconds; IDLE is renewed well before the server's 29 minutes (rule 61, RFC 2177)
LOGOUT_PATIENCE = 5  # seconds; nothing depends on the answer
SEARCH_WINDOW = 80_000  # mails per SEARCH: imaplib gives up on a line over 1,000,000 octets
SET_SIZE = 500  # UIDs named in one command: servers refuse command lines over 8,000 octets

_APPENDUID = re.compile(rb"\[APPENDUID (\d+) (\d+)\]", re.IGNORECASE)
# RFC 5530 codes, and the words of Gmail and Exchange, for a log-in that may work later with the same password.
_LATER = re.compile(
    r"\[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG|CONTACTADMIN)\]|too many|temporar|try again", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class FolderState:
    """What SELECT said (RFC 9051 6.3.2)."""

    uidvalidity: int
    uidnext: int
    exists: int  # mails in the folder
    permanent_flags: frozenset[str] | None  # None: not said, which means that all system flags are kept
    uid_not_sticky: bool  # UIDs do not outlive this connection (rule 55)

    def keeps(self, flag: bytes) -> bool:
        """Whether the server keeps `flag` (rule 56): a keyword only where the list names it or has \\*."""
        name = flag.decode("ascii").lower()
        if self.permanent_flags is None:
            return name.startswith("\\")
        return name in self.permanent_flags or ("\\*" in self.permanent_flags and not name.startswith("\\"))


class ImapSession:
    """One signed-in connection. `select` names the working folder that the methods without a folder use.

    Methods that name a folder visit it and come back. Every method raises MailServerError when the server refuses or
    the connection is lost; after a loss the session is of no more use.
    """

    def __init__(self, server: ImapServer, password: str, folders: Folders) -> None:
        self._server = server
        self._password = password
        self._names = folders
        self._where = connection.name_of("IMAP", server, server.effective_port)
        self._client: IMAPClient | None = None
        self._folder = ""
        self._readonly = False
        self._state: FolderState | None = None
        self._list: list[Folder] | None = None

    @classmethod
    def connect(cls, server: ImapServer, *, password: str, folders: Folders) -> Self:
        """Connect and sign in. Raises LoginError when the credentials are refused, else MailServerError."""
        session = cls(server, password, folders)
        session._open()
        return session

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Log out and close; what goes wrong there changes nothing."""
        client, self._client = self._client, None
        if client is None:
            return
        with suppress(IMAPClientError, OSError):
            client.socket().settimeout(LOGOUT_PATIENCE)
            client.logout()
        with suppress(IMAPClientError, OSError):
            client.shutdown()

    @property
    def usable(self) -> bool:
        """False once the connection was lost or closed."""
        return self._client is not None

    @property
    def can_idle(self) -> bool:
        return self._can("IDLE")

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
        self._folder, self._readonly = folder, readonly
        self._state = FolderState(
            uidvalidity=answer[b"UIDVALIDITY"],
            uidnext=uidnext,
            exists=answer.get(b"EXISTS", 0),
            permanent_flags=None
            if flags is None
            else frozenset(f.decode("ascii", "replace").lower() for f in flags),
            uid_not_sticky=b"UIDNOTSTICKY" in answer,
        )
        return self._state

    def new_uids(self, after: int, limit: int) -> list[int]:
        """Return at most `limit` UIDs above `after` in the working folder, ascending.

        `UID n:*` also names the last mail when its UID is below n (RFC 9051 6.4.9): those are dropped (rule 54).
        """
        found: list[int] = []
        for window in self._windows():
            found += [uid for uid in self._search([*window, "UID", f"{after + 1}:*"]) if uid > after]
            if len(found) >= limit:
                break
        return sorted(found)[:limit]

    def all_uids(self) -> list[int]:
        """Return every UID in the working folder, ascending."""
        return sorted(uid for window in self._windows() for uid in self._search(window or ["ALL"]))

    def listed(self, uids: Sequence[int]) -> list[int]:
        """Return those of `uids` that are in the working folder, ascending."""
        found: set[int] = set()
        for start in range(0, len(uids), SET_SIZE):
            wanted = uids[start : start + SET_SIZE]
            found.update(self._search(["UID", ",".join(map(str, wanted))]))
        return sorted(found & set(uids))

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

    def search_header(self, folder: str, name: str, value: str) -> list[int]:
        """Return the UIDs in `folder` of mails whose header `name` holds `value`, ascending."""
        with self._visiting(folder, readonly=True):
            return sorted(self._search(["HEADER", name, value]))

    def add_flags(self, folder: str, uids: Sequence[int], flags: Sequence[bytes]) -> bool:
        """Set `flags` on `uids`, leaving out those that the server does not keep; return whether it keeps all (rule 56)."""
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
        """Return all folders of the mailbox; asked for once per session."""
        if self._list is None:
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
        self._list = None

    def status(self, folder: str) -> FolderState:
        """Return the state of `folder` without selecting it; `permanent_flags` is not known then."""
        with self._talking(f"status of folder {folder!r}") as client:
            answer = client.folder_status(folder, ["MESSAGES", "UIDNEXT", "UIDVALIDITY"])
        return FolderState(
            uidvalidity=answer[b"UIDVALIDITY"],
            uidnext=answer[b"UIDNEXT"],
            exists=answer[b"MESSAGES"],
            permanent_flags=None,
            uid_not_sticky=False,
        )

    def noop(self) -> None:
        """Ask for nothing: keeps the connection, or finds that it is lost."""
        with self._talking("NOOP") as client:
            client.noop()

    def idle(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds; return True as soon as the server tells of mail in the working folder.

        False at once when the server has no IDLE (`can_idle`). IDLE is renewed every `MAX_IDLE` seconds and every
        answer has a time limit, so a dead link ends in MailServerError (rule 61). Mail that was there before is not
        told of, nor is every change: a plain poll must run anyway.
        """
        if not self.can_idle:
            return False
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            with self._talking("IDLE") as client:
                client.idle()
                told = client.idle_check(timeout=min(left, MAX_IDLE))
                # DONE also brings what came in one packet with the server's "+", which no poll of the socket shows.
                told += client.idle_done()[1]
            if any(len(line) > 1 and line[1] == b"EXISTS" for line in told):
                return True
        return False

    def _open(self) -> None:
        server = self._server
        try:
            client = IMAPClient(
                server.host,
                server.effective_port,
                ssl=server.security == "tls",
                ssl_context=connection.tls_context() if server.security == "tls" else None,
                timeout=SocketTimeout(server.timeout_seconds, server.timeout_seconds),
            )
        except (IMAPClientError, OSError) as error:
            raise connection.explain(self._where, error) from error
        try:
            # IMAPClient sets imaplib's debug level 5, which makes a repr of every octet received: five times the CPU.
            client._imap.debug = 0
            client.normalise_times = False
            if server.security == "starttls":
                client.starttls(connection.tls_context())
            client.login(server.username, self._password)
        except BaseException as error:
            with suppress(IMAPClientError, OSError):
                client.shutdown()
            if not isinstance(error, (IMAPClientError, OSError)):
                raise
            raise self._not_signed_in(error) from error
        self._client = client

    def _not_signed_in(self, error: IMAPClientError | OSError) -> MailServerError:
        lost = isinstance(error.__context__, (imaplib.IMAP4.abort, OSError))
        if isinstance(error, RefusedLogin) and not lost and not _LATER.search(str(error)):
            answer = connection.one_line(error).removeprefix("login failed: ")
            return connection.refused_login(self._where, self._server.username, answer)
        return connection.explain(self._where, error)

    @contextmanager
    def _talking(self, what: str) -> Iterator[IMAPClient]:
        """The client; its errors become MailServerError, and one that leaves the dialogue unclear ends the session."""
        if self._client is None:
            raise MailServerError(f"{self._where}: the connection is closed")
        try:
            yield self._client
        except (imaplib.IMAP4.abort, ProtocolError, OSError) as error:
            self._lose()
            raise connection.explain(f"{self._where}: {what}", error) from error
        except IMAPClientError as error:
            raise MailServerError(f"{self._where}: {what}: {connection.one_line(error)}") from error
        except BaseException:
            self._lose()
            raise

    def _lose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(IMAPClientError, OSError):
                client.shutdown()

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

    def _can(self, capability: str) -> bool:
        # Read after the log-in only: Office 365 shows MOVE to nobody else.
        with self._talking("capabilities") as client:
            return bool(client.has_capability(capability))

    def _windows(self) -> list[list[str]]:
        """Search keys that divide the working folder so that no answer is too long a line for imaplib."""
        if self._state is None:
            raise MailServerError(f"{self._where}: no folder is selected")
        if self._state.exists <= SEARCH_WINDOW:
            return [[]]
        starts = range(1, self._state.exists + 1, SEARCH_WINDOW)
        last = starts[-1]
        return [[f"{start}:{'*' if start == last else start + SEARCH_WINDOW - 1}"] for start in starts]

    def _search(self, criteria: list[str]) -> list[int]:
        with self._talking("search") as client:
            # Dovecot and pymap search what the connection was last told of; NOOP makes them tell.
            client.noop()
            return list(client.search(criteria))

    def _fetch(self, uids: Sequence[int], items: Sequence[str]) -> Mapping[int, Mapping[bytes, Any]]:
        answers: dict[int, Mapping[bytes, Any]] = {}
        for start in range(0, len(uids), SET_SIZE):
            with self._talking("fetch") as client:
                answers |= client.fetch(uids[start : start + SET_SIZE], items)
        return answers

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


def _list_special(client: IMAPClient, options: tuple[str, ...]) -> list[Any]:
    """LIST with SPECIAL-USE marks (RFC 6154 3), which servers may leave out of the plain answer."""
    client._imap.xatom("LIST", '""', '"*"', *options)
    return list(client._proc_folder_list(client._imap.response("LIST")[1]))
