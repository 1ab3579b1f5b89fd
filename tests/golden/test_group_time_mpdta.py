"""GroupTime against R's did 2.5.1 on mpdta: cells, aggregates, errors, pre-trend test, bands.

Numbers: EXPORTIMPACT_REFERENCE/did_mpdta (R 4.2.2, did 2.5.1, DRDID 1.2.3; each record names its
command). Conventions that differ and are not compared:

- `panel=FALSE` (repeated cross-sections) and `allow_unbalanced_panel=TRUE`: another estimator,
  which compares levels. Ours compares changes within firms only, "pairwise" or "balanced".
- R reports the reference period as 0 without an error; ours has no row for it.
- R's aggregate over all clusters: see `test_clustered_errors_pool_cohorts_in_r`.
- Base "varying" with anticipation of two or more: between the base period and the start R takes the
  period before each, ours the base period, so that anticipated effects do not cancel. Those cells
  enter neither an aggregate over event times >= 0 nor the pre-trend test. Not compared.
"""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from exportimpact.did import GroupTime, TwoPeriod
from exportimpact.numerics.bands import sup_t

CLOSED, ITERATED = 1e-8, 1e-6
LPOP = ("lpop",)
CASES = {
    "nevertreated/nocov": ({"adjust": "none"}, CLOSED),
    "nevertreated/nocov/universal": ({"adjust": "none", "base": "universal"}, CLOSED),
    "nevertreated/nocov/weights_pop": ({"adjust": "none", "weight": "w"}, CLOSED),
    "nevertreated/lpop/reg": ({"adjust": "regression", "covariates": LPOP}, CLOSED),
    "nevertreated/lpop/ipw": ({"adjust": "weighting", "covariates": LPOP}, ITERATED),
    "nevertreated/lpop/dr": ({"adjust": "doubly_robust", "covariates": LPOP}, ITERATED),
    "nevertreated/lpop/dr/universal": (
        {"adjust": "doubly_robust", "covariates": LPOP, "base": "universal"},
        ITERATED,
    ),
}
RANGES = {
    "nevertreated/lpop/dr/dynamic_balance_e1": {"balance": 1},
    "nevertreated/lpop/dr/dynamic_min-1_max1": {"min": -1, "max": 1},
}
KEYS = {"group": "cohort", "dynamic": "event_time", "calendar": "period"}
CLUSTERED = "nevertreated/nocov/cluster_state_analytic"


@pytest.mark.golden("GroupTime")
@pytest.mark.parametrize("case", CASES)
def test_cells(case, mpdta, records, golden, compare_rows):
    options, rtol = CASES[case]
    expected = records("did_mpdta").table(f"{case}/att_gt")
    table = mpdta.estimate(**options).table()
    compare_rows(golden, table, expected, {"cohort": "group", "period": "time"}, rtol)


@pytest.mark.golden("GroupTime")
@pytest.mark.parametrize("kind", ["simple", "group", "dynamic", "calendar"])
@pytest.mark.parametrize("case", CASES)
def test_aggregates(case, kind, mpdta, records, golden, compare_rows):
    options, rtol = CASES[case]
    expected, name = records("did_mpdta"), f"{case}/aggte_{kind}"
    result = mpdta.estimate(**options)
    by = {"group": "cohort", "dynamic": "event_time"}.get(kind, kind)
    overall = result.overall(by)
    golden(overall.estimate, expected.scalar(name, "overall_att"), rtol=rtol)
    golden(overall.std_error, expected.scalar(name, "overall_se"), rtol=rtol)
    if kind != "simple":
        table = result.aggregate(by).table()
        compare_rows(golden, table, expected.table(name), {KEYS[kind]: "egt"}, rtol)


@pytest.mark.golden("GroupTime")
@pytest.mark.parametrize("name", RANGES)
def test_ranges_of_event_time(name, mpdta, records, golden, compare_rows):
    expected = records("did_mpdta")
    result = mpdta.estimate("doubly_robust", covariates=LPOP)
    table = result.aggregate("event_time", **RANGES[name]).table()
    compare_rows(golden, table, expected.table(name), {"event_time": "egt"}, ITERATED)
    overall = result.overall("event_time", **RANGES[name])
    golden(overall.estimate, expected.scalar(name, "overall_att"), rtol=ITERATED)
    golden(overall.std_error, expected.scalar(name, "overall_se"), rtol=ITERATED)


@pytest.mark.golden("GroupTime")
@pytest.mark.parametrize("case", CASES)
def test_pretrend_statistic(case, mpdta, records, golden):
    """R's W is ours; R refers it to chi2 (p rounded to 5 digits), ours becomes an F (Hotelling)."""
    options, rtol = CASES[case]
    test = mpdta.estimate(**options).pretrend_test()
    wald = records("did_mpdta").scalar(f"{case}/att_gt", "pretest_W")
    golden(test.wald, wald, rtol=rtol)
    p_of_r = records("did_mpdta").scalar(f"{case}/att_gt", "pretest_p")
    golden(stats.chi2.sf(test.wald, test.df_numerator), p_of_r, rtol=0, atol=6e-6)
    assert test.p_value > p_of_r


