"""Exports in money of firms that all export: lognormal with a Pareto tail, or cut at SME size.

Exports are firm size times a common trend times a yearly shock of mean 1, and support multiplies
them. Support is by lot. Mean exports without support are (mean size) 1.03^t in the population, and
the effect is exp(size of the preset) - 1 of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from exportimpact._typing import FloatArray, IntArray
from exportimpact.core.outcome import Outcome
from exportimpact.data import NEVER
from exportimpact.synthetic.draw import Drawn, DrawSettings
from exportimpact.synthetic.firms import (
    INDUSTRIES,
    REGIONS,
    draw_category,
    exports_and_awards,
    persistent_noise,
)
from exportimpact.synthetic.truth import PotentialOutcomes, SuperPopulation, Truth

_FIRST_YEAR = 2010
_SHARES, _STARTS = (0.15, 0.15, 0.15), (0.4, 0.6, 0.8)
_YEARLY_SD, _TREND = 0.3, 1.03
# 430 of 3,300 firms beyond US$ 10 m are beyond 100 m (2019): exponent 0.885, cut at US$ 100 bn.
_PARETO, _FROM, _LONGEST = 0.885, 0.967, 1e4
_SPREAD = 2.0
_PROGRAMME = "export_support"


@dataclass(frozen=True, kw_only=True)
class HeavyTails:
    """Firms by the size of their exports.

    Attributes
    ----------
    median : float
        KRW m.
    sd : float
        Of log size.
    above : float or None
        Sizes are within `median` times exp(-2 sd) and `median` times `above`; without, the top
        3.3 % have a Pareto tail of exponent 0.885 that ends at 10,000 times its start.
    """

    median: float
    sd: float
    above: float | None

    def generate(self, settings: DrawSettings) -> Drawn:
        """Return one draw."""
        rng, n, n_periods = settings.streams(), settings.n_firms, settings.n_periods
        size = self._sizes(rng["firms"].random(n))
        categories = {
            "industry": draw_category(rng["firms"], INDUSTRIES, n),
            "region": draw_category(rng["firms"], REGIONS, n),
        }
        shocks = persistent_noise(rng["outcomes"], n, n_periods, sd=_YEARLY_SD, persistence=0.5)
        growth = _TREND ** np.arange(n_periods)
        without = size[:, None] * growth * np.exp(shocks - _YEARLY_SD**2 / 2)
        starts = np.array([round(share * n_periods) for share in _STARTS], dtype=np.int64)
        group = np.searchsorted(np.cumsum(_SHARES), rng["support"].random(n), side="right")
        start = np.append(starts, n_periods)[group]
        since = np.arange(n_periods) - start[:, None]
        observed = without * np.exp(settings.preset.exports * (since >= 0))
        years = _FIRST_YEAR + np.arange(n_periods, dtype=np.int64)
        cohort = np.where(start < n_periods, _FIRST_YEAR + start, NEVER)
        truth = Truth(
            scenario=settings.scenario,
            outcomes={
                "exports": PotentialOutcomes(without, observed, "level"),
                "ln_exports": PotentialOutcomes(np.log(without), np.log(observed), "log"),
            },
            cohort=cohort,
            periods=years,
            segments={name: column.values for name, column in categories.items()},
            complete=True,
            laws=self._laws(settings, starts),
        )
        frame, spells = exports_and_awards(observed, cohort, years, categories, _PROGRAMME)
        return Drawn(
            frame=frame,
            spells=spells,
            outcomes=(
                Outcome("exports", unit="KRW m"),
                Outcome("ln_exports", column="exports", scale="log", unit="KRW m"),
            ),
            baseline=tuple(categories),
            focus=_PROGRAMME,
            truth=truth,
        )

    def _sizes(self, luck: FloatArray) -> FloatArray:
        """Return sizes at the quantiles `luck`, (n_firms,)."""
        if self.above is not None:
            low, high = ndtr(-_SPREAD), ndtr(math.log(self.above) / self.sd)
            sizes: FloatArray = self.median * np.exp(self.sd * ndtri(low + luck * (high - low)))
            return sizes
        threshold = math.exp(self.sd * float(ndtri(_FROM)))
        beyond = np.clip((luck - _FROM) / (1 - _FROM), 0.0, 1.0)
        tail = threshold * (1 - beyond * (1 - _LONGEST**-_PARETO)) ** (-1 / _PARETO)
        body = np.exp(self.sd * ndtri(np.minimum(luck, _FROM)))
        return self.median * np.where(luck < _FROM, body, tail)

    def _mean(self) -> float:
        """Mean size in the population."""
        lognormal = math.exp(self.sd**2 / 2)
        if self.above is not None:
            low, high = -_SPREAD, math.log(self.above) / self.sd
            inside = float(ndtr(high - self.sd) - ndtr(low - self.sd))
            return self.median * lognormal * inside / float(ndtr(high) - ndtr(low))
        border = float(ndtri(_FROM))
        body = lognormal * float(ndtr(border - self.sd))
        power = _PARETO / (1 - _PARETO) * (_LONGEST ** (1 - _PARETO) - 1)
        tail = math.exp(self.sd * border) * power / (1 - _LONGEST**-_PARETO)
        return float(self.median * (body + (1 - _FROM) * tail))

    def _laws(self, settings: DrawSettings, starts: IntArray) -> dict[str, SuperPopulation]:
        cohorts = [_FIRST_YEAR + int(start) for start in starts]
        shares = dict(zip(cohorts, _SHARES, strict=True))
        after = {
            (g, _FIRST_YEAR + t): float(_FIRST_YEAR + t >= g)
            for g in cohorts
            for t in range(settings.n_periods)
        }
        size, mean = settings.preset.exports, self._mean()
        logs = SuperPopulation(shares, {pair: size * on for pair, on in after.items()})
        without = {pair: mean * _TREND ** (pair[1] - _FIRST_YEAR) for pair in after}
        effects = {pair: math.expm1(size) * on * without[pair] for pair, on in after.items()}
        return {"ln_exports": logs, "exports": SuperPopulation(shares, effects, without)}
