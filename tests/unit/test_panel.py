"""Panels: what comes in, what is refused, and that nothing about the make of a frame matters."""

from __future__ import annotations

import pickle
import subprocess
import sys
import unicodedata

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

from exportimpact.core.outcome import Outcome
from exportimpact.data import Panel
from exportimpact.errors import ColumnError, ExportImpactError, InputError

NAN, INF = np.nan, np.inf


def small(**columns):
    """Three firms, three years; `columns` replace or add."""
    frame = pd.DataFrame(
        {
            "firm": [10, 10, 10, 20, 20, 20, 30, 30, 30],
            "year": [2014, 2015, 2016] * 3,
            "exports": [0.0, 1.0, 2.0, 3.0, NAN, 5.0, 6.0, 7.0, 8.0],
            "size": [5, 6, 7, 1, 2, 3, 9, 9, 9],
            "industry": ["b", "b", "b", "a", "a", "a", "가", "가", "가"],
            "region": ["x", "x", "x", "x", "x", "x", "y", "y", "y"],
            "weight": [1.0] * 9,
            "last": [False] * 9,
        }
    )
    return frame.assign(**columns)


def build(frame, **options):
    settings = {"unit": "firm", "period": "year", "outcomes": ["exports"]} | options
    return Panel.from_frame(frame, **settings)


def codes(frame, **options):
    """Codes of everything that is wrong."""
    with pytest.raises(ExportImpactError) as caught:
        build(frame, **options)
    problems = getattr(caught.value, "problems", ())
    return [p.code for p in problems] or [caught.value.code]


def changed(column, row, value):
    values = small()[column].astype(object).tolist()
    values[row] = value
    return small(**{column: values})


SIZE = {"baseline": ["size"]}
WEIGHT = {"weight": "weight"}
CLUSTER = {"cluster": "region"}
EXIT = {"exit": "last"}


def scaled(scale):
    return {"outcomes": [Outcome("y", column="exports", scale=scale)]}


