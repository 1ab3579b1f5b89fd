"""Effects by subgroup: segments of a design, differences between them, adjusted p-values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import exportimpact as ei
from exportimpact.numerics.multiple import holm, step_down
from exportimpact.plots import DRAWINGS, figure_svg, forest


def drawn(scenario="effect_by_size", n_firms=500, seed=4):
    return ei.synthetic.scenario(scenario).draw(n_firms=n_firms, n_periods=8, seed=seed)


def design_of(bench, **options):
    return ei.Design(bench.panel, bench.support, outcome="ln_exports", **options)


@pytest.fixture(scope="module")
def bench():
    return drawn()


def coded(code, call):
    with pytest.raises(ei.ExportImpactError) as caught:
        call()
    assert caught.value.code == code


@pytest.mark.parametrize("comparison", ["never", "not_yet"])
def test_a_segment_is_the_panel_of_its_firms(bench, comparison):
    """A column that does not change: the same as leaving the other firms out of the panel."""
    design = design_of(bench, comparison=comparison, covariates=["employees"])
    segment = ei.did.GroupTime().estimate(design.within("size_class", "small"))
    frame = bench.frame
    panel = ei.Panel.from_frame(
        frame[frame["size_class"] == "small"],
        unit="firm_id",
        period="year",
        outcomes=[ei.Outcome("ln_exports", scale="logged")],
        baseline=["employees"],
    )
    spells = bench.spells[bench.spells["firm_id"].isin(panel.units)]
    support = ei.Assignment.from_spells(spells, unit="firm_id", start="award_year")
    alone = ei.did.GroupTime().estimate(
        ei.Design(
            panel, support, outcome="ln_exports", comparison=comparison, covariates=["employees"]
        )
    )
    columns = ["estimate", "std_error", "ci_low", "n_supported", "n_comparison"]
    assert_allclose(
        segment.table()[columns].astype(float), alone.table()[columns].astype(float), rtol=1e-9
    )
    assert segment.overall().std_error == pytest.approx(alone.overall().std_error, rel=1e-9)


def moving_panel():
    """Firms whose class changes: read at each cohort's base period, on both sides."""
    rng = np.random.default_rng(8)
    firms, years = np.arange(60), np.arange(2010, 2016)
    start = np.where(firms < 10, 2012, np.where(firms < 20, 2014, 0))
    kind = rng.choice(["a", "b"], size=(60, 6))
    y = rng.normal(size=(60, 6))
    frame = pd.DataFrame(
        {
            "firm": np.repeat(firms, 6),
            "year": np.tile(years, 60),
            "y": y.ravel(),
            "kind": kind.ravel(),
        }
    )
    panel = ei.Panel.from_frame(
        frame, unit="firm", period="year", outcomes=["y"], baseline=["kind"]
    )
    awards = pd.DataFrame({"firm": firms[:20], "year": start[:20]})
    return panel, ei.Assignment.from_spells(awards, unit="firm", start="year"), kind, y, start


@pytest.mark.parametrize("comparison", ["never", "not_yet"])
def test_categories_are_read_at_each_cohorts_base_period(comparison):
    panel, support, kind, y, start = moving_panel()
    design = ei.Design(panel, support, outcome="y", comparison=comparison)
    result = ei.did.GroupTime().estimate(design.within("kind", "a"))
    assert len(result.cells.index) == 10
    for (g, t), ours in zip(result.estimand.cells, result.cells.estimate, strict=True):
        b, column = g - 1 - 2010, t - 2010
        free = start == 0
        if comparison == "not_yet":
            free |= (start > max(t, g - 1)) & (start != g)
        change = y[:, column] - y[:, b]
        alike = kind[:, b] == "a"
        expected = change[alike & (start == g)].mean() - change[alike & free].mean()
        assert ours == pytest.approx(expected, rel=1e-12)
    sizes = {g: int(((start == g) & (kind[:, g - 2011] == "a")).sum()) for g in (2012, 2014)}
    assert {g: design.within("kind", "a").members(g).size for g in (2012, 2014)} == sizes
    weights = result.overall().rows.weights[0]
    cohort = result.cells.index.cohort
    of_first = weights[cohort == 2012].max() / weights[cohort == 2014].max()
    assert of_first == pytest.approx(sizes[2012] / sizes[2014])


