"""What a pre-trend test could have seen, equivalence, and families of outcomes, for users."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import exportimpact as ei
from exportimpact.core.result import EstimationResult
from exportimpact.diagnostics.trends import missed_trend
from exportimpact.language import known_ids


@pytest.fixture(scope="module")
def bench():
    return ei.synthetic.scenario("staggered_dynamic").draw(n_firms=400, n_periods=8, seed=1)


@pytest.fixture(scope="module")
def design(bench):
    return ei.Design(bench.panel, bench.support, outcome="ln_exports").seal()


@pytest.fixture(scope="module")
def result(design):
    return ei.did.GroupTime(adjust="none").estimate(design)


def code_of(call, *arguments, **options):
    with pytest.raises(ei.ExportImpactError) as caught:
        call(*arguments, **options)
    return caught.value.code


@pytest.mark.parametrize("test", ["joint", "each"])
def test_table_path_and_text(result, test):
    found = ei.pretrend_power(result, slope=0.05, test=test)
    table = found.table()
    assert table["target"].tolist()[:2] == [0.5, 0.8]
    assert np.isnan(table["target"].iloc[2])
    assert table["slope"].iloc[2] == 0.05
    assert table["power"].iloc[:2].tolist() == pytest.approx([0.5, 0.8], abs=1e-4)
    assert table["power"].rank().tolist() == table["slope"].rank().tolist()
    assert (table["bayes_factor"] < 1).all()
    assert (table["slope"] > 0).all()  # as the effect
    overall = result.overall("simple")
    assert table["estimate"].unique().tolist() == [overall.estimate]
    assert len(repr(found).splitlines()) <= 20
    assert "5 %" in repr(found)
    assert "<table" in found._repr_html_()
    exhibit = found.exhibit
    assert exhibit.kind == "pretrend_power"
    path = exhibit.table
    assert (
        path["event_time"].tolist() == result.aggregate("event_time").table()["event_time"].tolist()
    )
    assert path["trend"].tolist() == pytest.approx((0.05 * (path["event_time"] + 1)).tolist())
    assert {f"pretrend.{test}", "pretrend.found"} <= known_ids()


def test_joint_power_is_the_noncentral_f(result):
    """Slope, power and bias written out from the result's own numbers."""
    found = ei.pretrend_power(result).trends[-1]
    test, index = result.pretrend_test(), result.cells.index
    before = index.event_time < 0
    lag = (index.period - result.cells.base).astype(float)
    gradient = np.eye(result.cells.moments.total.shape[1])[: len(index)][before]
    v = result.cells.moments.within(gradient, gradient != 0)
    ncp = found.slope**2 * lag[before] @ np.linalg.solve(v, lag[before])
    k, df = test.df_numerator, test.df_denominator
    power = stats.ncf.sf(stats.f.ppf(0.95, k, df), k, df, ncp)
    assert found.power == pytest.approx(power, abs=1e-4)
    weights = result.overall("simple").rows.weights[0]
    assert found.bias == pytest.approx(found.slope * weights @ lag)


def test_slopes_follow_the_sign_of_the_effect(bench):
    frame = bench.frame.assign(ln_exports=-bench.frame["ln_exports"])
    panel = ei.Panel.from_frame(
        frame, unit="firm_id", period="year", outcomes=[ei.Outcome("ln_exports", scale="logged")]
    )
    turned = ei.did.GroupTime(adjust="none").estimate(
        ei.Design(panel, bench.support, outcome="ln_exports")
    )
    table = ei.pretrend_power(turned).table()
    assert (table["slope"] < 0).all()
    assert (table["bias"] < 0).all()


def test_a_stored_result_answers_the_same(result):
    again = EstimationResult.from_json(result.to_json())
    one, other = (ei.pretrend_power(r).table() for r in (result, again))
    assert other["slope"].tolist() == pytest.approx(one["slope"].tolist(), rel=1e-6)
    margins = [ei.equivalence_test(r, 0.3).smallest_margin for r in (result, again)]
    assert margins[0] == pytest.approx(margins[1], rel=1e-9)


