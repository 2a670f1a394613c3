"""Figures for Prometheus."""

from __future__ import annotations

from responder.pipeline.round import OfficeRound


def observe_round(done: OfficeRound, seconds: float) -> None:
    """Count what one round did, and how long it took."""
