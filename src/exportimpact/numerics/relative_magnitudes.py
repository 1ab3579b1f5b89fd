"""How far trends may differ after support, as a multiple of how far they differed before it.

Differences from parallel trends delta are zero in the reference period, and may change from one
period to the next by at most Mbar times the largest change between periods up to the reference
period. Which change was the largest is not known: the interval is the union over all of them and
both signs, each by the hybrid of a conditional and a least-favourable test of Andrews, Roth & Pakes
(2023), doi:10.1093/restud/rdad004, as Rambachan & Roth (2023), doi:10.1093/restud/rdad018, use it.

That test maximises a linear function over the dual of a linear programme. For this restriction the
dual has few vertices and they can be written down (`_Test`), so that the statistic and the ends of
its truncation are maxima over them and no programme has to be solved at every point of a grid. They
depend on two normal variables alone, the estimate and the change before support, so that the
least-favourable critical value is an integral over angles and not a simulation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtri_exp

from exportimpact._typing import BoolArray, FloatArray
from exportimpact.numerics.checks import require

FIRST_STAGE = 0.1
"""Share of the level that the least-favourable first stage takes: kappa = alpha / 10."""
POINTS = 1000
_FAR = 20.0
"""Standard errors to either side where there is no first stage to end the grid."""
_ROUNDING = 1e-12
_ANGLES = np.linspace(0.0, 2 * np.pi, 4096, endpoint=False)
_PARTS, _ROUNDS = 32, 8


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval, and whether the grid ended before it did.

    Attributes
    ----------
    low, high : float
    low_open, high_open : bool
        Whether the grid ends there and the test has not rejected yet.
    """

    low: float
    high: float
    low_open: bool = False
    high_open: bool = False


def relative_magnitudes_interval(
    estimate: FloatArray,
    covariance: FloatArray,
    n_before: int,
    target: FloatArray,
    magnitude: float,
    *,
    level: float = 0.95,
    hybrid: bool = True,
    grid: tuple[float, float] | None = None,
    points: int = POINTS,
) -> Interval:
    """Return the confidence interval of an effect when trends differ by a relative magnitude.

    Parameters
    ----------
    estimate : (n_before + n_after,)
        Of successive periods before and after the reference period, which is left out.
    covariance : (n_before + n_after, n_before + n_after)
    n_before : int
        At least 1.
    target : (n_after,)
        Weights of the effect of interest on the periods after the reference period.
    magnitude : float
        Mbar, at least 0.
    level : float
    hybrid : bool
        Whether a least-favourable test of size alpha / 10 comes first. Without it the test is the
        conditional one alone.
    grid : (low, high), optional
        Where to look; holds the estimate. When not given, out to where the first stage rejects, so
        that the interval is never open; 20 standard errors to either side without a first stage.
    points : int
        Of the grid. The ends are then bisected between two of them.

    Returns
    -------
    Interval
        From the lowest to the highest value that is not rejected.

    Notes
    -----
    As in the authors' code, only moments about periods after the reference period are used: it is
    not tested that the change taken for the largest is the largest.

    Raises
    ------
    InputError
        EI-N01 for numbers that cannot be used.
    """
    check_event_study(estimate, covariance, n_before, target, level)
    require(magnitude >= 0, f"The relative magnitude is {magnitude}; it is at least 0.")
    study = _Study.of(estimate, covariance, n_before, target, magnitude)
    tests = [
        _Test.of(study, change, sign, 1 - level, hybrid)
        for change in range(n_before)
        for sign in (1.0, -1.0)
    ]
    at = study.at
    if grid is None:
        reach = max(test.reach for test in tests) if hybrid else _FAR * study.std_error
        grid = (at - 1.01 * reach, at + 1.01 * reach)
    require(
        grid[0] < at < grid[1] and points >= 2,
        f"The grid from {grid[0]:.4g} to {grid[1]:.4g} does not hold the estimate, {at:.4g}.",
    )
    theta = np.unique([*np.linspace(*grid, points), at])
    inside = np.flatnonzero(_accepted(tests, at - theta))
    first, last = int(inside[0]), int(inside[-1])
    low_open, high_open = first == 0, last == theta.size - 1
    low = theta[0] if low_open else _edge(tests, at, theta[first], theta[first - 1])
    high = theta[-1] if high_open else _edge(tests, at, theta[last], theta[last + 1])
    return Interval(float(low), float(high), low_open, high_open)


