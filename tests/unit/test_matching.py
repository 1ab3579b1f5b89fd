"""Matched designs as a user meets them: tables, words, limits, refusals."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression

from exportimpact import Assignment, Design, EstimationResult, Outcome, Panel, Step, did, matched
from exportimpact.errors import CapabilityError, ColumnError, InputError, NotIdentifiedError
from exportimpact.matching import (
    Coarsened,
    EntropyBalancing,
    Exact,
    InverseProbability,
    Nearest,
    Optimal,
    Overlap,
    Subclass,
    Thresholds,
)

ATT = matched.MatchedDifference(tie_orders=0)


def frame_of(n_firms=200, seed=1, gap=0.5, supported=0.3):
    """Firms in two cohorts whose size is higher by `gap` standard deviations."""
    rng = np.random.default_rng(seed)
    d = rng.random(n_firms) < supported
    size = rng.normal(0, 1, n_firms) + gap * d
    first = np.where(d, np.where(rng.random(n_firms) < 0.5, 2013, 2014), 0)
    year = np.arange(2010, 2017)
    y = size[:, None] * (1 + 0.2 * (year - 2010)) + rng.normal(0, 0.5, (n_firms, year.size))
    y = y + 1.0 * (d[:, None] & (year >= first[:, None]))
    return pd.DataFrame(
        {
            "firm": np.repeat(np.arange(n_firms) + 10, year.size),
            "year": np.tile(year, n_firms),
            "first": pd.array(np.repeat(np.where(d, first, np.nan), year.size)).astype("Int64"),
            "y": y.ravel(),
            "size": np.repeat(size, year.size),
            "age": np.repeat(rng.normal(20, 5, n_firms), year.size),
            "kind": np.repeat(rng.choice(["a", "b"], n_firms), year.size),
        }
    )


def design_of(frame, covariates=("size", "age"), **options):
    panel = Panel.from_frame(
        frame,
        unit="firm",
        period="year",
        outcomes=[Outcome("y", unit="KRW m")],
        baseline=["size", "age", "kind"],
    )
    support = Assignment.from_first_period(frame, unit="firm", first_period="first")
    return Design(panel, support, outcome="y", covariates=covariates, **options)


@pytest.fixture(scope="module")
def design():
    return design_of(frame_of())


def test_a_matched_design_is_a_new_design(design):
    made = design.match(Nearest(replace=True, exact="kind"))
    assert design.matcher is None
    assert made.settings["asks"]["matched"]
    assert made.seal().hash != design.seal().hash
    assert made.seal().hash == design.match(Nearest(replace=True, exact=["kind"])).seal().hash
    assert made.seal().hash != design.match(Nearest(replace=True)).seal().hash
    assert made.match(EntropyBalancing()).matching.matcher == EntropyBalancing()


def test_the_constructor_takes_a_matcher_too(design):
    made = Design(
        design.panel,
        design.support,
        outcome="y",
        covariates=["size", "age"],
        matcher=Subclass(),
    )
    assert made.seal().hash == design.match(Subclass()).seal().hash


def test_tables_of_a_match(design):
    made = design.match(Nearest(caliper=0.5))
    pairs, weights, sizes = made.matching.pairs(), made.matching.weights(), made.matching.sizes()
    assert list(pairs) == ["cohort", "supported", "comparison", "distance", "share"]
    assert set(weights["role"]) == {"supported", "comparison"}
    assert sizes["kept"].iloc[-1] == len(pairs) == (weights["role"] == "supported").sum()
    assert sizes["cohort"].tolist() == [2013, 2014, "all"]
    assert len(made.matching.unmatched()) == made.matching.supported - made.matching.kept
    assert "supported firms kept" in repr(made.matching)
    assert len(repr(made).splitlines()) <= 20


def test_the_account_names_who_was_left_out(design):
    made = design.match(Nearest(caliper=0.02))
    table = made.account.table()
    text = " ".join(table["reason"])
    assert "no free comparison firm within the limits" in text
    assert "match no supported firm" in text
    firms = made.account.remaining[0]
    assert firms == made.matching.kept + made.matching.used.size


def test_balance_table(design):
    table = design.match(EntropyBalancing(moments=2)).balance(squares=True, interactions=True)
    named = table.set_index("covariate")
    assert {"size", "age", "size squared", "age squared", "size x age"} <= set(named.index)
    assert named.loc["size", "smd_before"] > 0.2
    assert abs(named.loc["size", "smd_after"]) < 1e-6
    assert abs(named.loc["size squared", "smd_after"]) < 1e-6
    assert "supported" in table.attrs["denominator"]
    before = design.balance()
    assert before["smd_after"].isna().all()
    np.testing.assert_allclose(
        before.set_index("covariate").loc["size", "smd_before"], named.loc["size", "smd_before"]
    )
    one = design.match(EntropyBalancing()).balance(cohort=2013)
    assert one["covariate"].tolist() == before["covariate"].tolist()[: len(one)]


def test_a_match_that_misses_its_limits_is_not_causal():
    design = design_of(frame_of(gap=1.5))
    poor = design.match(Nearest(distance="age"))
    assert poor.terms.max_step is Step.IV
    result = ATT.estimate(poor)
    assert result.max_step is Step.IV
    assert result.step is Step.IV
    assert "not causal" in repr(result)
    assert any("Matching missed its limits" in str(note) for note in result.notes)
    assert EstimationResult.from_json(result.to_json()).max_step is Step.IV
    wide = Thresholds(smd=5.0, variance_ratio=(0.01, 100.0), kept=0.0)
    assert ATT.estimate(design.match(Nearest(distance="age"), thresholds=wide)).step is Step.V_B


def test_the_words_change_to_the_firms_kept(design):
    few = design.match(Nearest(caliper=0.05))
    estimand = ATT.estimate(few).overall().estimand
    assert (estimand.firms, estimand.kept) == ("kept", few.matching.kept)
    assert f"the {few.matching.kept} of {few.matching.at_risk} supported firms" in str(estimand)
    whole = ATT.estimate(design.match(Nearest(replace=True))).overall().estimand
    assert whole.firms == "supported"
    overlap = matched.Weighting().estimate(design.match(Overlap()))
    assert "overlap weights" in str(overlap.estimand)
    assert any("as well not have been supported" in str(note) for note in overlap.notes)


def test_steps_follow_from_what_is_compared(design):
    made = design.match(EntropyBalancing())
    for estimator in (matched.Weighting, matched.DoublyRobust, matched.MatchedDifference):
        assert estimator(change=False).estimate(made).step is Step.V_A
        assert estimator(change=True).estimate(made).step is Step.V_B
    needs = matched.Weighting(change=False).estimate(made).provenance.requires.names()
    assert "unconfoundedness" in needs
    assert not needs & {"parallel_trends", "parallel_trends_given_x"}


def test_benchmark_stays_with_all_other_firms(design):
    """A benchmark is about typical firms: a matched design does not change who they are."""
    with pytest.raises(CapabilityError, match="EI-E03"):
        matched.Benchmark().estimate(design.match(EntropyBalancing()))


@pytest.mark.parametrize("estimator", [ATT, matched.Weighting(), matched.DoublyRobust()])
def test_a_design_without_a_match_is_refused(design, estimator):
    with pytest.raises(CapabilityError, match="EI-E11") as caught:
        estimator.estimate(design)
    assert "design.match(" in str(caught.value)


def test_the_bootstrap_is_refused():
    with pytest.raises(InputError, match="EI-E12"):
        matched.MatchedDifference(errors="bootstrap")


@pytest.mark.parametrize(
    ("matcher", "estimator"),
    [
        (Nearest(replace=True, classifier=LogisticRegression()), ATT),
        (InverseProbability(classifier=LogisticRegression()), matched.Weighting()),
        (Subclass(classifier=LogisticRegression()), did.GroupTime(adjust="none")),
    ],
)
def test_a_classifier_gives_no_error(design, matcher, estimator):
    result = estimator.estimate(design.match(matcher))
    table = result.table(detail=True)
    assert np.isfinite(table["estimate"]).all()
    assert table[["std_error", "ci_low", "p_value"]].isna().all(axis=None)
    assert table["reason"].str.startswith("EI-I10").all()
    assert any("EI-I10" in str(note) for note in result.notes)
    assert EstimationResult.from_json(result.to_json()).table()["std_error"].isna().all()


def test_cross_fitting_has_an_error(design):
    forest = RandomForestClassifier(n_estimators=30, min_samples_leaf=20)
    made = design.match(InverseProbability(classifier=forest))
    for estimator in (
        matched.DoublyRobust(),
        matched.DoublyRobust(regressor=LinearRegression()),
        matched.DoublyRobust(regressor=RandomForestRegressor(n_estimators=10)),
    ):
        overall = estimator.estimate(made).overall()
        assert np.isfinite(overall.std_error)
        assert overall.estimate == estimator.estimate(made).overall().estimate
        assert abs(overall.estimate - 1.0) < 0.5


def test_pickle_and_json_keep_a_matched_result(design):
    made = design.match(Nearest(replace=True, calipers={"age": 8})).seal()
    result = ATT.estimate(made)
    again = pickle.loads(pickle.dumps(result))
    pd.testing.assert_frame_equal(again.table(), result.table())
    stored = EstimationResult.from_json(result.to_json())
    assert [e.id for e in stored.exhibits] == [e.id for e in result.exhibits]
    assert {"match_sizes", "balance", "love", "overlap", "paths"} <= {e.id for e in result.exhibits}
    assert stored.overall().std_error == pytest.approx(result.overall().std_error)


def test_tie_orders_are_told():
    frame = frame_of()
    frame["size"] = frame["size"].round(0)
    design = design_of(frame, covariates=["size"])
    result = matched.MatchedDifference(tie_orders=5).estimate(design.match(Nearest()))
    shown = next(e for e in result.exhibits if e.id == "tie_orders").table
    assert len(shown) == 5
    assert shown["estimate"].nunique() > 1
    assert any("random orders of equally near firms" in str(note) for note in result.notes)
    assert any("equally near comparison firms" in str(note) for note in result.notes)
    shared = matched.MatchedDifference().estimate(design.match(Nearest(replace=True)))
    assert "tie_orders" not in {e.id for e in shared.exhibits}


def test_a_horizon_lets_later_supported_firms_serve():
    design = design_of(frame_of(), comparison="not_yet")
    near = design.match(EntropyBalancing(), horizon=0)
    first = design.aligned.first
    used = near.matching.cohorts[2013].used
    assert (first[used] == 2014).any()
    assert any("unsupported through 0" in str(n) for n in ATT.estimate(near).notes)
    whole = design.match(EntropyBalancing())
    assert (first[whole.matching.used] > 2016).all()


def test_lags_need_their_periods(design):
    with pytest.raises(NotIdentifiedError, match="EI-M12"):
        design.match(EntropyBalancing(), lags=6)
    result = ATT.estimate(design.match(EntropyBalancing(), lags=2))
    assert any("not on parallel trends" in str(note) for note in result.notes)


@pytest.mark.parametrize(
    ("make", "code", "error"),
    [
        (lambda: Nearest(ratio=0), "EI-M02", InputError),
        (lambda: Nearest(caliper=-1), "EI-M02", InputError),
        (lambda: Nearest(calipers=[1]), "EI-M02", InputError),
        (lambda: Nearest(order="biggest"), "EI-M01", InputError),
        (lambda: Nearest(ties="average"), "EI-M01", InputError),
        (lambda: Optimal(caliper_in="km"), "EI-M01", InputError),
        (lambda: Coarsened(cutpoints={"size": 0}), "EI-M02", InputError),
        (lambda: Subclass(classes=1), "EI-M02", InputError),
        (lambda: EntropyBalancing(moments=4), "EI-M02", InputError),
        (lambda: InverseProbability(largest=2), "EI-M02", InputError),
        (lambda: Thresholds(variance_ratio=(2, 3)), "EI-M02", InputError),
    ],
)
def test_options_that_mean_nothing(make, code, error):
    with pytest.raises(error, match=code):
        make()


def test_matchers_and_columns_that_are_not_there(design):
    for wrong in (Nearest, "nearest", None):
        with pytest.raises(InputError, match="EI-D14"):
            design.match(wrong)
    with pytest.raises(InputError, match="EI-D03"):
        design.match(Nearest(), horizon=-1)
    for matcher in (Nearest(exact="colour"), Nearest(distance="colour"), Exact(on="colour")):
        with pytest.raises(ColumnError, match="EI-M03"):
            design.match(matcher)
    with pytest.raises(InputError, match="EI-M04"):
        design_of(frame_of(), covariates=()).match(Nearest())
    with pytest.raises(InputError, match="EI-M11"):
        _ = design.match(Subclass()).matching.pairs()
    with pytest.raises(InputError, match="EI-M10"):
        design.match(Nearest(classifier=object()))
    with pytest.raises(InputError, match="EI-M10"):
        design.match(Nearest(classifier=LogisticRegression(), folds=90))


def test_no_overlap_is_said():
    frame = frame_of()
    apart = frame.assign(size=frame["size"] + 100 * frame["first"].notna())
    for matcher in (Nearest(), InverseProbability(), EntropyBalancing(), Subclass()):
        with pytest.raises(NotIdentifiedError, match="EI-M05") as caught:
            design_of(apart).match(matcher)
        assert "size" in str(caught.value) or "moments" in str(caught.value)


def test_a_stratum_without_comparison_firms():
    frame = frame_of()
    sided = frame.assign(kind=np.where(frame["first"].notna(), "a", "b"))
    for matcher in (Exact(on="kind"), Nearest(exact="kind")):
        with pytest.raises(NotIdentifiedError, match="EI-M06"):
            design_of(sided).match(matcher)
    some = frame.assign(kind=np.where((frame["firm"] < 40) & frame["first"].notna(), "c", "b"))
    made = design_of(some).match(Exact(on="kind"))
    lost = made.matching.unmatched()
    assert len(lost) == some.loc[some["kind"] == "c", "firm"].nunique()
    assert (lost["reason"] == "no comparison firm in the same stratum").all()


def test_more_supported_than_comparison_firms():
    crowded = design_of(frame_of(supported=0.8))
    for matcher in (Nearest(), Optimal(), Nearest(ratio=2)):
        with pytest.raises(NotIdentifiedError, match="EI-M07") as caught:
            crowded.match(matcher)
        assert "replace=True" in str(caught.value)
    assert (
        crowded.match(Nearest(replace=True)).matching.kept
        == crowded.match(EntropyBalancing()).matching.kept
    )


def test_a_caliper_that_drops_everyone(design):
    for matcher in (Nearest(caliper=1e-12), Optimal(calipers={"age": 1e-12})):
        with pytest.raises(NotIdentifiedError, match="EI-M08"):
            design.match(matcher)


def test_a_covariate_measured_after_support():
    """Supported firms of whom nothing is known before they were supported."""
    frame = frame_of()
    late = frame[frame["year"] >= frame["first"].fillna(2010)]
    with pytest.raises(InputError, match="EI-M09") as caught:
        design_of(late).match(EntropyBalancing())
    assert "measured after support" in str(caught.value)
