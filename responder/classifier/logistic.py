"""Logistic regression of a few inputs: evaluating it, and fitting it by Newton's method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

PENALTY = 1.0  # on the squared weights of standardised inputs; thousands of rows make it harmless
_STEPS = 30
_BLOCK = 2048  # rows
_SETTLED = 1e-4  # largest change of a weight; the error of Newton's method squares with every step


@dataclass(frozen=True, slots=True)
class Logistic:
    """A logistic model of standardised inputs."""

    mean: Array
    scale: Array
    weights: Array
    bias: float

    def probability(self, inputs: Array) -> Array:
        """Return P(yes) for inputs of shape (..., features)."""
        logits = ((inputs - self.mean) / self.scale) @ self.weights + self.bias
        return _sigmoid(logits)


class Regression:
    """Inputs (rows, features) with their right answers, ready to be fitted to more than once."""

    def __init__(self, inputs: Array, right: npt.NDArray[np.bool_]) -> None:
        self._mean, self._scale = inputs.mean(axis=0), inputs.std(axis=0)
        self._scale[self._scale == 0] = 1
        self._rows = np.hstack([(inputs - self._mean) / self._scale, np.ones((len(inputs), 1))])
        self._right = right.astype(np.float64)
        self._whole = _newton(self._rows, self._right, np.zeros(self._rows.shape[1]))

    def fit(self) -> Logistic:
        """Return the model of all rows."""
        return self._model(self._whole)

    def fit_to(self, chosen: npt.NDArray[np.bool_]) -> Logistic:
        """Return the model of the chosen rows only."""
        return self._model(_newton(self._rows[chosen], self._right[chosen], self._whole))

    def _model(self, weights: Array) -> Logistic:
        return Logistic(self._mean, self._scale, weights[:-1].copy(), float(weights[-1]))


def _newton(rows: Array, right: Array, start: Array) -> Array:
    """Minimise the penalised log loss from `start`; the last column is the bias and goes unpenalised."""
    penalty = np.full(rows.shape[1], PENALTY)
    penalty[-1] = 0
    weights, loss = start, _loss(rows, right, start, penalty)
    for _ in range(_STEPS):
        said = _sigmoid(rows @ weights)
        slope = rows.T @ (said - right) + penalty * weights
        step = np.linalg.solve(_curvature(rows, said * (1 - said)) + np.diag(penalty), slope)
        # A full step may overshoot where the curvature is slight; the loss is convex, so a shorter one will do.
        while (after := _loss(rows, right, weights - step, penalty)) > loss and np.abs(step).max() > _SETTLED:
            step /= 2
        weights, loss = weights - step, after
        if np.abs(step).max() <= _SETTLED:
            break
    return weights


def _curvature(rows: Array, weights: Array) -> Array:
    """Return rows' x weights x rows, a block at a time: what fits the cache need not be fetched twice."""
    total = np.zeros((rows.shape[1], rows.shape[1]))
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        total += (block * weights[start : start + _BLOCK, None]).T @ block
    return total


def _loss(rows: Array, right: Array, weights: Array, penalty: Array) -> float:
    logits = rows @ weights
    return float((np.logaddexp(0, logits) - right * logits).sum() + penalty @ weights**2 / 2)


def _sigmoid(logits: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))))
