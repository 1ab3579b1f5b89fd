"""What a test of trends before support can see, and what it does to the effects that pass it.

Estimates b before support are normal around the violation delta with covariance V. A test that
finds nothing says little where delta is small beside V, and estimates reported because it found
nothing are no longer centred where they were (Roth 2022, doi:10.1257/aeri.20210236). Two tests:

- each: no |b_k| is above its critical value times its error, as a reader of an event study looks;
- joint: b' V^-1 b (with V estimated: Hotelling's F) is below its critical value.

Equivalence turns the burden of proof round: that no |delta_k| reaches a stated margin has to be
shown (Dette & Schumann 2024, doi:10.1080/07350015.2024.2308121).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy

from exportimpact._typing import FloatArray
from exportimpact.numerics.distributions import (
    f_quantile,
    noncentral_f_lower,
    t_quantile,
    t_upper,
)
from exportimpact.numerics.lattice import chance_in_box, mean_in_box

_TINY = 1e-12
"""Chance of a quiet test below which nothing is said of what a quiet test does."""


@dataclass(frozen=True, eq=False, slots=True)
class Quiet:
    """What a test that finds nothing implies under one violation.

    Attributes
    ----------
    chance : float
        That the test finds nothing; one less its power.
    mean : (k,)
        Expectation of the estimates before support, given that it finds nothing.
    """

    chance: float
    mean: FloatArray


def quiet_each(delta: FloatArray, covariance: FloatArray, critical: FloatArray) -> Quiet:
    """Return what follows where no estimate is significant by itself.

    Parameters
    ----------
    delta : (k,)
        The violation.
    covariance : (k, k)
    critical : (k,)
        Critical value of each t statistic.

    References
    ----------
    Roth (2022), doi:10.1257/aeri.20210236, section II; rectangle probabilities after Genz (1992),
    doi:10.1080/10618600.1992.10477010, on fixed points; means after Tallis (1961),
    doi:10.1111/j.2517-6161.1961.tb00408.x.
    """
    limit = critical * np.sqrt(np.diagonal(covariance))
    chance = chance_in_box(delta, covariance, limit)
    if not chance > _TINY:
        return Quiet(chance, np.full(delta.size, np.nan))
    return Quiet(chance, mean_in_box(delta, covariance, limit, chance))


def quiet_joint(
    delta: FloatArray, covariance: FloatArray, df: float = np.inf, level: float = 0.05
) -> Quiet:
    """Return what follows where the joint test is not significant.

    Parameters
    ----------
    delta : (k,)
    covariance : (k, k)
    df : float
        Denominator degrees of freedom of the F test; infinite where the covariance is known.
    level : float

    Notes
    -----
    With T = b' S^-1 b, E[b 1(T <= q)] = delta times the chance that the same statistic with two
    more degrees of freedom in the numerator is below q (Stein's identity for the noncentral
    chi-squared distribution; S enters through a factor that is independent of b), so that the mean
    is delta times a ratio of two noncentral F probabilities.
    """
    k = delta.size
    return _quiet_joint(delta, noncentrality(delta, covariance), k, df, level)


def _quiet_joint(delta: FloatArray, ncp: float, k: int, df: float, level: float) -> Quiet:
    f = f_quantile(1 - level, k, df)
    chance = noncentral_f_lower(f, k, df, ncp)
    if not chance > _TINY:
        return Quiet(chance, np.full(k, np.nan))
    return Quiet(chance, delta * noncentral_f_lower(f * k / (k + 2), k + 2, df, ncp) / chance)


def noncentrality(delta: FloatArray, covariance: FloatArray) -> float:
    """Return delta' V^-1 delta."""
    scale = np.sqrt(np.diagonal(covariance))
    z = delta / scale
    return float(z @ np.linalg.solve(covariance / np.outer(scale, scale), z))


def slope_each(
    power: float, shape: FloatArray, covariance: FloatArray, critical: FloatArray
) -> float:
    """Return the slope at which ``slope * shape`` is found with `power` by looking at each.

    Parameters
    ----------
    power : float
        Above the chance that the test finds something where nothing is.
    shape : (k,)
        The violation for a slope of one.
    covariance, critical : as in `quiet_each`

    Raises
    ------
    ValueError
        Where the test finds something that often without a violation.
    """
    error = np.sqrt(np.diagonal(covariance))
    return _root(
        lambda slope: 1 - chance_in_box(slope * shape, covariance, critical * error) - power,
        start=1 / float(np.max(np.abs(shape) / error)),
    )


