"""A trained classifier: scoring in numpy, its file, and loading it without ever trusting a stale one."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from responder.classifier import examples, reasons, words
from responder.classifier.decision import MODEL_FILE, Decision, Explanation, Outcome
from responder.classifier.evidence import nearest_examples, topic_evidence
from responder.classifier.familiarity import Familiarity
from responder.classifier.labelled import LabelledText
from responder.classifier.lexicon import Lexicon
from responder.classifier.logistic import Array, Logistic
from responder.classifier.neighbours import Neighbours
from responder.classifier.stops import stop
from responder.classifier.trust import Scores, inputs, score
from responder.classifier.vectors import Floats, Vectorizer
from responder.errors import ModelError
from responder.files import replacing

FORMAT = 4
TARGET_ERROR = 0.02  # share of wrong answers among the automatic ones
_BATCH = 64  # mails scored at once: large enough for numpy, small enough to stay in the cache


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where the decisions fall, and the sample that the automatic one was proven on."""

    auto: float  # least confidence of an automatic answer
    draft: float  # least confidence of a suggested topic
    second: float  # a further topic this probable forbids an automatic answer
    target_error: float
    sample: int  # out-of-fold examples that would have been answered automatically
    errors: int  # wrong ones among them
    bound: float  # exact upper bound (95 %, one-sided) of the error rate on that sample
    leak: float  # share of the out-of-fold examples for staff that would have been answered automatically


@dataclass(frozen=True)
class Model:
    """Satisfies `decision.Classifier`."""

    topics: tuple[str, ...]
    version: str
    digest: str  # of the content it was trained on
    thresholds: Thresholds
    lexicon: Lexicon = field(repr=False)
    vectorizer: Vectorizer = field(repr=False)
    weights: Floats = field(repr=False)  # (features, topics + 1)
    neighbours: Neighbours = field(repr=False)
    familiarity: Familiarity = field(repr=False)
    cues: tuple[str, ...] = field(repr=False)
    lead: Logistic = field(repr=False)
    also: Logistic = field(repr=False)
    content: Path = field(repr=False, compare=False)

    def classify(self, mails: Sequence[tuple[str, str]]) -> list[Decision]:
        """Decide on (subject, text) pairs; one decision per pair, order kept."""
        decisions: list[Decision] = []
        for start in range(0, len(mails), _BATCH):
            documents = [
                self.lexicon.sentences(subject, text) for subject, text in mails[start : start + _BATCH]
            ]
            scores = score(documents, self.vectorizer, self.weights, self.neighbours, self.familiarity)
            lead_inputs, also_inputs = inputs(scores, self.cues)
            lead, also = self.lead.probability(lead_inputs), self.also.probability(also_inputs)
            decisions += [
                decide(item, lead[i], also[i], self.topics, self.thresholds) for i, item in enumerate(scores)
            ]
        return decisions

    def explain(self, subject: str, text: str) -> Explanation:
        """Return the words that decided and the examples nearest to the mail."""
        document = self.lexicon.sentences(subject, text)
        decision = self.classify([(subject, text)])[0]
        column = (
            len(self.topics)
            if decision.outcome is Outcome.STAFF
            else self.topics.index(decision.likeliest(1)[0])
        )
        return Explanation(
            evidence=topic_evidence(document, self.vectorizer, self.lexicon, self.weights, column),
            nearest=nearest_examples(document, self.vectorizer, self.lexicon, examples.read(self.content)),
        )

    def summary(self) -> str:
        """Return what the model is and what its threshold was proven on."""
        limits = self.thresholds
        proof = (
            f"{limits.sample} out-of-fold texts at or above it, {limits.errors} wrong: "
            f"error {limits.errors / limits.sample:.2%}, at most {limits.bound:.2%} (exact 95 % bound); "
            f"{limits.leak:.2%} of the texts for staff"
            if limits.sample
            else "no threshold reaches the target error, so nothing is answered automatically"
        )
        return (
            f"model {self.version}: {len(self.topics)} topics, {len(self.neighbours.labels)} texts\n"
            f"automatic from confidence {limits.auto:.3f} for a target error of {limits.target_error:.1%}\n{proof}"
        )

    def save(self, path: Path) -> None:
        """Write the model; the file appears complete or not at all."""
        header = {
            "format": FORMAT,
            "digest": self.digest,
            "version": self.version,
            "topics": self.topics,
            "cues": self.cues,
            "thresholds": asdict(self.thresholds),
            "columns": {view: list(table) for view, table in self.vectorizer.columns.items()},
        }
        arrays: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]] = {
            "header": np.frombuffer(json.dumps(header, ensure_ascii=False).encode(), dtype=np.uint8),
            "idf": self.vectorizer.idf,
            "weights": self.weights,
            "near_starts": self.neighbours.starts,
            "near_rows": self.neighbours.rows,
            "near_values": self.neighbours.values,
            "near_labels": self.neighbours.labels,
            "familiar_counts": self.familiarity.counts,
            "familiar_texts": self.familiarity.texts,
        }
        for name, layer in (("lead", self.lead), ("also", self.also)):
            arrays |= {
                f"{name}_mean": layer.mean,
                f"{name}_scale": layer.scale,
                f"{name}_weights": layer.weights,
            }
            arrays[f"{name}_bias"] = np.array(layer.bias)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, mode=0o600) as part, part.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)


