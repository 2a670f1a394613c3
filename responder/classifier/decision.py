"""What the classifier says about one mail: the interface that the rest of the project sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

MODEL_FILE = "model.npz"
"""A trained classifier, in the state directory of each mailbox: a name that is known without loading NumPy."""


class Outcome(StrEnum):
    """How sure the classifier is."""

    AUTO = "auto"  # sure enough to be sent without a person, if the policy allows it
    DRAFT = "draft"  # a draft with the likeliest topics, for a person to check
    STAFF = "staff"  # a person must answer; no draft


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that spoke for or against the decision."""

    words: str  # as the vendor wrote them where known, else the concept's label in Indonesian
    weight: float  # contribution to the log-odds of the leading topic (or of "a person must answer")


@dataclass(frozen=True, slots=True)
class Decision:
    """Outcome, topics and calibrated confidence of every topic (0 to 1)."""

    outcome: Outcome
    topics: tuple[str, ...]  # AUTO: exactly what would be answered; DRAFT: likeliest first; STAFF: ()
    confidence: Mapping[str, float]  # every topic of the content, whatever the outcome
    reason: str  # a stable code, see reasons.REASONS
    explanation: str  # the reason for staff, one Indonesian sentence

    def likeliest(self, n: int = 3) -> list[str]:
        """The `n` topics of highest confidence, best first; ties by name."""
        return sorted(self.confidence, key=lambda slug: (-self.confidence[slug], slug))[:n]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a decision was made: deciding words and the nearest training examples."""

    evidence: tuple[Evidence, ...]
    nearest: tuple[tuple[str, str, float], ...]  # (label, example text, similarity 0 to 1), best first


class Classifier(Protocol):
    """Pure and deterministic: the same content gives the same decisions, bit for bit."""

    @property
    def version(self) -> str:
        """Names the model: format and content hash."""
        ...

    @property
    def topics(self) -> Sequence[str]: ...

    def classify(self, mails: Sequence[tuple[str, str]]) -> list[Decision]:
        """Decide on (subject, text) pairs; one decision per pair, order kept."""
        ...

    def explain(self, subject: str, text: str) -> Explanation: ...
