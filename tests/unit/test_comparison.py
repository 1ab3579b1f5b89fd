"""Comparison of estimators: covariance across them, differences, joint test, errors, figure."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import exportimpact as ei
from exportimpact.core.joint import Joint
from exportimpact.core.wald import pretrend_test
from exportimpact.plots import DRAWINGS, comparison, figure_svg

BY = ["simple", "event_time", "cohort", "calendar"]


def bench(clusters=None, n_firms=300, seed=3):
    drawn = ei.synthetic.scenario("staggered_dynamic").draw(n_firms=n_firms, n_periods=8, seed=seed)
    frame = drawn.frame
    if clusters is not None:
        codes = {f: k % clusters for k, f in enumerate(sorted(frame["firm_id"].unique()))}
        frame = frame.assign(area=frame["firm_id"].map(codes))
    panel = ei.Panel.from_frame(
        frame,
        unit="firm_id",
        period="year",
        outcomes=[ei.Outcome("ln_exports", scale="logged"), ei.Outcome("employees")],
        baseline=["employees", "industry"],
        cluster=None if clusters is None else "area",
    )
    return panel, drawn.support


def results(clusters=None):
    panel, support = bench(clusters)
    options = {"outcome": "ln_exports", "covariates": ["employees"]}
    never = ei.Design(panel, support, **options)
    waiting = ei.Design(panel, support, comparison="not_yet", **options)
    return [
        ei.did.GroupTime().estimate(never),
        ei.did.GroupTime(adjust="none").estimate(waiting),
        ei.matched.Benchmark().estimate(never),
    ]


@pytest.mark.parametrize("by", BY)
def test_covariance_is_that_of_stacked_influence_functions(by):
    three = results()
    compared = ei.compare(three, by)
    psi = np.column_stack([r.overall(by).influence[:, 0] for r in three])
    n = len(psi)
    assert_allclose(compared.covariance(), psi.T @ psi / n**2, rtol=1e-10)
    each = compared.differences("each")
    gaps = {"pairs": [(1, 0), (2, 0), (2, 1)]}["pairs"]
    for (_, row), (k, r) in zip(each.iterrows(), gaps, strict=True):
        gap = psi[:, k] - psi[:, r]
        assert row["std_error"] == pytest.approx(np.sqrt(gap @ gap) / n, rel=1e-9)
        ours = three[k].overall(by).estimate - three[r].overall(by).estimate
        assert row["estimate"] == pytest.approx(ours, rel=1e-12)
        related = np.corrcoef(psi.T)[k, r]
        assert row["correlation"] == pytest.approx(related, abs=2e-3)


@pytest.mark.parametrize("clusters", [30, 75])
def test_clusters_are_summed_first(clusters):
    three = results(clusters)
    compared = ei.compare(three)
    psi = np.column_stack([r.overall().influence[:, 0] for r in three])
    codes = three[0].design.cluster_codes
    sums = np.stack([psi[codes == c].sum(axis=0) for c in range(clusters)])
    expected = sums.T @ sums / len(psi) ** 2
    if clusters < 50:  # few: within strata; every cluster here spans cohorts, so there is one
        gap = sums - sums.mean(axis=0)
        expected = gap.T @ gap * clusters / (clusters - 1) / len(psi) ** 2
    assert_allclose(compared.covariance(), expected, rtol=1e-9)


def test_rows_keep_their_own_errors_and_degrees_of_freedom():
    three = results()
    joint = Joint.of([r.overall("event_time") for r in three])
    errors = joint.errors(np.eye(3))
    own = [r.overall("event_time").table(detail=True).iloc[0] for r in three]
    assert_allclose(errors.std_error, [row["std_error"] for row in own], rtol=1e-12)
    assert_allclose(errors.df, [row["df"] for row in own], rtol=1e-9)


def test_an_estimator_is_exactly_itself():
    one = results()[0]
    same = ei.compare([one, one])
    row = same.differences().iloc[0]
    assert (row["estimate"], row["std_error"]) == (0.0, 0.0)
    assert np.isnan(row["p_value"])
    assert not same.test.applies
    assert "same" in str(same.test.reason)


def test_joint_test_counts_independent_differences_only():
    a, b, c = results()
    test = ei.compare([a, b, c]).test
    again = ei.compare([a, b, c, b, a]).test
    assert test.df_numerator == again.df_numerator == 2
    assert again.statistic == pytest.approx(test.statistic, rel=1e-6)
    assert again.p_value == pytest.approx(test.p_value, rel=1e-6)
    other = ei.compare([c, a, b]).test  # whichever comes first
    assert other.statistic == pytest.approx(test.statistic, rel=1e-8)
    assert other.df_denominator == pytest.approx(test.df_denominator, rel=1e-8)


def test_joint_test_is_wald_with_many_firms():
    three = results()
    test = ei.compare(three).test
    psi = np.column_stack([r.overall().influence[:, 0] for r in three])
    gap = psi[:, 1:] - psi[:, :1]
    theta = np.array([r.overall().estimate for r in three])
    d = theta[1:] - theta[0]
    wald = d @ np.linalg.solve(gap.T @ gap / len(psi) ** 2, d)
    assert test.wald == pytest.approx(wald, rel=1e-8)
    assert test.p_value == pytest.approx(stats.chi2.sf(wald, 2), abs=0.02)


def test_one_difference_is_welch():
    """Two halves of the comparison pool: F is the square of the difference's t."""
    a, b, _ = results()
    compared = ei.compare([a, b])
    row = compared.differences().iloc[0]
    test = compared.test
    assert test.wald == pytest.approx((row["estimate"] / row["std_error"]) ** 2, rel=1e-8)
    assert test.p_value == pytest.approx(row["p_value"], abs=2e-3)


