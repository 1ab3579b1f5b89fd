"""Entropy balancing: weights of comparison firms that reproduce the supported firms' moments.

Of all weights whose moments agree, those closest to the base weights in Kullback-Leibler divergence
are w_j proportional to s_j exp(lambda'c_j). The dual is convex, smooth and of the dimension of the
moments, so that Newton's method needs one pass over the firms for each step.

References
----------
Hainmueller (2012), doi:10.1093/pan/mpr025; Zhao & Percival (2017), doi:10.1515/jci-2016-0010.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exportimpact._typing import FloatArray

_TOLERANCE = 1e-10
_MAX_ITERATIONS = 200
_LARGEST = 1e6


@dataclass(frozen=True, eq=False)
class Balanced:
    """Balancing weights.

    Attributes
    ----------
    weights : (n,)
        Sum to 1.
    curvature : (k, k)
        Weighted covariance of the moments at the solution.
    imbalance : float
        Largest difference of a moment that is left, in units of its spread.
    converged : bool
        False where no weights reproduce the moments.
    """

    weights: FloatArray
    curvature: FloatArray
    imbalance: float
    converged: bool


def entropy_balance(moments: FloatArray, target: FloatArray, base: FloatArray) -> Balanced:
    """Return the weights closest to `base` under which the mean of `moments` is `target`.

    Parameters
    ----------
    moments : (n, k)
        Columns must be linearly independent of one another and of a constant.
    target : (k,)
    base : (n,)
        Base weights, positive.
    """
    spread = moments.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    centred = (moments - target) / spread
    start = base / base.sum()
    dual = np.zeros(moments.shape[1])
    value, weights = _dual(centred, dual, start)
    for _ in range(_MAX_ITERATIONS):
        gradient = weights @ centred
        if np.abs(gradient).max(initial=0.0) < _TOLERANCE:
            break
        curvature = (centred * weights[:, None]).T @ centred - np.outer(gradient, gradient)
        step = _solved(curvature, gradient)
        dual, value, weights, moved = _halved(centred, start, (dual, value, weights), step)
        if not moved or np.abs(dual).max() > _LARGEST:
            break
    mean = weights @ centred
    curvature = (centred * weights[:, None]).T @ centred - np.outer(mean, mean)
    imbalance = float(np.abs(mean).max(initial=0.0))
    return Balanced(weights, curvature * np.outer(spread, spread), imbalance, imbalance < 1e-6)


def _dual(centred: FloatArray, dual: FloatArray, start: FloatArray) -> tuple[float, FloatArray]:
    """Return log sum s exp(c'lambda) and the weights that belong to it."""
    eta = centred @ dual
    top = float(eta.max())
    weights = start * np.exp(eta - top)
    total = float(weights.sum())
    return top + float(np.log(total)), weights / total


def _solved(curvature: FloatArray, gradient: FloatArray) -> FloatArray:
    try:
        return np.asarray(np.linalg.solve(curvature, gradient), dtype=np.float64)
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(curvature, gradient, rcond=None)[0], dtype=np.float64)


def _halved(
    centred: FloatArray,
    start: FloatArray,
    at: tuple[FloatArray, float, FloatArray],
    step: FloatArray,
) -> tuple[FloatArray, float, FloatArray, bool]:
    """Return the first of the halved steps down that lowers the dual; False where none does."""
    dual, value, weights = at
    factor = 1.0
    for _ in range(40):
        candidate = dual - factor * step
        new, made = _dual(centred, candidate, start)
        if np.isfinite(new) and new <= value + 1e-14 * abs(value):
            return candidate, new, made, True
        factor /= 2
    return dual, value, weights, False
