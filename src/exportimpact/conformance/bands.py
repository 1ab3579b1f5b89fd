"""Acceptance bands, fixed before any draw from the number of draws alone."""

from __future__ import annotations

import math

import numpy as np

LEVEL = 0.95
SIZE = 0.05
CONFIDENCE = 0.999
"""Bands hold with this probability when the estimator is right."""

Z = 3.29
"""Normal quantile of `CONFIDENCE`, two-sided."""

NORMAL = 1.959963984540054
"""Normal quantile of `LEVEL`, two-sided."""

_LARGE = 1000.0
"""Degrees of freedom above which t is taken for normal."""

BIAS_IN_SD = 0.10
"""A bias of a tenth of the standard deviation costs at most 0.3 points of coverage."""

FOUND = 0.80
"""Share of draws in which a failed assumption must be seen."""

FALSE_ALARM = 0.10
"""Share of draws in which an assumption that holds may be called into question."""


def binomial(share: float, draws: int) -> tuple[float, float]:
    """Return the exact two-sided 99.9 % band for an observed share.

    Examples
    --------
    >>> low, high = binomial(0.95, 2000)
    >>> round(low, 4), round(high, 4)
    (0.9335, 0.9655)
    """
    from scipy.stats import binom

    tail = (1 - CONFIDENCE) / 2
    low, high = (float(binom.ppf(q, draws, share)) for q in (tail, 1 - tail))
    return low / draws, high / draws


def least(share: float, draws: int) -> float:
    """Return the smallest share that is compatible with `share`, one-sided at 99.9 %."""
    from scipy.stats import binom

    return float(binom.ppf(1 - CONFIDENCE, draws, share)) / draws


def most(share: float, draws: int) -> float:
    """Return the largest share that is compatible with `share`, one-sided at 99.9 %."""
    from scipy.stats import binom

    return float(binom.ppf(CONFIDENCE, draws, share)) / draws


def bias(sd: float, draws: int) -> float:
    """Return the largest bias that is accepted: 0.10 SD plus three Monte Carlo errors."""
    return BIAS_IN_SD * sd + 3 * sd / math.sqrt(draws)


def ratio(draws: int) -> float:
    """Return how far the ratio of standard error to standard deviation may be from 1."""
    return Z / math.sqrt(2 * draws)


def power(effect: float, sd: float, critical: float = NORMAL) -> float:
    """Return the power against `effect` of a test whose standard error is `sd` on average.

    With a `critical` value above the normal one it is that of the t test which has this value: the
    noncentral t with its degrees of freedom (Johnson, Kotz & Balakrishnan, 1995, chapter 31).

    Examples
    --------
    >>> round(power(2.8, 1.0), 2), round(power(2.8, 1.0, critical=2.571), 2)
    (0.8, 0.61)
    """
    from scipy.optimize import brentq
    from scipy.special import ndtr
    from scipy.stats import nct, t

    shift, tail = abs(effect) / sd, (1 + LEVEL) / 2
    if critical < t.ppf(tail, _LARGE):
        return float(ndtr(shift - NORMAL) + ndtr(-shift - NORMAL))
    critical = min(critical, float(t.ppf(tail, 1.0)))  # no t reference is wider
    df = brentq(lambda nu: t.ppf(tail, nu) - critical, 0.99, _LARGE)
    return float(nct.sf(critical, df, shift) + nct.cdf(-critical, df, shift))


def std_error_ratio(std_error: np.ndarray, deviation: np.ndarray) -> float:
    """Return the root mean squared standard error over the standard deviation of the errors made.

    Parameters
    ----------
    std_error, deviation : (n_draws,)
        Reported errors, and estimates less the truth.
    """
    return float(np.sqrt(np.mean(std_error**2)) / np.std(deviation, ddof=1))
