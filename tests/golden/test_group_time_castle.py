"""GroupTime on castle-doctrine laws and homicide (Cheng & Hoekstra): 50 states, 2000-2010.

Numbers: EXPORTIMPACT_REFERENCE/castle_staggered (R 4.2.2, did 2.5.1 with base_period="universal",
bstrap=FALSE; fixest 0.14.2; each record names its command). The same data ship with the PyPI
package causaldata: the figures of R that stand in this file always run on them. There a law's first
year is the year before `post` turns to 1.

Cohorts 2005 and 2009 are one state each. At firm (here: state) level `std_error` is R's, which for
them rests on the comparison states alone; ours says so by giving such rows no degrees of freedom,
and with them neither interval nor p-value.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from exportimpact import Assignment, Design, Outcome, Panel
from exportimpact.did import GroupTime, TwoPeriod

CLOSED = 1e-8
ALONE = [2005, 2009]
OVERALL = {  # never-treated: estimate and error, from aggte(type=...)
    "simple": (0.110383035457556, 0.0387242395021773),
    "cohort": (0.1084474849271, 0.0363328222887377),
    "event_time": (0.110280743675027, 0.0366700460742742),
    "calendar": (0.0741756576427582, 0.0314891270406183),
}
BY_COHORT = {  # aggte(type="group")
    2005: (0.0930697401054204, 0.032432965243282),
    2006: (0.109945025444722, 0.0526814342788391),
    2007: (0.128402223312778, 0.0513314927262485),
    2008: (0.122120631130776, 0.056726322342841),
    2009: (-0.00280804293037488, 0.0385019709681659),
}
BY_COHORT_WEIGHTED = {  # the same with weightsname="popwt"
    2005: (0.111602139041541, 0.0201231927086961),
    2006: (0.118191257996233, 0.0341628588871652),
    2007: (0.0954814328601096, 0.0333314449907319),
    2008: (0.0768222428366272, 0.0281103000867824),
    2009: (-0.0465872290001561, 0.0224333070466811),
}
NOT_YET = {  # control_group="notyettreated"
    "simple": (0.109354958424318, 0.0391653759774726),
    "cohort": (0.107526738914409, 0.0372743919889569),
    "event_time": (0.109406533490144, 0.0369086971785386),
    "calendar": (0.0749037199000281, 0.0321085896281226),
}


def design(frame, **options):
    weight = options.pop("weight", None)
    panel = Panel.from_frame(
        frame,
        unit="sid",
        period="year",
        outcomes=[Outcome("l_homicide", scale="logged")],
        weight=weight,
    )
    support = Assignment.from_first_period(frame, unit="sid", first_period="first")
    return Design(panel, support, outcome="l_homicide", **options)


@pytest.fixture(scope="module")
def shipped():
    """The data as causaldata ships them."""
    causaldata = pytest.importorskip("causaldata")
    frame = causaldata.castle.load_pandas().data[["sid", "year", "post", "l_homicide", "popwt"]]
    law = frame[frame["post"] > 0].groupby("sid")["year"].min() - 1
    return frame.assign(first=frame["sid"].map(law).astype("Int64"))


@pytest.fixture(scope="module")
def castle(reference):
    """The data of R's bacondecomp."""
    columns = ["sid", "year", "G", "l_homicide", "popwt"]
    frame = pd.read_csv(reference("castle_staggered") / "data.csv", usecols=columns)
    first = frame["G"].astype("Int64")
    return frame.assign(first=first.mask(first == 0))


def test_both_sources_hold_the_same_data(castle, shipped):
    columns = ["first", "year", "popwt", "l_homicide"]
    one, other = (
        frame[columns].astype(float).fillna(0).sort_values(columns).to_numpy()
        for frame in (castle, shipped)
    )
    np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.golden("GroupTime")
