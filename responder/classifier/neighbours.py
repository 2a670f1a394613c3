"""The training texts nearest to a mail, by its words: a second opinion beside the linear layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from responder.classifier.vectors import Floats, Ints, Sparse

_CLOSEST = 5  # one text alone may be a fluke, or mislabelled


@dataclass(frozen=True)
class Neighbours:
    """Training texts as postings: for each column, the texts that have it."""

    starts: Ints  # (columns + 1,) into rows and values
    rows: npt.NDArray[np.int32]
    values: Floats
    labels: npt.NDArray[np.int8]  # (texts, classes): 1 where the text belongs to the class

    @classmethod
    def of(cls, texts: Sparse, width: int, labels: npt.NDArray[np.int8]) -> Neighbours:
        order = np.argsort(texts.columns, kind="stable")
        starts = np.searchsorted(texts.columns[order], np.arange(width + 1)).astype(np.int64)
        return cls(starts, texts.rows[order].astype(np.int32), texts.values[order], labels)

    def closeness(self, mails: Sparse) -> Floats:
        """Return (mails, classes, 2): cosine of the nearest text, and the mean of the nearest five, of each class."""
        return closeness(self.similarity(mails), self._members)

    @cached_property
    def _members(self) -> list[Ints]:
        return members(self.labels)

    def similarity(self, mails: Sparse) -> Floats:
        """Return (mails, texts): cosines."""
        found = np.zeros((mails.height, len(self.labels)), dtype=np.float32)
        starts, stops = self.starts[mails.columns], self.starts[mails.columns + 1]
        spans = [slice(*ends) for ends in zip(starts.tolist(), stops.tolist(), strict=True)]
        bounds = np.searchsorted(mails.rows, np.arange(mails.height + 1)).tolist()
        # Mail by mail: the postings of many do not fit the cache.
        for cosines, (first, last) in zip(found, pairwise(bounds), strict=True):
            if first < last:
                own = spans[first:last]
                texts = np.concatenate([self.rows[span] for span in own])
                products = np.concatenate([self.values[span] for span in own])
                products *= np.repeat(mails.values[first:last], (stops - starts)[first:last])
                cosines[:] = np.bincount(texts, weights=products, minlength=len(cosines))
        return found


def members(labels: npt.NDArray[np.int8]) -> list[Ints]:
    """Return the rows of each class."""
    return [np.flatnonzero(column) for column in labels.T]


def closeness(similarity: Floats, classes: Sequence[Ints]) -> Floats:
    """Summarise cosines (mails, texts) as `Neighbours.closeness` does; `classes`: the texts of each."""
    closest = np.zeros((len(classes), len(similarity), _CLOSEST), dtype=np.float32)
    for texts, found in zip(classes, closest, strict=True):
        own = similarity[:, texts]
        if len(texts) > _CLOSEST:
            own.partition(len(texts) - _CLOSEST, axis=1)
        found[:, : len(texts)] = own[:, -_CLOSEST:]
    # Cosines are not negative: what a class has less than five of is 0.
    sizes = np.array([max(1, min(len(texts), _CLOSEST)) for texts in classes], dtype=np.float32)
    return np.stack([closest.max(axis=2).T, closest.sum(axis=2).T / sizes], axis=2)
