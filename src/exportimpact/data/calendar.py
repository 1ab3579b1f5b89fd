"""The calendar of a panel: a complete grid of periods, known by their ordinals.

A period that no firm reports is a gap on the grid; it never makes the one before it "previous".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from exportimpact._typing import AnyArray, BoolArray, IntArray
from exportimpact.errors import InputError

Frequency: TypeAlias = Literal["step", "year", "quarter", "month"]
DECLARABLE = ("year", "quarter", "month")
PLAUSIBLE_YEARS = (1800, 2200)

_QUARTER = re.compile(r"(\d{4})-?[Qq]([1-4])")
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, eq=False)
class Calendar:
    """A complete grid of periods.

    Attributes
    ----------
    frequency : {"step", "year", "quarter", "month"}
        ``"step"``: integers as they are, the grid's step is the greatest common divisor of their
        differences. Otherwise the declared frequency, whose step is one.
    ordinals : IntArray of shape (n_periods,)
        Increasing by `step`. A year's ordinal is the year; quarters and months count from 1970.
    step : int
        Distance of neighbouring periods.
    """

    frequency: Frequency
    ordinals: IntArray
    step: int = 1

    @property
    def first(self) -> int:
        """Ordinal of the first period."""
        return int(self.ordinals[0])

    @property
    def last(self) -> int:
        """Ordinal of the last period."""
        return int(self.ordinals[-1])

    @cached_property
    def is_yearly(self) -> bool:
        """Whether the ordinals are years: declared, or integers that all look like years."""
        low, high = PLAUSIBLE_YEARS
        looks = self.frequency == "step" and self.first >= low and self.last <= high
        return self.frequency == "year" or looks

    @property
    def noun(self) -> str:
        """What a period is called: year, quarter, month or period."""
        if self.frequency in ("quarter", "month"):
            return self.frequency
        return "year" if self.is_yearly else "period"

    @property
    def labels(self) -> tuple[int | str, ...]:
        """Label of every period, in order."""
        return tuple(self.label(int(o)) for o in self.ordinals)

    def label(self, ordinal: int) -> int | str:
        """Return the period's label: ``2019``, ``"2019Q1"`` or ``"2019-03"``."""
        ordinal = int(ordinal)
        if self.frequency == "quarter":
            return f"{1970 + ordinal // 4}Q{ordinal % 4 + 1}"
        if self.frequency == "month":
            return f"{1970 + ordinal // 12}-{ordinal % 12 + 1:02d}"
        return ordinal

    def index(self, ordinal: int) -> int | None:
        """Return the place of a period on the grid, or None when it is not on it."""
        place, rest = divmod(int(ordinal) - self.first, self.step)
        return int(place) if rest == 0 and 0 <= place < len(self.ordinals) else None

    def ordinal(self, label: Any) -> int:
        """Return the ordinal of a label, or of the period that a date falls into.

        Raises
        ------
        InputError
            EI-P31 when the label does not name a period of this frequency.
        """
        whole = isinstance(label, (int, np.integer)) and not isinstance(label, bool)
        if whole and self.frequency in ("step", "year"):
            return int(label)
        text = label.strip() if isinstance(label, str) else ""
        if self.frequency == "quarter" and (found := _QUARTER.fullmatch(text)):
            return (int(found[1]) - 1970) * 4 + int(found[2]) - 1
        if self.frequency == "month" and (found := _MONTH.fullmatch(text)):
            return (int(found[1]) - 1970) * 12 + int(found[2]) - 1
        if hasattr(label, "year") and hasattr(label, "month") and self.takes_dates:
            day = np.datetime64(f"{int(label.year):04d}-{int(label.month):02d}", "D")
            return int(self.of_dates(np.array([day]))[0])
        raise InputError(
            "EI-P31",
            f"{label!r} is not a period of this calendar, whose periods look like "
            f"{self.label(self.first)!r}; an effect cannot be placed without one. Name the period "
            "in that form.",
            label=label,
        )

    @property
    def takes_dates(self) -> bool:
        """Whether a date falls into a period of this calendar (not when periods are counted)."""
        return self.frequency != "step" or self.is_yearly

    def of_dates(self, dates: npt.NDArray[np.datetime64]) -> IntArray:
        """Return the ordinal of the period that each date falls into."""
        return ordinals_of_dates(dates, "year" if self.is_yearly else self.frequency)

    def onto_grid(self, ordinals: IntArray) -> IntArray:
        """Return the same or the next period of the grid, extended beyond its two ends."""
        return self.first - (self.first - ordinals) // self.step * self.step

    def places(self, ordinals: IntArray) -> IntArray:
        """Return places of ordinals that lie on the (extended) grid; may be outside 0..n-1."""
        places = ordinals - self.first
        return places if self.step == 1 else places // self.step


def ordinals_of_dates(dates: npt.NDArray[np.datetime64], frequency: Frequency) -> IntArray:
    """Return period ordinals of dates; those of NaT are without meaning."""
    months: IntArray = dates.astype("datetime64[M]").astype(np.int64)
    if frequency == "month":
        return months
    if frequency == "quarter":
        return months // 3
    return months // 12 + 1970


def calendar_over(distinct: IntArray, frequency: Frequency | None) -> Calendar:
    """Return the complete grid over sorted distinct ordinals.

    Without a declared frequency the step is the greatest common divisor of the differences, so
    that a panel every other year has no gaps; a declared frequency makes the step one.
    """
    step = 1 if frequency else int(np.gcd.reduce(np.diff(distinct))) or 1
    ordinals = np.arange(distinct[0], distinct[-1] + 1, step, dtype=np.int64)
    ordinals.flags.writeable = False
    return Calendar(frequency or "step", ordinals, step)


def is_out_of_calendar(column_values: AnyArray) -> BoolArray:
    """Return which starts stand for "never" in disguise: 0, -1, 9999, 1900-01-01, 9999-12-31."""
    if column_values.dtype.kind == "M":
        years = ordinals_of_dates(column_values, "year")
        return ((years <= 1900) | (years > PLAUSIBLE_YEARS[1])) & ~np.isnat(column_values)
    return np.asarray((column_values <= 0) | (column_values > PLAUSIBLE_YEARS[1]))
