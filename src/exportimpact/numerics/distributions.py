"""Student and F reference distributions."""

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
