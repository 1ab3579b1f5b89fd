"""Two-way fixed effects and its decompositions written out on firm dummies, or in closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linearmodels.panel import PanelOLS
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from exportimpact.did import GroupTime, Stacked, TwoWayFixedEffects, event_study
from exportimpact.errors import CapabilityError, InputError, NotIdentifiedError
from exportimpact.matching import EntropyBalancing
from exportimpact.numerics.decompositions import sensitivity

SEED = st.integers(0, 2**32 - 1)


def shown(result, kind):
    return next((e.table for e in result.own_exhibits if e.kind == kind), None)


def long(firms):
    """The frame with support and time since support, complete rows only."""
    frame = firms.frame.dropna(subset=["y"]).set_index(["firm", "year"])
    since = frame.index.get_level_values("year") - frame["first"].astype(float)
    return frame.assign(d=(since >= 0).astype(float), since=since)


def by_firm(frame, columns, weighted):
    """The regression on all firm-years, clustered by firm without any small-sample factor."""
    model = PanelOLS(
        frame["y"],
        columns,
        weights=frame["w"] if weighted else None,
        entity_effects=True,
        time_effects=True,
        singletons=True,
        check_rank=False,
    )
    return model.fit(
        cov_type="clustered",
        cluster_entity=True,
        debiased=False,
        auto_df=False,
        count_effects=False,
    )


@settings(max_examples=4)
@given(seed=SEED, weighted=st.booleans(), gaps=st.sampled_from([0.0, 0.15]), control=st.booleans())
def test_firm_years_one_by_one(seed, weighted, gaps, control, firms):
    one = replace(firms(seed, gaps=gaps), weight="w" if weighted else None)
    names = ("x",) if control else ()
    row = one.estimate(TwoWayFixedEffects(controls=names)).overall()
    frame = long(one)
    # A firm seen once says nothing.
    expected = by_firm(frame, frame[["d", *names]], weighted)
    assert_allclose(row.estimate, expected.params["d"], rtol=1e-8)
    assert_allclose(row.std_error, expected.std_errors["d"], rtol=1e-7)


@settings(max_examples=4)
@given(seed=SEED, weighted=st.booleans(), gaps=st.sampled_from([0.0, 0.1]))
def test_leads_and_lags_one_by_one(seed, weighted, gaps, firms):
    one = replace(firms(seed, gaps=gaps), weight="w" if weighted else None)
    path = one.estimate(TwoWayFixedEffects(dynamic=True)).aggregate("event_time").table()
    frame = long(one)
    times = sorted(t for t in frame["since"].dropna().unique() if t != -1)
    dummies = pd.DataFrame({f"t{t:g}": (frame["since"] == t).astype(float) for t in times})
    expected = by_firm(frame, dummies, weighted)
    own = [f"t{t}" for t in path["event_time"]]
    assert_allclose(path["estimate"], expected.params[own], rtol=1e-7, atol=1e-9)
    assert_allclose(path["std_error"], expected.std_errors[own], rtol=1e-6)


@settings(max_examples=4)
@given(seed=SEED, weighted=st.booleans())
def test_bacon_adds_up(seed, weighted, firms):
    result = replace(firms(seed), weight="w" if weighted else None).estimate(TwoWayFixedEffects())
    table = shown(result, "bacon")
    assert_allclose(table["weight"].sum(), 1, rtol=1e-12)
    assert (table["weight"] > 0).all()
    assert_allclose(table["weight"] @ table["estimate"], result.overall().estimate, rtol=1e-9)


@settings(max_examples=4)
@given(seed=SEED, gaps=st.sampled_from([0.0, 0.15]), weighted=st.booleans(), control=st.booleans())
def test_weights_give_the_coefficient_from_the_effects(seed, gaps, weighted, control, firms):
    """Without noise the coefficient is the weighted mean of the effects, whatever they are."""
    one = firms(seed, gaps=gaps)
    rng = np.random.default_rng(seed)
    frame = one.frame
    effect = {(g, t): rng.normal() for g in frame["first"].dropna() for t in frame["year"]}
    pairs = zip(frame["first"].fillna(0), frame["year"], strict=True)
    own = np.array([effect.get(pair, 0.0) if pair[1] >= pair[0] else 0.0 for pair in pairs])
    level = frame["firm"].map(dict.fromkeys(frame["firm"], 0.0)) + frame["firm"] * 0.3
    y = (level + frame["year"] ** 1.1 + own + 2.0 * control * frame["x"]).where(frame["y"].notna())
    exact = replace(one.changed(y=y), weight="w" if weighted else None)
    result = exact.estimate(TwoWayFixedEffects(controls=("x",) if control else ()))
    table = shown(result, "twfe_weights")
    effects = [effect[g, t] for g, t in zip(table["cohort"], table["period"], strict=True)]
    assert_allclose(table["weight"].sum(), 1, rtol=1e-9)
    assert_allclose(table["share"].sum(), 1, rtol=1e-12)
    if not control:  # effects that differ are taken up by the control in part
        assert_allclose(table["weight"] @ effects, result.overall().estimate, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_sensitivity_is_the_smallest_spread(seed):
    """Both measures, by minimising the variance of effects under what they must achieve."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(0.15, 0.3, 8)
    weight /= weight.sum()
    share = rng.dirichlet(np.full(8, 5.0))
    beta = 0.7
    found = sensitivity(beta, weight, share)

    def spread(effects):
        return share @ (effects - share @ effects) ** 2

    def least(*, mean_zero):
        rules = [{"type": "eq", "fun": lambda e: weight @ e - beta}]
        if mean_zero:
            rules.append({"type": "eq", "fun": lambda e: share @ e})
        bounds = None if mean_zero else [(None, 0.0)] * 8
        starts = [-np.abs(rng.normal(size=8)) for _ in range(3)]
        options = {"maxiter": 1000, "ftol": 1e-14}
        tried = [
            minimize(spread, x, constraints=rules, bounds=bounds, method="SLSQP", options=options)
            for x in starts
        ]
        return np.sqrt(min(t.fun for t in tried if t.success))

    assert_allclose(found.sigma_zero, least(mean_zero=True), rtol=1e-4)
    assert found.negative_cells == (weight < 0).sum()
    assert found.sigma_opposite is not None
    assert_allclose(found.sigma_opposite, least(mean_zero=False), rtol=1e-4)


