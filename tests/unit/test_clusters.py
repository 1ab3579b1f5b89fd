"""Errors by cluster against brute force, and what is said about the level of assignment."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import exportimpact as ei

NEVER = 0
ERRORS = ["estimate", "std_error", "df"]
BOTH_SIDES = ["n_supported_clusters", "n_comparison_clusters"]


def region_firms(starts, size=5, periods=4, seed=0, spread=1.5):
    """Regions of `size` firms that start together; y moves by region and by firm."""
    rng = np.random.default_rng(seed)
    n = len(starts)
    shock = np.repeat(rng.normal(0, spread, size=(n, periods)), size, axis=0)
    y = 50 + (shock + rng.normal(size=(n * size, periods))).cumsum(axis=1)
    return y, np.repeat(starts, size), np.repeat(np.arange(n), size)


def design(y, starts, region, *, cluster="region", baseline=(), **options):
    """Firms 0, 1, ... from 2014 on; a start of 0 is never."""
    n, periods = y.shape
    frame = pd.DataFrame(
        {
            "firm": np.repeat(np.arange(n), periods),
            "year": np.tile(np.arange(2014, 2014 + periods), n),
            "region": np.repeat(region, periods),
            "country": np.repeat(np.asarray(region) // 3, periods),
            "y": y.ravel(),
        }
    )
    panel = ei.Panel.from_frame(
        frame.dropna(),
        unit="firm",
        period="year",
        outcomes=["y"],
        cluster=cluster,
        baseline=baseline,
    )
    first = pd.array([pd.NA if g == NEVER else int(g) for g in starts], dtype="Int64")
    awards = pd.DataFrame({"firm": range(n), "first": first})
    support = ei.Assignment.from_first_period(awards, unit="firm", first_period="first")
    return ei.Design(panel, support, outcome="y", **options)


def estimate(*args, **options):
    return ei.did.GroupTime(adjust="none").estimate(design(*args, **options))


def strata(starts, region):
    """Stratum of each region: its firms' common start, or "mixed"."""
    kinds = pd.Series(starts).groupby(region).unique()
    return np.array([k[0] if len(k) == 1 else -1 for k in kinds])


def brute_force(psi, starts, region, pooled):
    """Standard errors and degrees of freedom from sums of influence by region, (n_rows,)."""
    n = len(starts)
    sums = pd.DataFrame(psi).groupby(region).sum().to_numpy() / n
    parts, members = [], []
    for kind in np.unique(strata(starts, region)):
        inside = sums[strata(starts, region) == kind]
        k = (inside != 0).sum(axis=0)
        centred = ((inside - inside.sum(axis=0) / np.maximum(k, 1)) ** 2 * (inside != 0)).sum(
            axis=0
        )
        parts.append(np.where(k > 1, centred * k / np.maximum(k - 1, 1), 0.0))
        members.append(np.maximum(k - 1, 1))
    variance = np.sum(parts, axis=0)
    df = variance**2 / np.sum(np.square(parts) / members, axis=0)
    return np.sqrt((sums**2).sum(axis=0) if pooled else variance), df


# (regions of cohort 2015, of 2016, never), and whether cluster sums are pooled
LAYOUTS = {
    "few": ((4, 5, 9), False),
    "fewer than 20 on a side": ((12, 25, 25), False),
    "just below 50": ((20, 0, 29), False),
    "enough": ((22, 21, 24), True),
    "just 50": ((20, 0, 30), True),
}


