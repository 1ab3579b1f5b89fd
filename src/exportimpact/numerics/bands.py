"""Simultaneous confidence bands: sup-t from an estimated covariance, and the multiplier bootstrap.

The sup-t band (Montiel Olea & Plagborg-Moller 2019, doi:10.1002/jae.2656) uses a multivariate t on
fixed quasi-random points, so that it has no seed and its cost does not grow with the number of
firms.
"""

from __future__ import annotations

import numpy as np
import scipy

from exportimpact._typing import FloatArray
from exportimpact.numerics.distributions import t_quantile
from exportimpact.numerics.lattice import richtmyer

_IN_UNION = 2_048


def sup_t(covariance: FloatArray, df: FloatArray, level: float) -> FloatArray:
    """Return critical values, one per row, that hold for all rows at once.

    Parameters
    ----------
    covariance : (k, k)
    df : (k,)
        Degrees of freedom of each row. Rows share one scale draw; each is compared on the scale of
        its own p-value, so that rows with few degrees of freedom get wider bands.
    level : float
        Such as 0.95.

    Returns
    -------
    (k,) critical values of t, never below the pointwise ones
    """
    pointwise = t_quantile(0.5 + level / 2, df)
    scale = np.sqrt(np.diagonal(covariance))
    live = np.flatnonzero((scale > 0) & ~np.isnan(df))
    if live.size < 2:
        return pointwise
    alpha, part = 1 - level, covariance[np.ix_(live, live)]
    # One p-value for all rows: Bonferroni's at least, that of a single row at most.
    low, high = np.log(alpha / live.size), np.log(alpha)
    excess = _Excess(part, df[live], alpha)
    if excess(low) >= 0:
        common = low
    elif excess(high) <= 0:
        common = high
    else:
        common = scipy.optimize.brentq(excess, low, high, xtol=1e-6)
    out = pointwise.copy()
    out[live] = np.maximum(-t_quantile(np.exp(common) / 2, df[live]), pointwise[live])
    return out


class _Excess:
    """By how much the chance that some row is beyond a p-value is above `alpha`."""

    def __init__(self, covariance: FloatArray, df: FloatArray, alpha: float) -> None:
        self._beyond, self._alpha = Beyond(covariance, df), alpha

    def __call__(self, log_p: float) -> float:
        return self._beyond.chance(float(np.exp(log_p))) - self._alpha


class Beyond:
    """Chances that the smallest two-sided p-value of a multivariate t is below a value.

    Parameters
    ----------
    covariance : (k, k)
        With a positive diagonal; it may be singular.
    df : (k,)
        Rows share one scale draw, each with its own degrees of freedom.

    References
    ----------
    The chance of a union by drawing inside one event at a time and dividing by how many events hold
    there (Owen, Maximov & Chertkov 2019, doi:10.1214/18-EJS1527), on fixed points: its error is
    that of the overlap of the events alone, so that small chances keep their digits.
    """

    def __init__(self, covariance: FloatArray, df: FloatArray) -> None:
        scale = np.sqrt(np.diagonal(covariance))
        self._root = _root(covariance / np.outer(scale, scale))
        u = richtmyer(_IN_UNION, self._root.shape[1] + 2)
        self._df, self._tail = df, u[:, 1]
        kinds, which = np.unique(df, return_inverse=True)
        scales = [_chi_scale(u[:, 0], kinds[j : j + 1]) for j in range(kinds.size)]
        self._scale = np.hstack(scales)[:, which]
        self._drawn = scipy.special.ndtri(u[:, 2:]) @ self._root.T

    def chance(self, p: float) -> float:
        """Return the chance that some p-value is at most `p`, at most k times it."""
        k = self._df.size
        if not p > 0:
            return 0.0
        limit = -t_quantile(p / 2, self._df) * self._scale
        total = 0.0
        for j in range(k):
            below = scipy.special.ndtr(-limit[:, j])
            if not below.mean() > 0:
                total += p
                continue
            at = -scipy.special.ndtri(self._tail * below) - self._drawn[:, j]
            moved = np.abs(self._drawn + np.outer(at, self._root @ self._root[j])) >= limit
            moved[:, j] = True
            total += p * float((below / moved.sum(axis=1)).mean() / below.mean())
        return min(total, 1.0)


def multiplier_sup_t(
    influence: FloatArray, std_error: FloatArray, level: float, draws: int, rng: np.random.Generator
) -> FloatArray:
    """Return one critical value by the multiplier bootstrap with Mammen's two-point weights.

    Parameters
    ----------
    influence : (n, k)
        Influence functions, or their cluster sums.
    std_error : (k,)
        Errors that the draws are studentised with, on the scale of ``sum(psi) / n_firms``.
    draws : int

    References
    ----------
    Callaway & Sant'Anna (2021), doi:10.1016/j.jeconom.2020.12.001, Algorithm 1.
    """
    golden = (1 + np.sqrt(5)) / 2
    low, high, p_low = 1 - golden, golden, golden / np.sqrt(5)
    largest = np.empty(draws)
    batch = max(1, 4_000_000 // max(1, influence.shape[0]))
    for start in range(0, draws, batch):
        size = min(batch, draws - start)
        v = np.where(rng.random((size, influence.shape[0])) < p_low, low, high)
        largest[start : start + size] = np.abs(v @ influence / std_error).max(axis=1)
    return np.full(influence.shape[1], np.quantile(largest, level))


def _root(correlation: FloatArray) -> FloatArray:
    """Return A with A A' = correlation, leading directions first, rank-deficient allowed."""
    values, vectors = np.linalg.eigh(correlation)
    order = np.argsort(values)[::-1]
    keep = order[values[order] > 1e-12 * values[order[0]]]
    root: FloatArray = vectors[:, keep] * np.sqrt(values[keep])
    return root


def _chi_scale(u: FloatArray, df: FloatArray) -> FloatArray:
    """Return sqrt(chi2 / df) at probabilities `u`, (points, 1); 1 for infinite df."""
    if np.isinf(df[0]) or df[0] > 1e7:
        return np.ones((u.size, 1))
    chi2 = 2 * scipy.special.gammaincinv(df[0] / 2, u)
    scale: FloatArray = np.sqrt(chi2 / df[0])[:, None]
    return scale
