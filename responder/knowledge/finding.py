"""What is wrong with content, and where: shared by loading, which refuses errors, and `content lint`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Severity(StrEnum):
    """Whether content can still be used."""

    ERROR = "error"  # must be mended: the topic cannot be used, or vendors would read nonsense
    WARNING = "warning"  # usable, but the owner should look at it


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing wrong. `line` counts from 1; 0 means the file or folder as a whole."""

    file: Path
    line: int
    severity: Severity
    message: str  # Indonesian: what, and what to do

    def __str__(self) -> str:
        return f"{self.file}{f':{self.line}' if self.line else ''}: {self.message}"


def wrong(path: Path, line: int, message: str) -> Finding:
    return Finding(path, line, Severity.ERROR, message)


def doubtful(path: Path, line: int, message: str) -> Finding:
    return Finding(path, line, Severity.WARNING, message)