BAD = {
    "not a frame": ({"firm": [1]}, {}, "EI-P01"),
    "a series": (pd.Series([1, 2]), {}, "EI-P01"),
    "lazy": (pl.DataFrame({"firm": [1]}).lazy(), {}, "EI-P01"),
    "empty": (small().head(0), {}, "EI-P02"),
    "no column": (small(), {"outcomes": ["export"]}, "EI-P03"),
    "in the index": (small().set_index(["firm", "year"])[["exports"]].reset_index(0), {}, "EI-P03"),
    "column twice": (pd.concat([small(), small()[["exports"]]], axis=1), {}, "EI-P04"),
    "no id": (changed("firm", 4, None), {}, "EI-P05"),
    "blank id": (small(firm=["a"] * 3 + ["b"] * 3 + [" "] * 3), {}, "EI-P05"),
    "ids all missing": (small(firm=None), {}, "EI-P05"),
    "no period": (changed("year", 4, None), {}, "EI-P06"),
    "repeated": (changed("year", 4, 2014), {}, "EI-P07"),
    "infinite outcome": (changed("exports", 4, INF), {}, "EI-P08"),
    "infinite covariate": (changed("size", 4, -INF), SIZE, "EI-P08"),
    "outcome missing": (small(exports=NAN), {}, "EI-P09"),
    "outcome none": (small(exports=None), {}, "EI-P09"),
    "log of nothing": (small(exports=0.0), scaled("log"), "EI-P09"),
    "outcome twice": (small(), {"outcomes": ["exports", "exports"]}, "EI-P10"),
    "baseline twice": (small(), {"baseline": ["size", "size"]}, "EI-P10"),
    "id as period": (small(), {"period": "firm"}, "EI-P10"),
    "id as outcome": (small(), {"outcomes": ["firm"]}, "EI-P10"),
    "name of another": (small(), scaled("level") | {"baseline": ["y"]}, "EI-P10"),
    "missing covariate": (changed("size", 4, None), SIZE, "EI-P11"),
    "missing category": (changed("industry", 4, None), {"baseline": ["industry"]}, "EI-P11"),
    "text period": (small(year=["2014", "2015", "2016"] * 3), {}, "EI-P12"),
    "fraction period": (small(year=[2014.0, 2014.5, 2015.0] * 3), {}, "EI-P12"),
    "infinite period": (changed("year", 2, INF), {}, "EI-P12"),
    "mixed period": (changed("year", 4, "2015"), {}, "EI-P12"),
    "bool period": (small(year=[True, False, True] * 3), {}, "EI-P12"),
    "undeclared dates": (
        small(year=pd.to_datetime(["2014-01-01", "2015-01-01", "2016-01-01"] * 3)),
        {},
        "EI-P13",
    ),
    "constant covariate": (small(size=4), SIZE, "EI-P14"),
    "price index": (small(size=[1.0, 1.1, 1.2] * 3), SIZE, "EI-P14"),
    "constant category": (small(industry="a"), {"baseline": ["industry"]}, "EI-P14"),
    "leading zeros": (small(firm=["7"] * 3 + ["007"] * 3 + ["8"] * 3), {}, "EI-P15"),
    "case": (small(firm=["ab"] * 3 + ["AB"] * 3 + ["c"] * 3), {}, "EI-P15"),
    "spaces": (small(firm=["가 나"] * 3 + ["가나 "] * 3 + ["c"] * 3), {}, "EI-P15"),
    "width": (small(firm=["12"] * 3 + ["１２"] * 3 + ["c"] * 3), {}, "EI-P15"),  # noqa: RUF001
    "exit is a year": (small(last=2016), EXIT, "EI-P16"),
    "exit is text": (small(last="no"), EXIT, "EI-P16"),
    "rows after exit": (changed("last", 0, True), EXIT, "EI-P17"),
    "zero weight": (changed("weight", 4, 0.0), WEIGHT, "EI-P18"),
    "no weight": (changed("weight", 4, None), WEIGHT, "EI-P18"),
    "text weight": (small(weight="1"), WEIGHT, "EI-P18"),
    "cluster changes": (changed("region", 4, "y"), CLUSTER, "EI-P19"),
    "no cluster": (changed("region", 4, None), CLUSTER, "EI-P19"),
    "fraction ids": (small(firm=np.repeat([1.5, 2.0, 3.0], 3)), {}, "EI-P22"),
    "mixed ids": (changed("firm", 4, "20"), {}, "EI-P22"),
    "date ids": (small(firm=pd.Timestamp("2020-01-01")), {}, "EI-P22"),
    "text outcome": (small(exports="1,000"), {}, "EI-P23"),
    "mixed outcome": (changed("exports", 4, "n/a"), {}, "EI-P23"),
    "negative count": (changed("exports", 4, -1.0), scaled("count"), "EI-P24"),
    "negative binary": (changed("exports", 4, -1.0), scaled("binary"), "EI-P24"),
    "share of 100": (small(), scaled("share"), "EI-P25"),
    "one period": (small().query("year == 2014"), {}, "EI-P26"),
    "sum of shares": (
        changed("year", 1, 2014).assign(exports=0.5),
        scaled("share") | {"duplicates": "sum"},
        "EI-P27",
    ),
    "sum disagrees": (changed("year", 1, 2014), SIZE | {"duplicates": "sum"}, "EI-P27"),
    "duplicates option": (small(), {"duplicates": "mean"}, "EI-P28"),
    "baseline option": (small(), {"missing_baseline": "ignore"}, "EI-P28"),
    "frequency option": (small(), {"frequency": "week"}, "EI-P28"),
    "YYYYMM": (small(year=[201911, 201912, 202001] * 3), {}, "EI-P29"),
    "YYYYQ": (small(year=[20193, 20194, 20201] * 3), {}, "EI-P29"),
    "YYYYMMDD": (small(year=[20190101, 20200101, 20210101] * 3), {}, "EI-P29"),
    "integer months": (small(), {"frequency": "month"}, "EI-P29"),
    "typing error": (changed("year", 4, 20155), {}, "EI-P29"),
    "date covariate": (small(size=pd.Timestamp("2001-01-01")), SIZE, "EI-P30"),
    "mixed covariate": (changed("size", 4, "big"), SIZE, "EI-P30"),
    "nobody left": (small(size=None), SIZE | {"missing_baseline": "drop"}, "EI-P32"),
    "no outcome": (small(), {"outcomes": []}, "EI-P34"),
}


