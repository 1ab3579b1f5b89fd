"""A table of doses, one row per firm and period: paths of support that rise, fall and stop."""

from __future__ import annotations

from typing import Any

import numpy as np

from exportimpact._typing import Already, BoolArray, FloatArray, IntArray
from exportimpact.data.calendar import Calendar
from exportimpact.data.reading import Column, read_columns
from exportimpact.data.spells import (
    ANY_PROGRAMME,
    CODES,
    Doses,
    RowNames,
    Spells,
    raise_found,
    read_ids,
)
from exportimpact.errors import InputError, Problem


def read_doses(
    frame: Any, *, unit: str, period: str, dose: str, programme: str | None, already: Already
) -> Spells:
    """Return spells that start at each firm's first change, with the doses.

    A firm whose first known dose is above 0 starts there, unless it is kept: it has been supported
    before.
    """
    table, _, problems = read_columns(frame, [unit, period, dose], "table of doses", CODES)
    ids = read_ids(table.get(unit), problems)
    raise_found(problems, only_if_missing=True)
    firms = RowNames(unit, ids)
    value = _doses(table[dose], firms, problems)
    when = _periods(table[period], firms, problems)
    raise_found(problems)
    assert ids is not None
    assert when is not None
    _refuse_repeated(ids.codes, when, firms)
    known = np.flatnonzero(np.isfinite(value))
    rows = known[np.lexsort((when.values[known], ids.codes[known]))]
    doses = Doses(ids.codes[rows], when.take(rows), value[rows], already)
    start = _starts(doses, len(ids.units))
    awarded = start >= 0
    changes = start[awarded]
    if not (_first_doses(doses)[changes] == 0).any() and (already == "drop" or not changes.size):
        raise InputError(
            "EI-A21",
            f"The dose {dose!r} of no firm changes from 0 to something else, so that no firm has "
            "periods before and after and there is no effect to estimate. The table needs the rows "
            'before support as well, with a dose of 0; already="keep" takes other changes too.',
            column=dose,
            firms=len(ids.units),
        )
    n = len(ids.units)
    name = programme or ANY_PROGRAMME
    values = np.zeros(n, dtype=doses.when.values.dtype)
    values[awarded] = doses.when.values[changes]
    return Spells(
        unit=unit,
        units=ids.units,
        firm=np.arange(n, dtype=np.int64),
        start=Column(period, doses.when.kind, values, ~awarded),
        end=None,
        applied=None,
        programme=np.zeros(n, dtype=np.int64),
        programmes=(name,),
        amount=None,
        score=None,
        awarded=awarded,
        has_applications=False,
        doses=doses,
    )


def on_grid(
    doses: Doses, ordinals: IntArray, place: IntArray, calendar: Calendar, n_firms: int
) -> FloatArray:
    """Return the doses of a panel's firms on its calendar, NaN where not known.

    Parameters
    ----------
    doses : Doses
    ordinals : (n_rows,)
        The rows' periods on the panel's calendar.
    place : (n_units,)
        Place of each unit of the table in the panel, -1 where it has none.

    Raises
    ------
    InputError
        EI-A20 when several rows fall into one period of the panel.
    """
    at = (ordinals - calendar.first) / calendar.step
    firm = place[doses.firm]
    inside = (firm >= 0) & (at == np.floor(at)) & (at >= 0) & (at < len(calendar.ordinals))
    cell = firm[inside] * len(calendar.ordinals) + at[inside].astype(np.int64)
    out = np.full(n_firms * len(calendar.ordinals), np.nan)
    if np.unique(cell).size < cell.size:
        raise InputError(
            "EI-A20",
            f"{cell.size - np.unique(cell).size:,} rows of the table of doses fall into a period "
            "of the panel in which their firm has a dose already; which one it received cannot be "
            f"told. Add doses up to one row per firm and {calendar.noun} of the panel.",
            count=int(cell.size - np.unique(cell).size),
        )
    out[cell] = doses.value[inside]
    return out.reshape(n_firms, len(calendar.ordinals))


