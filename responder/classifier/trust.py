"""From scores to trust: how probable it is that a topic answers the mail, pooled over the topics.

The linear layer says which topic a mail resembles. Whether that resemblance may be believed is learnt here, from a
few numbers that mean the same for every topic: by how much it leads, how loudly "a person must answer" speaks,
whether words, letters, concepts and the nearest training texts agree, what the single sentences say, which cues
stand in the text. Pooled, 4,000 examples judge this; per topic there would be 300.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from responder.classifier.lexicon import STOP_PREFIX
from responder.classifier.neighbours import Neighbours
from responder.classifier.vectors import Document, Floats, Vectorizer

Array = npt.NDArray[np.float64]

NEIGHBOUR_VIEW = "w"
_CUES = ("h:", STOP_PREFIX)
_SEVERAL = "h:mixed"  # the cue of konsep.yaml for "and another thing"
_STEEPNESS = 4.0  # scores run from -1 to 1: a lead of .5 counts as winning a sentence nearly whole


@dataclass(frozen=True, slots=True)
class Scores:
    """What the linear layer says about one mail; the last class is "a person must answer"."""

    whole: Floats  # (classes,)
    sentences: Floats  # (sentences, classes)
    parts: Floats  # (views, classes): what words, letters and concepts each add to `whole`
    near: Floats  # (classes, 2): cosine of the nearest training text, mean of the nearest five
    cues: frozenset[str]  # cues and stops found in any sentence
    words: int


@dataclass(frozen=True, slots=True)
class Logistic:
    """A logistic model of standardised inputs."""

    mean: Array
    scale: Array
    weights: Array
    bias: float

    def probability(self, inputs: Array) -> Array:
        """Return P(yes) for inputs of shape (..., features)."""
        logits = ((inputs - self.mean) / self.scale) @ self.weights + self.bias
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))))


def score(
    documents: Sequence[Document],
    vectorizer: Vectorizer,
    weights: Floats,
    neighbours: Neighbours,
    usable: Sequence[bool] | None = None,
) -> list[Scores]:
    """Score whole mails and each of their sentences. `usable`: which training texts may be neighbours."""
    columns = [[vectorizer.sentence(sentence) for sentence in document] for document in documents]
    rows = vectorizer.rows([vectorizer.document(sentences) for sentences in columns])
    parts = vectorizer.by_view(rows, weights)
    near = neighbours.closeness(vectorizer.part(rows, NEIGHBOUR_VIEW), usable)
    spoken = vectorizer.rows([one for sentences in columns if len(sentences) > 1 for one in sentences]).times(
        weights
    )
    found: list[Scores] = []
    start = 0
    for index, document in enumerate(documents):
        whole = parts[index].sum(axis=0)
        count = len(document) if len(document) > 1 else 0
        found.append(
            Scores(
                whole=whole,
                sentences=spoken[start : start + count] if count else whole[None, :],
                parts=parts[index],
                near=near[index],
                cues=frozenset(
                    key
                    for sentence in document
                    for key in (*sentence.concepts, *sentence.stops)
                    if key.startswith(_CUES)
                ),
                words=sum(len(sentence.tokens) for sentence in document),
            )
        )
        start += count
    return found


def lead_inputs(scores: Sequence[Scores], cues: Sequence[str]) -> Array:
    """Return (mails, topics, features): is this topic what the mail asks, and may it be answered unseen?"""
    return np.stack([_lead(item, cues) for item in scores])


def _lead(item: Scores, cues: Sequence[str]) -> Array:
    topics = len(item.whole) - 1
    whole = item.whole[:topics].astype(np.float64)
    best = item.sentences[:, :topics].max(axis=0).astype(np.float64)
    rival, best_rival = _highest_other(whole), _highest_other(best)
    staff = float(item.whole[topics])
    staff_sentence = float(item.sentences[:, topics].max())
    share = float((item.sentences[:, topics] > item.sentences[:, :topics].max(axis=1)).mean())
    common = [staff, staff_sentence, share, np.log1p(item.words), np.log(len(item.sentences))]
    common += [float(cue in item.cues) for cue in cues]
    own = [whole, rival, whole - np.maximum(rival, staff), (whole >= rival).astype(float), best, best_rival]
    # Whether words, letters and concepts agree, each against its own runner-up.
    for part in item.parts.astype(np.float64):
        behind = np.maximum(_highest_other(part[:topics]), part[topics])
        own += [part[:topics], part[:topics] - behind, (part[:topics] >= behind).astype(float)]
    for closeness in item.near.T.astype(np.float64):
        own += [
            closeness[:topics],
            closeness[:topics] - _highest_other(closeness[:topics]),
            closeness[:topics] - closeness[topics],
        ]
    return np.hstack([np.stack(own, axis=1), np.tile(common, (topics, 1))])


def also_inputs(scores: Sequence[Scores]) -> Array:
    """Return (mails, topics, features): does the mail ask about this topic too, beside the leading one?"""
    return np.stack([_also(item) for item in scores])


def _also(item: Scores) -> Array:
    topics = len(item.whole) - 1
    whole = item.whole[:topics].astype(np.float64)
    everything = item.sentences.astype(np.float64)
    sentences, staff = everything[:, :topics], everything[:, topics:]
    best = sentences.max(axis=0)
    ranked = np.sort(sentences, axis=1)
    # By how much a topic wins a sentence; negative where another topic, or staff, wins it.
    rival = np.where(sentences == ranked[:, -1:], ranked[:, -2:-1], ranked[:, -1:])
    ahead = sentences - np.maximum(rival, staff)
    margin, clear = (sentences - rival).max(axis=0), ahead.max(axis=0)
    won = 1 / (1 + np.exp(-_STEEPNESS * ahead))
    lead = float(whole.max())
    own = [
        whole,
        lead - whole,
        best,
        margin,
        clear,
        best.max() - best,
        won.sum(axis=0),
        won.mean(axis=0),
        np.maximum(clear, -0.5) * np.maximum(best, -0.5),
    ]
    common = [
        lead,
        float(whole.mean()),
        float(item.whole[topics]),
        float(np.log1p(item.words)),
        float(np.log(len(sentences))),
        float(_SEVERAL in item.cues),
    ]
    return np.hstack([np.stack(own, axis=1), np.tile(common, (topics, 1))])


def _highest_other(values: Array) -> Array:
    """Return for each entry the highest of all others."""
    order = np.argsort(values)
    result = np.full(len(values), values[order[-1]])
    result[order[-1]] = values[order[-2]] if len(values) > 1 else -1.0
    return result
