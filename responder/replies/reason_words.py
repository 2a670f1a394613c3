"""The English reasons of screening and reading in the words of staff, from the table beside this file.

The records keep the English reasons for operators; what staff read is told here. A reason that the table does not know
is named by its rule, or as a technical one: no English reaches staff.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_suffix(".toml")
_PLACE = re.compile(r"\{(\w+)\}")
_RULE = re.compile(r"rule (\d+[a-z]?)\b")
_WHY = "why"
# What a sender wrote may hold "; " too: a reason begins like one of ours.
_BETWEEN = re.compile(r"; (?=rule \d|(?:it|the) |[\w-]+ is )")

OTHER = "alasan teknis; rinciannya dilihat operator"


def told(reason: str) -> str:
    """One reason in Indonesian, without a full stop."""
    for pattern, sentence in _table():
        if found := pattern.fullmatch(reason):
            facts = {name: told(said) if name == _WHY else said for name, said in found.groupdict().items()}
            return sentence.format(**facts)
    rule = _RULE.match(reason)
    return f"aturan {rule[1]}" if rule else OTHER


def told_all(reasons: Iterable[str]) -> str:
    """Several reasons in one line, each said once."""
    return "; ".join(dict.fromkeys(map(told, reasons)))


def told_line(line: str) -> str:
    """A line of reasons as the ledger keeps it, joined by "; "."""
    return told_all(_BETWEEN.split(line)) if line else ""


def is_known(reason: str) -> bool:
    """Whether the table has words for `reason`."""
    return any(pattern.fullmatch(reason) for pattern, _ in _table())


@cache
def _table() -> tuple[tuple[re.Pattern[str], str], ...]:
    """(what fits the whole reason, what is told), in the table's order."""
    entries = tomllib.loads(_TABLE.read_text(encoding="utf-8"))["reasons"]
    return tuple((_pattern(template), sentence) for template, sentence in entries.items())


def _pattern(template: str) -> re.Pattern[str]:
    # Split at its places, a template is text, name, text, name, ..., text.
    texts = _PLACE.split(template)
    parts = [f"(?P<{one}>.+)" if n % 2 else re.escape(one) for n, one in enumerate(texts)]
    return re.compile("".join(parts), re.DOTALL | re.IGNORECASE)
