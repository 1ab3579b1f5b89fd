"""Firms of the export world: size, age, sector, region, productivity, and what luck has in store.

Numbers of employees follow the lognormal that fits Korean manufacturing establishments of five or
more (1992), sectors the employment shares of small and medium ones. Everything random is drawn
here, once, so that worlds with and without a programme differ in nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from exportimpact._typing import FloatArray, IntArray
from exportimpact.synthetic.firms import REGIONS, Category, draw_category, persistent_noise

SECTORS = {
    "food": 0.079,
    "textiles": 0.256,
    "wood": 0.041,
    "paper": 0.061,
    "chemicals": 0.099,
    "minerals": 0.058,
    "metals": 0.032,
    "machinery": 0.344,
    "miscellaneous": 0.030,
}
"""SME employment shares by branch, 1992, derived from KDI/KSP (2013), Table 2-4."""

SIZE_CLASSES = ("micro", "small", "medium", "large")
_SIZE_FROM = np.array([10, 50, 300])
_HEAVY = (6, 7)
"""Codes of the sectors whose demand moves most with the world economy."""


@dataclass(frozen=True, kw_only=True)
class Structure:
    """Who the firms are.

    Attributes
    ----------
    log_size_mean, log_size_sd : float
        Of the lognormal numbers of employees before those below five are left out.
    largest : int
        Employees of the largest firm.
    productivity_slope, productivity_sd : float
        Elasticity of value added per employee to size, and the spread around it.
    """

    log_size_mean: float = -1.1032
    log_size_sd: float = 2.3607
    largest: int = 20_000
    productivity_slope: float = 0.25
    productivity_sd: float = 0.4


@dataclass(frozen=True, kw_only=True)
class Weather:
    """Shocks that firms share.

    Attributes
    ----------
    macro_sd, sector_sd : float
        Standard deviation of the yearly steps of log demand abroad, for all and for a sector.
    crisis : int or None
        Place of a crisis year in the panel.
    crisis_loss : float
        Log points that a firm of average size loses then; half of it is left a year later.
    size_loading : float
        What a firm loses more, as a share, per standard deviation of log size.
    """

    macro_sd: float = 0.03
    sector_sd: float = 0.03
    crisis: int | None = 6
    crisis_loss: float = 0.15
    size_loading: float = 0.3


@dataclass(frozen=True, eq=False)
class Enterprises:
    """Firms and all their luck.

    Attributes
    ----------
    employees, z, productivity, quality : (n_firms,)
        Employees at the start, log employees standardised, log value added per employee, and the
        standard normal rank in the distribution of exports.
    age : (n_firms,)
    sector, region : Category
    demand : (n_firms, n_years)
        Log demand abroad that firms share, burn-in years included.
    yearly, home, jobs : (n_firms, n_years)
        Shocks to log exports, log domestic sales and log employees.
    luck : (2, n_firms, n_years)
        Uniform: exporting, closing.
    reach : (2, n_firms)
        Uniform ranks in destinations and products.
    """

    employees: FloatArray
    z: FloatArray
    productivity: FloatArray
    quality: FloatArray
    age: IntArray
    sector: Category
    region: Category
    demand: FloatArray
    yearly: FloatArray
    home: FloatArray
    jobs: FloatArray
    luck: FloatArray
    reach: FloatArray


def draw_enterprises(
    rng: dict[str, np.random.Generator],
    structure: Structure,
    weather: Weather,
    shape: tuple[int, int],
    burn_in: int,
) -> Enterprises:
    """Return firms and their luck; `shape` is (n_firms, n_periods)."""
    n, n_years = shape[0], shape[1] + burn_in
    firms, outcomes = rng["firms"], rng["outcomes"]
    mean, sd = structure.log_size_mean, structure.log_size_sd
    low, high = (ndtr((np.log(e) - mean) / sd) for e in (4.5, structure.largest))
    log_size = mean + sd * ndtri(low + firms.random(n) * (high - low))
    employees = np.round(np.exp(log_size))
    z = (np.log(employees) - 2.83) / 0.93
    sector = draw_category(firms, SECTORS, n)
    region = draw_category(firms, REGIONS, n)
    slope = structure.productivity_slope
    luck = outcomes.random((2, n, n_years))
    luck[1, :, burn_in] = 1.0  # every firm is there in the first year of the panel
    productivity = slope * log_size + firms.normal(0.0, structure.productivity_sd, n)
    bonus = (productivity - slope * log_size) / structure.productivity_sd
    quality = 0.45 * z + 0.25 * bonus + np.sqrt(1 - 0.45**2 - 0.25**2) * firms.normal(0.0, 1.0, n)
    return Enterprises(
        employees=employees,
        z=z,
        productivity=productivity,
        quality=quality,
        age=1 + firms.gamma(2.0, 5.0, n).astype(np.int64),
        sector=sector,
        region=region,
        demand=_demand(outcomes, weather, z, sector, n_years, burn_in),
        yearly=persistent_noise(outcomes, n, n_years, sd=0.8, persistence=0.5),
        home=persistent_noise(outcomes, n, n_years, sd=0.2, persistence=0.6),
        jobs=persistent_noise(outcomes, n, n_years, sd=0.12, persistence=0.7),
        luck=luck,
        reach=firms.random((2, n)),
    )


def size_classes(employees: FloatArray) -> Category:
    """Return micro (below 10 employees), small (below 50), medium (below 300) or large."""
    return Category(np.searchsorted(_SIZE_FROM, employees, side="right"), SIZE_CLASSES)


def _demand(
    rng: np.random.Generator,
    weather: Weather,
    z: FloatArray,
    sector: Category,
    n_years: int,
    burn_in: int,
) -> FloatArray:
    """Log demand abroad of each firm, (n_firms, n_years)."""
    common = np.cumsum(rng.normal(0.01, weather.macro_sd, n_years))
    steps = rng.normal(0.0, weather.sector_sd, (len(sector.names), n_years))
    steps[list(_HEAVY)] *= 1.5
    path = common + np.cumsum(steps, axis=1)
    # Levels are about the first year of the panel, whatever came before.
    demand: FloatArray = (path - path[:, [burn_in]])[sector.codes]
    if weather.crisis is not None and burn_in + weather.crisis < n_years:
        loss = weather.crisis_loss * (1 + weather.size_loading * z)
        place = burn_in + weather.crisis
        demand[:, place] -= loss
        demand[:, place + 1 : place + 2] -= 0.5 * loss[:, None]
    return demand
