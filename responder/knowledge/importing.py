"""`content import`: rows of the office's table become topic folders, everything uncertain marked.

A table is copied by people and read by machines: addresses, links, amounts and years in it are the facts that hurt
when they are wrong. Each becomes an unconfirmed fact, which blocks automatic sending until the owner confirms it.
"""

from __future__ import annotations

import difflib
import re
import shutil
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path

import yaml
from rapidfuzz import fuzz, utils

from responder.errors import ContentError
from responder.files import replacing
from responder.knowledge import markdown, places, schema
from responder.knowledge.table import Row
from responder.knowledge.topic import Topic

SAME_TITLE = 88.0  # RapidFuzz ratio of titles from which a row is taken for a topic that exists
REVIEW_WITHIN = timedelta(days=30)

_URL = re.compile(r"(?:https?://|www\.)[^\s<>\"\]]*[^\s<>\"\].,;:)]")
_EMAIL = re.compile(r"[\w.+-]+ ?@ ?[\w-]+(?: ?\. ?[\w-]+)+")
_AMOUNT = re.compile(r"Rp\.? ?\d+(?:[.,]\d+)*(?:,-)?|\b\d{1,3} ?%")
_UNREADABLE = re.compile(r"\[(?:tidak terbaca|\?)[^\]]*\]|\[\?\]|\ufffd+", re.IGNORECASE)
_ITEM = re.compile(r"^ *(?:(\d{1,2})|([a-z]))[.)] ", re.MULTILINE)
_MARKDOWN_ITEM = re.compile(r" *(?:\d{1,2}[.)]|-) ")
_LONG = 200  # characters from which an end without punctuation is looked at
_YEAR = re.compile(r"\b20[0-3]\d\b")
_PASSING = re.compile(r"\b(?:pandemi|covid\S*|sementara|selama masa)\b", re.IGNORECASE)
_NOT_A_SLUG = re.compile(r"[^a-z0-9]+")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069]")


class State(StrEnum):
    """How a row of the table stands to the content there is."""

    NEW = "baru"
    CHANGED = "berbeda"
    SAME = "sama"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one row of the table would become."""

    row: Row
    slug: str
    state: State
    answer: str  # the whole answer.md
    uncertain: tuple[str, ...]  # what is marked, one line each
    difference: tuple[str, ...]  # unified diff of the words vendors read, old to new; empty for a new topic


def propose(
    rows: Sequence[Row], topics: Mapping[str, Topic], owner: str, source: str, on: date
) -> list[Proposal]:
    """Return a proposal for each row, in the table's order. Raises ContentError when two rows are one topic."""
    proposals: list[Proposal] = []
    lines: dict[str, int] = {}
    for row in rows:
        slug = _slug(row.title, topics)
        if slug in lines:
            raise ContentError(
                f"baris {row.line} dan baris {lines[slug]} menjadi topik yang sama ({slug}); bedakan Jenis Konten-nya"
            )
        lines[slug] = row.line
        proposals.append(_proposal(row, slug, topics.get(slug), owner, source, on))
    return proposals


def write(proposals: Sequence[Proposal], directory: Path, *, replace: bool) -> list[Path]:
    """Write the topic folders that are new or changed; return the files written.

    An answer.md that exists is only touched with `replace`, and then kept as `.answer.md.lama` beside the other.
    Raises ContentError before anything is written when a file is in the way, and when writing fails.
    """
    wanted = [one for one in proposals if one.state is not State.SAME]
    taken = [directory / one.slug / schema.ANSWER for one in wanted]
    taken = [path for path in taken if path.exists()]
    if taken and not replace:
        raise ContentError(
            f"{taken[0]} sudah ada; tulis ke folder lain dengan --into, atau ganti isinya dengan --replace"
        )
    written = []
    for one in wanted:
        path = directory / one.slug / schema.ANSWER
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as part:
                part.write_text(one.answer, encoding="utf-8")
                if path.exists():
                    shutil.copyfile(path, path.with_name(".answer.md.lama"))
        except OSError as error:
            raise ContentError(f"{path}: tidak dapat ditulis: {error.strerror}") from error
        written.append(path)
    return written


