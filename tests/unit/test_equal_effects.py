"""One number for effects that differ: the finding, its claims, and who may be the headline."""

from __future__ import annotations

import pytest

import exportimpact as ei
from exportimpact.core.exhibit import Exhibit
from exportimpact.diagnostics.equal_effects import equal_effects
from exportimpact.did import GroupTime, Stacked, TwoWayFixedEffects, event_study
from exportimpact.errors import CapabilityError
from exportimpact.evaluation.ladder import headline_result
from exportimpact.matching import EntropyBalancing

ABOUT = "homogeneous_effects"


def drawn(name, seed=1, n_firms=600):
    bench = ei.synthetic.scenario(name).draw(n_firms=n_firms, n_periods=8, seed=seed)
    return ei.Design(bench.panel, bench.support, **bench.scenario.design_options).seal()


def finding(design, result):
    (found,) = equal_effects(design, result)
    return found


def test_effects_that_differ_contradict_one_number_in_nine_of_ten_draws():
    verdicts = []
    for seed in range(1, 11):
        design = drawn("staggered_dynamic", seed)
        found = finding(design, TwoWayFixedEffects().estimate(design))
        verdicts.append((found.verdict, found.assumption))
    assert verdicts.count(("CONTRADICTS", ABOUT)) >= 9


def test_a_quiet_answer_speaks_to_no_assumption():
    design = drawn("random_rollout")
    found = finding(design, TwoWayFixedEffects().estimate(design))
    assert found.verdict == "SUPPORTS"
    assert found.assumption is None


def test_what_leaves_effects_free_is_not_asked():
    design = drawn("staggered_dynamic")
    assert not list(equal_effects(design, GroupTime().estimate(design)))


def test_negative_weights_are_a_concern_of_their_own():
    from dataclasses import replace

    design = drawn("random_rollout")
    result = TwoWayFixedEffects().estimate(design)
    table = next(e.table for e in result.own_exhibits if e.kind == "twfe_weights").copy()
    table["weight"] = [-0.2, *table["weight"][1:]]
    changed = replace(result, own_exhibits=(Exhibit("twfe_weights", "twfe_weights", table),))
    found = finding(design, changed)
    assert (found.verdict, found.assumption) == ("CONCERN", ABOUT)
    assert "1 weights" in str(found.message)


def test_one_cohort_has_nothing_to_compare_at_the_same_time():
    bench = ei.synthetic.scenario("random_rollout").draw(n_firms=300, n_periods=8, seed=1)
    design = ei.Design(bench.panel, bench.support, outcome="ln_exports")
    keep = bench.frame["firm_id"].isin(
        design.units[(design.cohort_codes == 0) | (design.cohort_codes == 1)]
    )
    panel = ei.Panel.from_frame(
        bench.frame[keep],
        unit="firm_id",
        period="year",
        outcomes=[ei.Outcome("ln_exports", scale="logged")],
    )
    one = ei.Design(panel, bench.support, outcome="ln_exports").seal()
    found = finding(one, event_study(one))
    assert found.verdict == "NOT_APPLICABLE"
    assert finding(one, TwoWayFixedEffects().estimate(one)).verdict == "SUPPORTS"


def test_one_number_is_never_the_headline_beside_effects_that_are_free():
    design = drawn("staggered_dynamic")
    one, free = (e.estimate(design) for e in (TwoWayFixedEffects(), GroupTime()))
    assert headline_result([one, free]) is free
    assert headline_result([free, one]) is free


def test_stacked_on_a_matched_design():
    bench = ei.synthetic.scenario("selection_on_trends").draw(n_firms=600, n_periods=8, seed=1)
    options = bench.scenario.design_options
    design = ei.Design(bench.panel, bench.support, **options).match(EntropyBalancing())
    stacked, free = (
        e.estimate(design).table().set_index(["cohort", "period"])
        for e in (Stacked(), GroupTime(adjust="none"))
    )
    for column in ("estimate", "std_error"):
        expected = free.loc[stacked.index, column]
        assert stacked[column].to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-10)


def test_stacked_does_not_tear_a_match():
    bench = ei.synthetic.scenario("selection_on_trends").draw(n_firms=600, n_periods=8, seed=1)
    frame = bench.frame.copy()
    frame.loc[
        (frame["firm_id"] % 7 == 0) & (frame["year"] == frame["year"].min()), "ln_exports"
    ] = float("nan")
    panel = ei.Panel.from_frame(
        frame,
        unit="firm_id",
        period="year",
        outcomes=[ei.Outcome("ln_exports", scale="logged")],
        baseline=["employees"],
    )
    design = ei.Design(panel, bench.support, **bench.scenario.design_options)
    with pytest.raises(CapabilityError) as caught:
        Stacked().estimate(design.match(EntropyBalancing()))
    assert caught.value.code == "EI-E43"
