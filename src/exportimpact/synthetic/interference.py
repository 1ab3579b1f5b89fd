"""What support does to firms without it: rivals lose, and other programmes step in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd

from exportimpact._typing import FloatArray, IntArray
from exportimpact.data.assignment import Others
from exportimpact.synthetic.draw import DrawSettings
from exportimpact.synthetic.firms import INDUSTRIES, REGIONS
from exportimpact.synthetic.population import Population

FIRST_YEAR = 2010


@dataclass(frozen=True, eq=False)
class SideEffects:
    """Effects on firms without support.

    Attributes
    ----------
    effect : (n_firms, n_periods)
    spells : tuple of DataFrame
        Awards by other programmes.
    others
        How the assignment treats firms with support by other programmes.
    """

    effect: FloatArray
    spells: tuple[pd.DataFrame, ...] = ()
    others: Others = "drop_comparison"


class Interference(Protocol):
    """A way in which support reaches firms without it."""

    def draw(
        self, rng: np.random.Generator, firms: Population, start: IntArray, n_periods: int
    ) -> SideEffects:
        """Return the effects, when firms start at `start` (the number of periods: never)."""

    def expected(self, shares: FloatArray, starts: IntArray, settings: DrawSettings) -> FloatArray:
        """Return the mean effect on firms that are not supported yet, (n_periods,)."""


@dataclass(frozen=True)
class Nothing:
    """No interference."""

    def draw(
        self, rng: np.random.Generator, firms: Population, start: IntArray, n_periods: int
    ) -> SideEffects:
        """Return no effects."""
        return SideEffects(np.zeros((start.size, n_periods)))

    def expected(self, shares: FloatArray, starts: IntArray, settings: DrawSettings) -> FloatArray:
        """Return no effects, (n_periods,)."""
        return np.zeros(settings.n_periods)


NO_INTERFERENCE = Nothing()


@dataclass(frozen=True, kw_only=True)
class Displacement:
    """Firms without support lose to supported rivals of the same industry and region.

    Attributes
    ----------
    loss : float
        Log points when all other firms of the industry and region are supported.
    """

    loss: float

    def draw(
        self, rng: np.random.Generator, firms: Population, start: IntArray, n_periods: int
    ) -> SideEffects:
        """Return the losses of firms that are not supported (yet)."""
        n_industries = len(firms.industry.names)
        market = firms.region.codes * n_industries + firms.industry.codes
        supported = np.arange(n_periods) >= start[:, None]
        markets = n_industries * len(firms.region.names)
        rivals = np.bincount(market, minlength=markets) - 1
        count = np.zeros((markets, n_periods))
        np.add.at(count, market, supported)
        share = count[market] / np.maximum(rivals, 1)[market][:, None]
        return SideEffects(np.where(supported, 0.0, -self.loss * share))

    def expected(self, shares: FloatArray, starts: IntArray, settings: DrawSettings) -> FloatArray:
        """Return the mean effect; a firm without rivals loses nothing, (n_periods,)."""
        share = np.outer(list(REGIONS.values()), list(INDUSTRIES.values())).ravel()
        has_rivals = float(share @ (1 - (1 - share) ** (settings.n_firms - 1)))
        supported = (shares[:, None] * (np.arange(settings.n_periods) >= starts[:, None])).sum(0)
        loss: FloatArray = -self.loss * has_rivals * supported
        return loss


@dataclass(frozen=True, kw_only=True)
class Substitute:
    """Some firms that the programme never supports get another one instead.

    Attributes
    ----------
    chance : float
        Share of never supported firms that do, all from the first awards on.
    effect : float
        What it does for them, in log points.
    """

    chance: float
    effect: float
    programme: str = field(default="neighbour_programme")

    def draw(
        self, rng: np.random.Generator, firms: Population, start: IntArray, n_periods: int
    ) -> SideEffects:
        """Return the effects of the other programme, and its awards."""
        first = int(start.min())
        takes = (start == n_periods) & (rng.random(start.size) < self.chance)
        since = takes[:, None] & (np.arange(n_periods) >= first)
        spells = pd.DataFrame(
            {
                "firm_id": firms.ids[takes],
                "award_year": FIRST_YEAR + first,
                "programme": self.programme,
            }
        )
        return SideEffects(np.where(since, self.effect, 0.0), (spells,), "ignore")

    def expected(self, shares: FloatArray, starts: IntArray, settings: DrawSettings) -> FloatArray:
        """Return no effects: firms of a cohort get no other support, (n_periods,)."""
        return np.zeros(settings.n_periods)