@pytest.mark.parametrize("comparison", ["never", "not_yet"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_errors_are_those_of_sums_by_region(name, comparison):
    counts, pooled = LAYOUTS[name]
    y, starts, region = region_firms(np.repeat([2015, 2016, NEVER], counts))
    result = estimate(y, starts, region, comparison=comparison)
    for shown in (result, result.aggregate("event_time"), result.overall("cohort")):
        table = shown.table(detail=True)
        error, df = brute_force(shown.influence, starts, region, pooled)
        assert_allclose(table["std_error"], error)
        assert_allclose(table["df"], df)
        half = stats.t(df).ppf(0.975) * error
        assert_allclose(table["ci_high"] - table["estimate"], half)


def test_weighted_errors_with_firms_of_unequal_regions():
    y, starts, region = region_firms(np.repeat([2015, NEVER], [6, 9]))
    kept = np.random.default_rng(5).random(len(starts)) < 0.7
    y, starts, region = y[kept], starts[kept], region[kept]
    result = estimate(y, starts, region)
    error, df = brute_force(result.influence, starts, region, pooled=False)
    assert_allclose(result.table(detail=True)[["std_error", "df"]], np.column_stack([error, df]))


def test_regions_with_both_sides_are_one_stratum():
    rng = np.random.default_rng(1)
    y, _, region = region_firms(np.zeros(12), size=10)
    starts = np.where(rng.random(120) < 0.4, 2015, NEVER)
    assert set(strata(starts, region)) == {-1}
    result = estimate(y, starts, region)
    error, df = brute_force(result.influence, starts, region, pooled=False)
    table = result.table(detail=True)
    assert_allclose(table["std_error"], error)
    assert_allclose(table["df"], df)
    assert_allclose(df, 11)
    assert (table[BOTH_SIDES] == 12).all(axis=None)


def test_clusters_above_the_firm_only_change_the_errors():
    y, starts, region = region_firms(np.repeat([2015, 2016, NEVER], [4, 5, 9]))
    by_firm, by_region = (estimate(y, starts, region, cluster=c).table() for c in (None, "region"))
    same = ["cohort", "period", "estimate", "n_supported", "n_comparison"]
    pd.testing.assert_frame_equal(by_firm[same], by_region[same])
    assert (by_region["std_error"] > by_firm["std_error"]).all()
    assert by_region[BOTH_SIDES].drop_duplicates().to_numpy().tolist() == [[4, 9], [5, 9]]
    assert not set(BOTH_SIDES) & set(by_firm.columns)


@pytest.mark.parametrize(("own", "others"), [(1, 12), (12, 1)])
def test_one_region_on_a_side_has_no_error(own, others):
    y, starts, region = region_firms(np.repeat([2015, NEVER], [own, others]))
    result = estimate(y, starts, region)
    for shown in (result, result.overall(), result.aggregate("event_time")):
        table = shown.table(detail=True)
        assert np.isfinite(table["estimate"]).all()
        gone = ["std_error", "ci_low", "ci_high", "p_value", "df", "mde"]
        assert table[gone].isna().all(axis=None)
    assert not result.pretrend_test().applies


def test_an_aggregate_without_the_thin_cohort_has_an_error():
    y, starts, region = region_firms(np.repeat([2015, 2016, NEVER], [1, 6, 8]))
    by_cohort = estimate(y, starts, region).aggregate("cohort").table()
    assert by_cohort["std_error"].isna().tolist() == [True, False]


def test_one_region_in_two_strata_is_not_free_of_error():
    """The supported side is two regions far apart; one of them also has a comparison firm."""
    y, starts, region = region_firms(np.repeat([2015, NEVER], [2, 10]))
    y[region == 1, 1:] += 40
    assert estimate(y, starts, region).overall().std_error > 15
    starts[region == 1] = [2015] * 4 + [NEVER]
    split = estimate(y, starts, region).overall().std_error
    assert np.isnan(split) or split > 10


def test_one_region_that_is_most_of_the_comparison_is_a_concern():
    """A later cohort's single region is most of the comparison: a finding says so."""
    y, starts, region = region_firms(np.repeat([2015, 2017, NEVER], [6, 1, 2]), spread=3)
    big = np.flatnonzero(region == 6)
    more = np.random.default_rng(0).normal(size=(95, 4)) + y[big].mean(axis=0)
    y = np.vstack([y, more])
    starts, region = np.append(starts, [2017] * 95), np.append(region, [6] * 95)
    result = estimate(y, starts, region, comparison="not_yet")
    found = {f.id: f for f in ei.diagnose(result.design, result)}["largest_comparison_cluster"]
    assert found.verdict == "CONCERN"
    assert found.statistic == pytest.approx(100 / 110)


def test_firms_outside_the_design_do_not_mix_a_region():
    """An always-supported firm of a supported region takes no part, and changes nothing."""
    y, starts, region = region_firms(np.repeat([2015, NEVER], [6, 8]), spread=3)
    alone = estimate(y, starts, region).table(detail=True)
    y = np.vstack([y, y[:1]])
    starts, region = np.append(starts, 2014), np.append(region, 0)
    beside = estimate(y, starts, region).table(detail=True)
    assert_allclose(beside[ERRORS], alone[ERRORS])


def test_regions_whose_sums_are_zero_count():
    """Regions move by 1, 2 and 3: the middle one's sum is zero, but it is a region."""
    change = np.repeat([1.0, 2.0, 3.0, 0.0, 1.0, 5.0, 6.0], 2)
    y = np.column_stack([np.zeros(14), change])
    result = estimate(y, np.repeat([2015] * 3 + [NEVER] * 4, 2), np.repeat(np.arange(7), 2))
    row = result.table(detail=True).iloc[0]
    a, b = np.var([1, 2, 3], ddof=1) / 3, np.var([0, 1, 5, 6], ddof=1) / 4
    assert row["std_error"] == pytest.approx(np.sqrt(a + b))
    assert row["df"] == pytest.approx((a + b) ** 2 / (a**2 / 2 + b**2 / 3))


# What is said about the level -------------------------------------------------------------------


def findings(design):
    sealed = design.seal()
    result = ei.did.GroupTime(adjust="none").estimate(sealed)
    return {f.id: f for f in ei.diagnose(sealed, result)}, result


def test_one_region_with_most_supported_firms_is_a_concern():
    y, starts, region = region_firms(np.repeat([2015, NEVER], [5, 6]))
    y = np.vstack([y, y[:40]])
    starts, region = np.append(starts, [2015] * 40), np.append(region, [0] * 40)
    found = findings(design(y, starts, region))[0]["largest_cluster"]
    assert found.verdict == "CONCERN"
    assert found.statistic == pytest.approx(45 / 65)
    assert "Cluster 0 holds 69" in str(found.message)


@pytest.mark.parametrize(
    ("cluster", "level", "start_apart", "verdicts", "too_small"),
    [
        ("region", "region", False, ("SUPPORTS", "SUPPORTS"), False),
        ("region", "region", True, ("SUPPORTS", "CONCERN"), False),
        (None, "region", False, ("CONCERN", "SUPPORTS"), True),
        # Clusters that contain the level of assignment are large enough.
        ("country", "region", False, ("SUPPORTS", "SUPPORTS"), False),
        ("firm", "firm", False, ("SUPPORTS", "SUPPORTS"), False),
    ],
)
def test_level_of_assignment(cluster, level, start_apart, verdicts, too_small):
    y, starts, region = region_firms(np.repeat([2015, NEVER], [6, 6]))
    if start_apart:
        starts[0] = 2016
    baseline = [level] if cluster != level else []
    asked = design(y, starts, region, cluster=cluster, baseline=baseline, assigned_at=level)
    found, result = findings(asked)
    ids = ("assignment_level", "assignment_together")
    assert tuple(found[i].verdict for i in ids) == verdicts
    assert found["assignment_together"].statistic == float(start_apart)
    notes = [str(n) for n in result.notes]
    assert any("too small" in note for note in notes) == too_small
    assert any("too small" in str(f.message) for f in found.values()) == too_small