def test_anticipation_and_varying_bases(bench):
    made = {}
    for base in ("universal", "varying"):
        design = ei.Design(
            bench.panel, bench.support, outcome="ln_exports", base=base, anticipation=1
        )
        made[base] = ei.pretrend_power(ei.did.GroupTime(adjust="none").estimate(design))
    # The base period lies one period earlier, so that a trend adds two steps at event time 0.
    path = made["universal"].path.set_index("event_time")
    slope = made["universal"].trends[-1].slope
    assert path.loc[0, "trend"] == pytest.approx(2 * slope)
    assert "varying" in repr(made["varying"])
    assert "varying" not in repr(made["universal"])


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"slope": 0.0}, "EI-I42"),
        ({"slope": np.inf}, "EI-I42"),
        ({"power": 1.0}, "EI-I42"),
        ({"power": 0.05}, "EI-I42"),
        ({"test": "wald"}, "EI-I08"),
        ({"by": "cells"}, "EI-I08"),
        ({"level": 95}, "EI-I08"),
    ],
)
def test_what_cannot_be_asked(result, options, code):
    assert code_of(ei.pretrend_power, result, **options) == code


def test_results_without_a_test(design, result):
    assert code_of(ei.pretrend_power, result.overall("simple")) == "EI-I03"
    assert code_of(ei.equivalence_test, result.aggregate("event_time"), 0.1) == "EI-I03"
    for estimator in (ei.did.TwoPeriod(), ei.did.Saturated()):
        other = estimator.estimate(design)
        assert code_of(ei.pretrend_power, other) == "EI-I41"
        assert code_of(ei.pretrend_power, other, test="each") == "EI-I41"
        assert code_of(ei.equivalence_test, other, 0.1) == "EI-I41"


def test_imputation_has_no_base_period(design):
    result = ei.did.Imputation(leads=2).estimate(design)
    assert code_of(ei.pretrend_power, result) == "EI-I40"
    assert ei.equivalence_test(result, 0.5).p_value < 1


def test_equivalence(result):
    wide, narrow = ei.equivalence_test(result, 0.5), ei.equivalence_test(result, 0.01)
    assert wide.equivalent
    assert not narrow.equivalent
    assert wide.smallest_margin == narrow.smallest_margin
    rows = result.aggregate("event_time", max=-1).table(detail=True)
    half = stats.t.ppf(0.95, rows["df"]) * rows["std_error"]
    assert wide.smallest_margin == pytest.approx((rows["estimate"].abs() + half).max())
    table = wide.table()
    assert table["event_time"].tolist() == rows["event_time"].tolist()
    assert table["p_value"].max() == wide.p_value
    for found in (wide, narrow):
        assert len(repr(found).splitlines()) <= 20
        assert "<table" in found._repr_html_()
    assert "not shown" in repr(narrow)
    for margin in (0.0, -0.1, np.nan, np.inf):
        assert code_of(ei.equivalence_test, result, margin) == "EI-I43"


def found_by(sealed, result, id):
    return [f for f in ei.diagnose(sealed, result) if f.id == id]


def test_the_finding_qualifies_and_never_supports(design, result):
    (finding,) = found_by(design, result, "pretrend_power")
    half = ei.pretrend_power(result, power=0.5).trends[0]
    assert finding.statistic == pytest.approx(half.slope, rel=1e-6)
    assert finding.assumption is None
    assert finding.verdict == "NOT_APPLICABLE"
    assert abs(half.bias_if_quiet) < abs(result.overall("simple").estimate)


def test_the_finding_is_a_concern_where_the_trend_would_do():
    bench = ei.synthetic.scenario("null_effect").draw(n_firms=400, n_periods=8, seed=1)
    design = ei.Design(bench.panel, bench.support, outcome="ln_exports").seal()
    result = ei.did.GroupTime().estimate(design)
    assert result.pretrend_test().p_value > 0.05
    (finding,) = found_by(design, result, "pretrend_power")
    assert finding.verdict == "CONCERN"
    assert finding.assumption is None