@pytest.mark.parametrize(("frame", "options", "code"), BAD.values(), ids=BAD)
def test_bad_input_has_its_code(frame, options, code):
    assert codes(frame, **options) == [code]


def test_repeated_firm_years_are_named():
    frame = pd.concat([small(), small().iloc[[4, 5, 8]]])
    with pytest.raises(InputError) as caught:
        build(frame)
    assert str(caught.value) == (
        "[EI-P07] 3 of 9 firm-years repeat (firm, year); the first is firm 20 in 2015. Effects "
        'would count these firms twice. Aggregate first, or pass duplicates="sum".'
    )
    assert caught.value.details["count"] == 3
    assert caught.value.details["firm"] == 20


def test_all_problems_come_together():
    frame = changed("year", 4, 2014)
    frame["exports"] = [INF, *frame["exports"][1:]]
    frame["weight"] = -1.0
    frame["size"] = [None, *frame["size"][1:]]
    found = codes(frame, weight="weight", baseline=["size"], cluster="regoin")
    assert found == ["EI-P03", "EI-P08", "EI-P11", "EI-P18", "EI-P07"]


def test_outcomes_of_one_column_report_its_problem_once():
    outcomes = ["exports", Outcome("any", column="exports", scale="binary")]
    assert codes(changed("exports", 0, INF), outcomes=outcomes) == ["EI-P08"]


def test_a_misspelt_column_is_a_key_error_that_helps():
    with pytest.raises(ColumnError, match="Did you mean 'exports'"):
        build(small(), outcomes=["export"])
    with pytest.raises(ColumnError, match="reset_index"):
        build(small().set_index("year"))


@pytest.mark.parametrize(
    ("months", "likely"), [((1, 1), "year"), ((3, 6), "quarter"), ((1, 2), "month")]
)
def test_undeclared_dates_name_the_frequency(months, likely):
    dates = [f"2014-{months[0]:02d}-01", f"2015-{months[1]:02d}-01", "2016-01-01"]
    if likely == "quarter":
        dates[2] = "2016-09-01"
    with pytest.raises(InputError, match=f'look like frequency="{likely}"'):
        build(small(year=pd.to_datetime(dates * 3)))


def test_arrays_are_sorted_and_read_only():
    frame = small().sample(frac=1, random_state=1)
    panel = build(frame, baseline=["size", "industry"], weight="weight", cluster="region")
    assert panel.units.tolist() == [10, 20, 30]
    assert_array_equal(panel.wide("exports"), [[0, 1, 2], [3, NAN, 5], [6, 7, 8]])
    assert_array_equal(panel.baseline("size").values[1], [1, 2, 3])
    industry = panel.baseline("industry")
    assert industry.categories == ("a", "b", "가")
    assert_array_equal(industry.values[:, 0], [1, 0, 2])
    assert panel.cluster_labels == ("x", "y")
    assert panel.cluster_codes.tolist() == [0, 0, 1]
    for array in (panel.wide("exports"), panel.units, panel.weight, panel.observed):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    loaded = pickle.loads(pickle.dumps(panel))
    assert loaded.fingerprint == panel.fingerprint
    assert not loaded.wide("exports").flags.writeable


def test_the_frame_may_change_afterwards():
    frame = small()
    panel = build(frame, baseline=["size"])
    frame.loc[:, "exports"] = -1.0
    frame.loc[:, "firm"] = 0
    assert panel.wide("exports")[0, 1] == 1
    assert panel.units.tolist() == [10, 20, 30]


def test_scales():
    outcomes = [
        Outcome("level", column="exports"),
        Outcome("any", column="exports", scale="binary"),
        Outcome("ln", column="exports", scale="log"),
        Outcome("logged", column="exports", scale="logged"),
    ]
    panel = build(small(), outcomes=outcomes)
    assert_array_equal(panel.wide("any"), [[0, 1, 1], [1, NAN, 1], [1, 1, 1]])
    assert_array_equal(panel.wide("ln")[0], [NAN, 0, np.log(2)])
    assert_array_equal(panel.wide("logged"), panel.wide("level"))
    missing = panel.missing().set_index(["outcome", "period"])
    assert list(panel.missing()) == [
        "outcome", "period", "firms_observed", "missing", "not_positive",
    ]  # fmt: skip
    assert missing.loc[("ln", 2014)].tolist() == [3, 0, 1]
    assert missing.loc[("ln", 2015)].tolist() == [3, 1, 0]
    assert missing.loc[("level", 2015)].tolist() == [3, 1, 0]