def test_segment_is_in_settings_seal_account_and_words(bench):
    design = design_of(bench, covariates=["employees", "size_class"])
    small = design.within("size_class", "small")
    assert small.covariates == ("employees",)
    assert small.settings["segment"] == {
        "column": "size_class",
        "value": "small",
        "label": "small",
    }
    assert "segment" not in design.settings
    hashes = {d.seal().hash for d in (design, small, design.within("size_class", "medium"))}
    assert len(hashes) == 3
    left = small.account.table().set_index("reason")["firms"]
    n_small = int((bench.truth.segments["size_class"] == "small").sum())
    assert left["size_class is not small at the base period"] == n_small - 500
    assert small.account.remaining[0] == n_small
    result = ei.did.GroupTime().estimate(small)
    assert result.estimand.segment == ("size_class", "small")
    assert "with size_class = small" in str(result.estimand)
    assert set(result.table()["subgroup"]) == {"size_class=small"}
    again = ei.EstimationResult.from_json(result.to_json())
    assert again.estimand == result.estimand
    assert "only size_class = small" in repr(small)


def test_ranges_and_numbers(bench):
    design = design_of(bench)
    some = design.within("employees", at_least=50, below=100)
    inside = (bench.frame["employees"] >= 50) & (bench.frame["employees"] < 100)
    assert some.account.remaining[0] <= bench.frame[inside]["firm_id"].nunique()
    assert some.segment.label == "50 to below 100"
    assert design.within("employees", below=50).segment.label == "below 50"
    assert design.within("employees", at_least=100 / 3).segment.label == "33.33 or more"


def test_matched_and_sealed_designs_have_segments(bench):
    design = design_of(bench, covariates=["employees"]).match(ei.matching.Nearest(replace=True))
    small = design.seal().within("size_class", "small")
    assert type(small) is ei.Design
    result = ei.matched.MatchedDifference(tie_orders=0).estimate(small)
    assert set(bench.truth.segments["size_class"][result.influence.any(axis=1)]) == {"small"}


def test_history_holds_the_firms_of_the_segment(bench):
    usable = design_of(bench).within("size_class", "small").history().usable.any(axis=1)
    assert (usable == (bench.truth.segments["size_class"] == "small")).all()


def test_segments_that_do_not_exist_are_refused(bench):
    design = design_of(bench)
    small = design.within("size_class", "small")
    coded("EI-I12", lambda: design.within("size_class", "smal"))
    coded("EI-I12", lambda: small.within("industry", "food"))
    coded("EI-I12", lambda: design.within("employees", "small"))
    coded("EI-I12", lambda: design.within("employees", at_least=50, below=10))
    coded("EI-I12", lambda: design.within("employees"))
    coded("EI-P33", lambda: design.within("colour", "red"))
    coded("EI-D07", lambda: design.within("employees", at_least=1e9))
    formula = design_of(bench, covariates="employees + size_class")
    coded("EI-I13", lambda: formula.within("size_class", "small"))


@pytest.fixture(scope="module")
def by_industry(bench):
    return ei.subgroups(ei.did.GroupTime(), design_of(bench), "industry", adjust="sup_t")


def test_differences_come_from_the_joint_influence_functions(by_industry):
    psi = np.column_stack([r.overall().influence[:, 0] for r in by_industry.results.values()])
    theta = np.array([r.overall().estimate for r in by_industry.results.values()])
    n = len(psi)
    assert ((psi != 0).sum(axis=1) <= 1).all()  # nobody is in two subgroups
    covariance = psi.T @ psi / n**2
    test = by_industry.test
    d = np.column_stack([-np.ones(theta.size - 1), np.eye(theta.size - 1)])
    wald = d @ theta @ np.linalg.solve(d @ covariance @ d.T, d @ theta)
    assert test.wald == pytest.approx(wald, rel=1e-8)
    assert test.df_numerator == theta.size - 1


def test_each_against_the_rest_counts_that_shares_are_estimated(bench, by_industry):
    frame = by_industry.interactions()
    names = list(by_industry.results)
    supported = bench.support.align(bench.panel).first <= 2100
    kind = bench.truth.segments["industry"]
    flags = np.column_stack([(kind == name) & supported for name in names]).astype(float)
    psi = np.column_stack([r.overall().influence[:, 0] for r in by_industry.results.values()])
    theta = np.array([r.overall().estimate for r in by_industry.results.values()])
    size = flags.mean(axis=0)
    for k, (_, row) in enumerate(frame.iterrows()):
        others = np.arange(len(names)) != k
        share = size[others] / size[others].sum()
        rest = share @ theta[others]
        moved = psi[:, others] @ share
        moved += (flags[:, others] - size[others]) @ (theta[others] - rest) / size[others].sum()
        gap = psi[:, k] - moved
        assert row["estimate"] == pytest.approx(theta[k] - rest, rel=1e-9)
        assert row["std_error"] == pytest.approx(np.sqrt(gap @ gap) / len(gap), rel=1e-3)


