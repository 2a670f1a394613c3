"""Exact binomial bounds: what a count of errors proves about the error rate."""

from __future__ import annotations

from math import exp, lgamma, log, log1p

CONFIDENCE = 0.95
_BISECTIONS = 60  # halves [0, 1] below the precision of a float


def upper_bound(errors: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """Return the one-sided Clopper-Pearson upper bound of an error rate (1.0 when nothing was tried)."""
    if errors >= trials:
        return 1.0
    low, high = errors / trials, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if _at_most(errors, trials, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(errors: int, trials: int, rate: float) -> float:
    """Probability of at most `errors` in `trials` at `rate`."""
    return (
        sum(
            exp(
                lgamma(trials + 1)
                - lgamma(k + 1)
                - lgamma(trials - k + 1)
                + k * log(rate)
                + (trials - k) * log1p(-rate)
            )
            for k in range(errors + 1)
        )
        if 0 < rate < 1
        else float(rate <= 0)
    )
