"""How far a linear trend may bend: the fixed-length confidence interval of an effect.

Differences from parallel trends delta are zero in the reference period, and their slope changes by
at most M from one period to the next: M = 0 is a linear difference in trends, extrapolated. The
interval of Rambachan & Roth (2023), doi:10.1093/restud/rdad018, section 4, is centred on the
estimate less a combination of the estimates before support, chosen so that the interval is as short
as it can be when bias is at its worst (Donoho 1994, doi:10.1214/aos/1176325367; Armstrong & Kolesar
2018, doi:10.3982/ECTA14434).

Its half-length is s cv(b / s): s the standard deviation, b the worst bias, cv the quantile of a
folded normal. It is convex in the weights, and b is M times a sum of absolute values of other
weights, so that the best weights lie on the path of a lasso, which is traced exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from exportimpact._typing import FloatArray
from exportimpact.numerics.checks import require
from exportimpact.numerics.relative_magnitudes import check_event_study

_SINGULAR = 1e-10
_ROUNDING = 1e-12
_MOST_STEPS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class FixedLength:
    """A fixed-length confidence interval and the estimator at its centre.

    Attributes
    ----------
    low, high : float
    estimate : float
        The middle: the effect less what the periods before support predict.
    std_error, bias : float
        Of that estimator; bias is the largest that the restriction allows.
    weights : (n_before + n_after,)
        Of the estimates in it.
    """

    low: float
    high: float
    estimate: float
    std_error: float
    bias: float
    weights: FloatArray


def fixed_length_interval(
    estimate: FloatArray,
    covariance: FloatArray,
    n_before: int,
    target: FloatArray,
    bound: float,
    *,
    level: float = 0.95,
) -> FixedLength:
    """Return the shortest fixed-length interval of an effect when trends bend by at most `bound`.

    Parameters
    ----------
    estimate : (n_before + n_after,)
        Of successive periods before and after the reference period, which is left out.
    covariance : (n_before + n_after, n_before + n_after)
    n_before : int
        At least 1.
    target : (n_after,)
        Weights of the effect of interest on the periods after the reference period.
    bound : float
        M, at least 0: the largest change of the slope, in units of the estimates.
    level : float

    Raises
    ------
    InputError
        EI-N01 for numbers that cannot be used, a singular covariance among them.
    """
    check_event_study(estimate, covariance, n_before, target, level)
    require(bound >= 0, f"The bound on the change of slope is {bound}; it is at least 0.")
    scale = np.sqrt(np.diagonal(covariance))
    smallest = np.linalg.eigvalsh(covariance / np.outer(scale, scale))[0]
    require(
        smallest > _SINGULAR,
        "The covariance is singular: a combination of the estimates has no variance.",
    )
    start, moves, fixed = _parametrised(n_before, target)
    path = _lasso_path(moves.T @ covariance @ moves, moves.T @ covariance @ start)

    def at(penalty: float) -> tuple[FloatArray, float, float]:
        bends = _on_path(path, penalty)
        weights = start + moves @ bends
        deviation = float(np.sqrt(weights @ covariance @ weights))
        return weights, deviation, bound * (fixed + float(np.abs(bends).sum()))

    def imbalance(penalty: float) -> float:
        """Return the price of bias on the path less what bias costs in half-length."""
        _, deviation, bias = at(penalty)
        ratio = bias / deviation
        critical = folded_quantile(ratio, level)
        slope = _folded_slope(ratio, critical)
        return penalty - bound * deviation * slope / (critical - ratio * slope)

    most = path[0][0]
    penalty = 0.0
    if bound > 0 and most > 0:
        penalty = most if imbalance(most) <= 0 else float(brentq(imbalance, 0.0, most, rtol=1e-14))
    weights, deviation, bias = at(penalty)
    middle = float(weights @ estimate)
    half = deviation * folded_quantile(bias / deviation, level)
    return FixedLength(middle - half, middle + half, middle, deviation, bias, weights)


def folded_quantile(mean: float, level: float) -> float:
    """Return the quantile of the absolute value of a normal with variance 1.

    Examples
    --------
    >>> round(folded_quantile(0.0, 0.95), 3), round(folded_quantile(3.0, 0.95), 3)
    (1.96, 4.645)
    """

    def excess(c: float) -> float:
        return float(ndtr(c - mean) - ndtr(-c - mean)) - level

    low = max(mean + float(ndtri(level)) - 1e-9, 0.0)
    return float(brentq(excess, low, mean + float(ndtri(0.5 + level / 2)) + 1e-9, xtol=1e-13))


def _folded_slope(mean: float, quantile: float) -> float:
    """Return how the quantile moves with the mean."""
    return float(np.tanh(quantile * mean))


def _parametrised(n_before: int, target: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Return weights of the estimates as functions of weights w_1, w_2, ... of bends of the trend.

    The bend (second difference) of delta k periods before the reference period has the weight
    w_k = sum over m > k of v_m (m - k), v_m the weight of the estimate m periods before it; so v is
    the second difference of w. Linear trends cancel where w_0 equals the sum of t l_t.

    Returns
    -------
    start : (n_before + n_after,)
        The weights where w_1, w_2, ... are zero.
    moves : (n_before + n_after, n_before - 1)
        How they move with w_1, w_2, ...
    fixed : float
        Sum of the absolute weights of all other bends.
    """
    n_after = target.size
    bends = np.zeros((n_before + n_after, n_before))
    for k in range(n_before):
        for m, factor in ((k + 1, 1.0), (k, -2.0), (k - 1, 1.0)):
            if m >= 1:
                bends[n_before - m, k] = factor
    times = np.arange(1, n_after + 1)
    trend = float(target @ times)
    start = trend * bends[:, 0]
    start[n_before:] = target
    after = np.clip(times[:, None] - times, 0, None)
    return start, bends[:, 1:], abs(trend) + float(np.abs(target @ after).sum())


