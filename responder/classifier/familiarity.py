"""How familiar the words and concepts of a mail are in the texts of each topic, and in those for staff.

The linear layer adds up what it knows and passes over what it does not: a mail that says all of a topic and one
thing more scores as the topic. Here the rest counts: what no text of the topic says, what only texts for staff say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from responder.classifier.vectors import Floats, Sparse, Vectorizer

VIEWS = ("w", "k")  # letters would only say again what words say
FEATURES = 5  # of each view

NOTHING = 1e-9  # the weight of a view that has none

_PRIOR = 1.0  # texts added to every count, so that a single text proves little


@dataclass(frozen=True, slots=True)
class Familiarity:
    """In how many texts of each class every column of the vectorizer occurs."""

    counts: Floats  # (columns, classes)
    texts: Floats  # (classes,)
    tables: dict[str, Floats]  # for each view, `table` of its columns

    @classmethod
    def of(cls, counts: Floats, texts: Floats, vectorizer: Vectorizer) -> Familiarity:
        spans = vectorizer.spans
        return cls(counts, texts, {view: table(counts[spans[view]], texts) for view in VIEWS})

    def inputs(self, rows: Sparse, vectorizer: Vectorizer) -> Floats:
        """Return (rows, topics, features): `table` averaged over each row's columns, by their weight."""
        found = []
        for view in VIEWS:
            part = vectorizer.part(rows, view)
            total = np.bincount(part.rows, weights=part.values, minlength=part.height)
            shares = (part.values / np.maximum(total, NOTHING)[part.rows]).astype(np.float32)
            columns = part.columns - vectorizer.spans[view].start
            share = Sparse(part.rows, columns, shares, part.height)
            found.append(as_inputs(share.times(self.tables[view])))
        return np.concatenate(found, axis=2)


def table(counts: Floats, texts: Floats) -> Floats:
    """Return (columns, features * topics) of what each column says about each topic; the last class is staff.

    Whether no text of the topic has it, no text at all, of topic and staff only staff; the logarithm of how much more
    frequent it is in the topic than in staff, and the same where that is negative.
    """
    topics, staff = counts[:, :-1], counts[:, -1:]
    frequency = np.log((counts + _PRIOR) / (texts + 2 * _PRIOR))
    ratio = frequency[:, :-1] - frequency[:, -1:]
    unseen = topics == 0
    nowhere = np.broadcast_to(~counts.any(axis=1, keepdims=True), topics.shape)
    features = [unseen, nowhere, unseen & (staff > 0), ratio, np.minimum(ratio, 0)]
    return np.concatenate(features, axis=1).astype(np.float32)


def as_inputs(averages: Floats) -> Floats:
    """Turn averages of `table` (rows, features * topics) into (rows, topics, features)."""
    return averages.reshape(len(averages), FEATURES, -1).transpose(0, 2, 1)
