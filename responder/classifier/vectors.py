"""Mails as sparse vectors: words, letters and concepts, each a TF-IDF view of unit length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from responder.classifier.lexicon import Lexicon, Token

Sentence = Sequence[Token]
Document = Sequence[Sentence]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# Share of each view in the squared length of a document's vector. Words carry the meaning once they are
# normalised; letters catch what the word lists miss; concepts tell near misses apart.
VIEW_SHARE = {"w": 0.3, "r": 0.2, "c": 0.3, "k": 0.2}
_SHORTEST_NGRAM, _LONGEST_NGRAM = 2, 5
_MIN_DOCUMENTS = 2  # a feature seen once cannot carry over to another mail


@dataclass(frozen=True, slots=True)
class Sparse:
    """Rows of a sparse matrix: entries sorted by row, then column."""

    rows: Ints
    columns: Ints
    values: Floats
    height: int

    def times(self, weights: Floats) -> Floats:
        """Return the product with `weights` (columns x heads) as (height x heads)."""
        result = np.zeros((self.height, weights.shape[1]), dtype=np.float32)
        if len(self.rows):
            starts = np.flatnonzero(np.r_[True, self.rows[1:] != self.rows[:-1]])
            products = weights[self.columns] * self.values[:, None]
            result[self.rows[starts]] = np.add.reduceat(products, starts, axis=0)
        return result


class Features:
    """Names of the features of a document, by view. Words are cut into letter n-grams once and remembered."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon

    def of(self, document: Document) -> dict[str, list[str]]:
        """Return view to feature names, with repetitions."""
        names: dict[str, list[str]] = {view: [] for view in VIEW_SHARE}
        for sentence in document:
            norms = [token.norm for token in sentence]
            written = [token.written for token in sentence]
            names["w"] += norms
            names["w"] += [f"{a} {b}" for a, b in pairwise(norms)]
            names["r"] += written
            names["r"] += [f"{a} {b}" for a, b in pairwise(written)]
            names["c"] += written
            names["k"] += concept_features(self._lexicon.concepts(sentence))
        return names


def letter_ngrams(word: str) -> list[str]:
    """Return the letter n-grams of a word with its borders marked by blanks."""
    padded = f" {word} "
    return [
        padded[start : start + size]
        for size in range(_SHORTEST_NGRAM, _LONGEST_NGRAM + 1)
        for start in range(max(1, len(padded) - size + 1))
    ]


def concept_features(concepts: Iterable[str]) -> list[str]:
    """Return the concepts of a sentence and their pairs; a pair of two cues says nothing about the matter."""
    keys = sorted(concepts)
    pairs = [
        f"{a}*{b}"
        for i, a in enumerate(keys)
        for b in keys[i + 1 :]
        if not (a.startswith("h:") and b.startswith("h:"))
    ]
    return keys + pairs


@dataclass
class Vectorizer:
    """Feature names to columns, and their weights. Fitted once, then fixed."""

    features: Features
    columns: dict[str, dict[str, int]]  # view -> feature -> column
    idf: Floats
    _ngrams: dict[str, Ints] = field(default_factory=dict, repr=False)

    @classmethod
    def fit(cls, documents: Sequence[Document], features: Features) -> Vectorizer:
        """Choose the features that occur in at least two documents and weigh them by rarity."""
        seen: dict[str, Counter[str]] = {view: Counter() for view in VIEW_SHARE}
        for document in documents:
            for view, names in features.of(document).items():
                distinct = set(names)
                if view == "c":
                    distinct = {ngram for word in distinct for ngram in letter_ngrams(word)}
                seen[view].update(distinct)
        columns: dict[str, dict[str, int]] = {}
        counts: list[int] = []
        for view, counter in seen.items():
            kept = sorted(name for name, count in counter.items() if count >= _MIN_DOCUMENTS)
            columns[view] = {name: len(counts) + i for i, name in enumerate(kept)}
            counts.extend(counter[name] for name in kept)
        frequency = (1 + np.array(counts, dtype=np.float64)) / (1 + len(documents))
        return cls(features, columns, (1 - np.log(frequency)).astype(np.float32))

    @property
    def width(self) -> int:
        return len(self.idf)

    def matrix(self, documents: Sequence[Document]) -> Sparse:
        """Return one row a document: sublinear term frequency x idf, each view scaled to its share."""
        keys: list[Ints] = []
        for row, document in enumerate(documents):
            columns = self._columns(document)
            keys.append(columns + row * self.width)
        merged = np.concatenate(keys) if keys else np.empty(0, dtype=np.int64)
        distinct, counts = np.unique(merged, return_counts=True)
        rows, columns = np.divmod(distinct, self.width) if self.width else (distinct, distinct)
        values = (1 + np.log(counts)).astype(np.float32) * self.idf[columns]
        self._scale(rows, columns, values, len(documents))
        return Sparse(rows, columns, values, len(documents))

    def part(self, rows: Sparse, views: str) -> Sparse:
        """Return the entries of some views only, each view of unit length times its share."""
        view = np.searchsorted(self._ends(), rows.columns, side="right")
        wanted = np.array([name in views for name in self.columns])
        inside = wanted[view]
        return Sparse(rows.rows[inside], rows.columns[inside], rows.values[inside], rows.height)

    def _ends(self) -> Ints:
        """Return the column after the last of each view."""
        return np.cumsum([len(table) for table in self.columns.values()])

    def _scale(self, rows: Ints, columns: Ints, values: Floats, height: int) -> None:
        views = len(self.columns)
        group = rows * views + np.searchsorted(self._ends(), columns, side="right")
        squares = np.bincount(group, weights=values.astype(np.float64) ** 2, minlength=height * views)
        shares = np.tile(np.sqrt(np.array([VIEW_SHARE[view] for view in self.columns])), height)
        with np.errstate(divide="ignore"):
            factors = np.where(squares > 0, shares / np.sqrt(squares), 0)
        values *= factors[group].astype(np.float32)

    def _columns(self, document: Document) -> Ints:
        names = self.features.of(document)
        found: list[int] = []
        for view in ("w", "r", "k"):
            table = self.columns[view]
            found += [column for name in names[view] if (column := table.get(name)) is not None]
        parts = [np.array(found, dtype=np.int64)]
        parts += [self._letters(word) for word in names["c"]]
        return np.concatenate(parts)

    def _letters(self, word: str) -> Ints:
        known = self._ngrams.get(word)
        if known is None:
            table = self.columns["c"]
            columns = [column for ngram in letter_ngrams(word) if (column := table.get(ngram)) is not None]
            known = np.array(columns, dtype=np.int64)
            # Bounded, so that a flood of invented words cannot fill the memory of a long-running worker.
            if len(self._ngrams) < _REMEMBERED_WORDS:
                self._ngrams[word] = known
        return known


_REMEMBERED_WORDS = 30_000
