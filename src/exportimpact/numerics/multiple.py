"""p-values adjusted for looking at several effects at once.

Holm's and Romano and Wolf's step down and control the probability of any false rejection. Holm's
holds whatever the dependence; Romano and Wolf's uses the joint distribution and is never more
cautious. Benjamini and Hochberg's controls the expected share of false rejections.
"""

from __future__ import annotations

import numpy as np

from exportimpact._typing import FloatArray
from exportimpact.numerics.bands import Beyond


def holm(p: FloatArray) -> FloatArray:
    """Return Holm's adjusted p-values, (k,); missing ones stay missing and count for nothing.

    References
    ----------
    Holm (1979), https://www.jstor.org/stable/4615733

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03])).round(6).tolist()
    [0.03, 0.06, 0.06]
    """
    out = np.full(p.size, np.nan)
    order = [int(i) for i in np.argsort(p) if np.isfinite(p[i])]
    factors = np.arange(len(order), 0, -1)
    out[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return out


def benjamini_hochberg(p: FloatArray) -> FloatArray:
    """Return Benjamini and Hochberg's adjusted p-values, (k,); missing ones stay missing.

    References
    ----------
    Benjamini & Hochberg (1995), doi:10.1111/j.2517-6161.1995.tb02031.x

    Examples
    --------
    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03])).round(6).tolist()
    [0.03, 0.04, 0.04]
    """
    out = np.full(p.size, np.nan)
    order = [int(i) for i in np.argsort(p) if np.isfinite(p[i])]
    factors = len(order) / np.arange(1, len(order) + 1)
    smallest = np.minimum.accumulate((p[order] * factors)[::-1])[::-1]
    out[order] = np.minimum(smallest, 1.0)
    return out


def step_down(p: FloatArray, covariance: FloatArray, df: FloatArray) -> FloatArray:
    """Return adjusted p-values from the joint multivariate t of the estimates, (k,).

    The smallest p-value is held against the smallest of all, the next against the smallest of those
    that are left, and so on.

    Parameters
    ----------
    p : (k,)
        Two-sided, missing where there is none.
    covariance : (k, k)
    df : (k,)

    References
    ----------
    Romano & Wolf (2005), doi:10.1111/j.1468-0262.2005.00615.x, with the distribution of the
    smallest p-value from the multivariate t instead of resampling, as in Hothorn, Bretz & Westfall
    (2008), doi:10.1002/bimj.200810425
    """
    out = np.full(p.size, np.nan)
    order = np.array([i for i in np.argsort(p) if np.isfinite(p[i])], dtype=np.int64)
    largest = 0.0
    for step, i in enumerate(order):
        left = order[step:]
        chance = float(p[i])
        if left.size > 1:
            chance = max(chance, Beyond(covariance[np.ix_(left, left)], df[left]).chance(chance))
        out[i] = largest = max(largest, chance)
    return out
