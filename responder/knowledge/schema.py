"""The shape of answer.md and confirmed.yaml, read with the line on which each thing stands."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from responder.knowledge import places
from responder.knowledge.finding import Finding, wrong

ANSWER = "answer.md"
EXAMPLES = "examples.txt"
CONFIRMED = "confirmed.yaml"
SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

_FENCE = "---"
_Words = Annotated[str, Field(min_length=1)]
_Location = tuple[str | int, ...]
_Model = TypeVar("_Model", bound=BaseModel)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DocumentEntry(_Entry):
    name: _Words
    wording: str = ""
    form: str = ""
    signed_by: str = ""
    applies_to: str = ""
    aliases: tuple[_Words, ...] = ()
    condition: bool = False


class LinkEntry(_Entry):
    label: _Words
    url: _Words


class NoteEntry(_Entry):
    text: _Words
    valid_from: date | None = None
    valid_to: date | None = None


class UnconfirmedEntry(_Entry):
    key: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    what: Annotated[
        str, Field(min_length=1, pattern=r"^[^\[\]{}\n]+$")
    ]  # brackets would end the marker early
    reading: str = ""
    evidence: str = ""
    in_text: bool = True


class FrontMatter(_Entry):
    title: _Words
    owner: _Words
    source: _Words
    valid_from: date | None = None
    review_by: date | None = None
    valid_to: date | None = None
    documents: tuple[DocumentEntry, ...] = ()
    links: tuple[LinkEntry, ...] = ()
    attachments: tuple[_Words, ...] = ()
    notes: tuple[NoteEntry, ...] = ()
    unconfirmed: tuple[UnconfirmedEntry, ...] = ()
    owner_notes: tuple[_Words, ...] = ()


class Settled(_Entry):
    """A fact that the owner settled; the value "" says that there is nothing to put in its place."""

    value: str
    by: _Words
    confirmed_on: date  # plain "on" would be a truth value in YAML


class _SettledFile(_Entry):
    facts: dict[str, Settled] = {}


@dataclass(frozen=True, slots=True)
class Source:
    """A topic folder as read: checked, and with the line on which each thing stands."""

    path: Path  # answer.md
    front: FrontMatter
    body: str
    body_line: int  # line of the file on which the body starts
    lines: Mapping[_Location, int]  # line of every front matter key
    settled: Mapping[str, Settled]
    digest: str  # SHA-256 (hex) of answer.md and confirmed.yaml

    def line(self, *location: str | int) -> int:
        """Line of the front matter entry at `location`, or of its nearest parent that has one."""
        return _line_of(self.lines, location, 1)

    def entry_texts(self) -> Iterator[tuple[int, str]]:
        """Every front matter text in which a fact may stand, with its line."""
        for index, document in enumerate(self.front.documents):
            yield self.line("documents", index, "wording"), document.wording
        for index, link in enumerate(self.front.links):
            yield self.line("links", index, "url"), link.url
        for index, note in enumerate(self.front.notes):
            yield self.line("notes", index, "text"), note.text

    def body_lines(self) -> Iterator[tuple[int, str]]:
        """The lines of the body with their number in the file."""
        return enumerate(self.body.split("\n"), start=self.body_line)

    def used_facts(self) -> set[str]:
        """Keys of the facts that have a place somewhere in this topic."""
        return {key for _, text in (*self.entry_texts(), *self.body_lines()) for key in places.facts_in(text)}


def read(folder: Path) -> tuple[Source | None, list[Finding]]:
    """Read answer.md and confirmed.yaml of one topic folder; None when there is an error among the findings."""
    path = folder / ANSWER
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError:
        return None, [wrong(path, 0, f"berkas tidak ada; setiap folder topik harus memuat {ANSWER}")]
    except OSError as error:
        return None, [wrong(path, 0, f"tidak dapat dibaca: {error.strerror}")]
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        return None, [wrong(path, line, "bukan teks UTF-8; simpan ulang berkas ini sebagai UTF-8")]
    head, body, body_line = _split(text)
    if head is None:
        return None, [wrong(path, 1, f"front matter tidak lengkap; awali dan akhiri dengan baris {_FENCE}")]
    front, lines, findings = _parse(path, head, FrontMatter, first_line=2)
    settled, confirmed_raw, settled_findings = _read_settled(folder)
    findings += settled_findings
    if front is None or settled_findings:
        return None, findings
    digest = hashlib.sha256(raw + b"\0" + confirmed_raw).hexdigest()
    source = Source(path, front, body, body_line, lines, settled, digest)
    findings = list(_broken_entries(source))
    return (None if findings else source), findings


def usable_url(url: str) -> bool:
    """Whether `url` is an absolute web address without spaces."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and not re.search(r"\s", url)


