"""What the pages say, in the languages that they speak: words/<language>.toml, one key a sentence."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from responder.errors import Refused
from responder.tickets.status import ReplyStatus

_FOLDER = Path(__file__).with_name("words")
DEFAULT = "id"


@dataclass(frozen=True)
class Words:
    """One language. Keys are dotted: the table's name, then the entry's."""

    language: str
    entries: Mapping[str, str]

    def __call__(self, key: str, /, **values: object) -> str:
        """The sentence `key` with `values` in its places. Raises KeyError for a key or place that there is not."""
        text = self.entries[key]
        return text.format(**values) if values else text

    def known(self, key: str, fallback: str) -> str:
        """The sentence `key`, or `fallback` where the key is a value of another version's data."""
        return self.entries.get(key, fallback)


def refusal(said: Words, error: Refused) -> str:
    """Why something was refused, as a sentence; what no language has words for stays in the terminal's."""
    if error.refusal is None:
        return said("refused.other", why=error)
    return said(
        f"refused.{error.refusal.code}", **{name: _fact(said, one) for name, one in error.facts.items()}
    )


def _fact(said: Words, fact: object) -> object:
    return said.known(f"reply.{fact}", fact) if isinstance(fact, ReplyStatus) else fact


def words(language: str) -> Words:
    """The words of `language`, of the default one when there is no such language."""
    return _read(language if language in languages() else DEFAULT)


@cache
def _read(language: str) -> Words:
    path = _FOLDER / f"{language}.toml"
    return Words(language, dict(_flat(tomllib.loads(path.read_text(encoding="utf-8")))))


@cache
def languages() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in table.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{key}.")
        else:
            found.append((prefix + key, str(value)))
    return found
