"""Coverage where whole regions are supported and there are only 17 of them.

Firms of a region share a persistent shock. Cluster sums pooled over cohorts with t(G - 1) cover
41-71 % with staggered starts, because a cohort's own sums add up to zero; variances within (cohort,
arm) strata with Satterthwaite degrees of freedom should cover 95 %. Bands as in
test_known_effects.py.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import exportimpact as ei

REGIONS, FIRMS, YEARS = 17, 20, np.arange(2010, 2020)
STARTS = {
    "one_start": (2014,) * 8,
    "five_of_seventeen": (2014,) * 5,
    "staggered": (2014,) * 3 + (2016,) * 3 + (2018,) * 2,
}
COVERAGE = {300: (0.903, 0.987), 2000: (0.9335, 0.9655)}


def draw(seed: int, starts: tuple[int, ...]) -> ei.SealedDesign:
    """A panel without any effect."""
    rng = np.random.default_rng(seed)
    n = REGIONS * FIRMS
    region = np.repeat(np.arange(REGIONS), FIRMS)
    shock = 0.1 * rng.normal(size=(REGIONS, YEARS.size)).cumsum(axis=1)
    y = rng.normal(size=(n, 1)) + 0.5 * rng.normal(size=(n, YEARS.size)) + shock[region]
    frame = pd.DataFrame(
        {
            "firm": np.repeat(np.arange(n), YEARS.size),
            "year": np.tile(YEARS, n),
            "y": y.ravel(),
            "region": np.repeat(region, YEARS.size),
        }
    )
    start = np.array([*starts, *(0,) * (REGIONS - len(starts))])[region]
    first = pd.DataFrame({"firm": np.arange(n), "first": pd.array(start, dtype="Int64")})
    first.loc[first["first"] == 0, "first"] = pd.NA
    panel = ei.Panel.from_frame(
        frame,
        unit="firm",
        period="year",
        outcomes=[ei.Outcome("y", scale="logged")],
        cluster="region",
    )
    support = ei.Assignment.from_first_period(first, unit="firm", first_period="first")
    return ei.Design(panel, support, outcome="y", assigned_at="region").seal()


@pytest.mark.parametrize("starts", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize(
    "draws", [pytest.param(300), pytest.param(2000, marks=pytest.mark.calibration)]
)
def test_seventeen_regions(starts: tuple[int, ...], draws: int) -> None:
    covers, estimate, std_error = [], [], []
    for seed in range(1, draws + 1):
        row = ei.did.GroupTime().estimate(draw(seed, starts)).overall("simple").table().iloc[0]
        covers.append(row.ci_low <= 0 <= row.ci_high)
        estimate.append(row.estimate)
        std_error.append(row.std_error)
    low, high = COVERAGE[draws]
    ratio = np.sqrt(np.mean(np.square(std_error))) / np.std(estimate, ddof=1)
    assert low <= np.mean(covers) <= high, np.mean(covers)
    assert abs(ratio - 1) <= 3.29 / np.sqrt(2 * draws), ratio
