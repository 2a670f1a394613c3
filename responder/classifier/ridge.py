"""The linear layer: ridge regression of the classes on a mail's vector, with exact out-of-fold weights.

Least squares has what logistic regression lacks: from one factorisation of the Gram matrix the weights without any
group of rows follow in closed form. So every example is judged by weights that never saw its writer, at the price of
a single fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from responder.classifier.vectors import Floats, Sparse

PENALTY = 0.1  # 0.03 to 1 is flat in leave-one-writer-out

_LONG_COLUMN = 300  # rows


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
    # The order of summation, and with it the last bits, would depend on the number of cores.
    with threadpool_limits(limits=1):
        return _fit(rows, width, targets, importance, folds, penalty)


def _fit(
    rows: Sparse, width: int, targets: Floats, importance: Floats, folds: Sequence[str], penalty: float
) -> Fit:
    matrix = sparse.csr_matrix(
        (rows.values, (rows.rows, rows.columns)), shape=(rows.height, width), dtype=np.float32
    )
    gram = _gram(matrix)
    gram[np.diag_indices(rows.height)] += penalty / importance
    inverse = _inverse(gram)
    dual = inverse @ targets
    without: dict[str, Floats] = {}
    names = np.array(folds)
    for fold in sorted(set(folds)):
        inside = np.flatnonzero(names == fold)
        reduced = dual - inverse[:, inside] @ linalg.solve(
            inverse[np.ix_(inside, inside)], dual[inside], assume_a="pos", check_finite=False
        )
        reduced[inside] = 0
        without[fold] = np.asarray(matrix.T @ reduced, dtype=np.float32)
    return Fit(np.asarray(matrix.T @ dual, dtype=np.float32), without)


def _gram(matrix: sparse.csr_matrix) -> npt.NDArray[np.float32]:
    """Return matrix x transpose. A sparse product costs the square of a column's length: long columns go dense."""
    common = np.bincount(matrix.indices, minlength=matrix.shape[1]) > _LONG_COLUMN
    dense, rest = matrix[:, common].toarray(), matrix[:, ~common]
    return np.asarray(dense @ dense.T + (rest @ rest.T).toarray(), dtype=np.float32)


def _inverse(gram: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    factor, info = linalg.lapack.spotrf(gram, lower=1, overwrite_a=1)
    assert info == 0, "the penalty makes the Gram matrix positive definite"
    inverse, info = linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
    assert info == 0
    lower = np.tril(inverse)
    return np.asarray(lower + np.tril(inverse, -1).T, dtype=np.float32)