def decide(
    scores: Scores, lead: Array, also: Array, topics: Sequence[str], thresholds: Thresholds
) -> Decision:
    """Turn scores and probabilities of one mail into a decision."""
    confidence = dict(zip(topics, (round(float(value), 6) for value in lead), strict=True))
    order = sorted(range(len(topics)), key=lambda i: (-lead[i], topics[i]))
    first = order[0]
    seconds = [i for i in order[1:] if also[i] >= thresholds.second]
    likely = [first, *seconds, *(i for i in order[1:] if lead[i] >= thresholds.draft and i not in seconds)]
    halted = stop(scores)
    if lead[first] < thresholds.draft or halted in {reasons.EMPTY, reasons.THANKS, reasons.AUTO_TEXT}:
        return _decision(Outcome.STAFF, (), confidence, halted or _why_staff(scores))
    if halted is not None:
        # The cue alone may be a turn of phrase; with a probable topic a person gets the draft to judge.
        if lead[first] < thresholds.auto:
            return _decision(Outcome.STAFF, (), confidence, halted)
        return _decision(Outcome.DRAFT, tuple(topics[i] for i in likely), confidence, halted)
    if seconds:
        return _decision(Outcome.DRAFT, tuple(topics[i] for i in likely), confidence, reasons.SECOND_TOPIC)
    if lead[first] >= thresholds.auto and scores.words >= _SHORTEST_ANSWERED:
        return _decision(Outcome.AUTO, (topics[first],), confidence, reasons.SURE)
    return _decision(Outcome.DRAFT, tuple(topics[i] for i in likely), confidence, reasons.UNSURE)


# One word names a subject and asks nothing: "verifikasi" may be anything.
_SHORTEST_ANSWERED = 2

# A topic scores -1 where nothing of it is found and +1 where all is; staff mails of the field stay well above this.
_UNLIKE_ANYTHING = -0.6


def _why_staff(scores: Scores) -> str:
    return reasons.NOTHING_KNOWN if float(scores.whole[:-1].max()) < _UNLIKE_ANYTHING else reasons.NEAR_MISS


def _decision(
    outcome: Outcome, topics: tuple[str, ...], confidence: Mapping[str, float], reason: str
) -> Decision:
    return Decision(outcome, topics, confidence, reason, reasons.REASONS[reason])


def content_digest(content: Path) -> str:
    """Return the SHA-256 of all that a model learns from: topic slugs, training text and word lists."""
    total = hashlib.sha256(f"format {FORMAT}\n".encode())
    for path in (*examples.files(content), *words.digest_files(content)):
        total.update(path.relative_to(content).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(path.read_bytes() if path.is_file() else b"").digest())
    return total.hexdigest()


def load(path: Path, content: Path) -> Model:
    """Read a model file. Raises ModelError, one line, when it is missing, corrupt, or stale against `content`."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        header = json.loads(arrays["header"].tobytes().decode())
        if header["format"] != FORMAT:
            raise ModelError(
                f"{path}: model format {header['format']}, expected {FORMAT}; run `responder train`"
            )
        if header["digest"] != content_digest(content):
            raise ModelError(f"{path}: trained on other content than {content}; run `responder train`")
        return _assemble(header, arrays, content)
    except FileNotFoundError:
        raise ModelError(f"{path}: no model yet; run `responder train`") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: not a readable model ({error}); run `responder train`") from error


def _assemble(header: dict[str, object], arrays: dict[str, np.ndarray], content: Path) -> Model:
    columns: dict[str, dict[str, int]] = {}
    names, thresholds, topics = header["columns"], header["thresholds"], header["topics"]
    if not (isinstance(names, dict) and isinstance(thresholds, dict) and isinstance(topics, list)):
        raise TypeError("its header is not one of a model")
    start = 0
    for view, features in names.items():
        columns[view] = {name: start + i for i, name in enumerate(features)}
        start += len(features)
    shape = (start, len(topics) + 1)
    if len(arrays["idf"]) != start or not shape == arrays["weights"].shape == arrays["familiar_counts"].shape:
        raise ValueError("its parts do not fit together")
    lexicon = words.load(content)
    vectorizer = Vectorizer(columns, arrays["idf"])
    return Model(
        topics=tuple(topics),
        version=str(header["version"]),
        digest=str(header["digest"]),
        thresholds=Thresholds(**thresholds),
        lexicon=lexicon,
        vectorizer=vectorizer,
        weights=arrays["weights"],
        neighbours=Neighbours(*(arrays[f"near_{part}"] for part in ("starts", "rows", "values", "labels"))),
        familiarity=Familiarity(arrays["familiar_counts"], arrays["familiar_texts"]),
        cues=tuple(header["cues"]),  # type: ignore[arg-type]
        lead=_logistic(arrays, "lead"),
        also=_logistic(arrays, "also"),
        content=content,
    )


def _logistic(arrays: dict[str, np.ndarray], name: str) -> Logistic:
    return Logistic(
        arrays[f"{name}_mean"],
        arrays[f"{name}_scale"],
        arrays[f"{name}_weights"],
        float(arrays[f"{name}_bias"]),
    )


def load_or_train(
    content: Path,
    directory: Path,
    labelled: Callable[[], Sequence[LabelledText]] = tuple,
    target_error: float = TARGET_ERROR,
    announce: Callable[[ModelError], object] = lambda _why: None,
) -> Model:
    """Return the model of `content` from `directory`, training and storing it when there is none that fits.

    `labelled` gives what training learns from beside the content; `announce` is told why training is needed.
    """
    path = directory / MODEL_FILE
    try:
        return load(path, content)
    except ModelError as error:
        announce(error)
        # SciPy takes time and memory to load; scoring does without.
        from responder.classifier.train import train

        model = train(content, labelled(), target_error)
        model.save(path)
        return model
