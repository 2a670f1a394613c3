"""How a long-running process tree is: memory, descriptors, threads, and the line that they follow over time."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.accounting import cpu_of, tree


@dataclass(frozen=True, slots=True)
class Vitals:
    """One look at a process and all below it."""

    rss_mb: float  # resident
    anonymous_mb: float  # of that what no file stands behind: heap and stacks
    root_rss_mb: float  # of the first process alone
    descriptors: int
    threads: int
    processes: int
    cpu: float  # seconds so far


def look(pid: int) -> Vitals:
    """The tree of `pid` at this moment; a process that ends meanwhile counts as nothing."""
    pids = tree(pid)
    states = [_status(one) for one in pids]
    return Vitals(
        rss_mb=_sum(states, "VmRSS") / 1024,
        anonymous_mb=_sum(states, "RssAnon") / 1024,
        root_rss_mb=states[0].get("VmRSS", 0) / 1024,
        descriptors=sum(map(_descriptors, pids)),
        threads=_sum(states, "Threads"),
        processes=len(pids),
        cpu=cpu_of(pid),
    )


@dataclass(frozen=True, slots=True)
class Trend:
    """A least-squares line through (seconds, value)."""

    slope: float  # a second
    first: float  # the line's value at the first point
    last: float

    @property
    def growth(self) -> float:
        """From first to last point, as a share of the first."""
        return (self.last - self.first) / self.first


def trend(points: Sequence[tuple[float, float]]) -> Trend:
    """The line through at least two `points` of different time."""
    times, values = zip(*points, strict=True)
    slope, intercept = statistics.linear_regression(times, values)
    return Trend(slope, intercept + slope * times[0], intercept + slope * times[-1])


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, 95th percentile and maximum; zeros of nothing."""
    if not values:
        return 0.0, 0.0, 0.0
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[len(ordered) * 95 // 100], ordered[-1]


def _status(pid: int) -> dict[str, int]:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return {}
    return {name: int(value) for name, value in re.findall(r"^(VmRSS|RssAnon|Threads):\s+(\d+)", text, re.M)}


def _sum(states: Sequence[dict[str, int]], name: str) -> int:
    return sum(state.get(name, 0) for state in states)


def _descriptors(pid: int) -> int:
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return 0
