"""The linear layer: ridge regression of the classes on a mail's vector, as a whole and without each writer.

Every example is judged by weights that never saw its writer, so there are as many regressions as writers and one more.
They are solved together in the dual, by conjugate gradients: what costs is one sparse product for all of them in
every step, and time grows with the number of texts where a factorisation grows with its cube.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse

from responder.classifier.corpus import matrix_of
from responder.classifier.vectors import Floats, Sparse

PENALTY = 0.1  # 0.03 to 1 is flat in leave-one-writer-out

# The preconditioner knows the Gram matrix from this many of its rows; what they leave over has eigenvalues of about
# `_REST`. More rows save steps and cost as much in making.
_LANDMARKS = 400
_REST = 0.4
_JITTER = 1e-3  # keeps landmarks that are alike from making their Gram matrix singular

# Error of the weights beside weights of zero. What only judges examples may be rougher than what judges mails.
_EXACT, _ROUGH = 1e-3, 2e-2
_STEPS = 100  # rounding alone may keep a tiny problem from its tolerance


@dataclass(frozen=True, slots=True)
class Fit:
    """Weights (columns x classes) from all rows, and from all rows but each fold's."""

    weights: Floats
    without: dict[str, Floats]


def fit(
    rows: Sparse,
    width: int,
    targets: Floats,
    importance: Floats,
    folds: Sequence[str],
    penalty: float = PENALTY,
) -> Fit:
    """Fit `targets` (rows x classes, +1 and -1) with a weight per row; `folds` names the fold of each row."""
    matrix = matrix_of(rows, width)
    systems = _Systems(matrix, penalty / importance)
    whole = systems.solve(
        np.ones((rows.height, 1), dtype=np.float32), targets, np.zeros_like(targets), _EXACT
    )
    names, members = np.unique(np.array(folds), return_inverse=True)
    kept = (members[:, None] != np.arange(len(names))).astype(np.float32)
    duals = systems.solve(kept, targets, whole, _ROUGH)
    classes = targets.shape[1]
    transposed = systems.transposed
    return Fit(
        transposed @ whole,
        {
            str(name): transposed @ np.ascontiguousarray(duals[:, i * classes : (i + 1) * classes])
            for i, name in enumerate(names)
        },
    )


class _Systems:
    """(matrix x transpose + ridge) dual = targets, for all rows or with some left out."""

    def __init__(self, matrix: sparse.csr_matrix, ridge: Floats) -> None:
        self.matrix = matrix
        self.transposed = matrix.T.tocsr()
        self._ridge = ridge[:, None]
        self._shift = np.float32(np.median(ridge) + _REST)
        chosen = np.linspace(0, matrix.shape[0] - 1, min(_LANDMARKS, matrix.shape[0])).astype(np.int64)
        landmarks = (matrix[chosen] @ self.transposed).toarray().T
        corner = landmarks[chosen] + np.float32(_JITTER) * np.eye(len(chosen), dtype=np.float32)
        lower = linalg.cholesky(corner, lower=True, check_finite=False)
        # near x near transpose resembles the Gram matrix (Nystroem's approximation).
        self._near: Floats = np.ascontiguousarray(
            linalg.solve_triangular(lower, landmarks.T, lower=True, check_finite=False).T
        )

    def solve(self, kept: Floats, targets: Floats, start: Floats, tolerance: float) -> Floats:
        """Return the duals (rows x systems * classes); `kept` (rows x systems) is 1 for the rows of each, else 0.

        Stops once the weights are within `tolerance`, as a share of their own length.
        """
        systems, classes = kept.shape[1], targets.shape[1]
        mask = np.repeat(kept, classes, axis=1)
        wanted, dual = (mask * np.tile(item, (1, systems)) for item in (targets, start))
        inverses = self._inverses(kept)

        def times(vectors: Floats) -> Floats:
            image: Floats = self.matrix @ (self.transposed @ vectors)
            return mask * image + self._ridge * vectors

        def nearly_solved(residual: Floats) -> Floats:
            inner = (self._near.T @ residual).reshape(-1, systems, classes)
            inner = np.concatenate([inverse @ inner[:, i] for i, inverse in enumerate(inverses)], axis=1)
            nearest: Floats = (residual - mask * (self._near @ inner)) / self._shift
            return nearest

        def energy(left: Floats, right: Floats) -> Floats:
            return np.asarray(np.einsum("ij,ij->j", left, right))

        limit = tolerance**2 * energy(wanted, nearly_solved(wanted))
        residual = wanted - times(dual)
        direction = preconditioned = nearly_solved(residual)
        size = energy(residual, preconditioned)
        for _ in range(_STEPS):
            if (size <= limit).all():
                break
            image = times(direction)
            along = size / energy(direction, image)
            dual += along * direction
            residual -= along * image
            preconditioned = nearly_solved(residual)
            before, size = size, energy(residual, preconditioned)
            direction = preconditioned + (size / before) * direction
        return dual

    def _inverses(self, kept: Floats) -> list[Floats]:
        """Return for each system the inverse of its small matrix in Woodbury's formula for the preconditioner."""
        whole = self._near.T @ self._near + self._shift * np.eye(self._near.shape[1], dtype=np.float32)
        found = []
        for column in kept.T:
            left_out = self._near[column == 0]
            found.append(linalg.inv(whole - left_out.T @ left_out, check_finite=False))
        return found
