"""Each scenario breaks what it says, strongly enough, and its truth is what many draws come to."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from exportimpact.core.estimand import Estimand
from exportimpact.data import NEVER
from exportimpact.errors import InputError
from exportimpact.synthetic import scenario, scenarios, violation_p_value
from exportimpact.synthetic.draw import DrawSettings
from exportimpact.synthetic.export_world import VOUCHER, ExportWorld
from exportimpact.synthetic.presets import PRESETS

BROKEN = [name for name in scenarios() if scenario(name).violation]
KNOWN = [name for name in scenarios() if scenario(name).draw(n_firms=50).truth.laws]
PRESET_NAMES = {
    "null",
    "meta_low",
    "meta_mid",
    "korea_kita",
    "famex_fade",
    "portugal",
    "crisis",
    "zombie",
    "sleeper",
    "late_harm",
}


@pytest.mark.parametrize("name", scenarios())
def test_typical_firms_are_promised_only_where_few_of_them_are_supported(name):
    """Of what others than a cohort do in its supported years, under a tenth may be support's."""
    world = scenario(name)
    bench = world.draw(n_firms=world.size, n_periods=8)
    first, years = bench.support.align(bench.panel).first, bench.truth.periods
    outcome = bench.truth.outcomes[world.design_options["outcome"]]
    moved = outcome.with_support != outcome.without_support
    moved &= years[None, :] >= first[:, None]
    cohorts = np.unique(first[first != NEVER])
    shares = [moved[first != g][:, years >= g].mean() for g in cohorts]
    if np.mean(shares) >= 0.10:
        assert "typical_firms_comparable" in world.fails


def estimand(bench, outcome=None, **changes):
    """The simple overall in the sample, changed as told."""
    truth = bench.truth
    outcome = outcome or bench.scenario.design_options["outcome"]
    cohorts = np.unique(truth.cohort[truth.cohort != NEVER])
    asked = Estimand(
        outcome=outcome,
        scale=truth.outcomes[outcome].scale,
        unit=None,
        cells=tuple((int(g), int(t)) for g in cohorts for t in truth.periods),
        aggregation="simple",
        overall=True,
        population="sample",
    )
    return replace(asked, **changes)


@pytest.mark.parametrize("name", BROKEN)
def test_an_oracle_finds_the_violation_in_95_of_100_draws(name):
    found = scenario(name)
    assert found.violation in found.fails
    p = [
        violation_p_value(found.draw(n_firms=found.size, n_periods=8, seed=s)) for s in range(1, 41)
    ]
    # 38 of 40 on average at 95 %; fewer than 36 would come up once in 20 at exactly 95 %.
    assert sum(value < 0.05 for value in p) >= 36


@pytest.mark.parametrize("name", KNOWN)
def test_law_is_what_many_samples_come_to(name):
    draws = [scenario(name).draw(n_firms=1000, seed=s) for s in range(30)]
    for outcome in draws[0].truth.laws:
        gaps = []
        for bench in draws:
            asked = estimand(bench, outcome)
            whole = bench.truth.value(asked.in_population("super"))
            gaps.append(bench.truth.value(asked) - whole)
        # Heavy tails have no useful standard error: for them only the logs are compared.
        if name == "heavy_tails" and outcome == "exports":
            continue
        error = np.std(gaps, ddof=1) / math.sqrt(len(gaps))
        assert np.mean(gaps) == pytest.approx(0, abs=4 * error + 1e-9), outcome


def test_law_of_a_class_of_size():
    small, medium = ("size_class", "small"), ("size_class", "medium")
    bench = scenario("effect_by_size").draw(n_firms=100_000)
    value = {}
    for segment in (small, medium):
        asked = estimand(bench, segment=segment)
        value[segment] = bench.truth.value(asked.in_population("super"))
        assert bench.truth.value(asked) == pytest.approx(value[segment], rel=0.01)
    assert value[small] > 1.3 * value[medium]
    trends = scenario("selection_on_trends").draw(n_firms=100_000)
    share = trends.truth.laws["ln_exports"].among(small).shares[2014]
    members = trends.truth.segments["size_class"] == "small"
    assert np.mean(trends.truth.cohort[members] == 2014) == pytest.approx(share, abs=0.012)
    industry = estimand(bench, segment=("industry", "metals"), population="super")
    assert bench.truth.value(industry) == bench.truth.value(replace(industry, segment=None))


