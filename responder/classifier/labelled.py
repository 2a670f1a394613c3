"""A text with the label that a person gave it: what training learns from beside the examples in content/."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A mail whose right label a person gave. `labels`: topics, or () for staff."""

    text: str
    labels: tuple[str, ...]
    weight: float = 1.0