def test_cells_that_not_all_have_are_left_out_and_named():
    panel, support = bench()
    design = ei.Design(panel, support, outcome="ln_exports")
    whole, first = ei.did.GroupTime().estimate(design), ei.did.TwoPeriod().estimate(design)
    compared = ei.compare({"all years": whole, "first year": first})
    assert set(compared.left_out) == {"all years"}
    assert {t - g for g, t in compared.results[0].estimand.cells} == {0}
    assert compared.differences()["std_error"].item() == 0.0  # the same cells
    assert "all years: " in str(compared.notes[0])
    own = ei.compare([whole, first], cells="own")
    assert own.results[0].estimate == whole.overall().estimate
    assert any("other cells" in str(note) for note in own.notes)


def test_repr_and_html_are_short():
    compared = ei.compare(results())
    assert len(repr(compared).splitlines()) <= 20
    assert "Joint test" in compared._repr_html_()


def coded(code, call):
    with pytest.raises(ei.ExportImpactError) as caught:
        call()
    assert caught.value.code == code


def test_what_cannot_be_compared_is_refused():
    a, b, _ = results()
    panel, support = bench()
    other = ei.did.GroupTime().estimate(ei.Design(panel, support, outcome="employees"))
    smaller, moved = bench(n_firms=200)
    elsewhere = ei.did.GroupTime().estimate(ei.Design(smaller, moved, outcome="ln_exports"))
    design = ei.Design(panel, support, outcome="ln_exports")
    late = ei.did.TwoPeriod(event_time=3).estimate(design)
    early = ei.did.TwoPeriod(event_time=0).estimate(design)
    coded("EI-E50", lambda: ei.compare([a]))
    coded("EI-E50", lambda: ei.compare([a, "b"]))
    coded("EI-E51", lambda: ei.compare([a, other]))
    coded("EI-E51", lambda: ei.compare([a, elsewhere]))
    coded("EI-E52", lambda: ei.compare([late, early]))
    coded("EI-I03", lambda: ei.compare([a.overall(), b.overall()]))
    coded("EI-I04", lambda: ei.compare([a, type(a).from_json(a.to_json())]))
    coded("EI-I08", lambda: ei.compare([a, b], cells="shared"))
    coded("EI-I08", lambda: ei.compare([a, b]).differences("last"))


def test_figure_shows_every_estimator_and_the_estimand():
    compared = ei.compare(results())
    axes = comparison(compared)
    said = " ".join(t.get_text() for t in [*axes.texts, axes._left_title])
    for name in compared.names:
        assert name.split(" (")[0] in said
    assert "weighted by" in said.replace("\n", " ")
    points = [line.get_xdata()[0] for line in axes.get_lines() if line.get_marker() in "os"]
    assert points == pytest.approx(compared.table()["estimate"].tolist())
    assert "comparison" in DRAWINGS
    drawn = [
        figure_svg("comparison", compared.exhibit.table, name="c", title="t", description="d")
        for _ in range(2)
    ]
    assert drawn[0] == drawn[1]


def test_pretrend_test_is_a_joint_test():
    """The shared arithmetic gives what it gave before it was shared."""
    result = results()[0]
    test = pretrend_test(result.cells, 0)
    before = result.cells.index.event_time < 0
    psi = result.influence[:, before]
    theta = result.cells.estimate[before]
    wald = theta @ np.linalg.solve(psi.T @ psi / len(psi) ** 2, theta)
    assert test.wald == pytest.approx(wald, rel=1e-9)
