"""Randomisation inference: the estimate among those that other draws of who is supported give.

Under the hypothesis that support did tau to every supported observation, outcomes without support
are known for all of them. Where estimates are linear in the outcome, an arrangement of support
needs two estimates (of the outcome, and of observed support as an outcome) and their covariance to
be held against every tau.

References
----------
Studentised statistics: Chung & Romano (2013), doi:10.1214/13-AOS1090; with few clusters: MacKinnon
& Webb (2020), doi:10.1016/j.jeconom.2020.04.024; counting the sample among random draws: Phipson &
Smyth (2010), doi:10.2202/1544-6115.1585
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from math import comb, prod

import numpy as np

from exportimpact._typing import FloatArray, IntArray
from exportimpact.numerics.inversion import invert

_TIE = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class Randomised:
    """Estimates under other arrangements of support.

    Attributes
    ----------
    estimate : (2,)
        Of the outcome and of observed support, as observed.
    covariance : (2, 2)
        Of both.
    drawn : (n_draws, 2)
        The same under other arrangements; NaN where nothing could be estimated.
    drawn_covariance : (n_draws, 2, 2)
    studentised : bool
        Whether estimates are divided by their standard errors.
    enumerated : bool
        Whether the arrangements are all there are, the observed one among them.
    """

    estimate: FloatArray
    covariance: FloatArray
    drawn: FloatArray
    drawn_covariance: FloatArray
    studentised: bool
    enumerated: bool

    @property
    def n_draws(self) -> int:
        """Number of arrangements."""
        return int(self.drawn.shape[0])

    @property
    def failed(self) -> int:
        """Arrangements under which nothing could be estimated; they count as far from zero."""
        return int((~np.isfinite(self.drawn)).any(axis=1).sum())

    @property
    def std_error(self) -> float:
        """The standard error of the estimate."""
        return float(np.sqrt(self.covariance[0, 0]))

    def statistic(self, tau: float = 0.0) -> float:
        """Return what is compared, as observed."""
        own = self._statistics(self.estimate[None], self.covariance[None], tau)
        return float(own[0])

    def p_value(self, tau: float = 0.0) -> float:
        """Return the share of arrangements at least as far from zero as the observed one."""
        own = abs(self.statistic(tau))
        drawn = np.abs(self._statistics(self.drawn, self.drawn_covariance, tau))
        extreme = int(np.sum(~(drawn < own * (1 - _TIE))))
        return extreme / self.n_draws if self.enumerated else (1 + extreme) / (1 + self.n_draws)

    def interval(self, level: float) -> tuple[float, float]:
        """Return the constant effects that are not rejected at 1 - level."""
        scale = self.std_error if self.studentised else float(np.nanstd(self.drawn[:, 0]))
        return invert(self.p_value, float(self.estimate[0]), scale, level)

    def _statistics(self, theta: FloatArray, covariance: FloatArray, tau: float) -> FloatArray:
        effect: FloatArray = theta[:, 0] - tau * theta[:, 1]
        if not self.studentised:
            return effect
        own, mixed, path = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
        variance = own - 2 * tau * mixed + tau**2 * path
        with np.errstate(divide="ignore", invalid="ignore"):
            found: FloatArray = effect / np.sqrt(np.clip(variance, 0.0, None))
        return found


def n_arrangements(labels: IntArray, strata: IntArray) -> int:
    """Return in how many ways labels can be dealt out within strata."""
    return prod(
        _multinomial(np.unique(labels[strata == s], return_counts=True)[1])
        for s in np.unique(strata)
    )


def arrangements(
    labels: IntArray, strata: IntArray, draws: int, rng: np.random.Generator
) -> tuple[Iterator[IntArray], int, bool]:
    """Return arrangements of units' labels within strata: all of them when at most `draws`.

    Parameters
    ----------
    labels, strata : (n_units,)
    draws : int
    rng : Generator

    Returns
    -------
    sources : iterator of (n_units,)
        For each unit, a unit whose label it gets.
    count : int
    enumerated : bool
    """
    whole = n_arrangements(labels, strata)
    if whole <= draws:
        return _every(labels, strata), whole, True
    return (_shuffled(strata, rng) for _ in range(draws)), draws, False


def _multinomial(counts: IntArray) -> int:
    total, ways = 0, 1
    for count in counts:
        total += int(count)
        ways *= comb(total, int(count))
    return ways


def _shuffled(strata: IntArray, rng: np.random.Generator) -> IntArray:
    """Return a permutation within strata: random keys, sorted within each."""
    source = np.empty(strata.size, dtype=np.int64)
    source[np.argsort(strata, kind="stable")] = np.lexsort((rng.random(strata.size), strata))
    return source


def _every(labels: IntArray, strata: IntArray) -> Iterator[IntArray]:
    groups = [np.flatnonzero(strata == s) for s in np.unique(strata)]
    for dealt in product(*(list(_within(labels, rows)) for rows in groups)):
        source = np.empty(labels.size, dtype=np.int64)
        for rows, own in zip(groups, dealt, strict=True):
            source[rows] = own
        yield source


def _within(labels: IntArray, rows: IntArray) -> Iterator[IntArray]:
    """Yield every arrangement of one stratum, as units whose labels are given to `rows`."""
    kinds, first, counts = np.unique(labels[rows], return_index=True, return_counts=True)
    for places in _places(tuple(range(rows.size)), tuple(int(c) for c in counts)):
        source = np.empty(rows.size, dtype=np.int64)
        for kind in range(kinds.size):
            source[list(places[kind])] = rows[first[kind]]
        yield source


def _places(free: tuple[int, ...], counts: tuple[int, ...]) -> Iterator[list[tuple[int, ...]]]:
    if not counts:
        yield []
        return
    for chosen in combinations(free, counts[0]):
        rest = tuple(place for place in free if place not in chosen)
        for others in _places(rest, counts[1:]):
            yield [chosen, *others]
