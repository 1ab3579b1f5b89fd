"""Rosenbaum bounds: how much hidden bias would change what matched pairs say.

Within a pair, two units that look alike may differ in their odds of treatment by at most a factor
Gamma, because of something that matching did not see. At Gamma = 1 matching was as good as a coin;
at larger Gamma every p-value, estimate and interval becomes a range, of which these functions give
both ends. They bound what a bias of that size could do; they do not say that it is there.

Assumptions: pairs are independent, each with one treated unit, and for estimates and intervals the
effect is a constant shift. A matched set of one treated and several comparison units enters as one
difference (`set_differences`). For sets of unequal sides that is an approximation: without an
effect, the difference from a mean of several is symmetric only if outcomes are. With comparison
units that are used again the differences are not independent either and p-values are too small.
Nothing is refused on these grounds, because differences do not show them: the caller has to say so.

References
----------
Rosenbaum (2002), Observational Studies, section 4.3, doi:10.1007/978-1-4757-3692-2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import scipy

from exportimpact._typing import FloatArray, IntArray
from exportimpact.numerics.checks import require

Direction: TypeAlias = Literal["greater", "less"]
Zeros: TypeAlias = Literal["wilcox", "pratt"]
Method: TypeAlias = Literal["auto", "exact", "normal"]
Status: TypeAlias = Literal["found", "not_rejected", "beyond_ceiling", "too_few"]

EXACT_PAIRS = 25
"""Up to this many differences `method="auto"` uses the exact distribution."""

CEILING = 100.0
"""The Gamma above which a breakdown point is not searched for."""

_SORTED_PAIRS = 1_000


@dataclass(frozen=True, eq=False)
class GammaBounds:
    """A range for each Gamma.

    Attributes
    ----------
    gamma : (m,)
    lower, upper : (m,)
        NaN where there is no difference to rank.
    """

    gamma: FloatArray
    lower: FloatArray
    upper: FloatArray


@dataclass(frozen=True)
class Breakdown:
    """The largest Gamma at which a test still rejects.

    Attributes
    ----------
    gamma : float
        1 when not even Gamma = 1 rejects, the ceiling when it is beyond it, NaN when there are too
        few pairs for any outcome to reject.
    status : str
        ``"found"``, ``"not_rejected"``, ``"beyond_ceiling"`` or ``"too_few"``.
    p_value : float
        One-sided p-value at Gamma = 1; NaN without a non-zero difference.
    n_pairs : int
        Pairs that carry information: those whose difference is not zero.
    """

    gamma: float
    status: Status
    p_value: float
    n_pairs: int


def set_differences(
    treated: FloatArray, comparison: FloatArray, set_of: IntArray, w: FloatArray | None = None
) -> FloatArray:
    """Return treated outcome minus the weighted mean of the comparison units, per matched set.

    Parameters
    ----------
    treated : (n_sets,)
        Outcome, or change in it, of the treated unit of each set.
    comparison : (m,)
        Outcomes of comparison units, once for every set that uses them.
    set_of : (m,)
        Position in `treated` of the set that each belongs to.
    w : (m,), optional
        Weights within the set; equal when None.

    Returns
    -------
    (n_sets,) differences
    """
    weight = np.ones(comparison.shape) if w is None else w
    total = np.bincount(set_of, weights=weight, minlength=treated.size)
    require(
        total.size == treated.size and (total > 0).all(),
        "Some matched sets have no comparison unit, or a unit belongs to no set. "
        "A set without both sides has no difference. Leave such sets out and account for them.",
    )
    mean = np.bincount(set_of, weights=weight * comparison, minlength=treated.size) / total
    return np.asarray(treated - mean, dtype=float)


def signed_rank_bounds(
    differences: FloatArray,
    gamma: FloatArray,
    *,
    direction: Direction = "greater",
    zeros: Zeros = "wilcox",
    method: Method = "auto",
) -> GammaBounds:
    """Return the smallest and largest one-sided p-value of the signed-rank test at each Gamma.

    Parameters
    ----------
    differences : (n,)
        Treated minus comparison, one per pair or matched set.
    gamma : (m,)
        Each at least 1.
    direction : {"greater", "less"}
        The side of the estimate: whether treated units are thought to have more or less.
    zeros : {"wilcox", "pratt"}
        Differences of zero leave before ranking (as in R's rbounds 2.2) or after it.
    method : {"auto", "exact", "normal"}
        The normal approximation has no continuity correction, as in rbounds. The exact distribution
        allows for ties; "auto" uses it up to `EXACT_PAIRS` differences.

    Returns
    -------
    GammaBounds
        NaN when all differences are zero.

    Raises
    ------
    InputError
        EI-N01: a Gamma below 1, or a difference that is missing or infinite.
    """
    gammas = _checked_gamma(gamma)
    test = _signed_rank(differences, direction, zeros, method)
    if not test.ranks.size:
        return GammaBounds(gammas, np.full(gammas.shape, np.nan), np.full(gammas.shape, np.nan))
    return GammaBounds(
        gammas,
        np.array([test.tail(1 / (1 + g)) for g in gammas]),
        np.array([test.tail(g / (1 + g)) for g in gammas]),
    )


def sign_test_bounds(favourable: int, unfavourable: int, gamma: FloatArray) -> GammaBounds:
    """Return bounds on the one-sided exact p-value of McNemar's test for a binary outcome.

    Parameters
    ----------
    favourable : int
        Pairs in which only the treated unit has the outcome.
    unfavourable : int
        Pairs in which only the comparison unit has it. Exchange the two for the other direction.
    gamma : (m,)
        Each at least 1.

    Returns
    -------
    GammaBounds
        NaN when the pairs all agree.

    Raises
    ------
    InputError
        EI-N01: a Gamma below 1 or a negative count.
    """
    gammas, n = _checked_gamma(gamma), _checked_counts(favourable, unfavourable)
    if n == 0:
        return GammaBounds(gammas, np.full(gammas.shape, np.nan), np.full(gammas.shape, np.nan))
    low = _binomial_tail(favourable, n, 1 / (1 + gammas))
    return GammaBounds(gammas, low, _binomial_tail(favourable, n, gammas / (1 + gammas)))


def hodges_lehmann_bounds(differences: FloatArray, gamma: FloatArray) -> GammaBounds:
    """Return the range of Hodges-Lehmann estimates of a constant effect at each Gamma.

    The estimate is the effect at which the signed-rank statistic equals its expectation; at
    Gamma = 1 it is the median of the averages of all pairs of differences. All differences count,
    zeros too: they say nothing about "no effect" but much about every other effect.

    Parameters
    ----------
    differences : (n,)
    gamma : (m,)
        Each at least 1.

    Returns
    -------
    GammaBounds
        In the unit of the differences; NaN without any.

    Raises
    ------
    InputError
        EI-N01: as `signed_rank_bounds`.
    """
    gammas, d = _checked_gamma(gamma), np.sort(_checked_differences(differences))
    if not d.size:
        return GammaBounds(gammas, np.full(gammas.shape, np.nan), np.full(gammas.shape, np.nan))
    total = d.size * (d.size + 1) / 2
    most = _near_integer(total * gammas / (1 + gammas))
    least = _near_integer(total / (1 + gammas))
    return GammaBounds(gammas, _crossing(d, most), _crossing(d, least))


def signed_rank_interval(
    differences: FloatArray, gamma: FloatArray, *, level: float = 0.95, method: Method = "auto"
) -> GammaBounds:
    """Return confidence limits of a constant effect that allow for bias up to each Gamma.

    An effect is inside when neither one-sided test at (1 - level) / 2 rejects it for every bias up
    to Gamma. All differences count, and ranks are taken as untied: where many differences are equal
    the interval is somewhat too wide.

    Parameters
    ----------
    differences : (n,)
    gamma : (m,)
        Each at least 1.
    level : float
        Such as 0.95.
    method : {"auto", "exact", "normal"}

    Returns
    -------
    GammaBounds
        Infinite where so few pairs exclude nothing at that Gamma; NaN without any.

    Raises
    ------
    InputError
        EI-N01: as `signed_rank_bounds`, or a level that is not between 0 and 1.
    """
    gammas, d = _checked_gamma(gamma), np.sort(_checked_differences(differences))
    require(0 < level < 1, f"A confidence level is between 0 and 1, not {level}.", {"level": level})
    if not d.size:
        return GammaBounds(gammas, np.full(gammas.shape, np.nan), np.full(gammas.shape, np.nan))
    exact = _is_exact(d.size, method)
    order = np.array([_critical(d.size, g / (1 + g), (1 - level) / 2, exact) for g in gammas])
    inside = order <= d.size * (d.size + 1) // 2
    lower, upper = np.full(gammas.shape, -np.inf), np.full(gammas.shape, np.inf)
    lower[inside] = _walsh_averages(d, order[inside])
    upper[inside] = -_walsh_averages(-d[::-1], order[inside])
    return GammaBounds(gammas, lower, upper)


def breakdown(
    differences: FloatArray,
    alpha: float = 0.05,
    direction: Direction = "greater",
    *,
    zeros: Zeros = "wilcox",
    method: Method = "auto",
    ceiling: float = CEILING,
) -> Breakdown:
    """Return the largest Gamma at which the one-sided signed-rank test still rejects.

    The largest p-value rises with Gamma, so that the point is unique; it is found to rounding.

    Parameters
    ----------
    differences : (n,)
    alpha : float
        Level of the one-sided test, below 0.5.
    direction : {"greater", "less"}
    zeros, method
        As in `signed_rank_bounds`.
    ceiling : float
        The search ends here.

    Returns
    -------
    Breakdown

    Raises
    ------
    InputError
        EI-N01: as `signed_rank_bounds`, a level not between 0 and 0.5, or a ceiling below 1.
    """
    _check_level(alpha, ceiling)
    test = _signed_rank(differences, direction, zeros, method)
    n = test.ranks.size
    if n == 0 or 0.5**n > alpha:
        return Breakdown(np.nan, "too_few", test.tail(0.5) if n else np.nan, n)
    p_value = test.tail(0.5)
    if p_value > alpha:
        return Breakdown(1.0, "not_rejected", p_value, n)
    highest = ceiling / (1 + ceiling)
    if test.tail(highest) <= alpha:
        return Breakdown(ceiling, "beyond_ceiling", p_value, n)
    p = scipy.optimize.brentq(lambda q: test.tail(q) - alpha, 0.5, highest, xtol=1e-15)
    return Breakdown(float(p / (1 - p)), "found", p_value, n)


def sign_test_breakdown(
    favourable: int, unfavourable: int, alpha: float = 0.05, *, ceiling: float = CEILING
) -> Breakdown:
    """Return the largest Gamma at which the one-sided sign test still rejects, in closed form.

    Parameters
    ----------
    favourable, unfavourable : int
        As in `sign_test_bounds`.
    alpha : float
    ceiling : float

    Returns
    -------
    Breakdown

    Raises
    ------
    InputError
        EI-N01: a negative count, a level that is not between 0 and 0.5, or a ceiling below 1.
    """
    _check_level(alpha, ceiling)
    n = _checked_counts(favourable, unfavourable)
    p_value = float(_binomial_tail(favourable, n, np.array([0.5]))[0]) if n else np.nan
    if n == 0 or 0.5**n > alpha:
        return Breakdown(np.nan, "too_few", p_value, n)
    if p_value > alpha:
        return Breakdown(1.0, "not_rejected", p_value, n)
    p = float(scipy.special.betaincinv(favourable, unfavourable + 1, alpha))
    if p > ceiling / (1 + ceiling):
        return Breakdown(ceiling, "beyond_ceiling", p_value, n)
    return Breakdown(p / (1 - p), "found", p_value, n)


def _checked_gamma(gamma: FloatArray) -> FloatArray:
    gammas = np.atleast_1d(np.asarray(gamma, dtype=float))
    require(
        bool((gammas >= 1).all() and np.isfinite(gammas).all()),
        "Gamma is a ratio of odds of at least 1, where 1 means no hidden bias; "
        f"got {gammas.min() if gammas.size else gammas}.",
    )
    return gammas


def _checked_differences(differences: FloatArray) -> FloatArray:
    d = np.asarray(differences, dtype=float)
    missing = int((~np.isfinite(d)).sum())
    require(
        missing == 0,
        f"{missing} of {d.size} differences are missing or infinite. They have no rank. "
        "Leave these pairs out and account for them.",
        {"missing": missing},
    )
    return d


def _checked_counts(favourable: int, unfavourable: int) -> int:
    require(
        min(favourable, unfavourable) >= 0,
        f"Counts of pairs cannot be negative: {favourable} and {unfavourable}.",
    )
    return int(favourable) + int(unfavourable)


def _check_level(alpha: float, ceiling: float) -> None:
    require(0 < alpha < 0.5, f"The level of a one-sided test is between 0 and 0.5, not {alpha}.")
    require(ceiling > 1, f"The ceiling of Gamma has to be above 1, not {ceiling}.")


@dataclass(frozen=True, eq=False)
class _SignedRank:
    """Ranks of the non-zero differences, the sum over those in the stated direction, the method."""

    ranks: FloatArray
    statistic: float
    exact: bool

    def tail(self, p: float) -> float:
        """P(T >= statistic) when every difference has the stated direction with probability p."""
        if self.exact:
            steps = np.rint(2 * self.ranks).astype(np.int64)
            unit = int(np.gcd.reduce(steps))
            mass = _distribution(steps // unit, p)
            return min(1.0, float(mass[int(np.rint(2 * self.statistic)) // unit :].sum()))
        expected = p * self.ranks.sum()
        spread = np.sqrt(p * (1 - p) * (self.ranks**2).sum())
        return float(scipy.special.ndtr((expected - self.statistic) / spread))


def _signed_rank(
    differences: FloatArray, direction: Direction, zeros: Zeros, method: Method
) -> _SignedRank:
    d = _checked_differences(differences) * (1 if direction == "greater" else -1)
    if zeros == "wilcox":
        d = d[d != 0]
    ranks, keep = _midranks(np.abs(d)), d != 0
    ranks, d = ranks[keep], d[keep]
    return _SignedRank(ranks, float(ranks[d > 0].sum()), _is_exact(d.size, method))


def _is_exact(n: int, method: Method) -> bool:
    return method == "exact" or (method == "auto" and n <= EXACT_PAIRS)


def _midranks(x: FloatArray) -> FloatArray:
    _, place, count = np.unique(x, return_inverse=True, return_counts=True)
    ranks: FloatArray = (np.cumsum(count) - (count - 1) / 2)[place.reshape(x.shape)]
    return ranks


def _distribution(steps: IntArray, p: float) -> FloatArray:
    """Return the probabilities of sums of `steps`, each present with probability p."""
    mass = np.zeros(int(steps.sum()) + 1)
    mass[0] = 1.0
    for step in steps:
        moved = p * mass[:-step]
        mass *= 1 - p
        mass[step:] += moved
    return mass


def _binomial_tail(successes: int, n: int, p: FloatArray) -> FloatArray:
    if successes == 0:
        return np.ones(p.shape)
    return np.asarray(scipy.special.betainc(successes, n - successes + 1, p), dtype=float)


def _critical(n: int, p: float, alpha: float, exact: bool) -> int:
    """Return the smallest value of the untied statistic that the one-sided test rejects."""
    if exact:
        tail = np.cumsum(_distribution(np.arange(1, n + 1), p)[::-1])
        return int(tail.size - np.searchsorted(tail, alpha, side="right"))
    mean, square = n * (n + 1) / 2, n * (n + 1) * (2 * n + 1) / 6
    return int(np.ceil(p * mean - scipy.special.ndtri(alpha) * np.sqrt(p * (1 - p) * square)))


def _near_integer(x: FloatArray) -> FloatArray:
    """Return x, with values that miss an integer by rounding alone put onto it."""
    near = np.rint(x)
    return np.where(np.abs(x - near) < 1e-9 * np.maximum(1.0, near), near, x)


def _crossing(d: FloatArray, target: FloatArray) -> FloatArray:
    """Return the shifts at which the signed-rank statistic of d - shift passes its targets.

    The statistic counts the Walsh averages above the shift, so that it passes a target that is no
    integer at one of them and an integer between two.
    """
    above = _walsh_averages(d, np.ceil(target).astype(np.int64))
    below = _walsh_averages(d, np.floor(target).astype(np.int64) + 1)
    return (above + below) / 2


def _walsh_averages(d: FloatArray, order: IntArray) -> FloatArray:
    """Return the order-th largest of the averages (d_i + d_j) / 2, i <= j; d is increasing."""
    if d.size <= _SORTED_PAIRS:
        i, j = np.triu_indices(d.size)
        averages = np.sort(d[i] / 2 + d[j] / 2)
        return averages[averages.size - order]
    return np.array([_walsh_by_bisection(d, int(k)) for k in order])


def _walsh_by_bisection(d: FloatArray, order: int) -> float:
    """Return the order-th largest average without forming all n (n + 1) / 2 of them."""
    low, high = float(np.nextafter(d[0], -np.inf)), float(d[-1])
    for _ in range(200):
        middle = low / 2 + high / 2
        if not low < middle < high:
            break
        above = d.size - np.searchsorted(d, 2 * middle - d, side="right")
        twice = int(above.sum()) + int((d > middle).sum())
        low, high = (middle, high) if twice >= 2 * order else (low, middle)
    return high
