"""How good a classifier is on labelled mails: the figures that decide whether it may answer unseen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from responder.classifier.bounds import upper_bound
from responder.classifier.decision import Classifier, Decision, Outcome
from responder.errors import ContentError

_STAFF = "(petugas)"
_BINS = 10
_COVERAGES = 20
_BAR = 40  # characters of a full bar


@dataclass(frozen=True, slots=True)
class Judgement:
    """One labelled mail and what the classifier decided."""

    id: str
    gold: frozenset[str]  # empty = a person must answer
    also_ok: frozenset[str]
    style: tuple[str, ...]
    decision: Decision

    @property
    def answered(self) -> bool:
        return self.decision.outcome is Outcome.AUTO

    @property
    def right(self) -> bool:
        """Everything answered is asked or harmless, and something asked is answered."""
        topics = set(self.decision.topics)
        return topics <= self.gold | self.also_ok and bool(topics & self.gold)

    @property
    def complete(self) -> bool:
        return bool(self.gold) and self.gold <= set(self.decision.topics)

    @property
    def best(self) -> str:
        return self.decision.likeliest(1)[0]

    @property
    def confidence(self) -> float:
        return self.decision.confidence[self.best]


@dataclass(frozen=True, slots=True)
class Figures:
    """The metrics over a set of mails. Shares are 0 to 1; nan when nothing was there to count."""

    mails: int
    in_scope: int
    answered: int
    wrong: int
    precision: float
    coverage: float
    leak: float
    complete: float
    top1: float
    top3: float
    error_bound: float  # exact 95 % upper bound of the share of wrong answers

    @classmethod
    def of(cls, judgements: Sequence[Judgement]) -> Figures:
        answered = [item for item in judgements if item.answered]
        scoped = [item for item in judgements if item.gold]
        staff = [item for item in judgements if not item.gold]
        wrong = sum(not item.right for item in answered)
        return cls(
            mails=len(judgements),
            in_scope=len(scoped),
            answered=len(answered),
            wrong=wrong,
            precision=_share(len(answered) - wrong, len(answered)),
            coverage=_share(sum(item.answered for item in scoped), len(scoped)),
            leak=_share(sum(item.answered for item in staff), len(staff)),
            complete=_share(sum(item.complete for item in answered), len(answered)),
            top1=_share(sum(item.best in item.gold for item in scoped), len(scoped)),
            top3=_share(
                sum(bool(item.gold & set(item.decision.likeliest(3))) for item in scoped), len(scoped)
            ),
            error_bound=upper_bound(wrong, len(answered)),
        )


@dataclass(frozen=True, slots=True)
class Bin:
    """Mails whose best topic has a confidence from `low` to `high`."""

    low: float
    high: float
    mails: int
    confidence: float  # mean
    right: float  # share whose best topic is asked for


@dataclass(frozen=True)
class Report:
    """An evaluation. `text()` renders it; `plots` draws it."""

    topics: tuple[str, ...]
    judgements: tuple[Judgement, ...]

    @property
    def figures(self) -> Figures:
        return Figures.of(self.judgements)

    def styles(self) -> list[tuple[str, Figures]]:
        """Figures by style tag, most frequent first."""
        counts = Counter(tag for item in self.judgements for tag in item.style)
        order = sorted(counts, key=lambda tag: (-counts[tag], tag))
        return [(tag, Figures.of([item for item in self.judgements if tag in item.style])) for tag in order]

    def confusion(self) -> dict[tuple[str, str], int]:
        """Count (right, said) over mails of at most one right topic; said = the best topic, or staff."""
        counts: Counter[tuple[str, str]] = Counter()
        for item in self.judgements:
            if len(item.gold) <= 1:
                said = _STAFF if item.decision.outcome is Outcome.STAFF else item.best
                counts[next(iter(item.gold), _STAFF), said] += 1
        return dict(counts)

    def reasons(self) -> list[tuple[str, int, int]]:
        """(reason, mails in scope, mails for staff), most frequent first."""
        counts = Counter((item.decision.reason, bool(item.gold)) for item in self.judgements)
        names = {reason for reason, _ in counts}
        return sorted(
            ((name, counts[name, True], counts[name, False]) for name in names), key=lambda row: -sum(row[1:])
        )

    def reliability(self) -> list[Bin]:
        """Confidence against truth in ten equal bins; empty bins are left out."""
        bins: list[Bin] = []
        for index in range(_BINS):
            low, high = index / _BINS, (index + 1) / _BINS
            inside = [
                item
                for item in self.judgements
                if low <= item.confidence and (item.confidence < high or index == _BINS - 1)
            ]
            if inside:
                mean = sum(item.confidence for item in inside) / len(inside)
                right = sum(item.best in item.gold for item in inside) / len(inside)
                bins.append(Bin(low, high, len(inside), mean, right))
        return bins

    def calibration_error(self) -> float:
        """Expected calibration error over the bins of `reliability`."""
        return sum(item.mails * abs(item.confidence - item.right) for item in self.reliability()) / max(
            1, len(self.judgements)
        )

    def risk_coverage(self) -> list[tuple[float, float, float]]:
        """(coverage of in-scope mails, error rate, confidence) when only the surest mails were answered."""
        ranked = sorted(self.judgements, key=lambda item: (-item.confidence, item.id))
        scoped = max(1, sum(bool(item.gold) for item in ranked))
        points: list[tuple[float, float, float]] = []
        covered = wrong = 0
        for count, item in enumerate(ranked, start=1):
            covered += bool(item.gold)
            wrong += item.best not in item.gold
            if not points or covered / scoped - points[-1][0] >= 1 / _COVERAGES:
                points.append((covered / scoped, wrong / count, item.confidence))
        return points

    def text(self) -> str:
        """Render everything as plain text."""
        parts = [
            _table(self.figures),
            _style_table(self.styles()),
            self._confusion_text(),
            self._reason_text(),
        ]
        parts += [self._reliability_text(), self._risk_text()]
        return "\n\n".join(part for part in parts if part)

    def _confusion_text(self) -> str:
        labels = [*self.topics, _STAFF]
        counts = self.confusion()
        width = max(len(label) for label in labels)
        lines = [
            "Confusion (rows: right, columns: said, in the same order; mails with at most one right topic)"
        ]
        for row in labels:
            cells = "".join(f"{counts.get((row, column), 0) or '.':>5}" for column in labels)
            lines.append(f"{row:<{width}}{cells}")
        return "\n".join(lines)

    def _reason_text(self) -> str:
        lines = [f"{'reason':<16}{'in scope':>9}{'staff':>7}"]
        return "\n".join(
            lines + [f"{name:<16}{scoped:>9}{staff:>7}" for name, scoped, staff in self.reasons()]
        )

    def _reliability_text(self) -> str:
        lines = [f"Reliability (expected calibration error {self.calibration_error():.3f})"]
        for item in self.reliability():
            bar = "#" * round(item.right * _BAR)
            lines.append(
                f"{item.low:.1f}-{item.high:.1f} {item.mails:>5} mails  said {item.confidence:.2f}"
                f"  is {item.right:.2f} {bar}"
            )
        return "\n".join(lines)

    def _risk_text(self) -> str:
        lines = ["Risk and coverage (surest mails first, best topic only)"]
        for coverage, risk, confidence in self.risk_coverage():
            lines.append(
                f"coverage {coverage:.2f}  errors {risk:6.1%}  confidence >= {confidence:.3f}"
                f" {'#' * round(risk * _BAR)}"
            )
        return "\n".join(lines)


def evaluate(classifier: Classifier, rows: Sequence[Mapping[str, Any]]) -> Report:
    """Classify labelled mails: `subject`, `body`, `gold`, and optionally `id`, `also_ok`, `style`.

    Raises ContentError naming the row when a field is missing or a topic is unknown.
    """
    for number, row in enumerate(rows, start=1):
        if "body" not in row or "gold" not in row:
            raise ContentError(f"labelled mail {row.get('id', number)}: needs the fields `body` and `gold`")
        if unknown := sorted({*row["gold"], *(row.get("also_ok") or ())} - set(classifier.topics)):
            raise ContentError(f"labelled mail {row.get('id', number)}: unknown topic {unknown[0]!r}")
    decisions = classifier.classify([(str(row.get("subject") or ""), str(row["body"])) for row in rows])
    return Report(
        topics=tuple(classifier.topics),
        judgements=tuple(
            Judgement(
                id=str(row.get("id", number)),
                gold=frozenset(row["gold"]),
                also_ok=frozenset(row.get("also_ok") or ()),
                style=tuple(row.get("style") or ()),
                decision=decision,
            )
            for number, (row, decision) in enumerate(zip(rows, decisions, strict=True), start=1)
        ),
    )


def plots(report: Report, directory: Path) -> list[Path]:
    """Write reliability and risk-coverage charts as PNG; return their paths. Needs the extra `plots`."""
    from responder.classifier.charts import draw

    return draw(report, directory)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _table(figures: Figures) -> str:
    staff = figures.mails - figures.in_scope
    bound = f"error at most {figures.error_bound:.3f}, exact 95 % bound"
    return "\n".join(
        [
            f"mails                 {figures.mails} ({figures.in_scope} in scope, {staff} for staff)",
            f"answered (auto)       {figures.answered}, {figures.wrong} wrongly",
            f"auto precision        {figures.precision:.3f} ({bound})",
            f"coverage of in-scope  {figures.coverage:.3f}",
            f"out-of-scope leak     {figures.leak:.3f}",
            f"complete              {figures.complete:.3f}",
            f"top-1                 {figures.top1:.3f}",
            f"gold in top 3         {figures.top3:.3f}",
        ]
    )


def _style_table(styles: Sequence[tuple[str, Figures]]) -> str:
    if not styles:
        return ""
    lines = [f"{'style':<18}{'mails':>6}{'auto':>6}{'wrong':>6}{'coverage':>10}{'leak':>7}{'top-1':>7}"]
    for tag, item in styles:
        lines.append(
            f"{tag:<18}{item.mails:>6}{item.answered:>6}{item.wrong:>6}{item.coverage:>10.2f}{item.leak:>7.2f}{item.top1:>7.2f}"
        )
    return "\n".join(lines).replace("nan", "  –")
