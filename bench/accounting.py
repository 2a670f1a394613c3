"""What a process and its children cost, as the operating system counts it."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one command with all its children."""

    wall: float  # seconds
    cpu: float  # seconds, user and system
    peak_mb: float  # highest resident memory of each process, added up: at least what the tree ever had
    status: int
    output: str


def run(command: Sequence[str], cwd: Path, environment: dict[str, str] | None = None) -> Cost:
    """Run `command` to its end."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    watch = PeakWatch(process.pid)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - started
    return Cost(wall, used.ru_utime + used.ru_stime, watch.end(), process.returncode, output)


class PeakWatch:
    """Follows the highest resident memory of a process and its children."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peaks: dict[int, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> float:
        """Stop; return the sum of the peaks in MB."""
        self._ended.set()
        self._thread.join()
        return sum(self._peaks.values()) / 1024

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            for pid in tree(self._pid):
                if kilobytes := _high_water(pid):
                    self._peaks[pid] = max(self._peaks.get(pid, 0), kilobytes)


def tree(pid: int) -> list[int]:
    """`pid` and all processes below it."""
    found = [pid]
    for parent in found:
        try:
            tasks = [path.name for path in Path(f"/proc/{parent}/task").iterdir()]
            for task in tasks:
                found += map(int, Path(f"/proc/{parent}/task/{task}/children").read_text().split())
        except OSError:
            continue
    return found


def cpu_of(pid: int) -> float:
    """CPU seconds that the processes of a living tree have used (clock_getcpuclockid(3): all threads, to the ns)."""
    total = 0.0
    for one in tree(pid):
        try:
            total += time.clock_gettime((~one << 3) | 2)
        except OSError:
            continue
    return total


def _high_water(pid: int) -> int:
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0


def syncs(command: Sequence[str], cwd: Path, report: Path) -> tuple[int, Cost]:
    """Run `command` under strace; return how often it or a child called fdatasync or fsync, and its cost."""
    traced = ["strace", "-f", "-qq", "-e", "trace=fdatasync,fsync", "-e", "signal=none", "-o", str(report)]
    cost = run([*traced, *command], cwd)
    return len(re.findall(r"\bf(?:data)?sync\(", report.read_text())), cost