def filled_before(dose: FloatArray, before: BoolArray) -> FloatArray:
    """Return doses with gaps before the first change closed where both sides are known.

    Parameters
    ----------
    dose : (n_firms, n_periods)
    before : (n_firms, n_periods) bool
        Periods before the firm's first change.
    """
    known = np.isfinite(dose) & before
    since = np.maximum.accumulate(known, axis=1)
    until = np.maximum.accumulate(known[:, ::-1], axis=1)[:, ::-1]
    first = np.where(known.any(axis=1), dose[np.arange(len(dose)), known.argmax(axis=1)], np.nan)
    return np.where(before & since & until & ~known, first[:, None], dose)


def already_supported(doses: Doses, place: IntArray, n_firms: int) -> BoolArray:
    """Return which of a panel's firms leave for a first known dose above 0, (n_firms,)."""
    if doses.already == "keep":
        return np.zeros(n_firms, dtype=bool)
    opens = np.flatnonzero(np.diff(doses.firm, prepend=-1) != 0)
    firms = place[doses.firm[opens[doses.value[opens] > 0]]]
    flag = np.zeros(n_firms, dtype=bool)
    flag[firms[firms >= 0]] = True
    return flag


def _first_doses(doses: Doses) -> FloatArray:
    """Return the first known dose of each row's firm, (n_rows,)."""
    opens = np.diff(doses.firm, prepend=-1) != 0
    return np.asarray(doses.value[opens][np.cumsum(opens) - 1])


def _starts(doses: Doses, n_units: int) -> IntArray:
    """Return the row of each unit's first change, or of a first dose that drops it; -1 for none."""
    first = _first_doses(doses)
    starts = np.flatnonzero((doses.value != first) | ((first > 0) & (doses.already == "drop")))
    found = np.full(n_units, -1, dtype=np.int64)
    units, at = np.unique(doses.firm[starts], return_index=True)
    found[units] = starts[at]
    return found


def _doses(column: Column, firms: RowNames, problems: list[Problem]) -> FloatArray:
    numeric = column.is_numeric
    value = column.numbers() if numeric else np.full(len(column.values), np.nan)
    bad = np.isinf(value) | (value < 0) if numeric else ~column.missing
    if bad.any():
        first, details = firms.first(bad)
        problems.append(
            Problem(
                "EI-A19",
                f"{details['count']:,} rows of {column.name!r} are no dose, the first for {first}: "
                f"doses are finite numbers of at least 0 (the column holds {column.example()!r}). "
                "Effects per unit of support would be divided by them. Convert with "
                "pandas.to_numeric, write 0 for no support, and leave what is not known missing.",
                {**details, "column": column.name},
            )
        )
    return value


def _periods(column: Column, firms: RowNames, problems: list[Problem]) -> Column | None:
    whole = column.whole()
    if column.kind == "date":
        when: Column | None = column
    else:
        when = None if whole is None else Column(column.name, "integer", whole, column.missing)
    bad = np.ones(len(column.values), dtype=bool) if when is None else column.missing
    if bad.any():
        first, details = firms.first(bad)
        problems.append(
            Problem(
                "EI-A22",
                f"{details['count']:,} rows of doses have no usable period in {column.name!r}, the "
                f"first for {first}; a dose without a period cannot be placed on a firm's path. "
                "Use whole numbers such as 2019, or dates, as in the panel, and drop rows without.",
                {**details, "column": column.name},
            )
        )
    return when


def _refuse_repeated(codes: IntArray, when: Column, firms: RowNames) -> None:
    order = np.lexsort((when.values, codes))
    same = (np.diff(codes[order]) == 0) & (when.values[order][1:] == when.values[order][:-1])
    if same.any():
        repeated = np.zeros(codes.size, dtype=bool)
        repeated[order[1:][same]] = True
        first, details = firms.first(repeated)
        raise InputError(
            "EI-A20",
            f"{details['count']:,} rows of the table of doses repeat a firm and period, the first "
            f"for {first}; which dose it received cannot be told. Add doses up to one row per firm "
            "and period.",
            **details,
        )
