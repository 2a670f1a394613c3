"""Figures, bounds and replay, on decisions made by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from responder.classifier.bounds import upper_bound
from responder.classifier.decision import Decision, Explanation, Outcome
from responder.classifier.evaluate import evaluate
from responder.classifier.replay import compare
from responder.errors import ContentError


class Scripted:
    """A classifier that reads its decision from the mail: "auto a", "draft b", "staff"."""

    version = "scripted"
    topics: Sequence[str] = ("a", "b")

    def __init__(self, otherwise: str = "") -> None:
        self.otherwise = otherwise

    def classify(self, mails: Sequence[tuple[str, str]]) -> list[Decision]:
        return [self._decide(self.otherwise or text) for _, text in mails]

    def explain(self, subject: str, text: str) -> Explanation:
        raise NotImplementedError

    def _decide(self, text: str) -> Decision:
        outcome, *topics = text.split()
        best = topics[0] if topics else "a"
        confidence = {slug: 0.9 if slug == best else 0.1 for slug in self.topics}
        return Decision(Outcome(outcome), tuple(topics), confidence, "sure", "")


def mail(body: str, gold: Sequence[str], also_ok: Sequence[str] = ()) -> dict[str, object]:
    return {"body": body, "gold": list(gold), "also_ok": list(also_ok)}


def test_metrics_follow_their_definitions() -> None:
    report = evaluate(
        Scripted(),
        [
            mail("auto a", ["a"]),
            mail("auto a", ["a", "b"]),  # right but incomplete
            mail("auto b", ["a"]),  # wrong
            mail("auto a", []),  # leak
            mail("draft b", ["b"]),
            mail("staff", []),
        ],
    )
    figures = report.figures
    assert (figures.answered, figures.wrong) == (4, 2)
    assert figures.precision == 0.5
    assert figures.coverage == 3 / 4
    assert figures.leak == 1 / 2
    assert figures.complete == 1 / 4
    assert figures.top1 == 3 / 4


def test_an_answer_that_only_adds_a_harmless_topic_is_wrong() -> None:
    assert evaluate(Scripted(), [mail("auto b", ["a"], ["b"])]).figures.wrong == 1


def test_nothing_answered_has_no_precision() -> None:
    figures = evaluate(Scripted(), [mail("staff", [])]).figures
    assert math.isnan(figures.precision)
    assert figures.error_bound == 1.0


def test_the_report_renders_every_part() -> None:
    text = evaluate(Scripted(), [mail("auto a", ["a"]), mail("staff", [])]).text()
    for part in ("auto precision", "Confusion", "Reliability", "Risk and coverage"):
        assert part in text


@pytest.mark.parametrize("row", [{"body": "auto a"}, {"body": "auto a", "gold": ["unheard-of"]}])
def test_a_row_that_cannot_be_judged_is_named(row: dict[str, object]) -> None:
    with pytest.raises(ContentError, match="D7"):
        evaluate(Scripted(), [{"id": "D7", **row}])


@pytest.mark.parametrize(
    ("errors", "trials", "bound"), [(0, 59, 0.05), (0, 149, 0.02), (1, 236, 0.02), (0, 299, 0.01)]
)
def test_exact_bounds_agree_with_the_known_sample_sizes(errors: int, trials: int, bound: float) -> None:
    assert upper_bound(errors, trials) <= bound < upper_bound(errors, trials - 1)


def test_nothing_tried_proves_nothing() -> None:
    assert upper_bound(0, 0) == 1.0


def test_replay_lists_what_changes_and_puts_automatic_answers_first() -> None:
    changed = compare(Scripted(), Scripted("auto a"), [("s", "auto a"), ("t", "staff"), ("u", "draft a")])
    assert [change.index for change in changed.changes] == [1, 2]
    assert all(change.risky for change in changed.changes)
    assert compare(Scripted("auto a"), Scripted(), [("s", "staff")]).changes[0].risky is False