@pytest.mark.golden("GroupTime")
def test_clustered_errors_pool_cohorts_in_r(mpdta, records, golden):
    """R squares cluster sums over all clusters; ours does so from 50 clusters on.

    mpdta has 29 states, so that ours takes variances within (cohort, arm) strata of cluster sums.
    R's number follows from the same influence functions, whose sums ours keeps. For cohort 2004
    (one state) it rests on the comparison states alone, which is why ours then reports no error.
    """
    expected = records("did_mpdta")
    result = mpdta.estimate("none", cluster="state")
    codes, n = result.design.cluster_codes, result.units.size
    table = expected.table(f"{CLUSTERED}/att_gt")
    sums = result.cells.influence.cluster_sums(codes)[:, : len(table)]
    golden(result.table()["estimate"], table["att"], rtol=CLOSED)
    golden(np.sqrt((sums**2).sum(axis=0)) / n, table["std_error"], rtol=CLOSED)
    for kind, by in (("simple", "simple"), ("dynamic", "event_time"), ("group", "cohort")):
        overall = result.overall(by)
        pooled = np.bincount(codes, overall.influence[:, 0])
        error = expected.scalar(f"{CLUSTERED}/aggte_{kind}", "overall_se")
        golden(np.sqrt(pooled @ pooled) / n, error, rtol=CLOSED, what=kind)
        assert np.isnan(overall.std_error)
    one_state = result.table()["n_supported_clusters"] < 2
    assert result.table()["std_error"].isna().tolist() == one_state.tolist()


def rademacher_means(influence, draws=20_000, seed=20240101):
    """Multiplier draws of the estimates' errors with the weights of R's did (BMisc): -1 or 1."""
    rng = np.random.default_rng(seed)
    signs = rng.integers(0, 2, size=(draws, len(influence))) * 2.0 - 1.0
    return signs @ influence / len(influence)


BOOTSTRAP = {
    "att_gt": "nevertreated/lpop/dr/bootstrap50000",
    "dynamic": "nevertreated/lpop/dr/dynamic_bootstrap50000",
}


@pytest.mark.golden("GroupTime")
@pytest.mark.parametrize("kind", BOOTSTRAP)
def test_multiplier_bootstrap(kind, mpdta, records, golden):
    """R draws signs and studentises with the draws' interquartile error; ours follows the paper.

    The reference README speaks of Mammen weights, but R's numbers are those of Rademacher weights:
    with Mammen's the interquartile errors of cohort 2004 (20 counties) are 5 % smaller. First R's
    convention is applied to our influence functions. Then `bands(method="multiplier")` (Mammen
    weights, analytic errors) is compared with R's bands: its critical value is higher because the
    error is smaller. Simulated: 50,000 draws in R, 20,000 here.
    """
    name, expected = BOOTSTRAP[kind], records("did_mpdta")
    result = mpdta.estimate("doubly_robust", covariates=LPOP)
    if kind == "dynamic":
        result = result.aggregate("event_time")
    theirs = expected.table(name)
    critical_of_r = expected.scalar(name, "crit_val")

    draws = rademacher_means(result.influence)
    quartiles = np.quantile(draws, [0.25, 0.75], axis=0)
    error = (quartiles[1] - quartiles[0]) / (2 * stats.norm.ppf(0.75))
    golden(error, theirs["std_error"], rtol=0.03, what="R's bootstrap error")
    critical = np.quantile(np.abs(draws / error).max(axis=1), 0.95)
    golden(critical, critical_of_r, rtol=0.015, what="R's critical value")

    bands = result.bands(family="all", method="multiplier", draws=20_000, rng=1)
    ratio = (bands["critical"] * bands["std_error"]) / (critical_of_r * theirs["std_error"])
    golden(np.exp(np.log(ratio).mean()), 1.0, rtol=0.02, what="width of the bands")
    golden(ratio, np.ones(len(ratio)), rtol=0.05, what="width of each band")


@pytest.mark.golden("GroupTime")
def test_sup_t(mpdta, golden):
    """The normal sup-t of the 12 cells is 2.83 (reference README); a t reference widens it."""
    result = mpdta.estimate("doubly_robust", covariates=LPOP)
    covariance = result.covariance()
    normal = sup_t(covariance, np.full(len(covariance), np.inf), 0.95)
    assert np.ptp(normal) == 0
    golden(normal[0], 2.83, rtol=0.005, what="sup-t, normal")
    scale = np.sqrt(np.diag(covariance))
    joint = stats.multivariate_normal(cov=covariance / np.outer(scale, scale), seed=1)
    inside = joint.cdf(normal, lower_limit=-normal)
    golden(inside, 0.95, rtol=0.002, what="coverage by Genz's algorithm")
    assert (result.bands(family="all")["critical"] > normal).all()


# not_yet, anticipation and balancing have no record in expected.json for this panel. They are
# compared with the rules of R's did written out on the long frame, fitted by statsmodels.


