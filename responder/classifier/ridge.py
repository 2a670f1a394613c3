"""The linear layer: ridge regression of the classes on a mail's vector, with exact out-of-fold weights.

Least squares has what logistic regression lacks: from one factorisation of the Gram matrix the weights without any
group of rows follow in closed form. So every example is judged by weights that never saw its writer, at the price of
a single fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse

from responder.classifier.vectors import Floats, Sparse

PENALTY = 0.1  # 0.03 to 1 is flat in leave-one-writer-out

# A sparse product costs the square of a column's length: longer columns are multiplied dense.
_LONG_COLUMN = 250  # rows
_BLOCK = 512  # rows of the sparse product made at once; what is above the diagonal is never made


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
    """Fit `targets` (rows x classes, +1 and -1) with a weight per row; `folds` names the fold of each row.

    With K the Gram matrix plus penalty and L its Cholesky factor, the dual weights are K⁻¹ targets. Those without
    fold F follow by taking K⁻¹[:, F] (K⁻¹[F, F])⁻¹ dual[F] off them. Only L⁻¹ is ever made, a triangle, not K⁻¹.
    """
    order = np.argsort(np.array(folds), kind="stable")  # each fold in one piece
    matrix, names = matrix_of(rows, width)[order], np.array(folds)[order]
    gram = _gram(matrix)
    gram[np.diag_indices(rows.height)] += penalty / importance[order]
    factor = _inverse_factor(gram)
    dual = factor.T @ (factor @ targets[order])
    without: dict[str, Floats] = {}
    for fold in sorted(set(folds)):
        start, stop = np.searchsorted(names, fold), np.searchsorted(names, fold, side="right")
        part = factor[start:, start:stop]
        own = linalg.solve(part.T @ part, dual[start:stop], assume_a="pos", check_finite=False)
        reduced = dual - factor[start:].T @ (part @ own)
        reduced[start:stop] = 0
        without[fold] = np.asarray(matrix.T @ reduced, dtype=np.float32)
    return Fit(np.asarray(matrix.T @ dual, dtype=np.float32), without)


def matrix_of(rows: Sparse, width: int) -> sparse.csr_matrix:
    """Return `rows` as a SciPy matrix of `width` columns."""
    ends = np.searchsorted(rows.rows, np.arange(rows.height + 1))
    return sparse.csr_matrix((rows.values, rows.columns, ends), shape=(rows.height, width))


def product(left: sparse.csr_matrix, right: sparse.csr_matrix) -> Floats:
    """Return left x right transpose."""
    common = np.bincount(right.indices, minlength=right.shape[1]) > _LONG_COLUMN
    dense = left[:, common].toarray() @ right[:, common].toarray().T
    dense += (left[:, ~common] @ right[:, ~common].T).toarray()
    return np.asarray(dense, dtype=np.float32)


def _gram(matrix: sparse.csr_matrix) -> Floats:
    """Return matrix x transpose, the lower triangle only, in Fortran order."""
    common = np.bincount(matrix.indices, minlength=matrix.shape[1]) > _LONG_COLUMN
    dense, rest = matrix[:, common].toarray(), matrix[:, ~common]
    gram: Floats = linalg.blas.ssyrk(1.0, dense.T, trans=1, lower=1)
    for start in range(0, matrix.shape[0], _BLOCK):
        block = slice(start, start + _BLOCK)
        gram[start:, block] += (rest[start:] @ rest[block].T).toarray(order="F")
    return gram


def _inverse_factor(gram: Floats) -> Floats:
    """Return the inverse of the Cholesky factor of `gram` (lower triangle; overwritten)."""
    factor, info = linalg.lapack.spotrf(gram, lower=1, overwrite_a=1, clean=1)
    assert info == 0, "the penalty makes the Gram matrix positive definite"
    inverse, info = linalg.lapack.strtri(factor, lower=1, overwrite_c=1)
    assert info == 0
    return np.asarray(inverse, dtype=np.float32)
