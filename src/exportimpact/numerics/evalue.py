"""E-values: how strong a confounder of a binary outcome would have to be.

The E-value is the smallest risk ratio with which an unmeasured confounder would have to be related
both to treatment and to outcome, given the covariates, to account for a risk ratio in full. Nothing
is assumed about the confounder's distribution. It is about risks (or rates of a rare outcome): a
ratio of mean exports has no E-value.

References
----------
VanderWeele & Ding (2017), doi:10.7326/M16-2607; for risk differences Ding & VanderWeele (2016),
doi:10.1097/EDE.0000000000000457.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from exportimpact._typing import FloatArray
from exportimpact.numerics.checks import require


@dataclass(frozen=True)
class EValues:
    """E-values of an estimate and of its interval.

    Attributes
    ----------
    estimate : float
        1 when the estimate is the null; infinite when no confounder could account for it.
    limit : float
        Of the confidence limit closer to the null; 1 when the interval holds the null.
    """

    estimate: float
    limit: float


def e_value(ratio: FloatArray | float) -> FloatArray:
    """Return E-values of risk ratios, on either side of 1.

    Parameters
    ----------
    ratio : array of any shape
        Positive.

    Returns
    -------
    array of the same shape, at least 1

    Raises
    ------
    InputError
        EI-N01: a ratio that is not positive.
    """
    r = np.asarray(ratio, dtype=float)
    require(bool((r > 0).all()), "A risk ratio is positive, and so is its E-value.")
    r = np.maximum(r, 1 / r)
    return np.asarray(r + np.sqrt(r * (r - 1)))


def risk_ratio_e_values(
    estimate: float, lower: float, upper: float, *, null: float = 1.0
) -> EValues:
    """Return the E-values of a risk ratio and of its confidence limit closer to the null.

    Parameters
    ----------
    estimate, lower, upper : float
    null : float
        The ratio that confounding would have to explain the estimate down, or up, to.

    Returns
    -------
    EValues

    Raises
    ------
    InputError
        EI-N01: a ratio that is not positive, or an estimate outside its interval.
    """
    require(
        0 < lower <= estimate <= upper and null > 0,
        f"Risk ratios are positive and the estimate {estimate} lies in its interval "
        f"({lower}, {upper}).",
    )
    if lower <= null <= upper:
        return EValues(float(e_value(estimate / null)), 1.0)
    limit = lower if lower > null else upper
    return EValues(float(e_value(estimate / null)), float(e_value(limit / null)))


def difference_e_values(difference: float, lower: float, upper: float, baseline: float) -> EValues:
    """Return the E-values of a risk difference, through the ratio to a counterfactual risk.

    Parameters
    ----------
    difference, lower, upper : float
        In shares, not percentage points.
    baseline : float
        Risk of the treated without treatment, taken as known: its sampling error is left out.

    Returns
    -------
    EValues
        Infinite where the limit means that nobody would be left at risk.

    Raises
    ------
    InputError
        EI-N01: a baseline outside 0 to 1, a difference that leads outside it or is outside its own
        interval.
    """
    require(0 < baseline < 1, f"The baseline risk is between 0 and 1, not {baseline}.")
    require(
        lower <= difference <= upper and 0 <= baseline + difference <= 1,
        f"The difference {difference} lies in its interval ({lower}, {upper}) and leads to "
        "a risk between 0 and 1.",
    )
    limit = lower if lower > 0 else upper if upper < 0 else 0.0
    ratios = np.array([1 + difference / baseline, max(0.0, 1 + limit / baseline)])
    values = [float(e_value(ratio)) if ratio > 0 else float("inf") for ratio in ratios]
    return EValues(*values)


def risk_difference_e_values(
    treated_events: int,
    n_treated: int,
    comparison_events: int,
    n_comparison: int,
    *,
    level: float = 0.95,
) -> EValues:
    """Return the E-values of an unadjusted risk difference from a two-by-two table.

    The interval is that of the bound on the true difference, with a bias factor large enough that
    its limit is zero, found as a root (R's EValue searches a grid of 0.0001).

    Parameters
    ----------
    treated_events, n_treated, comparison_events, n_comparison : int
        When comparison units have the higher risk the two sides change places.
    level : float

    Returns
    -------
    EValues
        Infinite and NaN when the side with the lower risk has no event.

    Raises
    ------
    InputError
        EI-N01: counts that make no table, or a level that is not between 0 and 1.
    """
    require(
        0 <= treated_events <= n_treated
        and 0 <= comparison_events <= n_comparison
        and min(n_treated, n_comparison) > 0
        and 0 < level < 1,
        "Events are counts of at most the units on their side, and a level is between 0 and 1.",
    )
    p1, p0 = treated_events / n_treated, comparison_events / n_comparison
    n1, n0 = n_treated, n_comparison
    if p1 < p0:
        p1, p0, n1, n0 = p0, p1, n0, n1
    if p1 == p0:
        return EValues(1.0, 1.0)
    if p0 == 0:
        return EValues(float("inf"), float("nan"))
    f, z = n1 / (n1 + n0), float(scipy.special.ndtri(0.5 + level / 2))
    v1, v0, vf = p1 * (1 - p1) / n1, p0 * (1 - p0) / n0, f * (1 - f) / (n1 + n0)

    def limit(bias: float) -> float:
        difference, share = p1 - p0 * bias, f + (1 - f) / bias
        variance = (v1 + v0 * bias**2) * share**2 + (difference * (1 - 1 / bias)) ** 2 * vf
        return float(difference * share - z * np.sqrt(variance))

    estimate = float(e_value(p1 / p0))
    if limit(1.0) <= 0:
        return EValues(estimate, 1.0)
    return EValues(estimate, float(e_value(scipy.optimize.brentq(limit, 1.0, p1 / p0))))
