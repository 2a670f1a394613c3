"""From scores to trust: how probable it is that a topic answers the mail, pooled over the topics.

The linear layer says which topic a mail resembles. Whether that resemblance may be believed is learnt here, from a
few numbers that mean the same for every topic: by how much it leads, how loudly "a person must answer" speaks,
whether words, letters, concepts and the nearest training texts agree, what the single sentences say, which cues
stand in the text, whether all of it is said in texts of the topic. Pooled, 7,000 examples judge this; per topic there
would be 500.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from responder.classifier.familiarity import Familiarity
from responder.classifier.lexicon import STOP_PREFIX
from responder.classifier.logistic import Array
from responder.classifier.neighbours import Neighbours
from responder.classifier.vectors import Document, Floats, Ints, Vectorizer

NEIGHBOUR_VIEW = "w"
_CUES = ("h:", STOP_PREFIX)
_SEVERAL = "h:mixed"  # the cue of konsep.yaml for "and another thing"
_MIDDLE_LENGTH = 1.0  # logarithm of some three sentences
_STEEPNESS = 4.0  # scores run from -1 to 1: a lead of .5 counts as winning a sentence nearly whole


@dataclass(frozen=True, slots=True)
class Scores:
    """What the linear layer says about one mail; the last class is "a person must answer"."""

    whole: Floats  # (classes,)
    sentences: Floats  # (sentences, classes)
    parts: Floats  # (views, classes): what words, letters and concepts each add to `whole`
    near: Floats  # (classes, 2): cosine of the nearest training text, mean of the nearest five
    familiar: Floats  # (topics, features): as the first of `Familiarity.inputs`
    beyond: Floats  # (topics, features): as the second
    cues: frozenset[str]  # cues and stops found in any sentence
    words: int


def score(
    documents: Sequence[Document],
    vectorizer: Vectorizer,
    weights: Floats,
    neighbours: Neighbours,
    familiarity: Familiarity,
) -> list[Scores]:
    """Score whole mails and each of their sentences."""
    columns = [[vectorizer.sentence(sentence) for sentence in document] for document in documents]
    whole = vectorizer.rows([vectorizer.document(sentences) for sentences in columns])
    parts = vectorizer.by_view(whole, weights)
    near = neighbours.closeness(vectorizer.part(whole, NEIGHBOUR_VIEW))
    familiar, beyond = familiarity.inputs(whole, vectorizer, leading(parts.sum(axis=1)))
    several = [one for sentences in columns if len(sentences) > 1 for one in sentences]
    spoken = vectorizer.rows(several).times(weights)
    found: list[Scores] = []
    start = 0
    for index, document in enumerate(documents):
        stop = start + len(document)
        if len(document) > 1:
            said, start = spoken[start:stop], stop
        else:
            said = parts[index].sum(axis=0)[None, :]
        cues, words = cues_of(document), words_of(document)
        part = parts[index]
        found.append(
            Scores(part.sum(axis=0), said, part, near[index], familiar[index], beyond[index], cues, words)
        )
    return found


def leading(whole: Floats) -> Ints:
    """Return the topic that leads each mail, by its scores (mails, classes)."""
    return np.asarray(whole[:, :-1].argmax(axis=1))


def cues_of(document: Document) -> frozenset[str]:
    """Return the cues and stops found in any sentence."""
    return frozenset(
        key for sentence in document for key in (*sentence.concepts, *sentence.stops) if key.startswith(_CUES)
    )


def words_of(document: Document) -> int:
    """Count the words."""
    return sum(len(sentence.tokens) for sentence in document)


def lead_inputs(scores: Sequence[Scores], cues: Sequence[str]) -> Array:
    """Return (mails, topics, features): is this topic what the mail asks, and may it be answered unseen?"""
    mails = _Stack.of(scores)
    whole, staff = mails.whole, mails.staff[:, None]
    best, share = (
        mails.highest(mails.sentences),
        mails.mean((mails.spoken_staff > mails.sentences.max(axis=1))[:, None].astype(np.float64)),
    )
    rival = _highest_other(whole)
    own = [whole, rival, whole - np.maximum(rival, staff), (whole >= rival).astype(float)]
    own += [best, _highest_other(best)]
    # Whether words, letters and concepts agree, each against its own runner-up.
    parts = np.stack([item.parts for item in scores]).astype(np.float64)
    for view in range(parts.shape[1]):
        part = parts[:, view, :-1]
        behind = np.maximum(_highest_other(part), parts[:, view, -1:])
        own += [part, part - behind, (part >= behind).astype(float)]
    near = np.stack([item.near for item in scores]).astype(np.float64)
    for kind in range(near.shape[2]):
        closeness, to_staff = near[:, :-1, kind], near[:, -1:, kind]
        own += [closeness, closeness - _highest_other(closeness), closeness - to_staff]
    familiar = np.stack([item.familiar for item in scores]).astype(np.float64)
    own += [familiar[:, :, feature] for feature in range(familiar.shape[2])]
    # The more sentences, the less of a mail is its question: every number weighs otherwise in a long one.
    own += [values * (mails.lengths - _MIDDLE_LENGTH) for values in own]
    common = [staff, mails.highest(mails.spoken_staff[:, None]), share, mails.words, mails.lengths]
    common.append(np.array([[float(cue in item.cues) for cue in cues] for item in scores]))
    return _features(own, common)


def also_inputs(scores: Sequence[Scores]) -> Array:
    """Return (mails, topics, features): does the mail ask about this topic too, beside the leading one?"""
    mails = _Stack.of(scores)
    whole, sentences = mails.whole, mails.sentences
    best = mails.highest(sentences)
    # By how much a topic wins a sentence; negative where another topic, or staff, wins it.
    rival = _highest_other(sentences)
    ahead = sentences - np.maximum(rival, mails.spoken_staff[:, None])
    margin, clear = mails.highest(sentences - rival), mails.highest(ahead)
    won = 1 / (1 + np.exp(-_STEEPNESS * ahead))
    lead = whole.max(axis=1, keepdims=True)
    own = [
        whole,
        lead - whole,
        best,
        margin,
        clear,
        best.max(axis=1, keepdims=True) - best,
        mails.total(won),
        mails.mean(won),
        np.maximum(clear, -0.5) * np.maximum(best, -0.5),
    ]
    beyond = np.stack([item.beyond for item in scores]).astype(np.float64)
    own += [beyond[:, :, feature] for feature in range(beyond.shape[2])]
    several = np.array([[float(_SEVERAL in item.cues)] for item in scores])
    common = [
        lead,
        whole.mean(axis=1, keepdims=True),
        mails.staff[:, None],
        mails.words,
        mails.lengths,
        several,
    ]
    return _features(own, common)


@dataclass(frozen=True, slots=True)
class _Stack:
    """The scores of many mails as arrays; sentences of all mails below one another."""

    whole: Array  # (mails, topics)
    staff: Array  # (mails,)
    sentences: Array  # (sentences, topics)
    spoken_staff: Array  # (sentences,)
    starts: Ints  # (mails,): the first sentence of each
    counts: Array  # (mails, 1): sentences of each
    words: Array  # (mails, 1): logarithm
    lengths: Array  # (mails, 1): logarithm of the number of sentences

    @classmethod
    def of(cls, scores: Sequence[Scores]) -> _Stack:
        whole = np.stack([item.whole for item in scores]).astype(np.float64)
        spoken = np.concatenate([item.sentences for item in scores]).astype(np.float64)
        counts = np.array([len(item.sentences) for item in scores])
        words = np.array([item.words for item in scores], dtype=np.float64)
        return cls(
            whole[:, :-1],
            whole[:, -1],
            spoken[:, :-1],
            spoken[:, -1],
            np.cumsum(counts) - counts,
            counts[:, None].astype(np.float64),
            np.log1p(words)[:, None],
            np.log(counts)[:, None],
        )

    def highest(self, values: Array) -> Array:
        """Return the highest of the sentences of each mail, for values of shape (sentences, n)."""
        return np.asarray(np.maximum.reduceat(values, self.starts, axis=0))

    def total(self, values: Array) -> Array:
        return np.asarray(np.add.reduceat(values, self.starts, axis=0))

    def mean(self, values: Array) -> Array:
        return self.total(values) / self.counts


def _features(own: Sequence[Array], common: Sequence[Array]) -> Array:
    """Join features of each topic, (mails, topics), and of the mail, (mails, any number)."""
    alike = np.concatenate(common, axis=1)[:, None, :]
    return np.concatenate([np.stack(own, axis=2), np.repeat(alike, own[0].shape[1], axis=1)], axis=2)


def _highest_other(values: Array) -> Array:
    """Return for each entry the highest of all others of its row; -1 where there is no other."""
    if values.shape[1] == 1:
        return np.full_like(values, -1.0)
    ranked = np.sort(values, axis=1)
    return np.where(values == ranked[:, -1:], ranked[:, -2:-1], ranked[:, -1:])
