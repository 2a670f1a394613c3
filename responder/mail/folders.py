"""Which folder of a mailbox plays which role (rule 58). A choice among listed folders: nothing is created here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Role = Literal["inbox", "drafts", "sent", "approved", "rejected", "junk"]

SPECIAL_USE = {"drafts": "\\drafts", "sent": "\\sent", "junk": "\\junk"}  # RFC 6154 2, lower case

# Names as Dovecot, Gmail, Exchange, Zimbra, cPanel and Thunderbird give them, in English and Indonesian; the first
# that exists wins, compared without case and without the parents' names.
USUAL_NAMES: dict[Role, tuple[str, ...]] = {
    "inbox": ("inbox",),
    "drafts": ("drafts", "draft", "draf", "draf pesan", "konsep"),
    "sent": (
        "sent",
        "sent items",
        "sent mail",
        "sent messages",
        "terkirim",
        "pesan terkirim",
        "surat terkirim",
        "item terkirim",
        "kotak terkirim",
    ),
    "approved": ("approved", "disetujui", "setuju"),
    "rejected": ("rejected", "ditolak", "tolak"),
    "junk": ("junk", "spam", "junk e-mail", "junk email", "email sampah", "pesan sampah"),
}


@dataclass(frozen=True, slots=True)
class Folder:
    """One line of LIST (RFC 9051 7.3.1)."""

    name: str  # decoded from modified UTF-7
    flags: frozenset[str]  # lower case, with the backslash
    delimiter: str  # "" when the server has a flat namespace

    @property
    def selectable(self) -> bool:
        return not self.flags & {"\\noselect", "\\nonexistent"}

    @property
    def leaf(self) -> str:
        """The last component of the name, lower case."""
        return (self.name.rpartition(self.delimiter)[2] if self.delimiter else self.name).lower()


def choose(role: Role, configured: str, folders: Sequence[Folder]) -> str | None:
    """Return the name of the folder that plays `role`, or None when there is none.

    A configured name is the operator's decision and is taken alone: another folder in its place would surprise.
    Without one, the folder that the server marks by SPECIAL-USE, then one with a usual name, the outermost first.
    """
    there = [folder for folder in folders if folder.selectable]
    if role == "inbox" and configured in ("", "INBOX"):
        return "INBOX"
    if configured:
        return next((folder.name for folder in there if folder.name == configured), None)
    mark = SPECIAL_USE.get(role)
    if mark is not None:
        for folder in there:
            if mark in folder.flags:
                return folder.name
    outermost = sorted(
        there, key=lambda folder: folder.name.count(folder.delimiter) if folder.delimiter else 0
    )
    for usual in USUAL_NAMES[role]:
        for folder in outermost:
            if folder.leaf == usual:
                return folder.name
    return None
