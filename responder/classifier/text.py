"""A mail's own words: what the vendor wrote this time, without greeting, closing, signature, disclaimer and quotes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# A closing or a label line is short; a longer one that starts alike ("Salam kenal, kami ingin ...") is content.
_CLOSING_WORDS = 7
# Reading stops here: the question of a helpdesk mail stands well before, and time per mail stays bounded.
MAX_CHARACTERS = 20_000

_SUBJECT_PREFIX = re.compile(r"^\s*(?:(?:re|fwd?|bls|balas|trs|teruskan|perihal|hal|subject)\s*:\s*)+", re.I)
_QUOTE_MARK = re.compile(r"^\s*>")
_SEPARATOR = re.compile(r"^\s*[-_=*#~]{3,}[\s\-_=*#~]*$")
_REPLY_LINE = re.compile(
    r"^\s*(?:pada\b.{0,200}\b(?:menulis|wrote)\s*:|on\b.{0,200}\bwrote\s*:|.{0,100}<\S+@\S+>\s*(?:menulis|wrote)\s*:)\s*$",
    re.I,
)
_REPLY_LINE_START = re.compile(r"^\s*(?:pada|on)\s.*\d{4}", re.I)
_HEADER_LINE = re.compile(
    r"^\s*\*?(?:from|dari|sent|dikirim|to|kepada|cc|date|tanggal|subject|perihal|hal)\*?\s*:", re.I
)
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|(?<=\?)(?=\w)|\n+")
# Their full stop ends no sentence.
_ABBREVIATION = re.compile(
    r"\b(yth|jl|jln|no|bpk|sdr|sdri|pt|cv|dr|ir|drs|tn|ny|tgl|telp|kab|kec|kel)\.", re.I
)
_WORD = re.compile(r"\w+")
_ADDRESSEE = (
    r"(?:pak|bpk|bapak|bu|ibu|mas|mbak|mba|kak|kakak|bang|min|mimin|admin|gan|sir|madam|team|tim|helpdesk|lpse|"
    r"semua|semuanya|rekan|sekalian|wr|wb|all|uda|kang|teh|teteh|daeng|bro|sis|petugas|kemenperin|officer|there)"
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A mail reduced to what the vendor says. `sentences` holds the subject first when it has one."""

    sentences: tuple[str, ...]
    has_quote: bool  # something was quoted and left out
    from_quote: bool  # the own text is empty or points at the quoted text, so that was read too


@dataclass(frozen=True, slots=True)
class Frame:
    """Compiled phrases of `_words/bingkai.yaml`: the parts of a letter that carry no content."""

    greeting: re.Pattern[str]
    closing: re.Pattern[str]
    courtesy: re.Pattern[str]
    label: re.Pattern[str]
    disclaimer: re.Pattern[str]
    quote: re.Pattern[str]
    forward: re.Pattern[str]
    pointer: re.Pattern[str]

    @classmethod
    def of(cls, phrases: dict[str, list[str]]) -> Frame:
        greeting = _either(phrases["sapaan"])
        return cls(
            greeting=re.compile(
                rf"^\W*{greeting}\b[.]?(?:[ ]+{_ADDRESSEE}\b[./]?)*(?:[^,.!?\n]{{0,60}},|\W*$|\W+)?", re.I
            ),
            closing=re.compile(rf"^\W*{_either(phrases['penutup'])}\b", re.I),
            courtesy=re.compile(rf"^\W*{_either(phrases['basa_basi'])}(?:nya)?\b", re.I),
            label=re.compile(rf"^\W*{_either(phrases['label_tanda_tangan'])}\s*[.]?\s*[:.]", re.I),
            disclaimer=re.compile(rf"^\W*{_either(phrases['penafian'])}\b", re.I),
            quote=re.compile(rf"^\W*{_either(phrases['kutipan'])}\W*$", re.I),
            forward=re.compile(rf"^\W*{_either(phrases['terusan'])}\b\W*$", re.I),
            pointer=re.compile(rf"\b{_either(phrases['penunjuk'])}\b", re.I),
        )


def _either(phrases: Iterable[str]) -> str:
    ordered = sorted(phrases, key=lambda phrase: (-len(phrase), phrase))
    return "(?:" + "|".join(re.escape(phrase).replace(r"\ ", r"\s+") for phrase in ordered) + ")"


def prepare(subject: str, body: str, frame: Frame) -> Prepared:
    """Return the vendor's own sentences of a mail.

    Forwarded text counts as own. Quoted text is read only when the own text is empty or points at it ("mohon dijawab
    pertanyaan di bawah"): elsewhere it is mostly our own earlier answer, which would name a topic by itself.
    """
    own, quoted = _split_quotes(body[:MAX_CHARACTERS], frame)
    sentences = _content(own, frame)
    from_quote = bool(quoted) and (
        not sentences or any(frame.pointer.search(sentence) for sentence in sentences)
    )
    if from_quote:
        sentences += _content(quoted, frame)
    title = _SUBJECT_PREFIX.sub("", subject).strip().strip("()[]")
    if title and title.casefold() not in {"tanpa perihal", "no subject"}:
        sentences = [title, *sentences]
    return Prepared(tuple(sentences), has_quote=bool(quoted) and not from_quote, from_quote=from_quote)


def _split_quotes(body: str, frame: Frame) -> tuple[list[str], list[str]]:
    """Split lines into own (with forwarded) and quoted ones."""
    own: list[str] = []
    quoted: list[str] = []
    target = own
    lines = body.splitlines()
    for index, line in enumerate(lines):
        if frame.forward.match(line):
            target = own
        elif frame.quote.match(line) or _opens_reply(lines, index):
            target = quoted
        elif _QUOTE_MARK.match(line):
            inner = line.lstrip("> \t")
            if not (_REPLY_LINE.match(inner) or _HEADER_LINE.match(inner)):
                quoted.append(inner)
        elif not (_HEADER_LINE.match(line) or _SEPARATOR.match(line)):
            target.append(line)
    return own, quoted


def _opens_reply(lines: Sequence[str], index: int) -> bool:
    """Tell whether a "Pada ... menulis:" stands here; mail programs fold it over two lines."""
    if _REPLY_LINE.match(lines[index]):
        return True
    following = lines[index + 1] if index + 1 < len(lines) else ""
    return bool(
        _REPLY_LINE_START.match(lines[index]) and _REPLY_LINE.match(f"{lines[index]} {following.strip()}")
    )


def _content(lines: Sequence[str], frame: Frame) -> list[str]:
    sentences: list[str] = []
    closed = False
    for line in lines:
        if line.rstrip() == "--" or frame.disclaimer.match(line):
            closed = True
            continue
        for raw in _SENTENCE_END.split(_ABBREVIATION.sub(r"\1", line)):
            sentence = frame.greeting.sub("", raw, count=1).strip()
            if not _WORD.search(sentence):
                continue
            words = len(_WORD.findall(sentence))
            if (
                frame.closing.match(sentence)
                and (words <= _CLOSING_WORDS or "," in sentence[:20])
                and "?" not in raw
            ):
                closed = closed or bool(sentences)
                continue
            if frame.courtesy.match(sentence) or (
                words <= 2 * _CLOSING_WORDS and frame.label.match(sentence)
            ):
                continue
            # What follows a closing is a signature, unless it asks something (a postscript).
            if not closed or "?" in sentence:
                sentences.append(sentence)
    return sentences
