"""The training texts as counts of features, and the features that are worth keeping."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from scipy import sparse

from responder.classifier.vectors import (
    VIEW_SHARE,
    Document,
    Floats,
    Sparse,
    Vectorizer,
    letter_ngrams,
    sentence_features,
)

_MIN_DOCUMENTS = 2  # a feature seen once cannot carry over to another mail
_LETTERS = "c"


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts by the columns of a vectorizer made for them."""

    vectorizer: Vectorizer
    texts: Sparse  # how often every column occurs in every text
    sentences: Sparse  # the same of every sentence, text after text

    @classmethod
    def of(cls, documents: Sequence[Document]) -> Corpus:
        """Choose the features that occur in at least two documents and weigh them by rarity."""
        views, tables = _counted(documents)
        sizes = [len(document) for document in documents]
        belongs = _table(np.repeat(np.arange(len(documents)), sizes), range(sum(sizes)), sum(sizes))
        texts, sentences, columns, frequencies = [], [], {}, []
        width = 0
        for view in VIEW_SHARE:
            spoken, table = views[view], tables[view]
            whole = belongs @ spoken
            frequency = np.bincount(whole.indices, minlength=len(table))
            names = sorted(name for name, column in table.items() if frequency[column] >= _MIN_DOCUMENTS)
            kept = np.array([table[name] for name in names], dtype=np.int64)
            columns[view] = {name: width + i for i, name in enumerate(names)}
            width += len(names)
            texts.append(whole[:, kept])
            sentences.append(spoken[:, kept])
            frequencies.append(frequency[kept])
        share = (1 + np.concatenate(frequencies)) / (1 + len(documents))
        return cls(
            Vectorizer(columns, (1 - np.log(share)).astype(np.float32)),
            rows_of(sparse.hstack(texts, format="csr")),
            rows_of(sparse.hstack(sentences, format="csr")),
        )


def matrix_of(rows: Sparse, width: int) -> sparse.csr_matrix:
    """Return `rows` as a SciPy matrix of `width` columns."""
    ends = np.searchsorted(rows.rows, np.arange(rows.height + 1))
    return sparse.csr_matrix((rows.values, rows.columns, ends), shape=(rows.height, width))


def rows_of(matrix: sparse.csr_matrix) -> Sparse:
    """Return a SciPy matrix as rows."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return Sparse(rows, matrix.indices.astype(np.int64), matrix.data, matrix.shape[0])


def class_counts(matrix: sparse.csr_matrix, labels: Floats) -> Floats:
    """Return in how many texts of each class every column occurs: (columns, classes); `labels` (texts, classes)."""
    present = matrix.sign()
    counts: Floats = present.T.tocsr() @ labels
    return counts


def _counted(
    documents: Sequence[Document],
) -> tuple[dict[str, sparse.csr_matrix], dict[str, Mapping[str, int]]]:
    """Return for each view the counts of its features (sentences x features), and their numbers."""
    numbers: dict[str, dict[str, int]] = {view: defaultdict(count().__next__) for view in VIEW_SHARE}
    found: dict[str, tuple[list[int], list[int]]] = {view: ([], []) for view in VIEW_SHARE}
    place = 0
    for document in documents:
        for sentence in document:
            for view, names in sentence_features(sentence).items():
                table, (places, columns) = numbers[view], found[view]
                columns += [table[name] for name in names]
                places += [place] * len(names)
            place += 1
    views = {
        view: _table(places, columns, len(numbers[view]), place) for view, (places, columns) in found.items()
    }
    # Words repeat, so each is cut into letters once.
    ngrams: dict[str, int] = defaultdict(count().__next__)
    cut = [[ngrams[ngram] for ngram in letter_ngrams(word)] for word in numbers[_LETTERS]]
    word = np.repeat(np.arange(len(cut)), [len(letters) for letters in cut])
    views[_LETTERS] @= _table(word, [ngram for letters in cut for ngram in letters], len(ngrams), len(cut))
    return views, {**numbers, _LETTERS: ngrams}


def _table(
    rows: Iterable[int], columns: Iterable[int], width: int, height: int | None = None
) -> sparse.csr_matrix:
    """Count pairs of row and column; rows ascend."""
    row, column = np.asarray(rows, dtype=np.int64), np.asarray(columns, dtype=np.int64)
    ends = np.searchsorted(row, np.arange((height if height is not None else int(row.max()) + 1) + 1))
    ones: Floats = np.ones(len(column), dtype=np.float32)
    table = sparse.csr_matrix((ones, column, ends), shape=(len(ends) - 1, width))
    table.sum_duplicates()
    return table
