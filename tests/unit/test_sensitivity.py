"""ei.sensitivity: what it reads from a result, what it refuses, and what it says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import exportimpact as ei


@pytest.fixture(scope="module")
def bench():
    return ei.synthetic.scenario("staggered_dynamic").draw(n_firms=600, n_periods=8, seed=1)


@pytest.fixture(scope="module")
def design(bench):
    return ei.Design(bench.panel, bench.support, outcome="ln_exports")


@pytest.fixture(scope="module")
def result(design):
    return ei.did.GroupTime().estimate(design)


def refused(code, result, **options):
    with pytest.raises(ei.ExportImpactError) as caught:
        ei.sensitivity(result, **options)
    assert caught.value.code == code
    return caught.value


def test_the_table_begins_with_parallel_trends(result):
    found = ei.sensitivity(result, target=2)
    table = found.table()
    assert table.columns.tolist() == [
        "outcome",
        "target",
        "restriction",
        "value",
        "estimate",
        "ci_low",
        "ci_high",
        "excludes_zero",
        "at_grid_end",
    ]
    assert table["restriction"].tolist() == ["parallel_trends"] + ["relative_magnitudes"] * 4
    assert table["value"].tolist()[1:] == [0.5, 1.0, 1.5, 2.0]
    own = result.aggregate("event_time").table().set_index("event_time").loc[2]
    np.testing.assert_allclose(
        table.loc[0, ["estimate", "ci_low", "ci_high"]].astype(float),
        own[["estimate", "ci_low", "ci_high"]].astype(float),
    )
    assert not table["at_grid_end"].any()
    assert (np.diff(table["ci_high"] - table["ci_low"]) > 0).all()


@pytest.mark.parametrize("target", ["first", "average", 3])
def test_without_departure_the_interval_is_the_conventional_one(result, target):
    plain, none = (
        ei.sensitivity(result, target=target, values=[0], distribution="normal")
        .table()[["ci_low", "ci_high"]]
        .to_numpy()
    )
    wider = ei.sensitivity(result, target=target, values=[0]).table()
    t_interval, widened = wider[["ci_low", "ci_high"]].to_numpy()
    np.testing.assert_allclose(none, plain, rtol=1e-5)
    assert widened[0] <= t_interval[0] + 1e-9
    assert t_interval[1] <= widened[1] + 1e-9
    assert t_interval[0] < plain[0]


def test_average_is_the_mean_over_event_times(result):
    found = ei.sensitivity(result, target="average")
    one = result.overall("event_time")
    assert found.path.effect == pytest.approx(one.estimate)
    assert found.path.std_error == pytest.approx(one.std_error)
    row = found.table().iloc[0]
    assert (row.ci_low, row.ci_high) == pytest.approx((one.ci_low, one.ci_high))


def test_breakdown_is_where_zero_comes_in(result):
    for restriction in ("relative_magnitudes", "smoothness"):
        found = ei.sensitivity(result, restriction=restriction, target=2)
        at = found.breakdown
        assert at is not None
        around = ei.sensitivity(
            result, restriction=restriction, target=2, values=[0.99 * at, 1.01 * at]
        )
        assert around.table()["excludes_zero"].tolist()[1:] == [True, False]
        assert "Told from zero until" in repr(found)
    nothing = ei.sensitivity(result, target="first")
    assert nothing.breakdown is None
    assert "even if trends are parallel" in repr(nothing)


def test_default_bends_are_multiples_of_the_largest_before_support(result):
    table = result.aggregate("event_time").table()
    before = table.loc[table["event_time"] < 0, "estimate"].tolist()
    largest = np.abs(np.diff([*before, 0.0], n=2)).max()
    found = ei.sensitivity(result, restriction="smoothness")
    np.testing.assert_allclose(found.values, largest * np.array([0, 0.25, 0.5, 1]))


def test_an_aggregate_chooses_event_times(result):
    short = ei.sensitivity(result.aggregate("event_time", min=-3, max=2), target="average")
    assert short.path.before == (-3, -2)
    assert short.path.after == (0, 1, 2)
    with_one = ei.sensitivity(result.aggregate("event_time", min=-2), restriction="smoothness")
    np.testing.assert_allclose(with_one.values[1], 0.25 * with_one.path.std_error)


def test_event_times_beyond_a_gap_are_left_out(bench):
    panel = ei.Panel.from_frame(
        bench.frame, unit="firm_id", period="year", outcomes=[ei.Outcome("ln_exports")]
    )
    first = bench.frame.groupby("firm_id", as_index=False)["year"].first()[["firm_id"]]
    years = sorted(bench.frame["year"].unique())
    first["first"] = pd.array([years[4] if i % 3 == 0 else pd.NA for i in range(len(first))])
    first["first"] = first["first"].astype("Int64")
    support = ei.Assignment.from_first_period(first, unit="firm_id", first_period="first")
    whole = ei.did.GroupTime().estimate(ei.Design(panel, support, outcome="ln_exports"))
    assert ei.sensitivity(whole).path.left_out == ()
    gaps = bench.frame[~bench.frame["year"].isin([years[1], years[6]])]
    panel = ei.Panel.from_frame(
        gaps, unit="firm_id", period="year", outcomes=[ei.Outcome("ln_exports")], frequency="year"
    )
    try:
        broken = ei.did.GroupTime().estimate(ei.Design(panel, support, outcome="ln_exports"))
    except ei.ExportImpactError as error:
        pytest.fail(str(error))
    found = ei.sensitivity(broken)
    assert found.path.before == (-2,)
    assert found.path.after == (0, 1)
    assert found.path.left_out == (-4, 3)
    assert "-4, 3" in repr(found)
    refused("EI-I24", broken, target="average")
    assert "gap" in str(refused("EI-I24", broken, target=3))


def test_anticipation_moves_the_reference_period(bench):
    design = ei.Design(bench.panel, bench.support, outcome="ln_exports", anticipation=1)
    found = ei.sensitivity(ei.did.GroupTime().estimate(design))
    assert found.path.before[-1] == -3
    assert found.path.after[:2] == (-1, 0)
    assert found.path.weights.tolist() == [0.0, 1.0, *[0.0] * (len(found.path.after) - 2)]


def test_a_stored_result_gives_the_same(result):
    stored = ei.EstimationResult.from_json(result.to_json())
    one, other = (ei.sensitivity(r, target="average").table() for r in (result, stored))
    pd.testing.assert_frame_equal(one, other)


def test_a_given_grid_that_is_too_short_is_said(result):
    found = ei.sensitivity(result, values=[0, 2], grid=(-0.1, 0.2))
    assert found.table()["at_grid_end"].tolist() == [False, False, True]
    assert found.table()["ci_high"].iloc[-1] == 0.2


@pytest.mark.parametrize(
    "estimator",
    [ei.did.Stacked(), ei.did.Saturated(leads=True), ei.did.TripleDifference(by="affected")],
)
def test_other_estimators_with_effects_before_support(bench, estimator):
    affected = bench.frame["firm_id"].rank(method="dense") % 3 == 0
    panel = ei.Panel.from_frame(
        bench.frame.assign(affected=affected.astype(int)),
        unit="firm_id",
        period="year",
        outcomes=[ei.Outcome("ln_exports", scale="logged")],
        baseline=["affected"],
    )
    design = ei.Design(panel, bench.support, outcome="ln_exports")
    found = ei.sensitivity(estimator.estimate(design))
    assert found.path.before[-1] == -2
    assert found.table()["ci_low"].notna().all()


def test_the_event_study_regression(design):
    found = ei.sensitivity(ei.did.event_study(design))
    assert found.path.before[-1] == -2
    assert found.table()["ci_low"].notna().all()


def test_poisson_models_and_doses(bench):
    drawn = ei.synthetic.scenario("heavy_tails").draw(n_firms=600, n_periods=8, seed=1)
    design = ei.Design(drawn.panel, drawn.support, outcome="exports")
    found = ei.sensitivity(ei.did.PoissonSaturated(leads=True).estimate(design))
    assert found.table()["ci_low"].notna().all()
    switching = ei.synthetic.scenario("on_off_support").draw(n_firms=400, n_periods=8, seed=1)
    design = ei.Design(
        switching.panel, switching.support, outcome="ln_exports", comparison="not_yet"
    )
    assert ei.sensitivity(ei.did.Intertemporal().estimate(design)).path.before
    by_dose = ei.did.Intertemporal(normalized=True).estimate(design)
    assert "doses" in str(refused("EI-I22", by_dose))


def test_results_without_trends_or_paths_are_refused(bench, design, result):
    refused("EI-I20", ei.matched.Benchmark().estimate(design))
    refused("EI-I20", "a result")
    refused("EI-I21", result.overall("event_time"))
    refused("EI-I21", result.overall("simple"))
    refused("EI-I21", result.aggregate("cohort"))
    varying = ei.Design(bench.panel, bench.support, outcome="ln_exports", base="varying")
    refused("EI-I22", ei.did.GroupTime().estimate(varying))
    refused("EI-I22", ei.did.Imputation(leads=2).estimate(design))


def test_nothing_before_support_is_refused(design, result):
    refused("EI-I23", ei.did.TwoWayFixedEffects().estimate(design))
    refused("EI-I23", result.aggregate("event_time", min=0))
    early = refused("EI-I23", result.aggregate("event_time", balance=1, max=1, min=0))
    assert early.details["reference"] == -1


def test_unknown_effects_are_refused(result):
    for target in ("last", True, 99, -2, 1.5):
        refused("EI-I24", result, target=target)
    refused("EI-I24", result.aggregate("event_time", max=-1), target="average")


def small(outcome, first, cluster=None):
    n, periods = outcome.shape
    frame = pd.DataFrame(
        {
            "firm": np.repeat(np.arange(n), periods),
            "year": np.tile(np.arange(2010, 2010 + periods), n),
            "y": outcome.ravel(),
        }
    )
    if cluster is not None:
        frame["region"] = np.repeat(cluster, periods)
    panel = ei.Panel.from_frame(
        frame,
        unit="firm",
        period="year",
        outcomes=[ei.Outcome("y", scale="logged")],
        cluster=None if cluster is None else "region",
    )
    starts = pd.DataFrame({"firm": np.arange(n), "first": pd.array(first, dtype="Int64")})
    support = ei.Assignment.from_first_period(starts, unit="firm", first_period="first")
    return ei.did.GroupTime().estimate(ei.Design(panel, support, outcome="y"))


def test_outcomes_that_do_not_move_and_too_few_clusters_are_refused():
    rng = np.random.default_rng(0)
    first = [2014] * 20 + [pd.NA] * 40
    outcome = rng.normal(size=(60, 8))
    flat = outcome.copy()
    flat[:, :4] = 0.0
    refused("EI-I25", small(flat, first))
    regions = np.r_[np.repeat(np.arange(2), 10), np.repeat(np.arange(2, 5), 14)[:40]]
    refused("EI-I25", small(outcome, first, regions))


def test_too_few_clusters_to_estimate_weights_are_refused():
    rng = np.random.default_rng(0)
    regions = np.repeat(np.arange(10), 6)
    first = [2014 if r < 4 else pd.NA for r in regions]
    found = small(rng.normal(size=(60, 7)), first, regions)
    assert found.aggregate("event_time").table(detail=True)["df"].min() < 8
    ei.sensitivity(found)
    kept = ei.sensitivity(found, restriction="smoothness", values=[0]).table()
    normal = ei.sensitivity(found, restriction="smoothness", values=[0], distribution="normal")
    assert np.diff(kept[["ci_low", "ci_high"]].iloc[1]) > np.diff(
        normal.table()[["ci_low", "ci_high"]].iloc[1]
    )
    fewer = [2014 if r < 2 else pd.NA for r in regions]
    few = small(rng.normal(size=(60, 7)), fewer, regions)
    ei.sensitivity(few)
    assert "degrees of freedom" in str(refused("EI-I25", few, restriction="smoothness"))


def test_options_are_checked(result):
    for options in (
        {"restriction": "smooth"},
        {"distribution": "z"},
        {"values": []},
        {"values": [-1]},
        {"values": [np.nan]},
        {"values": [[1.0]]},
        {"grid": (5.0, 6.0)},
        {"restriction": "smoothness", "grid": (-5.0, 5.0)},
    ):
        refused("EI-I26", result, **options)
    refused("EI-I08", result, level=1.0)


def test_the_text_is_short_and_html_is_escaped(result):
    found = ei.sensitivity(result, values=np.linspace(0, 3, 40), target="average")
    assert len(repr(found).splitlines()) <= 20
    assert "more rows" in repr(found)
    assert "<table" in found._repr_html_()


def test_the_figure_shows_every_interval(result):
    found = ei.sensitivity(result, values=[0, 1, 2], target=2, grid=(-0.05, 0.6))
    assert found.exhibit.kind == "sensitivity"
    axes = ei.plot.sensitivity(found)
    table = found.table()
    spans = [c.get_segments()[0][:, 1] for c in axes.collections]
    np.testing.assert_allclose(np.array(spans), table[["ci_low", "ci_high"]])
    filled = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert [line.get_markerfacecolor() != "white" for line in filled] == table[
        "excludes_zero"
    ].tolist()
    arrows = [line for line in axes.get_lines() if line.get_marker() in {"v", "^"}]
    at_ends = table[["ci_low", "ci_high"]].isin([-0.05, 0.6]).to_numpy()
    assert len(arrows) == at_ends.sum() > 0
    texts = [t.get_text() for t in axes.get_xticklabels()]
    assert texts == ["parallel\ntrends", "0", "1", "2"]
