"""A topic as a value: what content/<slug>/answer.md holds, checked and typed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Document:
    """One item of a topic's list of requirements, in the order of the source."""

    name: str  # short, as staff and acknowledgements call it
    wording: str = ""  # the item as vendors read it, may hold places; "" = the name
    form: str = ""  # "asli", "softcopy PDF berwarna", ...
    signed_by: str = ""
    applies_to: str = ""  # "Penyedia Badan Usaha", ...; "" = everyone
    aliases: tuple[str, ...] = ()  # other words for it in file names
    condition: bool = False  # a condition that stands in the list, not a paper to hand in


@dataclass(frozen=True, slots=True)
class Link:
    """A link shown to vendors. While the address is not confirmed, `url` is a place for it."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Note:
    """A note that renders only while valid; both dates inclusive, None = open."""

    text: str
    valid_from: date | None = None
    valid_to: date | None = None

    def valid(self, on: date) -> bool:
        return (self.valid_from is None or self.valid_from <= on) and (
            self.valid_to is None or on <= self.valid_to
        )


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A fact that the owner has not confirmed. In the text `{{ fakta.<key> }}` stands in its place."""

    key: str  # names the place in the text
    what: str  # what is not known, in Indonesian; shown as [belum dikonfirmasi: what]
    reading: str = ""  # the likeliest reading; used once confirmed; "" = nothing is known
    evidence: str = ""  # why this reading, and what speaks against it
    in_text: bool = (
        True  # False: too dangerous to show (phishing) or no words of its own; only blocks sending
    )


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic folder. `body` is Markdown with `{{ fakta.<key> }}` places; `confirmed` fills them."""

    slug: str
    title: str
    owner: str
    source: str
    body: str
    valid_from: date | None
    review_by: date | None
    valid_to: date | None
    documents: tuple[Document, ...]
    links: tuple[Link, ...]
    attachments: tuple[str, ...]  # names of files in the folder
    notes: tuple[Note, ...]
    unconfirmed: tuple[Unconfirmed, ...]  # still open; settled ones are in `confirmed`
    confirmed: dict[str, str] = field(default_factory=dict)  # key → text settled by the owner
    path: Path = field(default_factory=Path)  # the topic's folder
    digest: str = ""  # SHA-256 of answer.md and confirmed.yaml: the content version recorded with each reply
    owner_notes: tuple[str, ...] = ()  # questions for the content owner; never shown to vendors

    def problems(self, on: date) -> list[str]:
        """Why this topic may not be sent automatically on the day `on` (Indonesian, for the queue); [] = it may."""
        found = [f"fakta belum dikonfirmasi: {fact.what}" for fact in self.unconfirmed]
        if self.valid_to is not None and on > self.valid_to:
            found.append(f"masa berlaku isi berakhir {self.valid_to.isoformat()}")
        if self.valid_from is not None and on < self.valid_from:
            found.append(f"isi baru berlaku mulai {self.valid_from.isoformat()}")
        return found
