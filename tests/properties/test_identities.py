"""Influence functions give the errors; aggregates are the weighted means that they say they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exportimpact.did import GroupTime, Intertemporal, TwoPeriod
from exportimpact.matched import Benchmark

SEED = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=5)
X = {"covariates": ["x"]}
ESTIMATORS = [
    pytest.param(GroupTime(adjust="none"), {"comparison": "not_yet"}, id="none"),
    pytest.param(GroupTime(adjust="regression"), X, id="regression"),
    pytest.param(GroupTime(adjust="weighting"), X, id="weighting"),
    pytest.param(GroupTime(adjust="doubly_robust"), X | {"base": "varying"}, id="robust"),
    pytest.param(TwoPeriod(event_time=0), {}, id="two_period"),
    pytest.param(Intertemporal(), {"comparison": "not_yet"}, id="intertemporal"),
    pytest.param(Benchmark(strata=("kind",)), {}, id="benchmark"),
]
every_estimator = pytest.mark.parametrize(("estimator", "options"), ESTIMATORS)
KINDS = ("simple", "event_time", "cohort", "calendar")


@every_estimator
@pytest.mark.parametrize("weight", [None, "w"])
@FEW
@given(seed=SEED)
def test_influence_has_mean_zero_and_gives_the_errors(estimator, options, weight, seed, firms):
    result = replace(firms(seed, gaps=0.1), weight=weight).estimate(estimator, **options)
    rows = [result, *(result.aggregate(k) for k in KINDS), *(result.overall(k) for k in KINDS)]
    for one in rows:
        psi, n = one.influence, one.units.size
        scale = np.abs(psi).max()
        np.testing.assert_allclose(psi.mean(axis=0), 0, atol=1e-9 * scale)
        errors = one.table()["std_error"]
        np.testing.assert_allclose(np.sqrt((psi**2).sum(axis=0)) / n, errors, rtol=1e-8)
        np.testing.assert_allclose(psi.T @ psi / n**2, one.covariance(), rtol=1e-6, atol=1e-12)


@every_estimator
@FEW
@given(seed=SEED)
def test_influence_is_zero_outside_the_cell(estimator, options, seed, firms):
    result = firms(seed, gaps=0.1).estimate(estimator, **options)
    table, psi = result.table(), result.influence
    taking_part = (psi != 0).sum(axis=0)
    assert (taking_part <= table["n_supported"] + table["n_comparison"]).all()


@every_estimator
@pytest.mark.parametrize(
    ("weights", "weight"), [("design", None), ("design", "w"), ("observed", None)]
)
@FEW
@given(seed=SEED)
def test_aggregates_are_weighted_means_of_cells(estimator, options, weights, weight, seed, firms):
    one = replace(firms(seed, gaps=0.1), weight=weight)
    result = one.estimate(estimator, **options)
    cells = result.table()
    cells = cells[cells["event_time"] >= 0]
    sizes = one.frame.drop_duplicates("firm").groupby("first")["w"]
    by_cohort = sizes.sum() if weight else sizes.size()
    size = cells["cohort"].map(by_cohort) if weights == "design" else cells["n_supported"]
    cells = cells.assign(size=size.astype(float))

    def mean(rows):
        return np.average(rows["estimate"], weights=rows["size"])

    simple = result.overall("simple", weights=weights)
    assert simple.estimate == pytest.approx(mean(cells), rel=1e-9)
    for by, key in (("event_time", "event_time"), ("calendar", "period")):
        expected = {k: mean(rows) for k, rows in cells.groupby(key)}
        table = result.aggregate(by, weights=weights, min=0).table().set_index(key)["estimate"]
        assert table.to_dict() == pytest.approx(expected, rel=1e-9)
        overall = result.overall(by, weights=weights).estimate
        assert overall == pytest.approx(np.mean(list(expected.values())), rel=1e-9)
    table = result.aggregate("cohort", weights=weights).table().set_index("cohort")["estimate"]
    assert table.to_dict() == pytest.approx(cells.groupby("cohort")["estimate"].mean().to_dict())
    if weights == "design":
        shares = by_cohort[table.index]
        overall = result.overall("cohort").estimate
        assert overall == pytest.approx(np.average(table, weights=shares), rel=1e-9)


@FEW
@given(seed=SEED)
def test_balance_keeps_whole_cohorts(seed, firms):
    result = firms(seed).estimate(GroupTime(adjust="none"))
    cells = result.table()
    longest = int(cells["event_time"].max())
    for balance in range(longest + 1):
        kept = cells.groupby("cohort")["event_time"].transform("max") >= balance
        kept &= cells["event_time"] <= balance
        rows = result.aggregate("event_time", balance=balance).table()
        assert rows["event_time"].tolist() == sorted(cells[kept]["event_time"].unique())
        last = cells[kept & (cells["event_time"] == balance)]
        assert rows["n_supported"].iloc[-1] == last["n_supported"].sum()


@settings(max_examples=3)
@given(seed=SEED, level=st.floats(0.5, 0.99), family=st.sampled_from(["post", "all"]))
def test_bands_are_never_narrower_than_intervals(seed, level, family, firms):
    result = firms(seed, gaps=0.05).estimate(GroupTime(adjust="none"))
    for one in (result, result.aggregate("event_time")):
        bands = one.bands(level=level, family=family)
        inside = bands["critical"].notna()
        assert (bands["band_low"] <= bands["ci_low"] + 1e-9)[inside].all()
        assert (bands["band_high"] >= bands["ci_high"] - 1e-9)[inside].all()
        assert one.bands(level=level, family=family).equals(bands)
