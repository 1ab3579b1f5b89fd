"""Who is supported, and when, in the clean world.

Each rule knows the chance of each cohort by number of employees in closed form, so that the effect
in the population that firms are drawn from is known. Rules that select on what nobody observes let
each firm think of support in one round only, drawn by lot, and rank it in that round on a standard
normal index.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
from scipy.special import ndtri, softmax

from exportimpact._typing import FloatArray, IntArray
from exportimpact.synthetic.population import MASS, SIZES, Population, standardised

_SHOCK_SD = 0.5
_STARTS = {3: (0.4, 0.6, 0.8), 1: (0.5,)}


@dataclass(frozen=True, eq=False)
class Selected:
    """Outcome of the awards.

    Attributes
    ----------
    group : (n_firms,)
        Cohort 0, 1, ... of each firm; the number of cohorts when it is never supported.
    round : (n_firms,) or None
        Period of application, where the scenario has applications; the number of periods or more
        when the firm did not apply.
    score : (n_firms,) or None
    """

    group: IntArray
    round: IntArray | None = None
    score: FloatArray | None = None


class Selection(Protocol):
    """A rule of selection."""

    def starts(self, n_periods: int) -> IntArray:
        """Return the places of the cohorts' first supported periods."""

    def chances(self, n_firms: int) -> FloatArray:
        """Return the chance of each cohort, then of never, by number of employees."""

    def select(
        self, rng: np.random.Generator, firms: Population, shocks: FloatArray, starts: IntArray
    ) -> Selected:
        """Return who is supported; `shocks` : (n_firms, n_periods) are the yearly ones."""


@dataclass(frozen=True, kw_only=True)
class _Rounds:
    """Cohorts start at 40, 60 and 80 % of the panel, a single one at half of it.

    Attributes
    ----------
    shares : tuple of float
        Probability of each cohort; the rest is never supported.
    """

    shares: tuple[float, ...]

    def starts(self, n_periods: int) -> IntArray:
        """Return the places of the cohorts' first supported periods."""
        places = [round(share * n_periods) for share in _STARTS[len(self.shares)]]
        return np.array(places, dtype=np.int64)

    def chances(self, n_firms: int) -> FloatArray:
        """Return the chance of each cohort, then of never, by number of employees."""
        return np.tile([*self.shares, 1 - sum(self.shares)], (SIZES.size, 1))

    def _round(self, rng: np.random.Generator, n: int) -> IntArray:
        """Return the round in which each firm thinks of support, (n_firms,)."""
        bounds = np.cumsum(self.shares)[:-1] / sum(self.shares)
        return np.searchsorted(bounds, rng.random(n), side="right").astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class ByOdds(_Rounds):
    """By lot among firms with equally many employees: a multinomial logit.

    The log odds of a cohort against never are linear in employees. Against later cohorts as well
    (the not-yet pool) they are so only about: weighting is then biased by at most 0.002 log points.

    Attributes
    ----------
    slope : float
        Log odds of every cohort, against never, per standard deviation of employees.
    """

    slope: float = 0.0

    def chances(self, n_firms: int) -> FloatArray:
        """Return the chance of each cohort, then of never, by number of employees."""
        return _logit(self.shares, self.slope)

    def select(
        self, rng: np.random.Generator, firms: Population, shocks: FloatArray, starts: IntArray
    ) -> Selected:
        """Return who is supported."""
        chances = self.chances(firms.z.size)[:, : len(self.shares)]
        bounds = np.cumsum(chances, axis=1)[firms.size]
        return Selected((rng.random(firms.z.size)[:, None] >= bounds).sum(axis=1))


@cache
def _logit(shares: tuple[float, ...], slope: float) -> FloatArray:
    wanted = np.array([*shares, 1 - sum(shares)])
    slopes = np.append(np.full(len(shares), slope), 0.0)
    linear = slopes * standardised(SIZES)[:, None]
    constant = np.log(wanted)
    for _ in range(200):  # a contraction, to machine precision long before
        constant += np.log(wanted) - np.log(MASS @ softmax(constant + linear, axis=1))
    chances: FloatArray = softmax(constant + linear, axis=1)
    chances.setflags(write=False)
    return chances


