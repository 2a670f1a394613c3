"""Guesses the language of a text from its commonest words: Indonesian, English or something else.

Regional languages of Indonesia count as Indonesian: their speakers write to an office in a mixture of both, and get
an Indonesian answer. Pure functions; a text is read once.
"""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files

MAX_TEXT = 20_000
MAX_WORDS = 400  # the first words tell; a long mail ends in boilerplate of another language
# A smaller share of known words is chance ("in", "di").
LEAST_SHARE = 0.12
LOAN_WEIGHT = 0.4  # two loaned words weigh less than one word that is surely English

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")

_WORDS = tomllib.loads(files("responder.mail").joinpath("language_words.toml").read_text(encoding="utf-8"))
_LOANED = frozenset(_WORDS["loaned"].split())
_INDONESIAN = frozenset(_WORDS["indonesian"].split())
_ENGLISH = frozenset(_WORDS["english"].split())
_AFFIXED = re.compile(
    r"(?:me|mem|men|meng|ber|ter|pe|pen|di|ke)[a-z]{3,}(?:kan|nya|an|i)\Z|[a-z]{4,}(?:nya|kah|lah)\Z"
)


def detect(text: str) -> str:
    """Return "id", "en" or "other" for `text`; "other" also when nothing in it is known."""
    prose = " ".join(chunk for chunk in text[:MAX_TEXT].split() if not _is_address_or_link(chunk))
    sample = [word.lower() for word in _WORD.findall(prose)[:MAX_WORDS]]
    if not sample:
        return "other"
    indonesian = sum(map(_indonesian_weight, sample))
    english = sum(word in _ENGLISH and word not in _INDONESIAN for word in sample)
    best = max(indonesian, english)
    if best < LOAN_WEIGHT or best < LEAST_SHARE * len(sample):
        return "other"
    return "id" if indonesian >= english else "en"


def _is_address_or_link(chunk: str) -> bool:
    return "@" in chunk or "://" in chunk or chunk.startswith("www.")


def _indonesian_weight(word: str) -> float:
    if word in _INDONESIAN:
        return 0.0 if word in _ENGLISH else 1.0
    if word in _LOANED:
        return LOAN_WEIGHT
    return 0.5 if word not in _ENGLISH and _AFFIXED.match(word) else 0.0
