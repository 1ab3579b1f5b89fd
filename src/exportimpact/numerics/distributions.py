"""Student and F reference distributions, and the noncentral F that power needs."""

from __future__ import annotations

import numpy as np
import scipy

from exportimpact._typing import FloatArray


def t_quantile(probability: float | FloatArray, df: FloatArray) -> FloatArray:
    """Return quantiles of Student's t; `df` of infinity is the normal."""
    p, d = np.broadcast_arrays(np.asarray(probability, dtype=float), np.asarray(df, dtype=float))
    finite = np.isfinite(d)
    out = np.where(np.isinf(d), scipy.special.ndtri(p), np.nan)
    out[finite] = scipy.special.stdtrit(d[finite], p[finite])
    return out


def t_two_sided(statistic: FloatArray, df: FloatArray) -> FloatArray:
    """Return two-sided p-values of t statistics."""
    t, d = np.broadcast_arrays(
        np.abs(np.asarray(statistic, dtype=float)), np.asarray(df, dtype=float)
    )
    finite = np.isfinite(d)
    out = np.where(np.isinf(d), 2 * scipy.special.ndtr(-t), np.nan)
    out[finite] = 2 * scipy.special.stdtr(d[finite], -t[finite])
    return out


def f_upper(statistic: float, df_numerator: float, df_denominator: float) -> float:
    """Return the upper tail of the F distribution."""
    return float(scipy.special.fdtrc(df_numerator, df_denominator, statistic))


def t_upper(statistic: FloatArray, df: FloatArray) -> FloatArray:
    """Return the upper tail of Student's t; `df` of infinity is the normal."""
    t, d = np.broadcast_arrays(np.asarray(statistic, dtype=float), np.asarray(df, dtype=float))
    finite = np.isfinite(d)
    out = np.where(np.isinf(d), scipy.special.ndtr(-t), np.nan)
    out[finite] = scipy.special.stdtr(d[finite], -t[finite])
    return out


def f_quantile(probability: float, df_numerator: float, df_denominator: float) -> float:
    """Return a quantile of F; with an infinite `df_denominator` of chi-squared over its freedom."""
    if np.isinf(df_denominator):
        return float(scipy.special.chdtri(df_numerator, 1 - probability)) / df_numerator
    return float(scipy.special.fdtri(df_numerator, df_denominator, probability))


def noncentral_f_lower(
    statistic: float, df_numerator: float, df_denominator: float, noncentrality: float
) -> float:
    """Return the lower tail of the noncentral F distribution.

    Parameters
    ----------
    statistic : float
    df_numerator, df_denominator : float
        With an infinite denominator the noncentral chi-squared over `df_numerator`.
    noncentrality : float
        Of the numerator's chi-squared: the sum of squared means.

    Notes
    -----
    A mixture of central distributions with Poisson weights, summed over all terms that matter.

    Examples
    --------
    >>> round(noncentral_f_lower(4.0, 1, np.inf, 0.0), 4)
    0.9545
    """
    half = noncentrality / 2
    reach = 40 + 12 * np.sqrt(half)
    j = np.arange(max(0.0, np.floor(half - reach)), np.ceil(half + reach))
    weight = np.exp(scipy.special.xlogy(j, half) - half - scipy.special.gammaln(j + 1))
    shape, x = df_numerator / 2 + j, df_numerator * statistic
    if np.isinf(df_denominator):
        return float(weight @ scipy.special.gammainc(shape, x / 2))
    share = x / (x + df_denominator)
    return float(weight @ scipy.special.betainc(shape, df_denominator / 2, share))