@dataclass(frozen=True, kw_only=True)
class ByIndex(_Rounds):
    """By an index of what nobody observes, and of luck.

    Attributes
    ----------
    level, growth : float
        Correlation of the index with the firm effect and with the growth type.
    bad_year : float
        Correlation with the shock of the year before the round, its sign turned.
    """

    level: float = 0.0
    growth: float = 0.0
    bad_year: float = 0.0

    def select(
        self, rng: np.random.Generator, firms: Population, shocks: FloatArray, starts: IntArray
    ) -> Selected:
        """Return who is supported: the highest of each round."""
        n = firms.z.size
        own = self._round(rng, n)
        before = shocks[np.arange(n), starts[own] - 1] / _SHOCK_SD
        luck = np.sqrt(1 - self.level**2 - self.growth**2 - self.bad_year**2)
        index = self.level * firms.level + self.growth * firms.growth
        index = index - self.bad_year * before + luck * rng.normal(0.0, 1.0, n)
        chosen = index > ndtri(1 - sum(self.shares))
        return Selected(np.where(chosen, own, len(self.shares)))


@dataclass(frozen=True, kw_only=True)
class ByScore(_Rounds):
    """Firms apply, on a growth type that nobody observes; the agency awards by a score of luck.

    Attributes
    ----------
    awarded : float
        Share of applicants that are awarded.
    growth : float
        Correlation of the wish to apply with the growth type.
    """

    awarded: float = 0.4
    growth: float = 0.0

    def select(
        self, rng: np.random.Generator, firms: Population, shocks: FloatArray, starts: IntArray
    ) -> Selected:
        """Return who applied, with what score, and who was awarded."""
        n = firms.z.size
        own = self._round(rng, n)
        wish = self.growth * firms.growth + np.sqrt(1 - self.growth**2) * rng.normal(0.0, 1.0, n)
        applies = wish > ndtri(1 - sum(self.shares) / self.awarded)
        points = rng.normal(0.0, 1.0, n)
        awarded = applies & (points > ndtri(1 - self.awarded))
        return Selected(
            np.where(awarded, own, len(self.shares)),
            np.where(applies, starts[own], shocks.shape[1]),
            np.clip(60.0 + 8.0 * points, 0.0, 100.0),
        )


@dataclass(frozen=True, kw_only=True)
class BelowCutoff(_Rounds):
    """Every firm with at most `employees` is supported, in a round drawn by lot; no other is.

    `shares` are those of the rounds among the eligible, and add up to 1.
    """

    employees: int = 80

    def chances(self, n_firms: int) -> FloatArray:
        """Return the chance of each cohort, then of never, by number of employees."""
        eligible = SIZES[:, None] <= self.employees
        return np.where(eligible, [*self.shares, 0.0], [*(0.0,) * len(self.shares), 1.0])

    def select(
        self, rng: np.random.Generator, firms: Population, shocks: FloatArray, starts: IntArray
    ) -> Selected:
        """Return who is supported."""
        own = self._round(rng, firms.z.size)
        return Selected(np.where(firms.employees <= self.employees, own, len(self.shares)))


@dataclass(frozen=True, kw_only=True)
class ByRegion(_Rounds):
    """Whole regions by lot: `shares` times the number of regions in each round, rounded."""

    def select(
        self, rng: np.random.Generator, firms: Population, shocks: FloatArray, starts: IntArray
    ) -> Selected:
        """Return who is supported."""
        n_regions = len(firms.region.names)
        counts = [round(share * n_regions) for share in self.shares]
        cohorts = np.repeat(np.arange(len(counts) + 1), [*counts, n_regions - sum(counts)])
        return Selected(rng.permutation(cohorts)[firms.region.codes])


@dataclass(frozen=True, kw_only=True)
class Exactly(_Rounds):
    """Exactly `n` firms by lot, all in one round."""

    shares: tuple[float, ...] = (1.0,)
    n: int = 19

    def chances(self, n_firms: int) -> FloatArray:
        """Return the chance of the cohort, then of never, by number of employees."""
        share = min(self.n, n_firms // 2) / n_firms
        return np.tile([share, 1 - share], (SIZES.size, 1))

    def select(
        self, rng: np.random.Generator, firms: Population, shocks: FloatArray, starts: IntArray
    ) -> Selected:
        """Return who is supported."""
        n = firms.z.size
        group = np.ones(n, dtype=np.int64)
        group[rng.permutation(n)[: min(self.n, n // 2)]] = 0
        return Selected(group)