def test_exit_zero_missing_and_not_observed_stay_apart():
    frame = small(share=0.5).drop(index=[2, 5])  # firm 10 exits in 2015, firm 20 is not seen later
    frame["last"] = (frame["firm"] == 10) & (frame["year"] == 2015)
    outcomes = [
        "exports",
        Outcome("kept", column="exports", after_exit="missing"),
        Outcome("any", column="exports", scale="binary"),
        Outcome("ln", column="exports", scale="log"),
        Outcome("share", scale="share"),
    ]
    panel = build(frame, outcomes=outcomes, exit="last")
    assert_array_equal(panel.exit_ordinal, [2015, NAN, NAN])
    assert_array_equal(panel.wide("exports"), [[0, 1, 0], [3, NAN, NAN], [6, 7, 8]])
    assert_array_equal(panel.wide("any")[:, 2], [0, NAN, 1])
    for name in ("kept", "ln", "share"):
        assert np.isnan(panel.wide(name)[:2, 2]).all()
    assert_array_equal(panel.observed, [[1, 1, 0], [1, 1, 0], [1, 1, 1]])
    notes = {n.id: n.values.get("n") for n in panel.notes}
    assert notes["data.exited"] == 1
    assert notes["data.not_observed_later"] == 1
    assert notes["data.missing_outcome"] == 1


def test_exit_marks_of_numbers_and_missing():
    frame = small(last=[0, 0, 1, 0, 0, None, None, 0, 0])
    assert_array_equal(build(frame, exit="last").exit_ordinal, [2016, NAN, NAN])


def test_a_missing_year_is_a_gap():
    frame = small(year=[2014, 2015, 2017] * 3)
    panel = build(frame)
    assert panel.calendar.labels == (2014, 2015, 2016, 2017)
    assert not panel.observed[:, 2].any()
    assert np.isnan(panel.wide("exports")[:, 2]).all()
    assert [str(n) for n in panel.notes if n.id == "data.gap"] == [
        "1 year(s) without any row, kept as gaps: 2016."
    ]


@pytest.mark.parametrize(("rule", "expected"), [("sum", 1.0 + 2.0), ("first", 1.0), ("last", 2.0)])
def test_duplicates_by_rule(rule, expected):
    frame = changed("year", 2, 2015).assign(size=small()["size"].replace(7, 6))
    outcomes = ["exports", Outcome("any", column="exports", scale="binary")]
    panel = build(frame, outcomes=outcomes, baseline=["size"], duplicates=rule)
    assert panel.wide("exports")[0, 1] == expected
    assert panel.wide("any")[0, 1] == 1
    assert np.isnan(panel.wide("exports")[1, 1])
    assert panel.account.firm_periods == 9
    assert panel.account.remaining == (3, 8) == (panel.n_firms, panel.observed.sum())
    assert panel.account.entries[0].reason.id == f"data.duplicates_{rule}"


def test_a_missing_part_makes_the_sum_missing():
    frame = changed("year", 5, 2015)  # NaN and 5 in one firm-year
    assert np.isnan(build(frame, duplicates="sum").wide("exports")[1, 1])


def test_missing_baseline_is_dropped_and_accounted_for():
    frame = changed("size", 4, None)
    panel = build(frame, baseline=["size"], missing_baseline="drop", cluster="region")
    assert panel.units.tolist() == [10, 30]
    assert panel.dropped_units.tolist() == [20]
    assert panel.account.remaining == (2, 6)
    assert panel.account.entries[0].firms == 1
    assert panel.account.entries[0].firm_periods == 3
    assert panel.cluster_codes.tolist() == [0, 1]
    assert_array_equal(panel.wide("exports"), [[0, 1, 2], [6, 7, 8]])


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([True, False, True] * 3),
        pd.Series([True, False, True] * 3, dtype="boolean"),
        pd.Series(["no", "yes", "no"] * 3, dtype="category"),
        pd.Series([2, 1, 2] * 3, dtype="category"),
        pd.Series([2, 1, 2] * 3, dtype="Int64"),
        pd.Series([2, 1, 2] * 3, dtype="Float64"),
        pd.Series(["no", "yes", "no"] * 3, dtype="string"),
        pd.Series([1, 0, 1] * 3, dtype="uint8"),
    ],
    ids=lambda c: str(c.dtype),
)
def test_baseline_types(column):
    panel = build(small(size=np.roll(column, 1), flag=column.sample(frac=1, random_state=3).array),
                  baseline=["flag"])  # fmt: skip
    flag = panel.baseline("flag")
    assert np.isfinite(flag.values).all()
    labelled = column.dtype == "category" or column.dtype == "string"
    assert (flag.categories is not None) == labelled
    if labelled:
        assert flag.categories == tuple(sorted(str(v) for v in column.unique()))


