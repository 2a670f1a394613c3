"""Recognises, line by line, what mail programs put around quoted and forwarded mail.

Every function looks at a bounded number of capped lines with anchored patterns, so a text costs time linear in its
length. Lines are given as `plain` returns them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from enum import Enum
from importlib.resources import files

MAX_LINE = 1000  # longer lines are matched by their start only
MAX_ATTRIBUTION_LINES = 4  # Gmail wraps a long "On ... wrote:" over up to four lines of 78 characters
MAX_ATTRIBUTION = 500
MAX_OPENING = 24  # characters between an opener and the first digit of its date
MAX_BLOCK_LINES = 24  # a header block with long To and Cc lists
MAX_PHONE_LINE = 90
MAX_PHONE_WORDS = 10

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_SPACES = re.compile("[\u00a0\u2000-\u200a\u202f\u3000\t]")
_MARKS = re.compile(r"(?: {0,3}>)++ ?")
_DECORATION = " *_>\"'|-~\\"


_WORDS = tomllib.loads(files("responder.mail").joinpath("quote_words.toml").read_text(encoding="utf-8"))


def _alternatives(listed: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(listed, key=len, reverse=True))


_OPENER = re.compile(rf"(?:{_alternatives(_WORDS['openers'])})(?![^\W\d])", re.IGNORECASE)
_LEADER = re.compile(rf"(?:{_alternatives(_WORDS['leaders'])})\s", re.IGNORECASE)
_FINAL_VERBS = tuple(_WORDS["final_verbs"])
_FINAL_VERB = re.compile(rf"(?<!\w)(?:{_alternatives(_FINAL_VERBS)})\Z")
_MEDIAL_VERB = re.compile(rf"(?<!\w)(?:{_alternatives(_WORDS['medial_verbs'])})(?!\w)", re.IGNORECASE)
_UNSPACED_VERB = re.compile(_alternatives(_WORDS["unspaced_verbs"]))
_INLINE_VERB = re.compile(
    r"[>)\]]\s?(?:wrote|menulis|escribió|a écrit|ha scritto|escreveu)\s?:\s", re.IGNORECASE
)
_ADDRESS = re.compile(r"[\w.+%=-]@[\w-]+(?:\.|$|\s)")
_BRACKETED_END = re.compile(r"[>)\]\"”]{1,3}\s?[:：]\Z")
_STARTS_WITH_DATE = re.compile(
    r"(?:[^\W\d]{1,13}[.,]{0,2}\s{1,2})?(?:den\s)?\d{1,4}(?:[\s./:,年년-]|st|nd|rd|th)"
)
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_NUMERIC_DATE = re.compile(r"(?<!\d)\d{1,4}([./-])\s?\d{1,2}\1\s?\d{1,4}(?!\d)")
_TIME = re.compile(r"(?<!\d)\d{1,2}\s?[:.h時시]\s?\d{2}(?!\d)")
_NUMBER = re.compile(r"\d+")

_SEPARATOR = re.compile(r"[-_=*~—–]{2,}\s?(?P<words>[^-_=*~—–].{2,59}?)\s?[:：]?\s?[-_=*~—–]*\Z")
_RULE = re.compile(r"[-_=*~—–‐]{5,}\Z")
_ABOVE_THIS_LINE = re.compile(
    r"[-#=*_ ]{2,}.{0,40}(?:above this line|di atas (?:baris|garis) ini|oberhalb dieser (?:zeile|linie)|"
    r"au-dessus de cette ligne|encima de esta línea).{0,30}\Z",
    re.IGNORECASE,
)
_SEPARATORS = {word.casefold() for word in _WORDS["original"]}
_FORWARDS = {word.casefold() for word in _WORDS["forwarded"]}
_FORWARD_STARTS = {word.casefold() for word in _WORDS["begin_forwarded"]}

# A word that is a label in two languages ("la", "no") keeps the stronger role, which comes last.
_LABELS = {
    label: role
    for role in ("other", "copy", "to", "date", "subject", "from")
    for label in _WORDS["labels"][role]
}
_LABEL_LINE = re.compile(r"[\s*_]{0,6}(?P<label>[^:：*\d@]{1,24}?)[\s*_]{0,4}[:：][\s*_]{0,4}(?P<value>.*)")

_SENT_FROM = re.compile(
    rf"[\s(<*_«\[]*(?:{_alternatives(_WORDS['sent_from'])})(?P<what>.{{0,80}})\Z", re.IGNORECASE
)
_SENT_FROM_AFTER = re.compile(
    r".{0,60}(?:gesendet|から送信|에서 보냄|에서 보냈습니다|gönderildi|傳送|发送|wysłane|lähetetty)[.)>]?\Z",
    re.IGNORECASE,
)
_OF_MINE = re.compile(r"\s?(?:my|mon|mi|meu|mijn|min|meinem|mio)\s", re.IGNORECASE)
_ADVERT = re.compile(rf"[\s(<*_\[]*(?:{_alternatives(_WORDS['adverts'])}).{{0,80}}\Z", re.IGNORECASE)
_POWERED = re.compile(r"\s*powered by\s.{0,60}(?:blackberry|telkomsel|indosat|xl).{0,20}\Z", re.IGNORECASE)
_EXCUSE = re.compile(r"excuse|typo|brevity|pardon|harap maklum|mohon maaf|blackberry", re.IGNORECASE)
_DEVICE = re.compile(rf"(?<![^\W\d_])(?:{_alternatives(_WORDS['devices'])})", re.IGNORECASE)
_LINK = re.compile(r"[<(\[]?(?:https?://|www\.)[^\s>)\]]*[>)\]]?", re.IGNORECASE)


class Separator(Enum):
    """What a separator line announces."""

    ORIGINAL = "original"  # the mail that is answered
    FORWARDED = "forwarded"  # a mail that is passed on


def plain(line: str) -> str:
    """`line` capped, without invisible characters, with plain spaces, ready for the functions here."""
    line = line[:MAX_LINE]
    if not line.isascii():
        line = _SPACES.sub(" ", _INVISIBLE.sub("", line))
    return line.replace("\t", " ").rstrip()


def marks(line: str) -> int:
    """Length of the quote marks ("> ", ">>") that `line` starts with; 0 when it is not quoted."""
    found = _MARKS.match(line)
    return found.end() if found else 0


def attribution(lines: Sequence[str], start: int) -> int:
    """Number of lines, from `start`, of an "On DATE, NAME wrote:"; 0 when none starts there.

    The lines may be wrapped and stand behind quote marks; one blank line inside is allowed before the last.
    """
    first = _undecorated(lines[start])
    if not first or not ("@" in first or "<" in first or _NUMBER.search(first) or first[-1] in ":："):
        return 0
    joined, count, blanks = "", 0, 0
    for line in lines[start : start + MAX_ATTRIBUTION_LINES + 1]:
        count += 1
        text = _undecorated(line)
        if not text:
            blanks += 1
            if blanks > 1:
                return 0
            continue
        joined = f"{joined} {text}" if joined else text
        if len(joined) > MAX_ATTRIBUTION and count > 1:
            return 0
        if (text[-1] in ":：" or _ends_in_verb(text) or count == 1) and _is_attribution(
            joined, followed_by_quote=_quote_follows(lines, start + count)
        ):
            return 0 if _starts_later(lines, start, count) else count
    return 0


def is_last_line_of_attribution(lines: Sequence[str], index: int) -> bool:
    """Whether line `index` is the tail of an attribution whose first lines stand behind quote marks."""
    return any(
        marks(lines[index - back]) and attribution(lines, index - back) == back + 1
        for back in range(1, MAX_ATTRIBUTION_LINES)
        if index - back >= 0
    )


def separator(line: str) -> Separator | None:
    """What a line such as "-----Original Message-----" or "Begin forwarded message:" announces."""
    # The capital dotted I of Turkish folds to two characters.
    text = line.strip(" *>\\").casefold().replace("i\u0307", "i")
    if not 5 <= len(text) <= 120:
        return None
    if text.rstrip(" :：") in _FORWARD_STARTS and text[-1] in ":：":
        return Separator.FORWARDED
    found = _SEPARATOR.match(text)
    if not found:
        return None
    announced = found["words"].strip(" :：")
    if announced in _FORWARDS:
        return Separator.FORWARDED
    if announced in _SEPARATORS:
        return Separator.ORIGINAL
    return Separator.ORIGINAL if _ABOVE_THIS_LINE.match(text) else None


def is_rule(line: str) -> bool:
    """Whether the line is drawn: five or more dashes, underscores or the like."""
    return bool(_RULE.match(line.strip()))


def label(line: str) -> tuple[str, str] | None:
    """(role, value) of a header label line such as "*Dari:* a@b"; roles: from, date, to, copy, subject, other."""
    found = _LABEL_LINE.match(line)
    role = _LABELS.get(found["label"].strip().casefold()) if found else None
    return (role, found["value"].strip()) if found and role else None


def header_block(lines: Sequence[str], start: int, *, announced: bool) -> int:
    """Number of lines, from `start`, of a block of header labels above an earlier mail; 0 when none starts there.

    Official letters have "Dari:", "Kepada:", "Perihal:" too: unless `announced` by a separator or a rule, the block
    must hold an address or a date with digits.
    """
    first = label(lines[start])
    if first is None or first[0] not in (
        ("from", "date", "to", "subject") if announced else ("from", "date")
    ):
        return 0
    roles: dict[str, str] = {}
    end = since = start
    for index in range(start, min(start + MAX_BLOCK_LINES, len(lines))):
        found = label(lines[index])
        if found is not None and not (found[0] in roles and found[0] != "other"):
            roles[found[0]] = found[1]
            end, since = index + 1, index
        elif index - since > 3 or (found is None and not lines[index].strip() and since != index - 1):
            break
        elif found is None and roles:
            roles[next(reversed(roles))] += " " + lines[index]
    return end - start if _is_header_block(roles, announced=announced) else 0


def phone_line(line: str) -> bool:
    """Whether the line is what a phone or a mail program adds, such as "Dikirim dari iPhone saya"."""
    text = _LINK.sub("", line).strip()
    if not text or len(text) > MAX_PHONE_LINE or len(text.split()) > MAX_PHONE_WORDS:
        return False
    if ", " in text and not _EXCUSE.search(text):
        return False
    if _ADVERT.match(text) or _POWERED.match(text):
        return True
    found = _SENT_FROM.match(text)
    if found:
        own = _OF_MINE.match(found["what"])
        return bool(own or _DEVICE.search(text)) and not text.endswith("?")
    return bool(_SENT_FROM_AFTER.match(text) and _DEVICE.search(text))


def _undecorated(line: str) -> str:
    return line.strip(_DECORATION)


def _quote_follows(lines: Sequence[str], index: int) -> bool:
    """Whether the first line with text at or shortly after `index` is quoted."""
    following = next((line for line in lines[index : index + 4] if line.strip()), "")
    return marks(following) > 0


def _is_attribution(text: str, *, followed_by_quote: bool) -> bool:
    address = _ADDRESS.search(text) is not None
    dated = _is_dated(text)
    opened = _OPENER.match(text) is not None
    date_first = _STARTS_WITH_DATE.match(text) is not None
    if opened and dated and _INLINE_VERB.search(text):
        return True
    final = _ends_in_verb(text)
    colon = text[-1] in ":："
    if not final and not colon:
        return followed_by_quote and dated and date_first and address and "<" in text
    if colon and address and _LEADER.match(text):
        return True
    if dated and _UNSPACED_VERB.search(text[-40:]):
        return True
    if final and dated and (opened or date_first):
        return _is_surely_client(text, address=address, followed_by_quote=followed_by_quote)
    if colon and dated and address and (opened or date_first) and _BRACKETED_END.search(text):
        return True  # languages that use no verb: "5 мая 2020 г. в 10:00, NAME <a@b>:"
    if colon and (medial := _MEDIAL_VERB.search(text)) and (address or (opened and dated)):
        return dated or medial.start() > 0
    if final and address:
        return colon or followed_by_quote
    return final and colon and followed_by_quote and len(text) <= 80


def _ends_in_verb(text: str) -> bool:
    tail = text[-60:].casefold().rstrip(" :：.")
    return tail.endswith(_FINAL_VERBS) and _FINAL_VERB.search(tail) is not None


def _is_surely_client(text: str, *, address: bool, followed_by_quote: bool) -> bool:
    """Whether a dated "wrote" line comes from a program: "Pada 12 Mei 2024 panitia menulis:" is common prose."""
    if address or followed_by_quote or not text.rstrip(" :").endswith("ulis"):
        return True
    return _TIME.search(text) is not None


def _is_dated(text: str) -> bool:
    if len(_NUMBER.findall(text[:MAX_ATTRIBUTION])) < 2:
        return False
    return bool(_YEAR.search(text) or _NUMERIC_DATE.search(text) or _TIME.search(text))


def _starts_later(lines: Sequence[str], start: int, count: int) -> bool:
    """Whether the attribution ending here begins on a later line, so that line `start` is the writer's own."""
    first = _undecorated(lines[start])
    # A wrapped header can go on with a time or an address; only an opener with its date surely starts anew.
    may_be_its_start = _OPENER.match(first) or _STARTS_WITH_DATE.match(first)
    followed_by_quote = _quote_follows(lines, start + count)
    for index in range(start + 1, start + count):
        text = " ".join(filter(None, map(_undecorated, lines[index : start + count])))
        if not text or not _is_attribution(text, followed_by_quote=followed_by_quote):
            continue
        digit = _NUMBER.search(text)
        if not may_be_its_start or (_OPENER.match(text) and digit and digit.start() <= MAX_OPENING):
            return True
    return False


def _is_header_block(roles: dict[str, str], *, announced: bool) -> bool:
    dated = _is_dated(roles.get("date", ""))
    addressed = any("@" in roles.get(role, "") for role in ("from", "to"))
    if "from" in roles and len(roles) >= 2:
        return announced or dated or addressed
    if "from" in roles:
        return announced or bool(re.search(r"[<\[(](?:mailto:)?[^\s<>]+@", roles["from"]))
    return ("date" in roles and "to" in roles and (announced or (dated and addressed))) or (
        announced and len(roles) >= 2
    )