def test_equal_weights_cannot_mislead():
    found = sensitivity(0.5, np.full(4, 0.25), np.full(4, 0.25))
    assert found.sigma_zero == np.inf
    assert found.sigma_opposite is None


@pytest.mark.parametrize(
    ("options", "panel", "note"),
    [
        ({}, {"gaps": 0.2}, "note.bacon_unbalanced"),
        ({"controls": ["x"]}, {}, "note.bacon_controls"),
    ],
)
def test_bacon_is_not_shown_where_it_does_not_add_up(options, panel, note, firms):
    result = firms(3, **panel).estimate(TwoWayFixedEffects(**options))
    assert shown(result, "bacon") is None
    assert note in {n.id for n in result.notes}
    assert shown(result, "twfe_weights") is not None


def test_one_number_is_one_number(firms):
    result = firms(1).estimate(TwoWayFixedEffects())
    table = result.table()
    assert table["estimate"].nunique() == 1
    for by in ("simple", "event_time", "cohort", "calendar"):
        row = result.overall(by)
        assert_allclose(row.estimate, table["estimate"].iloc[0], rtol=1e-12)
        assert_allclose(row.std_error, table["std_error"].iloc[0], rtol=1e-9)
    assert "the same for all cohorts and periods by assumption" in str(result.overall().estimand)
    again = type(result).from_json(result.to_json())
    assert again.estimand == result.estimand
    assert again.cells.common == "all"


def test_two_groups_and_two_periods_are_a_difference_of_changes(firms):
    one = firms(4)
    frame = one.frame[one.frame["year"].isin([2010, 2011])]
    first = frame["first"].where(frame["first"] == 2011)
    frame = frame.assign(first=first)
    if not (frame["first"] == 2011).any():
        frame["first"] = pd.array([2011 if f % 2 else pd.NA for f in frame["firm"]], dtype="Int64")
    two = replace(one, frame=frame)
    result = two.estimate(TwoWayFixedEffects()).overall()
    assert_allclose(result.estimate, two.estimate(GroupTime()).overall().estimate, rtol=1e-10)
    assert_allclose(result.std_error, two.estimate(GroupTime()).overall().std_error, rtol=1e-10)


def test_refusals(firms):
    one = firms(2)
    everybody = one.changed(first=one.frame["first"].fillna(2013))
    for call, error, code in (
        (lambda: event_study(everybody.design(comparison="not_yet")), NotIdentifiedError, "EI-E41"),
        (lambda: one.estimate(TwoWayFixedEffects(controls=("kind",))), InputError, "EI-E42"),
        (lambda: TwoWayFixedEffects(controls="x"), InputError, "EI-E42"),
        (lambda: Stacked(window=(0, 1)), InputError, "EI-E43"),
        (lambda: Stacked(window=(1.5, 1)), InputError, "EI-E43"),
        (
            lambda: one.estimate(Stacked(window=(1, 1)), anticipation=1),
            InputError,
            "EI-E43",
        ),
        (
            lambda: one.estimate(
                TwoWayFixedEffects(), covariates=["x"], matcher=EntropyBalancing()
            ),
            CapabilityError,
            "EI-E03",
        ),
    ):
        with pytest.raises(error) as caught:
            call()
        assert caught.value.code == code


