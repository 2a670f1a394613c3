"""Separates what a sender wrote from quotes, forwarded mails and signatures.

Own rules: the reply parsers that exist know no Indonesian, hang on hostile text and lose customers' words. The text
is read once, line by line; each line looks at a bounded number of neighbours, so the time is linear in the length.
When in doubt a line counts as the sender's own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby

from responder.mail import quote_patterns as patterns
from responder.mail.quote_patterns import Separator

MAX_TEXT = 100_000  # characters; what stands below belongs to no question that a person typed
MAX_LINES = 4_000  # the same for the lines that remain when runs of blank ones are one
# A signature that leaves less than this part of the text is no signature: the full text counts.
LEAST_SHARE = 0.2
MAX_SIGNATURE_LINES = 15
MAX_AFTER_PHONE_LINE = 3
MAX_FOOTER_LINES = 4
LEAST_RULE = 20  # shorter rules are drawn by people, between paragraphs

_BLANK_RUN = re.compile(r"\n[ \t\r\f\v]*(?=\n[ \t\r\f\v]*\n)")
_DELIMITER = re.compile(r"(?:--|__|---|----|___|\+\+|==) ?\Z")
_CLOSING = re.compile(
    r"(?:(?:best|kind|warm)?\s?regards|salam(?:\s\w{1,12}){0,2}|hormat (?:kami|saya)|terima\s?kasih(?:\s\w{1,12}){0,2}|"
    r"wassalam\w*|thanks?(?: you)?|sincerely|cheers|matur nuwun|hatur nuhun|ttd)[\s,.!]*\Z",
    re.IGNORECASE,
)
_CONTACT = re.compile(
    r"\s*(?:(?:telp|tlp|telepon|phone|tel|hp|no\.? hp|mobile|mob|wa|whatsapp|fax|faks|e-?mail|web|website|alamat|"
    r"address|kantor|office)\b\.?\s?[:.(+\d]|https?://|www\.|\+?[\d ()-]{8,20}\Z)",
    re.IGNORECASE,
)
# Below such lines stand the facts that a question is about, not a visiting card.
_FACTS = re.compile(
    r"\b(?:npwp|nib|nik|user ?id|username|id penyedia|kode|paket|lpse|spse|masalah|kendala)\b|\?",
    re.IGNORECASE,
)
_LIST_FOOTER = re.compile(
    r"https?://|mailing list|milis|unsubscribe|disclaimer|confidential|rahasia", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Split:
    """A text taken apart."""

    new_text: (
        str  # the sender's own words, never empty when the text has any; the full text when little is left
    )
    quoted_text: str  # quoted and forwarded text, marks removed
    signature: str  # below "-- ", a phone's line, or surely a visiting card
    quoted: bool  # whether there was anything quoted or forwarded
    forwarded: bool  # whether a mail was passed on


class _Role(Enum):
    OWN = "own"
    QUOTED = "quoted"
    MARKER = "marker"  # an attribution, separator or header block


def split(text: str) -> Split:
    """Split `text` (at most `MAX_TEXT` characters of it) into new text, quotes and signature. Never raises."""
    lines = _BLANK_RUN.sub("", text[:MAX_TEXT].replace("\r\n", "\n").replace("\r", "\n")).split("\n")
    lines = lines[:MAX_LINES]
    plain = [patterns.plain(line) for line in lines]
    roles, forwarded = _roles(plain)
    own: list[str] = []
    signature: list[str] = []
    quoted: list[str] = []
    position = 0
    for role, group in groupby(roles):
        size = len(list(group))
        block = lines[position : position + size]
        position += size
        if role is _Role.OWN:
            end = _signature_start(block)
            last = position >= len(lines)
            own += [*_without_rule(block[:end], before_quote=not last), ""]
            signature += block[end:]
        elif role is _Role.QUOTED:
            quoted += [line[patterns.marks(line) :] for line in block]
        else:
            quoted += [line for line in block if (patterns.label(line) or ("",))[0] == "subject"]
    any_quote = any(role is not _Role.OWN for role in roles)
    new_text = _joined(own)
    if _is_too_little(new_text, text, any_quote):
        return Split(text[:MAX_TEXT].strip(), _joined(quoted), "", any_quote, forwarded)
    return Split(new_text, _joined(quoted), _joined(signature), any_quote, forwarded)


def _is_too_little(new_text: str, text: str, any_quote: bool) -> bool:
    if not any(character.isalnum() for character in new_text):
        return not new_text or (any(character.isalnum() for character in text) and not any_quote)
    return not any_quote and len(new_text) < LEAST_SHARE * len(text[:MAX_TEXT].strip())


def _roles(lines: Sequence[str]) -> tuple[list[_Role], bool]:
    """The role of every line, and whether a mail was forwarded."""
    roles: list[_Role] = []
    forwarded = False
    while len(roles) < len(lines):
        index = len(roles)
        line = lines[index]
        if not line:
            roles.append(_Role.OWN)
            continue
        if patterns.marks(line) and not _is_escaped_from(lines, index):
            roles.append(_Role.QUOTED)
            continue
        if index and patterns.is_last_line_of_attribution(lines, index):
            roles.append(_Role.MARKER)
            continue
        length, announced = _marker(lines, index)
        if not length:
            roles.append(_Role.OWN)
            continue
        roles += [_Role.MARKER] * length
        forwarded = forwarded or announced is Separator.FORWARDED
        following = next((line for line in lines[len(roles) : len(roles) + 4] if line), "")
        if not patterns.marks(following):
            roles += [_Role.QUOTED] * (len(lines) - len(roles))
    return _blanks_with_neighbours(lines, roles), forwarded


def _marker(lines: Sequence[str], index: int) -> tuple[int, Separator | None]:
    """(number of lines, what was announced) of the quote marker that starts at `index`; (0, None) for none."""
    announced = patterns.separator(lines[index])
    if announced or patterns.is_rule(lines[index]):
        below = index + 1
        while below < min(index + 3, len(lines)) and (not lines[below] or patterns.is_rule(lines[below])):
            below += 1
        block = patterns.header_block(lines, below, announced=True) if below < len(lines) else 0
        if block:
            return below - index + block, announced
        return (1, announced) if announced else (0, None)
    return (
        patterns.attribution(lines, index) or patterns.header_block(lines, index, announced=False),
        None,
    )


def _is_escaped_from(lines: Sequence[str], index: int) -> bool:
    """Whether the line is a ">From " that an mbox writer escaped, alone among unquoted lines."""
    neighbours = (*lines[max(index - 1, 0) : index], *lines[index + 1 : index + 2])
    return lines[index].startswith(">From ") and not any(patterns.marks(line) for line in neighbours)


def _blanks_with_neighbours(lines: Sequence[str], roles: list[_Role]) -> list[_Role]:
    """Blank lines between two lines of one kind of quote belong to it; all others stay the sender's."""
    result = list(roles)
    for index in range(1, len(roles) - 1):
        if not lines[index] and result[index - 1] is not _Role.OWN and roles[index + 1] is not _Role.OWN:
            result[index] = _Role.QUOTED
    return result


