"""Coverage of the wild cluster bootstrap and of randomisation tests with 17 regions.

The panels are those of test_few_clusters.py: whole regions are supported, and firms of a region
share a persistent shock. Zero, the true effect, is covered where it is not rejected at 5 %; the
draws (99 for randomisation, which makes it exact at 5 %) are those of each panel's seal. Bands as
in test_known_effects.py, which are 0.895-0.990 at 200 panels. A restricted wild bootstrap rejects
too rarely where supported clusters get few (MacKinnon & Webb 2017, doi:10.1002/jae.2508), so that
only 8 of 17 with one start is held from both sides; a randomisation test is exact for exchangeable
regions, and with ties or few arrangements conservative: it is held from below.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import exportimpact as ei

REGIONS, FIRMS, YEARS = 17, 20, np.arange(2010, 2020)
STARTS = {
    "eight_of_seventeen": (2014,) * 8,
    "five_of_seventeen": (2014,) * 5,
    "staggered": (2014,) * 3 + (2016,) * 3 + (2018,) * 2,
}
PANELS, LOW, HIGH = 200, 0.895, 0.990
TWO_SIDED = {("wild_regression", "eight_of_seventeen"), ("wild_score", "eight_of_seventeen")}


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
    outcome = ei.Outcome("y", scale="logged")
    panel = ei.Panel.from_frame(
        frame, unit="firm", period="year", outcomes=[outcome], cluster="region"
    )
    support = ei.Assignment.from_first_period(first, unit="firm", first_period="first")
    return ei.Design(panel, support, outcome="y", assigned_at="region").seal()


def covered(method: str, design: ei.SealedDesign, seed: int) -> bool:
    """Whether no effect, which is the truth, is not rejected at 5 %."""
    if method == "randomisation":
        test = ei.randomisation_test(ei.did.GroupTime(), design, draws=99, rng=seed)
        return test.p_value > 0.05
    estimator = ei.did.TwoWayFixedEffects() if method == "wild_regression" else ei.did.GroupTime()
    wild = ei.wild_cluster_test(estimator.estimate(design), rng=seed)
    return wild.ci_low <= 0 <= wild.ci_high


@pytest.mark.calibration
@pytest.mark.parametrize("starts", STARTS)
@pytest.mark.parametrize("method", ["wild_regression", "wild_score", "randomisation"])
def test_coverage(method: str, starts: str) -> None:
    inside = [
        covered(method, draw(seed, STARTS[starts]), seed) for seed in range(5001, 5001 + PANELS)
    ]
    coverage = np.mean(inside)
    print(f"{method}, {starts}: {coverage:.3f}")
    assert coverage >= LOW
    assert coverage <= HIGH or (method, starts) not in TWO_SIDED
