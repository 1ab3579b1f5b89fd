"""Three clean panels for certification: staggered support of firms with log exports.

Log exports without support are

    y0[i, t] = 5 + 0.5 z[i] + a[i] + 0.03 t + drift z[i] t + e[i, t]

with z the standardised number of employees, a normal firm effects (sd 1) and e a stationary AR(1)
(sd 0.5, persistence 0.5). Support adds an effect from its first year on. Cohorts start at 40, 60
and 80 % of the panel. Firms are independent draws, and so is the cohort of a firm given its z.

The log odds of a cohort against never are linear in employees. Against later cohorts as well (the
not-yet pool) they are so only about: weighting is then biased by at most 0.002 log points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import softmax

from exportimpact._typing import FloatArray, IntArray
from exportimpact.core.outcome import Outcome
from exportimpact.data import NEVER
from exportimpact.synthetic.draw import Drawn, DrawSettings
from exportimpact.synthetic.firms import (
    INDUSTRIES,
    REGIONS,
    draw_category,
    firm_ids,
    persistent_noise,
)
from exportimpact.synthetic.truth import PotentialOutcomes, SuperPopulation, Truth

FIRST_YEAR = 2010
PROGRAMME = "export_support"
BASELINE = ("employees", "industry", "region")
OUTCOME = Outcome("ln_exports", unit="log KRW m", scale="logged")

# Number of employees of the eligible firms: 10 to 250, skewed to the right, so that expectations
# over firms are finite sums and no firm is so large that overlap fails.
_EMPLOYEES = np.arange(10, 251)
_SHAPE = (_EMPLOYEES - 9.5) * (250.5 - _EMPLOYEES) ** 3
_MASS: FloatArray = _SHAPE / _SHAPE.sum()
_MEAN = float(_MASS @ _EMPLOYEES)
_SD = float(np.sqrt(_MASS @ (_EMPLOYEES - _MEAN) ** 2))


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """What distinguishes one roll-out from another.

    Attributes
    ----------
    shares : tuple of float
        Probability of the first, second and third cohort; the rest is never supported.
    strength : tuple of float
        Effect of each cohort, in units of the preset.
    growing : bool
        Whether the effect is 1, 2, 3, ... times its first size in successive years.
    spread : float
        Standard deviation of firms' own effects around the mean, as a share of it.
    selection : float
        Log odds of every cohort, against never, per standard deviation of employees.
    drift : float
        Yearly growth of log exports per standard deviation of employees.
    """

    shares: tuple[float, float, float]
    strength: tuple[float, float, float] = (1.0, 1.0, 1.0)
    growing: bool = False
    spread: float = 0.0
    selection: float = 0.0
    drift: float = 0.0

    def generate(self, settings: DrawSettings) -> Drawn:
        """Return one draw."""
        rng, n, n_periods = settings.streams(), settings.n_firms, settings.n_periods
        size = np.searchsorted(np.cumsum(_MASS)[:-1], rng["firms"].random(n), side="right")
        industry = draw_category(rng["firms"], INDUSTRIES, n)
        region = draw_category(rng["firms"], REGIONS, n)
        group = self._group(rng["support"], size)
        without, effect = self._outcomes(rng, size, group, settings)

        years = FIRST_YEAR + np.arange(n_periods, dtype=np.int64)
        starts = FIRST_YEAR + _starts(n_periods)
        cohort = np.append(starts, NEVER)[group]
        ids = firm_ids(n)
        frame = pd.DataFrame(
            {
                "firm_id": np.repeat(ids, n_periods),
                "year": np.tile(years, n),
                "ln_exports": (without + effect).ravel(),
                "employees": np.repeat(_EMPLOYEES[size], n_periods),
                "industry": industry.repeated(n_periods),
                "region": region.repeated(n_periods),
            }
        )
        truth = Truth(
            scenario=settings.scenario,
            outcomes={"ln_exports": PotentialOutcomes(without, without + effect, "logged")},
            cohort=cohort,
            periods=years,
            segments={"industry": industry.values, "region": region.values},
            complete=True,
            super_population=self._law(starts, years, settings.preset.exports),
        )
        supported = cohort != NEVER
        awards = {"firm_id": ids[supported], "award_year": cohort[supported]}
        return Drawn(
            frame=frame,
            spells=pd.DataFrame({**awards, "programme": PROGRAMME}),
            outcomes=(OUTCOME,),
            baseline=BASELINE,
            focus=PROGRAMME,
            truth=truth,
        )

    def _group(self, rng: np.random.Generator, size: IntArray) -> IntArray:
        """Cohort 0, 1 or 2 of each firm, or 3 when it is never supported, (n_firms,)."""
        bounds = np.cumsum(self._chances(), axis=1)[size, :3]
        group: IntArray = (rng.random(size.size)[:, None] >= bounds).sum(axis=1)
        return group

    def _chances(self) -> FloatArray:
        """Probability of each cohort, and of never, by number of employees: multinomial logit."""
        wanted = np.array([*self.shares, 1 - sum(self.shares)])
        slope = np.array([self.selection] * 3 + [0.0]) * _z(np.arange(_EMPLOYEES.size))[:, None]
        constant = np.log(wanted)
        for _ in range(200):  # a contraction, to machine precision long before
            constant += np.log(wanted) - np.log(_MASS @ softmax(constant + slope, axis=1))
        chances: FloatArray = softmax(constant + slope, axis=1)
        return chances

    def _outcomes(
        self,
        rng: dict[str, np.random.Generator],
        size: IntArray,
        group: IntArray,
        settings: DrawSettings,
    ) -> tuple[FloatArray, FloatArray]:
        """Log exports without support, and what support adds, each (n_firms, n_periods)."""
        n, n_periods, z = settings.n_firms, settings.n_periods, _z(size)
        noise = persistent_noise(rng["outcomes"], n, n_periods, sd=0.5, persistence=0.5)
        level = 5.0 + 0.5 * z + rng["outcomes"].normal(0.0, 1.0, n)
        without: FloatArray = (
            level[:, None] + (0.03 + self.drift * z)[:, None] * np.arange(n_periods) + noise
        )
        own = 1.0 + self.spread * rng["effects"].normal(0.0, 1.0, n)
        # Firms that are never supported start after the last period.
        since = np.arange(n_periods) - np.append(_starts(n_periods), n_periods)[group][:, None]
        strength = np.append(self.strength, 0.0)[group] * own * settings.preset.exports
        effect = strength[:, None] * np.where(since >= 0, 1 + since * self.growing, 0)
        return without, effect

    def _law(self, starts: IntArray, years: IntArray, size: float) -> SuperPopulation:
        cohorts = [int(g) for g in starts]
        effects = {
            (g, int(t)): strength * size * (1 + (int(t) - g) * self.growing)
            for g, strength in zip(cohorts, self.strength, strict=True)
            for t in years[years >= g]
        }
        return SuperPopulation(dict(zip(cohorts, self.shares, strict=True)), effects)


def _starts(n_periods: int) -> IntArray:
    """Places of the cohorts' first supported periods, (3,)."""
    return np.array([round(share * n_periods) for share in (0.4, 0.6, 0.8)], dtype=np.int64)


def _z(size: IntArray) -> FloatArray:
    """Standardised number of employees at the places `size`."""
    z: FloatArray = (_EMPLOYEES[size].astype(np.float64) - _MEAN) / _SD
    return z
