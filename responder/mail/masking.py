"""Personal numbers and passwords in a text: found, and put out of sight.

What people write to a helpdesk holds identity numbers (NIK, 16 digits), tax numbers (NPWP, 15 digits, or the NIK since
2024), telephone numbers, and passwords that nobody asked for. Pages, logs and training text do without them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from html import unescape
from itertools import chain


class Personal(StrEnum):
    """What a span holds; the value is the word that stands in its place."""

    NIK = "NIK"  # also a tax number in its form of 16 digits, which is the NIK
    NPWP = "NPWP"
    PHONE = "telepon"
    PASSWORD = "sandi"  # noqa: S105 - the word that is shown, not a password


@dataclass(frozen=True, slots=True)
class Span:
    """`text[start:end]` is personal."""

    start: int
    end: int
    kind: Personal


_NIK = re.compile(
    r"(?<!\d)(?:\d{16}|\d{4}(?:[ .-]\d{4}){3}|\d{6}[ .-]\d{6}[ .-]\d{4})(?!\d)",
)
_NPWP = re.compile(r"(?<!\d)(?:\d{15}|\d{2}[ .]?\d{3}[ .]?\d{3}[ .]?\d[-. ]?\d{3}[. ]?\d{3})(?!\d)")
# Mobile numbers begin with 08 or +62 8; of others the area code is set apart, so that dates and codes are none.
_PHONE = re.compile(
    r"(?<![\d.])(?:"
    r"(?:\+?62[ .-]?|0)8\d{1,2}(?:[ .-]?\d){5,9}"
    r"|\((?:\+?62[ -]?|0)\d{2,3}\)[ -]?\d(?:[ .-]?\d){4,8}"
    r"|(?:\+62[ -]?|0)[2-79]\d{1,2}[ -]\d{3,4}(?:[ -]?\d){2,5}"
    r"|0[2-79]\d{7,10}"
    r")(?!\d)"
)
_PASSWORD = re.compile(
    r"\b(?:pass?words?|passwd|pwd|pw|pass|kata ?sandi|sandi|pin|otp)(?:nya)?"
    r"(?: (?:baru|lama|saya|kami|akun|lpse|spse|sikap|email|login)){0,3}"
    r"[ \t]*(?:[:=]|\b(?:adalah|yaitu|ialah|is)\b)[ \t]*(?P<value>[^\s,;]{2,79}[^\s,;.!?)])",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"[^\s@<>]+@[^\s@<>]+")
_LONG_NUMBER = re.compile(r"\d[\d .\-/()]{4,}\d")

# Of serialised HTML: a tag, a reference, white space, a character.
_PIECE = re.compile(r"<[^>]*>|&[#\w]+;|\s+|.")
_WITHIN_A_LINE = re.compile(
    r"</?(?:a|abbr|b|code|del|em|font|i|ins|q|s|small|span|strike|strong|su[bp]|tt|u)[\s>]", re.IGNORECASE
)


def find(text: str) -> tuple[Span, ...]:
    """Return the personal spans of `text`, in order, none overlapping another."""
    found: list[Span] = []
    end = 0
    for span in sorted(_candidates(text), key=lambda one: (one.start, -one.end)):
        if span.start >= end:
            found.append(span)
            end = span.end
    return tuple(found)


def mask(text: str) -> str:
    """Return `text` with "[NIK]", "[NPWP]", "[telepon]" or "[sandi]" in place of each personal span."""
    return _replaced(text, lambda kind: f"[{kind.value}]")


def mask_html(html: str) -> str:
    """`html`, sanitised (`mail.html`), masked as its reader sees it: tags within a number or password hide nothing."""
    pieces = _PIECE.findall(html)
    seen = list(_seen(pieces))
    spans = iter(find("".join(seen)))
    span = next(spans, None)
    kept: list[str] = []
    at = 0
    for piece, shown in zip(pieces, seen, strict=True):
        if span is not None and at >= span.end:
            span = next(spans, None)
        if not shown or span is None or at < span.start:
            kept.append(piece)
        elif at == span.start:
            kept.append(f"[{span.kind.value}]")
        at += len(shown)
    return "".join(kept)


def _seen(pieces: Iterable[str]) -> Iterator[str]:
    """What a reader sees of each piece: one or no character, and a line end for what begins another block."""
    preformatted = False
    for piece in pieces:
        if piece.startswith("<"):
            if piece.lower().startswith(("<pre", "</pre")):
                preformatted = piece[1] != "/"
            yield "" if _WITHIN_A_LINE.match(piece) else "\n"
        elif piece.isspace():
            yield "\n" if preformatted and "\n" in piece else " "
        else:
            yield unescape(piece)[:1].replace("\xa0", " ")


def blank(text: str) -> str:
    """`text` for training: without passwords, addresses, and numbers of six digits and more (NIK, NPWP, telephones).

    A word that names what stood there would teach the classifier a word that no vendor wrote.
    """
    return _LONG_NUMBER.sub("0", _EMAIL.sub("alamat-email", _replaced(text, lambda _kind: "0")))


def _replaced(text: str, stand_in: Callable[[Personal], str]) -> str:
    parts: list[str] = []
    start = 0
    for span in find(text):
        parts += [text[start : span.start], stand_in(span.kind)]
        start = span.end
    return "".join([*parts, text[start:]])


def _candidates(text: str) -> Iterator[Span]:
    numbers = chain(
        ((Personal.NIK, match) for match in _NIK.finditer(text)),
        ((Personal.NPWP, match) for match in _NPWP.finditer(text)),
        ((Personal.PHONE, match) for match in _PHONE.finditer(text)),
    )
    for kind, match in numbers:
        yield Span(match.start(), match.end(), kind)
    for match in _PASSWORD.finditer(text):
        yield Span(match.start("value"), match.end("value"), Personal.PASSWORD)