def test_no_finding_beside_a_loud_test_or_a_base_of_no_kind(design, bench):
    result = ei.did.Imputation(leads=2).estimate(design)
    finding = missed_trend(result, result.pretrend_test())
    assert finding.verdict == "NOT_APPLICABLE"
    drift = 0.2 * (bench.frame["year"] - bench.frame["year"].min())
    supported = bench.frame["firm_id"].isin(design.units[design.cohort_codes > 0])
    frame = bench.frame.assign(ln_exports=bench.frame["ln_exports"] + drift * supported)
    panel = ei.Panel.from_frame(
        frame, unit="firm_id", period="year", outcomes=[ei.Outcome("ln_exports", scale="logged")]
    )
    loud = ei.Design(panel, bench.support, outcome="ln_exports").seal()
    assert not found_by(loud, ei.did.GroupTime().estimate(loud), "pretrend_power")


def outcomes_of(bench, count, **options):
    """Results for noisy copies of one outcome, on one panel."""
    rng = np.random.default_rng(3)
    names = [f"y{k}" for k in range(count)]
    noise = {n: bench.frame["ln_exports"] + rng.normal(0, 0.3, len(bench.frame)) for n in names}
    panel = ei.Panel.from_frame(
        bench.frame.assign(**noise),
        unit="firm_id",
        period="year",
        outcomes=[ei.Outcome(n, scale="logged") for n in names],
        **options,
    )
    return [
        ei.did.GroupTime(adjust="none").estimate(ei.Design(panel, bench.support, outcome=n))
        for n in names
    ]


@pytest.mark.parametrize("method", ["romano_wolf", "holm", "benjamini_hochberg"])
def test_families(bench, method):
    results = outcomes_of(bench, 3)
    table = ei.adjust(results, method=method)
    assert list(table) == [
        "family", "outcome", "estimator", "estimate", "std_error", "p_value", "p_adjusted",
    ]  # fmt: skip
    assert table["outcome"].tolist() == ["y0", "y1", "y2"]
    assert table["estimate"].tolist() == [r.overall("simple").estimate for r in results]
    assert (table["p_adjusted"] >= table["p_value"]).all()
    named = ei.adjust({"a": results[:2], "b": results[2:]}, method=method, by="cohort")
    assert named["family"].tolist() == ["a", "a", "b"]
    assert named["p_adjusted"].iloc[2] == named["p_value"].iloc[2]  # a family of one


def test_one_outcome_twice_costs_nothing(bench):
    (result,) = outcomes_of(bench, 1)
    table = ei.adjust([result, result])
    assert table["p_adjusted"].tolist() == pytest.approx(table["p_value"].tolist(), rel=1e-6)


def test_what_is_no_family(bench, result):
    assert code_of(ei.adjust, []) == "EI-I44"
    assert code_of(ei.adjust, {}) == "EI-I44"
    assert code_of(ei.adjust, [result.table()]) == "EI-I44"
    assert code_of(ei.adjust, [result], method="bonferroni") == "EI-I08"
    assert code_of(ei.adjust, [result], by="cell") == "EI-I08"
    assert code_of(ei.adjust, [result.overall("simple")]) == "EI-I03"
    other = ei.synthetic.scenario("staggered_dynamic").draw(n_firms=300, n_periods=8, seed=2)
    apart = ei.Design(other.panel, other.support, outcome="ln_exports")
    pair = [result, ei.did.GroupTime().estimate(apart)]
    assert code_of(ei.adjust, pair) == "EI-I45"
    assert len(ei.adjust(pair, method="holm")) == 2
    stored = EstimationResult.from_json(result.to_json())
    assert code_of(ei.adjust, [stored, stored]) == "EI-I04"
    assert len(ei.adjust([stored, stored], method="benjamini_hochberg")) == 2


def test_the_figure_draws_points_trend_and_what_is_left(result):
    found = ei.pretrend_power(result, slope=0.05)
    axes = ei.plot.pretrend_power(found)
    path = found.exhibit.table
    lines = {line.get_linestyle(): [] for line in axes.get_lines()}
    for line in axes.get_lines():
        lines[line.get_linestyle()] += list(np.atleast_1d(line.get_ydata()))
    assert set(path["mean_if_quiet"]) <= set(lines[":"])
    assert set(path["trend"]) <= set(lines["-"])