@pytest.mark.parametrize(("comparison", "expected"), [("never", OVERALL), ("not_yet", NOT_YET)])
@pytest.mark.parametrize("by", OVERALL)
def test_overall(by, comparison, expected, shipped, golden):
    row = GroupTime().estimate(design(shipped, comparison=comparison)).overall(by)
    golden(row.estimate, expected[by][0], rtol=CLOSED)
    golden(row.std_error, expected[by][1], rtol=CLOSED)


@pytest.mark.golden("GroupTime")
@pytest.mark.parametrize(("weight", "expected"), [(None, BY_COHORT), ("popwt", BY_COHORT_WEIGHTED)])
def test_by_cohort(weight, expected, shipped, golden):
    result = GroupTime().estimate(design(shipped, weight=weight))
    table = result.aggregate("cohort").table().set_index("cohort")
    golden(table["estimate"], [expected[g][0] for g in table.index], rtol=CLOSED)
    golden(table["std_error"], [expected[g][1] for g in table.index], rtol=CLOSED)


def test_one_state_has_an_error_but_no_interval(shipped):
    table = GroupTime().estimate(design(shipped)).aggregate("cohort").table().set_index("cohort")
    assert table["std_error"].notna().all()
    for column in ("ci_low", "ci_high", "p_value"):
        assert table.index[table[column].isna()].tolist() == ALONE


@pytest.mark.golden("GroupTime")
def test_weighted_cohorts_over_all(shipped, golden):
    overall = GroupTime().estimate(design(shipped, weight="popwt")).overall("cohort")
    golden(overall.estimate, 0.105365637696054, rtol=CLOSED)
    golden(overall.std_error, 0.0244352914915222, rtol=CLOSED)


@pytest.mark.golden("GroupTime")
@pytest.mark.parametrize(
    ("weight", "att"), [(None, 0.110383035457557), ("popwt", 0.108176842877163)]
)
def test_simple_is_the_sun_abraham_att(weight, att, shipped, golden):
    """fixest sunab(), agg="att": the same estimate; its errors take the shares as fixed."""
    overall = GroupTime().estimate(design(shipped, weight=weight)).overall()
    golden(overall.estimate, att, rtol=CLOSED)


@pytest.mark.golden("GroupTime")
@pytest.mark.parametrize("control", ["nevertreated", "notyettreated"])
def test_every_row_of_every_table(control, castle, records, golden, compare_rows):
    comparison = {"nevertreated": "never", "notyettreated": "not_yet"}[control]
    result = GroupTime().estimate(design(castle, comparison=comparison))
    expected = records("castle_staggered")
    cells = expected.table(f"castle/att_gt_{control}")
    compare_rows(golden, result.table(), cells, {"cohort": "group", "period": "time"}, CLOSED)
    for kind, by, key in (
        ("group", "cohort", "cohort"),
        ("dynamic", "event_time", "event_time"),
        ("calendar", "calendar", "period"),
    ):
        rows = expected.table(f"castle/aggte_{kind}_{control}")
        compare_rows(golden, result.aggregate(by).table(), rows, {key: "egt"}, CLOSED)


@pytest.mark.golden("GroupTime")
def test_event_times_are_the_sun_abraham_coefficients(castle, records, golden):
    table = records("castle_staggered").table("castle/sunab_period")
    ours = GroupTime().estimate(design(castle)).aggregate("event_time").table()
    assert [f"year::{e}" for e in ours["event_time"]] == table["term"].tolist()
    golden(ours["estimate"], table["estimate"], rtol=CLOSED)


@pytest.mark.golden("TwoPeriod")
@pytest.mark.parametrize("event_time", [0, 1])
def test_two_period(event_time, castle, records, golden, compare_rows):
    expected = records("castle_staggered").table("castle/att_gt_nevertreated")
    expected = expected[expected["time"] - expected["group"] == event_time]
    table = TwoPeriod(event_time=event_time).estimate(design(castle)).table()
    compare_rows(golden, table, expected, {"cohort": "group", "period": "time"}, CLOSED)
