"""Fixed quasi-random points, the same on every machine, and normal probabilities computed on them.

A Richtmyer lattice with the tent transform (Genz & Bretz 2009, doi:10.1007/978-3-642-01689-9,
chapter 4): no seed, and an error that falls nearly as fast as the number of points grows.
"""

from __future__ import annotations

import numpy as np
import scipy

from exportimpact._typing import FloatArray

_IN_BOX = 4_096


def richtmyer(points: int, dimension: int) -> FloatArray:
    """Return the points, (points, dimension), strictly between 0 and 1."""
    k = np.arange(1, points + 1, dtype=float)[:, None]
    x = np.modf(k * np.sqrt(_primes(dimension))[None, :])[0]
    tent = np.abs(2 * x - 1)
    inside: FloatArray = np.clip(tent, 1e-12, 1 - 1e-12)
    return inside


def chance_in_box(
    mean: FloatArray, covariance: FloatArray, limit: FloatArray, points: int = _IN_BOX
) -> float:
    """Return the chance that every element of a normal vector is within +-`limit`.

    Parameters
    ----------
    mean, limit : (k,)
    covariance : (k, k)
        Positive definite.
    points : int

    References
    ----------
    Genz (1992), doi:10.1080/10618600.1992.10477010: one variable after the other is drawn inside
    its limits given those before it, and the draw is weighted by the chance of that. Variables that
    are least likely to be inside come first.

    Examples
    --------
    >>> round(chance_in_box(np.zeros(2), np.eye(2), np.array([1.96, 1.96])), 4)
    0.9025
    """
    if not mean.size:
        return 1.0
    scale = np.sqrt(np.diagonal(covariance))
    m, c = mean / scale, limit / scale
    order = np.argsort(_between(-c - m, c - m))
    m, c, last = m[order], c[order], m.size - 1
    root = np.linalg.cholesky((covariance / np.outer(scale, scale))[np.ix_(order, order)])
    u = richtmyer(points if last else 1, max(last, 1))
    z, weight = np.zeros((len(u), last)), np.ones(len(u))
    for j in range(last + 1):
        centre = m[j] + z[:, :j] @ root[j, :j]
        low, high = (-c[j] - centre) / root[j, j], (c[j] - centre) / root[j, j]
        # In the tail where small probabilities keep their digits.
        turned = low + high > 0
        low, high = np.where(turned, -high, low), np.where(turned, -low, high)
        inside = _between(low, high)
        weight *= inside
        if j < last:
            at = scipy.special.ndtr(low) + u[:, j] * inside
            drawn = np.clip(scipy.special.ndtri(np.clip(at, 1e-300, 1.0)), low, high)
            z[:, j] = np.where(turned, -drawn, drawn)
    return float(weight.mean())


def mean_in_box(
    mean: FloatArray, covariance: FloatArray, limit: FloatArray, chance: float
) -> FloatArray:
    """Return the mean of a normal vector given that every element is within +-`limit`, (k,).

    Parameters
    ----------
    mean, covariance, limit : as in `chance_in_box`
    chance : float
        What it returns.

    References
    ----------
    Tallis (1961), doi:10.1111/j.2517-6161.1961.tb00408.x: the mean moves by the covariance with
    each element times the density of that element at either limit with the others inside.
    """
    variance = np.diagonal(covariance)
    edge = np.empty(mean.size)
    for k in range(mean.size):
        others = np.arange(mean.size) != k
        slope = covariance[others, k] / variance[k]
        left = covariance[np.ix_(others, others)] - np.outer(slope, covariance[k, others])
        sides = [
            _density(at - mean[k], variance[k])
            * chance_in_box(mean[others] + slope * (at - mean[k]), left, limit[others])
            for at in (-limit[k], limit[k])
        ]
        edge[k] = sides[0] - sides[1]
    moved: FloatArray = mean + covariance @ edge / chance
    return moved


def _density(at: float, variance: float) -> float:
    return float(np.exp(-at * at / (2 * variance)) / np.sqrt(2 * np.pi * variance))


def _between(low: FloatArray, high: FloatArray) -> FloatArray:
    chance: FloatArray = np.maximum(scipy.special.ndtr(high) - scipy.special.ndtr(low), 0.0)
    return chance


def _primes(count: int) -> FloatArray:
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % p for p in found if p * p <= candidate):
            found.append(candidate)
        candidate += 1
    return np.asarray(found, dtype=float)
