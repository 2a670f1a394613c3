"""Charts of an evaluation as PNG. Needs matplotlib (`pip install 'lpse-responder[plots]'`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from responder.errors import ResponderError

if TYPE_CHECKING:
    from responder.classifier.evaluate import Report


def draw(report: Report, directory: Path) -> list[Path]:
    """Write reliability.png and risk-coverage.png. Raises ResponderError when matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ResponderError("charts need matplotlib: pip install 'lpse-responder[plots]'") from None
    directory.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []

    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot()
    bins = report.reliability()
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey")
    axes.plot([item.confidence for item in bins], [item.right for item in bins], marker="o")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence of the best topic", ylabel="share that is right")
    axes.set_title(f"Reliability, expected calibration error {report.calibration_error():.3f}")
    paths.append(directory / "reliability.png")
    figure.savefig(paths[-1], dpi=120, metadata={"Software": None})

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    points = report.risk_coverage()
    axes.plot([coverage for coverage, _, _ in points], [risk for _, risk, _ in points], marker=".")
    axes.set(
        xlim=(0, 1), ylim=(0, None), xlabel="coverage of in-scope mails", ylabel="share of wrong answers"
    )
    axes.set_title("Risk and coverage, surest mails first")
    paths.append(directory / "risk-coverage.png")
    figure.savefig(paths[-1], dpi=120, metadata={"Software": None})
    return paths
