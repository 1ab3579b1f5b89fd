"""Findings on matched designs: balance, lagged and placebo outcomes, hidden bias."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import exportimpact as ei
from exportimpact.core.diagnostic import registered
from exportimpact.diagnostics import averages, diagnose, hidden_bias
from exportimpact.diagnostics.hidden_bias import rosenbaum_bounds
from exportimpact.language import known_ids
from exportimpact.matching import EntropyBalancing, Exact, InverseProbability, Nearest
from exportimpact.numerics import omitted, rosenbaum

YEARS = np.arange(2012, 2021)
START, N, OWN = 2018, 160, 50
SUPPORTED = np.arange(N) < OWN
AFTER = (YEARS >= START)[None, :]
HIDDEN = {"rosenbaum_bounds", "robustness_value", "oster_delta"}


def noise(seed=0):
    return np.random.default_rng(seed).normal(size=(N, YEARS.size))


def covariate(seed=1, shift=0.5):
    return np.random.default_rng(seed).normal(size=N) + shift * SUPPORTED


def outcomes(effect=2.0, slope=1.0, x=None, seed=0):
    x = covariate() if x is None else x
    return 10 + slope * x[:, None] + noise(seed) + effect * SUPPORTED[:, None] * AFTER


def design_of(y, *, x=None, matcher=None, scale="level", starts=None, years=YEARS, **options):
    x = covariate() if x is None else x
    frame = pd.DataFrame(
        {"firm": np.repeat(np.arange(N), YEARS.size), "year": np.tile(YEARS, N), "y": y.ravel()}
    )
    frame["x"] = np.repeat(x, YEARS.size)
    frame["kind"] = np.repeat(np.where(np.arange(N) % 2, "a", "b"), YEARS.size)
    frame = frame[frame["year"].isin(years)]
    panel = ei.Panel.from_frame(
        frame,
        unit="firm",
        period="year",
        outcomes=[ei.Outcome("y", scale=scale), ei.Outcome("other", column="x")],
        baseline=["x", "kind"],
    )
    starts = np.where(SUPPORTED, START, 0) if starts is None else starts
    spells = pd.DataFrame([(i, g) for i, g in enumerate(starts) if g], columns=["firm", "start"])
    support = ei.Assignment.from_spells(spells, unit="firm", start="start")
    options = {"outcome": "y", "covariates": ["x", "kind"]} | options
    match = {k: options.pop(k) for k in ("lags", "horizon") if k in options}
    design = ei.Design(panel, support, **options)
    return design if matcher is None else design.match(matcher, **match)


def evaluated(y=None, *, matcher=Nearest(caliper=0.5), estimator=None, **options):  # noqa: B008
    sealed = design_of(outcomes() if y is None else y, matcher=matcher, **options).seal()
    return sealed, (estimator or ei.matched.MatchedDifference()).estimate(sealed)


def find(*args, placebos=(), **case):
    sealed, result = evaluated(*args, **case)
    return {f.id: f for f in diagnose(sealed, result, placebos=placebos)}


LEVELS = ei.matched.MatchedDifference(change=False)
RISING = 0.6 * SUPPORTED[:, None] * (YEARS - YEARS[0])[None, :]


# Balance ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("matcher", "verdict", "words"),
    [
        (Nearest(caliper=0.1, replace=True), "SUPPORTS", "kept its limits"),
        (Nearest(distance="kind"), "CONCERN", "x most"),
        (Nearest(caliper=0.02), "CONCERN", "supported firms found a match"),
    ],
    ids=["kept", "unbalanced", "dropped"],
)
def test_limits_of_balance(matcher, verdict, words):
    sealed, result = evaluated(matcher=matcher)
    found = {f.id: f for f in diagnose(sealed, result)}
    assert found["match_balance"].verdict == verdict
    assert words in str(found["match_balance"].message)
    assert found["match_balance"].assumption is None
    assert (verdict == "CONCERN") == bool(sealed.terms.missed)
    own = sealed.balance().query("kind == 'covariate'")["smd_after"].abs().max()
    assert found["match_balance"].statistic == pytest.approx(own)


def test_what_was_before_matching_is_not_held_against_a_matched_design():
    found = find()
    assert found["balance"].verdict == "NOT_APPLICABLE"
    assert found["overlap"].verdict == "SUPPORTS"
    plain = find(matcher=None, estimator=ei.did.GroupTime(adjust="regression"))
    assert plain["match_balance"].verdict == "NOT_APPLICABLE"
    assert plain["balance"].verdict == "CONCERN"


def test_overlap_of_a_matched_design_is_looked_at_among_all_at_risk():
    found = find(x=covariate(shift=4.0), matcher=Nearest())
    assert found["overlap"].verdict == "CONCERN"
    assert find(x=covariate(shift=1.5), matcher=Nearest())["overlap"].verdict == "CONCERN"
    within = find(x=covariate(shift=1.5), matcher=Nearest(caliper=0.3))
    assert within["overlap"].verdict == "SUPPORTS"


# Outcomes before support --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "verdict"),
    [
        ({}, "SUPPORTS"),
        ({"y": outcomes() + RISING}, "CONTRADICTS"),
        ({"years": YEARS[4:]}, "NOT_APPLICABLE"),
        ({"years": YEARS[5:]}, "NOT_APPLICABLE"),
        ({"estimator": ei.matched.Weighting(change=False), "matcher": EntropyBalancing()}, ...),
        ({"estimator": ei.matched.DoublyRobust(change=False), "matcher": EntropyBalancing()}, ...),
    ],
    ids=["alike", "apart", "one period", "none", "weighting", "doubly robust"],
)
def test_lagged_outcomes_of_a_comparison_in_levels(case, verdict):
    found = find(**{"estimator": LEVELS} | case)
    assert "pre_trends" not in found
    lagged = found["placebo_lagged"]
    assert lagged.assumption == "unconfoundedness"
    assert lagged.verdict == ("SUPPORTS" if verdict is ... else verdict)


def test_changes_have_trends_and_no_lagged_placebo():
    found = find()
    assert found["pre_trends"].verdict == "SUPPORTS"
    assert "placebo_lagged" not in found


def test_matched_lags_are_met_by_construction():
    sealed, result = evaluated(lags=3)
    assert sorted(set(result.cells.index.event_time[result.cells.index.event_time < 0])) == [
        -6,
        -5,
        -4,
        -3,
        -2,
    ]
    test = result.pretrend_test()
    assert test.df_numerator == 3, "-6 to -4: the last three are matched"
    found = {f.id: f for f in diagnose(sealed, result)}
    assert found["pre_trends"].verdict == "NOT_APPLICABLE"
    assert "agree by construction" in str(found["pre_trends"].message)
    assert found["placebo_lagged"].statistic == test.statistic


def test_nothing_is_tested_where_all_lags_are_matched():
    sealed, result = evaluated(lags=6)
    assert result.pretrend_test().reason.id == "test.met_by_construction"
    found = {f.id: f for f in diagnose(sealed, result)}
    assert found["placebo_lagged"].verdict == "NOT_APPLICABLE"
    assert "by construction" in str(found["placebo_lagged"].message)


# Placebo outcomes ---------------------------------------------------------------------------------


def placebo_of(effect, scale="level", **options):
    """A result on another outcome; the panel has it under another name."""
    y = outcomes(effect=effect, seed=9)
    made = design_of(y, matcher=Nearest(caliper=0.5), scale=scale, **options)
    result = ei.matched.MatchedDifference().estimate(made.seal())
    estimand = result.estimand
    object.__setattr__(estimand, "outcome", "founding capital")
    return result


@pytest.mark.parametrize(("effect", "verdict"), [(0.0, "SUPPORTS"), (2.0, "CONTRADICTS")])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("estimator", "about"),
    [(LEVELS, "unconfoundedness"), (ei.did.GroupTime(adjust="none"), "parallel_trends_given_x")],
)
def test_a_placebo_outcome(effect, verdict, whole, estimator, about):
    placebo = placebo_of(effect)
    one = placebo.overall("simple")
    found = find(estimator=estimator, placebos=[placebo if whole else one])["placebo_outcome"]
    assert found.verdict == verdict
    assert found.statistic == one.p_value
    assert found.assumption == about
    assert found.outcome == "y"
    text = str(found.message)
    assert "founding capital" in text
    assert f"{one.ci_low:.4g}" in text
    if verdict == "SUPPORTS":
        assert f"{one.table(detail=True)['mde'].iloc[0]:.4g}" in text


def test_several_placebos_and_none():
    found = diagnose(*evaluated(), placebos=[placebo_of(0.0), placebo_of(2.0)])
    assert [f.verdict for f in found if f.id == "placebo_outcome"] == ["SUPPORTS", "CONTRADICTS"]
    none = find()["placebo_outcome"]
    assert none.verdict == "NOT_RUN"
    assert "placebo = [" in str(none.message)
    assert "placebo_outcome" not in find(matcher=None, estimator=ei.matched.Benchmark())


def test_a_placebo_without_an_error_or_an_effect_says_so():
    matcher = InverseProbability(classifier=LogisticRegression(), folds=2)
    sealed = design_of(outcomes(), matcher=matcher).seal()
    without = ei.matched.Weighting().estimate(sealed)
    object.__setattr__(without.estimand, "outcome", "founding capital")
    assert find(placebos=[without])["placebo_outcome"].verdict == "NOT_APPLICABLE"


@pytest.mark.parametrize(
    ("make", "code"), [(lambda r: r, "EI-E18"), (lambda r: r.table(), "EI-E10")]
)
def test_what_is_no_placebo_is_refused(make, code):
    sealed, result = evaluated()
    with pytest.raises(ei.ExportImpactError) as caught:
        diagnose(sealed, result, placebos=[make(result)])
    assert caught.value.code == code


# Hidden bias --------------------------------------------------------------------------------------


def test_one_difference_for_each_supported_firm():
    y = outcomes()
    plain = ei.matched.MatchedDifference(correct="none")
    matcher = Nearest(replace=True, ratio=2)
    sealed, result = evaluated(y, matcher=matcher, covariates=["x"], estimator=plain)
    sets = averages.sets_of(sealed, result)
    pairs = sealed.matching.pairs()
    gain = y[:, YEARS >= START].mean(axis=1) - y[:, START - 1 == YEARS][:, 0]
    expected = [
        gain[own] - np.average(gain[part["comparison"]], weights=part["share"])
        for own, part in pairs.groupby("supported")
    ]
    np.testing.assert_allclose(sets.difference, expected)
    assert sets.several
    assert sets.shared
    found = {f.id: f for f in diagnose(sealed, result)}["rosenbaum_bounds"]
    assert found.statistic == rosenbaum.breakdown(np.array(expected), 0.025).gamma
    assert "share comparison firms" in str(found.message)


def test_differences_are_of_what_the_regression_does_not_explain():
    """Averaged over firms they are the corrected effect of the same estimator."""
    for change in (True, False):
        estimator = ei.matched.MatchedDifference(change=change)
        sealed, result = evaluated(matcher=Nearest(replace=True), estimator=estimator)
        difference = averages.sets_of(sealed, result).difference
        assert difference.mean() == pytest.approx(result.overall("simple").estimate)
        raw = ei.matched.MatchedDifference(change=change, correct="none").estimate(sealed)
        plain = averages.sets_of(sealed, raw).difference
        assert plain.mean() == pytest.approx(raw.overall("simple").estimate)
        assert difference.std() < plain.std()


def test_differences_leave_out_what_is_not_observed():
    y = outcomes()
    plain = ei.matched.MatchedDifference(change=False, correct="none")
    sealed, _ = evaluated(y, estimator=plain, covariates=["x"])
    pairs = sealed.matching.pairs()
    y[pairs["comparison"].iloc[0], YEARS == 2019] = np.nan
    y[pairs["supported"].iloc[1], YEARS > START] = np.nan
    sealed, result = evaluated(y, estimator=plain, covariates=["x"])
    pd.testing.assert_frame_equal(sealed.matching.pairs(), pairs)
    since = (y[pairs["supported"]] - y[pairs["comparison"]])[:, YEARS >= START]
    np.testing.assert_allclose(
        averages.sets_of(sealed, result).difference, np.nanmean(since, axis=1)
    )


def test_a_cohort_is_compared_at_its_own_base():
    starts = np.where(SUPPORTED, np.where(np.arange(N) % 2, 2016, START), 0)
    y = outcomes()
    sealed, result = evaluated(y, starts=starts, covariates=["x"])
    found = averages.averages_of(sealed, result)
    assert found.is_fixed.sum() == 2
    rows = np.concatenate([m.risk.rows for m in sealed.matching.cohorts.values()])
    cohorts = np.repeat([2016, START], [m.risk.rows.size for m in sealed.matching.cohorts.values()])
    expected = [
        y[i, g <= YEARS].mean() - y[i, g - 1 == YEARS][0]
        for i, g in zip(rows, cohorts, strict=True)
    ]
    np.testing.assert_allclose(found.y, expected)
    for g in (2016, START):
        inside, d = cohorts == g, found.d > 0
        assert found.before[inside & d].sum() == pytest.approx(found.before[inside & ~d].sum())


def test_robustness_value_and_its_yardstick():
    sealed, result = evaluated()
    sample = averages.averages_of(sealed, result)
    assert list(sample.groups) == ["x", "kind"]
    fit = omitted.treatment_fit(sample.y, sample.d, sample.X, sample.after)
    found = {f.id: f for f in diagnose(sealed, result)}["robustness_value"]
    assert found.statistic == pytest.approx(omitted.robustness_value(fit))
    # As strong as the strongest covariate, a confounder brings the estimate to zero exactly where
    # the two are equal.
    seen = omitted.benchmark_r2(
        sample.y, sample.d, sample.X, sample.before, list(sample.groups.values())
    )
    left = omitted.adjusted(fit, omitted.benchmark_bounds(seen, np.array(1.0))).estimate
    assert (found.statistic > found.threshold) == bool((left * fit.estimate > 0).all())
    alike = omitted.PartialR2(np.array([found.threshold]), np.array([found.threshold]))
    np.testing.assert_allclose(
        omitted.adjusted(fit, alike).estimate[0], left[np.argmin(left * np.sign(fit.estimate))]
    )


STRONG = {"x": covariate(shift=1.2), "y": outcomes(0.6, x=covariate(shift=1.2))}
LOUD = {"x": covariate(shift=1.6), "y": outcomes(1.0, 1.2, covariate(shift=1.6)) + 2 * noise(7)}


@pytest.mark.parametrize(
    ("id", "verdict", "case"),
    [
        ("rosenbaum_bounds", "SUPPORTS", {}),
        ("rosenbaum_bounds", "CONCERN", {"y": outcomes(0.62)}),
        ("robustness_value", "SUPPORTS", {}),
        ("robustness_value", "CONCERN", STRONG | {"estimator": LEVELS}),
        ("oster_delta", "SUPPORTS", {"estimator": LEVELS}),
        ("oster_delta", "CONCERN", LOUD | {"estimator": LEVELS}),
    ],
)
def test_how_much_it_takes(id, verdict, case):
    found = find(**{"matcher": Nearest(distance="mahalanobis", replace=True)} | case)[id]
    assert found.verdict == verdict
    assert found.statistic is not None
    assert found.assumption is None, "sensitivity is no evidence on an assumption"
    assert (found.statistic >= found.threshold) == (verdict == "SUPPORTS")


def zeros_and_ones(effect, seed=3):
    rng = np.random.default_rng(seed)
    return (rng.random((N, YEARS.size)) < 0.4 + effect * SUPPORTED[:, None] * AFTER).astype(float)


@pytest.mark.parametrize(
    ("effect", "verdict"), [(0.5, "SUPPORTS"), (0.12, "CONCERN"), (0.0, "NOT_APPLICABLE")]
)
def test_binary_outcomes(effect, verdict):
    found = find(zeros_and_ones(effect), scale="binary", estimator=LEVELS)
    assert found["e_value"].verdict == verdict
    if verdict == "SUPPORTS":
        assert found["rosenbaum_bounds"].verdict == "SUPPORTS"
        assert "average differences" not in str(found["rosenbaum_bounds"].message)


def test_binary_outcomes_need_one_match_each():
    case = {"scale": "binary", "matcher": Nearest(ratio=2, replace=True)}
    found = find(zeros_and_ones(0.5), **case)["rosenbaum_bounds"]
    assert (found.verdict, found.message.id) == ("NOT_APPLICABLE", "finding.several_for_one")


def test_a_share_of_everybody_has_no_e_value():
    """Nobody of the supported firms has it and all others do: without support all would have it."""
    y = zeros_and_ones(0.0)
    y[:, YEARS >= START] = np.where(SUPPORTED, 0.0, 1.0)[:, None]
    y[0, -1] = 1.0
    plain = ei.matched.MatchedDifference(change=False, correct="none")
    found = find(y, scale="binary", estimator=plain)["e_value"]
    assert (found.verdict, found.message.id) == ("NOT_APPLICABLE", "finding.no_e_value")


@pytest.mark.parametrize(
    ("case", "reasons"),
    [
        ({"y": outcomes(0.0)}, dict.fromkeys(HIDDEN, "nothing_to_overturn")),
        ({"matcher": EntropyBalancing()}, {"rosenbaum_bounds": "no_pairs"}),
        (
            {"covariates": [], "matcher": Exact(on=["kind"])},
            {
                "rosenbaum_bounds": "no_pairs",
                "robustness_value": "no_yardstick",
                "oster_delta": "no_yardstick",
            },
        ),
        (
            {
                "matcher": InverseProbability(classifier=LogisticRegression(), folds=2),
                "estimator": ei.matched.Weighting(),
            },
            dict.fromkeys(HIDDEN, "no_error_to_overturn"),
        ),
        (
            {"matcher": None, "estimator": ei.did.GroupTime(adjust="regression")},
            dict.fromkeys(HIDDEN, "not_matched"),
        ),
        ({"y": outcomes(slope=0.0)}, {"oster_delta": "little_explained"}),
    ],
    ids=["no effect", "weights", "no covariates", "no error", "not matched", "no yardstick"],
)
def test_where_it_cannot_be_asked(case, reasons):
    found = find(**case)
    for id, reason in reasons.items():
        assert found[id].verdict == "NOT_APPLICABLE"
        assert found[id].message.id == f"finding.{reason}"
        assert found[id].statistic is None


@pytest.mark.parametrize(
    "estimator", [ei.matched.Benchmark(), ei.did.GroupTime(adjust="none")], ids=["IV", "trends"]
)
def test_it_is_not_asked_of_results_that_do_not_rest_on_covariates(estimator):
    assert not (HIDDEN | {"e_value"}) & set(find(matcher=None, estimator=estimator))


def test_no_cell_since_support():
    y = outcomes()
    y[:OWN, YEARS >= START] = np.nan
    found = find(y)
    assert {found[id].message.id for id in HIDDEN} == {"finding.no_effect_since"}


def test_pairs_that_do_not_differ(monkeypatch):
    """Only rounding tells the two sides apart; an effect found otherwise has nothing behind it."""
    y = np.repeat(np.linspace(0.1, 0.7, YEARS.size)[None, :], N, axis=0)
    y[:OWN] += 1e-16
    sealed, result = evaluated(y)
    sets = averages.sets_of(sealed, result)
    assert not sets.difference.any()
    monkeypatch.setattr(hidden_bias, "_nothing_to_overturn", lambda *_: None)
    (found,) = rosenbaum_bounds(sealed, result)
    assert found.message.id == "finding.pairs_do_not_differ"


def test_too_few_pairs(monkeypatch):
    monkeypatch.setattr(hidden_bias, "_nothing_to_overturn", lambda *_: None)
    few = np.where(np.arange(N) < 3, START, 0)
    y = 10 + noise() + 50 * (np.arange(N) < 3)[:, None] * AFTER
    sealed, result = evaluated(y, starts=few, covariates=["x"], matcher=Nearest())
    (found,) = rosenbaum_bounds(sealed, result)
    assert found.message.id == "finding.rosenbaum_too_few"


def test_a_mean_that_rests_on_few_firms_is_not_firm(monkeypatch):
    monkeypatch.setattr(hidden_bias, "_nothing_to_overturn", lambda *_: None)
    y = outcomes(0.0)
    y[:4] += 60 * AFTER
    (found,) = rosenbaum_bounds(*evaluated(y, covariates=["x"]))
    assert found.message.id == "finding.rosenbaum_not_rejected"
    assert found.verdict == "CONCERN"


def test_an_effect_beyond_any_bias(monkeypatch):
    beyond = rosenbaum.Breakdown(rosenbaum.CEILING, "beyond_ceiling", 0.0, OWN)
    monkeypatch.setattr(hidden_bias, "_breakdown", lambda *_: beyond)
    found = find()["rosenbaum_bounds"]
    assert "more than 100" in str(found.message)


def test_larger_effects_take_more_bias():
    gammas = [find(outcomes(effect))["rosenbaum_bounds"].statistic for effect in (0.8, 1.2, 2.0)]
    assert all(low < high for low, high in pairwise(gammas))


def test_hidden_bias_is_evidence_on_no_assumption():
    spoken = {spec.id: spec.assumption for spec in registered("result")}
    assert {spoken[id] for id in (*HIDDEN, "e_value")} == {None}
    assert spoken["placebo_lagged"] == "unconfoundedness"


def test_words_exist():
    import re
    from pathlib import Path

    import exportimpact.diagnostics as package

    used = set()
    for path in Path(package.__file__).parent.glob("*.py"):
        used |= set(re.findall(r"[\"'](finding\.[a-z_]+)[\"']", path.read_text(encoding="utf-8")))
    used |= {f"finding.rosenbaum_{end}" for end in ("firm", "weak", "not_rejected")}
    assert used <= known_ids()
