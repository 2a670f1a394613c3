"""Octets to text: a ladder of character sets that never fails and says when it guessed.

The rungs: the declared charset (labels as senders really use them), UTF-8, a guess by charset-normalizer on a
bounded sample, Windows-1252. Anything but the first rung is a doubt. Text comes out without NUL, surrogates
and control characters other than tab and line feed.
"""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

from charset_normalizer import from_bytes

# charset-normalizer costs about 10 ms for this much and gains nothing from more.
SAMPLE_OCTETS = 4096
# Fewer 8-bit octets than this share and the text is Latin with a few accents or quotes, whatever a guess says.
_LATIN_SHARE = 0.1

# What senders mean by a label (WHATWG Encoding Standard): supersets, and names that Python does not know.
_ALIASES = {
    "": "utf-8", "ascii": "utf-8", "us-ascii": "utf-8", "ansi_x3.4-1968": "utf-8", "unicode-1-1-utf-8": "utf-8",
    "utf8mb4": "utf-8", "utf-8-mac": "utf-8",
    "iso-8859-1": "cp1252", "iso8859-1": "cp1252", "iso_8859-1": "cp1252", "latin1": "cp1252", "latin-1": "cp1252",
    "l1": "cp1252", "x-ansi": "cp1252", "ansi": "cp1252", "windows-1252": "cp1252", "x-cp1252": "cp1252",
    "gb2312": "gb18030", "gbk": "gb18030", "x-gbk": "gb18030", "cp936": "gb18030", "gb2312-80": "gb18030",
    "ks_c_5601-1987": "cp949", "ksc5601": "cp949", "ks_c_5601": "cp949", "euc-kr": "cp949", "x-windows-949": "cp949",
    "shift_jis": "cp932", "shift-jis": "cp932", "x-sjis": "cp932", "sjis": "cp932", "windows-31j": "cp932",
    "iso-2022-jp": "iso2022_jp_3", "big5": "big5hkscs", "x-big5": "big5hkscs",
    "iso-8859-9": "cp1254", "iso-8859-11": "cp874", "tis-620": "cp874", "windows-874": "cp874",
    "iso-8859-8-i": "iso-8859-8", "iso-8859-8-e": "iso-8859-8", "iso-8859-6-i": "iso-8859-6",
    "unicode": "utf-16", "ucs-2": "utf-16", "macintosh": "mac_roman", "x-mac-roman": "mac_roman",
}  # fmt: skip
# Codecs of Python that are character sets. The registry also holds compressors, and idna, whose decoding takes
# quadratic time; UTF-7 hides markup and is read with a doubt only.
_CHARSETS = re.compile(
    r"utf[-_]?(8|16|32)|iso(8859|2022)|cp\d|koi8|mac[-_]|gb|big5|euc|shift|johab|hz|tis|ptcp|kz"
)
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_ASCII_CONTROLS = bytes(code for code in (*range(0x20), 0x7F) if code not in b"\t\n")
# Invisible characters that only serve to split words or pad previews.
_INVISIBLE = re.compile("[\u00ad\u034f\u200b\u2060\ufeff]")
_LINE_ENDS = re.compile("[\u2028\u2029\u0085]")
_SPACES = re.compile("[\u00a0\u2007\u202f]")


class Decoded(NamedTuple):
    """Text, and what was doubtful in getting it ("" when nothing was)."""

    text: str
    doubt: str = ""


def decode(data: bytes, declared: str = "") -> Decoded:
    """Decode `data` by the ladder. `declared` is the label as written ("" when there is none)."""
    label = declared.strip().strip("\"'").lower()
    codec = _codec(label)
    if codec:
        text = _strict(data, codec)
        if text is not None:
            doubt = "" if label or data.isascii() else "8-bit text without a charset, read as UTF-8"
            return Decoded(clean(text), doubt)
    if label == "utf-7":
        return Decoded(clean(data.decode("utf-7", "replace")), "charset UTF-7")
    text = _strict(data, "utf-8")
    if text is not None:
        return Decoded(
            clean(text), "" if data.isascii() and codec else f"charset {label[:40]!r}, read as UTF-8"
        )
    guess = _guess(data)
    said = f"charset {label[:40]!r}" if label else "no charset"
    return Decoded(clean(data.decode(guess, "replace")), f"{said} does not fit, read as {guess}")


def clean(text: str) -> str:
    """Line ends to LF, exotic spaces to space; NUL, controls, surrogates and invisible characters removed."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii():
        # Most texts: a tenth of the time of the expressions below.
        return text.encode().translate(None, _ASCII_CONTROLS).decode()
    text = _LINE_ENDS.sub("\n", _CONTROLS.sub("", text))
    return _SPACES.sub(" ", _INVISIBLE.sub("", text))


def _codec(label: str) -> str:
    """Python's codec for a charset label, "" when unknown or not to be trusted."""
    name = _ALIASES.get(label, label)
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):  # ValueError: a NUL in the label
        return ""
    return name if _CHARSETS.match(found) else ""


def _strict(data: bytes, codec: str) -> str | None:
    """`data` in `codec`, or None. A character cut at the very end (a partial fetch) is let go."""
    if codec == "cp1252":
        # Five octets are undefined in Windows-1252; browsers and mail clients read them as controls.
        return data.decode("cp1252", "ignore") if _looks_single_byte(data) else None
    try:
        return data.decode(codec)
    except UnicodeDecodeError as error:
        if codec == "utf-8" and error.start >= len(data) - 3 and error.reason == "unexpected end of data":
            return data[: error.start].decode("utf-8")
        return None
    except (UnicodeError, ValueError):
        return None


def _looks_single_byte(data: bytes) -> bool:
    """Whether text labelled Latin-1 is so: valid UTF-8 with 8-bit octets practically never is."""
    if data.isascii():
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _guess(data: bytes) -> str:
    """The likeliest charset of 8-bit octets that are not UTF-8."""
    sample = data[:SAMPLE_OCTETS]
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    high = len(sample) - len(sample.translate(None, bytes(range(0x80, 0x100))))
    if high <= _LATIN_SHARE * len(sample):
        return "cp1252"
    if len(sample.decode("utf-8", "ignore").encode()) >= len(sample) - high * _LATIN_SHARE:
        return "utf-8"
    best = from_bytes(sample).best()
    return best.encoding if best is not None and _CHARSETS.match(best.encoding) else "cp1252"