def test_mean_exports_of_the_tails():
    for name, band in (("heavy_tails_sme", 0.02), ("heavy_tails", 0.9)):
        bench = scenario(name).draw(n_firms=200_000)
        law = bench.truth.laws["exports"]
        without = bench.truth.outcomes["exports"].without_support[:, 0].mean()
        assert without == pytest.approx(law.without[(2014, 2010)], rel=band)
    sme = scenario("heavy_tails_sme").draw(n_firms=500, preset="korea_kita")
    asked = estimand(sme, population="super")
    assert sme.truth.value(asked, percent=True) == pytest.approx(100 * math.expm1(0.106))


def test_effects_before_the_start():
    bench = scenario("anticipation").draw(n_firms=500, preset="null")
    before = estimand(bench, aggregation="event_time", overall=False, key=-1)
    for population in ("sample", "super"):
        assert bench.truth.value(before.in_population(population)) == pytest.approx(-0.25)
    assert bench.truth.value(estimand(bench)) == 0.0


def test_spillover_is_known():
    clean = scenario("random_rollout").draw(n_firms=400).truth
    assert clean.spillover("ln_exports", 2019) == 0.0
    rivals = scenario("displacement").draw(n_firms=3000).truth
    assert rivals.spillover("ln_exports", 2012) == 0.0
    assert rivals.spillover("ln_exports", 2019) == pytest.approx(-0.45, abs=0.03)
    substitute = scenario("overlapping_programmes").draw(n_firms=3000)
    assert substitute.truth.spillover("ln_exports", 2019) == pytest.approx(0.42, abs=0.03)
    assert substitute.support.others == "ignore"
    with pytest.raises(InputError) as caught:
        clean.spillover("ln_exports", 2050)
    assert caught.value.code == "EI-X06"


def test_effect_on_the_firms_that_remain():
    bench = scenario("staggered_dynamic").draw(n_firms=800)
    both = bench.truth.outcomes["ln_exports"]
    kept = np.arange(800) % 3 == 0
    rows = kept & (bench.truth.cohort == 2014)
    effect = (both.with_support - both.without_support)[rows, 5].mean()
    cell = estimand(bench, aggregation="cell", overall=False, key=(2014, 2015))
    assert bench.truth.value(cell, among=kept) == pytest.approx(effect, rel=1e-12)
    for wrong, asked in ((kept[:9], cell), (kept, cell.in_population("super"))):
        with pytest.raises(InputError) as caught:
            bench.truth.value(asked, among=wrong)
        assert caught.value.code == "EI-X09"


def test_two_layers_and_their_rejected():
    bench = scenario("two_layer_selection").draw(n_firms=20_000)
    spells = bench.spells
    assert spells.awarded.mean() == pytest.approx(0.4, abs=0.02)
    assert spells.score[spells.awarded].min() >= spells.score[~spells.awarded].max()
    growth = np.diff(bench.truth.outcomes["ln_exports"].without_support[:, [0, 9]])[:, 0]
    firm = pd.Series(growth, index=bench.panel.units)
    awarded, rejected = (firm[spells.firm_id[spells.awarded == a]].mean() for a in (True, False))
    others = firm.drop(spells.firm_id).mean()
    assert awarded == pytest.approx(rejected, abs=0.06)
    assert rejected - others > 1.0


def test_support_that_ends_and_repeats():
    spells = scenario("on_off_support").draw(n_firms=400).spells
    first = spells.groupby("firm_id").award_year.transform("min")
    assert set(spells.award_year - first) == {0, 1, 4, 5}


