"""Findings: each diagnostic in favour, against, and where it cannot speak."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import exportimpact as ei
from exportimpact.core import diagnostic as registry
from exportimpact.diagnostics import diagnose, interference
from exportimpact.evaluation.assumptions import table as assumption_table

VERDICTS = {"SUPPORTS", "CONCERN", "CONTRADICTS", "NOT_APPLICABLE", "NOT_RUN"}
START, YEARS = 2018, np.arange(2014, 2021)
N, OWN = 100, 40
SUPPORTED = np.arange(N) < OWN
AFTER = (YEARS >= START)[None, :]


def levels(seed=0, n=N, spread=1.0):
    return 100 + spread * np.random.default_rng(seed).normal(size=(n, YEARS.size)).cumsum(axis=1)


def evaluated(
    y=None,
    *,
    starts=None,
    x=None,
    region=None,
    scale="level",
    years=YEARS,
    awards=(),
    covariates=(),
    estimator=None,
    **options,
):
    """A sealed design and its result on firms 0, 1, ... of which the first 40 start in 2018."""
    y = levels() if y is None else np.asarray(y, dtype=float)
    y = y[:, np.isin(YEARS, years)]
    n, periods = y.shape
    frame = pd.DataFrame({"firm": np.repeat(np.arange(n), periods), "year": np.tile(years, n)})
    x_of = np.zeros(n) if x is None else np.asarray(x)
    frame["y"] = y.ravel()
    frame["x"] = x_of.ravel() if x_of.ndim == 2 else np.repeat(x_of, periods)
    frame["region"] = np.repeat(np.zeros(n) if region is None else region, periods)
    panel = ei.Panel.from_frame(
        frame,
        unit="firm",
        period="year",
        outcomes=[ei.Outcome("y", scale=scale)],
        baseline=[] if x is None else ["x"],
        cluster=None if region is None else "region",
    )
    starts = np.where(SUPPORTED, START, 0) if starts is None else starts
    rows = [(i, g, "main") for i, g in enumerate(starts) if g] + list(awards)
    spells = pd.DataFrame(rows, columns=["firm", "start", "programme"])
    support = ei.Assignment.from_spells(spells, unit="firm", start="start", programme="programme")
    sealed = ei.Design(panel, support, outcome="y", covariates=covariates, **options).seal()
    return sealed, (estimator or ei.did.GroupTime(adjust="none")).estimate(sealed)


def find(**case):
    """{id: finding}."""
    found = diagnose(*evaluated(**case))
    assert {f.verdict for f in found} <= VERDICTS
    assert len({f.id for f in found}) == len(found)
    return {f.id: f for f in found}


def normal(shift):
    return np.random.default_rng(3).normal(size=N) + shift * SUPPORTED


EVEN = np.concatenate([np.linspace(-1, 1, OWN), np.linspace(-1.5, 1.5, N - OWN)])


def missing(share, *, after=True):
    """Reports missing for a share of supported firms, since support."""
    y = levels()
    gone = np.arange(N) < round(share * OWN)
    y[gone[:, None] & (AFTER if after else ~AFTER)] = np.nan
    return y


def exporters(share):
    """Zeros of supported firms since support, which a log leaves out."""
    y = levels()
    y[(np.arange(N) < round(share * OWN))[:, None] & AFTER] = 0
    return y


def giant():
    y = levels()
    y[0] += 5_000 * AFTER[0]
    return y


def apart(by, seed=0):
    """Supported firms drift away by `by` a year, before and after."""
    return levels(seed) + by * SUPPORTED[:, None] * np.arange(YEARS.size)


def linked(programmes):
    """Awards of further programmes to firms that the panel does not have: (name, in, out)."""
    return [
        (i if i < k else 1000 + i, START, name)
        for name, k, out in programmes
        for i in range(k + out)
    ]


def early(by):
    """Supported firms put off `by` in the year before support."""
    return levels() - by * SUPPORTED[:, None] * (YEARS == START - 1)


def boom(x):
    """From 2018 on, what a firm has gained depends on its x, supported or not."""
    return levels() + 5.0 * np.asarray(x)[:, None] * AFTER


def beginners(before=()):
    """Nobody exports before 2018, but for some supported firms that try once; half do after."""
    y = (np.random.default_rng(5).random((N, YEARS.size)) < 0.5) * AFTER.astype(float)
    y[list(before), 0] = 1.0
    return y


ADJUSTED = {"covariates": ["x"], "estimator": ei.did.GroupTime()}
CASES = [
    ("linkage", "SUPPORTS", {"awards": linked([("main", 0, 10)])}),
    ("linkage", "CONCERN", {"awards": linked([("main", 0, 11)])}),
    ("linkage", "CONCERN", {"awards": linked([("small", 3, 1)])}),
    ("cell_size", "SUPPORTS", {"starts": np.where(np.arange(N) < 20, START, 0)}),
    ("cell_size", "CONCERN", {"starts": np.where(np.arange(N) < 19, START, 0)}),
    ("balance", "SUPPORTS", {"x": EVEN, "covariates": ["x"]}),
    ("balance", "CONCERN", {"x": normal(0.5), "covariates": ["x"]}),
    ("balance", "NOT_APPLICABLE", {}),
    ("overlap", "SUPPORTS", {"x": EVEN, "covariates": ["x"]}),
    ("overlap", "CONCERN", {"x": normal(2.0), "covariates": ["x"]}),
    ("overlap", "CONCERN", {"x": normal(50.0), "covariates": ["x"]}),
    ("missing", "SUPPORTS", {"y": missing(0.025)}),
    ("missing", "SUPPORTS", {"y": missing(0.5, after=False), "unbalanced": "pairwise"}),
    ("missing", "CONCERN", {"y": missing(0.1)}),
    ("participation", "SUPPORTS", {"y": exporters(0.0), "scale": "log"}),
    ("participation", "CONCERN", {"y": exporters(0.1), "scale": "log"}),
    ("dominant_firms", "SUPPORTS", {}),
    ("dominant_firms", "SUPPORTS", {"scale": "count"}),
    ("dominant_firms", "CONCERN", {"y": giant()}),
    ("pre_trends", "SUPPORTS", {}),
    ("pre_trends", "CONCERN", {"y": apart(0.14)}),
    ("pre_trends", "CONTRADICTS", {"y": apart(1.0)}),
    ("pre_trends", "NOT_APPLICABLE", {"years": YEARS[3:]}),
    ("pre_trends", "NOT_APPLICABLE", {"years": YEARS[2:]}),
    ("pre_trends", "NOT_APPLICABLE", {"region": np.arange(N) % 4}),
    ("pre_trends", "CONTRADICTS", {"years": YEARS[2:], "y": apart(3.0)}),
    ("few_clusters", "SUPPORTS", {"region": np.arange(N) // 2 + 100 * SUPPORTED}),
    ("few_clusters", "CONCERN", {"region": np.arange(N) // 5}),
    ("largest_cluster", "SUPPORTS", {"region": np.arange(N) // 5}),
    ("largest_cluster", "CONCERN", {"region": np.arange(N) // 25}),
    ("assignment_level", "NOT_RUN", {}),
    ("sensitivity", "NOT_RUN", {}),
    ("anticipation", "SUPPORTS", {}),
    ("anticipation", "CONCERN", {"y": early(4.0)}),
    ("anticipation", "NOT_APPLICABLE", {"years": YEARS[2:]}),
    ("anticipation", "NOT_APPLICABLE", {"y": early(4.0), "base": "varying"}),
    ("flat_by_rule", "SUPPORTS", {}),
    ("flat_by_rule", "CONCERN", {"y": beginners()}),
    ("flat_by_rule", "CONCERN", {"y": beginners(before=range(1)), "scale": "binary"}),
    ("flat_by_rule", "SUPPORTS", {"y": beginners(before=range(10))}),
    ("flat_by_rule", "SUPPORTS", {"y": np.ones((N, YEARS.size)), "scale": "binary"}),
    ("flat_by_rule", "NOT_APPLICABLE", {"years": YEARS[3:]}),
    ("unadjusted", "NOT_APPLICABLE", {}),
    ("unadjusted", "SUPPORTS", {"x": normal(1.0)}),
    ("unadjusted", "SUPPORTS", {"x": EVEN, "y": boom(EVEN)}),
    ("unadjusted", "CONCERN", {"x": normal(1.0), "y": boom(normal(1.0))}),
    ("unadjusted", "NOT_APPLICABLE", {"x": normal(1.0), "y": boom(normal(1.0)), **ADJUSTED}),
    ("unadjusted", "NOT_APPLICABLE", {"x": levels(), "y": levels(), "years": YEARS}),
    ("blind_to_same_measurement", "NOT_RUN", {}),
    ("spillover", "NOT_APPLICABLE", {}),
    ("other_support", "SUPPORTS", {}),
]


@pytest.mark.parametrize(
    ("id", "verdict", "case"), CASES, ids=[f"{i}-{v}-{k}" for k, (i, v, _) in enumerate(CASES)]
)
def test_verdicts(id, verdict, case):
    found = find(**case)[id]
    assert found.verdict == verdict
    assert str(found).startswith(verdict)
    assert found.outcome == "y"
    if verdict in {"NOT_RUN", "NOT_APPLICABLE"}:
        # Too few periods is the one case with a test: it may speak against, never for.
        assert found.statistic is None or id == "pre_trends"
    elif id != "assignment_level":
        assert found.statistic is not None
        assert found.threshold_source


@pytest.mark.parametrize(
    ("id", "case"),
    [
        ("participation", {}),
        ("dominant_firms", {"scale": "logged"}),
        ("few_clusters", {}),
        ("largest_cluster", {}),
        ("assignment_together", {}),
        ("pre_trends", {"estimator": ei.matched.Benchmark()}),
        ("unadjusted", {"estimator": ei.matched.Benchmark()}),
        ("flat_by_rule", {"estimator": ei.matched.Benchmark()}),
        ("anticipation", {"estimator": ei.did.TwoPeriod()}),
    ],
)
def test_what_does_not_apply_does_not_count(id, case):
    found = find(**case).get(id)
    assert found is None or found.verdict in {"NOT_APPLICABLE", "NOT_RUN"}


def test_statistics_by_hand():
    x = normal(0.5)
    found = find(x=x, covariates=["x"], y=missing(0.1), awards=linked([("main", 0, 10)]))
    own, others = x[4:OWN], x[OWN:]  # four firms are not observed after support
    gap = abs(own.mean() - others.mean()) / own.std(ddof=1)
    assert found["balance"].statistic == pytest.approx(gap)
    assert found["overlap"].statistic == pytest.approx((own > others.max()).mean())
    assert found["missing"].statistic == pytest.approx(0.1)
    assert found["linkage"].statistic == pytest.approx(0.8)
    assert found["cell_size"].statistic == OWN - 4
    logs = find(y=exporters(0.1), scale="log")
    assert logs["participation"].statistic == pytest.approx(0.1)


def test_the_gap_is_what_adjusting_takes_away():
    x = normal(1.0)
    sealed, result = evaluated(x=x, y=boom(x))
    found = next(f for f in diagnose(sealed, result) if f.id == "unadjusted")
    given = ei.Design(sealed.panel, sealed.support, outcome="y", covariates=["x"])
    adjusted = ei.did.GroupTime(adjust="regression").estimate(given)
    gap = result.overall().estimate - adjusted.overall().estimate
    assert found.statistic == pytest.approx(float(gap))
    overall = result.overall()
    least = max(0.25 * float(overall.std_error), 0.1 * abs(float(overall.estimate)))
    assert found.threshold == pytest.approx(least)
    assert found.assumption == "parallel_trends"


def test_supported_outcomes_do_not_enter_the_predicted_gap():
    x = normal(1.0)
    gaps = []
    for add in (0.0, 7.0):
        y = boom(x) + add * SUPPORTED[:, None] * AFTER * x[:, None]
        found = find(x=x, y=y)["unadjusted"]
        gaps.append(found.statistic)
    assert gaps[0] == pytest.approx(gaps[1])


def test_quiet_answers_about_columns_and_rules_speak_to_no_assumption():
    found = find(x=normal(1.0))
    assert found["unadjusted"].assumption is None
    assert found["flat_by_rule"].assumption is None


@pytest.mark.parametrize(
    ("share", "scale", "verdict"),
    [(0.5, "logged", "CONCERN"), (0.025, "logged", "SUPPORTS"), (0.5, "level", None)],
)
def test_closures_count_where_the_outcome_ends_with_the_firm(share, scale, verdict):
    """A share of supported firms closes in 2018; a level goes on at zero."""
    frame = pd.DataFrame({"firm": np.repeat(np.arange(N), YEARS.size), "year": np.tile(YEARS, N)})
    closes = (frame["firm"] < round(share * OWN)) & (frame["year"] >= START)
    frame = frame.assign(y=levels().ravel(), closed=closes)[~closes | (frame["year"] == START)]
    panel = ei.Panel.from_frame(
        frame,
        unit="firm",
        period="year",
        outcomes=[ei.Outcome("y", scale=scale)],
        exit="closed",
    )
    spells = pd.DataFrame({"firm": np.arange(OWN), "start": START})
    support = ei.Assignment.from_spells(spells, unit="firm", start="start")
    sealed = ei.Design(panel, support, outcome="y").seal()
    found = {f.id: f for f in sealed.findings}
    assert found["missing"].verdict == "SUPPORTS"
    if verdict is None:
        assert "closures" not in found
    else:
        # All are there in the year of closing, and two years follow it.
        assert found["closures"].verdict == verdict
        assert found["closures"].statistic == pytest.approx(share * 2 / 3)


def test_the_shift_before_support_by_hand():
    sealed, result = evaluated(y=early(4.0))
    found = next(f for f in diagnose(sealed, result) if f.id == "anticipation")
    table = result.table()
    before = table.loc[table["event_time"] < 0, "estimate"]
    assert found.statistic == pytest.approx(-float(before.mean()))
    assert found.statistic == pytest.approx(-4.0, abs=1.0)


@pytest.mark.calibration
def test_pre_trends_reject_as_often_as_they_should_with_few_supported_firms():
    """12 supported firms, of other spread: 5 % of 400 draws, inside the 99.9 % binomial band."""
    few, rejected = np.arange(N) < 12, 0
    for seed in range(400):
        y = levels(seed) * np.where(few, 1.0, 0.5)[:, None]
        _, result = evaluated(y=y, starts=np.where(few, START, 0))
        rejected += result.pretrend_test().p_value < 0.05
    low, high = stats.binom.ppf([0.0005, 0.9995], 400, 0.05)
    assert low <= rejected <= high


def test_effective_number_of_firms():
    sealed, result = evaluated(y=giant())
    square = result.overall().influence[:, 0] ** 2
    found = next(f for f in diagnose(sealed, result) if f.id == "dominant_firms")
    assert found.statistic == pytest.approx(square.sum() ** 2 / (square**2).sum())


def test_the_pre_trend_test_is_an_f_test():
    sealed, result = evaluated(y=apart(0.14))
    test, before = result.pretrend_test(), (result.table()["event_time"] < 0).to_numpy()
    theta, size = result.table()["estimate"][before], result.covariance()[np.ix_(before, before)]
    wald = theta @ np.linalg.solve(size, theta)
    assert (test.df_numerator, test.wald) == (3, pytest.approx(wald))
    # By hand: Hotelling's two samples with covariances of their own.
    y = apart(0.14)
    change = y[:, :3] - y[:, [3]]
    sides = [change[SUPPORTED], change[~SUPPORTED]]
    parts = [np.cov(side.T) / len(side) for side in sides]
    gap = sides[0].mean(axis=0) - sides[1].mean(axis=0)
    shares = [part @ np.linalg.inv(sum(parts)) for part in parts]
    lost = [
        (np.trace(a @ a) + np.trace(a) ** 2) / (len(side) - 1)
        for a, side in zip(shares, sides, strict=True)
    ]
    nu = (3 + 9) / sum(lost)
    assert test.df_denominator == pytest.approx(nu - 2)
    square = gap @ np.linalg.solve(sum(parts), gap)
    assert test.statistic == pytest.approx(square * (nu - 2) / (3 * nu))
    assert test.p_value == pytest.approx(stats.f(3, nu - 2).sf(test.statistic))
    found = next(f for f in diagnose(sealed, result) if f.id == "pre_trends")
    assert found.statistic == test.statistic


@pytest.mark.parametrize("comparison", ["not_yet", "rejected"])
def test_missing_reports_are_held_against_the_pool_of_the_design(comparison):
    """Nobody is never supported; half of the first cohort stops to report, the pool does not."""
    y = missing(0.5)
    starts = np.where(SUPPORTED, START, 2020)
    frame = pd.DataFrame({"firm": np.repeat(np.arange(N), YEARS.size), "year": np.tile(YEARS, N)})
    panel = ei.Panel.from_frame(
        frame.assign(y=y.ravel()), unit="firm", period="year", outcomes=["y"]
    )
    spells = pd.DataFrame({"firm": np.arange(N), "start": starts, "applied": starts, "won": True})
    if comparison == "rejected":
        lost = spells[~SUPPORTED].assign(start=pd.NA, applied=START, won=False)
        spells = pd.concat([spells, lost.astype({"start": "Int64"})], ignore_index=True)
    support = ei.Assignment.from_spells(
        spells, unit="firm", start="start", applied="applied", awarded="won"
    )
    sealed = ei.Design(panel, support, outcome="y", comparison=comparison).seal()
    assert next(c for c in sealed.cells() if c.event_time == 0).comparison.size == N - OWN
    found = next(f for f in sealed.findings if f.id == "missing")
    assert found.verdict in {"CONCERN", "NOT_APPLICABLE", "NOT_RUN"}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param({"covariates": "1"}, id="a formula with a constant alone"),
        # No cell since support: the base period of 2018 has no row.
        pytest.param(
            {"covariates": ["x"], "years": YEARS[YEARS != START - 1], "base": "varying"},
            id="no cell since support",
        ),
    ],
)
def test_designs_at_the_edge_have_findings_too(case):
    found = find(x=normal(0.0), **case)
    assert found["balance"].verdict == "NOT_APPLICABLE"


def test_findings_of_the_design_come_without_a_result():
    sealed, result = evaluated()
    found = diagnose(sealed, result)
    assert {f.id for f in sealed.findings} == {f.id for f in found if f.estimator is None}
    assert {f.estimator for f in found} == {None, "group_time"}


def test_what_was_not_run_never_counts_in_favour():
    found = find(years=YEARS[3:])
    required = ei.did.GroupTime.spec.requires
    table = assumption_table("y", required, tuple(found.values())).set_index("assumption")
    silent = {f.assumption for f in found.values() if f.verdict in {"NOT_RUN", "NOT_APPLICABLE"}}
    spoken = {f.assumption for f in found.values()} - silent
    for name, row in table.iterrows():
        assert row["checked"] == (name in spoken)
        assert (row["status"] == "SUPPORTS") <= (name in spoken)


# Others' diagnostics ----------------------------------------------------------------------------


@pytest.fixture
def clean(monkeypatch):
    """A registry that forgets what the test registers."""
    registry.registered()
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))


@pytest.mark.parametrize("needs", ["design", "result"])
@pytest.mark.usefixtures("clean")
def test_a_third_party_diagnostic_appears(needs):
    @ei.diagnostic(
        id="fire_drill", assumption="no_interference", needs=needs, threshold_source="a paper"
    )
    def check(*arguments):
        assert len(arguments) == (1 if needs == "design" else 2)
        return ei.Finding("fire_drill", "CONCERN", "smoke", "no_interference", 1.0)

    found = find()["fire_drill"]
    assert str(found) == "CONCERN: smoke"
    assert found.outcome == "y"
    assert found.estimator == (None if needs == "design" else "group_time")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"id": "linkage"}, "EI-E07"),
        ({"assumption": "good_luck"}, "EI-E01"),
    ],
)
@pytest.mark.usefixtures("clean")
def test_diagnostics_that_cannot_be_registered(changes, code):
    known = {"id": "mine", "assumption": None, "needs": "design", "threshold_source": "none"}
    with pytest.raises(ei.ExportImpactError) as caught:
        ei.diagnostic(**(known | changes))(lambda design: ())
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("scenario", "id", "verdict"),
    [
        ("displacement", "spillover", "CONCERN"),
        ("random_rollout", "spillover", "SUPPORTS"),
        ("overlapping_programmes", "other_support", "CONCERN"),
        ("displacement", "other_support", "SUPPORTS"),
    ],
)
def test_support_that_reaches_firms_without_it_is_seen(scenario, id, verdict):
    bench = ei.synthetic.scenario(scenario).draw(n_firms=1000, n_periods=8, seed=1)
    design = ei.Design(bench.panel, bench.support, outcome="ln_exports").seal()
    found = diagnose(design, ei.did.GroupTime(adjust="none").estimate(design))
    finding = next(f for f in found if f.id == id)
    assert finding.verdict == verdict
    assert finding.assumption == ("no_interference" if verdict == "CONCERN" else None)


def test_exposure_of_comparison_firms_by_hand():
    bench = ei.synthetic.scenario("displacement").draw(n_firms=300, n_periods=6, seed=2)
    design = ei.Design(bench.panel, bench.support, outcome="ln_exports")
    history = design.history()
    market = history.groups("industry") * 100 + history.groups("region")
    share = interference._exposure(design, market)
    first, years = design.aligned.first, design.calendar.ordinals
    for firm in range(0, 300, 37):
        rivals = [i for i in range(300) if market[i] == market[firm] and i != firm]
        for t, year in enumerate(years):
            mine = sum(first[i] <= year for i in rivals) / max(len(rivals), 1)
            assert share[firm, t] == pytest.approx(mine)
