"""p-values adjusted for looking at several effects at once.

Both methods step down and control the probability of any false rejection. Holm's holds whatever
the dependence; Romano and Wolf's uses the joint distribution and is never more cautious.
"""

from __future__ import annotations

import numpy as np

from exportimpact._typing import FloatArray
from exportimpact.numerics.bands import lattice_p_values

_COARSE = 1e-3
"""Below this the fixed points are too few to count, and Holm's bound is used."""


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
    bound = holm(p)
    order = [int(i) for i in np.argsort(p) if np.isfinite(p[i])]
    if len(order) < 2:
        return bound
    null = lattice_p_values(covariance[np.ix_(order, order)], df[order])
    # Column j: the smallest p-value among the j-th and all larger ones.
    smallest = np.minimum.accumulate(null[:, ::-1], axis=1)[:, ::-1]
    adjusted = np.maximum((smallest <= p[order]).mean(axis=0), p[order])
    adjusted = np.where(adjusted < _COARSE, bound[order], adjusted)
    out = np.full(p.size, np.nan)
    out[order] = np.minimum(np.maximum.accumulate(adjusted), 1.0)
    return out