_Knot = tuple[float, FloatArray]


def _lasso_path(Q: FloatArray, g: FloatArray) -> Sequence[_Knot]:
    """Return penalties, falling to 0, between which the minimiser moves along straight lines.

    The minimiser of w'Qw / 2 + g'w + penalty sum |w| (Efron et al. 2004,
    doi:10.1214/009053604000000067, with the steps that drop a weight).
    """
    n = g.size
    penalty = float(np.abs(g).max(initial=0.0))
    knots: list[_Knot] = [(penalty, np.zeros(n))]
    if penalty == 0:
        return knots
    first = int(np.argmax(np.abs(g)))
    sign = {first: -float(np.sign(g[first]))}
    for _ in range(_MOST_STEPS):
        active = list(sign)
        signs = np.array([sign[j] for j in active])
        inner = Q[np.ix_(active, active)]
        ends, slope = np.linalg.solve(inner, np.column_stack([-g[active], signs])).T
        joins = _joins(g + Q[:, active] @ ends, Q[:, active] @ slope, active)
        drops = [
            (float(ends[place] / slope[place]), j, 0.0)
            for place, j in enumerate(active)
            if slope[place] * sign[j] < 0
        ]
        here = penalty * (1 + _ROUNDING)
        penalty, moved, joining = max(
            event for event in [(0.0, -1, 0.0), *joins, *drops] if event[0] <= here
        )
        w = np.zeros(n)
        w[active] = ends - penalty * slope
        knots.append((penalty, w))
        if moved < 0:
            return knots
        if joining:
            sign[moved] = joining
        else:
            del sign[moved]
    raise AssertionError("the path of a lasso has no end")


def _joins(
    level: FloatArray, tilt: FloatArray, active: list[int]
) -> list[tuple[float, int, float]]:
    """Return at which penalty each other weight would leave zero, and with which sign.

    Its gradient is level - penalty tilt, and leaves the penalty behind as that falls.
    """
    return [
        (float(way * level[j] / (1 + way * tilt[j])), j, -way)
        for j in range(level.size)
        if j not in active
        for way in (1.0, -1.0)
        if way * tilt[j] > -1 + _ROUNDING
    ]


def _on_path(path: Sequence[_Knot], penalty: float) -> FloatArray:
    for (above, high), (below, low) in pairwise(path):
        if below <= penalty <= above:
            share = (penalty - below) / (above - below) if above > below else 0.0
            return low + share * (high - low)
    return path[-1][1]