def check_event_study(
    estimate: FloatArray, covariance: FloatArray, n_before: int, target: FloatArray, level: float
) -> None:
    """Refuse numbers from which no sensitivity analysis can be computed; EI-N01."""
    n = estimate.size
    shapes = covariance.shape == (n, n) and target.size == n - n_before and n_before >= 1
    require(
        shapes and target.size >= 1,
        f"{n} estimates, {n_before} of them before support, do not fit a covariance of shape "
        f"{covariance.shape} and {target.size} weights.",
    )
    finite = all(np.isfinite(a).all() for a in (estimate, covariance, target))
    require(finite, "An estimate, a covariance or a weight is not a finite number.")
    require(target.any(), "All weights of the effect are zero.")
    require(0 < level < 1, f"The level {level} is not between 0 and 1.")
    require(
        (np.diagonal(covariance) > 0).all() and np.allclose(covariance, covariance.T),
        "The covariance is not symmetric with positive variances.",
    )


@dataclass(frozen=True, slots=True)
class _Study:
    """What all tests share.

    Attributes
    ----------
    at, std_error : float
        Estimate of the effect, and its error.
    changes : (n_before,)
        Between successive periods up to the reference period.
    weight : (n_after,)
        Weights of the effect on the changes after the reference period.
    linear : (1 + n_before + n_after, n_before + n_after)
        The effect, then all changes, as functions of the estimates.
    covariance : (1 + n_before + n_after, 1 + n_before + n_after)
        Of these.
    """

    at: float
    std_error: float
    changes: FloatArray
    weight: FloatArray
    covariance: FloatArray
    magnitude: float

    @classmethod
    def of(
        cls,
        estimate: FloatArray,
        covariance: FloatArray,
        n_before: int,
        target: FloatArray,
        magnitude: float,
    ) -> _Study:
        n = estimate.size
        differences = np.diff(np.insert(np.eye(n), n_before, 0.0, axis=0), axis=0)
        effect = np.concatenate([np.zeros(n_before), target])
        linear = np.vstack([effect, differences])
        joint = linear @ covariance @ linear.T
        return cls(
            at=float(effect @ estimate),
            std_error=float(np.sqrt(joint[0, 0])),
            changes=differences[:n_before] @ estimate,
            weight=np.cumsum(target[::-1])[::-1],
            covariance=joint,
            magnitude=magnitude,
        )


