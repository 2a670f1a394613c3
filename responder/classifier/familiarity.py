"""How familiar the words and concepts of a mail are in the texts of each topic, and in those for staff.

The linear layer adds up what it knows and passes over what it does not: a mail that says all of a topic and one
thing more scores as the topic. Here the rest counts: what no text of the topic says, what only texts for staff say,
and what the leading topic leaves unsaid that another topic says: there a second question stands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from responder.classifier.vectors import Counts, Floats, Ints, Sparse, Vectorizer

VIEWS = ("w", "k")  # letters would only say again what words say
FEATURES = 5  # of `table`

_PRIOR = 1.0  # texts added to every count, so that a single text proves little


@dataclass(frozen=True, slots=True)
class Familiarity:
    """In how many texts of each class every column of the vectorizer occurs."""

    counts: Counts  # (columns, classes); the last class is staff
    texts: Floats  # (classes,): all texts of each

    def inputs(self, mails: Sparse, vectorizer: Vectorizer, leading: Ints) -> tuple[Floats, Floats]:
        """Return `table` averaged over each mail's columns, by their weight, and the sums of `beyond`.

        Shapes: (mails, topics, features) both; `leading`: the topic that leads each mail.
        """
        part = vectorizer.parts(mails, VIEWS)  # a row for each mail and view
        counts = self.counts[part.columns].astype(np.float32)
        weight = part.values[:, None]
        ahead, unsaid = beyond(counts, self.texts, leading[part.rows // len(VIEWS)])
        columns = [weight, np.ones_like(weight), table(counts, self.texts) * weight, ahead, unsaid]
        total = part.summed(np.concatenate(columns, axis=1))
        topics = unsaid.shape[1]
        averages, ahead, unsaid = np.split(total[:, 2:], [FEATURES * topics, (FEATURES + 1) * topics], axis=1)
        averages /= np.maximum(total[:, :1], _NOTHING)
        sums = np.concatenate([ahead, ahead / np.maximum(total[:, 1:2], 1), unsaid], axis=1)
        found = (block.reshape(mails.height, -1, topics).transpose(0, 2, 1) for block in (averages, sums))
        return next(found), next(found)


_NOTHING = 1e-9  # the weight of a view that has none


def table(counts: Floats, texts: Floats) -> Floats:
    """Return (columns, features * topics) of what each column says about each topic; the last class is staff.

    Whether no text of the topic has it, no text at all, of topic and staff only staff; the logarithm of how much more
    frequent it is in the topic than in staff, and the same where that is negative.
    """
    topics, staff = counts[:, :-1], counts[:, -1:]
    frequency = _frequency(counts, texts)
    ratio = frequency[:, :-1] - frequency[:, -1:]
    unseen = topics == 0
    nowhere = np.broadcast_to(~counts.any(axis=1, keepdims=True), topics.shape)
    features = [unseen, nowhere, unseen & (staff > 0), ratio, np.minimum(ratio, 0)]
    return np.concatenate(features, axis=1).astype(np.float32)


def beyond(counts: Floats, texts: Floats, leading: Ints) -> tuple[Floats, Floats]:
    """Return how much more frequent each column is in each topic than in the `leading` one of its mail, 0 if less.

    And, where no text of the leading topic has the column, the logarithm of how many of each topic do.
    Shapes: (columns, topics) both.
    """
    entry = np.arange(len(leading))
    frequency = _frequency(counts[:, :-1], texts[:-1])
    ahead = np.maximum(frequency - frequency[entry, leading][:, None], 0)
    unsaid = np.log1p(counts[:, :-1]) * (counts[entry, leading] == 0)[:, None]
    return ahead, unsaid


def _frequency(counts: Floats, texts: Floats) -> Floats:
    return np.asarray(np.log(counts + _PRIOR) - np.log(texts + 2 * _PRIOR))
