"""What would change on past mail if another model or other content went live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from responder.classifier.decision import Classifier, Decision, Outcome


@dataclass(frozen=True, slots=True)
class Change:
    """A mail on which two classifiers decide differently."""

    index: int  # position in the mails given
    subject: str
    before: Decision
    after: Decision

    @property
    def risky(self) -> bool:
        """The later one would answer by itself what the earlier one would not have answered so."""
        return self.after.outcome is Outcome.AUTO


@dataclass(frozen=True, slots=True)
class Comparison:
    """The outcome of a replay: how many mails, and every one that changes, risky ones first."""

    mails: int
    changes: tuple[Change, ...]

    def text(self) -> str:
        """Render one line a change."""
        lines = [f"{self.mails} mails, {len(self.changes)} decided differently"]
        lines += [
            f"{'!' if change.risky else ' '} {change.index + 1:>5}  {_short(change.before)} -> {_short(change.after)}"
            f"  {change.subject}"
            for change in self.changes
        ]
        return "\n".join(lines)


def compare(old: Classifier, new: Classifier, mails: Sequence[tuple[str, str]]) -> Comparison:
    """Decide on every (subject, text) by both classifiers; outcome or topics that differ are a change."""
    changes = [
        Change(index, mails[index][0], before, after)
        for index, (before, after) in enumerate(zip(old.classify(mails), new.classify(mails), strict=True))
        if (before.outcome, set(before.topics)) != (after.outcome, set(after.topics))
    ]
    return Comparison(len(mails), tuple(sorted(changes, key=lambda change: (not change.risky, change.index))))


def _short(decision: Decision) -> str:
    return f"{decision.outcome} {', '.join(decision.topics) or decision.reason}"
