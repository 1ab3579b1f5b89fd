"""Simultaneous confidence bands: sup-t from an estimated covariance, and the multiplier bootstrap.

The sup-t band (Montiel Olea & Plagborg-Moller 2019, doi:10.1002/jae.2656) uses a multivariate t on
fixed quasi-random points, so that it has no seed and its cost does not grow with the number of
firms.
"""

from __future__ import annotations

import numpy as np
import scipy

from exportimpact._typing import FloatArray
from exportimpact.numerics.distributions import t_quantile, t_two_sided
from exportimpact.numerics.lattice import POINTS, richtmyer


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
    rows = np.flatnonzero((scale > 0) & np.isfinite(df))
    if rows.size + np.isinf(df).sum() < 2:
        return pointwise
    live = np.flatnonzero((scale > 0) & ~np.isnan(df))
    correlation = covariance[np.ix_(live, live)] / np.outer(scale[live], scale[live])
    root = _root(correlation)
    u = richtmyer(POINTS, root.shape[1] + 1)
    z = scipy.special.ndtri(u[:, 1:]) @ root.T
    freedom = df[live]
    if np.ptp(np.where(np.isinf(freedom), 1e12, freedom)) == 0:
        largest = np.abs(z / _chi_scale(u[:, 0], freedom[:1])).max(axis=1)
        critical = np.full(live.size, np.quantile(largest, level))
    else:
        p = np.stack(
            [
                t_two_sided(z[:, j] / _chi_scale(u[:, 0], freedom[j : j + 1])[:, 0], freedom[j])
                for j in range(live.size)
            ]
        ).min(axis=0)
        critical = t_quantile(1 - np.quantile(p, 1 - level) / 2, freedom)
    out = pointwise.copy()
    out[live] = np.maximum(critical, pointwise[live])
    return out


def lattice_p_values(covariance: FloatArray, df: FloatArray) -> FloatArray:
    """Return two-sided p-values of a multivariate t under its null, on the fixed points.

    Parameters
    ----------
    covariance : (k, k)
        With a positive diagonal; it may be singular.
    df : (k,)

    Returns
    -------
    (n_points, k)
    """
    scale = np.sqrt(np.diagonal(covariance))
    root = _root(covariance / np.outer(scale, scale))
    u = richtmyer(POINTS, root.shape[1] + 1)
    z = scipy.special.ndtri(u[:, 1:]) @ root.T
    columns = [
        t_two_sided(z[:, j] / _chi_scale(u[:, 0], df[j : j + 1])[:, 0], df[j])
        for j in range(df.size)
    ]
    return np.stack(columns, axis=1)


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