def test_clusters_join_subgroups(bench):
    frame = bench.frame
    firms = sorted(frame["firm_id"].unique())
    area = {f: k % 60 for k, f in enumerate(firms)}
    panel = ei.Panel.from_frame(
        frame.assign(area=frame["firm_id"].map(area)),
        unit="firm_id",
        period="year",
        outcomes=[ei.Outcome("ln_exports", scale="logged")],
        baseline=["size_class"],
        cluster="area",
    )
    design = ei.Design(panel, bench.support, outcome="ln_exports")
    found = ei.subgroups(ei.did.GroupTime(), design, "size_class")
    psi = np.column_stack([r.overall().influence[:, 0] for r in found.results.values()])
    codes = panel.cluster_codes
    sums = np.stack([psi[codes == c].sum(axis=0) for c in range(60)])
    covariance = found.joint.errors(np.eye(2)).covariance
    expected = sums.T @ sums
    if found.joint.within:  # clusters span cohorts: one stratum, as many as the largest cell has
        rows = [r.overall() for r in found.results.values()]
        cells = [r.cells for r in rows]
        k = np.array([np.max(c.moments.members.sum(axis=0)[: len(c.index)]) for c in cells])
        mean = sums.sum(axis=0) / np.sqrt(k)
        expected = (expected - np.outer(mean, mean)) * np.sqrt(np.outer(k / (k - 1), k / (k - 1)))
    assert_allclose(covariance, expected / len(psi) ** 2, rtol=1e-8)
    assert covariance[0, 1] != 0


def test_numeric_columns_are_cut(bench):
    design = design_of(bench)
    estimator = ei.did.GroupTime()
    three = ei.subgroups(estimator, design, "employees", bins=[60, 100])
    assert list(three.results) == ["below 60", "60 to below 100", "100 or more"]
    halves = ei.subgroups(estimator, design, "employees", quantiles=[0.5])
    low, high = (r.overall().table()["n_supported"].item() for r in halves.results.values())
    assert abs(low - high) <= 3
    assert any("quantiles 0.5" in str(note) for note in halves.notes)
    for wrong in (
        {},
        {"bins": [5, 1]},
        {"bins": []},
        {"quantiles": [0]},
        {"bins": [1], "quantiles": [0.5]},
    ):
        coded("EI-E53", lambda wrong=wrong: ei.subgroups(estimator, design, "employees", **wrong))
    coded("EI-E53", lambda: ei.subgroups(estimator, design, "industry", bins=[1]))
    coded("EI-E60", lambda: ei.subgroups(estimator, design, "employees", bins=[1e6]))
    coded("EI-I08", lambda: ei.subgroups(estimator, design, "industry", adjust="fdr"))
    coded("EI-I08", lambda: ei.subgroups(estimator, design, "industry", aggregation="all"))


def test_subgroups_without_an_effect_are_named(bench):
    """A category whose supported firms have nobody to be compared with."""
    frame, first = bench.frame, bench.support.align(bench.panel).first
    alone = set(np.asarray(bench.panel.units)[first <= 2100][:5])
    kind = frame["size_class"].astype(str).where(~frame["firm_id"].isin(alone), "tiny")
    panel = ei.Panel.from_frame(
        frame.assign(kind=kind),
        unit="firm_id",
        period="year",
        outcomes=[ei.Outcome("ln_exports", scale="logged")],
        baseline=["kind"],
    )
    design = ei.Design(panel, bench.support, outcome="ln_exports")
    found = ei.subgroups(ei.did.GroupTime(), design, "kind")
    assert list(found.results) == ["medium", "small"]
    assert any("kind = tiny" in str(note) for note in found.notes)


def test_two_subgroups_are_one_comparison(bench):
    found = ei.subgroups(ei.did.GroupTime(), design_of(bench), "size_class")
    rows = found.interactions()
    assert rows["estimate"].sum() == pytest.approx(0, abs=1e-12)
    assert (rows["p_adjusted"] == rows["p_value"]).all()
    a, b = found.results.values()
    gap = np.hypot(a.overall().std_error, b.overall().std_error)
    assert rows["std_error"].tolist() == pytest.approx([gap, gap], rel=1e-9)


