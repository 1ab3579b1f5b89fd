"""Scenarios: the same seed draws the same panel, and the truth is what both outcomes say."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from exportimpact.core.assumption import ASSUMPTIONS, OF_MATCHES
from exportimpact.core.estimand import Estimand
from exportimpact.data import NEVER
from exportimpact.errors import InputError
from exportimpact.synthetic import scenario, scenarios
from exportimpact.synthetic.presets import PRESETS

CLEAN = ("random_rollout", "staggered_dynamic", "selection_on_trends")
NULL = [name for name in scenarios() if "null" in scenario(name).presets]
WHOLE = [name for name in scenarios() if scenario(name).draw(n_firms=50).truth.complete]
REPORTED = {"ln_exports_reported"}  # its truth is about what firms export, not what they say


def main_outcome(bench):
    return bench.scenario.design_options["outcome"]


def estimand(bench, outcome=None, **changes):
    """The simple overall over every cohort and period, changed as told."""
    outcome = outcome or main_outcome(bench)
    scale = bench.truth.outcomes[outcome].scale
    cohorts = np.unique(bench.truth.cohort[bench.truth.cohort != NEVER])
    cells = tuple((int(g), int(t)) for g in cohorts for t in bench.truth.periods)
    start = Estimand(
        outcome=outcome,
        scale=scale,
        unit=None,
        cells=cells,
        aggregation="simple",
        overall=True,
        population="sample",
    )
    return replace(start, **changes)


def long_effects(bench, outcome="ln_exports"):
    """Effects on supported firms from their start on, one row per firm and period."""
    truth = bench.truth
    both = truth.outcomes[outcome]
    n_firms, n_periods = both.with_support.shape
    rows = pd.DataFrame(
        {
            "firm": np.repeat(np.arange(n_firms), n_periods),
            "g": np.repeat(truth.cohort, n_periods),
            "t": np.tile(truth.periods, n_firms),
            "without": both.without_support.ravel(),
            "effect": (both.with_support - both.without_support).ravel(),
        }
    )
    return rows[(rows.g != NEVER) & (rows.t >= rows.g)].assign(e=lambda r: r.t - r.g)


@pytest.mark.parametrize("name", scenarios())
def test_same_seed_same_bytes(name):
    one, same, other = (scenario(name).draw(n_firms=300, seed=s) for s in (4, 4, 5))
    for part in ("frame", "spells"):
        left, right = getattr(one, part), getattr(same, part)
        assert (pd.util.hash_pandas_object(left) == pd.util.hash_pandas_object(right)).all()
    assert not one.frame.equals(other.frame)


def test_parts_are_independent():
    # A larger effect changes outcomes of supported firms after the start, and nothing else.
    small, large = (scenario("voucher").draw(n_firms=400, preset=p) for p in ("null", "korea_kita"))
    pd.testing.assert_frame_equal(small.spells, large.spells)
    rows, moved = small.frame, small.frame.ne(large.frame) & small.frame.notna()
    first = pd.Series(small.truth.cohort, index=rows.firm_id.unique())
    assert moved[["exports", "sales"]].any().all()
    assert not moved.drop(columns=["exports", "sales"]).any().any()
    assert (rows.year >= rows.firm_id.map(first))[moved.any(axis=1)].all()


@pytest.mark.parametrize("name", scenarios())
def test_frame_holds_what_is_observed_and_no_more(name):
    bench = scenario(name).draw(n_firms=400)
    source = {o.source for o in bench.drawn.outcomes}
    known = {"firm_id", "year", *source, *bench.drawn.baseline}
    assert set(bench.frame.columns) == known | ({bench.drawn.exit} - {None})
    for outcome in bench.drawn.outcomes:
        if outcome.name != outcome.source or outcome.name in REPORTED:
            continue
        column = bench.frame.pivot(index="firm_id", columns="year", values=outcome.source)
        truth = bench.truth.outcomes[outcome.name].with_support
        seen = column.notna().to_numpy()
        assert np.array_equal(column.to_numpy()[seen], truth[seen])
    taken = bench.frame
    taken["year"] = 0
    assert bench.frame.year.min() > 2000, "a user's change reached the bench"


@pytest.mark.parametrize("name", [*WHOLE, "voucher"])
@pytest.mark.parametrize("segment", [None, ("industry", "metals")])
def test_sample_truth_is_the_mean_over_these_firms(name, segment):
    bench = scenario(name).draw(n_firms=1500, seed=8)
    outcome = "exports" if name == "voucher" else main_outcome(bench)
    rows = long_effects(bench, outcome)
    if segment:
        rows = rows[(bench.truth.segments["industry"] == "metals")[rows.firm]]
    base = estimand(bench, outcome, segment=segment)

    def value(aggregation, key=None, **changes):
        changes = {"aggregation": aggregation, "key": key, "overall": key is None, **changes}
        asked = replace(base, **changes)
        return bench.truth.value(asked)

    expected = rows.effect.mean()
    assert value("simple") == pytest.approx(expected, rel=1e-12)
    assert value("simple", overall=False) == pytest.approx(expected, rel=1e-12)
    for kind, column in (("event_time", "e"), ("calendar", "t")):
        by = rows.groupby(column).effect.mean()
        assert value(kind) == pytest.approx(by.mean(), rel=1e-12, abs=1e-12)
        for key in by.index:
            assert value(kind, key=int(key)) == pytest.approx(by[key], rel=1e-12)
    by = rows.groupby(["firm", "g"], as_index=False).effect.mean()
    assert value("cohort") == pytest.approx(by.effect.mean(), rel=1e-12)
    for key, mean in by.groupby("g").effect.mean().items():
        assert value("cohort", key=int(key)) == pytest.approx(mean, rel=1e-12)
    cell = rows[(rows.g == rows.g.min()) & (rows.e == 2)]
    pair = (int(cell.g.iloc[0]), int(cell.t.iloc[0]))
    assert value("cell", key=pair) == pytest.approx(cell.effect.mean(), rel=1e-12)
    ratio = bench.truth.value(base, percent=True)
    if bench.truth.outcomes[outcome].scale not in {"log", "logged"}:
        assert ratio == pytest.approx(100 * expected / rows.without.mean(), rel=1e-12)
    else:
        assert ratio == pytest.approx(100 * math.expm1(expected), rel=1e-12)


def test_only_the_cells_of_the_estimand_count():
    bench = scenario("staggered_dynamic").draw(n_firms=600)
    asked = estimand(bench, cells=((2014, 2015), (2018, 2019), (2018, 2017)))
    rows = long_effects(bench)
    kept = rows[(rows.e == 1) & rows.g.isin([2014, 2018])]
    assert bench.truth.value(asked) == pytest.approx(kept.effect.mean(), rel=1e-12)
    before = replace(asked, aggregation="event_time", overall=False, key=-1)
    assert bench.truth.value(before) == 0.0


@pytest.mark.parametrize("name", CLEAN)
def test_super_truth_is_what_many_samples_come_to(name):
    draws = [scenario(name).draw(n_firms=1000, seed=s) for s in range(60)]
    for kind in ("simple", "event_time", "cohort", "calendar"):
        asked = [(b.truth, estimand(b, aggregation=kind)) for b in draws]
        sample = [truth.value(e) for truth, e in asked]
        known = {truth.value(e.in_population("super")) for truth, e in asked}
        assert len(known) == 1
        error = np.std(sample, ddof=1) / math.sqrt(len(sample))
        assert np.mean(sample) == pytest.approx(known.pop(), abs=3.5 * error + 1e-12), kind


@pytest.mark.parametrize("name", CLEAN)
def test_cohort_shares_are_those_of_the_super_population(name):
    bench = scenario(name).draw(n_firms=200_000, n_periods=6)
    for cohort, share in bench.truth.laws["ln_exports"].shares.items():
        error = math.sqrt(share * (1 - share) / 200_000)
        assert np.mean(bench.truth.cohort == cohort) == pytest.approx(share, abs=4 * error)


@pytest.mark.parametrize("name", NULL)
def test_null_preset_has_no_effect(name):
    bench = scenario(name).draw(n_firms=500, preset="null")
    for outcome in bench.truth.outcomes.keys() - {"ln_direct_exports"}:
        assert bench.truth.value(estimand(bench, outcome)) == 0.0


def test_voucher_effects_are_those_of_the_preset():
    bench = scenario("voucher").draw(n_firms=60_000, preset="meta_mid")
    always = estimand(bench, "ln_exports", aggregation="event_time", overall=False, key=2)
    assert bench.truth.value(always) == pytest.approx(PRESETS["meta_mid"].exports, abs=1e-4)
    entry = estimand(bench, "exporting", aggregation="event_time", overall=False, key=1)
    firms = (bench.truth.cohort < NEVER).sum()
    assert bench.truth.value(entry) == pytest.approx(0.01, abs=4 * math.sqrt(0.01 / firms))


def test_voucher_panel_has_the_facts_of_the_programme():
    bench = scenario("voucher").draw(n_firms=30_000)
    frame, spells = bench.frame, bench.spells
    reported = frame.dropna(subset="exports")
    assert 0.45 < (reported.exports > 0).mean() < 0.55
    assert 0.01 < frame.exports.isna().mean() < 0.05
    assert np.exp(np.log(reported.exports[reported.exports > 0]).median()) == pytest.approx(54, 0.2)
    exporting = bench.truth.outcomes["exporting"].without_support > 0
    new = exporting[:, 2] & ~exporting[:, 1] & ~exporting[:, 0]
    assert 0.42 < exporting[new, 3].mean() < 0.55
    vouchers = spells[spells.programme == "voucher"]
    assert vouchers.groupby("award_year").awarded.mean().between(0.37, 0.383).all()
    awarded = vouchers[vouchers.awarded]
    assert awarded.groupby("firm_id").size().max() == 2
    assert awarded.amount.between(12, 100).all()
    assert (vouchers.amount[~vouchers.awarded] == 0).all()
    winners = [set(firms) for _, firms in awarded.groupby("award_year").firm_id]
    repeat = [len(now & before) / len(now) for before, now in pairwise(winners)]
    assert np.mean(repeat) == pytest.approx(0.211, abs=0.04)
    assert spells.programme.nunique() > 1
    last = frame.groupby("firm_id").agg(year=("year", "max"), closed=("closed", "max"))
    assert last.closed[last.year < 2022].all()
    assert 0.03 < last.closed.mean() < 0.2


def test_voucher_firms_alike_in_size_and_stage_have_parallel_trends():
    gaps = {"alike": [], "any": []}
    for seed in range(4):
        bench = scenario("voucher").draw(n_firms=60_000, seed=seed)
        exporting = bench.truth.outcomes["exporting"].without_support
        first = bench.frame.drop_duplicates("firm_id")
        size = pd.qcut(first["size"], 12, labels=False).to_numpy()
        rows = pd.DataFrame(
            {
                "stratum": first.stage.cat.codes.to_numpy() * 12 + size,
                "supported": bench.truth.cohort == 2017,
                "change": exporting[:, 6] - exporting[:, 1],
            }
        )[(bench.truth.cohort == 2017) | (bench.truth.cohort == NEVER)]
        mean = rows.groupby(["stratum", "supported"]).change.mean().unstack()
        n = rows[rows.supported].groupby("stratum").size().reindex(mean.index, fill_value=0)
        gap = (mean[True] - mean[False]).fillna(0)
        gaps["alike"].append((gap * n).sum() / n.sum())
        gaps["any"].append(np.diff(rows.groupby("supported").change.mean()).item())
    assert abs(np.mean(gaps["alike"])) < 0.006
    assert abs(np.mean(gaps["any"])) > 0.008


def test_two_way_fixed_effects_is_clearly_biased_where_effects_grow():
    bench = scenario("staggered_dynamic").draw(n_firms=20_000)
    wide = bench.frame.ln_exports.to_numpy().reshape(20_000, 10)
    supported = (bench.truth.periods >= bench.truth.cohort[:, None]).astype(float)

    def demeaned(x):
        return x - x.mean(1, keepdims=True) - x.mean(0) + x.mean()

    d = demeaned(supported)
    estimate = (d * wide).sum() / (d * supported).sum()
    assert estimate < 0.7 * bench.truth.value(estimand(bench, population="super"))


def test_unadjusted_comparison_is_biased_where_size_drives_trends():
    bench = scenario("selection_on_trends").draw(n_firms=100_000)
    y = bench.frame.ln_exports.to_numpy().reshape(100_000, 10)
    x = bench.frame.employees.to_numpy().reshape(100_000, 10)[:, 0]
    change = y[:, 6] - y[:, 3]
    treated, never = bench.truth.cohort == 2014, bench.truth.cohort == NEVER
    slope, level = np.polyfit(x[never], change[never], 1)
    assert (change[treated] - slope * x[treated] - level).mean() == pytest.approx(0.07, abs=0.03)
    assert change[treated].mean() - change[never].mean() > 0.15


@pytest.mark.parametrize("name", scenarios())
def test_scenarios_say_what_they_are(name):
    found = scenario(name)
    assert found.name == name
    assert found.holds | found.fails <= ASSUMPTIONS - OF_MATCHES
    assert not found.holds & found.fails
    assert found.approximate == ASSUMPTIONS - OF_MATCHES - found.holds - found.fails
    assert len(found.story.splitlines()) == 3
    assert found.sources
    assert set(found.presets) <= PRESETS.keys()
    bench = found.draw(n_firms=100)
    for thing in (found, bench, bench.truth):
        assert len(repr(thing).splitlines()) <= 20
        assert thing._repr_html_().startswith("<table>")
    again = pickle.loads(pickle.dumps(bench))
    assert again.truth.value(estimand(bench)) == bench.truth.value(estimand(bench))


@pytest.mark.parametrize("name", scenarios())
def test_panel_and_support_agree_with_the_truth(name):
    bench = scenario(name).draw(n_firms=600, seed=2)
    assert bench.panel is bench.panel
    first = bench.support.align(bench.panel).first
    found = first != NEVER
    assert np.array_equal(first[found], bench.truth.cohort[found])
    assert name == "linkage_failure" or np.array_equal(first, bench.truth.cohort)
    for outcome in bench.drawn.outcomes:
        if outcome.name in REPORTED:
            continue
        wide = bench.panel.wide(outcome.name)
        truth = bench.truth.outcomes[outcome.name].with_support
        seen = np.isfinite(wide)
        np.testing.assert_array_equal(wide[seen], truth[seen])


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: scenario("randm_rollout"), "EI-X01"),
        (lambda: scenario("voucher").draw(n_firms=5), "EI-X02"),
        (lambda: scenario("voucher").draw(n_periods=4), "EI-X02"),
        (lambda: scenario("voucher").draw(seed=-1), "EI-X02"),
        (lambda: scenario("voucher").draw(n_firms=100.5), "EI-X02"),
        (lambda: scenario("voucher").draw(preset="meta_high"), "EI-X03"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, code):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"outcome": "patents"}, "EI-X04"),
        ({"scale": "level"}, "EI-X04"),
        ({"aggregation": "event_time", "overall": False}, "EI-X05"),
        ({"aggregation": "cell", "overall": False}, "EI-X05"),
        ({"aggregation": "event_time", "overall": False, "key": 40}, "EI-X05"),
        ({"cells": ()}, "EI-X05"),
        ({"cells": ((2015, 2016),)}, "EI-X06"),
        ({"cells": ((2014, 2050),)}, "EI-X06"),
        ({"cells": ((2014, 2050),), "population": "super"}, "EI-X06"),
        ({"segment": ("colour", "red")}, "EI-X06"),
        ({"segment": ("industry", "metal")}, "EI-X06"),
    ],
)
def test_what_the_scenario_cannot_answer_is_refused(changes, code):
    bench = scenario("random_rollout").draw(n_firms=200)
    with pytest.raises(InputError) as caught:
        bench.truth.value(replace(estimand(bench), **changes))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("changes", "code"), [({"population": "super"}, "EI-X07"), ({"weights": "observed"}, "EI-X08")]
)
def test_voucher_answers_for_these_firms_by_design(changes, code):
    bench = scenario("voucher").draw(n_firms=200)
    with pytest.raises(InputError) as caught:
        bench.truth.value(estimand(bench, **changes))
    assert caught.value.code == code
