"""The period column of a panel: to ordinals on a calendar, or what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from exportimpact._typing import BoolArray, IntArray
from exportimpact.data.calendar import (
    Calendar,
    Frequency,
    calendar_over,
    ordinals_of_dates,
)
from exportimpact.data.reading import Column
from exportimpact.errors import Problem


@dataclass(frozen=True, eq=False)
class Periods:
    """Ordinal of each row's period (0 where missing) and the calendar, None when unusable."""

    ordinals: IntArray
    missing: BoolArray
    calendar: Calendar | None


def read_periods(column: Column, frequency: Frequency | None) -> tuple[Periods, list[Problem]]:
    """Return the periods of a panel and the problems that stand in the way."""
    nothing = Periods(np.zeros(len(column.values), dtype=np.int64), column.missing, None)
    if column.kind == "empty":
        return nothing, []
    if column.kind == "date":
        if frequency is None:
            return nothing, [_undeclared(column)]
        ordinals = ordinals_of_dates(column.values, frequency)
    else:
        whole = column.whole()
        if whole is None:
            return nothing, [_unusable(column)]
        if found := _disguised(column, whole, frequency):
            return nothing, [found]
        ordinals = whole
    ordinals = np.where(column.missing, 0, ordinals)
    distinct = np.sort(pd.unique(ordinals[~column.missing]))
    if len(distinct) < 2:
        return nothing, [_single(column, distinct)]
    if found := _scattered(column, distinct):
        return nothing, [found]
    return Periods(ordinals, column.missing, calendar_over(distinct, frequency)), []


def _undeclared(column: Column) -> Problem:
    months = pd.unique(column.values[~column.missing].astype("datetime64[M]").astype(np.int64))
    within = set((months % 12).tolist())
    spaced = any(within <= {start, start + 3, start + 6, start + 9} for start in range(3))
    likely = "year" if len(within) == 1 else "quarter" if spaced else "month"
    return Problem(
        "EI-P13",
        f"The period column {column.name!r} holds dates (such as {column.example()}), and no "
        "frequency is declared; without it one cannot say which period comes before another. Pass "
        f'frequency="year", "quarter" or "month"; these dates look like frequency="{likely}".',
        {"column": column.name, "likely": likely},
    )


def _unusable(column: Column) -> Problem:
    name, example = column.name, column.example()
    if column.kind == "text":
        digits = str(example).strip().isdigit()
        fix = (
            f"Convert first: frame[{name!r}] = frame[{name!r}].astype(int)."
            if digits
            else f"Convert first: frame[{name!r}] = pandas.to_datetime(frame[{name!r}]), and pass "
            "frequency=."
        )
        held = "text"
    elif column.kind == "float":
        held = "numbers with fractions or beyond any calendar"
        fix = "Use whole numbers (2019) or dates with frequency=."
        odd = ~column.missing & ~(column.values == np.floor(column.values))
        if odd.any():
            example = float(column.values[np.flatnonzero(odd)[0]])
    else:
        held = "truth values" if column.kind == "boolean" else "a mixture of types"
        fix = "Use whole numbers (2019) or dates with frequency=."
    return Problem(
        "EI-P12",
        f"The period column {name!r} holds {held} (such as {example!r}), which cannot be put in "
        f"order, so changes over time are not defined. {fix}",
        {"column": name, "kind": column.kind, "example": example},
    )


def _single(column: Column, distinct: IntArray) -> Problem:
    held = f"one period only ({distinct[0]})" if len(distinct) else "no period"
    return Problem(
        "EI-P26",
        f"The panel has {held}; an effect on firms' development needs a period before support and "
        "one after. Add rows of other periods, or declare a finer frequency.",
        {"count": len(distinct)},
    )


def _disguised(column: Column, whole: IntArray, frequency: Frequency | None) -> Problem | None:
    """Integers such as 201903 or 20191, which do not count periods: 201912 + 1 is no month."""
    values = whole[~column.missing]
    if not len(values):
        return None
    low, high = int(values.min()), int(values.max())
    is_month = low >= 180001 and high <= 220012 and bool(np.all((values % 100 - 1) % 100 < 12))
    is_day = low >= 18000101 and high <= 22001231
    is_quarter = low >= 18001 and high <= 22004 and bool(np.all((values % 10 - 1) % 10 < 4))
    if not (is_month or is_day or is_quarter or frequency in ("quarter", "month")):
        return None
    pattern = "%Y%m%d" if is_day else "%Y%m"
    fix = f"pandas.to_datetime(frame[{column.name!r}].astype(str), format={pattern!r})"
    if is_quarter:
        fix = f"pandas.PeriodIndex.from_fields(year=..., quarter=...) from {column.name!r}"
    wanted = frequency or ("quarter" if is_quarter else "month")
    return Problem(
        "EI-P29",
        f"The period column {column.name!r} holds integers such as {low} that do not count "
        f"periods by {wanted}; the one before {low} would be {low - 1}. Convert to dates ({fix}) "
        f'and pass frequency="{wanted}".',
        {"column": column.name, "example": low},
    )


def _scattered(column: Column, distinct: IntArray) -> Problem | None:
    """A grid of mostly empty periods comes from a typing error, such as 20144 for 2014."""
    step = int(np.gcd.reduce(np.diff(distinct)))
    size = (int(distinct[-1]) - int(distinct[0])) // step + 1
    if size <= 5 * len(distinct) + 20:
        return None
    gaps = np.diff(distinct)
    widest = int(np.argmax(gaps))
    odd = distinct[widest + 1] if widest + 1 > len(distinct) // 2 else distinct[widest]
    return Problem(
        "EI-P29",
        f"The {len(distinct)} periods of {column.name!r} run from {distinct[0]} to {distinct[-1]}, "
        f"which leaves {size - len(distinct)} periods without any row; {odd} lies far from the "
        "rest. Nearly every base period would be empty. Correct or drop those rows.",
        {"column": column.name, "example": int(odd), "count": size - len(distinct)},
    )