@pytest.mark.parametrize(
    "ids",
    [
        pd.Series([10, 20, 30]),
        pd.Series([10.0, 20.0, 30.0]),
        pd.Series([10, 20, 30], dtype="Int64"),
        pd.Series([10, 20, 30], dtype="uint16"),
        pd.Series([10, 20, 30], dtype="category"),
        pd.Series(["10", "20", "30"]),
        pd.Series(["10", "20", "30"], dtype="string"),
        pd.Series(["10", "20", "30"], dtype="category"),
        pd.Series(["10", "20", "30"], dtype=object),
    ],
    ids=lambda s: str(s.dtype),
)
def test_fingerprint_does_not_depend_on_the_id_type(ids):
    frame = small(firm=ids.repeat(3).array)
    assert build(frame).fingerprint == build(small()).fingerprint


OPTIONS = {
    "outcomes": ["exports", Outcome("ln", column="exports", scale="log")],
    "baseline": ["size", "industry"],
    "weight": "weight",
    "cluster": "region",
    "exit": "last",
}


def test_fingerprint_is_fixed():
    """A stored vector: it may change only with a line in the changelog."""
    assert build(small(), **OPTIONS).fingerprint == (
        "31d19c860089ab4cc7e02a62b9f4c2debfcecc2157000aa74d594c6dcfdc8673"
    )


@pytest.mark.parametrize(
    "frame",
    [
        small().sample(frac=1, random_state=2),
        small()[small().columns[::-1]],
        small().convert_dtypes(),
        small().astype({"size": float, "exports": float, "year": float, "industry": "category"}),
        small(unused=1),
        small(exports=small()["exports"].replace(0.0, -0.0)),
        pl.from_pandas(small()),
        pl.from_pandas(small()).with_columns(pl.col("industry").cast(pl.Categorical)),
        pa.Table.from_pandas(small()),
    ],
    ids=[
        "rows",
        "columns",
        "nullable",
        "floats",
        "unused",
        "zeros",
        "polars",
        "polars cat",
        "arrow",
    ],
)
def test_nothing_but_the_data_matters(frame):
    plain, other = build(small(), **OPTIONS), build(frame, **OPTIONS)
    assert other.fingerprint == plain.fingerprint
    assert_array_equal(other.units, plain.units)
    assert_array_equal(other.wide("ln"), plain.wide("ln"))
    assert other.baseline("industry").categories == plain.baseline("industry").categories
    assert_array_equal(other.baseline("industry").values, plain.baseline("industry").values)
    assert other.cluster_labels == plain.cluster_labels
    pd.testing.assert_frame_equal(other.missing(), plain.missing())


@pytest.mark.parametrize("column", ["firm", "year", "exports", "size", "industry", "region"])
def test_every_column_is_in_the_fingerprint(column):
    values = {"industry": "b", "region": "z", "year": 2017, "firm": 40}
    frame = small()
    rows = {"industry": [8], "year": [2, 5, 8]}.get(column, [6, 7, 8])
    frame.loc[rows, column] = values.get(column, 99)
    assert build(frame, **OPTIONS).fingerprint != build(small(), **OPTIONS).fingerprint


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_dates_from_any_frame(make):
    dates = pd.to_datetime(["2019-01-31", "2019-04-30"]).to_pydatetime().tolist()
    frame = make({"firm": ["a", "a", "b", "b"], "t": dates * 2, "y": [1.0, None, 3.0, 4.0]})
    for column in (frame, make({"firm": ["a", "a", "b", "b"], "t": [d.date() for d in dates] * 2,
                                "y": [1.0, None, 3.0, 4.0]})):  # fmt: skip
        panel = Panel.from_frame(
            column, unit="firm", period="t", outcomes=["y"], frequency="quarter"
        )
        assert panel.calendar.labels == ("2019Q1", "2019Q2")
        assert_array_equal(panel.wide("y"), [[1, NAN], [3, 4]])


