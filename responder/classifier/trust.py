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
    several = [one for sentences in columns if len(sentences) > 1 for one in sentences]
    mails = len(documents)
    # Mails and sentences in one go: each call of NumPy costs more than what it does for one mail.
    rows = vectorizer.rows([*map(vectorizer.document, columns), *several])
    parts = vectorizer.by_view(rows, weights)
    whole, parts = parts.sum(axis=1), parts[:mails]
    rows = rows.first(mails)
    near = neighbours.closeness(vectorizer.part(rows, NEIGHBOUR_VIEW))
    familiar, beyond = familiarity.inputs(rows, vectorizer, leading(whole[:mails]))
    found: list[Scores] = []
    start = mails
    for index, document in enumerate(documents):
        stop = start + len(document)
        if len(document) > 1:
            said, start = whole[start:stop], stop
        else:
            said = whole[index : index + 1]
        cues, words = cues_of(document), words_of(document)
        found.append(
            Scores(whole[index], said, parts[index], near[index], familiar[index], beyond[index], cues, words)
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


def inputs(scores: Sequence[Scores], cues: Sequence[str]) -> tuple[Floats, Floats]:
    """Return what both logistic models see of each topic of each mail, (mails, topics, features) each.

    First: is this topic what the mail asks, and may it be answered unseen? Second: is it asked beside the leading one?
    """
    mails = _Stack.of(scores)
    return _lead_inputs(mails, scores, cues), _also_inputs(mails, scores)


def _lead_inputs(mails: _Stack, scores: Sequence[Scores], cues: Sequence[str]) -> Floats:
    whole, staff = mails.whole, mails.staff[:, None]
    best = mails.highest(mails.sentences)
    share = mails.mean((mails.spoken_staff > mails.sentences.max(axis=1))[:, None].astype(np.float32))
    parts = np.stack([item.parts for item in scores], axis=1)
    near = np.array([item.near for item in scores]).transpose(2, 0, 1)
    familiar = np.array([item.familiar for item in scores]).transpose(2, 0, 1)
    views = len(parts)
    judged = np.concatenate([[whole, best], parts[:, :, :-1], near[:, :, :-1]])
    others = _highest_other(judged)
    # Whether words, letters and concepts agree, each against its own runner-up.
    behind = np.maximum(others[2 : 2 + views], parts[:, :, -1:])
    own = np.concatenate(
        [
            judged,
            others[:2],
            [whole - np.maximum(others[0], staff), whole >= others[0]],
            judged[2 : 2 + views] - behind,
            judged[2 : 2 + views] >= behind,
            judged[2 + views :] - others[2 + views :],
            judged[2 + views :] - near[:, :, -1:],
            familiar,
        ]
    )
    # The more sentences, the less of a mail is its question: every number weighs otherwise in a long one.
    own = np.concatenate([own, own * (mails.lengths - _MIDDLE_LENGTH)])
    common = [staff, mails.highest(mails.spoken_staff[:, None]), share, mails.words, mails.lengths]
    common.append(np.array([[cue in item.cues for cue in cues] for item in scores], dtype=np.float32))
    return _features(own, common)


def _also_inputs(mails: _Stack, scores: Sequence[Scores]) -> Floats:
    whole, sentences = mails.whole, mails.sentences
    # By how much a topic wins a sentence; negative where another topic, or staff, wins it.
    margins = sentences - _highest_other(sentences)
    ahead = np.minimum(margins, sentences - mails.spoken_staff[:, None])
    topics = whole.shape[1]
    best, margin, clear = np.split(
        mails.highest(np.concatenate([sentences, margins, ahead], axis=1)), [topics, 2 * topics], axis=1
    )
    won = mails.total(1 / (1 + np.exp(-_STEEPNESS * ahead)))
    lead = whole.max(axis=1, keepdims=True)
    own = np.concatenate(
        [
            [
                whole,
                lead - whole,
                best,
                margin,
                clear,
                best.max(axis=1, keepdims=True) - best,
                won,
                won / mails.counts,
                np.maximum(clear, -0.5) * np.maximum(best, -0.5),
            ],
            np.array([item.beyond for item in scores]).transpose(2, 0, 1),
        ]
    )
    several = np.array([[_SEVERAL in item.cues] for item in scores], dtype=np.float32)
    mean = whole.mean(axis=1, keepdims=True)
    return _features(own, [lead, mean, mails.staff[:, None], mails.words, mails.lengths, several])


@dataclass(frozen=True, slots=True)
class _Stack:
    """The scores of many mails as arrays; sentences of all mails below one another."""

    whole: Floats  # (mails, topics)
    staff: Floats  # (mails,)
    sentences: Floats  # (sentences, topics)
    spoken_staff: Floats  # (sentences,)
    starts: Ints  # (mails,): the first sentence of each
    counts: Floats  # (mails, 1): sentences of each
    words: Floats  # (mails, 1): logarithm
    lengths: Floats  # (mails, 1): logarithm of the number of sentences

    @classmethod
    def of(cls, scores: Sequence[Scores]) -> _Stack:
        whole = np.array([item.whole for item in scores])
        spoken = np.concatenate([item.sentences for item in scores])
        sizes = np.array([len(item.sentences) for item in scores])
        counts = sizes.astype(np.float32)[:, None]
        words = np.array([[item.words] for item in scores], dtype=np.float32)
        return cls(
            whole[:, :-1],
            whole[:, -1],
            spoken[:, :-1],
            spoken[:, -1],
            np.cumsum(sizes) - sizes,
            counts,
            np.log1p(words),
            np.log(counts),
        )

    def highest(self, values: Floats) -> Floats:
        """Return the highest of the sentences of each mail, for values of shape (sentences, n)."""
        return np.asarray(np.maximum.reduceat(values, self.starts, axis=0))

    def total(self, values: Floats) -> Floats:
        return np.asarray(np.add.reduceat(values, self.starts, axis=0))

    def mean(self, values: Floats) -> Floats:
        return self.total(values) / self.counts


def _features(own: Floats, common: Sequence[Floats]) -> Floats:
    """Join features of each topic, (features, mails, topics), and of the mail, (mails, any number) each."""
    alike = np.concatenate(common, axis=1)
    number, mails, topics = own.shape
    found = np.empty((mails, topics, number + alike.shape[1]), dtype=np.float32)
    found[:, :, :number] = own.transpose(1, 2, 0)
    found[:, :, number:] = alike[:, None, :]
    return found


def _highest_other(values: Floats) -> Floats:
    """Return for each entry the highest of all others of its row, the last axis; -1 where there is no other."""
    if values.shape[-1] == 1:
        return np.full_like(values, -1.0)
    ranked = np.sort(values, axis=-1)
    return np.where(values == ranked[..., -1:], ranked[..., -2:-1], ranked[..., -1:])
