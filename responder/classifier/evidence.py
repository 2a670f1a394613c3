"""Why: the words of a mail that spoke for a class, and the training examples nearest to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from responder.classifier.decision import Evidence
from responder.classifier.examples import Example
from responder.classifier.lexicon import Lexicon
from responder.classifier.vectors import Document, Floats, Vectorizer

_SHOWN_EVIDENCE = 6
_SHOWN_EXAMPLES = 5


def topic_evidence(
    document: Document, vectorizer: Vectorizer, lexicon: Lexicon, weights: Floats, column: int
) -> tuple[Evidence, ...]:
    """Return what spoke most for or against class `column`, by the mail's own words.

    A word's weight is what the score would lose without it: letters, word and pairs together.
    """
    if not document:
        return ()
    row = vectorizer.matrix([document])
    share = dict(zip(row.columns.tolist(), (row.values * weights[row.columns, column]).tolist(), strict=True))
    whole = float(row.times(weights)[0, column])
    spoken: dict[str, float] = {}
    for word in sorted({token.written for sentence in document for token in sentence.tokens}):
        rest = [
            lexicon.sentence([token for token in sentence.tokens if token.written != word])
            for sentence in document
        ]
        spoken[word] = whole - float(vectorizer.matrix([rest]).times(weights)[0, column])
    for sentence in document:
        for key, written in sentence.concepts.items():
            index = vectorizer.columns["k"].get(key)
            if index is not None:
                spoken.setdefault(f"{lexicon.label(key)} ({written})", share[index])
    ranked = sorted(spoken.items(), key=lambda item: (-abs(item[1]), item[0]))
    return tuple(Evidence(words, round(weight, 4)) for words, weight in ranked[:_SHOWN_EVIDENCE])


def nearest_examples(
    document: Document, vectorizer: Vectorizer, lexicon: Lexicon, training: Sequence[Example]
) -> tuple[tuple[str, str, float], ...]:
    """Return (label, text, cosine similarity) of the training examples most like the mail."""
    if not document:
        return ()
    mail = vectorizer.matrix([document])
    direction = np.zeros((vectorizer.width, 1), dtype=np.float32)
    direction[mail.columns, 0] = mail.values
    rows = vectorizer.matrix([lexicon.sentences(example.subject, example.body) for example in training])
    similarity = rows.times(direction)[:, 0]
    best = np.argsort(-similarity, kind="stable")[:_SHOWN_EXAMPLES]
    return tuple((training[i].label, training[i].text, round(float(similarity[i]), 4)) for i in best)