def _split(text: str) -> tuple[str | None, str, int]:
    """Return (front matter, body, line on which the body starts); None without both fences."""
    lines = text.split("\n")
    if lines[0].rstrip() != _FENCE:
        return None, text, 1
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() == _FENCE:
            return "\n".join(lines[1:number]), "\n".join(lines[number + 1 :]), number + 2
    return None, text, 1


def _parse(
    path: Path, text: str, model: type[_Model], first_line: int
) -> tuple[_Model | None, dict[_Location, int], list[Finding]]:
    """Read YAML `text`, which starts on `first_line` of `path`, into `model`."""
    loader = yaml.SafeLoader(text)
    lines: dict[_Location, int] = {}
    try:
        node = loader.get_single_node()
        repeated = [] if node is None else list(_index(node, (), lines, first_line))
        data = {} if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = first_line + (mark.line if mark else 0)
        advice = "periksa indentasi dan titik dua; nilai yang memuat {{ … }} atau ': ' ditulis di antara tanda petik"
        return None, lines, [wrong(path, line, f"YAML tidak terbaca ({error.problem}); {advice}")]
    except (yaml.YAMLError, ValueError) as error:
        return None, lines, [wrong(path, first_line, f"YAML tidak terbaca: {error}")]
    finally:
        loader.dispose()
    findings = [
        wrong(path, line, f"kunci {key!r} ditulis dua kali; hapus salah satu") for line, key in repeated
    ]
    if not isinstance(data, dict):
        return None, lines, [wrong(path, first_line, "harus berupa daftar 'kunci: nilai'")]
    try:
        return (None if findings else model.model_validate(data)), lines, findings
    except ValidationError as error:
        findings += [wrong(path, *_explain(problem, lines, first_line)) for problem in error.errors()]
        return None, lines, findings


