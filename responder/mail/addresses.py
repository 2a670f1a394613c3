"""Address lists, message ids and dates of headers, read tolerantly and in linear time.

Two parsers look at From: the one here and the stdlib's. Forged senders live where parsers disagree
(CVE-2023-27043), so a mailbox counts as the sender only if both saw it and nothing else (rule 11).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import getaddresses, parsedate_to_datetime
from inspect import signature
from typing import NamedTuple

import idna

from responder.mail.headers import decode_words
from responder.mail.message import Address

# Strict mode, where the interpreter has it, hides the second address of `support@x <evil@y>` that matters here.
_BOTH: dict[str, bool] = {"strict": False} if "strict" in signature(getaddresses).parameters else {}

# 900 octets still fit a header line of 998 with name and brackets (RFC 5322 2.1.1).
MAX_ID = 900
# More than honest References hold; the records are asked for all of them at once (SQLite takes 32,766 values).
MAX_IDS = 1000
MAX_DATE = 100

_TOKEN = re.compile(
    r"""(?P<space>\s++)
      | (?P<quoted>"(?:[^"\\]++|\\.)*+"?)
      | (?P<special>[()<>,;:])
      | (?P<atom>(?:[^\s"()<>,;:\\\[]++|\\.?|\[[^\]<>,\s]*+\]?)++)""",
    re.VERBOSE | re.DOTALL,
)
_LOCAL = re.compile(r'[^\s@<>"(),:;\\\[\]]+|"(?:[^"\\]|\\.)*"')
_DOMAIN = re.compile(r'[^\s@<>"(),:;\\\[\]]+|\[[0-9A-Fa-f.:]+\]|\[IPv6:[0-9A-Fa-f.:]+\]', re.IGNORECASE)
_BRACKETED_ID = re.compile(r"<([^<>\s]++)>")


class AddressList(NamedTuple):
    """The mailboxes of a header and whether anything beside plain mailboxes (a group, a fragment) was there."""

    mailboxes: tuple[Address, ...]
    plain: bool


def parse(value: str) -> AddressList:
    """Parse an address-list (RFC 5322 3.4), not yet RFC 2047-decoded."""
    reader = _Reader()
    for token in _TOKEN.finditer(value):
        reader.take(token.lastgroup or "", token[0])
    reader.flush()
    return AddressList(tuple(reader.mailboxes), reader.plain)


def mailboxes(values: Iterable[str]) -> tuple[Address, ...]:
    """All mailboxes of all instances of an address header."""
    return tuple(mailbox for value in values for mailbox in parse(value).mailboxes)


def sender(values: Sequence[str]) -> tuple[Address | None, tuple[Address, ...]]:
    """Return (the one From mailbox or None, everything that any parser saw) for all From headers (rule 11)."""
    lists = [parse(value) for value in values]
    seen = tuple(mailbox for found in lists for mailbox in found.mailboxes)
    other = {normalise(spec) or spec for _, spec in getaddresses(list(values), **_BOTH) if "@" in spec}
    known = {mailbox.address for mailbox in seen}
    everything = seen + tuple(Address("", spec) for spec in sorted(other - known) if normalise(spec))
    if not everything:
        everything = mailboxes(decode_words(value).text for value in values)
    agreed = len(values) == 1 and lists[0].plain and len(known) == 1 and other == known
    return (seen[0] if agreed else None), everything


def normalise(spec: str) -> str:
    """An addr-spec with its domain as lower-case A-labels; "" when it is none. A bad IDN keeps its letters."""
    local, at, domain = spec.rpartition("@")
    domain = domain.rstrip(".")
    if not at or not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        return ""
    domain = domain.lower()
    if not domain.isascii():
        with suppress(idna.IDNAError, UnicodeError):
            domain = idna.encode(domain, uts46=True).decode()
    return f"{local}@{domain}"


def null_or_address(values: Sequence[str]) -> str | None:
    """Return-Path: "" for the null sender in any instance, the address, or None when absent (rule 1)."""
    if not values:
        return None
    found = [[m.address for m in parse(value).mailboxes] for value in values]
    return found[0][0] if all(found) else ""


def message_ids(value: str) -> tuple[str, ...]:
    """The usable ids of Message-ID, In-Reply-To or References in order, each once, without angle brackets.

    At most the last MAX_IDS, which are the newest of References (RFC 5322 3.6.4).

    Exchange writes `<[id@host]>`, whose brackets belong to the id. Without angle brackets at all, words with an
    "@" count.
    """
    found = _BRACKETED_ID.findall(value)
    if not found:
        found = [word for word in value.replace("<", " ").replace(">", " ").split() if "@" in word]
    usable = dict.fromkeys(i for i in found if len(i) <= MAX_ID and i.isascii() and i.isprintable())
    return tuple(usable)[-MAX_IDS:]


def mailbox_key(address: str) -> str:
    """`address` as limits and notes about a person are kept: lower case, without a "+suffix" (rules 19, 23, 28).

    Case and suffix are free for the sender to vary, and all of them are one mailbox almost everywhere. Never for
    writing to.
    """
    local, _, domain = address.lower().rpartition("@")
    return f"{local.partition('+')[0] or local}@{domain}"


def date(value: str) -> datetime | None:
    """The aware time of a Date header; None when it cannot be read. An unknown zone (-0000) is UTC."""
    try:
        parsed = parsedate_to_datetime(value[:MAX_DATE])
        parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        parsed.astimezone(UTC)  # year 1 or 9999 may not exist in UTC
    except (TypeError, ValueError, OverflowError, IndexError):  # each raised by one of the fuzzed values
        return None
    return parsed


class _Reader:
    """Collects one mailbox after the other from tokens; all state is what has been seen since the last comma."""

    def __init__(self) -> None:
        self.mailboxes: list[Address] = []
        self.plain = True
        self._depth = 0
        self._in_angle = False
        self._reset()

    def _reset(self) -> None:
        self._phrase: list[str] = []
        self._comment: list[str] = []
        self._angle: list[str] = []
        self._angles = 0

    def take(self, kind: str, text: str) -> None:
        if kind == "special" and text in "()":
            self._depth = max(self._depth + (1 if text == "(" else -1), 0)
        elif self._depth:
            self._comment.append(text)
        elif self._in_angle:
            self._in_angle = text != ">"
            if text not in "<>":
                self._angle.append(text)
        elif kind != "special":
            self._phrase.append(" " if kind == "space" else text)
        else:
            self._special(text)

    def _special(self, text: str) -> None:
        if text == "<":
            self._in_angle = True
            self._angles += 1
        elif text == ":":
            self.plain = False
            self._reset()
        elif text in ",;":
            self.flush()

    def flush(self) -> None:
        phrase = "".join(self._phrase).strip()
        if self._angles:
            # A route (RFC 5322 4.4) and `mailto:` stand before the last colon.
            spec = "".join(self._angle).strip()
            self._add(phrase, spec.rpartition(":")[2] if "[" not in spec else spec)
            self.plain = self.plain and self._angles == 1
        elif "@" in phrase:
            self._add("".join(self._comment), "".join(part for part in self._phrase if part != " "))
        elif phrase:
            self.plain = False
        self._in_angle = False
        self._reset()

    def _add(self, name: str, spec: str) -> None:
        address = normalise(spec)
        if not address:
            self.plain = False
            return
        self.mailboxes.append(Address(_display_name(name), address))


def _display_name(phrase: str) -> str:
    """The phrase without quotes, decoded, one line."""
    if '"' in phrase:
        phrase = re.sub(r"\\(.)", r"\1", re.sub(r'(?<!\\)"', "", phrase))
    return decode_words(phrase.strip()).text
