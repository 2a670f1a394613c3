"""Judging the training texts by weights that never saw their writer: what trust and thresholds are learnt from."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from responder.classifier.corpus import Corpus, class_counts, matrix_of, rows_of
from responder.classifier.familiarity import Familiarity
from responder.classifier.neighbours import closeness, members
from responder.classifier.trust import NEIGHBOUR_VIEW, Scores, cues_of, leading, words_of
from responder.classifier.vectors import Document, Floats, Sparse

# Joins per writer. Those of two topics show what a second question looks like; those of one topic, that a long mail
# need not ask one; those with a text for staff, that a clear topic may not be all. Few beside the real texts: more of
# the last cost answers to long mails, more of the others gain nothing (docs/classifier.md).
_TWO_TOPICS = 75
_ONE_TOPIC = 25  # of two texts, and as many of three
_WITH_STAFF = 20
# A sparse product costs the square of a column's length: longer columns are multiplied dense.
_LONG_COLUMN = 250  # rows


@dataclass(frozen=True, slots=True)
class Row:
    """A training text, read."""

    document: Document
    labels: tuple[str, ...]  # topics, or () for staff
    writer: str
    weight: float


@dataclass(frozen=True, slots=True)
class Judged:
    """An out-of-fold judgement: the scores of weights that never saw the writer."""

    scores: Scores
    topics: frozenset[int]  # right topics; empty = staff
    writer: str
    joined: bool  # made of two texts or three


@dataclass(frozen=True, slots=True)
class _Mail:
    """A text, or some of one writer joined."""

    rows: tuple[int, ...]
    labels: tuple[str, ...]
    writer: str


class Folds:
    """The training texts and joins of them, ready to be judged writer by writer."""

    def __init__(self, rows: Sequence[Row], corpus: Corpus) -> None:
        vectorizer = corpus.vectorizer
        self._rows = rows
        self._mails = _mails(rows)
        width, self._spans = vectorizer.width, vectorizer.spans
        whole = matrix_of(vectorizer.weighed(_joined(corpus.texts, self._mails, width)), width)
        whole.sort_indices()
        self._views = [whole[:, span] for span in self._spans.values()]
        self._cosines = Cosines(whole[:, self._spans[NEIGHBOUR_VIEW]], len(rows))
        self._whole, self._vectorizer = whole, vectorizer
        self._texts = matrix_of(corpus.texts, width)
        self._sentences = matrix_of(vectorizer.weighed(corpus.sentences), width)
        sizes = np.array([len(row.document) for row in rows])
        ends = np.cumsum(sizes)
        self._places = [range(*place) for place in zip((ends - sizes).tolist(), ends.tolist(), strict=True)]
        self._cues = [cues_of(row.document) for row in rows]
        self._words = [words_of(row.document) for row in rows]

    def judge(
        self, without: dict[str, Floats], labels: npt.NDArray[np.int8], topics: Sequence[str]
    ) -> list[Judged]:
        """Judge every text and join by the weights `without` its writer, and by texts of other writers.

        `labels` (rows x classes): 1 where a row belongs to a class, topics in their order and then staff.
        """
        writers = np.array([row.writer for row in self._rows])
        counts = class_counts(self._texts, labels.astype(np.float32))
        judged: list[Judged] = []
        for writer, weights in without.items():
            own = [i for i, mail in enumerate(self._mails) if mail.writer == writer]
            near = closeness(self._cosines.of(own), members(labels * (writers != writer)[:, None]))
            his = labels[writers == writer].astype(np.float32)
            others = counts - class_counts(self._texts[writers == writer], his)
            texts = labels[writers != writer].sum(axis=0, dtype=np.float32)
            scores = self._scores(own, weights, near, Familiarity(others.astype(np.uint16), texts))
            for i, found in zip(own, scores, strict=True):
                mail = self._mails[i]
                right = frozenset(topics.index(label) for label in mail.labels)
                judged.append(Judged(found, right, writer, len(mail.rows) > 1))
        return judged

    def _scores(
        self, own: Sequence[int], weights: Floats, near: Floats, familiarity: Familiarity
    ) -> list[Scores]:
        spans = self._spans.values()
        parts = np.stack(
            [view[own] @ weights[span] for view, span in zip(self._views, spans, strict=True)], axis=1
        )
        whole = parts.sum(axis=1)
        familiar, beyond = familiarity.inputs(rows_of(self._whole[own]), self._vectorizer, leading(whole))
        texts = sorted({row for i in own for row in self._mails[i].rows})
        spoken = self._sentences[[i for text in texts for i in self._places[text]]] @ weights
        ends = np.cumsum([len(self._places[text]) for text in texts]).tolist()
        said_in = {text: spoken[start:end] for text, start, end in zip(texts, [0, *ends], ends, strict=False)}
        found = []
        for place, i in enumerate(own):
            rows = self._mails[i].rows
            said = np.concatenate([said_in[row] for row in rows])
            cues = frozenset[str]().union(*(self._cues[row] for row in rows))
            words = sum(self._words[row] for row in rows)
            found.append(
                Scores(
                    whole[place], said, parts[place], near[place], familiar[place], beyond[place], cues, words
                )
            )
        return found


def _mails(rows: Sequence[Row]) -> list[_Mail]:
    """Return every row as a mail, in order, then the joins."""
    mails = [_Mail((i,), row.labels, row.writer) for i, row in enumerate(rows)]
    for writer in sorted({row.writer for row in rows}):
        own = [i for i, row in enumerate(rows) if row.writer == writer]
        mails += _joins(rows, own, random.Random(writer))  # noqa: S311 - a reproducible choice, not a secret
    return mails


def _joins(rows: Sequence[Row], own: Sequence[int], chance: random.Random) -> list[_Mail]:
    """Make mails of two topics, of one topic said at length, and of a topic and something for staff (for staff)."""
    topical = [i for i in own if rows[i].labels]
    staff = [i for i in own if not rows[i].labels]
    if not topical:
        return []
    joined: list[tuple[list[int], tuple[str, ...]]] = []
    for _ in range(_TWO_TOPICS):
        first, second = chance.choice(topical), chance.choice(topical)
        one, two = rows[first].labels, rows[second].labels
        if set(one) != set(two):
            joined.append(([first, second], tuple(sorted({*one, *two}))))
    for _ in range(_WITH_STAFF if staff else 0):
        joined.append(([chance.choice(topical), chance.choice(staff)], ()))
    alike: dict[tuple[str, ...], list[int]] = {}
    for i in topical:
        alike.setdefault(rows[i].labels, []).append(i)
    for size in (2, 3):
        for _ in range(_ONE_TOPIC):
            labels = rows[chance.choice(topical)].labels
            if len(alike[labels]) >= size:
                joined.append((chance.sample(alike[labels], size), labels))
    return [_Mail(tuple(texts), labels, rows[own[0]].writer) for texts, labels in joined]


def _joined(counts: Sparse, mails: Sequence[_Mail], width: int) -> Sparse:
    """Return the counts of every mail: those of its rows added up."""
    chosen = [row for mail in mails for row in mail.rows]
    sizes = [len(mail.rows) for mail in mails]
    ones = np.ones(len(chosen), dtype=np.float32)
    choice = Sparse(np.repeat(np.arange(len(mails)), sizes), np.array(chosen), ones, len(mails))
    return rows_of(matrix_of(choice, counts.height) @ matrix_of(counts, width))


class Cosines:
    """Scalar products of rows with the first `texts` of them."""

    def __init__(self, rows: sparse.csr_matrix, texts: int) -> None:
        common = np.bincount(rows[:texts].indices, minlength=rows.shape[1]) > _LONG_COLUMN
        self._common: Floats = rows[:, common].toarray()
        self._rare = rows[:, ~common]
        self._texts = self._common[:texts].T, self._rare[:texts].T.tocsr()

    def of(self, chosen: Sequence[int]) -> Floats:
        """Return (chosen, texts)."""
        common, rare = self._texts
        cosines: Floats = self._common[chosen] @ common
        cosines += (self._rare[chosen] @ rare).toarray()
        return cosines
