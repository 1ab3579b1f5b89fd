"""Bounds for an effect among those who are selected whether or not they are treated (Lee 2009).

Outcomes are seen only among the selected, and treatment may move who is selected. Where it moves
everyone in one direction (monotone selection), the side with the larger share of selected holds the
always-selected and some others. Taking the others for the highest or for the lowest outcomes of
that side, and trimming their share, bounds the mean of the always-selected; the other side holds
nobody else.

The trimmed mean is y + E[(Y - y)+ ; selected] / t, where t is the mass of the always-selected and y
the value above which the trimmed side has that mass. Written so, observations at y are split and
the trimmed share is exact, the order of observations cannot matter, and errors of y are of second
order. What is left is Lee's Proposition 3, weights included.

References
----------
Lee (2009), doi:10.1111/j.1467-937X.2009.00536.x; Imbens & Manski (2004),
doi:10.1111/j.1468-0262.2004.00555.x
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from exportimpact._typing import BoolArray, FloatArray, IntArray

_SAME = 1e-12
"""Shares that differ by less are equal: rounding must not choose a side or a quantile."""


@dataclass(frozen=True, eq=False)
class Contrast:
    """A number made of two sides, with what each observation adds to it.

    Attributes
    ----------
    value : float
    influence : (n,)
        For weights that sum to 1 on each side, value - truth is about sum(w (g - mean of g on the
        side of the observation)).
    treated, control : float
        The two sides of the difference, NaN where it is none.
    """

    value: float
    influence: FloatArray
    treated: float = float("nan")
    control: float = float("nan")


@dataclass(frozen=True, eq=False)
class Bounds:
    """Lower and upper bound, and what was trimmed.

    Attributes
    ----------
    low, high : Contrast
    trimmed : float
        Share of the selected of the trimmed sides that is trimmed.
    used : (n,) bool
        Observations in groups with selected ones on both sides; the others have no part.
    """

    low: Contrast
    high: Contrast
    trimmed: float
    used: BoolArray


def bounds(
    y: FloatArray, selected: BoolArray, d: FloatArray, w: FloatArray, group: IntArray
) -> Bounds | None:
    """Return bounds for the effect on the always-selected.

    Parameters
    ----------
    y : (n,)
        Outcome; read only where `selected`.
    selected : (n,) bool
    d : (n,)
        1 for treated, 0 for control.
    w : (n,)
        Weights that sum to 1 on each side.
    group : (n,)
        Codes from 0. Selection is monotone within a group, in the direction in which the group's
        shares differ; bounds are means over groups, weighted by the always-selected: the selected
        of the side that is not trimmed. One group is the bound without covariates.

    Returns
    -------
    Bounds, or None when no group has selected observations on both sides
    """
    found = []
    for code in range(int(group.max()) + 1):
        rows = np.flatnonzero(group == code)
        one = _group(y[rows], selected[rows], d[rows] == 1, w[rows])
        if one is not None:
            found.append((rows, one))
    if not found:
        return None
    total = sum(one.always for _, one in found)
    used = np.zeros(y.size, dtype=bool)
    for rows, _ in found:
        used[rows] = True
    low, high = (_mean_over_groups(found, total, end, y.size) for end in (0, 1))
    largest = sum(one.largest for _, one in found)
    left = sum(one.trimmed for _, one in found)
    return Bounds(low, high, float(left / largest), used)


@dataclass(frozen=True, eq=False)
class _Group:
    ends: tuple[Contrast, Contrast]
    always: float
    largest: float
    trimmed: float
    is_always: FloatArray


def _group(y: FloatArray, s: BoolArray, treated: BoolArray, w: FloatArray) -> _Group | None:
    sides = (treated, ~treated)
    everyone = [float(w[side].sum()) for side in sides]
    inside = [float(w[side & s].sum()) for side in sides]
    if min(inside) <= 0:
        return None
    share = [n / m for n, m in zip(inside, everyone, strict=True)]
    if abs(share[0] - share[1]) <= _SAME:
        raw = raw_difference(y, s, treated.astype(float), w)
        return _Group((raw, raw), inside[1], inside[0], 0.0, np.where(~treated & s, 1.0, 0.0))
    a, b = (0, 1) if share[0] > share[1] else (1, 0)
    mass = inside[b] * everyone[a] / everyone[b]
    mean, of_mean = _selected_mean(y, s & sides[b], w, inside[b])
    sign, ends = (1.0 if a == 0 else -1.0), []
    for top in (a == 1, a == 0):
        at = np.flatnonzero(s & sides[a])
        cut = quantile_of_mass(y[at], w[at], mass, top=top)
        beyond = np.zeros(y.size)
        beyond[at] = np.maximum(y[at] - cut, 0.0) if top else np.minimum(y[at] - cut, 0.0)
        gap = float(w @ beyond) / mass
        of_trimmed = beyond / mass - sides[a] * gap / everyone[a]
        of_trimmed -= gap * sides[b] * (s / inside[b] - 1.0 / everyone[b])
        pair = (cut + gap, mean) if a == 0 else (mean, cut + gap)
        ends.append(Contrast(pair[0] - pair[1], sign * (of_trimmed - of_mean), *pair))
    always = np.where(sides[b] & s, 1.0, 0.0)
    return _Group((ends[0], ends[1]), inside[b], inside[a], inside[a] - mass, always)


def _mean_over_groups(
    found: list[tuple[IntArray, _Group]], total: float, end: int, n: int
) -> Contrast:
    """Return the mean of the groups' bounds over the always-selected."""
    shares = np.array([one.always for _, one in found]) / total
    ends = [one.ends[end] for _, one in found]
    value, treated, control = shares @ [[e.value, e.treated, e.control] for e in ends]
    influence = np.zeros(n)
    for share, (rows, one) in zip(shares, found, strict=True):
        own = one.ends[end]
        influence[rows] = share * own.influence + one.is_always * (own.value - value) / total
    return Contrast(float(value), influence, float(treated), float(control))


