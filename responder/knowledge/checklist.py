"""Which required documents a mail seems to hand in, told by attachment names and the mail's own words.

Attachments are never opened (rule 65). The result helps staff and phrases a question to the vendor; it decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rapidfuzz import fuzz

from responder.knowledge import places
from responder.knowledge.topic import Document, Topic

SAME_WORD = 84  # of 100: one letter wrong in a word of six ("akte"/"akta" is an alias, not a slip)
SHORTEST_ABBREVIATION = 3  # "dir" stands for "direktur"; two letters stand for too much
LONGEST_TEXT = 20_000  # characters looked at; what is handed in is said at the start

_WORD = re.compile(r"[a-z]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,5}$")
_SENTENCE_END = re.compile(r"[.!?](?=\s)|\n\s*\n")
_HANDS_IN = re.compile(
    r"\b(?:ter|me)?lampir(?:kan|an)?\b|\bkirim(?:kan)?\b|\bsampaikan\b|\battach", re.IGNORECASE
)
_NOT_YET = re.compile(
    r"\b(?:belum|menyusul|kurang|tidak|tanpa|apa saja|apakah|bagaimana|nanti)\b|\?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Checklist:
    """Documents in the order of the topic. Conditions and items that nobody could read are in neither."""

    received: tuple[Document, ...]
    seemingly_missing: tuple[Document, ...]
    seems_submission: bool  # the mail hands in documents; without that, nothing is "missing"


def check(topic: Topic, attachment_names: Sequence[str], text: str) -> Checklist:
    """Match names (base names, any case) and the mail's text against the documents of `topic`.

    Words in the text count only when they say that something is handed in and some attachment's name tells nothing
    (IMG_2031.jpg). Where documents differ by kind of vendor, the kind that fits best is taken, the first on a tie.
    """
    papers = _papers(topic)
    names = [_words(_EXTENSION.sub("", name)) for name in attachment_names]
    by_name = {paper for paper in papers for words in names if _named(paper, words)}
    unnamed = any(not any(_named(paper, words) for paper in papers) for words in names)
    claims = [_words(claim) for claim in _claims(text[:LONGEST_TEXT])] if unnamed else []
    by_text = {paper for paper in papers for words in claims if _named(paper, words)}
    found = by_name | by_text
    wanted = _for_one_kind(papers, found, _words(text[:LONGEST_TEXT]))
    received = tuple(paper for paper in wanted if paper in found)
    return Checklist(
        received=received,
        seemingly_missing=tuple(paper for paper in wanted if paper not in found) if received else (),
        seems_submission=bool(received),
    )


def _papers(topic: Topic) -> list[Document]:
    """The papers of `topic` that can be told by a name: an item that is all place counts once it is settled."""
    papers = []
    for document in topic.documents:
        key = places.only_a_fact(document.wording)
        if document.condition or (key is not None and not topic.confirmed.get(key)):
            continue
        papers.append(
            document if key is None else replace(document, name=" ".join(topic.confirmed[key].split()))
        )
    return papers


def _words(text: str) -> list[str]:
    return _WORD.findall(_CAMEL.sub(" ", text).lower())


def _claims(text: str) -> Iterable[str]:
    return (part for part in _sentences(text) if _HANDS_IN.search(part) and not _NOT_YET.search(part))


def _sentences(text: str) -> Iterable[str]:
    start = 0
    for end in _SENTENCE_END.finditer(text):
        yield text[start : end.end()]
        start = end.end()
    yield text[start:]


def _named(paper: Document, words: Sequence[str]) -> bool:
    return any(_holds(words, _words(alias)) for alias in (paper.name, *paper.aliases))


def _holds(words: Sequence[str], alias: Sequence[str]) -> bool:
    """Whether every word of `alias` stands in `words`, whole, misspelt or abbreviated."""
    return bool(alias) and all(any(_same(wanted, word) for word in words) for wanted in alias)


def _same(wanted: str, word: str) -> bool:
    if wanted == word:
        return True
    if len(word) >= SHORTEST_ABBREVIATION and len(wanted) > len(word) + 1 and wanted.startswith(word):
        return True
    return (
        min(len(wanted), len(word)) >= 5 and fuzz.ratio(wanted, word) >= SAME_WORD
    )  # short words differ by a letter


def _for_one_kind(papers: Sequence[Document], found: set[Document], words: Sequence[str]) -> list[Document]:
    """Keep the documents for everyone and those for the kind of vendor that fits best."""
    kinds = list(dict.fromkeys(paper.applies_to for paper in papers if paper.applies_to))

    def fit(kind: str) -> tuple[int, int]:
        common = set.intersection(*({*_words(other)} for other in kinds))
        told = sum(any(_same(word, seen) for seen in words) for word in {*_words(kind)} - common)
        return sum(paper in found for paper in papers if paper.applies_to == kind), told

    best = max(kinds, key=fit, default="")  # max keeps the first on a tie
    return [paper for paper in papers if paper.applies_to in {"", best}]
