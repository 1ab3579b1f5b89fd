"""Weighted least squares and the logit, with what their influence functions need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from exportimpact._typing import BoolArray, FloatArray

_TOLERANCE = 1e-12
_MAX_ITERATIONS = 50


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """A weighted least-squares fit.

    Attributes
    ----------
    coefficients : (k,)
    bread : (k, k)
        Inverse of sum w x x'.
    """

    coefficients: FloatArray
    bread: FloatArray


@dataclass(frozen=True, eq=False)
class Regressors:
    """Weighted regressors, decomposed once for any number of outcomes.

    Attributes
    ----------
    root : (n,)
        Square roots of the weights.
    q : (n, k)
    inverse : (k, k)
        Of the triangular factor: with it, root X = q inverse^-1.
    """

    root: FloatArray
    q: FloatArray
    inverse: FloatArray

    @classmethod
    def of(cls, X: FloatArray, w: FloatArray) -> Regressors:
        """Return the QR decomposition of X, (n, k), with weights w, (n,)."""
        root = np.sqrt(w)
        q, r = np.linalg.qr(X * root[:, None])
        return cls(root, q, np.linalg.inv(r))

    @property
    def bread(self) -> FloatArray:
        """Inverse of sum w x x', (k, k)."""
        return self.inverse @ self.inverse.T

    def fit(self, y: FloatArray) -> LeastSquares:
        """Fit y, (n,)."""
        return LeastSquares(self.inverse @ (self.q.T @ (y * self.root)), self.bread)


@dataclass(frozen=True, eq=False)
class Logit:
    """A weighted logit fit.

    Attributes
    ----------
    coefficients : (k,)
    probability : (n,)
    bread : (k, k)
        Inverse of sum w p (1 - p) x x'.
    converged : bool
        False where the likelihood has no maximum (separation) or the steps ran out.
    """

    coefficients: FloatArray
    probability: FloatArray
    bread: FloatArray
    converged: bool


def least_squares(X: FloatArray, y: FloatArray, w: FloatArray) -> LeastSquares:
    """Fit y on X, (n, k), with weights w by a QR decomposition."""
    return Regressors.of(X, w).fit(y)


def logit(X: FloatArray, d: FloatArray, w: FloatArray) -> Logit:
    """Fit P(d = 1 | X) by Newton steps with halving, converged to 1e-12 in the score's metric."""
    scale = np.sqrt((w[:, None] * X**2).sum(axis=0) / w.sum())
    Z = X / scale
    beta = np.zeros(X.shape[1])
    loss = _loss(Z @ beta, d, w)
    bread, p, converged = np.eye(X.shape[1]), np.full(d.size, 0.5), False
    for _ in range(_MAX_ITERATIONS):
        p = scipy.special.expit(Z @ beta)
        score = Z.T @ (w * (d - p))
        information = (Z * (w * p * (1 - p))[:, None]).T @ Z
        try:
            bread = np.linalg.inv(information)
        except np.linalg.LinAlgError:
            break
        step = bread @ score
        if float(score @ step) < _TOLERANCE**2 * max(1.0, loss):
            converged = True
            break
        beta, loss, moved = _halved(Z, d, w, beta, step, loss)
        if not moved:
            converged = float(score @ step) < 1e-16 * max(1.0, loss)
            break
    separated = bool((p[d == 1] > 1 - 1e-9).all() or (p[d == 0] < 1e-9).all())
    return Logit(beta / scale, p, bread / np.outer(scale, scale), converged and not separated)


def _halved(
    Z: FloatArray, d: FloatArray, w: FloatArray, beta: FloatArray, step: FloatArray, loss: float
) -> tuple[FloatArray, float, bool]:
    factor = 1.0
    for _ in range(30):
        candidate = beta + factor * step
        new = _loss(Z @ candidate, d, w)
        if new <= loss * (1 + 1e-15):
            return candidate, new, True
        factor /= 2
    return beta, loss, False


def _loss(eta: FloatArray, d: FloatArray, w: FloatArray) -> float:
    return float(w @ (np.logaddexp(0.0, eta) - d * eta))


def dependent_columns(X: FloatArray, tolerance: float = 1e-9) -> BoolArray:
    """Return which columns of X, (n, k), are linear combinations of the columns before them."""
    X = triangle(X)
    norm = np.sqrt((X**2).sum(axis=0))
    Z = X / np.where(norm > 0, norm, 1.0)
    dependent: BoolArray = norm <= 0
    basis = np.zeros((X.shape[0], 0))
    for j in range(X.shape[1]):
        if dependent[j]:
            continue
        rest = Z[:, j] - basis @ (basis.T @ Z[:, j])
        rest -= basis @ (basis.T @ rest)
        length = float(np.sqrt(rest @ rest))
        if length <= tolerance:
            dependent[j] = True
        else:
            basis = np.column_stack([basis, rest / length])
    return dependent


def triangle(X: FloatArray) -> FloatArray:
    """Return a matrix with at most k rows whose columns depend on each other as those of X do."""
    if len(X) <= X.shape[1]:
        return X
    return np.asarray(np.linalg.qr(X, mode="r"), dtype=float)


def separating_column(X: FloatArray, d: FloatArray) -> int:
    """Return the column of X, (n, k), whose values overlap least between the two sides of d.

    The first column is taken to be the constant.
    """
    overlap = []
    for x in X.T[1:]:
        low, high = max(x[d == 1].min(), x[d == 0].min()), min(x[d == 1].max(), x[d == 0].max())
        overlap.append(float(((x >= low) & (x <= high)).mean()) if low <= high else -1.0)
    return 1 + int(np.argmin(overlap))