def by_the_rules(frame, group, period, options, adjust):
    """ATT(group, period) as R's did defines it; None when a side is empty."""
    first = frame.groupby("countyreal")["first"].first()
    lead = options.get("anticipation", 0)
    last_before = group - lead - 1
    varying = options.get("base", "varying") == "varying"
    base = period - 1 if varying and period <= last_before else last_before
    if period == base or not {period, base} <= set(frame["year"]):
        return None
    control = first.isna()
    if options.get("comparison") == "not_yet":
        control |= (first > max(period, base) + lead).fillna(False)
    wide = frame.pivot(index="countyreal", columns="year", values="lemp")
    dy = wide[period] - wide[base]
    x = frame[frame["year"] == base].set_index("countyreal")["lpop"]
    d = (first == group).fillna(False)
    kept = dy.index[(d | control) & dy.notna()]
    dy, d = dy[kept].to_numpy(), d[kept].to_numpy(dtype=float)
    design = sm.add_constant(x[kept].to_numpy())
    residual, weight = dy, np.ones(len(dy))
    if adjust in {"regression", "doubly_robust"}:
        residual = dy - sm.OLS(dy[d == 0], design[d == 0]).fit().predict(design)
    if adjust in {"weighting", "doubly_robust"}:
        p = sm.Logit(d, design).fit(disp=0, tol=1e-13, method="newton").predict()
        weight = p / (1 - p) * (p < 0.995)
    return residual[d == 1].mean() - np.average(residual[d == 0], weights=weight[d == 0])


RULES = [
    {"comparison": "not_yet"},
    {"comparison": "not_yet", "base": "universal"},
    {"anticipation": 1},
    {"anticipation": 1, "comparison": "not_yet"},
    {"anticipation": 2, "comparison": "not_yet", "base": "universal"},
    {"unbalanced": "balanced", "keep": "keep_unb"},
    {"unbalanced": "pairwise", "keep": "keep_unb", "comparison": "not_yet"},
]


@pytest.mark.golden("GroupTime")
@pytest.mark.parametrize("adjust", ["none", "regression", "weighting", "doubly_robust"])
@pytest.mark.parametrize("options", RULES, ids=lambda o: "-".join(str(v) for v in o.values()))
def test_rules_written_out(options, adjust, mpdta, golden):
    result = mpdta.estimate(adjust, covariates=LPOP, **options)
    frame = mpdta.frame
    if "keep" in options:
        frame = frame[frame["keep_unb"] == 1]
    if options.get("unbalanced") == "balanced":
        frame = frame[frame.groupby("countyreal")["year"].transform("size") == 5]
    table = result.table().set_index(["cohort", "period"])["estimate"]
    expected = {
        (g, t): effect
        for g in (2004, 2006, 2007)
        for t in range(2003, 2008)
        if (effect := by_the_rules(frame, g, t, options, adjust)) is not None
    }
    assert set(table.index) == set(expected)
    golden(table[list(expected)], list(expected.values()), rtol=CLOSED)


@pytest.mark.golden("GroupTime")
@pytest.mark.parametrize("adjust", ["none", "doubly_robust"])
def test_balanced_is_the_balanced_subset(adjust, mpdta, golden):
    """R drops incomplete firms first: the same numbers, errors and cohort sizes as without them."""
    options = {"covariates": LPOP, "keep": "keep_unb"}
    balanced = mpdta.estimate(adjust, unbalanced="balanced", **options)
    whole = mpdta.frame.query("keep_unb == 1")
    whole = whole[whole.groupby("countyreal")["year"].transform("size") == 5]
    subset = type(mpdta)(whole).estimate(adjust, covariates=LPOP)
    assert balanced.units.size == 500
    assert subset.units.size == 431
    for ours, theirs in (
        (balanced.table(), subset.table()),
        (balanced.aggregate("event_time").table(), subset.aggregate("event_time").table()),
        (balanced.overall("simple").table(), subset.overall("simple").table()),
    ):
        golden(ours["estimate"], theirs["estimate"], rtol=CLOSED)
        golden(ours["std_error"], theirs["std_error"], rtol=CLOSED)


@pytest.mark.golden("TwoPeriod")
@pytest.mark.parametrize("event_time", [0, 1])
def test_two_period_cells(event_time, mpdta, records, golden, compare_rows):
    expected = records("did_mpdta").table("nevertreated/nocov/att_gt")
    expected = expected[expected["time"] - expected["group"] == event_time]
    table = TwoPeriod(event_time=event_time).estimate(mpdta.design()).table()
    compare_rows(golden, table, expected, {"cohort": "group", "period": "time"}, CLOSED)


@pytest.mark.golden("GroupTime")
def test_adjustment_none_ignores_covariates(mpdta, records, golden):
    result = GroupTime(adjust="none").estimate(mpdta.design(covariates=LPOP))
    expected = records("did_mpdta").table("nevertreated/nocov/att_gt")
    golden(result.table()["estimate"], expected["att"], rtol=CLOSED)
