"""Receipts add up, replications are kept, estimators are found by name, bands are as written."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

import exportimpact as ei
from exportimpact.conformance import Receipt, bands, declared
from exportimpact.conformance.check import Check, Ruling, failed, passed
from exportimpact.conformance.digests import bare, estimator_digest
from exportimpact.conformance.lookup import builtin, find
from exportimpact.conformance.receipt import Entry
from exportimpact.conformance.replications import Bank, Cell, Order, replicate
from exportimpact.conformance.scoreboard import Board, Score, score, write_scoreboard
from exportimpact.conformance.standing import standing
from exportimpact.conformance.subject import Subject
from exportimpact.conformance.tier import tier_of
from exportimpact.conformance.world import Twins, World
from exportimpact.did import GroupTime, TwoPeriod
from exportimpact.matched import Benchmark

CELL = Cell("random_rollout", None, 200)


def receipt(*statuses: str) -> Receipt:
    entries = tuple(
        Entry(f"api.c{i}", "api", "something", Ruling(s, "why", {"x": i / 3}), 0.1)
        for i, s in enumerate(statuses)
    )
    return Receipt(
        estimator="e",
        title="E",
        parameters={"adjust": "none"},
        tier="quick",
        declared=len(entries),
        entries=entries,
        seeds="seeds 1-2",
        versions={"python": "3"},
        source="s",
        date="2026-01-01",
        seconds=1.0,
    )


def test_receipt_adds_up_and_survives_json():
    made = receipt("passed", "failed", "skipped", "expected_fail", "passed")
    assert sum(made.counts.values()) == made.declared == 5
    assert not made.ok
    assert [e.id for e in made.failures] == ["api.c1"]
    again = Receipt.from_json(made.to_json())
    assert again.digest == made.digest
    assert str(again) == str(made)
    assert "FAILED api.c1: why" in str(made)


def test_receipt_refuses_a_missing_or_changed_entry():
    made = receipt("passed", "failed")
    with pytest.raises(ei.ExportImpactError, match="EI-C05"):
        replace(made, entries=made.entries[:1])
    stored = json.loads(made.to_json())
    stored["entries"][1]["ruling"]["status"] = "passed"
    with pytest.raises(ei.ExportImpactError, match="EI-C05"):
        Receipt.from_json(json.dumps(stored))


def test_digest_of_a_receipt_leaves_out_when_and_how_long():
    made = receipt("passed")
    assert replace(made, date="2027-01-01", seconds=9.0).digest == made.digest
    assert replace(made, tier="full").digest != made.digest


def test_every_check_has_an_id_a_demand_and_a_group():
    checks = declared()
    assert len({c.id for c in checks}) == len(checks)
    assert all(c.demands and c.id.startswith(f"{c.group}.") for c in checks)
    assert len([c for c in checks if c.group == "statistics"]) == 5 * len(ei.synthetic.scenarios())


@pytest.mark.parametrize(
    ("ruling", "outcome"),
    [
        (passed(), None),
        (failed("off by 3"), AssertionError),
        (Ruling("skipped", "not here"), pytest.skip.Exception),
        (Ruling("expected_fail", "no diagnostic"), pytest.xfail.Exception),
    ],
)
def test_a_check_speaks_pytest(ruling, outcome):
    check = Check("api.x", "api", "all is well", lambda subject: ruling)
    if outcome is None:
        check(TwoPeriod())
        return
    with pytest.raises(outcome, match=ruling.reason):
        check(TwoPeriod())


def test_an_unexpected_exception_is_a_failure():
    def explode(subject):
        raise ZeroDivisionError("by nothing")

    ruling = Check("api.x", "api", "all is well", explode).rule(Subject(TwoPeriod(), None))
    assert ruling.status == "failed"
    assert "ZeroDivisionError: by nothing" in ruling.reason


@pytest.mark.parametrize("share", [0.05, 0.8, 0.95])
@pytest.mark.parametrize("draws", [250, 300, 2000])
def test_binomial_bands_are_exact(share, draws):
    from scipy.stats import binom

    low, high = bands.binomial(share, draws)
    outside = binom.cdf(round(low * draws) - 1, draws, share) + binom.sf(
        round(high * draws), draws, share
    )
    assert 0 <= outside <= 0.001
    assert bands.least(share, draws) <= share <= bands.most(share, draws)


def test_bands_of_the_design():
    assert bands.binomial(0.95, 2000) == pytest.approx((0.9335, 0.9655))
    assert bands.binomial(0.95, 300) == pytest.approx((0.903, 0.987), abs=5e-4)
    assert bands.ratio(2000) == pytest.approx(0.052, abs=1e-3)
    assert bands.power(0.0, 1.0) == pytest.approx(0.05)


def test_quick_draws_tell_errors_20_percent_too_small():
    draws = tier_of("quick").draws
    spread = 0.8 / np.sqrt(2 * draws)
    assert (1 - bands.ratio(draws) - 0.8) / spread > 1.4  # 92 % in one scenario, two are drawn


def test_full_draws_tell_errors_10_percent_too_small():
    draws = tier_of("full").draws
    assert draws >= 1000
    assert (1 - bands.ratio(draws) - 0.9) / (0.9 / np.sqrt(2 * draws)) > 2.0


def test_replications_are_kept_and_shared(tmp_path):
    order = Order(CELL, 12, 4)
    bank = Bank(folder=tmp_path)
    rows = bank.rows(TwoPeriod(), order)
    assert list(rows.index) == list(range(1, 13))
    assert rows["flags"].notna().sum() == 4
    assert (rows["code"] == "").all()
    again = Bank(folder=tmp_path, say=lambda *_: pytest.fail("drawn again")).rows(
        TwoPeriod(), order
    )
    np.testing.assert_array_equal(again["estimate"], rows["estimate"].astype(float))
    np.testing.assert_array_equal(again["flags"].isna(), rows["flags"].isna())
    more = Bank(folder=tmp_path).rows(TwoPeriod(), Order(CELL, 15))
    np.testing.assert_array_equal(more["estimate"][:12], again["estimate"])
    assert len(more) == 15


def test_replications_are_the_same_with_workers_and_in_company(tmp_path):
    order = Order(CELL, 22)
    alone = Bank().rows(TwoPeriod(), order)
    bank = Bank(jobs=2)
    bank.fill([(TwoPeriod(), order), (GroupTime(), order)])
    together = bank.rows(TwoPeriod(), order)
    np.testing.assert_array_equal(
        alone["estimate"].astype(float), together["estimate"].astype(float)
    )


def test_a_row_is_what_the_estimator_says():
    rows = Bank().rows(GroupTime(), Order(CELL, 3))
    bench = ei.synthetic.scenario("random_rollout").draw(n_firms=200, n_periods=8, seed=3)
    design = ei.Design(bench.panel, bench.support, outcome="ln_exports").seal()
    overall = GroupTime().estimate(design).overall("simple")
    assert rows.loc[3, "estimate"] == overall.estimate
    assert rows.loc[3, "std_error"] == overall.std_error
    assert rows.loc[3, "truth"] == bench.truth.value(overall.estimand)


def test_time_budget_stops_a_cell():
    bank = Bank()
    drawn = bank.fill([(TwoPeriod(), Order(CELL, 2000))], seconds=0.0)
    assert 0 < drawn[CELL] < 2000


def test_refusals_are_rows_too():
    rows = Bank().rows(GroupTime(), Order(Cell("eligibility_cutoff", None, 300), 2, 2))
    assert (rows["code"] == "EI-E06").all()
    assert rows["estimate"].isna().all()
    assert rows["truth"].dtype == float


@pytest.mark.parametrize(
    ("scenario", "same"), [("random_rollout", True), ("selection_on_trends", False)]
)
def test_configurations_that_are_the_same_on_a_design_are_estimated_once(scenario, same):
    variants = [GroupTime(adjust=a) for a in ("none", "regression", "weighting")]
    cell = Cell(scenario, None, 300)
    together, _ = replicate(cell, [(1, [(e, True) for e in variants])])
    alone = [replicate(cell, [(1, [(e, True)])])[0] for e in variants]
    for estimator, made in zip(variants, alone, strict=True):
        assert together[estimator_digest(estimator)] == made[estimator_digest(estimator)]
    assert len({made[0]["estimate"] for made in together.values()}) == (1 if same else 3)


@pytest.mark.parametrize(
    ("estimator", "scenario", "kind", "broken"),
    [
        (GroupTime(), "random_rollout", "right", ()),
        (GroupTime(), "selection_on_trends", "right", ()),
        (GroupTime(adjust="none"), "selection_on_trends", "broken", ("parallel_trends",)),
        (Benchmark(), "selection_on_trends", "broken", ("typical_firms_comparable",)),
        (Benchmark(), "random_rollout", "broken", ("typical_firms_comparable",)),
        (Benchmark(), "nineteen_supported", "right", ()),
        (GroupTime(), "misreported_exports", "broken", ("same_measurement",)),
        (GroupTime(adjust="none"), "voucher", "unclear", ("parallel_trends",)),
        (GroupTime(), "staggered_dynamic", "right", ()),
        (GroupTime(), "anticipation", "broken", ("no_anticipation",)),
        (GroupTime(), "displacement", "broken", ("no_interference",)),
        (GroupTime(), "heavy_tails", "broken", ("no_dominant_firm",)),
    ],
)
def test_standing(estimator, scenario, kind, broken):
    found = standing(estimator, scenario)
    assert (found.kind, found.broken) == (kind, broken)


def test_digest_of_an_estimator_knows_its_parameters():
    assert estimator_digest(GroupTime()) == estimator_digest(GroupTime(adjust="doubly_robust"))
    assert estimator_digest(GroupTime()) != estimator_digest(GroupTime(adjust="none"))
    assert estimator_digest(TwoPeriod()) != estimator_digest(TwoPeriod(event_time=1))


def test_words_do_not_change_a_source():
    first = 'def f(x):\n    """Words."""\n    return x  # why\n'
    assert bare(first) == bare("def f( x ):\n    'Other words.'\n\n    return x\n")
    assert bare(first) != bare("def f(x):\n    return -x\n")


def test_estimators_are_found_by_name():
    assert find("exportimpact.did:TwoPeriod") == TwoPeriod()
    adjusted = {e.adjust for e in builtin() if isinstance(e, GroupTime)}
    assert adjusted == {"none", "regression", "weighting", "doubly_robust"}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("exportimpact.did", "EI-C01"),
        ("no_such_module:X", "EI-C01"),
        ("unfinished:X", "EI-C01"),
        ("exportimpact.did:GroupTimes", "EI-C01"),
        ("exportimpact.did:__all__", "EI-C02"),
    ],
)
def test_bad_names_are_coded(name, code, tmp_path, monkeypatch):
    (tmp_path / "unfinished.py").write_text("@ei.estimator\nclass X: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ei.ExportImpactError, match=code):
        find(name)


def test_a_class_is_not_an_estimator_and_tiers_are_three():
    from exportimpact.conformance import certify

    with pytest.raises(ei.ExportImpactError, match="EI-C02"):
        certify(TwoPeriod)
    with pytest.raises(ei.ExportImpactError, match="EI-C03"):
        certify(TwoPeriod(), tier="quik")


@pytest.mark.parametrize("idle", [None, "zero", "exit"])
def test_twins_give_the_exact_effect(idle):
    twins = Twins(idle=idle)
    result = GroupTime().estimate(twins.world().sealed())
    truths = [twins.truth(g, t) for g, t in result.estimand.cells]
    np.testing.assert_allclose(result.table()["estimate"], truths, atol=1e-9)


@ei.estimator(
    id="never",
    title="Never",
    reference="doi:10.1000/x",
    step="V-b",
    requires={"parallel_trends"},
)
@dataclass(frozen=True, kw_only=True)
class Never:
    """Refuses everything."""

    spec: ClassVar[ei.EstimatorSpec]

    def estimate(self, design):
        raise ei.ExportImpactError("EI-E06", "no")


def test_an_estimator_without_a_home_is_coded():
    with pytest.raises(ei.ExportImpactError, match="EI-C04"):
        World.estimate(Subject(Never(), tier_of("quick")).home, Never())


def test_scoreboard_is_written_with_wrong_cells_first(tmp_path):
    good = Score(estimator="a", scenario="s", outcome="right", draws=2000, coverage=0.95)
    bad = Score(estimator="b", scenario="s", outcome="WRONG", reason="bias +3.00 SD", draws=2000)
    board = Board(scores=(good, bad), date="2026-01-01", versions={"python": "3"}, digest="d")
    write_scoreboard(board, tmp_path)
    page = (tmp_path / "scoreboard.md").read_text()
    assert page.index("bias +3.00 SD") < page.index("## Cells")
    assert "2 cells: 1 WRONG, 1 right" in page
    assert json.loads((tmp_path / "scoreboard.json").read_text())["scores"][0]["size"] is None
    assert (tmp_path / "scoreboard.svg").read_text().count("<rect") == 1 + 2 + 7


def test_score_of_a_small_grid(monkeypatch):
    small = replace(tier_of("calibration"), draws=30, honest_draws=10)
    monkeypatch.setattr("exportimpact.conformance.scoreboard.tier_of", lambda name: small)
    board = score([TwoPeriod()], names=["random_rollout", "picking_winners"], seconds=0.1)
    outcomes = {s.scenario: s.outcome for s in board.scores}
    assert outcomes["random_rollout"] in {"right so far", "WRONG"}
    assert outcomes["picking_winners"] == "declared blind"
    assert board.scores[0].null_draws == 30


def test_what_would_be_wrong_is_drawn_to_the_end_first(monkeypatch):
    """A variant outside its bands after its seconds gets all draws; one inside them does not."""
    small = replace(tier_of("calibration"), draws=60, honest_draws=0)
    monkeypatch.setattr("exportimpact.conformance.scoreboard.tier_of", lambda name: small)
    biased = replace(GroupTime(adjust="none"))
    variants = [biased, GroupTime(adjust="regression")]
    monkeypatch.setattr(
        "exportimpact.conformance.scoreboard._outside",
        lambda subject, known, facts: ["bias"] if subject.estimator == biased else [],
    )
    board = score(variants, names=["random_rollout"], seconds=0.01)
    drawn = {s.estimator: (s.outcome, s.draws) for s in board.scores}
    assert drawn["group_time (none)"] == ("WRONG", 60)
    assert drawn["group_time (regression)"][0] == "right so far"
    assert drawn["group_time (regression)"][1] < 60
