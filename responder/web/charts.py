"""Numbers drawn as SVG: pure functions from values to markup, coloured by classes (static/charts.css), no script.

Every drawing has a title and says its numbers in words; the page beside it has them in a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from markupsafe import Markup

WIDTH, HEIGHT = 720, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 8, 8, 22  # around the plot, for the labels
_PLOT_WIDTH, _PLOT_HEIGHT = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
_LABELS = 8  # along the horizontal axis, or they run into one another
_STEPS = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Series:
    """One kind of number for each label of the horizontal axis."""

    name: str
    colour: str  # class of charts.css
    values: Sequence[int]


@dataclass(frozen=True, slots=True)
class Dot:
    """One point: where in time (0 = left, 1 = right), how high (0 to 1), what it is."""

    x: float
    y: float
    colour: str
    words: str


def columns(title: str, labels: Sequence[str], series: Sequence[Series]) -> Markup:
    """Stacked columns over `labels`, with a legend where there is more than one series."""
    totals = [sum(values) for values in zip(*(one.values for one in series), strict=True)]
    top = nice(max(totals, default=0))
    parts = [
        _grid(
            [(value / top, str(value)) for value in (0, top // 2, top)] if top > 1 else [(0, "0"), (1, "1")]
        )
    ]
    step = _PLOT_WIDTH / max(len(labels), 1)
    every = ceil(len(labels) / _LABELS)
    for index, label in enumerate(labels):
        left = _LEFT + index * step
        parts.append(_column(left, step, label, [(one, one.values[index]) for one in series], top))
        if index % every == 0:
            parts.append(
                Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
                    left + step / 2, HEIGHT - 6, label
                )
            )
    return _svg(title, WIDTH, HEIGHT, parts) + (legend(series) if len(series) > 1 else Markup())


def dots(title: str, labels: tuple[str, str], points: Sequence[Dot]) -> Markup:
    """Points over time; `labels` stand at the ends of the horizontal axis, shares at the vertical one."""
    parts = [_grid([(0, "0 %"), (0.5, "50 %"), (1, "100 %")])]
    for at, anchor, label in ((_LEFT, "start", labels[0]), (WIDTH - _RIGHT, "end", labels[1])):
        parts.append(
            Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(at, HEIGHT - 6, anchor, label)
        )
    for point in points:
        x, y = _LEFT + point.x * _PLOT_WIDTH, _TOP + (1 - point.y) * _PLOT_HEIGHT
        parts.append(
            Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3.5"><title>{}</title></circle>').format(
                point.colour, x, y, point.words
            )
        )
    return _svg(title, WIDTH, HEIGHT, parts)


def progress(title: str, share: float, colour: str) -> Markup:
    """A bar that is full at 1."""
    filled = 200 * min(max(share, 0.0), 1.0)
    parts = [
        Markup('<rect class="track" width="200" height="12" rx="3"/>'),
        Markup('<rect class="{}" width="{:.1f}" height="12" rx="3"/>').format(colour, filled),
    ]
    return _svg(title, 200, 12, parts, "bar-chart")


def at_least(title: str, low: float, measured: float | None) -> Markup:
    """A rate (0 to 1): filled up to what is proved, with a mark where it was measured."""
    parts = [
        Markup('<rect class="track" width="120" height="12" rx="3"/>'),
        Markup('<rect class="c1" width="{:.1f}" height="12" rx="3"/>').format(120 * low),
    ]
    if measured is not None:
        parts.append(Markup('<rect class="ink" x="{:.1f}" width="2" height="12"/>').format(118 * measured))
    return _svg(title, 120, 12, parts, "bar-chart")


def legend(series: Sequence[Series]) -> Markup:
    """What each colour means."""
    entry = Markup('<li><svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">')
    entry += Markup('<rect class="{}" width="12" height="12"/></svg> {}</li>')
    items = Markup().join(entry.format(one.colour, one.name) for one in series)
    return Markup('<ul class="legend">{}</ul>').format(items)


def nice(most: int) -> int:
    """The end of an axis that holds `most`: 1, 2 or 5 times a power of ten."""
    power = 1
    while True:
        for step in _STEPS:
            if step * power >= most:
                return step * power
        power *= 10


def _column(left: float, step: float, label: str, stack: Sequence[tuple[Series, int]], top: int) -> Markup:
    words = ", ".join(f"{one.name} {value}" for one, value in stack)
    parts = [Markup("<g><title>{}: {}</title>").format(label, words)]
    bottom = float(_TOP + _PLOT_HEIGHT)
    for one, value in stack:
        if value:
            height = _PLOT_HEIGHT * value / top
            bottom -= height
            parts.append(
                Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
                    one.colour, left + step * 0.1, bottom, step * 0.8, height
                )
            )
    return Markup().join(parts) + Markup("</g>")


def _grid(lines: Sequence[tuple[float, str]]) -> Markup:
    """Horizontal lines at shares of the height, with their labels."""
    line = Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>')
    text = Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>')
    return Markup().join(
        line.format(_LEFT, WIDTH - _RIGHT, y, y) + text.format(_LEFT - 6, y + 4, label)
        for share, label in lines
        for y in [_TOP + (1 - share) * _PLOT_HEIGHT]
    )


def _svg(title: str, width: int, height: int, parts: Sequence[Markup], kind: str = "chart") -> Markup:
    opening = Markup('<svg class="{}" viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>')
    return opening.format(kind, width, height, title, title) + Markup().join(parts) + Markup("</svg>")