def _slug(title: str, topics: Mapping[str, Topic]) -> str:
    scored = [
        (fuzz.ratio(title, topic.title, processor=utils.default_process), slug)
        for slug, topic in topics.items()
    ]
    best, slug = max(scored, default=(0.0, ""))
    if best >= SAME_TITLE:
        return slug
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    made = _NOT_A_SLUG.sub("-", plain).strip("-")[:60].strip("-")
    if not made:
        raise ContentError(f"Jenis Konten {title!r} tidak dapat menjadi nama folder; pakai huruf Latin")
    return made


def _proposal(row: Row, slug: str, topic: Topic | None, owner: str, source: str, on: date) -> Proposal:
    facts = _Facts()
    body = _markdown(row.text, facts)
    links = [
        {"label": _label(line), "url": facts.place("tautan", "alamat laman lampiran", url)}
        for line in row.attachment.splitlines()
        for url in _URL.findall(line)
    ]
    doubts = list(_doubts(row))
    for doubt in doubts:
        facts.check(doubt)
    front = {
        "title": " ".join(row.title.split()),
        "owner": owner,
        "source": f"{source}, baris {row.line}" + (f" (No {row.number})" if row.number else ""),
        "valid_from": on,
        "review_by": on + REVIEW_WITHIN,
        "links": links,
        "unconfirmed": facts.entries,
    }
    head = yaml.safe_dump(
        {key: value for key, value in front.items() if value}, allow_unicode=True, sort_keys=False, width=110
    )
    difference = () if topic is None else tuple(_difference(topic, row))
    state = State.NEW if topic is None else State.CHANGED if difference else State.SAME
    marked = tuple(
        f"{fact['what']}: {fact['reading'] or 'tidak terbaca'}"
        for fact in facts.entries
        if "in_text" not in fact
    )
    return Proposal(row, slug, state, f"---\n{head}---\n\n{body}\n", (*marked, *doubts), difference)


class _Facts:
    """The facts found in one row; the same reading is one fact, wherever it stands."""

    def __init__(self) -> None:
        self.entries: list[dict[str, str | bool]] = []
        self._keys: dict[tuple[str, str], str] = {}

    def place(self, kind: str, what: str, reading: str) -> str:
        key = self._keys.get((kind, reading)) if reading else None
        if key is None:
            number = self._number(kind)
            key = f"{kind}_{number}"
            self._keys[kind, reading] = key
            self.entries.append(
                {
                    "key": key,
                    "what": what if number == 1 else f"{what} ke-{number}",
                    "reading": reading,
                    "evidence": "Disalin dari tabel; cocokkan dengan sumber aslinya.",
                }
            )
        return f"{{{{ fakta.{key} }}}}"

    def check(self, doubt: str) -> None:
        """Something to look at that has no words of its own in the text; it blocks all the same."""
        number = self._number("periksa")
        self.entries.append(
            {
                "key": f"periksa_{number}",
                "what": f"hal yang perlu diperiksa ke-{number}",
                "reading": "sudah diperiksa",
                "evidence": doubt,
                "in_text": False,
            }
        )

    def _number(self, kind: str) -> int:
        return sum(str(entry["key"]).startswith(f"{kind}_") for entry in self.entries) + 1


_KINDS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (_UNREADABLE, "bagian", "bagian yang tidak terbaca"),
    (_URL, "tautan", "alamat laman"),
    (_EMAIL, "email", "alamat email"),
    (_AMOUNT, "nilai", "nilai"),
)
_UNCERTAIN = re.compile(
    "|".join(f"(?P<{kind}>{pattern.pattern})" for pattern, kind, _ in _KINDS), re.IGNORECASE
)


