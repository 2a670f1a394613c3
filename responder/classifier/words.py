"""The office's word lists in content/_words/: reading, checking, and what real mail says that they do not know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import yaml

from responder.classifier.lexicon import CONCEPT_KINDS, STOP_KIND, ConceptWords, Lexicon, split
from responder.errors import ContentError

FOLDER = "_words"
SPELLING = ("ejaan.yaml", "daerah.yaml", "inggris.yaml")  # the first list that knows a word decides
CONCEPTS = "konsep.yaml"
FRAME = "bingkai.yaml"
FRAME_KEYS = (
    "sapaan",
    "penutup",
    "basa_basi",
    "label_tanda_tangan",
    "penafian",
    "kutipan",
    "terusan",
    "penunjuk",
)

# LibYAML's, where PyYAML was built with it: the lists are a third of what it takes to start.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SHORTEST_REPORTED = 3  # letters; shorter words are initials and particles


class Finding(NamedTuple):
    """What is wrong with a word list; `line` counts from 1, 0 = the whole file."""

    file: Path
    line: int
    message: str


class _Entry(NamedTuple):
    key: str
    words: tuple[tuple[str, int], ...]  # (word, line)
    line: int
    label: str = ""


class _Malformed(Exception):  # noqa: N818 - carries a Finding to the one place that reports it
    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def load(content: Path, *, repair: bool = True) -> Lexicon:
    """Read content/_words/. Raises ContentError naming file, line and what is wrong.

    `repair=False` leaves typing errors as they are (for measuring what the repair is worth).
    """
    folder = content / FOLDER
    try:
        spelling = [
            {entry.key: [word for word, _ in entry.words] for entry in _entries(folder / name)}
            for name in SPELLING
        ]
        concepts = {
            kind: {
                entry.key: ConceptWords(entry.label, tuple(word for word, _ in entry.words))
                for entry in entries
            }
            for kind, entries in _concepts(folder / CONCEPTS).items()
        }
        frame = {entry.key: [word for word, _ in entry.words] for entry in _frame(folder / FRAME)}
    except _Malformed as error:
        where = error.finding
        raise ContentError(f"{where.file}:{where.line}: {where.message}") from None
    return Lexicon(spelling, concepts, frame, repair=repair)


def digest_files(content: Path) -> list[Path]:
    """Return the word-list files, in the order that a model's digest reads them."""
    return [content / FOLDER / name for name in (*SPELLING, CONCEPTS, FRAME)]


def lint(content: Path) -> list[Finding]:
    """Return what is wrong with the word lists: unreadable files, and words that two entries claim."""
    folder = content / FOLDER
    findings: list[Finding] = []
    claimed: dict[str, tuple[str, str]] = {}
    for name in SPELLING:
        try:
            entries = _entries(folder / name)
        except _Malformed as error:
            findings.append(error.finding)
            continue
        for entry in entries:
            for word, line in entry.words:
                text = " ".join(split(word))
                if not text:
                    findings.append(Finding(folder / name, line, f"{word!r} holds no word"))
                    continue
                target, file = claimed.setdefault(text, (entry.key, name))
                if target != entry.key:
                    findings.append(
                        Finding(
                            folder / name,
                            line,
                            f"{word!r} is listed for {entry.key!r} and, in {file}, for {target!r}",
                        )
                    )
    for read, name in ((_concepts, CONCEPTS), (_frame, FRAME)):
        try:
            read(folder / name)
        except _Malformed as error:
            findings.append(error.finding)
    return findings


def unknown_words(texts: Iterable[str], content: Path) -> list[tuple[str, int]]:
    """Return (word, count) of the words in `texts` that no list knows, most frequent first."""
    lexicon = load(content)
    counts = Counter(
        word
        for text in texts
        for word in split(text)
        if len(word) >= _SHORTEST_REPORTED and word.isalpha() and not lexicon.knows(word)
    )
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _mapping(path: Path) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except (OSError, UnicodeDecodeError) as error:
        raise _Malformed(Finding(path, 0, f"cannot be read: {error}")) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise _Malformed(Finding(path, line, f"not valid YAML: {error.problem}")) from None
    return _pairs(path, root)


def _pairs(path: Path, node: yaml.Node | None) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1 if node is not None else 0
        raise _Malformed(Finding(path, line, "expected lines of the form `kata: [...]`"))
    seen: set[str] = set()
    for key, _ in node.value:
        if key.value in seen:
            raise _Malformed(Finding(path, key.start_mark.line + 1, f"{key.value!r} stands here twice"))
        seen.add(key.value)
    return list(node.value)


def _list(path: Path, node: yaml.Node) -> tuple[tuple[str, int], ...]:
    # Scalars are taken as written: YAML would read the chat spellings `no`, `on` and `y` as truth values.
    if not isinstance(node, yaml.SequenceNode) or not all(
        isinstance(item, yaml.ScalarNode) for item in node.value
    ):
        raise _Malformed(Finding(path, node.start_mark.line + 1, "expected a list of words"))
    return tuple((str(item.value), item.start_mark.line + 1) for item in node.value)


def _entries(path: Path) -> list[_Entry]:
    return [_Entry(key.value, _list(path, value), key.start_mark.line + 1) for key, value in _mapping(path)]


def _concepts(path: Path) -> dict[str, list[_Entry]]:
    found: dict[str, list[_Entry]] = {}
    parts = (*CONCEPT_KINDS, STOP_KIND)
    for kind, table in _mapping(path):
        if kind.value not in parts:
            known = ", ".join(parts)
            raise _Malformed(
                Finding(path, kind.start_mark.line + 1, f"unknown part {kind.value!r}; known: {known}")
            )
        found[kind.value] = []
        for key, concept in _pairs(path, table):
            line = key.start_mark.line + 1
            fields = {name.value: value for name, value in _pairs(path, concept)}
            if set(fields) != {"label", "kata"}:
                raise _Malformed(
                    Finding(path, line, f"concept {key.value!r} needs exactly `label` and `kata`")
                )
            words = _list(path, fields["kata"])
            found[kind.value].append(_Entry(key.value, words, line, str(fields["label"].value)))
    if missing := [kind for kind in parts if kind not in found]:
        raise _Malformed(Finding(path, 0, f"part {missing[0]!r} is missing"))
    return found


def _frame(path: Path) -> list[_Entry]:
    entries = _entries(path)
    if missing := [key for key in FRAME_KEYS if key not in {entry.key for entry in entries}]:
        raise _Malformed(Finding(path, 0, f"part {missing[0]!r} is missing"))
    return entries