def test_holm_and_step_down():
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.005])
    assert_allclose(holm(p)[[0, 2, 3, 4]], [0.03, 0.06, 0.06, 0.02])
    assert np.isnan(holm(p)[1])
    many = np.full(5, 1e6)
    free = step_down(p, np.eye(5), many)
    sidak = 1 - (1 - np.sort(p[np.isfinite(p)])) ** np.array([4, 3, 2, 1])
    assert_allclose(np.sort(free[np.isfinite(free)]), np.maximum.accumulate(sidak), atol=2e-3)
    assert (free[np.isfinite(free)] <= holm(p)[np.isfinite(p)] + 1e-3).all()
    tied = step_down(np.array([0.02, 0.02]), np.ones((2, 2)), np.array([30.0, 30.0]))
    assert_allclose(tied, 0.02, atol=1e-3)  # the same test twice needs no adjustment
    tiny = step_down(np.array([1e-9, 0.5]), np.eye(2), np.array([40.0, 40.0]))
    assert tiny[0] == 2e-9


def test_step_down_against_simulation():
    rng = np.random.default_rng(1)
    covariance = np.array([[1.0, 0.6, 0.2], [0.6, 2.0, 0.5], [0.2, 0.5, 1.5]])
    df = np.array([12.0, 12.0, 12.0])
    p = np.array([0.2, 0.03, 0.08])
    scale = np.sqrt(np.diagonal(covariance))
    z = rng.multivariate_normal(np.zeros(3), covariance, 200_000) / scale
    t = z / np.sqrt(rng.chisquare(12, 200_000) / 12)[:, None]
    null = 2 * stats.t.sf(np.abs(t), 12)
    expected = np.empty(3)
    expected[1] = (null.min(axis=1) <= p[1]).mean()
    expected[2] = max(expected[1], (null[:, [0, 2]].min(axis=1) <= p[2]).mean())
    expected[0] = max(expected[2], p[0])
    assert_allclose(step_down(p, covariance, df), expected, atol=4e-3)


def test_repr_html_and_figure(by_industry):
    assert len(repr(by_industry).splitlines()) <= 20
    assert "Joint test" in by_industry._repr_html_()
    axes = forest(by_industry)
    said = " ".join(t.get_text() for t in axes.texts)
    assert all(name in said for name in by_industry.results)
    assert "All supported firms" in said
    assert "forest" in DRAWINGS
    table = by_industry.exhibit.table
    options = {"name": "f", "title": "t", "description": "d"}
    assert figure_svg("forest", table, **options) == figure_svg("forest", table, **options)


@pytest.mark.calibration
def test_known_effects_of_subgroups():
    """100 draws: unbiased for the truth of every segment; the joint test finds the difference."""
    draws, gaps, found = 100, [], 0
    for seed in range(draws):
        bench = drawn(n_firms=400, seed=seed)
        result = ei.subgroups(ei.did.GroupTime(), design_of(bench), "size_class")
        rows = [r.overall() for r in result.results.values()]
        truth = [bench.truth.value(row.estimand) for row in rows]
        gaps.append([(row.estimate - t, row.std_error) for row, t in zip(rows, truth, strict=True)])
        found += result.test.p_value < 0.05
    error, std_error = np.moveaxis(np.array(gaps), 2, 0)
    sd = error.std(axis=0, ddof=1)
    assert (np.abs(error.mean(axis=0)) <= 0.10 * sd + 3 * sd / np.sqrt(draws)).all()
    ratio = np.sqrt((std_error**2).mean(axis=0)) / sd
    assert (np.abs(ratio - 1) <= 3.29 / np.sqrt(2 * draws)).all()
    assert found > 5


@pytest.mark.calibration
def test_size_and_coverage_of_interactions():
    """500 draws: the equality test keeps its size; coverage inside the exact binomial band."""
    draws, rejected, covered = 500, 0, np.zeros(2)
    for seed in range(draws):
        equal = ei.subgroups(
            ei.did.GroupTime(),
            design_of(drawn("staggered_dynamic", n_firms=500, seed=seed)),
            "industry",
        )
        rejected += equal.test.p_value < 0.05
        bench = drawn(n_firms=400, seed=seed)
        rows = ei.subgroups(ei.did.GroupTime(), design_of(bench), "size_class")
        truth = [bench.truth.value(r.overall().estimand) for r in rows.results.values()]
        gap = np.array([truth[0] - truth[1], truth[1] - truth[0]])
        table = rows.interactions()
        covered += (table["ci_low"] <= gap) & (gap <= table["ci_high"])
    low, high = stats.binom.ppf([0.0005, 0.9995], draws, 0.05)
    assert low <= rejected <= high
    low, high = stats.binom.ppf([0.0005, 0.9995], draws, 0.95)
    assert (covered >= low).all()
    assert (covered <= high).all()
