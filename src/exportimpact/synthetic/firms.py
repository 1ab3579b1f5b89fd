"""Firms: who they are before anything happens to them, and how their shocks persist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from exportimpact._typing import AnyArray, FloatArray, IntArray
from exportimpact.data import NEVER

FIRST_ID = 10_001

INDUSTRIES = {
    "food": 0.12,
    "textiles": 0.13,
    "chemicals": 0.17,
    "metals": 0.20,
    "machinery": 0.23,
    "electronics": 0.15,
}
"""Industries and their shares; unequal on purpose, otherwise conventions of the bench."""

REGIONS = {
    "Seoul": 0.18,
    "Busan": 0.065,
    "Daegu": 0.045,
    "Incheon": 0.06,
    "Gwangju": 0.025,
    "Daejeon": 0.025,
    "Ulsan": 0.02,
    "Sejong": 0.01,
    "Gyeonggi": 0.26,
    "Gangwon": 0.03,
    "Chungbuk": 0.035,
    "Chungnam": 0.045,
    "Jeonbuk": 0.03,
    "Jeonnam": 0.035,
    "Gyeongbuk": 0.055,
    "Gyeongnam": 0.07,
    "Jeju": 0.01,
}
"""The 17 provinces and metropolitan cities, with shares that roughly follow population."""


@dataclass(frozen=True, eq=False)
class Category:
    """A categorical column: `codes` (n_firms,) into `names`."""

    codes: IntArray
    names: tuple[str, ...]

    @property
    def values(self) -> AnyArray:
        """Names by firm, (n_firms,)."""
        return np.asarray(self.names)[self.codes]

    def repeated(self, times: int) -> pd.Series[str]:
        """Return the column of a long frame with `times` periods per firm."""
        dtype = pd.CategoricalDtype(list(self.names))
        return pd.Series(pd.Categorical.from_codes(np.repeat(self.codes, times), dtype=dtype))


def draw_category(rng: np.random.Generator, shares: dict[str, float], n: int) -> Category:
    """Return `n` independent draws with the given shares."""
    bounds = np.cumsum(list(shares.values()))[:-1]
    return Category(np.searchsorted(bounds, rng.random(n), side="right"), tuple(shares))


def persistent_noise(
    rng: np.random.Generator, n_firms: int, n_periods: int, *, sd: float, persistence: float
) -> FloatArray:
    """Return a stationary AR(1) per firm, (n_firms, n_periods), with standard deviation `sd`."""
    noise: FloatArray = rng.normal(0.0, sd, (n_firms, n_periods))
    fresh = np.sqrt(1 - persistence**2)
    for t in range(1, n_periods):
        noise[:, t] = persistence * noise[:, t - 1] + fresh * noise[:, t]
    return noise


def exports_and_awards(
    exports: FloatArray,
    cohort: IntArray,
    years: IntArray,
    categories: Mapping[str, Category],
    programme: str,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a long frame of exports (n_firms, n_periods), and one award per supported firm."""
    n, n_periods = exports.shape
    ids, supported = firm_ids(n), cohort != NEVER
    frame = pd.DataFrame(
        {
            "firm_id": np.repeat(ids, n_periods),
            "year": np.tile(years, n),
            "exports": exports.ravel(),
            **{name: column.repeated(n_periods) for name, column in categories.items()},
        }
    )
    spells = {"firm_id": ids[supported], "award_year": cohort[supported]}
    return frame, pd.DataFrame({**spells, "programme": programme})


def firm_ids(n: int) -> IntArray:
    """Return the identifiers of `n` firms, ascending, (n_firms,)."""
    return np.arange(FIRST_ID, FIRST_ID + n, dtype=np.int64)
