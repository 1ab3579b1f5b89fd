"""Cells written out again with groupby, and special cases that have a closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from exportimpact import Outcome
from exportimpact.did import GroupTime, TwoPeriod
from exportimpact.matched import Benchmark

SEED = st.integers(0, 2**32 - 1)


def changes(frame, cohort, period, *, comparison, base, anticipation):
    """One row per firm of the cell: dy, d, and x and w at the base period."""
    before = cohort - anticipation - 1
    at = period - 1 if base == "varying" and period <= before else before
    if at == period or at < frame["year"].min():
        return None
    now, then = (frame[frame["year"] == t].set_index("firm") for t in (period, at))
    rows = then.assign(dy=now["y"] - then["y"], d=(then["first"] == cohort).fillna(False))
    pool = rows["first"].isna()
    if comparison == "not_yet":
        pool |= (rows["first"] > max(period, at) + anticipation).fillna(False)
    rows = rows[(rows["d"] | pool) & rows["dy"].notna()]
    return rows if rows["d"].nunique() == 2 else None


def effect(rows, adjust):
    """Mean change of supported firms less that of comparison firms, as they are or as predicted."""
    control, supported = rows[~rows["d"]], rows[rows["d"]]
    predicted = pd.Series(np.average(control["dy"], weights=control["w"]), rows.index)
    if adjust == "regression":
        root = np.sqrt(control["w"])
        X = np.column_stack([root, root * control["x"]])
        coefficients = np.linalg.lstsq(X, root * control["dy"], rcond=None)[0]
        predicted = coefficients[0] + coefficients[1] * rows["x"]
    gap = supported["dy"] - predicted[supported.index]
    return np.average(gap, weights=supported["w"])


@pytest.mark.parametrize("adjust", ["none", "regression"])
@pytest.mark.parametrize("comparison", ["never", "not_yet"])
@settings(max_examples=8)
@given(
    seed=SEED,
    base=st.sampled_from(["universal", "varying"]),
    anticipation=st.integers(0, 1),
    weighted=st.booleans(),
    gaps=st.sampled_from([0.0, 0.15]),
)
def test_cells(adjust, comparison, seed, base, anticipation, weighted, gaps, firms):
    one = replace(firms(seed, gaps=gaps), weight="w" if weighted else None)
    rules = {"comparison": comparison, "base": base, "anticipation": anticipation}
    frame = one.frame if weighted else one.frame.assign(w=1.0)
    cells = {
        (g, t): rows
        for g in sorted(frame["first"].dropna().unique())
        for t in sorted(frame["year"].unique())
        if (rows := changes(frame, g, t, **rules)) is not None
    }
    assume(cells)
    result = one.estimate(GroupTime(adjust=adjust), covariates=["x"], **rules)
    table = result.table().set_index(["cohort", "period"])
    refused = {(g, t) for g, t, _ in result.not_identified}
    assert set(table.index) == set(cells) - refused
    for key, row in table.iterrows():
        rows = cells[key]
        assert row["estimate"] == pytest.approx(effect(rows, adjust), rel=1e-8, abs=1e-9)
        assert row["n_supported"] == rows["d"].sum()
        assert row["n_comparison"] == (~rows["d"]).sum()
    if adjust == "none":
        assert not refused & set(cells)


@settings(max_examples=4)
@given(seed=SEED, weighted=st.booleans())
def test_without_covariates_all_adjustments_are_one(seed, weighted, firms, same):
    one = replace(firms(seed, gaps=0.1), weight="w" if weighted else None)
    first, *others = (
        one.estimate(GroupTime(adjust=a))
        for a in ("none", "regression", "weighting", "doubly_robust")
    )
    for other in others:
        same(first, other, rtol=0)
    same(one.estimate(Benchmark(), never="strictly"), one.estimate(Benchmark()), rtol=0)
    cells, starts = first.table(), one.estimate(TwoPeriod()).table()
    cells = cells[cells["event_time"] == 0].reset_index(drop=True)
    numbers = ["estimate", "std_error", "ci_low", "ci_high"]
    np.testing.assert_allclose(cells[numbers], starts[numbers], rtol=1e-9, atol=1e-12)


@settings(max_examples=8)
@given(seed=SEED)
def test_regression_on_categories_is_standardisation(seed, firms):
    """With one cohort, and strata that all hold comparison firms, both are one number."""
    one = firms(seed, n_firms=60)
    one = one.changed(first=one.frame["first"].where(one.frame["first"].isna(), 2012))
    by_model = one.estimate(GroupTime(adjust="regression"), covariates=["kind"]).table()
    by_strata = one.estimate(Benchmark(strata=("kind",))).table()
    numbers = ["estimate", "std_error"]
    np.testing.assert_allclose(by_model[numbers], by_strata[numbers], rtol=1e-8)


def one_cohort(one, outcome=None):
    """Two arms: one cohort against never supported firms."""
    changed = one.changed(first=one.frame["first"].where(one.frame["first"].isna(), 2012))
    return replace(changed, outcome=outcome or changed.outcome)


def arms(frame, period):
    wide = frame.pivot(index="firm", columns="year", values="y")
    dy = wide[period] - wide[2011]
    supported = frame.groupby("firm")["first"].first().notna()
    return dy[supported].dropna(), dy[~supported].dropna()


@pytest.mark.parametrize("values", ["continuous", "whole", "binary"])
@settings(max_examples=8)
@given(seed=SEED, n_firms=st.integers(12, 40), gaps=st.sampled_from([0.0, 0.1]))
def test_two_arms_are_welch(values, seed, n_firms, gaps, firms):
    """Degrees of freedom are Welch's. The error divides squares by n, Welch's by n - 1.

    Clustered on the firm, below 50 firms, strata have the factor k/(k-1): exactly Welch's test.
    """
    one = one_cohort(firms(seed, n_firms=n_firms, gaps=gaps))
    if values != "continuous":
        limits = (0, 1) if values == "binary" else (-3, 3)
        rounded = (one.frame["y"] - 50).round().clip(*limits)
        one = one.changed(y=rounded)
    one = one.changed(firm_too=one.frame["firm"])
    plain = one.estimate(GroupTime(adjust="none")).table(detail=True).set_index("period")
    clustered = replace(one, cluster="firm_too").estimate(GroupTime(adjust="none"))
    clustered = clustered.table(detail=True).set_index("period")
    for period, row in plain.iterrows():
        a, b = arms(one.frame, period)
        if min(a.size, b.size) < 2:
            assert np.isnan(row["df"])
            continue
        if a.var() + b.var() == 0:
            continue
        welch = stats.ttest_ind(a, b, equal_var=False)
        interval = welch.confidence_interval(0.95)
        error = np.sqrt(a.var(ddof=0) / a.size + b.var(ddof=0) / b.size)
        assert row["estimate"] == pytest.approx(a.mean() - b.mean(), abs=1e-9)
        assert row["std_error"] == pytest.approx(error)
        assert row["df"] == pytest.approx(welch.df)
        p_value = 2 * stats.t.sf(abs(a.mean() - b.mean()) / error, welch.df)
        assert row["p_value"] == pytest.approx(p_value, abs=1e-9)
        half = stats.t.ppf(0.975, welch.df) * error
        assert row["ci_high"] - row["estimate"] == pytest.approx(half)
        exact = clustered.loc[period]
        unbiased = np.sqrt(a.var(ddof=1) / a.size + b.var(ddof=1) / b.size)
        assert exact["std_error"] == pytest.approx(unbiased)
        assert exact["df"] == pytest.approx(welch.df)
        assert exact["p_value"] == pytest.approx(welch.pvalue, abs=1e-9)
        assert (exact["ci_low"], exact["ci_high"]) == pytest.approx(tuple(interval), abs=1e-9)


@settings(max_examples=8)
@given(seed=SEED)
def test_pretrend_test_of_one_cell_is_its_t_squared(seed, firms):
    """One cell before support: the Wald statistic is (estimate / error)^2."""
    one = firms(seed)
    one = one.changed(first=one.frame["first"].where(one.frame["first"].isna(), 2012))
    result = one.estimate(GroupTime(adjust="none"))
    before = result.table().query("event_time < 0")
    assert len(before) == 1
    t = (before["estimate"] / before["std_error"]).iloc[0]
    assert result.pretrend_test().wald == pytest.approx(t**2)


@settings(max_examples=8)
@given(seed=SEED)
def test_percent_of_logs_and_of_levels(seed, firms):
    one = one_cohort(firms(seed, n_firms=40))
    level = one.estimate(GroupTime(adjust="none"))
    means = one.frame[one.frame["first"].notna()].groupby("year")["y"].mean()
    table = level.table(detail=True)
    counterfactual = means[table["period"].astype(int)].to_numpy() - table["estimate"]
    np.testing.assert_allclose(table["counterfactual"], counterfactual)
    np.testing.assert_allclose(table["percent"], 100 * table["estimate"] / counterfactual)
    logs = replace(one, outcome=Outcome("ln_y", column="y", scale="log"))
    table = logs.estimate(GroupTime(adjust="none")).table(detail=True)
    for ours, of in (
        ("percent", "estimate"),
        ("percent_low", "ci_low"),
        ("percent_high", "ci_high"),
    ):
        np.testing.assert_allclose(table[ours], 100 * np.expm1(table[of]))
