"""Guards against what a distrustful reader tried first."""

from __future__ import annotations

import errno
import io
import logging
import sys

import numpy as np
import pandas as pd
import pytest

import exportimpact as ei
from exportimpact.cli import main

YEARS = np.arange(2010, 2016)


def design(starts: list[int | None], effect=None, **options: object) -> ei.Design:
    """Noise of sd 1, plus `effect(firm, year)`."""
    rng = np.random.default_rng(1)
    y = rng.normal(size=(len(starts), YEARS.size))
    if effect is not None:
        y += np.array([[effect(start, year) for year in YEARS] for start in starts])
    frame = pd.DataFrame(
        {
            "firm": np.repeat(np.arange(len(starts)), YEARS.size),
            "year": np.tile(YEARS, len(starts)),
            "y": y.ravel(),
        }
    )
    first = pd.DataFrame({"firm": np.arange(len(starts)), "first": pd.array(starts, dtype="Int64")})
    panel = ei.Panel.from_frame(frame, unit="firm", period="year", outcomes=["y"])
    support = ei.Assignment.from_first_period(first, unit="firm", first_period="first")
    return ei.Design(panel, support, outcome="y", **options)


def test_a_firm_about_to_be_supported_is_no_comparison_while_it_may_react():
    starts = [2013] * 60 + [2016] * 100 + [None] * 140

    def early(start: int | None, year: int) -> float:
        return 5.0 if start == 2016 and year == 2015 else 0.0

    result = ei.did.GroupTime().estimate(design(starts, early, anticipation=1))
    table = result.table().set_index("period")
    assert table.loc[2014, "n_comparison"] == 240
    assert table.loc[2015, "n_comparison"] == 140
    assert abs(table.loc[2015, "estimate"]) < 4 * table.loc[2015, "std_error"]


def test_a_single_supported_firm_has_a_reason_and_no_interval():
    result = ei.did.GroupTime().estimate(design([2013] + [None] * 30))
    row = result.overall().table(detail=True).iloc[0]
    assert np.isnan(row.ci_low)
    assert row.reason.startswith("EI-I09")
    assert any("EI-I09" in str(note) for note in result.notes)


def test_different_averages_have_different_words():
    result = ei.did.GroupTime().estimate(design([2012] * 20 + [2014] * 20 + [None] * 40))
    averages = [
        result.overall(),
        result.overall("event_time"),
        result.overall("event_time", max=1),
        result.overall("event_time", min=1, max=2),
        result.overall("event_time", balance=2),
        result.overall("cohort"),
        result.overall("calendar"),
    ]
    assert len({str(a.estimand) for a in averages}) == len(averages)


def test_cells_that_cannot_be_estimated_change_the_words():
    whole = ei.did.GroupTime().estimate(design([2012] * 20 + [2014] * 20 + [None] * 40))
    part = (
        ei.did.GroupTime()
        .estimate(design([2012] * 20 + [2014] * 20, comparison="not_yet"))
        .overall()
    )
    assert "could not be estimated" in str(part.estimand)
    assert "could not be estimated" not in str(whole.overall().estimand)


def test_missing_reports_are_counted_among_firms_that_could_be_compared():
    """Half of the comparison firms never report: they are in no cell, and are no attrition."""
    sealed = design([2013] * 50 + [None] * 100).seal()
    y = sealed.panel.wide("y").copy()
    y[100:] = np.nan
    frame = pd.DataFrame(
        {"firm": np.repeat(np.arange(150), 6), "year": np.tile(YEARS, 150), "y": y.ravel()}
    )
    panel = ei.Panel.from_frame(frame, unit="firm", period="year", outcomes=["y"])
    found = {f.id: f for f in ei.Design(panel, sealed.support, outcome="y").seal().findings}
    assert found["missing"].verdict == "SUPPORTS"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda d, r: ei.Design(d.panel, None, outcome="y"), "EI-D13"),
        (lambda d, r: ei.did.GroupTime().estimate("x"), "EI-E10"),
        (lambda d, r: ei.diagnose(r, d), "EI-E10"),
        (lambda d, r: r.aggregate("event_time", max=1.5), "EI-I08"),
        (lambda d, r: r.aggregate("event_time", balance=-1), "EI-I08"),
    ],
)
def test_what_is_passed_in_the_wrong_place_is_refused(call, code):
    sealed = design([2013] * 20 + [None] * 20).seal()
    with pytest.raises(ei.ExportImpactError) as raised:
        call(sealed, ei.did.GroupTime().estimate(sealed))
    assert raised.value.code == code


def test_estimates_are_logged_without_firm_ids(caplog):
    with caplog.at_level(logging.INFO, logger="exportimpact"):
        ei.did.GroupTime().estimate(design([2013] * 20 + [None] * 20))
    assert "group_time: 5 cells of y" in caplog.text


def test_a_reader_who_leaves_early_is_no_error(monkeypatch):
    def gone(*_: object, **__: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "nobody reads")

    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, io.StringIO())
    monkeypatch.setattr("click.echo", gone)
    assert main(["explain", "EI-P07"]) == 0