@dataclass(frozen=True, slots=True)
class _Test:
    """The test when one change before support, with one sign, is taken for the largest.

    With e the estimate less the effect under test, v the signed change, u_t the changes after
    support and L_t their weights in the effect, the moments are +-u_t - Mbar v <= 0, nuisance
    parameters all of the u_t but what e = sum L_t u_t ties down. The vertices of the dual give
    e - K v and -e - K v with K = Mbar sum |L_t|, and -2 Mbar v once for every t, each divided by
    the standard deviations of the moments that it adds up. Of the last only the largest and the
    smallest divisor can matter: the others lie between them.

    Attributes
    ----------
    on_error, on_change : (4,)
        Each vertex as a function of e and v.
    change : float
        v.
    covariance : (4, 4)
        Of the vertices.
    alpha : float
        Size of the conditional test.
    critical : float
        Of the least-favourable test; infinite without one.
    """

    on_error: FloatArray
    on_change: FloatArray
    change: float
    covariance: FloatArray
    alpha: float
    critical: float

    @classmethod
    def of(cls, study: _Study, change: int, sign: float, alpha: float, hybrid: bool) -> _Test:
        """Return the test for one change before support and one sign."""
        of_moments = study.covariance
        n_before, m = study.changes.size, study.magnitude
        after = slice(1 + n_before, None)
        noise = np.diagonal(of_moments)[after] + m**2 * of_moments[1 + change, 1 + change]
        shared = 2 * m * sign * of_moments[1 + change, after]
        plus, minus = (np.sqrt(np.clip(noise + way * shared, 0.0, None)) for way in (-1.0, 1.0))
        size, up = np.abs(study.weight), study.weight > 0
        highest = float(size @ np.where(up, plus, minus))
        lowest = float(size @ np.where(up, minus, plus))
        pairs = plus + minus
        reach = m * float(size.sum())
        divisor = np.array([highest, lowest, pairs.max(), pairs.min()])
        require((divisor > 0).all(), "Changes after support have no variance.")
        on_error = np.array([1.0, -1.0, 0.0, 0.0]) / divisor
        on_change = -np.array([reach, reach, 2 * m, 2 * m]) / divisor
        both = np.ix_([0, 1 + change], [0, 1 + change])
        two = of_moments[both] * np.outer([1, sign], [1, sign])
        linear = np.column_stack([on_error, on_change])
        kappa = FIRST_STAGE * alpha if hybrid else 0.0
        return cls(
            on_error=on_error,
            on_change=on_change,
            change=sign * float(study.changes[change]),
            covariance=linear @ two @ linear.T,
            alpha=(alpha - kappa) / (1 - kappa),
            critical=_least_favourable(linear, two, kappa) if hybrid else np.inf,
        )

    @property
    def reach(self) -> float:
        """How far from the estimate a value can lie that the first stage does not reject."""
        ends = (self.critical - self.on_change[:2] * self.change) / np.abs(self.on_error[:2])
        return float(ends.max())

    def accepts(self, error: FloatArray) -> BoolArray:
        """Return whether the test does not reject, (n,), at values of e, (n,)."""
        value = np.outer(error, self.on_error) + self.on_change * self.change
        largest = np.argmax(value, axis=1)
        out = np.zeros(error.size, dtype=bool)
        for vertex in np.unique(largest):
            here = largest == vertex
            out[here] = self._accepts_at(int(vertex), value[here])
        return out

    def _accepts_at(self, vertex: int, value: FloatArray) -> BoolArray:
        """Return whether values whose largest entry is that of `vertex` are not rejected."""
        statistic = value[:, vertex]
        variance = self.covariance[vertex, vertex]
        if variance <= _ROUNDING:
            certain: BoolArray = statistic <= 0
            return certain
        low, high = self.truncation(vertex, value)
        high = np.minimum(high, self.critical)
        deviation = np.sqrt(variance)
        cut = deviation * _truncated_quantile(low / deviation, high / deviation, self.alpha)
        kept: BoolArray = (statistic <= self.critical) & (statistic <= np.maximum(cut, 0.0))
        return kept

    def truncation(self, vertex: int, value: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return between which values, (n,), the largest entry would still be that of `vertex`.

        Given what is independent of that entry: each other entry moves with it along a line.
        """
        slope = self.covariance[:, vertex] / self.covariance[vertex, vertex]
        rest = value - np.outer(value[:, vertex], slope)
        below, above = slope < 1 - _ROUNDING, slope > 1 + _ROUNDING
        low = (rest[:, below] / (1 - slope[below])).max(axis=1, initial=-np.inf)
        high = (rest[:, above] / (1 - slope[above])).min(axis=1, initial=np.inf)
        return low, high


def _least_favourable(linear: FloatArray, covariance: FloatArray, kappa: float) -> float:
    """Return the 1 - kappa quantile of the largest of linear functions of two normals.

    Their maximum is r h(angle) with r the radius of two independent normals: it exceeds c with
    probability exp(-c^2 / (2 h^2)) at angles where h is positive.
    """
    root = np.linalg.cholesky(covariance + _ROUNDING * np.diag(np.diagonal(covariance)))
    around = root @ np.vstack([np.cos(_ANGLES), np.sin(_ANGLES)])
    largest = (linear @ around).max(axis=0)
    square = 2 * largest[largest > 0] ** 2

    def excess(c: float) -> float:
        return float(np.exp(-(c**2) / square).sum()) / _ANGLES.size - kappa

    return float(brentq(excess, 0.0, np.sqrt(-np.log(kappa) * square.max()) + 1e-9, xtol=1e-12))


def _truncated_quantile(low: FloatArray, high: FloatArray, alpha: float) -> FloatArray:
    """Return the 1 - alpha quantile of the standard normal between two ends."""
    beyond = np.logaddexp(
        np.log(alpha) + log_ndtr(-low), np.log1p(-alpha) + log_ndtr(-np.maximum(low, high))
    )
    quantile: FloatArray = -ndtri_exp(beyond)
    return quantile


def _accepted(tests: Sequence[_Test], error: FloatArray) -> BoolArray:
    found: BoolArray = np.any([test.accepts(error) for test in tests], axis=0)
    return found


def _edge(tests: Sequence[_Test], at: float, inside: float, outside: float) -> float:
    """Return where acceptance ends between an accepted value and a rejected one."""
    for _ in range(_ROUNDS):
        theta = np.linspace(inside, outside, _PARTS + 1)
        rejected = ~_accepted(tests, at - theta[1:-1])
        cut = int(np.argmax(rejected)) if rejected.any() else _PARTS - 1
        inside, outside = float(theta[cut]), float(theta[cut + 1])
    return inside
