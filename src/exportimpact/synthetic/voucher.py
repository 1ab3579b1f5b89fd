"""A synthetic Korean export-voucher panel: about half of the firms do not export.

Without vouchers a firm exports in year t with probability 0.64 q + 0.36 s + drift, where s is
whether it exported the year before and q its own long-run probability: high for regular exporters,
low for others, so that half of the new exporters are gone after a year and those who stay tend to
stay. Log exports of exporters are a firm effect, rising with size, plus the year, growth that
differs with size, and a stationary AR(1). A voucher adds the preset's effect to log exports and to
the probability of exporting, from the first award on; a second award adds nothing. It changes
neither survival nor domestic sales; sales move with exports alone. Shocks are the same with and
without support, so that the truth is exact for these very firms. It has no closed form in the
population that they are drawn from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from exportimpact._typing import BoolArray, FloatArray, IntArray
from exportimpact.core.outcome import Outcome
from exportimpact.data import NEVER
from exportimpact.synthetic.awards import LAST_CALL, PROGRAMME, Register, draw_awards
from exportimpact.synthetic.draw import Drawn, DrawSettings
from exportimpact.synthetic.firms import (
    INDUSTRIES,
    REGIONS,
    Category,
    draw_category,
    firm_ids,
    persistent_noise,
)
from exportimpact.synthetic.presets import Preset
from exportimpact.synthetic.truth import PotentialOutcomes, Truth

FIRST_YEAR = 2013
OUTCOMES = (
    Outcome("exports", unit="KRW m"),
    Outcome("exporting", column="exports", scale="binary"),
    Outcome("ln_exports", column="exports", scale="log", unit="KRW m"),
    Outcome("sales", unit="KRW m"),
    Outcome("employees", unit="persons"),
)
BASELINE = ("size", "stage", "industry", "region", "age")
STAGES = ("domestic", "beginner", "promising", "leading")

# Stages begin at US$ 1k, 100k and 1 m of exports, at 1,130 KRW.
_STAGE_FROM = np.array([1.13, 113.0, 1130.0])
_STATE = 0.36
_SIZE_MEAN = 3.0


@dataclass(frozen=True, eq=False)
class _Firms:
    """Firms before any voucher, (n_firms,) each."""

    z: FloatArray
    industry: Category
    region: Category
    age: IntArray
    regular: BoolArray
    often: FloatArray
    last: IntArray


@dataclass(frozen=True, eq=False)
class _Shocks:
    """Everything that happens with and without support alike, (n_firms, n_periods) each."""

    log_exports: FloatArray
    chance: FloatArray
    luck: FloatArray
    domestic: FloatArray
    employees: FloatArray
    alive: BoolArray


def draw_voucher(settings: DrawSettings) -> Drawn:
    """Return one draw of the voucher panel."""
    rng, n_periods = settings.streams(), settings.n_periods
    firms = _draw_firms(rng["firms"], settings.n_firms)
    shocks = _draw_shocks(rng["outcomes"], firms, n_periods)
    none = np.full(shocks.luck.shape, -1, dtype=np.int64)
    without = _outcomes(shocks, none, settings.preset)
    stage = np.searchsorted(_STAGE_FROM, without["exports"][:, 0], side="right")

    ids, years = firm_ids(settings.n_firms), FIRST_YEAR + np.arange(n_periods, dtype=np.int64)
    register = Register(ids, stage, firms.z)
    awards = draw_awards(rng["support"], register, FIRST_YEAR, n_periods)
    started = awards.first != NEVER
    since = np.arange(n_periods) - np.where(started, awards.first, n_periods)[:, None]
    supported = _outcomes(shocks, since, settings.preset)

    stages = Category(stage, STAGES)
    truth = Truth(
        scenario=settings.scenario,
        outcomes={
            o.name: PotentialOutcomes(without[o.name], supported[o.name], o.scale) for o in OUTCOMES
        },
        cohort=np.where(started, FIRST_YEAR + awards.first, NEVER),
        periods=years,
        segments={
            "stage": stages.values,
            "industry": firms.industry.values,
            "region": firms.region.values,
        },
        complete=False,
    )
    return Drawn(
        frame=_frame(rng["reports"], ids, years, firms, stages, shocks.alive, supported),
        spells=awards.spells,
        outcomes=OUTCOMES,
        baseline=BASELINE,
        exit="closed",
        focus=PROGRAMME,
        truth=truth,
    )


def _draw_firms(rng: np.random.Generator, n: int) -> _Firms:
    """SMEs of 3 to 299 employees, their type as exporters, and when they close."""
    z = np.clip(rng.normal(0.0, 1.0, n), np.log(3) - _SIZE_MEAN, np.log(299) - _SIZE_MEAN)
    industry = draw_category(rng, INDUSTRIES, n)
    region = draw_category(rng, REGIONS, n)
    age = 1 + rng.gamma(2.0, 5.0, n).astype(np.int64)
    regular = rng.random(n) < expit(-0.3 + 0.7 * z)
    often = np.where(regular, rng.beta(60.0, 1.5, n), rng.beta(1.0, 8.0, n))
    # Firms close from the year of the last call on; most places lie after the panel.
    hazard = np.minimum(0.03 * np.exp(-0.4 * z), 0.1)
    last = LAST_CALL - 1 + rng.geometric(hazard, n)
    return _Firms(z, industry, region, age, regular, often, last)


def _draw_shocks(rng: np.random.Generator, firms: _Firms, n_periods: int) -> _Shocks:
    n, t = firms.z.size, np.arange(n_periods)
    z = firms.z[:, None]
    macro = np.cumsum(rng.normal(0.02, 0.05, n_periods))
    level = 2.5 + 0.8 * firms.z + 1.2 * firms.regular + rng.normal(0.0, 1.8, n)
    yearly = persistent_noise(rng, n, n_periods, sd=0.8, persistence=0.5)
    domestic_level = 8.3 + firms.z + rng.normal(0.0, 0.6, n)
    domestic_yearly = persistent_noise(rng, n, n_periods, sd=0.2, persistence=0.6)
    jobs = persistent_noise(rng, n, n_periods, sd=0.12, persistence=0.7)
    return _Shocks(
        log_exports=level[:, None] + macro + 0.02 * z * t + yearly,
        chance=(1 - _STATE) * firms.often[:, None] + 0.002 * z * t,
        luck=rng.random((n, n_periods)),
        domestic=np.exp(domestic_level[:, None] + 0.02 * t + domestic_yearly),
        employees=_SIZE_MEAN + z + (0.01 + 0.005 * z) * t + jobs - jobs[:, :1],
        alive=t <= firms.last[:, None],
    )


def _outcomes(shocks: _Shocks, since: IntArray, preset: Preset) -> dict[str, FloatArray]:
    """Each outcome, (n_firms, n_periods), when support started `since` periods ago (< 0: not)."""
    share = preset.share(since)
    # What is left of last year's effect through state dependence is not added twice.
    fresh = preset.participation * (share - _STATE * preset.share(since - 1))
    exporting = np.empty(share.shape, dtype=bool)
    exporting[:, 0] = shocks.luck[:, 0] < shocks.chance[:, 0] / (1 - _STATE)
    for t in range(1, share.shape[1]):
        chance = shocks.chance[:, t] + _STATE * exporting[:, t - 1] + fresh[:, t]
        exporting[:, t] = shocks.luck[:, t] < chance
    exporting &= shocks.alive
    value = np.maximum(_won(np.exp(shocks.log_exports + preset.exports * share)), 1e-6)
    exports = np.where(exporting, value, 0.0)
    sales = np.where(shocks.alive, _won(shocks.domestic) + exports, 0.0)
    employees = np.round(np.exp(shocks.employees + preset.employment * share), 1)
    return {
        "exports": exports,
        "exporting": exporting.astype(np.float64),
        "ln_exports": np.log(np.where(exporting, exports, np.nan)),
        "sales": sales,
        "employees": np.where(shocks.alive, employees, 0.0),
    }


def _won(millions: FloatArray) -> FloatArray:
    """Round KRW m to whole won: money does not come in fractions of it."""
    return np.round(millions, 6)


def _frame(
    rng: np.random.Generator,
    ids: IntArray,
    years: IntArray,
    firms: _Firms,
    stages: Category,
    alive: BoolArray,
    outcomes: dict[str, FloatArray],
) -> pd.DataFrame:
    """Rows up to the year of closing; smaller firms fail to report more often."""
    n, n_periods = alive.shape
    silent = rng.random(alive.shape) < 0.03 * np.exp(-0.2 * firms.z)[:, None]
    silent[:, 0] = False
    reported = {
        name: np.where(silent, np.nan, outcomes[name]).ravel()
        for name in ("exports", "sales", "employees")
    }
    place = np.arange(n_periods)
    frame = pd.DataFrame(
        {
            "firm_id": np.repeat(ids, n_periods),
            "year": np.tile(years, n),
            **reported,
            "size": np.repeat(np.round(_SIZE_MEAN + firms.z, 4), n_periods),
            "stage": stages.repeated(n_periods),
            "industry": firms.industry.repeated(n_periods),
            "region": firms.region.repeated(n_periods),
            "age": (firms.age[:, None] + place).ravel(),
            "closed": (place == firms.last[:, None]).ravel(),
        }
    )
    return frame[alive.ravel()].reset_index(drop=True)