def _signature_start(block: Sequence[str]) -> int:
    """Index in a run of own lines where its signature starts; its length when it has none."""
    filled = [index for index, line in enumerate(block) if line.strip()]
    filled = filled[-MAX_SIGNATURE_LINES - 1 :]
    for place, index in enumerate(filled):
        below = [block[i] for i in filled[place + 1 :]]
        line = patterns.plain(block[index])
        if _DELIMITER.match(line) and _may_be_signature(line, below):
            return index
        if patterns.phone_line(line) and _ends_the_mail(below):
            return index
        if patterns.is_rule(line) and len(line.strip()) >= LEAST_RULE and _is_footer(line, below):
            return index
        if _CLOSING.match(line.strip()) and _is_visiting_card(below[1:]):
            return filled[place + 2]
    return len(block)


def _may_be_signature(delimiter: str, below: Sequence[str]) -> bool:
    """RFC 3676 4.3 wants "-- "; other dashes are also drawn between paragraphs, so a question below counts."""
    return delimiter in ("--", "-- ") or not any("?" in line or len(line) > 200 for line in below)


def _is_footer(rule: str, below: Sequence[str]) -> bool:
    """What stands below a drawn line: a mailing list's footer, or below underscores a few short lines."""
    short = len(below) <= MAX_FOOTER_LINES and not any("?" in line or len(line) > 80 for line in below)
    return any(map(_LIST_FOOTER.search, below)) or (rule.strip().startswith("_") and short)


def _ends_the_mail(below: Sequence[str]) -> bool:
    return len(below) <= MAX_AFTER_PHONE_LINE and not any(
        "?" in line or len(line.split()) > 8 for line in below if not patterns.phone_line(line)
    )


def _is_visiting_card(lines: Sequence[str]) -> bool:
    return sum(bool(_CONTACT.match(line)) for line in lines) >= 2 and not any(map(_FACTS.search, lines))


def _without_rule(block: Sequence[str], *, before_quote: bool) -> Sequence[str]:
    """`block` without the line that some programs draw between an answer and its quote."""
    if not before_quote:
        return block
    end = len(block)
    while end and (not block[end - 1].strip() or patterns.is_rule(block[end - 1])):
        end -= 1
    return block[:end]


def _joined(lines: Sequence[str]) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines)).strip()