def test_what_firms_say_and_what_is_recorded():
    survey = scenario("glowing_survey").draw(n_firms=4000).survey
    assert survey.helped.mean() == pytest.approx(0.8, abs=0.05)
    assert survey.self_assessed_growth_percent.mean() == pytest.approx(41, abs=3)
    assert scenario("null_effect").draw(n_firms=100).survey is None

    links = scenario("linkage_failure").draw(n_firms=4000)
    assert links.support.align(links.panel).linkage["share"].item() == pytest.approx(0.5, abs=0.06)

    boasts = scenario("misreported_exports").draw(n_firms=2000)
    assert boasts.truth.value(estimand(boasts)) == pytest.approx(0.07)
    gap = boasts.frame.ln_exports_reported - boasts.frame.ln_exports
    assert gap.max() > 0.25

    relabelled = scenario("relabelled_exports").draw(n_firms=200)
    direct = estimand(relabelled, "ln_direct_exports", population="super")
    assert relabelled.truth.value(direct) == pytest.approx(0.4)
    assert (relabelled.frame.ln_direct_exports < relabelled.frame.ln_exports).all()


def test_firms_that_close_and_firms_that_leave():
    bench = scenario("selective_survival").draw(n_firms=4000)
    saved = bench.truth.value(estimand(bench, "operating"))
    assert 0.1 < saved < 0.5
    with pytest.raises(InputError) as caught:
        bench.truth.value(estimand(bench, "operating", population="super"))
    assert caught.value.code == "EI-X07"
    left = scenario("exit_with_effect").draw(n_firms=4000)
    last = left.frame[left.frame.year == 2019]
    stays = np.isin(left.panel.units, last.firm_id)
    supported = left.truth.cohort != NEVER
    assert stays[~supported].all()
    assert 0.4 < stays[supported].mean() < 0.7


def test_odd_sizes():
    assert (scenario("nineteen_supported").draw().truth.cohort != NEVER).sum() == 19
    assert scenario("persistence").draw(n_firms=50).truth.periods.size == 6
    regions = scenario("regions_17").draw(n_firms=2000)
    assert regions.panel.cluster == "region"
    codes = pd.Series(regions.truth.segments["region"])
    assert (pd.Series(regions.truth.cohort).groupby(codes).nunique() == 1).all()
    cut = scenario("eligibility_cutoff").draw(n_firms=500)
    supported = cut.truth.cohort != NEVER
    assert np.array_equal(supported, cut.panel.baseline("employees").values[:, 0] <= 80)


def test_nothing_to_find_where_nothing_is_broken():
    with pytest.raises(InputError) as caught:
        violation_p_value(scenario("random_rollout").draw(n_firms=100))
    assert caught.value.code == "EI-X10"


def test_presets_are_the_published_effects():
    assert PRESETS.keys() >= PRESET_NAMES
    assert PRESETS["famex_fade"].share(np.array([-1, 1, 3, 9])).tolist() == [0, 1, 0, 0]
    assert PRESETS["sleeper"].share(np.array([1, 4])).tolist() == [0, 1]
    assert PRESETS["late_harm"].closing_share(np.array([5, 6])).tolist() == [0, 1]


EVERY_SIZE = (
    "exports",
    "exporting",
    "ln_exports",
    "destinations",
    "products",
    "employees",
    "operating",
)


@pytest.fixture(scope="module")
def worlds():
    """The export world under each preset, drawn once."""
    found = scenario("export_world")
    names = ("null", "meta_mid", "korea_kita", "famex_fade", "crisis", "zombie", "late_harm")
    return {name: found.draw(n_firms=10_000, seed=3, preset=name) for name in names}


def later(bench, outcome, event_time):
    """The true effect `event_time` years after the first voucher."""
    asked = estimand(bench, outcome, aggregation="event_time", overall=False, key=event_time)
    return bench.truth.value(asked)


