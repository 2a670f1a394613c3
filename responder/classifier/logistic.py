"""Logistic regression of a few inputs: evaluating it, and fitting it by Newton's method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

PENALTY = 1.0  # on the squared weights of standardised inputs; thousands of rows make it harmless
_STEPS = 30
_BLOCK = 2048  # rows
# Largest changes of a weight: when the fit is done, and when the curvature has changed too little to be made anew.
_SETTLED, _NEAR = 1e-3, 0.05


@dataclass(frozen=True, slots=True)
class Logistic:
    """A logistic model of standardised inputs."""

    mean: Array
    scale: Array
    weights: Array
    bias: float

    def probability(self, inputs: Floats) -> Array:
        """Return P(yes) for inputs of shape (..., features)."""
        slopes = self.weights / self.scale
        # In double precision: the sum must not depend on how many mails are judged at once.
        return _sigmoid(inputs.astype(np.float64) @ slopes + (self.bias - self.mean @ slopes))


class Regression:
    """Inputs (rows, features) with their right answers, ready to be fitted to more than once."""

    def __init__(self, inputs: Floats, right: npt.NDArray[np.bool_]) -> None:
        # Single precision halves the time, and is far finer than the penalty's own influence.
        self._rows = np.ones((len(inputs), inputs.shape[1] + 1), dtype=np.float32)
        rows = self._rows[:, :-1]
        self._mean = inputs.mean(axis=0, dtype=np.float64)
        np.subtract(inputs, self._mean.astype(np.float32), out=rows)
        self._scale = np.sqrt(np.einsum("ij,ij->j", rows, rows).astype(np.float64) / max(1, len(rows)))
        self._scale[self._scale == 0] = 1
        rows /= self._scale.astype(np.float32)
        self._right = right
        self._whole = self._newton(np.ones(len(inputs)), np.zeros(self._rows.shape[1]))
        self._spread = self._spread_of(self._whole)
        self._curvature = _curvature(self._rows, self._spread)

    def fit(self) -> Logistic:
        """Return the model of all rows."""
        return self._model(self._whole)

    def fit_to(self, chosen: npt.NDArray[np.bool_]) -> Logistic:
        """Return the model of the chosen rows only."""
        left_out = _curvature(self._rows[~chosen], self._spread[~chosen])
        return self._model(self._newton(chosen.astype(np.float64), self._whole, self._curvature - left_out))

    def _spread_of(self, weights: Array) -> Array:
        yes = _sigmoid(self._logits(weights))
        return np.asarray(yes * (1 - yes))

    def _logits(self, weights: Array) -> Array:
        return (self._rows @ weights.astype(np.float32)).astype(np.float64)

    def _model(self, weights: Array) -> Logistic:
        return Logistic(self._mean, self._scale, weights[:-1].copy(), float(weights[-1]))

    def _newton(self, chosen: Array, start: Array, curvature: Array | None = None) -> Array:
        """Minimise the penalised log loss of the chosen rows (1, others 0); the last column is the bias.

        `curvature` of the loss at `start`, where it is known: the least is near then, and it is kept while it serves.
        """
        penalty = np.full(len(start), PENALTY)
        penalty[-1] = 0
        renewed = curvature is None
        if curvature is not None:
            curvature = curvature + np.diag(penalty)

        def loss(logits: Array, weights: Array) -> float:
            # log(1 + exp(logits)); numpy's own is slower.
            losses = np.maximum(logits, 0) + np.log1p(np.exp(-np.abs(logits)))
            return float(chosen @ (losses - self._right * logits) + penalty @ weights**2 / 2)

        weights, said = start, self._logits(start)
        lowest, moved = loss(said, weights), np.inf
        for _ in range(_STEPS):
            yes = _sigmoid(said)
            slope = (chosen * (yes - self._right)).astype(np.float32) @ self._rows + penalty * weights
            if curvature is None or (renewed and moved > _NEAR):
                curvature = _curvature(self._rows, chosen * yes * (1 - yes)) + np.diag(penalty)
            step = np.linalg.solve(curvature, slope)
            # A full step may overshoot where the curvature is slight; the loss is convex: a shorter one will do.
            while True:
                said = self._logits(weights - step)
                after = loss(said, weights - step)
                if after <= lowest or np.abs(step).max() <= _SETTLED:
                    break
                step /= 2
            weights, lowest = weights - step, after
            before, moved = moved, float(np.abs(step).max())
            if moved <= _SETTLED:
                break
            if moved > before / 2:
                curvature = None
        return weights


def _curvature(rows: Floats, weights: Array) -> Array:
    """Return rows' x weights x rows, a block at a time: what fits the cache need not be fetched twice."""
    total = np.zeros((rows.shape[1], rows.shape[1]))
    roots = np.sqrt(weights).astype(np.float32)[:, None]
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK] * roots[start : start + _BLOCK]
        total += block.T @ block
    return total


def _sigmoid(logits: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))))