def slope_joint(
    power: float,
    shape: FloatArray,
    covariance: FloatArray,
    df: float = np.inf,
    level: float = 0.05,
) -> float:
    """Return the slope at which ``slope * shape`` is found with `power` by the joint test.

    Parameters and errors as in `slope_each` and `quiet_joint`.

    Examples
    --------
    >>> round(slope_joint(0.8, np.array([1.0]), np.eye(1)), 3)
    2.802
    """
    k = shape.size
    f = f_quantile(1 - level, k, df)
    # On the scale of the square root, so that one coefficient has the z value as its unit.
    size = _root(lambda z: 1 - noncentral_f_lower(f, k, df, z * z) - power, 1.0)
    return size / float(np.sqrt(noncentrality(shape, covariance)))


def shift_if_quiet(
    delta: FloatArray, quiet: Quiet, covariance: FloatArray, cross: FloatArray
) -> FloatArray:
    """Return how far estimates that move with b are off, further, because the test found nothing.

    Parameters
    ----------
    delta : (k,)
    quiet : Quiet
    covariance : (k, k) of b
    cross : (m, k)
        Covariance of the estimates with b.

    Returns
    -------
    (m,) cross V^-1 (E[b | nothing found] - delta)
    """
    scale = np.sqrt(np.diagonal(covariance))
    moved = np.linalg.solve(covariance / np.outer(scale, scale), (quiet.mean - delta) / scale)
    shift: FloatArray = (cross / scale) @ moved
    return shift


def likelihood_ratio(b: FloatArray, delta: FloatArray, covariance: FloatArray) -> float:
    """Return how likely the estimates b are under `delta`, against under no violation."""
    apart = noncentrality(b, covariance) - noncentrality(b - delta, covariance)
    return float(np.exp(apart / 2))


@dataclass(frozen=True, eq=False, slots=True)
class Equivalence:
    """Whether estimates are shown to be within a margin of zero.

    Attributes
    ----------
    p_value : float
        Of the null that some |delta_k| is at least the margin: the largest of `p_values`.
    p_values : (k,)
        Of each estimate by itself.
    smallest_margin : float
        The least margin that the same test would accept.
    """

    p_value: float
    p_values: FloatArray
    smallest_margin: float


def equivalence(
    b: FloatArray, std_error: FloatArray, df: FloatArray, margin: float, level: float = 0.05
) -> Equivalence:
    """Test that every |delta_k| is below `margin`, by two one-sided t tests of each.

    Parameters
    ----------
    b, std_error, df : (k,)
    margin : float
        In the unit of `b`.
    level : float
        For `smallest_margin`.

    References
    ----------
    Two one-sided tests: Schuirmann (1987), doi:10.1007/BF01068419. All of them at the level of the
    whole, because the null is a union: Berger & Hsu (1996), doi:10.1214/ss/1032280304. It is the
    first test of Dette & Schumann (2024), doi:10.1080/07350015.2024.2308121, with Student's t and
    two tests in place of their quantile of the folded normal, which it reaches as errors shrink.

    Examples
    --------
    >>> found = equivalence(np.array([0.1, -0.2]), np.ones(2) / 10, np.full(2, np.inf), 0.5)
    >>> round(found.p_value, 5), round(found.smallest_margin, 4)
    (0.00135, 0.3645)
    """
    p_values = t_upper((margin - np.abs(b)) / std_error, df)
    least = np.abs(b) + t_quantile(1 - level, df) * std_error
    return Equivalence(float(p_values.max()), p_values, float(least.max()))


def _root(excess: Callable[[float], float], start: float) -> float:
    """Return the positive root of an increasing function."""
    if excess(0.0) >= 0:
        raise ValueError("The test finds something that often where nothing is.")
    high = start
    while excess(high) < 0:
        high *= 2
    root: float = scipy.optimize.brentq(excess, 0.0, high, xtol=1e-6 * high, rtol=1e-6)
    return root
