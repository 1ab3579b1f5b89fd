"""Ladder, headline, claims, power, objectives and assumptions of an evaluation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import exportimpact as ei
from exportimpact.core.finding import Finding
from exportimpact.evaluation import Objective, Plan, design_power, evaluate, headline_result
from exportimpact.evaluation.quantities import number, p_text, percent_text
from exportimpact.language import message

OUTCOMES = {"ln_exports": "logged", "exports": "level", "exporting": "binary"}


def panel(firms=120, effect=0.5, seed=3):
    """Firms over six years, a third supported in year 4, with an effect on log exports."""
    rng = np.random.default_rng(seed)
    years = np.arange(2015, 2021)
    supported = np.arange(firms) < firms // 3
    size = rng.normal(2.0, 0.3, firms)
    noise = rng.normal(0, 0.3, (firms, years.size))
    gain = effect * supported[:, None] * (years >= 2018)
    log_exports = size[:, None] + 0.05 * (years - 2015) + gain + noise
    frame = pd.DataFrame(
        {
            "firm": np.repeat(np.arange(1, firms + 1), years.size),
            "year": np.tile(years, firms),
            "ln_exports": log_exports.ravel(),
            "exports": np.exp(log_exports).ravel(),
            "exporting": (log_exports > 2).astype(int).ravel(),
        }
    )
    awards = pd.DataFrame({"firm": np.flatnonzero(supported) + 1, "year": 2018})
    made = ei.Panel.from_frame(
        frame,
        unit="firm",
        period="year",
        outcomes=[ei.Outcome(n, scale=s, unit="USD m") for n, s in OUTCOMES.items()],
    )
    return made, ei.Assignment.from_spells(awards, unit="firm", start="year")


def estimates(made, support, outcome="ln_exports"):
    design = ei.Design(made, support, outcome=outcome).seal()
    estimators = (ei.matched.Benchmark(), ei.did.GroupTime(adjust="none"), ei.did.TwoPeriod())
    return design, [estimator.estimate(design) for estimator in estimators]


@pytest.fixture(scope="module")
def data():
    return panel()


@pytest.fixture(scope="module")
def parts(data):
    return {name: estimates(*data, name) for name in OUTCOMES}


def finding(verdict, assumption="parallel_trends", id="pretrend"):
    text = message("test.pretrend_null", cells=2)
    return Finding(id, verdict, text, assumption, 0.03, 0.1, "package convention")


@pytest.fixture(scope="module")
def evaluation(parts):
    results = [result for _, made in parts.values() for result in made]
    findings = {"ln_exports": [finding("SUPPORTS")], "exports": [finding("CONTRADICTS")]}
    plan = Plan(title="Vouchers", objectives=(Objective(outcome="ln_exports", target=5, unit="%"),))
    return evaluate(parts["ln_exports"][0], results, findings, plan=plan)


def test_ladder_has_the_average_of_every_rung(evaluation, parts):
    table = evaluation.ladder()
    assert list(table["outcome"].unique()) == list(OUTCOMES)
    assert list(table["step"]) == ["IV", "V-b", "V-b"] * 3
    assert list(table["causal"]) == [False, True, True] * 3
    for outcome, (_, results) in parts.items():
        own = table[table["outcome"] == outcome]
        expected = [r.overall("simple").table(detail=True).iloc[0] for r in results]
        for name in ("estimate", "std_error", "ci_low", "p_value", "percent_high", "n_supported"):
            np.testing.assert_array_equal(own[name], [row[name] for row in expected])


def test_headline_is_the_first_result_on_the_highest_rung(evaluation, parts):
    assert evaluation.headline().result.provenance.estimator == "group_time"
    assert evaluation.ladder()["headline"].tolist() == [False, True, False] * 3
    design, (step_iv, group_time, two_period) = parts["ln_exports"]
    other = evaluate(design, [step_iv, two_period, group_time], ())
    assert other.headline().result is two_period
    assert headline_result([step_iv, two_period, group_time]) is two_period


def test_claims_follow_rung_and_findings(evaluation, parts):
    claims = evaluation.claims().set_index("outcome")
    assert claims.loc["ln_exports", "status"] == "conditional"
    assert claims.loc["ln_exports", "claim"].startswith("The programme raised ln_exports")
    assert "no anticipation" in claims.loc["ln_exports", "caveats"]
    assert claims.loc["exports", "status"] == "withheld"
    assert "The programme" not in claims.loc["exports", "claim"]
    design, results = parts["ln_exports"]
    described = evaluate(design, results[:1], ()).claims().iloc[0]
    assert described["status"] == "describes"
    assert "not attributed" in described["claim"]


@pytest.mark.parametrize(("effect", "verb"), [(0.0, "No effect"), (-0.6, "lowered")])
def test_claims_name_the_direction_or_that_nothing_was_found(effect, verb):
    design, results = estimates(*panel(effect=effect))
    assert verb in evaluate(design, results, ()).claims()["claim"].iloc[0]


def test_assumptions_say_what_was_and_what_was_not_checked(evaluation):
    table = evaluation.assumptions().set_index(["outcome", "assumption"])
    assert table.loc[("ln_exports", "parallel_trends"), "status"] == "SUPPORTS"
    assert table.loc[("exports", "parallel_trends"), "status"] == "CONTRADICTS"
    assert table.loc[("exporting", "parallel_trends"), "status"] == "NOT_CHECKED"
    assert not table.loc[("exporting", "parallel_trends"), "checked"]


def test_power_refers_to_the_outside_effect(evaluation):
    power = evaluation.power().set_index("outcome")
    assert power.loc["ln_exports", "external_effect"] == pytest.approx(math.log(1.07))
    counterfactual = evaluation.headline("exports").row["counterfactual"]
    assert power.loc["exports", "external_effect"] == pytest.approx(0.07 * counterfactual)
    assert math.isnan(power.loc["exporting", "power"])
    assert "Declare" in power.loc["exporting", "note"]
    assert (power["mde"] > 2.7 * power["std_error"]).all()


def test_a_declared_effect_gives_a_binary_outcome_power(parts):
    design, results = parts["exporting"]
    plan = Plan(declared_effects={"exporting": 0.02})
    row = evaluate(design, results, (), plan=plan).power().iloc[0]
    assert row["external_percent"] == pytest.approx(2)
    assert 0.05 < row["power"] < 1


@pytest.mark.parametrize("df", [4.0, 30.0, math.inf])
def test_design_power_against_draws(df):
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(400_000) if math.isinf(df) else rng.standard_t(df, 400_000)
    effect, error = 0.07, 0.05
    drawn = effect + error * noise
    critical = {4.0: 2.7764451, 30.0: 2.0422725, math.inf: 1.9599640}[df]
    found = np.abs(drawn) > critical * error
    expected = (
        found.mean(),
        np.abs(drawn[found]).mean() / effect,
        (drawn[found] < 0).mean(),
    )
    got = design_power(effect, error, df)
    np.testing.assert_allclose(
        (got.power, got.exaggeration, got.sign_error), expected, rtol=0.02, atol=4e-3
    )


@pytest.mark.parametrize(
    ("objective", "status"),
    [
        (Objective(outcome="ln_exports", target=5, unit="%"), "reached"),
        (Objective(outcome="ln_exports", target=500, unit="%"), "missed"),
        (Objective(outcome="ln_exports", target=0.5), "open"),
        (Objective(outcome="ln_exports"), "reached"),
        (Objective(outcome="ln_exports", direction="decrease"), "missed"),
        (Objective(outcome="ln_exports", target=5, unit="%", horizon=2), "reached"),
        (Objective(outcome="ln_exports", target=5, unit="%", horizon=9), "not estimated"),
    ],
)
def test_objectives_are_held_against_the_estimated_effect(parts, objective, status):
    design, results = parts["ln_exports"]
    plan = Plan(objectives=(objective,))
    assert evaluate(design, results, (), plan=plan).objectives()["status"].tolist() == [status]
    plain = evaluate(design, results[:1], (), plan=plan).objectives()["status"].iloc[0]
    assert plain in {"not causal", "not estimated"}
    withheld = evaluate(design, results, [finding("CONTRADICTS")], plan=plan).objectives()
    assert withheld["status"].iloc[0] in {"withheld", "not estimated"}


def test_known_effects_stand_beside_the_estimates(parts):
    design, results = parts["ln_exports"]
    table = evaluate(design, results, (), known={"ln_exports": 0.5}).ladder()
    assert table["known"].tolist() == [0.5] * 3
    assert table["known_percent"].iloc[0] == pytest.approx(100 * math.expm1(0.5))


def test_an_oracle_answers_every_row():
    bench = ei.synthetic.scenario("random_rollout").draw(n_firms=300, n_periods=8, seed=2)
    design = ei.Design(bench.panel, bench.support, outcome="ln_exports").seal()
    result = ei.did.GroupTime().estimate(design)
    evaluation = evaluate(design, [result], (), known=bench.truth)
    truth = bench.truth.value(result.overall("simple").estimand)
    assert evaluation.ladder()["known"].iloc[0] == pytest.approx(truth)
    path = evaluation.event_study()
    assert path.loc[path["event_time"] < 0, "known"].eq(0).all()
    assert path.loc[path["event_time"] >= 0, "known"].notna().all()


def test_findings_of_the_design_are_there_once(parts):
    design, results = parts["ln_exports"]
    findings = design.findings
    table = evaluate(design, results, findings).checks()
    assert not table.duplicated().any()
    assert len(table) == len(findings)


def test_an_evaluation_shows_itself_shortly(evaluation):
    lines = repr(evaluation).splitlines()
    assert len(lines) <= 20
    assert "not causal" in lines[1]
    assert evaluation._repr_html_().startswith("<pre>")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"results": []}, "EI-E20"),
        ({"results": "other panel"}, "EI-E21"),
        ({"results": "aggregate"}, "EI-E22"),
        ({"plan": Plan(objectives=(Objective(outcome="sales"),))}, "EI-E23"),
        ({"plan": Plan(declared_effects={"sales": 0.1})}, "EI-E23"),
        ({"findings": {"ln_export": ()}}, "EI-E23"),
        ({"results": "other outcome"}, "EI-E24"),
        (
            {"plan": Plan(objectives=(Objective(outcome="ln_exports", unit="pp"),))},
            "EI-E26",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_refused(parts, change, code):
    design, results = parts["ln_exports"]
    special = {
        "other panel": lambda: estimates(*panel(seed=4))[1],
        "aggregate": lambda: [results[1].overall("simple")],
        "other outcome": lambda: parts["exports"][1],
    }
    wanted = change.get("results", results)
    given = special[wanted]() if isinstance(wanted, str) else wanted
    with pytest.raises(ei.ExportImpactError) as caught:
        evaluate(design, given, change.get("findings", ()), plan=change.get("plan"))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "make",
    [
        lambda: Objective(outcome="x", direction="up"),
        lambda: Objective(outcome="x", target=-5),
        lambda: Objective(outcome="x", direction="decrease", target=5),
        lambda: Objective(outcome="x", target=math.nan),
        lambda: Objective(outcome="x", horizon=-1),
        lambda: Plan(external_effect=0.0),
        lambda: Plan(external_effect=-1.5),
        lambda: Plan(declared_effects={"x": math.inf}),
    ],
)
def test_a_plan_that_cannot_be_used_is_refused(make):
    with pytest.raises(ei.ExportImpactError) as caught:
        make()
    assert caught.value.code == "EI-E25"


def test_an_unsealed_design_is_sealed_as_exploratory(data):
    design = ei.Design(*data, outcome="ln_exports")
    result = ei.did.GroupTime(adjust="none").estimate(design)
    evaluation = evaluate(design, [result], ())
    assert evaluation.sealed.exploratory
    assert "Exploratory" in evaluation.claims()["caveats"].iloc[0]


def test_variants_of_one_estimator_are_told_apart(data):
    design = ei.Design(*data, outcome="ln_exports").seal()
    results = [ei.did.TwoPeriod(event_time=e).estimate(design) for e in (0, 1)]
    table = evaluate(design, results, ()).ladder()
    assert table["variant"].tolist() == ["event_time 0", "event_time 1"]


@pytest.mark.parametrize(
    ("value", "places", "sign", "shown"),
    [
        (1234567.8, 0, False, "1,234,568"),
        (-0.04, 1, True, "0.0"),
        (-2.5, 1, True, "−2.5"),
        (2.5, 1, True, "+2.5"),
        (math.nan, 2, False, "–"),
    ],
)
def test_numbers_as_text(value, places, sign, shown):
    assert number(value, places, sign=sign) == shown


def test_p_values_and_missing_percents_as_text():
    assert p_text(0.0004) == "<0.001"
    row = {"percent": math.nan, "percent_low": math.nan, "percent_high": math.nan}
    assert percent_text({**row, "percent_unit": "%"}).text == "–"


def test_evaluations_are_frozen(evaluation):
    with pytest.raises(AttributeError):
        evaluation.plan = Plan()
    assert replace(evaluation, plan=Plan(title="other")).plan.title == "other"
