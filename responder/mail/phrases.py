"""Tells by the words of a subject or text whether a machine wrote it, and whether a person asks it to stop.

Words are the weakest sign: subjects count only at their start, and what people write too is no more than a hint.
"""

from __future__ import annotations

import re
import tomllib
from enum import IntEnum
from importlib.resources import files

MAX_SUBJECT = 200
MAX_TEXT = 4_000  # a notification says what it is at its top; a returned mail may follow
MAX_STOP_REQUEST = 300  # a longer mail that mentions stopping is about something else

_WORDS = tomllib.loads(files("responder.mail").joinpath("phrases.toml").read_text(encoding="utf-8"))


def _starts(name: str) -> tuple[str, ...]:
    return tuple(_WORDS[name])


_BOUNCE_SUBJECTS = _starts("bounce_subjects")
_WEAK_BOUNCE_SUBJECTS = _starts("weak_bounce_subjects")
_AUTO_REPLY_SUBJECTS = tuple(sorted(_starts("auto_reply_subjects"), key=len, reverse=True))
_RECEIPT_SUBJECTS = _starts("receipt_subjects")
_CALENDAR_SUBJECTS = _starts("calendar_subjects")
_BOUNCE_TEXTS = tuple(_WORDS["bounce_texts"])
# What follows the words when a program puts the old subject, or nothing, behind them.
_PROGRAM_GOES_ON = re.compile(r"\s*(?:[:：\-–—(\[<\"]|re\b|\Z)", re.IGNORECASE)
# "550 5.1.1", "550-5.1.1", "(#5.1.1)", and report fields that stand in the text.
_SMTP_ERROR = re.compile(
    r"(?<!\d)[45]\d\d[ -]{1,2}[(\[#]?[45]\.\d{1,3}\.\d{1,3}(?!\d)|\(#[45]\.\d{1,3}\.\d{1,3}\)|"
    r"(?<!\d)5[05]\d [a-z<]|^[ \t]{0,8}(?:action: (?:failed|delayed)|status: [45]\.\d{1,3}\.\d{1,3})",
    re.MULTILINE,
)
_STOP_WORD = re.compile(r"(?:stop|berhenti|unsubscribe|hentikan|remove me|berhenti berlangganan)[\s.!]*\Z")
_STOP_SENTENCE = re.compile(
    r"(?:jangan|tolong hentikan|mohon hentikan|hentikan|berhenti|stop|tidak (?:mau|ingin)|do not|don't|please stop)"
    r"\b[^.\n?]{0,60}\b(?:otomatis|automatic(?:ally)?|automated|auto-?reply|auto-?replies|robot|bot|mesin)\b|"
    r"\b(?:jangan|stop|berhenti|don't|do not)\s(?:kirim(?:i|kan)?|mengirim(?:i|kan)?|balas|send(?:ing)?|reply)\b"
    r"[^.\n?]{0,40}\b(?:lagi|email|surel|e-mail|mails?|pesan|me)\b[\s.!]*\Z|"
    r"\b(?:unsubscribe|berhenti berlangganan)\b",
)


class Likelihood(IntEnum):
    """How surely words come from a machine."""

    NO = 0
    MAYBE = 1  # people write them too
    SURE = 2


def bounce_subject(subject: str) -> Likelihood:
    """Whether `subject` is that of a bounce."""
    text = _folded(subject)
    if text.startswith(_BOUNCE_SUBJECTS):
        return Likelihood.SURE
    return Likelihood.MAYBE if text.startswith(_WEAK_BOUNCE_SUBJECTS) else Likelihood.NO


def bounce_text(text: str) -> bool:
    """Whether the top of `text` reads like a delivery notification; people quote those too."""
    top = text[:MAX_TEXT].casefold()
    return any(words in top for words in _BOUNCE_TEXTS) or bool(_SMTP_ERROR.search(top))


def auto_reply_subject(subject: str, *, answers: bool) -> Likelihood:
    """Whether `subject` is that of an automatic answer; `answers`: the mail answers another one."""
    text = _folded(subject)
    found = next((words for words in _AUTO_REPLY_SUBJECTS if text.startswith(words)), None)
    if found is None:
        return Likelihood.SURE if text == "cuti" and answers else Likelihood.NO
    sure = answers or found.endswith(":") or _PROGRAM_GOES_ON.match(text, len(found))
    return Likelihood.SURE if sure else Likelihood.MAYBE


def receipt_subject(subject: str) -> bool:
    """Whether `subject` is that of a read receipt, recall or feedback report."""
    return _folded(subject).startswith(_RECEIPT_SUBJECTS)


def calendar_subject(subject: str) -> bool:
    """Whether `subject` is that of a calendar's answer."""
    return _folded(subject).startswith(_CALENDAR_SUBJECTS)


def stop_request(subject: str, text: str) -> bool:
    """Whether the sender asks not to get automatic mail (rule 47)."""
    words = " ".join(text[: MAX_STOP_REQUEST * 2].casefold().split())
    if not words or len(words) > MAX_STOP_REQUEST:
        return not words and _STOP_WORD.match(_folded(subject)) is not None
    if _STOP_WORD.match(words) or _STOP_SENTENCE.search(words):
        return True
    return _STOP_WORD.match(_folded(subject)) is not None


def _folded(subject: str) -> str:
    return " ".join(subject[:MAX_SUBJECT].casefold().split()).lstrip("*[ ") if subject else ""