def raw_difference(y: FloatArray, s: BoolArray, d: FloatArray, w: FloatArray) -> Contrast:
    """Return the difference in means of the selected, (n,) each: no effect by itself."""
    means = []
    influence = np.zeros(y.size)
    for side, sign in ((s & (d == 1), 1.0), (s & (d == 0), -1.0)):
        mean, of_mean = _selected_mean(y, side, w, float(w[side].sum()))
        means.append(mean)
        influence += sign * of_mean
    return Contrast(means[0] - means[1], influence, means[0], means[1])


def _selected_mean(
    y: FloatArray, chosen: BoolArray, w: FloatArray, mass: float
) -> tuple[float, FloatArray]:
    mean = float(w[chosen] @ y[chosen]) / mass
    influence = np.zeros(y.size)
    influence[chosen] = (y[chosen] - mean) / mass
    return mean, influence


def quantile_of_mass(y: FloatArray, w: FloatArray, mass: float, *, top: bool) -> float:
    """Return the value beyond which, itself included, y has at least this mass of weight.

    Parameters
    ----------
    y, w : (n,)
    mass : float
        At most the sum of w.
    top : bool
        Whether the mass lies above the value or below it.
    """
    values, code = np.unique(y, return_inverse=True)
    weight = np.bincount(code.reshape(-1), w, values.size)
    if top:
        values, weight = values[::-1], weight[::-1]
    reached = np.cumsum(weight) >= mass - _SAME * max(float(w.sum()), mass)
    return float(values[np.argmax(reached)] if reached.any() else values[-1])


def imbens_manski(
    low: float,
    high: float,
    std_errors: tuple[float, float],
    *,
    level: float = 0.95,
    df: float = np.inf,
) -> tuple[float, float]:
    """Return the interval that covers the effect, wherever between the bounds it lies.

    One-sided where the bounds are far apart, two-sided where they meet: c solves
    F(c + (high - low) / max(std_errors)) - F(-c) = level.

    Parameters
    ----------
    low, high : float
        Estimated bounds.
    std_errors : (of low, of high)
    level : float
    df : float
        Degrees of freedom of Student's F; infinite for the normal.
    """
    largest = max(std_errors)
    if not np.isfinite([low, high, largest, *std_errors]).all() or np.isnan(df):
        return float("nan"), float("nan")
    if largest == 0:
        return low, high
    width = (high - low) / largest

    def cdf(x: float) -> float:
        return float(scipy.special.ndtr(x) if np.isinf(df) else scipy.special.stdtr(df, x))

    def excess(c: float) -> float:
        return cdf(c + width) - cdf(-c) - level

    most = 1.0
    while cdf(most) - cdf(-most) < level:
        most *= 2
    c = float(scipy.optimize.brentq(excess, 0.0, most, xtol=1e-13, rtol=1e-14))
    return low - c * std_errors[0], high + c * std_errors[1]
