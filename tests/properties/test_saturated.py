"""Saturated models: identities with other estimators, invariances, and what stands beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from exportimpact import Design, Outcome, diagnose
from exportimpact.did import GroupTime, PoissonSaturated, Saturated
from exportimpact.errors import CapabilityError, InputError
from exportimpact.synthetic import scenario

SEED = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=5)
X = {"covariates": ["x"]}
ESTIMATORS = [
    pytest.param(
        kind(leads=leads, effects=effects),
        options,
        id=f"{kind.__name__}-{leads}-{effects}-{len(options)}",
    )
    for kind in (Saturated, PoissonSaturated)
    for leads, effects, options in (
        (False, "cohort", {}),
        (False, "cohort", X),
        (False, "firm", X),
        (True, "cohort", {}),
        (True, "firm", {}),
    )
]
every_estimator = pytest.mark.parametrize(("estimator", "options"), ESTIMATORS)
both_effects = pytest.mark.parametrize("effects", ["cohort", "firm"])
KINDS = ("simple", "event_time", "cohort", "calendar")


def with_zeros(one, seed):
    """The firms with a fifth of outcomes at zero."""
    y = one.frame["y"].abs()
    return one.changed(y=y.where(np.random.default_rng(seed).random(len(y)) > 0.2, y * 0))


@every_estimator
@FEW
@given(seed=SEED)
def test_order_labels_and_years_do_not_matter(estimator, options, seed, firms, same):
    one = with_zeros(firms(seed, gaps=0.05), seed)
    result = one.estimate(estimator, **options)
    shuffled = replace(one, frame=one.frame.sample(frac=1, random_state=seed % 2**31))
    same(result, shuffled.estimate(estimator, **options), rtol=0)
    renamed = one.changed(firm=999 - one.frame["firm"])
    same(result, renamed.estimate(estimator, **options), rtol=1e-7)
    later = one.changed(year=one.frame["year"] + 7, first=one.frame["first"] + 7)
    moved = later.estimate(estimator, **options).table()
    np.testing.assert_allclose(moved["estimate"], result.table()["estimate"], rtol=1e-9, atol=1e-9)


@every_estimator
@FEW
@given(seed=SEED)
def test_units_scale_effects_and_leave_percentages(estimator, options, seed, firms):
    one = with_zeros(firms(seed, gaps=0.05), seed)
    results = [
        f.estimate(estimator, **options) for f in (one, one.changed(y=1000 * one.frame["y"]))
    ]
    for name in ("estimate", "std_error"):
        small, large = (r.table()[name].to_numpy() for r in results)
        np.testing.assert_allclose(large, 1000 * small, rtol=1e-7, atol=1e-6)
    small, large = (r.percent()["percent"].to_numpy() for r in results)
    np.testing.assert_allclose(large, small, rtol=1e-7, atol=1e-7)


@every_estimator
@FEW
@given(seed=SEED)
def test_firms_twice_in_one_cluster_change_nothing(estimator, options, seed, firms):
    one = with_zeros(firms(seed, gaps=0.05), seed)
    one = one.changed(origin=one.frame["firm"])
    copies = one.frame.assign(firm=one.frame["firm"] + 10_000)
    twice = replace(one, frame=pd.concat([one.frame, copies]), cluster="origin")
    found = [f.estimate(estimator, **options) for f in (replace(one, cluster="origin"), twice)]
    for name in ("estimate", "std_error"):
        a, b = (r.table()[name] for r in found)
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


@every_estimator
@pytest.mark.parametrize("weight", [None, "w"])
@FEW
@given(seed=SEED)
def test_influence_has_mean_zero_and_gives_the_errors(estimator, options, weight, seed, firms):
    one = replace(with_zeros(firms(seed, gaps=0.1), seed), weight=weight)
    result = one.estimate(estimator, **options)
    for row in (result, *(result.overall(k) for k in KINDS)):
        psi = row.influence
        np.testing.assert_allclose(psi.mean(axis=0), 0, atol=1e-8 * np.abs(psi).max())
        errors = np.sqrt((psi**2).sum(axis=0)) / row.units.size
        np.testing.assert_allclose(errors, row.table()["std_error"], rtol=1e-8)


@both_effects
@FEW
@given(seed=SEED)
def test_leads_without_covariates_are_group_time_effects(effects, seed, firms, same):
    one = firms(seed)
    found = one.estimate(Saturated(leads=True, effects=effects)), one.estimate(GroupTime())
    same(*found, rtol=1e-8)


@FEW
@given(seed=SEED)
def test_balanced_panels_are_imputed(seed, firms):
    """Two-way fixed effects of firms and years on outcomes before support, by dummies."""
    one = firms(seed)
    table = one.estimate(Saturated(effects="cohort")).table()
    firm = one.estimate(Saturated(effects="firm")).table()
    frame = one.frame
    X = pd.concat([pd.get_dummies(frame[c]) for c in ("firm", "year")], axis=1).to_numpy(float)
    before = ~(frame["year"] >= frame["first"]).fillna(False).to_numpy(dtype=bool)
    beta = np.linalg.lstsq(X[before], frame["y"].to_numpy()[before], rcond=None)[0]
    effect = (frame["y"] - X @ beta).groupby([frame["first"], frame["year"]]).mean()
    keys = list(zip(table["cohort"], table["period"], strict=True))
    np.testing.assert_allclose(table["estimate"], effect.loc[keys], atol=1e-9)
    np.testing.assert_allclose(firm["estimate"], effect.loc[keys], atol=1e-9)


@pytest.mark.parametrize("leads", [False, True])
@FEW
@given(seed=SEED)
def test_effects_of_firms_and_cohorts_agree_in_balanced_panels(leads, seed, firms):
    one = with_zeros(firms(seed), seed)
    found = [
        one.estimate(PoissonSaturated(leads=leads, effects=e)).table() for e in ("cohort", "firm")
    ]
    np.testing.assert_allclose(found[0]["estimate"], found[1]["estimate"], rtol=1e-8, atol=1e-9)


@both_effects
@FEW
@given(seed=SEED)
def test_percent_is_outcomes_over_counterfactuals(effects, seed, firms):
    one = with_zeros(firms(seed, gaps=0.1), seed)
    result = one.estimate(PoissonSaturated(effects=effects), covariates=["x"])
    mean, estimate = result.cells.mean, result.cells.estimate
    percent = result.percent()["percent"].to_numpy()
    defined = np.isfinite(percent)  # not where the counterfactual's interval includes zero
    expected = 100 * (mean / (mean - estimate) - 1)
    np.testing.assert_allclose(percent[defined], expected[defined], rtol=1e-10)
    index, size = result.cells.index, result.cells.design_sizes.value
    after = index.event_time >= 0
    total = [size[after] @ v[after] for v in (mean, mean - estimate)]
    overall = result.overall("simple")
    assume(np.isfinite(overall.percent()["percent"].iloc[0]))
    expected = 100 * (total[0] / total[1] - 1)
    assert overall.percent()["percent"].iloc[0] == pytest.approx(expected, rel=1e-10)
    # The influence of the ratio: that of the effect less ratio times that of the counterfactual.
    low, high = (overall.percent()[f"percent_{end}"].iloc[0] for end in ("low", "high"))
    assert (low + high) / 2 == pytest.approx(expected, rel=1e-8)


@both_effects
@pytest.mark.parametrize("cluster", [None, "kind"])
@FEW
@given(seed=SEED)
def test_what_stands_beside_the_headline(effects, cluster, seed, firms):
    one = replace(with_zeros(firms(seed, gaps=0.05), seed), cluster=cluster)
    result = one.estimate(PoissonSaturated(effects=effects), covariates=["x"])
    (exhibit,) = result.exhibits
    rows = exhibit.table.set_index("measure")
    ends = ["estimate", "std_error", "ci_low", "ci_high"]
    overall = result.overall("simple")
    np.testing.assert_allclose(
        rows.loc["headline", ends].astype(float), overall.table()[ends].iloc[0]
    )
    ratio = overall.percent().iloc[0][["percent", "percent_low", "percent_high"]].astype(float)
    shown = rows.loc["headline_percent", ["estimate", "ci_low", "ci_high"]].astype(float)
    np.testing.assert_allclose(shown, ratio)
    above = replace(one, outcome=Outcome("any", column="y", scale="binary"))
    linear = above.estimate(Saturated(effects=effects), covariates=["x"]).overall("simple")
    shown = rows.loc["participation", ends].astype(float)
    np.testing.assert_allclose(shown, 100 * linear.table()[ends].iloc[0].astype(float), atol=1e-9)
    psi2 = overall.influence[:, 0] ** 2
    effective = psi2.sum() ** 2 / (psi2**2).sum()
    assert rows.loc["effective_firms", "estimate"] == pytest.approx(effective)
    assert rows.loc["without_top", "firms"] == rows.loc["headline", "firms"] - 1


def test_the_largest_firm_is_left_out(firms):
    one = with_zeros(firms(3), 3)
    frame = one.frame
    early = frame[frame["year"] < frame["first"].min()].groupby("firm")["y"].mean()
    rest = replace(one, frame=frame[frame["firm"] != early.idxmax()])
    estimator = PoissonSaturated()
    shown = one.estimate(estimator).exhibits[0].table.set_index("measure")["estimate"]
    # Weighted by all supported firms of a cohort, as the headline is.
    cells = rest.estimate(estimator).cells
    sizes = frame.drop_duplicates("firm").groupby("first").size()
    weight = sizes.loc[cells.index.cohort].to_numpy() * (cells.index.event_time >= 0)
    expected = cells.estimate @ weight / weight.sum()
    assert shown["without_top"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("scale", ["log", "logged", "binary", "share"])
def test_only_levels_have_growth_ratios(scale, firms):
    one = firms(1)
    shares = one.changed(y=one.frame["y"].abs() / one.frame["y"].abs().max())
    one = replace(shares, outcome=Outcome("y", scale=scale))
    with pytest.raises(CapabilityError) as error:
        one.estimate(PoissonSaturated())
    assert error.value.code == "EI-E35"


def test_negative_outcomes_are_refused(firms):
    one = firms(1)
    with pytest.raises(InputError) as error:
        one.changed(y=one.frame["y"] - 50).estimate(PoissonSaturated())
    assert error.value.code == "EI-E36"


@pytest.mark.parametrize("kind", [Saturated, PoissonSaturated])
def test_unknown_effects(kind):
    with pytest.raises(InputError) as error:
        kind(effects="cohorts")
    assert error.value.code == "EI-E37"


def test_a_cohort_of_zeros_is_reported(firms):
    one = firms(5, n_firms=60)
    first = one.frame["first"]
    empty = int(first.min())
    late = one.changed(y=one.frame["y"].where((first != empty).fillna(True), 0.0))
    result = late.estimate(PoissonSaturated())
    assert {g for g, _, _ in result.not_identified} == {empty}
    assert empty not in set(result.table()["cohort"])
    assert any("separated" in str(note) for note in result.notes)
    kept = late.estimate(PoissonSaturated(effects="firm"))
    assert any("say nothing of growth" in str(note) for note in kept.notes)


@pytest.mark.parametrize("leads", [False, True])
def test_what_is_assumed(leads, firms):
    one = firms(2)
    requires = one.estimate(PoissonSaturated(leads=leads)).provenance.requires.names()
    assert "parallel_growth" in requires
    assert "parallel_trends" not in requires
    given_x = one.estimate(PoissonSaturated(leads=leads), **X).provenance.requires.names()
    assert {"parallel_growth_given_x", "outcome_model"} <= given_x


def test_leads_see_trends_that_differ():
    world = scenario("picking_winners")
    bench = world.draw(n_firms=world.size, n_periods=8, seed=1)
    design = Design(bench.panel, bench.support, **world.design_options).seal()
    verdicts = {f.id: f.verdict for f in diagnose(design, Saturated(leads=True).estimate(design))}
    assert verdicts["pre_trends"] == "CONTRADICTS"