def _index(
    node: yaml.Node, location: _Location, lines: dict[_Location, int], first_line: int
) -> Iterator[tuple[int, str]]:
    """Record in `lines` where each entry stands; yield (line, key) of keys that occur twice."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*location, str(key.value))
            line = key.start_mark.line + first_line
            if place in lines:
                yield line, str(key.value)
            lines[place] = line
            yield from _index(value, place, lines, first_line)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*location, index)] = item.start_mark.line + first_line
            yield from _index(item, (*location, index), lines, first_line)


_MESSAGES = {
    "extra_forbidden": "kunci tidak dikenal; periksa ejaannya (daftar kunci ada di content/README.md)",
    "missing": "wajib diisi",
    "string_type": "harus berupa teks; tulis di antara tanda petik",
    "string_too_short": "tidak boleh kosong",
    "string_pattern_mismatch": "memuat tanda yang tidak boleh dipakai (kunci: huruf kecil, angka, _; "
    "what: tanpa kurung siku, kurung kurawal dan baris baru)",
    "tuple_type": "harus berupa daftar; awali setiap isinya dengan '- '",
    "model_type": "harus berupa daftar 'kunci: nilai'",
    "bool_parsing": "harus true atau false",
    "bool_type": "harus true atau false",
}


def _explain(problem: Any, lines: Mapping[_Location, int], first_line: int) -> tuple[int, str]:
    location: _Location = problem["loc"]
    kind: str = problem["type"]
    if kind.startswith("date"):
        message = "harus berupa tanggal yang ada, ditulis TTTT-BB-HH, mis. 2027-05-31"
    else:
        message = _MESSAGES.get(kind, problem["msg"])
    where = ".".join(str(part) for part in location)
    return _line_of(lines, location, first_line), f"{where}: {message}"


def _line_of(lines: Mapping[_Location, int], location: _Location, otherwise: int) -> int:
    parents = (location[:length] for length in range(len(location), 0, -1))
    return next((lines[place] for place in parents if place in lines), otherwise)


def _read_settled(folder: Path) -> tuple[dict[str, Settled], bytes, list[Finding]]:
    path = folder / CONFIRMED
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8")
    except FileNotFoundError:
        return {}, b"", []
    except (OSError, UnicodeDecodeError) as error:
        return {}, b"", [wrong(path, 0, f"tidak dapat dibaca: {error}")]
    loaded, _, findings = _parse(path, text, _SettledFile, first_line=1)
    return (dict(loaded.facts) if loaded else {}), raw, findings


def _broken_entries(source: Source) -> Iterator[Finding]:
    """What the schema alone cannot see and rendering could not survive."""
    yield from _broken_dates(source)
    yield from _repeated_facts(source)
    yield from _broken_places(source)
    yield from _broken_lists(source)
    for index, link in enumerate(source.front.links):
        if places.only_a_fact(link.url) is None and not usable_url(link.url):
            line = source.line("links", index, "url")
            yield wrong(source.path, line, f"alamat tautan {link.url!r} harus diawali http:// atau https://")


def _broken_places(source: Source) -> Iterator[Finding]:
    shown = {fact.key: fact.in_text for fact in source.front.unconfirmed}
    texts = [(line, text, "") for line, text in source.entry_texts()]
    texts += [(line, text, ' dan {{ daftar_dokumen("untuk siapa") }}') for line, text in source.body_lines()]
    for line, text, also_known in texts:
        for key in places.facts_in(text):
            if key not in shown:
                yield wrong(
                    source.path, line, f"tempat fakta.{key} tidak ada di daftar 'unconfirmed'; tambahkan"
                )
            elif not shown[key]:
                yield wrong(
                    source.path, line, f"fakta.{key} ditandai in_text: false; hapus tempatnya dari teks"
                )
        if places.stray_braces(text, lists_allowed=bool(also_known)):
            yield wrong(
                source.path, line, f"tempat isian tidak dikenal; pakai {{{{ fakta.kunci }}}}{also_known}"
            )


def _broken_lists(source: Source) -> Iterator[Finding]:
    groups = {document.applies_to for document in source.front.documents}
    for line, text in source.body_lines():
        for found in places.DOCUMENT_LIST.finditer(text):
            if found[0] != text.strip():
                yield wrong(source.path, line, "daftar_dokumen harus berdiri sendiri pada barisnya")
            if (found[1] or "") not in groups:
                yield wrong(source.path, line, f"tidak ada dokumen dengan applies_to: {found[1] or ''!r}")


def _broken_dates(source: Source) -> Iterator[Finding]:
    spans = [(source.front.valid_from, source.front.valid_to, source.line("valid_to"))]
    spans += [
        (note.valid_from, note.valid_to, source.line("notes", index, "valid_to"))
        for index, note in enumerate(source.front.notes)
    ]
    for start, end, line in spans:
        if start is not None and end is not None and end < start:
            yield wrong(
                source.path, line, f"valid_to {end} lebih awal dari valid_from {start}; perbaiki tanggalnya"
            )


def _repeated_facts(source: Source) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, fact in enumerate(source.front.unconfirmed):
        if fact.key in seen:
            yield wrong(
                source.path, source.line("unconfirmed", index, "key"), f"fakta {fact.key!r} ditulis dua kali"
            )
        seen.add(fact.key)
