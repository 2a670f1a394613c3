"""Training: from the texts of content/ to a model with thresholds that its own out-of-fold errors justify."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from responder.classifier import examples, ridge, words
from responder.classifier.bounds import upper_bound
from responder.classifier.corpus import Corpus, class_counts, matrix_of
from responder.classifier.decision import Outcome
from responder.classifier.familiarity import Familiarity
from responder.classifier.folds import Folds, Judged, Row
from responder.classifier.labelled import LabelledText
from responder.classifier.lexicon import Lexicon
from responder.classifier.logistic import Logistic, Regression
from responder.classifier.model import FORMAT, TARGET_ERROR, Model, Thresholds, content_digest, decide
from responder.classifier.neighbours import Neighbours
from responder.classifier.trust import NEIGHBOUR_VIEW, inputs
from responder.classifier.vectors import Floats

VERDICTS = "verdicts"  # the "writer" of texts that staff labelled

# A topic shown to staff as a suggestion; lower ones only crowd the screen.
_DRAFT = 0.15
# A second topic left unanswered is a question left open. Below this, ever more mails of one topic go to draft and
# few more of two are found (docs/classifier.md).
_SECOND = 0.40
# The error measured must meet the target, and the sample be large enough to exclude half as much again.
_BOUND_SLACK = 1.5
# Topics of a text that trust is learnt from: the others are plainly wrong and would teach only that.
_LIKELY = 4
_LEAST, _STEPS = 0.5, 200  # candidates for the automatic threshold, up to 1


def train(
    content: Path,
    labelled: Sequence[LabelledText] = (),
    target_error: float = TARGET_ERROR,
    *,
    repair: bool = True,
) -> Model:
    """Train on content/ and on texts labelled by staff. Same inputs, same model, bit for bit.

    `repair=False` leaves typing errors in words as they are.
    Raises ContentError when training text or word lists cannot be read.
    """
    # The order of summation, and with it the last bits, would depend on the number of cores.
    with threadpool_limits(limits=1), _no_garbage_collection():
        return _train(content, labelled, target_error, repair)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Training makes a million small values and no cycles: looking through them for garbage is a tenth of its time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _train(content: Path, labelled: Sequence[LabelledText], target_error: float, repair: bool) -> Model:
    lexicon = words.load(content, repair=repair)
    topics = examples.topics(content)
    rows = _rows(content, lexicon, labelled)
    corpus = Corpus.of([row.document for row in rows])
    vectorizer = corpus.vectorizer
    matrix = vectorizer.weighed(corpus.texts)
    targets = _targets(rows, topics)
    fitted = ridge.fit(
        matrix,
        vectorizer.width,
        targets,
        np.array([row.weight for row in rows], dtype=np.float32),
        [row.writer for row in rows],
    )
    labels = (targets > 0).astype(np.int8)
    judged = Folds(rows, corpus).judge(fitted.without, labels, topics)
    cues = tuple(sorted({cue for item in judged for cue in item.scores.cues}))
    lessons = _Lessons.of(judged, cues, len(topics))
    digest = content_digest(content)
    return Model(
        topics=topics,
        version=f"{FORMAT}-{digest[:12]}",
        digest=digest,
        thresholds=_thresholds(judged, lessons, topics, target_error),
        lexicon=lexicon,
        vectorizer=vectorizer,
        weights=fitted.weights,
        neighbours=Neighbours.of(vectorizer.part(matrix, NEIGHBOUR_VIEW), vectorizer.width, labels),
        familiarity=Familiarity(
            class_counts(matrix_of(corpus.texts, vectorizer.width), labels.astype(np.float32)).astype(
                np.uint16
            ),
            labels.sum(axis=0, dtype=np.float32),
        ),
        cues=cues,
        lead=lessons.lead.fit(),
        also=lessons.also.fit(),
        content=content,
    )


def _rows(content: Path, lexicon: Lexicon, labelled: Sequence[LabelledText]) -> list[Row]:
    rows = [
        Row(
            lexicon.sentences(example.subject, example.body),
            () if example.label == examples.STAFF else (example.label,),
            example.writer,
            1.0,
        )
        for example in examples.read(content)
    ]
    rows += [Row(lexicon.sentences("", item.text), item.labels, VERDICTS, item.weight) for item in labelled]
    return [row for row in rows if row.document]


def _targets(rows: Sequence[Row], topics: Sequence[str]) -> Floats:
    targets = np.full((len(rows), len(topics) + 1), -1, dtype=np.float32)
    for i, row in enumerate(rows):
        for label in row.labels:
            targets[i, topics.index(label)] = 1
        if not row.labels:
            targets[i, -1] = 1
    return targets


@dataclass(frozen=True, slots=True)
class _Lessons:
    """The inputs of both logistic models for every judged text, and what was right."""

    lead_inputs: Floats  # (texts, topics, features)
    also_inputs: Floats
    likely: npt.NDArray[np.bool_]  # (texts, topics): one of the few highest scores, or right
    second: npt.NDArray[np.bool_]  # (texts, topics): in scope, and not the leading topic
    lead: Regression  # a row for each that is `likely`
    also: Regression  # a row for each that is `second`

    @classmethod
    def of(cls, judged: Sequence[Judged], cues: Sequence[str], topics: int) -> _Lessons:
        scores = [item.scores for item in judged]
        whole = np.array([item.whole[:-1] for item in scores])
        scoped = np.array([bool(item.topics) for item in judged])
        right = np.array([[topic in item.topics for topic in range(topics)] for item in judged])
        second = scoped[:, None] & (whole.argmax(axis=1)[:, None] != np.arange(topics))
        likely = right | (whole >= np.sort(whole, axis=1)[:, -_LIKELY:][:, :1])
        lead, also = inputs(scores, cues)
        return cls(
            lead_inputs=lead,
            also_inputs=also,
            likely=likely,
            second=second,
            lead=Regression(lead[likely], right[likely]),
            also=Regression(also[second], right[second]),
        )

    def fit_to(self, chosen: npt.NDArray[np.bool_]) -> tuple[Logistic, Logistic]:
        """Return both models as the chosen texts alone make them."""
        every = np.broadcast_to(chosen[:, None], self.second.shape)
        return self.lead.fit_to(every[self.likely]), self.also.fit_to(every[self.second])


def _thresholds(
    judged: Sequence[Judged], lessons: _Lessons, topics: Sequence[str], target_error: float
) -> Thresholds:
    """Choose the automatic threshold by leave-one-writer-out in both layers, on the single texts.

    A topic right but not alone counts as an error.
    """
    answered: list[Answered] = []
    open_gate = Thresholds(0.0, 0.0, _SECOND, target_error, 0, 0, 1.0, 0.0)
    writers = np.array([item.writer for item in judged])
    joined = np.array([item.joined for item in judged])
    for writer in sorted(set(writers)):
        others, own = writers != writer, (writers == writer) & ~joined
        if not others.any():
            continue
        fitted_lead, fitted_also = lessons.fit_to(others)
        lead = fitted_lead.probability(lessons.lead_inputs[own])
        also = fitted_also.probability(lessons.also_inputs[own])
        for index, row in enumerate(np.flatnonzero(own)):
            if lead[index].max() < _LEAST:
                continue
            text = judged[int(row)]
            decision = decide(text.scores, lead[index], also[index], topics, open_gate)
            if decision.outcome is Outcome.AUTO:
                said = {topics.index(slug) for slug in decision.topics}
                confidence = max(decision.confidence.values())
                answered.append(Answered(confidence, said == text.topics, not text.topics, writer))
    staff = Counter(item.writer for item in judged if not (item.topics or item.joined))
    return lowest_proven(answered, staff, target_error)


class Answered(NamedTuple):
    """A text that would be answered automatically from its confidence on."""

    confidence: float
    right: bool
    for_staff: bool
    writer: str


def lowest_proven(answered: Sequence[Answered], staff: Mapping[str, int], target_error: float) -> Thresholds:
    """Return the lowest threshold at which error and leak are within the target, on a sample that proves the error.

    The error is the share of wrong answers among the answered texts. It depends on how many texts are for staff; the
    leak, the share of answered ones among these, does not (`staff`: their number by writer). Writers differ in how
    near their near misses are, so the leak must be within the target with any one writer's texts left out.
    """
    confidences = np.array([item.confidence for item in answered])
    wrong = np.array([not item.right for item in answered])
    leaks = {name: np.array([item.for_staff and item.writer == name for item in answered]) for name in staff}
    total = sum(staff.values())
    for step in range(_STEPS):
        auto = round(_LEAST + (1 - _LEAST) * step / _STEPS, 4)
        above = confidences >= auto
        errors, sample = int(wrong[above].sum()), int(above.sum())
        leaked = {name: int(found[above].sum()) for name, found in leaks.items()}
        every = sum(leaked.values())
        without = (every - leaked[name] <= target_error * (total - staff[name]) for name in staff)
        if errors > target_error * sample or every > target_error * total or not all(without):
            continue
        bound = upper_bound(errors, sample)
        if bound <= _BOUND_SLACK * target_error:
            leak = every / total if total else 0.0
            return Thresholds(auto, _DRAFT, _SECOND, target_error, sample, errors, bound, leak)
    # Nothing is proven: no confidence suffices, everything goes to a person.
    return Thresholds(1.1, _DRAFT, _SECOND, target_error, 0, 0, 1.0, 0.0)
