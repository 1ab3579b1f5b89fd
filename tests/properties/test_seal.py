"""The seal sees settings and what was known before support, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exportimpact import Assignment, Design, Panel

SEED = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=8)
SETTINGS = [
    {"comparison": "not_yet"},
    {"covariates": ["x"]},
    {"covariates": ["kind"]},
    {"covariates": "~ x"},
    {"anticipation": 1},
    {"base": "varying"},
    {"unbalanced": "balanced"},
    {"assigned_at": "kind"},
    {"never": "strictly"},
    {"min_supported": 2},
]


def seal(one, **options):
    return one.design(**options).seal().hash


def after_base(frame, anticipation=0):
    """Rows after the base period: of the firm's cohort, or of the last cohort if it has none."""
    last = frame["first"].max() - 1 - anticipation
    return frame["year"] > (frame["first"] - 1 - anticipation).fillna(last)


@FEW
@given(seed=SEED)
def test_form_of_the_data(seed, firms):
    one = firms(seed)
    one = one.changed(y=one.frame["y"].round())
    frame = one.frame
    forms = [
        frame.sample(frac=1, random_state=seed % 2**31),
        frame.assign(year=frame["year"].astype("int16"), firm=frame["firm"].astype("Int32")),
        frame.assign(y=frame["y"].astype("int64"), kind=frame["kind"].astype("category")),
        frame.assign(y=frame["y"].astype("float32"), first=frame["first"].astype("float64")),
        frame.assign(firm=frame["firm"].astype(str)),
        frame[frame.columns[::-1]].assign(unrelated=1.0),
    ]
    assert {seal(replace(one, frame=f)) for f in forms} == {seal(one)}


@pytest.mark.parametrize("unbalanced", ["pairwise", "balanced"])
@FEW
@given(seed=SEED, anticipation=st.integers(0, 1), share=st.floats(0.05, 1))
def test_outcomes_after_the_base_period_are_not_seen(unbalanced, seed, anticipation, share, firms):
    one = firms(seed)
    rng = np.random.default_rng(seed)
    options = {"anticipation": anticipation, "unbalanced": unbalanced}
    after = after_base(one.frame, anticipation) & (rng.random(len(one.frame)) < share)
    noise = pd.Series(rng.normal(0, 100, len(one.frame)), one.frame.index)
    other = one.changed(y=one.frame["y"] + noise.where(after, 0.0))
    assert seal(other, **options) == seal(one, **options)


@FEW
@given(seed=SEED, share=st.floats(0.05, 0.6))
def test_nor_is_their_presence(seed, share, firms):
    """Pairwise: reports that are missing, or rows that are, after the base period."""
    one = firms(seed)
    gone = after_base(one.frame) & (np.random.default_rng(seed).random(len(one.frame)) < share)
    missing = one.changed(y=one.frame["y"].mask(gone))
    without = replace(one, frame=one.frame[~gone])
    assert set(without.frame["year"]) == set(one.frame["year"])
    assert seal(missing) == seal(one)
    assert seal(without) == seal(one)


@pytest.mark.parametrize("unbalanced", ["pairwise", "balanced"])
def test_nor_that_a_cohort_leaves_for_lack_of_later_reports(unbalanced):
    """The last cohort is one firm, which reports after its base period, or does not."""
    frame = pd.DataFrame({"firm": np.repeat(range(6), 5), "year": [*range(2010, 2015)] * 6})
    frame["y"] = np.arange(30.0) ** 1.3
    frame["first"] = frame["firm"].map({0: 2012, 1: 2012, 2: 2014}).astype("Int64")
    if unbalanced == "pairwise":
        frame["y"] = frame["y"].mask((frame["firm"] == 2) & (frame["year"] < 2014))
    gone = frame.assign(y=frame["y"].mask((frame["firm"] == 2) & (frame["year"] == 2014)))
    hashes = []
    for one in (frame, gone):
        panel = Panel.from_frame(one, unit="firm", period="year", outcomes=["y"])
        support = Assignment.from_first_period(one, unit="firm", first_period="first")
        hashes.append(Design(panel, support, outcome="y", unbalanced=unbalanced).seal().hash)
    assert hashes[0] == hashes[1]


@FEW
@given(seed=SEED, data=st.data())
def test_data_before_support_are_seen(seed, data, firms):
    one = firms(seed)
    before = np.flatnonzero(~after_base(one.frame))
    at = one.frame.index[data.draw(st.sampled_from(before.tolist()))]
    here = one.frame.index == at
    firm = one.frame["firm"] == one.frame["firm"][at]
    kind = "c" if one.frame["kind"][at] == "b" else "b"
    year = 2012 if (one.frame["first"][firm] == 2011).any() else 2011
    others = [
        one.changed(y=one.frame["y"] + here),
        one.changed(y=one.frame["y"].mask(here)),
        one.changed(x=one.frame["x"] + here),
        one.changed(kind=one.frame["kind"].mask(here, kind)),
        one.changed(first=one.frame["first"].mask(firm, year)),
        one.changed(firm=one.frame["firm"].mask(firm, 5_000)),
        replace(one, weight="w"),
    ]
    assert len({seal(one), *map(seal, others)}) == len(others) + 1


@settings(max_examples=4)
@given(seed=SEED)
def test_settings_are_seen(seed, firms):
    one = firms(seed)
    hashes = [seal(one), *(seal(one, **options) for options in SETTINGS)]
    assert len(set(hashes)) == len(hashes)


FRAME = pd.DataFrame(
    {
        "firm": ["가", "가", "가", "b", "b", "b", "c", "c", "c"],
        "year": [2019, 2020, 2021] * 3,
        "first": pd.array([2021] * 3 + [None] * 6, dtype="Int64"),
        "exports": [1.0, 2.5, 9.0, 0.0, 0.1, 0.3, 4.0, None, 5.0],
        "size": [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.5, 3.0],
    }
)


def test_stored_vector():
    """A change of this hash breaks every sealed design that anybody has registered."""
    panel = Panel.from_frame(
        FRAME, unit="firm", period="year", outcomes=["exports"], baseline=["size"]
    )
    support = Assignment.from_first_period(FRAME, unit="firm", first_period="first")
    sealed = Design(panel, support, outcome="exports").seal()
    assert not sealed.exploratory
    assert sealed.hash == "63cba7f010625c7bc9e18d400bb7ddf86e98c5997eb5ea874b3caa66594f671f"