def _markdown(text: str, facts: _Facts) -> str:
    """`text` of a cell as Markdown: words are words, whatever characters they hold; uncertain ones are places."""
    described = {kind: what for _, kind, what in _KINDS}
    pieces: list[str] = []
    end = 0
    clean = _CONTROLS.sub("", text).replace("{{", "{ {").replace("}}", "} }").replace("{%", "{ %")
    for found in _UNCERTAIN.finditer(clean):
        kind = str(found.lastgroup)
        reading = "" if kind == "bagian" else "".join(found[0].split()) if kind != "nilai" else found[0]
        pieces += [_escaped(clean[end : found.start()]), facts.place(kind, described[kind], reading)]
        end = found.end()
    pieces.append(_escaped(clean[end:]))
    return "\n".join(_lines("".join(pieces).splitlines()))


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)


def _lines(lines: Sequence[str]) -> Iterator[str]:
    """One line of a cell is one line of the letter: what is no list item ends with a hard break."""
    in_list = False
    for line in map(str.rstrip, lines):
        item = _MARKDOWN_ITEM.match(line) is not None
        if in_list and not item and line[:1].isupper():
            yield ""  # a sentence after a list is no part of its last item
            in_list = False
        in_list = item or (in_list and bool(line))
        yield line if item or not line else f"{line}  "


def _label(line: str) -> str:
    words = " ".join(_UNREADABLE.sub(" ", _URL.sub(" ", line)).split()).strip(" .,:;-()")
    return f"Lampiran ({words})" if words else "Lampiran"


def _doubts(row: Row) -> Iterator[str]:
    """What a reader should look at, and no place in the text can mark."""
    for previous, found in _gaps(row.text):
        yield f"Butir {previous} langsung diikuti butir {found}: mungkin ada yang hilang atau terulang."
    if years := sorted(set(_YEAR.findall(row.text))):
        yield f"Menyebut tahun {', '.join(years)}: masih berlaku?"
    if passing := _PASSING.search(row.text):
        yield f"Kata {passing[0]!r}: bagian ini mungkin terikat waktu; pindahkan ke notes dengan valid_to."
    if row.text[-1:].isalnum() and len(row.text) > _LONG:
        yield f"Teks berakhir tanpa tanda baca ({' '.join(row.text[-30:].split())!r}): mungkin terpotong."
    attachment = row.attachment.strip(" -.")
    if attachment and attachment.casefold() != "tidak ada" and not _URL.search(attachment):
        yield f"Kolom Lampiran memuat {' '.join(attachment.split())!r}, yang bukan tautan; lampirkan berkasnya."


def _gaps(text: str) -> Iterator[tuple[str, str]]:
    """Neighbouring items of a list whose numbers or letters do not follow each other; a new list starts at 1 or a."""
    previous: dict[bool, str] = {}
    for found in _ITEM.finditer(text):
        label, is_number = found[1] or found[2], found[1] is not None
        last = previous.get(is_number)
        first = label in {"1", "a"}
        if last is not None and not first:
            follows = int(label) == int(last) + 1 if is_number else ord(label) == ord(last) + 1
            if not follows:
                yield last, label
        previous[is_number] = label


def _difference(topic: Topic, row: Row) -> Iterator[str]:
    """Unified diff of the words of the topic and of the row, without regard to markup and line breaks."""
    facts = {fact.key: fact.reading or f"[{fact.what}]" for fact in topic.unconfirmed} | topic.confirmed
    lists: dict[str, list[str]] = {}
    for document in topic.documents:
        lists.setdefault(document.applies_to, []).append(document.wording or document.name)
    old = _words(markdown.plain(places.fill_markdown(topic.body, facts, lists)))
    old += [words for note in topic.notes for words in _words(places.fill(note.text, facts))]
    new = _words(row.text)
    if _bare(old) == _bare(new):
        return
    yield from difflib.unified_diff(old, new, "isi sekarang", "tabel", lineterm="", n=1)


def _words(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def _bare(lines: Sequence[str]) -> str:
    """Letters and digits only: wrapping, bullets and case are no difference."""
    return _NOT_A_SLUG.sub("", "".join(lines).casefold())
