"""Header blocks: splitting, unfolding, RFC 2047 words, parameters, message identity. Linear, tolerant.

The stdlib's header classes raise on, or take seconds for, headers that occur; nothing here raises, and each
function passes over its input a fixed number of times. `limits.check_headers` bounds that input.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from responder.mail import charset
from responder.mail.charset import Decoded
from responder.mail.limits import MAX_HEADER_BLOCK

Fields = tuple[tuple[str, str], ...]

MAX_PARAMETERS = 100

_LEADING_LINES = re.compile(rb"(?:\r?\n){1,1000}+")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_NAME = re.compile(rb"[!-9;-~]+[ \t]*:")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*+)\?=")
_BETWEEN_WORDS = re.compile(r"(?<=\?=)\s+(?==\?[^?\s]{1,60}\?[bBqQ]\?)")
_COMMENT = re.compile(r"\([^()]*+\)")
_PARAMETER = re.compile(r";\s*+([^\s=;\"]++)\s*+=\s*+(\"(?:[^\"\\]++|\\.)*+\"?|[^;]*+)", re.DOTALL)
_SECTION = re.compile(r"(.+?)\*(?:(\d{1,3})(\*?))?$")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


class Parameters(NamedTuple):
    """A structured value: what stands before the first ";", lower case, and the parameters decoded."""

    value: str
    by_name: dict[str, str]


def split(raw: bytes) -> tuple[bytes, int]:
    """Return (header block, offset of the body) of a mail or part.

    The block ends at the first blank line; a mail whose block has no header line at all is all body (offset 0).
    An mbox "From " line in front, and blank lines before the first header, are no part of the block. Without any
    blank line the body starts at the first line that is no header.
    """
    leading = _LEADING_LINES.match(raw)
    start = leading.end() if leading else 0
    if raw.startswith((b"From ", b">From "), start):
        start = raw.find(b"\n", start) + 1 or len(raw)
    blank = _BLANK_LINE.search(raw, max(start - 1, 0), start + MAX_HEADER_BLOCK + 4)
    if blank is None:
        end = _end_of_fields(raw, start)
        return raw[start:end], end
    block = raw[start : blank.start()]
    if not _has_field(block):
        return (b"", 0) if block else (b"", blank.end())
    return block, blank.end()


def identity(block: bytes, size: int) -> str:
    """SHA-256 (hex) of header block and mail size: recognises the same mail again (rule 50)."""
    return hashlib.sha256(block.rstrip(b"\r\n") + b"\n" + str(size).encode()).hexdigest()


def fields(block: bytes) -> tuple[Fields, tuple[str, ...]]:
    """Return ((name, unfolded value) ..., doubts). Values keep their RFC 2047 words."""
    text, doubt = _text(block)
    doubts = [doubt] if doubt else []
    found: list[tuple[str, str]] = []
    name, value = "", ""
    for line in text.split("\n"):
        if line[:1] in (" ", "\t"):
            value += line.rstrip("\r")
            continue
        if name:
            found.append((name, _CONTROLS.sub(" ", value).strip()))
        name, colon, value = line.partition(":")
        name, value = name.rstrip(), value.rstrip("\r")
        if not colon or not name.isascii() or not name.isprintable() or " " in name or not name:
            if line.strip():
                doubts.append("a header line without a name was skipped")
            name = ""
    if name:
        found.append((name, _CONTROLS.sub(" ", value).strip()))
    return tuple(found), tuple(doubts)


def first(headers: Iterable[tuple[str, str]], name: str) -> str:
    """The first value of header `name` (lower case), "" when absent."""
    return next((value for key, value in headers if key.lower() == name), "")


def decode_words(value: str) -> Decoded:
    """Decode the RFC 2047 words of a value to one line without controls and bidirectional overrides."""
    if "=?" not in value:
        return Decoded(one_line(value))
    doubts: list[str] = []
    out: list[str] = []
    pending: list[bytes] = []
    label = ""
    end = 0
    value = _BETWEEN_WORDS.sub("", value)

    def flush() -> None:
        if pending:
            text, doubt = charset.decode(b"".join(pending), label)
            out.append(text)
            doubts.append(doubt)
            pending.clear()

    for word in _WORD.finditer(value):
        declared = word[1].partition("*")[0].lower()
        if word.start() != end or declared != label:
            flush()
        out.append(value[end : word.start()])
        # A character may be cut in two by adjacent words: octets are joined before they are decoded.
        label, end = declared, word.end()
        pending.append(_word_octets(word[2], word[3]))
    flush()
    out.append(value[end:])
    return Decoded(one_line("".join(out)), next(filter(None, doubts), ""))


def one_line(text: str) -> str:
    """`text` without controls, line separators and bidirectional overrides, runs of white space as one space."""
    if not (text.isascii() and text.isprintable()):
        text = _BIDI.sub("", _CONTROLS.sub(" ", text))
    return " ".join(text.split())


def parameters(value: str) -> Parameters:
    """Parse "value; name=text; ..." (RFC 2045 5.1) with RFC 2231 and, as senders do, RFC 2047 in the texts."""
    main = _COMMENT.sub("", value.partition(";")[0]).strip().strip('"').lower()
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    for count, match in enumerate(_PARAMETER.finditer(value)):
        if count == MAX_PARAMETERS:
            break
        name, text = match[1].lower(), _unquote(match[2])
        section = _SECTION.match(name) if "*" in name else None
        if section is None:
            # A boundary is compared octet by octet, never shown.
            plain.setdefault(name, text if name == "boundary" else decode_words(text).text)
        else:
            extended = section[2] is None or section[3] == "*"
            sections.setdefault(section[1], {})[int(section[2] or 0)] = (text, extended)
    for name, numbered in sections.items():
        plain[name] = _join_sections([numbered[n] for n in sorted(numbered)])
    return Parameters(main, plain)


def _end_of_fields(raw: bytes, start: int) -> int:
    """The offset of the first line from `start` that is neither a header line nor the continuation of one."""
    end = start
    while end < len(raw) and end <= start + MAX_HEADER_BLOCK:
        if not _NAME.match(raw, end) and not (end > start and raw.startswith((b" ", b"\t"), end)):
            return end
        end = raw.find(b"\n", end) + 1 or len(raw)
    return len(raw)


def _has_field(block: bytes) -> bool:
    return any(_NAME.match(line) for line in block.split(b"\n", 50))


def _text(block: bytes) -> Decoded:
    """Header octets as text: ASCII or UTF-8 as a whole, else line by line (RFC 6532 allows UTF-8 only)."""
    if b"\x1b$" in block or b"\x1b(" in block:
        try:
            return Decoded(block.decode("iso2022_jp"), "ISO-2022-JP octets in a header")
        except UnicodeDecodeError:
            pass
    try:
        return Decoded(block.decode())
    except UnicodeDecodeError:
        lines = [
            charset.decode(line) if not line.isascii() else Decoded(line.decode())
            for line in block.split(b"\n")
        ]
        return Decoded(
            "\n".join(line.text.replace("\n", " ") for line in lines),
            "8-bit octets in a header, charset guessed",
        )


def _word_octets(encoding: str, text: str) -> bytes:
    """The octets of one encoded word; broken ones give what can be had."""
    if encoding in "qQ":
        return binascii.a2b_qp(text.replace(" ", "_").encode("utf-8", "replace"), header=True)
    return unbase64(text.encode("ascii", "ignore"))


def unbase64(data: bytes) -> bytes:
    """Decode base64 with foreign characters ignored and a wrong or missing padding mended."""
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        kept = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
        kept = kept[:-1] if len(kept) % 4 == 1 else kept
        return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))


def _unquote(text: str) -> str:
    text = text.strip()
    if text.startswith('"'):
        return _QUOTED_PAIR.sub(r"\1", text[1:].removesuffix('"'))
    return _COMMENT.sub("", text).strip()


def _join_sections(sections: list[tuple[str, bool]]) -> str:
    """RFC 2231 3 and 4: numbered sections in order; the first extended one names the charset."""
    label, octets = "", b""
    for index, (text, extended) in enumerate(sections):
        if extended and index == 0 and text.count("'") >= 2:
            label, _, text = text.split("'", 2)
        octets += unquote_to_bytes(text) if extended else text.encode("utf-8", "replace")
    return one_line(charset.decode(octets, label or "utf-8").text)