def test_all_firms_at_once_has_no_coefficient(firms):
    one = firms(2)
    at_once = one.changed(first=pd.array([2012] * len(one.frame), dtype="Int64"))
    with pytest.raises(NotIdentifiedError) as caught:
        at_once.estimate(TwoWayFixedEffects(), comparison="not_yet")
    assert caught.value.code == "EI-E40"


def stack_of(frame, cohort, before, after, pool):
    rows = frame[(frame["year"] >= cohort - before) & (frame["year"] <= cohort + after)]
    clean = rows["first"].isna()
    if pool == "not_yet":
        clean |= (rows["first"] > cohort + after).fillna(False)
    own = (rows["first"] == cohort).fillna(False)
    rows = rows[clean | own].assign(e=rows["year"] - cohort, D=own.astype(float), stack=cohort)
    whole = rows.groupby("firm")["y"].transform(lambda y: y.notna().all())
    return rows[whole]


@settings(max_examples=8)
@given(
    seed=SEED,
    pool=st.sampled_from(["never", "not_yet"]),
    weighted=st.booleans(),
    gaps=st.sampled_from([0.0, 0.05]),
    window=st.sampled_from([(1, 1), (2, 0), (1, 2), (2, 1)]),
)
def test_stacked_is_the_weighted_regression_on_stacks(seed, pool, weighted, gaps, window, firms):
    """Dense least squares with stack x arm and stack x event-time effects, corrective weights."""
    one = replace(firms(seed, gaps=gaps), weight="w" if weighted else None)
    try:
        result = one.estimate(Stacked(window=window), comparison=pool)
    except NotIdentifiedError:
        return
    before, after = window
    cohorts = sorted({g for g, _ in result.estimand.cells})
    data = pd.concat([stack_of(one.frame, g, before, after, pool) for g in cohorts])
    data["m"] = data["w"] if weighted else 1.0
    at = data[data["e"] == -1]
    n_d = (at["m"] * at["D"]).groupby(at["stack"]).sum()
    n_c = (at["m"] * (1 - at["D"])).groupby(at["stack"]).sum()
    q = (n_d / n_d.sum()) / (n_c / n_c.sum())
    # Supported firms weigh 1, comparison firms Q relative to them, both by their own weight.
    corrective = np.where(data["D"] == 1, 1.0, data["stack"].map(q * n_c.sum() / n_d.sum()))
    times = [e for e in range(-before, after + 1) if e != -1]
    fixed = pd.get_dummies(data["stack"].astype(str) + "/" + data["e"].astype(str), dtype=float)
    arms = pd.get_dummies(data["stack"].astype(str), dtype=float).mul(data["D"], axis=0)
    effects = np.column_stack([data["D"] * (data["e"] == e) for e in times])
    X = np.column_stack([effects, fixed, arms])
    root = np.sqrt(corrective * data["m"]).to_numpy()
    delta = np.linalg.lstsq(X * root[:, None], data["y"] * root, rcond=None)[0][: len(times)]
    path = result.aggregate("event_time", weights="observed").table()
    assert path["event_time"].tolist() == times
    assert_allclose(path["estimate"], delta, rtol=1e-8, atol=1e-9)


def test_stacked_cells_are_group_time_cells_without_gaps(firms):
    one = firms(7)
    stacked, free = (one.estimate(e).table() for e in (Stacked(), GroupTime()))
    keys = ["cohort", "period"]
    both = stacked.merge(free, on=keys, suffixes=("", "_free"))
    assert len(both) == len(stacked)
    for column in ("estimate", "std_error"):
        assert_allclose(both[column], both[f"{column}_free"], rtol=1e-12)


def test_cohorts_without_a_whole_window_are_reported(firms):
    one = firms(11, n_firms=60, n_years=7)
    starts = one.frame["firm"].map(lambda firm: (2011, 2013, 2014, 2016, pd.NA)[firm % 5])
    one = one.changed(first=pd.array(starts, dtype="Int64"))
    result = one.estimate(Stacked(window=(3, 1)))
    assert {g for g, _, _ in result.not_identified} == {2011, 2016}
    assert {g for g, _ in result.estimand.cells} == {2013, 2014}
    assert result.estimand.lost == 3
    assert set(result.table()["event_time"]) == {-3, -2, 0, 1}