def test_polars_needs_no_pyarrow():
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "import polars as pl\n"
        "from exportimpact.data import Panel\n"
        "f = pl.DataFrame({'firm': ['가', '가', '나', '나'], 'year': [1, 2, 1, 2],\n"
        "                  'y': [1.0, None, 3.0, 4.0], 'b': [True, False, None, True]})\n"
        "f = f.with_columns(pl.col('b').fill_null(False))\n"
        "p = Panel.from_frame(f, unit='firm', period='year', outcomes=['y'], baseline=['b'])\n"
        "assert p.wide('y')[1].tolist() == [3.0, 4.0]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("encoding", ["cp949", "utf-8-sig"])
def test_korean_files(tmp_path, encoding):
    text = (
        "기업번호,연도,수출액,업종\n"
        "가나,2019,1,식품\n가나,2020,,식품\n"
        "다라,2019,0,화장품\n다라,2020,4,화장품\n"
    )
    path = tmp_path / "수출.csv"
    path.write_text(text, encoding=encoding)
    frame = pd.read_csv(path, encoding=encoding)
    settings = {"unit": "기업번호", "period": "연도", "outcomes": ["수출액"], "baseline": ["업종"]}
    panel = Panel.from_frame(frame, **settings)
    assert panel.units.tolist() == ["가나", "다라"]
    assert panel.baseline("업종").categories == ("식품", "화장품")
    # macOS writes decomposed Hangul: names and ids are the same
    decomposed = frame.rename(columns=lambda c: unicodedata.normalize("NFD", c))
    name = unicodedata.normalize("NFD", "기업번호")
    decomposed[name] = [unicodedata.normalize("NFD", v) for v in decomposed[name]]
    other = Panel.from_frame(decomposed, **settings)
    assert other.fingerprint == panel.fingerprint
    assert [n.id for n in other.notes if n.id == "data.recomposed_ids"]


def test_unbalanced_panels_are_noted():
    frame = small().drop(index=[0, 4, 8])
    counts = {n.id: n.values["n"] for n in build(frame).notes}
    assert counts == {
        "data.entered_later": 1,
        "data.interrupted": 1,
        "data.not_observed_later": 1,
    }


def test_large_ids_are_exact():
    ids = np.repeat([2**60, 2**60 + 1, 2**60 + 2], 3)
    assert build(small(firm=ids)).units.tolist() == [2**60, 2**60 + 1, 2**60 + 2]


def test_looking_up_unknown_names():
    panel = build(small(), baseline=["size"])
    for call in (panel.wide, panel.outcome, panel.baseline):
        with pytest.raises(ColumnError, match="EI-P33"):
            call("siez")


def test_panels_show_themselves():
    frame = small(**{f"a very long name of an outcome {i}": 1.0 for i in range(30)})
    panel = build(frame, outcomes=list(frame.columns[8:]), baseline=["size"])
    shown = repr(panel).splitlines()
    assert len(shown) <= 20
    assert max(map(len, shown)) <= 100
    assert "3 firms x 3 years (2014-2016)" in shown[0]
    assert "<table>" in panel._repr_html_()
    assert "&lt;b&gt;" in build(small().rename(columns={"firm": "<b>"}), unit="<b>")._repr_html_()


def test_the_advised_fixes_work():
    frame = small(year=["2014", "2015", "2016"] * 3)
    frame["year"] = frame["year"].astype(int)
    assert build(frame).fingerprint == build(small()).fingerprint
    frame = small(ym=[201911, 201912, 202001] * 3)
    frame["ym"] = pd.to_datetime(frame["ym"].astype(str), format="%Y%m")
    assert build(frame, period="ym", frequency="month").calendar.labels[0] == "2019-11"
    frame = small(died=[2016] * 3 + [np.nan] * 6)
    frame["died"] = frame["year"] == frame["died"]
    assert_array_equal(build(frame, exit="died").exit_ordinal, [2016, NAN, NAN])
