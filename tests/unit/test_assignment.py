"""Support: who was supported when, and the rules that change numbers."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

from exportimpact.data import NEVER, Assignment, Panel
from exportimpact.errors import ColumnError, ExportImpactError, InputError

NA, NAN, INF = pd.NA, np.nan, np.inf
YEARS = (2014, 2015, 2016, 2017)


def panel(ids=(10, 20, 30, 40), years=YEARS, frequency=None, size=None, **options):
    frame = pd.DataFrame({"firm": np.repeat(np.array(ids, dtype=object), len(years))})
    frame["firm"] = frame["firm"].infer_objects()
    frame["t"] = [*years] * len(ids)
    frame["y"] = np.arange(len(frame), dtype=float)
    if size is not None:
        frame["size"] = np.repeat(size, len(years))
    return Panel.from_frame(
        frame, unit="firm", period="t", outcomes=["y"], frequency=frequency, **options
    )


def spells(**columns):
    """Firm 10 has a voucher in 2015 and 2016, firm 20 a fair in 2015; 30 applied in vain."""
    frame = pd.DataFrame(
        {
            "firm": [10, 10, 20, 30],
            "start": [2015, 2016, 2015, 2015],
            "programme": ["voucher", "voucher", "fair", "voucher"],
            "amount": [5.0, 7.0, 3.0, 0.0],
            "awarded": [True, True, True, False],
        }
    )
    return frame.assign(**columns)


ALL = {"programme": "programme", "amount": "amount", "awarded": "awarded"}


def assign(frame, **options):
    return Assignment.from_spells(frame, **({"unit": "firm", "start": "start"} | options))


def notes(aligned):
    return {note.id: note.values.get("n") for note in aligned.notes if str(note)}


BAD = {
    "not a frame": ({"firm": [1]}, {}, "EI-A01"),
    "lazy": (pl.DataFrame({"firm": [1]}).lazy(), {}, "EI-A01"),
    "no rows": (spells().head(0), {}, "EI-A02"),
    "nobody awarded": (spells(awarded=False), ALL, "EI-A02"),
    "no column": (spells(), {"start": "begin"}, "EI-A03"),
    "no id": (spells(firm=[10, None, 20, 30]), {}, "EI-A04"),
    "fraction ids": (spells(firm=[1.5, 2.0, 3.0, 4.0]), {}, "EI-A04"),
    "award without start": (spells(start=[2015, None, 2015, 2015]), {}, "EI-A05"),
    "rejected without period": (spells(start=[2015, 2015, 2015, None]), ALL, "EI-A05"),
    "text start": (spells(start=["2015", "2016", "2015", "2015"]), {}, "EI-A06"),
    "fraction start": (spells(start=[2015.5, 2016, 2015, 2015]), {}, "EI-A06"),
    "dates and numbers": (spells(e=pd.Timestamp("2016-01-01")), {"end": "e"}, "EI-A06"),
    "zero": (spells(start=[2015, 2015, 2015, 0]), {}, "EI-A07"),
    "minus one": (spells(start=[2015, 2015, 2015, -1]), {}, "EI-A07"),
    "nines": (spells(start=[2015, 2015, 2015, 9999]), {}, "EI-A07"),
    "infinity": (spells(start=[2015, 2015, 2015, INF]), {}, "EI-A07"),
    "endless": (spells(e=9999), {"end": "e"}, "EI-A07"),
    "endless date": (
        spells(start=pd.Timestamp("2015-01-01"), e=np.datetime64("9999-12-31", "s")),
        {"end": "e"},
        "EI-A07",
    ),
    "ends before": (spells(e=2014), {"end": "e"}, "EI-A08"),
    "pending": (spells(awarded=[True, True, None, False]), ALL, "EI-A09"),
    "yes": (spells(awarded="yes"), ALL, "EI-A09"),
    "text amount": (spells(amount="1,000"), ALL, "EI-A10"),
    "negative amount": (spells(amount=[-1.0, 1, 1, 1]), ALL, "EI-A10"),
    "infinite amount": (spells(amount=[INF, 1, 1, 1]), ALL, "EI-A10"),
    "no programme": (spells(programme=["voucher", None, "fair", " "]), ALL, "EI-A11"),
    "text score": (spells(points="high"), {"score": "points"}, "EI-A17"),
    "column twice": (pd.concat([spells(), spells()[["start"]]], axis=1), {}, "EI-A18"),
}  # fmt: skip


@pytest.mark.parametrize(("frame", "options", "code"), BAD.values(), ids=BAD)
def test_bad_spells_have_their_code(frame, options, code):
    with pytest.raises(ExportImpactError) as caught:
        assign(frame, **options)
    problems = getattr(caught.value, "problems", ())
    assert [p.code for p in problems] in ([code], [])
    assert caught.value.code == code


def test_all_problems_come_together():
    frame = spells(start=[0, 2015, 2015, 2015], amount="x", programme=None)
    with pytest.raises(InputError) as caught:
        assign(frame, **ALL)
    assert [p.code for p in caught.value.problems] == ["EI-A07", "EI-A11", "EI-A10"]


def test_a_misspelt_column_is_a_key_error():
    with pytest.raises(ColumnError, match="Did you mean 'programme'"):
        assign(spells(), programme="program")


@pytest.mark.parametrize("never", [0, -1, 9999, 99999, INF, 2999])
def test_stand_ins_for_never_are_refused(never):
    frame = pd.DataFrame({"firm": [10, 20], "first": [2015, never]})
    with pytest.raises(InputError, match=r"pd\.NA") as caught:
        Assignment.from_first_period(frame, unit="firm", first_period="first")
    assert caught.value.code == "EI-A07"
    assert caught.value.details["firm"] == 20
    # the fix that the message names
    frame["first"] = frame["first"].mask(frame["first"] == never, pd.NA)
    fixed = Assignment.from_first_period(frame, unit="firm", first_period="first")
    assert fixed.align(panel()).first.tolist() == [2015, NEVER, NEVER, NEVER]


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ([2015, 2016, NA, NA], "EI-A14"),
        ([2015, NA, NA, NA], "EI-A14"),
        ([NA, NA, NA, NA], "EI-A02"),
        (["2015", "2015", None, None], "EI-A06"),
    ],
)
def test_bad_first_periods_have_their_code(first, code):
    frame = pd.DataFrame({"firm": [10, 10, 20, 20], "first": first})
    with pytest.raises(InputError) as caught:
        Assignment.from_first_period(frame, unit="firm", first_period="first")
    assert caught.value.code == code


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "float64", object])
def test_first_periods_by_firm_or_by_firm_year(dtype):
    first = pd.Series([2015, 2017, NA], dtype="Int64")
    first = first.astype("float64" if dtype == "float64" else dtype)
    by_firm = pd.DataFrame({"firm": [10, 20, 30], "first": first})
    by_year = by_firm.loc[by_firm.index.repeat(4)].sample(frac=1, random_state=1)
    for frame in (by_firm, by_year):
        aligned = Assignment.from_first_period(frame, unit="firm", first_period="first").align(
            panel()
        )
        assert aligned.first.tolist() == [2015, 2017, NEVER, NEVER]
        assert aligned.supported.sum(axis=1).tolist() == [3, 1, 0, 0]
        # how long support lasts is not known from first periods, so nothing is said about it
        assert notes(aligned) == {"data.unlisted": 1}


def test_a_row_is_an_award_unless_awarded_says_no():
    everything = assign(spells()).align(panel())
    assert everything.first.tolist() == [2015, 2015, 2015, NEVER]
    assert everything.rejected is None
    awarded = assign(spells(), awarded="awarded").align(panel())
    assert awarded.first.tolist() == [2015, 2015, NEVER, NEVER]
    assert {k: v.tolist() for k, v in awarded.rejected.items()} == {2015: [2]}
    as_number = assign(spells(awarded=[1, 1, 1, 0]), awarded="awarded").align(panel())
    assert_array_equal(as_number.first, awarded.first)


def test_two_awards_in_one_period_are_one_start_with_amounts_summed():
    aligned = assign(spells(start=2015), **ALL).align(panel())
    assert aligned.first[0] == 2015
    assert aligned.spells.tolist() == [1, 1, 0, 0]
    assert_array_equal(aligned.amount, [[0, 12, 12, 12], [0, 3, 3, 3], [0] * 4, [0] * 4])
    assert notes(aligned)["data.same_period"] == 1


def test_amounts_accumulate_and_an_unknown_one_stays_unknown():
    aligned = assign(spells(amount=[5.0, NAN, 3.0, 0.0]), **ALL).align(panel())
    assert_array_equal(aligned.amount[0], [0, 5, NAN, NAN])
    assert_array_equal(aligned.amount[3], [0, 0, 0, 0])
    assert np.isnan(assign(spells()).align(panel()).amount).all()


def test_support_before_the_panel_is_excluded_with_a_reason():
    frame = spells(start=[2013, 2016, 2014, 2015])
    aligned = assign(frame, **ALL).align(panel())
    assert aligned.before_panel.tolist() == [True, True, False, False]
    assert aligned.first[0] == 2013
    (entry,) = aligned.account
    assert (entry.firms, entry.firm_periods) == (2, 8)
    assert "2014 or before" in str(entry.reason)
    assert_array_equal(aligned.amount[0], [5, 5, 12, 12])
    assert aligned.supported[0].tolist() == [False, False, True, False]


def test_support_after_the_panel_is_flagged():
    aligned = assign(spells(start=[2018, 2019, 2017, 2015]), **ALL).align(panel())
    assert aligned.after_panel.tolist() == [True, False, False, False]
    assert aligned.first.tolist() == [2018, 2017, NEVER, NEVER]
    assert not aligned.supported[0].any()
    assert aligned.n_programmes.tolist() == [0, 1, 0, 0]
    assert notes(aligned)["data.after_panel"] == 1


def test_awarded_firms_absent_from_the_panel_are_counted_by_programme():
    frame = spells(firm=[10, 99, 20, 98])
    aligned = assign(frame, **ALL).align(panel())
    table = aligned.linkage.set_index("programme")
    assert table.loc["voucher"].tolist() == [2, 1, 0.5]
    assert table.loc["fair"].tolist() == [1, 1, 1]
    assert notes(aligned)["data.not_linked"] == 1


@pytest.mark.parametrize(
    ("ids", "theirs", "fix"),
    [
        ((10, 20), ["10", "20", "20", "20"], ".astype(int)"),
        (("10", "20"), [10, 20, 20, 20], ".astype(str)."),
        (("010", "020"), [10, 20, 20, 20], ".astype(str).str.zfill(3)"),
        (("010", "020"), ["10", "20", "20", "20"], "leading zeros"),
        (("가나", "다라"), ["가 나", "x", "y", "z"], "spaces"),
        ((10, 20), [77, 78, 79, 80], "same kind of id"),
    ],
)
def test_no_linked_firm_is_an_error_that_shows_both_forms(ids, theirs, fix):
    with pytest.raises(InputError) as caught:
        assign(spells(firm=theirs)).align(panel(ids))
    assert caught.value.code == "EI-A15"
    assert fix in str(caught.value)
    assert repr(caught.value.details["panel_example"]) in str(caught.value)
    assert repr(caught.value.details["support_example"]) in str(caught.value)


def test_nearly_equal_ids_are_not_linked_but_named():
    aligned = assign(spells(firm=["a1", "A2", "a1", "zz"])).align(panel(("a1", "a2")))
    assert aligned.first.tolist() == [2015, NEVER]
    found = {note.id: str(note) for note in aligned.notes}
    assert "'a2' and 'A2'" in found["data.nearly_linked"]


def test_firms_that_the_panel_dropped_are_linked():
    dropping = panel(size=[1.0, NAN, 3.0, 4.0], baseline=["size"], missing_baseline="drop")
    aligned = assign(spells(), **ALL).align(dropping)
    assert aligned.linkage["share"].tolist() == [1, 1]
    assert notes(aligned)["data.linked_but_dropped"] == 1
    assert aligned.first.tolist() == [2015, NEVER, NEVER]


def test_a_start_between_two_periods_moves_to_the_next():
    every_other = panel(years=(2012, 2014, 2016, 2018))
    frame = spells(start=[2015, 2016, 2011, 2019])
    aligned = assign(frame).align(every_other)
    assert aligned.first.tolist() == [2016, 2012, 2020, NEVER]
    assert aligned.before_panel.tolist() == [False, True, False, False]
    assert aligned.after_panel.tolist() == [False, False, True, False]
    assert notes(aligned)["data.moved_start"] == 3
    assert aligned.supported[0].tolist() == [False, False, True, False]


def test_support_that_stops_or_comes_again_is_counted():
    frame = pd.DataFrame(
        {
            "firm": [10, 10, 20, 30, 40],
            "start": [2015, 2017, 2015, 2016, 2013],
            "end": [2015, 2019, 2016, None, 2015],
        }
    )
    aligned = assign(frame, end="end").align(panel())
    assert aligned.supported.astype(int).tolist() == [
        *([0, 1, 0, 1], [0, 1, 1, 0]),
        *([0, 0, 1, 1], [1, 1, 0, 0]),
    ]
    assert aligned.periods_supported.tolist() == [2, 2, 2, 2]
    assert aligned.spells.tolist() == [2, 1, 1, 1]
    assert aligned.cumulative_periods[0].tolist() == [0, 1, 1, 2]
    assert notes(aligned)["data.comes_again"] == 1
    assert "data.one_period" not in notes(aligned)
    one = assign(frame).align(panel())  # without an end a spell lasts for its start period
    assert one.periods_supported.tolist() == [2, 1, 1, 0]
    assert notes(one)["data.one_period"] == 2
    assert [n.values["of"] for n in one.notes if n.id == "data.one_period"] == [3]


BOTH = spells(
    firm=[10, 10, 20, 30], start=[2016, 2015, 2015, 2018], awarded=True,
    programme=["voucher", "fair", "fair", "fair"],
)  # fmt: skip


@pytest.mark.parametrize(
    ("others", "censor_from"),
    [
        ("drop_comparison", [NEVER] * 4),
        ("ignore", [NEVER] * 4),
        ("censor", [2015, 2015, NEVER, NEVER]),
    ],
)
def test_focus_on_one_programme(others, censor_from):
    support = assign(BOTH, **ALL).focus("voucher", others=others)
    aligned = support.align(panel())
    assert (support.programme, aligned.programme, aligned.others) == ("voucher", "voucher", others)
    assert aligned.first.tolist() == [2016, NEVER, NEVER, NEVER]
    assert aligned.other_supported.tolist() == [True, True, False, False]  # 2018 is after the panel
    assert aligned.censor_from.tolist() == censor_from
    assert aligned.n_programmes.tolist() == [2, 1, 0, 0]
    assert_array_equal(aligned.amount[0], [0, 0, 5, 5])
    # Of the two firms with other support, one is a supported firm of the focus and stays.
    assert notes(aligned)[f"data.others_{others}"] == (1 if others == "drop_comparison" else 2)
    assert notes(aligned)["data.several_programmes"] == 1


def test_without_focus_any_support_counts():
    aligned = assign(BOTH, **ALL).align(panel())
    assert aligned.first.tolist() == [2015, 2015, 2018, NEVER]
    assert not aligned.other_supported.any()


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        ({"programme": "vouchr"}, "EI-A12", "Did you mean 'voucher'"),
        ({"programme": "voucher", "others": "drop_pool"}, "EI-A13", "Did you mean 'drop_comp"),
    ],
)
def test_focus_refuses_what_it_does_not_know(arguments, code, hint):
    with pytest.raises(InputError, match=hint) as caught:
        assign(spells(), **ALL).focus(**arguments)
    assert caught.value.code == code


def test_a_programme_of_rejected_applications_only_has_no_award():
    frame = spells(awarded=[True, True, False, False])
    with pytest.raises(InputError, match="EI-A12"):
        assign(frame, **ALL).focus("fair")


def test_a_focus_without_linked_firms_is_an_error():
    with pytest.raises(InputError, match=r"EI-A15.*'fair'"):
        assign(spells(firm=[10, 10, 99, 30]), **ALL).focus("fair").align(panel())


def test_rounds_are_those_of_applications():
    frame = pd.DataFrame(
        {
            "firm": [10, 20, 30, 30, 40, 10],
            "applied": [2014, 2014, 2014, 2015, 2014, 2014],
            "start": [2015, NAN, NAN, 2016, 2015, NAN],
            "awarded": [True, False, False, True, True, False],
            "points": [80, 50, 55, 70, 90, 40],
        }
    )
    aligned = assign(frame, applied="applied", awarded="awarded", score="points").align(panel())
    assert aligned.first.tolist() == [2015, NEVER, 2016, 2015]
    assert aligned.rounds.tolist() == [2014, NEVER, 2015, 2014]
    # firm 10 was rejected and awarded in one round; firm 30 was rejected before its award
    assert {k: v.tolist() for k, v in aligned.rejected.items()} == {2014: [1, 2]}
    assert aligned.score.tolist() == [80, 50, 70, 90]


def test_without_applied_the_round_is_the_start():
    frame = spells(applied=[2014, None, None, None])
    aligned = assign(frame, applied="applied", awarded="awarded").align(panel())
    assert aligned.rounds.tolist() == [2014, 2015, NEVER, NEVER]
    assert list(aligned.rejected) == [2015]


def test_focus_keeps_to_its_own_rejections():
    frame = spells(programme=["voucher", "voucher", "voucher", "fair"])
    aligned = assign(frame, **ALL).focus("voucher").align(panel())
    assert aligned.rejected == {}


DATES = pd.to_datetime(["2014-03-31", "2014-06-30", "2014-09-30", "2014-12-31"])


def test_dates_fall_into_the_panels_periods():
    awards = pd.to_datetime(["2014-04-01", "2014-08-15", "2014-12-31", "2015-01-01"])
    quarters = panel(years=DATES, frequency="quarter")
    aligned = assign(spells(start=awards, firm=[10, 20, 30, 40])).align(quarters)
    assert [quarters.calendar.label(o) for o in aligned.first] == [
        *("2014Q2", "2014Q3", "2014Q4", "2015Q1")
    ]
    assert aligned.after_panel.tolist() == [False, False, False, True]
    yearly = assign(spells(start=awards, firm=[10, 20, 30, 40])).align(panel())
    assert yearly.first.tolist() == [2014, 2014, 2014, 2015]


@pytest.mark.parametrize(
    ("start", "years", "frequency"),
    [(2014, DATES, "quarter"), (pd.Timestamp("2014-01-01"), (1, 2, 3), None)],
)
def test_periods_of_another_kind_are_refused(start, years, frequency):
    with pytest.raises(InputError, match="EI-A16"):
        assign(spells(start=start)).align(panel(years=years, frequency=frequency))


@pytest.mark.parametrize(
    "make",
    [
        lambda f: f.sample(frac=1, random_state=4),
        lambda f: f.convert_dtypes(),
        lambda f: f.astype({"start": float, "programme": "category"}),
        pl.from_pandas,
        pa.Table.from_pandas,
    ],
    ids=["rows", "nullable", "category", "polars", "arrow"],
)
def test_the_make_of_the_table_does_not_matter(make):
    expected = assign(BOTH, **ALL).focus("voucher").align(panel())
    found = assign(make(BOTH), **ALL).focus("voucher").align(panel())
    for name, value in vars(expected).items():
        if isinstance(value, np.ndarray):
            assert_array_equal(getattr(found, name), value, err_msg=name)
    pd.testing.assert_frame_equal(found.linkage, expected.linkage)
    assert found.notes == expected.notes


def test_assignments_are_frozen_and_show_themselves():
    support = assign(spells(), **ALL)
    assert support.programmes == ("fair", "voucher")
    assert "3 awards to 2 firms" in repr(support)
    assert "1 applications" in repr(support)
    with pytest.raises(AttributeError):
        support.programme = "fair"
    aligned = support.align(panel())
    with pytest.raises(ValueError, match="read-only"):
        aligned.first[0] = 0
    for thing in (support, support.focus("fair"), aligned):
        assert len(repr(thing).splitlines()) <= 20
        assert "<table>" in thing._repr_html_()
    assert_array_equal(pickle.loads(pickle.dumps(support)).align(panel()).first, aligned.first)
