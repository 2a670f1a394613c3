"""One Indonesian token for every way of writing a word, and the concepts of the field found among them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import snowballstemmer
from rapidfuzz import fuzz, process

from responder.classifier.text import Frame, prepare

# Parts of konsep.yaml and the prefix of their keys. What stands under `henti` forbids an automatic answer.
CONCEPT_KINDS = {"objek": "o", "tindakan": "a", "tanda": "h"}
STOP_KIND = "henti"
STOP_PREFIX = "s:"

# Below five letters one wrong letter too often makes another real word (email/imel aside, which are listed).
_REPAIR_LENGTH = 5
_REPAIRS_AT_HAND = 26 * 32  # first letters and lengths of words whose candidates are kept
_NAME_WORDS = 6  # in a line of a signature: "Kawasan Industri Blok F2, Surabaya"
_REPAIR_RATIO = 88
# Words at hand. Every number and name that vendors ever write would fill a larger one for weeks; training meets 12,000
# words, most of them once, and gains a tenth of a second by it.
_CACHE = 4_096
# "2" and "16" mean something (two accounts, NPWP of 16 digits); longer numbers only by their length.
_KEPT_DIGITS, _LONGEST_NUMBER = 2, 6

_TOKEN = re.compile(r"[a-z0-9]+(?:[-'_][a-z0-9]+)*")
_MASKS = (  # a part that is always there, the whole, and the token for it
    ("@", re.compile(r"\S+@\S+"), " xsurel "),
    ("://", re.compile(r"https?://\S+"), " xtautan "),
    ("www.", re.compile(r"www\.\S+"), " xtautan "),
)


class Token(NamedTuple):
    """One word of a mail in three forms."""

    norm: str  # spelling, region and language made one, then stemmed
    written: str  # as the vendor wrote it, lower-case
    plain: str  # spelling, region and language made one, affixes kept: "sudah kirim" is not "sudah dikirimi"


class ConceptWords(NamedTuple):
    """One entry of konsep.yaml: what staff read, and the words that show the concept."""

    label: str
    words: tuple[str, ...]


class Sentence(NamedTuple):
    """One sentence of a mail. Concepts and stops: key to the words that showed it (the first, when several did)."""

    tokens: tuple[Token, ...]
    concepts: dict[str, str]
    stops: dict[str, str]


_Found = list[tuple[int, str]]  # (length, value)


class _Phrases:
    """Longest-first matching of token sequences."""

    def __init__(self, entries: Iterable[tuple[tuple[str, ...], str]]) -> None:
        # First token -> the values of the token alone, and second token -> (phrase, value), longest first.
        self._entries: dict[str, tuple[_Found, dict[str, list[tuple[tuple[str, ...], str]]]]] = {}
        for phrase, value in sorted(entries, key=lambda entry: (-len(entry[0]), entry)):
            alone, longer = self._entries.setdefault(phrase[0], ([], {}))
            if len(phrase) == 1:
                alone.append((1, value))
            else:
                longer.setdefault(phrase[1], []).append((phrase, value))

    def at(self, forms: Sequence[str], index: int) -> _Found:
        """Return (length, value) of every entry that starts at `index`, longest first."""
        entry = self._entries.get(forms[index])
        if entry is None:
            return []
        alone, longer = entry
        candidates = longer.get(forms[index + 1]) if index + 1 < len(forms) else None
        if candidates is None:
            return alone
        return [
            (len(phrase), value)
            for phrase, value in candidates
            if len(phrase) == 2 or tuple(forms[index : index + len(phrase)]) == phrase
        ] + alone

    def starts(self, forms: Sequence[str]) -> list[int]:
        """Return the places where an entry may start. Most words only begin phrases, and mostly another one follows."""
        found = []
        for index in [i for i, form in enumerate(forms) if form in self._entries]:
            alone, longer = self._entries[forms[index]]
            if alone or (index + 1 < len(forms) and forms[index + 1] in longer):
                found.append(index)
        return found

    def find(self, forms: Sequence[str], tokens: Sequence[Token]) -> dict[str, str]:
        """Return every value whose phrase occurs in `forms`, with the written words of its first occurrence."""
        found: dict[str, str] = {}
        for index in self.starts(forms):
            for length, value in self.at(forms, index):
                if value not in found:
                    found[value] = " ".join(token.written for token in tokens[index : index + length])
        return found


class Lexicon:
    """The word lists of one content folder, ready for use. Immutable after loading."""

    def __init__(
        self,
        spelling: Sequence[Mapping[str, Sequence[str]]],
        concepts: Mapping[str, Mapping[str, ConceptWords]],
        frame: Mapping[str, list[str]],
        *,
        repair: bool = True,
    ) -> None:
        self.frame = Frame.of(dict(frame))
        self._stem = lru_cache(maxsize=_CACHE)(snowballstemmer.stemmer("indonesian").stemWord)
        self._repair = repair
        self._map: dict[str, str] = {}
        phrases: list[tuple[str, str]] = []
        for table in spelling:
            for target, variants in table.items():
                token = target.replace(" ", "_")
                for variant in (target, *variants):
                    if len(split(variant)) == 1:
                        self._map.setdefault(split(variant)[0], token)
                    else:
                        phrases.append((variant, token))
        self._repairable: list[str] = []
        self._known: frozenset[str] = frozenset()
        self._plain = lru_cache(maxsize=_CACHE)(self._plain_word)
        self._norm = lru_cache(maxsize=_CACHE)(self._normalise_word)
        self._token = lru_cache(maxsize=_CACHE)(self._word)
        self._candidates = lru_cache(maxsize=_REPAIRS_AT_HAND)(self._words_near)
        self._phrases = _Phrases(
            (tokens, value) for text, value in phrases if len(tokens := self._words(text)) > 1
        )
        self._labels: dict[str, str] = {}
        entries: list[tuple[tuple[str, ...], str]] = []
        domain: set[str] = set()
        for kind, prefix in CONCEPT_KINDS.items():
            for name, concept in concepts[kind].items():
                key = f"{prefix}:{name}"
                self._labels[key] = concept.label
                for text in concept.words:
                    tokens = tuple(token.norm for token in self.tokens(text))
                    if tokens:
                        entries.append((tokens, key))
                    domain.update(word for word in split(text) if len(word) >= _REPAIR_LENGTH)
        self._concepts = _Phrases(sorted(set(entries)))
        stops: set[tuple[tuple[str, ...], str]] = set()
        for name, concept in concepts[STOP_KIND].items():
            key = f"{STOP_PREFIX}{name}"
            self._labels[key] = concept.label
            stops.update((tuple(token.plain for token in self.tokens(text)), key) for text in concept.words)
            domain.update(
                word for text in concept.words for word in split(text) if len(word) >= _REPAIR_LENGTH
            )
        self._stops = _Phrases(sorted(stops))
        # A word listed with no other spelling is an ordinary one: left as it is, and no aim of a repair.
        ordinary = {word for table in spelling for word, variants in table.items() if not variants}
        domain.update(word for word in self._map.keys() - ordinary if len(word) >= _REPAIR_LENGTH)
        self._repairable = sorted(word for word in domain if word.isalpha())
        self._known = frozenset(self._map) | domain | {self._stem(word) for word in domain | ordinary}
        self._candidates.cache_clear()
        self._plain.cache_clear()
        self._norm.cache_clear()
        self._token.cache_clear()

    def label(self, concept: str) -> str:
        """Return the Indonesian label of a concept key."""
        return self._labels[concept]

    def knows(self, word: str) -> bool:
        """Tell whether a list holds the lower-case `word` or its stem."""
        return word in self._known or self._stem(word) in self._known

    def sentences(self, subject: str, body: str) -> list[Sentence]:
        """Return the own sentences of a mail; those without a word are left out."""
        written = prepare(subject, body, self.frame).sentences
        found = [(text, self.sentence(tokens)) for text in written if (tokens := self.tokens(text))]
        # What is left of a signature: names at the end, which say nothing of the field.
        while len(found) > 1 and _is_name(found[-1][0]) and not (found[-1][1].concepts or found[-1][1].stops):
            found.pop()
        return [sentence for _, sentence in found]

    def sentence(self, tokens: Sequence[Token]) -> Sentence:
        """Find the concepts and stops among the tokens of one sentence."""
        return Sentence(
            tuple(tokens),
            self._concepts.find([token.norm for token in tokens], tokens),
            self._stops.find([token.plain for token in tokens], tokens),
        )

    def tokens(self, sentence: str) -> list[Token]:
        """Normalise one sentence: spelling, region, English, stem, then phrases to one token."""
        words = [self._token(word) for word in split(sentence)]
        norms = [word.norm for word in words]
        result: list[Token] = []
        index = 0
        for start in self._phrases.starts(norms):
            if start >= index and (phrases := self._phrases.at(norms, start)):
                length, norm = phrases[0]
                written = " ".join(word.written for word in words[start : start + length])
                result += words[index:start]
                result.append(Token(norm, written, norm))
                index = start + length
        return result + words[index:] if index else words

    def _word(self, word: str) -> Token:
        return Token(self._norm(word), word, self._plain(word))

    def _words(self, text: str) -> tuple[str, ...]:
        return tuple(self._norm(word) for word in split(text))

    def _normalise_word(self, word: str) -> str:
        if word.isdigit():
            return word if len(word) <= _KEPT_DIGITS else "0" * min(len(word), _LONGEST_NUMBER)
        plain = self._plain(word)
        stem = self._stem(plain)
        root = self._map.get(stem, stem) if word not in self._map else plain
        return root if "_" in root else str(self._stem(root))

    def _plain_word(self, word: str) -> str:
        if (known := self._map.get(word)) is not None:
            return known
        if word.endswith("2") and word[:-1].isalpha():  # "syarat2": reduplication
            return self._plain_word(word[:-1])
        if self._repair and len(word) >= _REPAIR_LENGTH and not self.knows(word):
            match = process.extractOne(
                word, self._candidates(word[0], len(word)), scorer=fuzz.ratio, score_cutoff=_REPAIR_RATIO
            )
            if match is not None:
                return self._plain_word(match[0])
        return word

    def _words_near(self, first: str, length: int) -> list[str]:
        """Return the words that begin alike and whose length does not rule out a ratio of `_REPAIR_RATIO`."""
        # The ratio is 200 x common letters / both lengths. The shorter word bounds the common letters; of two
        # words of one length, and not the same, at least one letter is not common.
        return [
            word
            for word in self._repairable
            if word[0] == first
            and 200 * (min(length, len(word)) - (length == len(word))) >= _REPAIR_RATIO * (length + len(word))
        ]


def _is_name(text: str) -> bool:
    """Tell whether a line is a few words with capitals, as in a signature."""
    words = text.split()
    initials = [next((letter for letter in word if letter.isalnum()), "") for word in words]
    return (
        len(words) <= _NAME_WORDS and "?" not in text and not any(initial.islower() for initial in initials)
    )


def split(text: str) -> list[str]:
    """Split into lower-case ASCII words; addresses and links become one token each."""
    for part, pattern, replacement in _MASKS:
        if part in text:
            text = pattern.sub(replacement, text)
    if not text.isascii():
        text = text.replace("’", "'").replace("‘", "'")
        text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return _TOKEN.findall(text.lower())
