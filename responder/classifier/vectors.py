"""Mails as sparse vectors: words, letters and concepts, each a TF-IDF view of unit length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, pairwise

import numpy as np
import numpy.typing as npt

from responder.classifier.lexicon import Sentence

Document = Sequence[Sentence]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Counts = npt.NDArray[np.uint16]

# Share of each view in the squared length of a document's vector. Words carry the meaning once they are
# normalised; letters catch what the word lists miss; concepts tell near misses apart.
VIEW_SHARE = {"w": 0.4, "c": 0.35, "k": 0.25}
_NGRAM = 4  # letters; 3, 4 and 5 together know no more and cost twice the time


@dataclass(frozen=True, slots=True)
class Sparse:
    """Rows of a sparse matrix: entries sorted by row, and within a row by view."""

    rows: Ints
    columns: Ints
    values: Floats
    height: int

    def first(self, height: int) -> Sparse:
        """Return the rows above `height`."""
        end = int(np.searchsorted(self.rows, height))
        return Sparse(self.rows[:end], self.columns[:end], self.values[:end], height)

    def times(self, weights: Floats) -> Floats:
        """Return the product with `weights` (columns x heads) as (height x heads)."""
        return self.summed(weights[self.columns] * self.values[:, None])

    def summed(self, entries: Floats) -> Floats:
        """Return the sum of what is given for each entry (entries, n), row by row: (height, n)."""
        result = np.zeros((self.height, entries.shape[1]), dtype=np.float32)
        if len(self.rows):
            starts = np.flatnonzero(np.concatenate([[True], self.rows[1:] != self.rows[:-1]]))
            result[self.rows[starts]] = np.add.reduceat(entries, starts, axis=0)
        return result


def sentence_features(sentence: Sentence) -> dict[str, list[str]]:
    """Return view to feature names, with repetitions; view "c" holds words, yet to be cut into letters."""
    norms = [token.norm for token in sentence.tokens]
    return {
        "w": norms + [f"{a} {b}" for a, b in pairwise(norms)],
        "c": [token.written for token in sentence.tokens],
        "k": concept_features(sentence.concepts),
    }


def letter_ngrams(word: str) -> list[str]:
    """Return the letter n-grams of a word with its borders marked by blanks."""
    padded = f" {word} "
    return [padded[start : start + _NGRAM] for start in range(max(1, len(padded) - _NGRAM + 1))]


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
    """Feature names to columns, and their weights."""

    columns: dict[str, dict[str, int]]  # view -> feature -> column
    idf: Floats
    _ngrams: dict[str, tuple[int, ...]] = field(default_factory=dict, repr=False)

    @property
    def width(self) -> int:
        return len(self.idf)

    def matrix(self, documents: Sequence[Document]) -> Sparse:
        """Return one row a document."""
        return self.rows([self.document(map(self.sentence, document)) for document in documents])

    def sentence(self, sentence: Sentence) -> list[int]:
        """Return the columns of a sentence's features, with repetitions."""
        names = sentence_features(sentence)
        found: list[int] = []
        for view in ("w", "k"):
            table = self.columns[view]
            found += [table[name] for name in names[view] if name in table]
        for word in names["c"]:
            found += self._letters(word)
        return found

    @staticmethod
    def document(sentences: Iterable[Sequence[int]]) -> list[int]:
        """Return the columns of a document: no feature crosses the end of a sentence."""
        return list(chain.from_iterable(sentences))

    def rows(self, documents: Sequence[Sequence[int]]) -> Sparse:
        """Return one row for each document's columns."""
        rows = np.repeat(np.arange(len(documents)), [len(columns) for columns in documents])
        columns = np.array(self.document(documents), dtype=np.int64)
        return self.weighed(self.counted(rows, columns, len(documents)))

    def counted(self, rows: Ints, columns: Ints, height: int) -> Sparse:
        """Return how often each pair of a row and a column occurs."""
        width = max(1, self.width)
        distinct, counts = np.unique(rows * width + columns, return_counts=True)
        row, column = np.divmod(distinct, width)
        return Sparse(row, column, counts.astype(np.float32), height)

    def weighed(self, counts: Sparse) -> Sparse:
        """Return sublinear term frequency x idf, each view scaled to its share."""
        values = (1 + np.log(counts.values)) * self.idf[counts.columns]
        self._scale(counts.rows, counts.columns, values, counts.height)
        return Sparse(counts.rows, counts.columns, values, counts.height)

    @cached_property
    def spans(self) -> dict[str, slice]:
        """The columns of each view."""
        ends = self._ends.tolist()
        return {
            view: slice(start, end) for view, start, end in zip(self.columns, [0, *ends], ends, strict=False)
        }

    def part(self, rows: Sparse, view: str) -> Sparse:
        """Return the entries of one view only; its rows have the length of the view's share."""
        inside = self._view(rows.columns) == list(self.columns).index(view)
        return Sparse(rows.rows[inside], rows.columns[inside], rows.values[inside], rows.height)

    def parts(self, rows: Sparse, views: Sequence[str]) -> Sparse:
        """Return the entries of some views, each view of a row as a row of its own: row * views + view."""
        numbers = np.full(len(self.columns), -1)
        numbers[[list(self.columns).index(view) for view in views]] = np.arange(len(views))
        number = numbers[self._view(rows.columns)]
        inside = number >= 0
        split = rows.rows[inside] * len(views) + number[inside]
        return Sparse(split, rows.columns[inside], rows.values[inside], rows.height * len(views))

    def by_view(self, rows: Sparse, weights: Floats) -> Floats:
        """Return what each view adds to the product with `weights`: (rows, views, heads)."""
        views = len(self.columns)
        split = Sparse(
            rows.rows * views + self._view(rows.columns), rows.columns, rows.values, rows.height * views
        )
        return split.times(weights).reshape(rows.height, views, -1)

    def _view(self, columns: Ints) -> Ints:
        return np.searchsorted(self._ends, columns, side="right")

    @cached_property
    def _ends(self) -> Ints:
        """Return the column after the last of each view."""
        return np.cumsum([len(table) for table in self.columns.values()])

    def _scale(self, rows: Ints, columns: Ints, values: Floats, height: int) -> None:
        views = len(self.columns)
        group = rows * views + self._view(columns)
        squares = np.bincount(group, weights=values.astype(np.float64) ** 2, minlength=height * views)
        shares = np.tile(np.sqrt(np.array([VIEW_SHARE[view] for view in self.columns])), height)
        with np.errstate(divide="ignore", invalid="ignore"):
            factors = np.where(squares > 0, shares / np.sqrt(squares), 0)
        values *= factors[group].astype(np.float32)

    def _letters(self, word: str) -> tuple[int, ...]:
        known = self._ngrams.get(word)
        if known is None:
            table = self.columns["c"]
            known = tuple(table[ngram] for ngram in letter_ngrams(word) if ngram in table)
            # Bounded, so that a flood of invented words cannot fill the memory of a long-running worker.
            if len(self._ngrams) < _REMEMBERED_WORDS:
                self._ngrams[word] = known
        return known


_REMEMBERED_WORDS = 30_000