def test_null_programmes_do_nothing(worlds):
    bench = worlds["null"]
    for outcome in EVERY_SIZE:
        assert bench.truth.value(estimand(bench, outcome)) == 0.0
        assert bench.truth.spillover(outcome, 2020) == 0.0


def test_effects_of_the_export_world_are_those_of_its_presets(worlds):
    effect = {
        (name, outcome, e): later(worlds[name], outcome, e)
        for name in worlds
        for outcome in EVERY_SIZE
        for e in (1, 3, 5)
    }
    # Among firms that export both ways; more destinations make spells longer, and exports larger.
    assert effect["meta_mid", "ln_exports", 1] == pytest.approx(0.07, abs=0.03)
    assert effect["meta_mid", "exporting", 1] == pytest.approx(0.01, abs=0.012)
    assert effect["korea_kita", "ln_exports", 3] == pytest.approx(0.106, abs=0.04)
    # Firms that do not export have no destinations to add to.
    assert 0.2 < effect["korea_kita", "destinations", 3] < 0.45
    assert effect["famex_fade", "ln_exports", 1] > 0.1 > abs(effect["famex_fade", "ln_exports", 3])
    assert effect["famex_fade", "destinations", 5] > 0.1
    assert effect["zombie", "operating", 5] > 0.02
    assert effect["zombie", "exports", 1] >= 0
    # Log exports are not moved: who lives longer is not an always-exporter that changed.
    assert effect["zombie", "ln_exports", 1] == pytest.approx(0, abs=1e-12)
    assert effect["late_harm", "operating", 5] >= 0
    crisis = worlds["crisis"]
    quiet, loud = (
        crisis.truth.value(
            estimand(crisis, "ln_exports", aggregation="calendar", overall=False, key=year)
        )
        for year in (2018, 2019)
    )
    assert quiet == pytest.approx(0, abs=1e-12)
    assert loud == pytest.approx(0.14, abs=0.01)


def test_awards_follow_the_rules(worlds):
    spells = worlds["null"].spells
    voucher = spells[spells.programme == "voucher"]
    assert voucher.groupby("award_year").awarded.mean().round(2).tolist() == [
        0.38,
        0.38,
        0.40,
        0.40,
    ]
    awarded = voucher[voucher.awarded]
    assert awarded.groupby("firm_id").size().max() == 2
    assert (voucher.amount[~voucher.awarded] == 0).all()
    both = set(awarded.firm_id) & set(spells.firm_id[spells.programme == "trade_fair"])
    assert both, "nobody has overlapping support"


@pytest.mark.parametrize(
    "rule", ["score", "need", "threshold", "rating", "sector", "region", "chance"]
)
def test_each_rule_selects_on_its_own_ground(rule):
    world = ExportWorld(evaluated=replace(VOUCHER, rule=rule), others=())
    settings = DrawSettings(
        scenario="rules", n_firms=20_000, n_periods=8, seed=5, preset=PRESETS["null"]
    )
    drawn = world.generate(settings)
    first = drawn.spells[drawn.spells.award_year == 2017].set_index("firm_id")
    rows = drawn.frame[drawn.frame.year == 2016].set_index("firm_id").loc[first.index]
    won = first.awarded.to_numpy()
    ground = {
        "score": np.log(rows.first_employees),
        "need": -rows.exports,
        "threshold": -rows.exports,
        "rating": rows.exports.fillna(0).rank(),
        "sector": rows.sector.isin(["machinery", "chemicals"]).astype(float),
        "region": rows.region.isin(["Gwangju", "Jeonnam"]).astype(float),
        "chance": np.log(rows.first_employees),
    }[rule]
    gap = (ground[won].mean() - ground[~won].mean()) / ground.std()
    if rule in {"chance", "threshold"}:
        assert abs(gap) < 0.15
    elif rule != "need":
        assert gap > 0.15
    if rule == "threshold":
        assert (rows.exports.fillna(0) < 113).all()
