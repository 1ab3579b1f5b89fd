"""One checker for every matcher: what must hold of any match, whoever made it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from exportimpact import Assignment, Design, Outcome, Panel, did, matched
from exportimpact.design import in_tie_order
from exportimpact.design.matching.forms import Paired, Stratified
from exportimpact.errors import NotIdentifiedError
from exportimpact.matching import (
    Coarsened,
    EntropyBalancing,
    Exact,
    InverseProbability,
    Nearest,
    Optimal,
    Overlap,
    Subclass,
)

PAIRS = {
    "propensity": Nearest(),
    "linear, 2 in a caliper": Nearest(distance="linear", ratio=2, caliper=1.0),
    "replace, ties shared": Nearest(replace=True, ratio=2),
    "replace, ties by id": Nearest(replace=True, ties="id", caliper=0.5),
    "closest": Nearest(order="closest", caliper=0.4),
    "smallest": Nearest(order="smallest"),
    "random": Nearest(order="random", seed=3),
    "mahalanobis": Nearest(distance="mahalanobis"),
    "mahalanobis in propensity calipers": Nearest(
        distance="mahalanobis", propensity_caliper=0.5, replace=True
    ),
    "scaled euclidean": Nearest(distance="scaled_euclidean", exact="kind"),
    "a column": Nearest(distance="size", calipers={"age": 10}, antiexact="region"),
    "exact": Nearest(caliper=1.0, exact=["kind"]),
    "optimal": Optimal(),
    "optimal, exact": Optimal(distance="mahalanobis", exact="kind"),
    "classifier": Nearest(classifier=LogisticRegression(), folds=3),
}
STRATA = {
    "exact strata": Exact(on=["kind", "region"]),
    "coarsened": Coarsened(),
    "coarsened by hand": Coarsened(cutpoints={"size": 3, "age": [5, 20]}),
    "subclass": Subclass(classes=4),
}
WEIGHTS = {
    "entropy balancing": EntropyBalancing(),
    "entropy balancing, variances": EntropyBalancing(moments=2),
    "inverse probability": InverseProbability(),
    "overlap": Overlap(),
}
ALL = PAIRS | STRATA | WEIGHTS
FEW = settings(max_examples=3)


def frame_of(seed, n_firms=90, years=6):
    """Staggered cohorts; larger firms are supported more often; sizes repeat, so that ties do."""
    rng = np.random.default_rng(seed)
    size = rng.integers(5, 40, n_firms).astype(float)
    kind = rng.choice(["a", "b"], n_firms)
    first = np.full(n_firms, np.nan)
    chance = 1 / (1 + np.exp(2.5 - 0.05 * size))
    drawn = np.flatnonzero(rng.random(n_firms) < chance)
    first[drawn] = rng.choice([2013, 2014], drawn.size)
    first[:4] = [2013, 2013, 2014, 2014]
    year = np.arange(2010, 2010 + years)
    y = size[:, None] / 10 + 0.1 * size[:, None] * (year - 2010) / 10
    y = y + rng.normal(0, 1, (n_firms, years)).cumsum(axis=1) + (year >= first[:, None])
    return pd.DataFrame(
        {
            "firm": np.repeat(np.arange(n_firms) + 7, years),
            "year": np.tile(year, n_firms),
            "first": pd.array(np.repeat(first, years)).astype("Int64"),
            "y": y.ravel(),
            "size": np.repeat(size, years),
            "age": np.repeat(rng.integers(1, 40, n_firms), years).astype(float),
            "kind": np.repeat(kind, years),
            "region": np.repeat(rng.choice(["n", "s", "w"], n_firms), years),
            "w": np.repeat(rng.integers(1, 4, n_firms), years).astype(float),
        }
    )


def design_of(frame, weight=None, **options):
    panel = Panel.from_frame(
        frame,
        unit="firm",
        period="year",
        outcomes=[Outcome("y")],
        baseline=["size", "age", "kind", "region"],
        weight=weight,
    )
    support = Assignment.from_first_period(frame, unit="firm", first_period="first")
    return Design(panel, support, outcome="y", covariates=["size", "age"], **options)


@pytest.mark.parametrize("weight", [None, "w"])
@pytest.mark.parametrize("matcher", ALL.values(), ids=ALL)
@FEW
@given(seed=st.integers(0, 2**32 - 1))
def test_invariants(seed, matcher, weight):
    frame = frame_of(seed)
    try:
        design = design_of(frame, weight).match(matcher)
    except NotIdentifiedError as error:
        assert error.code in {"EI-M05", "EI-M06", "EI-M07", "EI-M08"}  # noqa: PT017
        return
    check(design, matcher)


def check(design, matcher):
    """Assert what must hold of any match."""
    first = design.aligned.first
    for cohort, match in design.matching.cohorts.items():
        risk, weights = match.risk, match.weights
        n1 = risk.n_supported
        assert (first[risk.supported] == cohort).all()
        # Nobody is matched to itself, to its own cohort, or to a firm supported in the window.
        assert not np.isin(risk.supported, risk.comparison).any()
        assert (first[risk.comparison] > design.calendar.last).all()
        assert (weights >= 0).all()
        own, others = risk.split(weights)
        if match.target == "supported":
            np.testing.assert_allclose(own[own > 0], risk.weights[:n1][own > 0])
        np.testing.assert_allclose(others.sum(), own.sum(), rtol=1e-9)
        # Everybody who is not kept is on the list of those left out, with a reason.
        listed = np.concatenate([rows for _, rows in (*risk.left, *match.left)] or [[]])
        lost = np.setdiff1d(design.cohort_firms[cohort], match.kept)
        np.testing.assert_array_equal(np.sort(listed), lost)
        if isinstance(match.form, Paired):
            check_pairs(match, matcher)
        if isinstance(match.form, Stratified):
            inside = match.form.code >= 0
            np.testing.assert_array_equal(weights > 0, inside)
    unmatched = design.matching.unmatched()
    assert len(unmatched) == design.matching.supported - design.matching.kept
    assert unmatched["reason"].str.len().min() > 0 if len(unmatched) else True
    sizes = design.matching.sizes().iloc[-1]
    assert 0 < sizes["effective_comparison"] <= sizes["comparison_used"] + 1e-9


def check_pairs(match, matcher):
    form, risk = match.form, match.risk
    n1 = risk.n_supported
    assert (form.supported < n1).all()
    assert (form.comparison >= n1).all()
    shares = np.bincount(form.supported, form.share)
    np.testing.assert_allclose(shares[np.unique(form.supported)], 1.0)
    replaced = getattr(matcher, "replace", False)
    if not replaced:
        assert np.unique(form.comparison).size == form.comparison.size
    if not (replaced and matcher.ties != "id"):
        assert np.bincount(form.supported).max() <= matcher.ratio
    # Weights are the same whether derived from pairs or counted firm by firm.
    by_hand = np.zeros(risk.rows.size)
    for i in np.unique(form.supported):
        mine = form.supported == i
        part = form.share[mine] * risk.weights[form.comparison[mine]]
        by_hand[i] = risk.weights[i]
        np.add.at(by_hand, form.comparison[mine], risk.weights[i] * part / part.sum())
    np.testing.assert_allclose(match.weights, by_hand)
    for name in matcher.exact:
        codes = risk.codes((name,))
        np.testing.assert_array_equal(codes[form.supported], codes[form.comparison])
    for name in matcher.antiexact:
        codes = risk.codes((name,))
        assert (codes[form.supported] != codes[form.comparison]).all()
    for name, width in matcher.calipers.items():
        values = risk.column(name)
        assert (np.abs(values[form.supported] - values[form.comparison]) <= width + 1e-9).all()
    if matcher.caliper is not None and match.score is not None:
        score = match.score.value
        gap = np.abs(score[form.supported] - score[form.comparison])
        assert (gap <= matcher.caliper * score.std(ddof=1) + 1e-9).all()
        np.testing.assert_allclose(gap, form.distance, atol=1e-12)


@pytest.mark.parametrize("matcher", ALL.values(), ids=ALL)
@FEW
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_and_of_columns_is_irrelevant(seed, matcher):
    frame = frame_of(seed)
    mixed = frame.sample(frac=1, random_state=seed % 2**31)[frame.columns[::-1]]
    try:
        one = design_of(frame).match(matcher)
    except NotIdentifiedError:
        return
    other = design_of(mixed).match(matcher)
    pd.testing.assert_frame_equal(one.matching.weights(), other.matching.weights())
    assert one.seal().hash == other.seal().hash


@pytest.mark.parametrize("matcher", ALL.values(), ids=ALL)
@FEW
@given(seed=st.integers(0, 2**32 - 1))
def test_outcomes_after_the_base_period_do_not_reach_a_matcher(seed, matcher):
    frame = frame_of(seed)
    later = frame["year"] >= frame["first"].fillna(2013)
    changed = frame.assign(y=frame["y"].where(~later, frame["y"] * 3 - 1))
    try:
        one = design_of(frame).match(matcher)
    except NotIdentifiedError:
        return
    # Comparison firms serve two cohorts: only what is later than both base periods may change.
    changed.loc[frame["first"].isna() & (frame["year"] == 2013), "y"] = frame["y"]
    other = design_of(changed).match(matcher)
    pd.testing.assert_frame_equal(one.matching.weights(), other.matching.weights())
    assert one.seal().hash == other.seal().hash


@FEW
@given(seed=st.integers(0, 2**32 - 1), moments=st.integers(1, 3))
def test_entropy_balancing_balances(seed, moments):
    frame = frame_of(seed, 150)
    try:
        design = design_of(frame).match(EntropyBalancing(moments=moments))
    except NotIdentifiedError as error:
        assert error.code == "EI-M05"  # noqa: PT017
        return
    table = design.balance()
    own = table[table["kind"] == "covariate"]
    np.testing.assert_allclose(own["smd_after"], 0, atol=1e-6)
    np.testing.assert_allclose(own["mean_supported_after"], own["mean_comparison_after"], rtol=1e-6)


@FEW
@given(seed=st.integers(0, 2**32 - 1))
def test_lags_are_matched_on(seed):
    design = design_of(frame_of(seed))
    lagged = design.match(EntropyBalancing(), lags=2)
    table = lagged.balance().set_index("covariate")
    np.testing.assert_allclose(table.loc[["y at -1", "y at -2"], "smd_after"], 0, atol=1e-6)
    assert "unconfoundedness" in did.TwoPeriod().estimate(lagged).provenance.requires.names()


@FEW
@given(seed=st.integers(0, 2**32 - 1), horizon=st.integers(0, 1))
def test_no_comparison_firm_is_supported_inside_the_horizon(seed, horizon):
    design = design_of(frame_of(seed), comparison="not_yet")
    near = design.match(EntropyBalancing(), horizon=horizon)
    first = design.aligned.first
    for cohort, match in near.matching.cohorts.items():
        assert (first[match.used] > cohort + horizon).all()
    if horizon == 0:
        early = near.matching.cohorts[2013]
        assert (first[early.risk.comparison] == 2014).any()
    for cell in near.cells():
        assert (first[cell.comparison] > cell.period).all()


@pytest.mark.parametrize("matcher", [PAIRS["replace, ties shared"], *STRATA.values()])
@FEW
@given(seed=st.integers(0, 2**32 - 1))
def test_weights_within_a_comparison_stand_for_those_observed(seed, matcher):
    """Missing reports leave a supported firm with the matches that are left, reweighted."""
    frame = frame_of(seed)
    gaps = (frame["year"] == 2015) & (np.random.default_rng(seed).random(len(frame)) < 0.2)
    try:
        design = design_of(frame.assign(y=frame["y"].mask(gaps))).match(matcher)
    except NotIdentifiedError:
        return
    for cell in design.cells():
        d, w = cell.is_supported, cell.weights
        np.testing.assert_allclose(w[d == 1].sum(), w[d == 0].sum())
        y = design.wide().level(cell)
        assert np.isfinite(y).all()


@FEW
@given(seed=st.integers(0, 2**32 - 1))
def test_an_effect_that_is_the_same_for_all_is_found_exactly(seed):
    """Without noise beyond the covariates a corrected match of any quality returns the effect."""
    frame = frame_of(seed)
    size = frame["size"] * (frame["year"] - 2009) / 7 + frame["age"]
    effect = 3.0 * (frame["year"] >= frame["first"]).fillna(False).to_numpy(dtype=bool)
    design = design_of(frame.assign(y=size + effect))
    for matcher in (Nearest(replace=True), EntropyBalancing(), Subclass(classes=3)):
        try:
            made = design.match(matcher)
        except NotIdentifiedError:
            continue
        for change in (True, False):
            for estimator in (
                matched.MatchedDifference(change=change, tie_orders=0),
                matched.DoublyRobust(change=change),
            ):
                overall = estimator.estimate(made).overall()
                assert overall.estimate == pytest.approx(3.0, abs=1e-6)


def test_duplicated_firms_halve_the_variance():
    frame = frame_of(3)
    twice = pd.concat([frame, frame.assign(firm=frame["firm"] + 1000)])
    for matcher in (InverseProbability(), EntropyBalancing(), Overlap()):
        one = matched.Weighting().estimate(design_of(frame).match(matcher)).overall()
        two = matched.Weighting().estimate(design_of(twice).match(matcher)).overall()
        assert two.estimate == pytest.approx(one.estimate, rel=1e-6)
        assert two.std_error == pytest.approx(one.std_error / np.sqrt(2), rel=1e-6)


def test_tie_orders_move_only_what_ids_decided():
    design = design_of(frame_of(5))
    by_id = Nearest(distance="size", replace=True, ties="id")
    moved = in_tie_order(design.match(by_id), 1).matching.weights()
    assert not moved.equals(design.match(by_id).matching.weights())
    shared = design.match(replace(by_id, ties="average"))
    again = in_tie_order(shared, 1).matching.weights()
    pd.testing.assert_frame_equal(again, shared.matching.weights())
