"""What Imputation refuses, what it says it cannot impute, and what it shows beside its cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import exportimpact as ei
from exportimpact.did import Imputation
from exportimpact.evaluation.paths import event_study_table

YEARS = range(2010, 2016)


def frame(starts, *, missing=(), **columns):
    """Firms 0, 1, ... with their first year (None: never); `missing` are (firm, year)."""
    rng = np.random.default_rng(4)
    rows = [
        {"firm": i, "year": t, "first": first if first else pd.NA, "y": rng.normal() + i}
        | {name: values[i] for name, values in columns.items()}
        for i, first in enumerate(starts)
        for t in YEARS
        if (i, t) not in missing
    ]
    return pd.DataFrame(rows).astype({"first": "Int64"})


def design(data, *, outcome=None, **options):
    panel = ei.Panel.from_frame(
        data,
        unit="firm",
        period="year",
        outcomes=[outcome or ei.Outcome("y")],
        baseline=[c for c in ("kind", "x") if c in data],
    )
    support = ei.Assignment.from_first_period(data, unit="firm", first_period="first")
    return ei.Design(panel, support, outcome="y", **options)


def notes(result):
    return {note.id.removeprefix("note."): note.values for note in result.notes}


STARTS = [2013] * 4 + [2014] * 4 + [None] * 6


@pytest.mark.parametrize("leads", [-1, 1.5, True, "3"])
def test_leads_that_are_no_number(leads):
    with pytest.raises(ei.ExportImpactError) as caught:
        Imputation(leads=leads)
    assert caught.value.code == "EI-E30"


def test_categories_beyond_measure(monkeypatch):
    monkeypatch.setattr("exportimpact.estimators.did.untreated.MAX_COEFFICIENTS", 10)
    data = frame(STARTS, kind=["a", "b"] * 7)
    with pytest.raises(ei.ExportImpactError) as caught:
        Imputation(effects="kind").estimate(design(data))
    assert caught.value.code == "EI-E31"


def test_effects_that_are_no_column():
    with pytest.raises(ei.ExportImpactError) as caught:
        Imputation(effects="sector").estimate(design(frame(STARTS)))
    assert caught.value.code == "EI-P33"


def test_matched_designs_are_refused():
    data = frame(STARTS, x=np.sin(np.arange(14.0)))
    matched = design(data, covariates=["x"]).match(ei.matching.Nearest(distance="propensity"))
    with pytest.raises(ei.ExportImpactError) as caught:
        Imputation().estimate(matched)
    assert caught.value.code == "EI-E03"


def test_rejected_pools_are_refused():
    assert "rejected" not in Imputation.spec.accepts


@pytest.mark.parametrize(
    ("effects", "covariates", "assumed"),
    [
        (None, [], {"parallel_trends"}),
        ("kind", [], {"parallel_trends_given_x", "outcome_model"}),
        (None, ["x"], {"parallel_trends_given_x", "outcome_model"}),
    ],
)
def test_what_is_assumed(effects, covariates, assumed):
    data = frame(STARTS, kind=["a", "b"] * 7, x=np.sin(np.arange(14.0)))
    found = Imputation(effects=effects).requirement(design(data, covariates=covariates))
    assert found.names() == assumed | {"no_anticipation"}
    assert Imputation.spec.requires.holds(found.names())


def test_firms_without_an_untreated_year_are_counted():
    missing = [(0, t) for t in (2010, 2011, 2012)]
    result = Imputation().estimate(design(frame(STARTS, missing=missing)))
    assert notes(result)["no_untreated_period"]["firms"] == 1
    assert result.table().query("cohort == 2013 and event_time >= 0")["n_supported"].eq(3).all()


def test_periods_without_an_untreated_firm_are_listed():
    result = Imputation(leads=1).estimate(design(frame(STARTS[:8]), comparison="not_yet"))
    assert "all_untreated" not in notes(result)
    lost = {(g, t) for g, t, _ in result.not_identified}
    assert {(2013, 2014), (2013, 2015), (2014, 2014), (2014, 2015)} <= lost
    after = result.table().query("event_time >= 0")
    assert after[["cohort", "period"]].to_numpy().tolist() == [[2013, 2013]]


def test_a_base_period_without_others_is_listed():
    """In 2013 only the cohort of 2014 is untreated: its lead would be the year's own effect.

    In 2012 everybody is untreated, and everybody in a lead.
    """
    result = Imputation(leads=2).estimate(design(frame(STARTS[:8]), comparison="not_yet"))
    why = {(g, t): reason.id for g, t, reason in result.not_identified}
    assert why[2014, 2013] == "cell.no_pool"
    assert why[2013, 2012] == why[2014, 2012] == "cell.lead_collinear"
    assert result.table().query("event_time < 0")["period"].tolist() == [2011]


def test_parts_that_nothing_connects_are_not_imputed():
    """The cohort is untreated until 2012 only; of the others nobody is seen before and after."""
    early = [(i, t) for i in (8, 9, 10) for t in (2013, 2014, 2015)]
    late = [(i, t) for i in (11, 12, 13) for t in (2010, 2011, 2012)]
    starts = [2013] * 8 + [None] * 6
    whole = design(frame(starts, missing=early + late))
    with pytest.raises(ei.ExportImpactError, match="do not connect") as caught:
        Imputation(leads=0).estimate(whole)
    assert caught.value.code == "EI-E06"
    linked = Imputation().estimate(design(frame(starts, missing=early + late[3:])))
    assert len(linked.table().query("event_time >= 0")) == 3


def test_a_category_without_comparison_firms_leaves_its_cells():
    kind = ["a", "a", "a", "b"] + ["a"] * 10
    result = Imputation(effects="kind").estimate(design(frame(STARTS, kind=kind)))
    table = result.table().query("cohort == 2013 and event_time >= 0")
    assert table["n_supported"].eq(3).all()
    assert notes(result)["not_connected"]["firm_periods"] == 3


def test_firms_without_a_category_are_left_out():
    """A firm that is absent at the base period, where the column is read."""
    data = frame(STARTS, missing=[(0, 2012)], kind=["a", "b"] * 7)
    result = Imputation(effects="kind").estimate(design(data))
    assert notes(result)["effects_unknown"] == {"firms": 1, "column": "kind"}
    assert result.table().query("cohort == 2013 and event_time >= 0")["n_supported"].eq(3).all()


def test_leads_are_capped_by_the_untreated_periods():
    starts = [2011] * 3 + [2012] * 3 + [2015] * 3 + [None] * 6
    result = Imputation().estimate(design(frame(starts)))
    before = result.table().query("event_time < 0")
    found = {g: own.tolist() for g, own in before.groupby("cohort")["event_time"]}
    assert found == {2012: [-1], 2015: [-3, -2, -1]}
    assert notes(result)["leads_capped"]["cohorts"] == "2011, 2012"
    assert result.exhibits[0].table["event_time"].tolist() == [-3, -2, -1]
    without = Imputation(leads=0).estimate(design(frame(starts)))
    assert (without.table()["event_time"] >= 0).all()
    assert not without.exhibits
    assert not {"leads", "leads_capped"} & set(notes(without))


def test_anticipation_moves_the_leads_and_is_imputed():
    result = Imputation(leads=1).estimate(design(frame(STARTS), anticipation=1))
    assert sorted(result.table().query("cohort == 2013")["event_time"]) == [-2, -1, 0, 1, 2]
    assert result.exhibits[0].table["event_time"].tolist() == [-2]
    assert result.pretrend_test().df_numerator == 2


def test_the_base_period_is_an_estimate_and_drawn_as_one():
    result = Imputation().estimate(design(frame(STARTS)))
    table = event_study_table(result)
    assert table["reference"].isna().all()
    assert (table.loc[table["event_time"] == -1, "std_error"] > 0).all()
    held = event_study_table(ei.did.GroupTime().estimate(design(frame(STARTS))))
    assert (held["reference"] == -1).all()


def test_a_reaction_in_the_base_period_is_found_with_its_sign():
    starts = [2014] * 40 + [None] * 80
    data = frame(starts)
    early = (data["first"] == 2014) & (data["year"] == 2013)
    data["y"] += 5.0 * early.fillna(False)
    one = design(data).seal()
    found = [
        next(f for f in ei.diagnose(one, e.estimate(one)) if f.id == "anticipation")
        for e in (Imputation(), ei.did.GroupTime())
    ]
    assert [f.verdict for f in found] == ["CONCERN", "CONCERN"]
    assert found[0].statistic == pytest.approx(5.0, abs=1.0)
    assert found[0].statistic == pytest.approx(found[1].statistic, abs=0.5)


def test_exhibit_survives_json():
    result = Imputation().estimate(design(frame(STARTS)))
    again = ei.EstimationResult.from_json(result.to_json())
    one, other = result.exhibits[0], again.exhibits[0]
    pd.testing.assert_frame_equal(one.table, other.table, check_dtype=False)
    assert str(one.notes[0]) == str(other.notes[0])
    assert "Joint test that all 3 are zero" in str(one.notes[0])


@pytest.mark.parametrize("base", ["universal", "varying"])
def test_base_periods_play_no_part(base):
    one = Imputation().estimate(design(frame(STARTS), base=base)).table()
    pd.testing.assert_frame_equal(one, Imputation().estimate(design(frame(STARTS))).table())


def test_a_firm_alone_in_its_cell_keeps_the_plain_error():
    starts = [2013, *STARTS[4:]]
    tables = [
        Imputation(leave_out=leave).estimate(design(frame(starts))).table().query("cohort == 2013")
        for leave in (False, True)
    ]
    pd.testing.assert_frame_equal(*tables)
