"""Calendars: complete grids, gaps, labels and dates."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from exportimpact.data import Panel
from exportimpact.errors import ExportImpactError


def calendar(periods, frequency=None):
    """The calendar of a panel in which two firms report every one of the periods."""
    frame = pd.DataFrame({"firm": np.repeat([1, 2], len(periods)), "t": [*periods, *periods]})
    frame["y"] = np.arange(len(frame), dtype=float)
    panel = Panel.from_frame(frame, unit="firm", period="t", outcomes=["y"], frequency=frequency)
    return panel.calendar


YEARS = [dt.date(2019, 1, 1), dt.date(2020, 12, 31), dt.date(2022, 6, 1)]
DATES = pd.to_datetime(["2019-02-28", "2019-05-01", "2019-12-31"])


@pytest.mark.parametrize(
    ("periods", "frequency", "labels", "step"),
    [
        ([2019, 2020, 2022], None, (2019, 2020, 2021, 2022), 1),
        ([2019, 2021, 2023], None, (2019, 2021, 2023), 2),
        ([2019, 2021, 2023], "year", (2019, 2020, 2021, 2022, 2023), 1),
        ([1, 4, 10], None, (1, 4, 7, 10), 3),
        ([-1.0, 0.0, 1.0], None, (-1, 0, 1), 1),
        (YEARS, "year", (2019, 2020, 2021, 2022), 1),
        (DATES, "quarter", ("2019Q1", "2019Q2", "2019Q3", "2019Q4"), 1),
        (DATES[:2], "month", ("2019-02", "2019-03", "2019-04", "2019-05"), 1),
        (DATES[:2].tz_localize("Asia/Seoul"), "quarter", ("2019Q1", "2019Q2"), 1),
        (pd.PeriodIndex(["2019Q1", "2019Q2"], freq="Q"), "quarter", ("2019Q1", "2019Q2"), 1),
        (
            pd.to_datetime(["1969-11-30", "1970-01-31"]),
            "month",
            ("1969-11", "1969-12", "1970-01"),
            1,
        ),
    ],
)
def test_the_grid_is_complete(periods, frequency, labels, step):
    found = calendar(periods, frequency)
    assert found.labels == labels
    assert found.step == step
    assert [found.ordinal(label) for label in labels] == found.ordinals.tolist()
    assert [found.index(o) for o in found.ordinals] == list(range(len(labels)))
    assert found.index(found.first - found.step) is None
    assert found.index(found.last + found.step) is None


def test_between_grid_points_is_no_period():
    found = calendar([2019, 2021])
    assert found.index(2020) is None
    assert found.onto_grid(np.array([2017, 2018, 2019, 2020, 2021, 2022])).tolist() == [
        *(2017, 2019, 2019, 2021, 2021, 2023)
    ]


@pytest.mark.parametrize(
    ("periods", "frequency", "label", "expected"),
    [
        ([2019, 2020], None, dt.date(2020, 5, 1), 2020),
        (DATES, "quarter", pd.Timestamp("2019-05-02"), 197),
        (DATES, "month", pd.Period("1970-03", "M"), 2),
        (DATES, "quarter", "2019-Q2", 197),
    ],
)
def test_ordinal_of_a_date(periods, frequency, label, expected):
    assert calendar(periods, frequency).ordinal(label) == expected


@pytest.mark.parametrize(
    ("periods", "frequency", "label"),
    [
        ([1, 2, 3], None, dt.date(2020, 5, 1)),
        ([2019, 2020], None, "2019"),
        (DATES, "quarter", 2019),
        (DATES, "month", "2019Q1"),
        (DATES, "month", "2019-13"),
        ([2019, 2020], None, None),
    ],
)
def test_labels_of_another_calendar_are_refused(periods, frequency, label):
    with pytest.raises(ExportImpactError) as caught:
        calendar(periods, frequency).ordinal(label)
    assert caught.value.code == "EI-P31"
