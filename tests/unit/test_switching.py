"""Doses of support, and what Intertemporal says about them."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from exportimpact import Assignment, Design, ExportImpactError, Outcome, Panel, synthetic
from exportimpact.data import NEVER
from exportimpact.did import GroupTime, Intertemporal

NAN = np.nan
YEARS = range(2014, 2020)
# Comparison firms; on and off; a gap that is closed; a gap before the change; support from the
# start; nothing known after 2016; no row at all.
PATHS = {
    1: [0, 0, 0, 0, 0, 0],
    2: [0, 0, 0, 0, 0, 0],
    3: [0, 0, 2, 0, 1, NAN],
    4: [0, NAN, 0, 3, 3, 0],
    5: [0, 0, NAN, 1, 0, 0],
    6: [1, 1, 0, 0, 1, 1],
    7: [0, 0, 0, NAN, NAN, NAN],
    8: [NAN] * 6,
    9: [0, 0, 1, 1, 1, 1],
}


def table(paths=PATHS):
    rows = [(i, t, d) for i, path in paths.items() for t, d in zip(YEARS, path, strict=True)]
    return pd.DataFrame(rows, columns=["firm", "year", "dose"])


def panel(paths=PATHS, scale="level"):
    frame = table(paths)
    y = np.random.default_rng(3).normal(100, 1, len(frame))
    return Panel.from_frame(
        frame.assign(y=y), unit="firm", period="year", outcomes=[Outcome("y", scale=scale)]
    )


def support(frame=None, **options):
    frame = table() if frame is None else frame
    return Assignment.from_doses(frame, unit="firm", period="year", dose="dose", **options)


def design(**options):
    return Design(panel(), support(), outcome="y", **({"comparison": "not_yet"} | options))


def spells(amount=None):
    awards = pd.DataFrame({"firm": [3, 3, 4], "year": [2016, 2018, 2017], "paid": [2.0, 1.0, 4.0]})
    return Assignment.from_spells(awards, unit="firm", start="year", amount=amount)


def test_first_changes_and_paths():
    aligned = support().align(panel())
    assert aligned.first.tolist() == [NEVER, NEVER, 2016, 2017, 2017, 2014, NEVER, NEVER, 2016]
    assert aligned.before_panel.tolist() == [False] * 5 + [True] + [False] * 3
    assert_array_equal(aligned.supported[2], [False, False, True, False, True, False])
    assert aligned.spells.tolist()[2:5] == [2, 1, 1]
    assert_array_equal(aligned.dose[3], [0, 0, 0, 3, 3, 0])  # a gap between two noughts is nought
    assert_array_equal(aligned.dose[4], [0, 0, NAN, 1, 0, 0])
    assert any("stops and comes again" in str(note) for note in aligned.notes)


def test_unclear_periods_leave_the_sample_and_are_counted():
    one = design()
    assert_array_equal(np.isfinite(one.wide().outcome).sum(axis=1), [6, 6, 6, 6, 5, 0, 3, 0, 6])
    found = {e.reason.id: (e.firms, e.firm_periods) for e in one.account.entries}
    assert found["account.dose_unknown"] == (1, 1 + 3 + 6)
    assert found["account.always_supported"] == (1, 6)
    # Its base period is not clear, so that firm 5 is in no cell of its cohort.
    cells = Intertemporal().estimate(one).table()
    assert set(cells.loc[cells["cohort"] == 2017, "n_supported"]) == {1}


def test_treatment_of_a_design():
    dose = design().treatment()
    assert_array_equal(dose[2], [0, 0, 2, 0, 1, NAN])
    assert_array_equal(dose[4], [0, 0, 0, 1, 0, 0])
    assert_array_equal(design().treatment("on")[3], [0, 0, 0, 1, 1, 0])
    by_spells = Design(panel(), spells("paid"), outcome="y")
    assert_array_equal(by_spells.treatment()[2], [0, 0, 1, 0, 1, 0])
    assert_array_equal(by_spells.treatment("amount")[2], [0, 0, 2, 0, 1, 0])
    assert np.isnan(Design(panel(), spells(), outcome="y").treatment("amount")[0]).all()


@pytest.mark.parametrize("read", [pl.from_pandas, lambda f: f.sample(frac=1, random_state=1)])
def test_any_frame_in_any_order(read):
    one, other = (support(f).align(panel()) for f in (table(), read(table())))
    assert_array_equal(one.first, other.first)
    assert_array_equal(one.dose, other.dose)


def test_dates_and_rows_outside_the_panel():
    frame = table({1: PATHS[1], 2: PATHS[2], 3: [0, 0, 2, 0, 1, 0]})
    days = pd.to_datetime(frame["year"].astype(str) + "-03-01")
    early = pd.DataFrame({"firm": [1, 99], "year": [1999, 2016], "dose": [0.0, 0.0]})
    for changed in (frame.assign(year=days), pd.concat([frame, early])):
        aligned = support(changed).align(panel())
        assert aligned.first.tolist()[:3] == [NEVER, NEVER, 2016]
        assert_array_equal(aligned.dose[2], [0, 0, 2, 0, 1, 0])


def test_name_of_the_programme():
    named = Design(panel(), support(programme="voucher"), outcome="y", comparison="not_yet")
    assert set(Intertemporal().estimate(named).table()["programme"]) == {"voucher"}


def bad(**columns):
    return table().assign(**columns)


WRONG = [
    (bad(dose="much"), "EI-A19"),
    (bad(dose=-1.0), "EI-A19"),
    (bad(dose=np.inf), "EI-A19"),
    (pd.concat([table(), table().head(1)]), "EI-A20"),
    (bad(dose=0.0), "EI-A21"),
    (bad(dose=1.0), "EI-A21"),
    (bad(dose=NAN), "EI-A21"),
    (table({1: [3, 0, 0, 0, 0, 0]}), "EI-A21"),
    (bad(year="soon"), "EI-A22"),
    (bad(year=table()["year"].where(table()["firm"] > 1)), "EI-A22"),
    (table().drop(columns="dose"), "EI-A03"),
    (bad(firm=None), "EI-A04"),
]


@pytest.mark.parametrize(("frame", "code"), WRONG)
def test_codes_of_doses(frame, code):
    with pytest.raises(ExportImpactError) as caught:
        support(frame)
    assert caught.value.code == code


def test_two_doses_in_one_period_of_the_panel():
    months = pd.to_datetime(["2014-01-01", "2014-02-01", "2015-01-01"])
    frame = pd.DataFrame({"firm": 1, "year": months, "dose": [0.0, 0.0, 1.0]})
    with pytest.raises(ExportImpactError, match="EI-A20"):
        support(frame).align(panel())


OPTIONS = [
    {"dose": "periods"},
    {"placebos": "none"},
    {"errors": "robust"},
    {"horizon": -1},
    {"horizon": 1.0},
    {"horizon": True},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_codes_of_options(options):
    with pytest.raises(ExportImpactError, match="EI-E45"):
        Intertemporal(**options)


@pytest.mark.parametrize("assignment", [spells(), support()])
def test_amounts_that_nobody_knows(assignment):
    one = Design(panel(), assignment, outcome="y", comparison="not_yet")
    with pytest.raises(ExportImpactError, match="EI-E46"):
        Intertemporal(dose="amount").estimate(one)


def test_what_a_result_says():
    result = Intertemporal(normalized=True).estimate(design())
    said = [str(note) for note in result.notes]
    assert any("not of one unit more" in note for note in said)
    assert any("1 firms had support in the first period" in note for note in said)
    assert any("not known for 1 supported firms" in note for note in said)
    assert "divided by the support received" in str(result.estimand)
    assert "divided" not in str(Intertemporal().estimate(design()).estimand)
    assert [e.id for e in result.exhibits] == ["total_effect", "joint_tests"]


def test_no_total_effect_where_nobody_knows_the_dose():
    paths = {**PATHS, 9: [0, 0, 1, 1, 1, NAN]}
    one = Design(panel(paths), support(table(paths)), outcome="y", comparison="not_yet")
    result = Intertemporal().estimate(one)
    assert [e.id for e in result.exhibits] == ["joint_tests"]
    assert any("no total effect per unit" in str(note) for note in result.notes)
    lost = [why.id for *_, why in Intertemporal(normalized=True).estimate(one).not_identified]
    assert lost == ["cell.no_dose"]


KEPT = {
    1: [1, 1, 1, 1, 1, 1],
    2: [2, 2, 2, 2, 2, 2],
    3: [1, 1, 0, 0, 0, 0],
    4: [1, 1, 3, 0, 1, 1],
    5: [5, 5, 2, 2, 2, 2],
    6: [2, 2, 1, 1, 1, 1],
}


def test_firms_that_start_with_support_are_compared_with_their_like():
    """Firm 5 has nobody of its kind; 3 and 6 end or reduce, so that their effects are turned."""
    kept = support(table(KEPT), already="keep")
    one = Design(panel(KEPT), kept, outcome="y", comparison="not_yet")
    result = Intertemporal().estimate(one)
    y = one.wide().outcome
    change = y[:, 2:] - y[:, [1]]
    gain = [change[0] - change[2], change[3] - change[0], change[1] - change[5]]
    after = result.table().query("event_time >= 0")
    np.testing.assert_allclose(after["estimate"], np.mean(gain, axis=0))
    assert set(after["n_supported"]) == {3}
    assert set(after["n_comparison"]) == {2}
    said = " ".join(str(note) for note in result.notes)
    assert "sign of the effect is turned" in said
    assert "1 supported firms are left out of some period" in said
    assert "1 firms had both more and less" in said
    assert "had support in the first period." not in said
    assert result.overall().percent()["percent"].isna().all()
    total = result.exhibits[0].table.iloc[0]
    assert total["estimate"] == pytest.approx(np.sum(gain) / (4 + (2 - 1 + 0 + 0) + 4))
    with pytest.raises(ExportImpactError, match="EI-E03"):
        GroupTime().estimate(one)
    with pytest.raises(ExportImpactError, match="EI-A13"):
        support(already="use")


def test_nobody_of_the_same_baseline():
    paths = {1: [0] * 6, 2: [0, 0, 0, 1, 1, 1], 3: [1, 1, 0, 0, 0, 0]}
    kept = support(table(paths), already="keep")
    result = Intertemporal().estimate(Design(panel(paths), kept, outcome="y"))
    lost = {(g, t): why.id for g, t, why in result.not_identified}
    alone = {k for k, why in lost.items() if why == "cell.no_same_baseline"}
    assert alone == {(2016, t) for t in (2014, 2016, 2017, 2018, 2019)}


def test_an_effect_per_unit_has_no_counterfactual():
    for options, defined in (({}, True), ({"normalized": True}, False)):
        shown = Intertemporal(**options).estimate(design()).overall().percent()
        assert shown["counterfactual"].notna().all() == defined
        assert defined or shown["percent"].isna().all()


def test_truth_knows_no_effect_per_unit():
    bench = synthetic.scenario("on_off_support").draw(n_firms=200, n_periods=8, seed=2)
    one = Design(bench.panel, bench.support, outcome=bench.panel.outcomes[0].name)
    bench.truth.value(Intertemporal().estimate(one).overall().estimand)
    with pytest.raises(ExportImpactError, match="EI-X04"):
        bench.truth.value(Intertemporal(normalized=True).estimate(one).overall().estimand)


def test_amounts_awarded():
    """Firm 3 has 2 in 2016 and 1 in 2018; the effect is divided by 2, 2, 3, 3."""
    one = Design(panel(), spells("paid"), outcome="y", comparison="never")
    whole, each = (
        Intertemporal(**o).estimate(one).table().query("cohort == 2016 and event_time >= 0")
        for o in ({}, {"normalized": True, "dose": "amount"})
    )
    np.testing.assert_allclose(whole["estimate"] / each["estimate"], [2, 2, 3, 3])


def test_placebos_longer_than_any_effect_are_named():
    late = Assignment.from_doses(
        table({1: PATHS[1], 2: PATHS[2], 3: [0, 0, 0, 0, 0, 2]}),
        unit="firm",
        period="year",
        dose="dose",
    )
    result = Intertemporal().estimate(Design(panel(), late, outcome="y"))
    lost = {t: why.id for _, t, why in result.not_identified}
    assert lost == dict.fromkeys((2014, 2015, 2016), "cell.no_effect_so_long")
    every = Intertemporal(placebos="all").estimate(Design(panel(), late, outcome="y"))
    assert not every.not_identified


def test_horizon_leaves_out_later_effects_and_their_placebos():
    whole, short = (Intertemporal(horizon=h).estimate(design()).table() for h in (None, 0))
    kept = whole[whole["event_time"].isin([-2, 0])].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept[list(short)], short)


def test_base_varying_takes_the_cells_of_the_design():
    one = design(base="varying")
    ours, theirs = (e.estimate(one).table() for e in (Intertemporal(), GroupTime(adjust="none")))
    pd.testing.assert_frame_equal(ours, theirs)


def test_round_trips():
    result = Intertemporal(normalized=True).estimate(design())
    back = type(result).from_json(result.to_json())
    for one, other in zip(result.exhibits, back.exhibits, strict=True):
        pd.testing.assert_frame_equal(one.table, other.table, check_dtype=False)
    assert back.estimand == result.estimand
    kept = pickle.loads(pickle.dumps(support()))
    assert_array_equal(kept.align(panel()).dose, support().align(panel()).dose)
