"""Firms that have never exported, half of them supported in one year; ambition is not observed.

From the year of support on, a firm exports in a year with probability 0.3 q, where q between 0 and
1 is its ambition, plus the effect of the preset on participation if it is supported. Ambitious
firms are supported more often. Nobody exports before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exportimpact.core.outcome import Outcome
from exportimpact.data import NEVER
from exportimpact.synthetic.draw import Drawn, DrawSettings
from exportimpact.synthetic.firms import INDUSTRIES, REGIONS, draw_category, exports_and_awards
from exportimpact.synthetic.truth import PotentialOutcomes, SuperPopulation, Truth

_FIRST_YEAR = 2010
_CHANCE = 0.6
_PROGRAMME = "start_exporting"


@dataclass(frozen=True, kw_only=True)
class Beginners:
    """How strongly ambition drives support.

    Attributes
    ----------
    pull : float
        The chance of support is 1/2 at average ambition, and rises by `pull` from 0 to 1.
    """

    pull: float = 0.8

    def generate(self, settings: DrawSettings) -> Drawn:
        """Return one draw."""
        rng, n, n_periods = settings.streams(), settings.n_firms, settings.n_periods
        start = n_periods // 2
        ambition = rng["firms"].random(n)
        categories = {
            "industry": draw_category(rng["firms"], INDUSTRIES, n),
            "region": draw_category(rng["firms"], REGIONS, n),
        }
        supported = rng["support"].random(n) < 0.5 + self.pull * (ambition - 0.5)
        eligible = np.arange(n_periods) >= start
        chance = np.where(eligible, _CHANCE * ambition[:, None], 0.0)
        gain = settings.preset.participation * (supported[:, None] & eligible)
        luck = rng["outcomes"].random((n, n_periods))
        without = (luck < chance).astype(np.float64)
        observed = (luck < chance + gain).astype(np.float64)
        value = np.exp(3.0 + rng["outcomes"].normal(0.0, 1.0, (n, n_periods)))
        years = _FIRST_YEAR + np.arange(n_periods, dtype=np.int64)
        cohort = np.where(supported, _FIRST_YEAR + start, NEVER)
        effects = {
            (_FIRST_YEAR + start, _FIRST_YEAR + t): settings.preset.participation
            for t in range(start, n_periods)
        }
        truth = Truth(
            scenario=settings.scenario,
            outcomes={
                "exporting": PotentialOutcomes(without, observed, "binary"),
                "exports": PotentialOutcomes(without * value, observed * value, "level"),
            },
            cohort=cohort,
            periods=years,
            segments={name: column.values for name, column in categories.items()},
            complete=True,
            laws={"exporting": SuperPopulation({_FIRST_YEAR + start: 0.5}, effects)},
        )
        frame, spells = exports_and_awards(observed * value, cohort, years, categories, _PROGRAMME)
        return Drawn(
            frame=frame,
            spells=spells,
            outcomes=(
                Outcome("exports", unit="KRW m"),
                Outcome("exporting", column="exports", scale="binary"),
            ),
            baseline=tuple(categories),
            focus=_PROGRAMME,
            truth=truth,
        )
