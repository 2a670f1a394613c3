"""Texts cut into pieces for the pages: what is masked, which words decided, what differs. Pure; pages escape it all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from responder.classifier.decision import Evidence
from responder.mail import masking

_CONCEPT = re.compile(r".* \((?P<written>.+)\)")
_TOKEN = re.compile(r"\s*\S+|\s+")
_LONGEST_COMPARED = 60_000  # characters of both texts; SequenceMatcher is quadratic where nothing agrees


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text and what it is: "" (nothing special), "masked", "word", "added" or "removed"."""

    text: str
    kind: str = ""


def mail_pieces(text: str, words: Sequence[str] = (), *, revealed: bool = False) -> list[Piece]:
    """A vendor's text with personal numbers put out of sight (unless `revealed`) and `words` marked."""
    pieces: list[Piece] = []
    start = 0
    for span in () if revealed else masking.find(text):
        pieces += _with_words(text[start : span.start], words)
        pieces.append(Piece(span.kind.value, "masked"))
        start = span.end
    return [*pieces, *_with_words(text[start:], words)]


def deciding_words(evidence: Iterable[Evidence]) -> list[str]:
    """What to mark in the mail: words that spoke for the decision, as the vendor wrote them."""
    words = []
    for one in evidence:
        match = _CONCEPT.fullmatch(one.words)
        if one.weight > 0:
            words.append(match["written"] if match else one.words)
    return words


@lru_cache(maxsize=256)
def differences(plain: str, text: str) -> tuple[Piece, ...]:
    """`text` beside `plain`: what it adds and what it leaves out, by lines, then by words within changed lines."""
    if plain == text or len(plain) + len(text) > _LONGEST_COMPARED:
        return (Piece(text),)
    before, after = plain.splitlines(keepends=True), text.splitlines(keepends=True)
    pieces: list[Piece] = []
    for tag, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            pieces.append(Piece("".join(after[k:m])))
        else:
            pieces += _changed("".join(before[i:j]), "".join(after[k:m]))
    return tuple(_joined(pieces))


def rewritten(pieces: Sequence[Piece]) -> bool:
    """Whether so little of the original is left that marks would only hide the text."""
    kept = sum(len(piece.text) for piece in pieces if not piece.kind)
    return kept < sum(len(piece.text) for piece in pieces) / 2


def _changed(before: str, after: str) -> Iterator[Piece]:
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    for tag, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            yield Piece("".join(new[k:m]))
            continue
        if i < j:
            yield Piece("".join(old[i:j]), "removed")
        if k < m:
            yield Piece("".join(new[k:m]), "added")


def _joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Neighbours of one kind as one piece."""
    held: Piece | None = None
    for piece in pieces:
        if held is not None and held.kind == piece.kind:
            held = Piece(held.text + piece.text, piece.kind)
            continue
        if held is not None:
            yield held
        held = piece
    if held is not None:
        yield held


def _with_words(text: str, words: Sequence[str]) -> list[Piece]:
    if not words or not text:
        return [Piece(text)] if text else []
    longest_first = sorted(words, key=len, reverse=True)
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b", re.IGNORECASE)
    pieces: list[Piece] = []
    start = 0
    for match in pattern.finditer(text):
        if match.start() > start:
            pieces.append(Piece(text[start : match.start()]))
        pieces.append(Piece(match[0], "word"))
        start = match.end()
    return [*pieces, Piece(text[start:])] if start < len(text) else pieces
