"""Rows of support: who was awarded what, from when to when, and who applied in vain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from exportimpact._typing import Already, AnyArray, BoolArray, FloatArray, IntArray
from exportimpact.data.calendar import is_out_of_calendar
from exportimpact.data.identifiers import Identifiers, identify, plain
from exportimpact.data.reading import Column, FrameCodes, read_columns
from exportimpact.errors import ColumnError, InputError, Problem, raise_problems

CODES = FrameCodes("EI-A01", "EI-A03", "EI-A18")
ANY_PROGRAMME = "support"


@dataclass(frozen=True, kw_only=True)
class SpellColumns:
    """Which columns of the table of support play which part."""

    unit: str
    start: str
    programme: str | None = None
    amount: str | None = None
    end: str | None = None
    applied: str | None = None
    score: str | None = None
    awarded: str | None = None

    @property
    def named(self) -> list[str]:
        """Every column that is read."""
        return [name for name in vars(self).values() if name is not None]


@dataclass(frozen=True, eq=False)
class Doses:
    """Known doses, sorted by firm and period.

    Attributes
    ----------
    firm : (n_rows,) place among the units of the table
    when : Column
    value : (n_rows,)
    already : {"drop", "keep"}
        What becomes of firms whose first known dose is above 0.
    """

    firm: IntArray
    when: Column
    value: FloatArray
    already: Already


@dataclass(frozen=True, eq=False, kw_only=True)
class Spells:
    """Checked rows of support, before any calendar.

    Attributes
    ----------
    unit : str
        Name of the id column.
    units, firm
        Distinct firm ids, and each row's place among them.
    start, end, applied : Column or None
        Whole numbers or dates. A missing end means that support still runs.
    programme, programmes
        Each row's programme as its place in `programmes`.
    amount, score : FloatArray or None
        NaN where not reported.
    awarded : BoolArray of shape (n_rows,)
        Whether the row is an award.
    has_applications : bool
        Whether rows say if they were awarded, so that rejected firms are known.
    lasting : bool
        Whether only first periods are known, so that support is taken to last.
    doses : Doses or None
        How much support in which period, where the table says so; spells then start at the first
        change.
    """

    unit: str
    units: AnyArray
    firm: IntArray
    start: Column
    end: Column | None
    applied: Column | None
    programme: IntArray
    programmes: tuple[str, ...]
    amount: FloatArray | None
    score: FloatArray | None
    awarded: BoolArray
    has_applications: bool
    lasting: bool = False
    doses: Doses | None = None


def read_spells(frame: Any, columns: SpellColumns) -> Spells:
    """Return checked spells, or raise everything that is wrong with them together."""
    table, _, problems = read_columns(frame, columns.named, "table of support", CODES)
    ids = read_ids(table.get(columns.unit), problems)
    raise_found(problems, only_if_missing=True)
    firm = RowNames(columns.unit, ids)
    awarded = _awarded(table.get(columns.awarded or ""), table[columns.start], firm, problems)
    start = read_when(table[columns.start], firm, problems, "drop the row: it is not an award")
    end = _optional_when(table, columns.end, firm, problems, "make it missing: support still runs")
    applied = _optional_when(table, columns.applied, firm, problems, "make it missing")
    if start is not None:
        needs = start.missing & (awarded | (applied is None or applied.missing))
        problems += _without_period(start, needs, firm)
        problems += _ends_before_start(start, end, firm)
    codes, names = _programmes(table.get(columns.programme or ""), firm, problems)
    amount = _numbers(table.get(columns.amount or ""), firm, problems, "EI-A10", negative=False)
    score = _numbers(table.get(columns.score or ""), firm, problems, "EI-A17", negative=True)
    if not problems and not awarded.any():
        problems.append(nobody_supported(columns.start))
    raise_found(problems)
    assert ids is not None
    assert start is not None
    return Spells(
        unit=columns.unit,
        units=ids.units,
        firm=ids.codes,
        start=start,
        end=end,
        applied=applied,
        programme=codes,
        programmes=names,
        amount=amount,
        score=score,
        awarded=awarded,
        has_applications=columns.awarded is not None,
    )


def raise_found(problems: list[Problem], *, only_if_missing: bool = False) -> None:
    """Raise; a missing column alone is a ColumnError."""
    absent = [p for p in problems if p.code in (CODES.no_column, CODES.repeated_column)]
    if only_if_missing and not absent:
        return
    if len(problems) == 1 and problems[0].code == CODES.no_column:
        raise ColumnError(problems[0].code, problems[0].message, **problems[0].details)
    raise_problems(problems)


def read_ids(column: Column | None, problems: list[Problem]) -> Identifiers | None:
    """Return firm ids; EI-A04 when some are missing or the type is of no use."""
    if column is None:
        return None
    ids = identify(column)
    if len(column.values) == 0:
        raise InputError(
            "EI-A02",
            "The table of support has no rows, so no firm is supported and there is no effect to "
            "estimate. Check the filter or the file that it came from.",
            count=0,
        )
    if ids is None or (ids.codes < 0).any():
        n = len(column.values) if ids is None else int((ids.codes < 0).sum())
        problems.append(
            Problem(
                "EI-A04",
                f"{n:,} of {len(column.values):,} rows of support have no usable firm id in "
                f"{column.name!r} (an example: {column.example()!r}); their support would go "
                "unnoticed and the firms would count as comparison firms. Use whole numbers or "
                "text, as in the panel.",
                {"column": column.name, "count": n},
            )
        )
    return ids


@dataclass(frozen=True, eq=False)
class RowNames:
    """Names the firm of a row in messages."""

    unit: str
    ids: Identifiers | None

    def first(self, rows: BoolArray) -> tuple[str, dict[str, Any]]:
        """Return the first firm among the marked rows, in words and as details."""
        at = int(np.flatnonzero(rows)[0])
        details: dict[str, Any] = {"count": int(rows.sum()), "row": at}
        if self.ids is None or self.ids.codes[at] < 0:
            return f"row {at + 1}", details
        firm = plain(self.ids.units[self.ids.codes[at]])
        return f"firm {firm}", {**details, "firm": firm}


def read_when(
    column: Column, firms: RowNames, problems: list[Problem], never: str
) -> Column | None:
    """Return a period column as whole numbers or dates; EI-A06 and EI-A07."""
    if column.kind == "empty":
        blank = np.zeros(len(column.values), dtype=np.int64)
        return Column(column.name, "integer", blank, column.missing)
    infinite = np.isinf(column.values) if column.kind == "float" else np.zeros(1, dtype=bool)
    if infinite.any():
        problems.append(_sentinel(column, infinite & ~column.missing, firms, never))
        return None
    whole = column.whole()
    if whole is None and column.kind != "date":
        problems.append(
            Problem(
                "EI-A06",
                f"Column {column.name!r} holds {_held(column)} (such as {column.example()!r}), "
                "which is no period; a firm's support could not be placed in time. Use whole "
                "numbers such as 2019, or dates (pandas.to_datetime), as in the panel.",
                {"column": column.name, "kind": column.kind},
            )
        )
        return None
    when = column if whole is None else Column(column.name, "integer", whole, column.missing)
    odd = is_out_of_calendar(when.values) & ~when.missing
    if odd.any():
        problems.append(_sentinel(when, odd, firms, never))
        return None
    return when


def _held(column: Column) -> str:
    named = {"text": "text", "float": "numbers with fractions", "boolean": "truth values"}
    return named.get(column.kind, "a mixture of types")


def _sentinel(column: Column, odd: BoolArray, firms: RowNames, never: str) -> Problem:
    first, details = firms.first(odd)
    values = [plain(v) for v in np.unique(column.values[odd])[:3]]
    shown = ", ".join(str(v) for v in values)
    example = str(values[0]) if column.kind == "integer" else f'float("{values[0]}")'
    if column.kind == "date":
        example = f'pandas.Timestamp("{values[0]}")'
    name = column.name
    return Problem(
        "EI-A07",
        f"{details['count']:,} rows of {name!r} hold {shown}, the first for {first}: no real "
        "period, but a stand-in for never (or not yet known). Read as a period, these firms would "
        f"move to the wrong group. Never is pd.NA: frame[{name!r}] = frame[{name!r}].mask("
        f"frame[{name!r}] == {example}, pd.NA); then {never}.",
        {**details, "column": name, "values": tuple(values)},
    )


def _optional_when(
    table: dict[str, Column], name: str | None, firms: RowNames, problems: list[Problem], never: str
) -> Column | None:
    return None if name is None else read_when(table[name], firms, problems, never)


def _awarded(
    column: Column | None, start: Column, firms: RowNames, problems: list[Problem]
) -> BoolArray:
    if column is None:
        return np.ones(len(start.values), dtype=bool)
    yes_no = column.kind == "boolean" or (
        column.is_numeric and set(np.unique(column.numbers()[~column.missing])) <= {0.0, 1.0}
    )
    if yes_no and not column.missing.any():
        return np.asarray(column.numbers() == 1.0)
    bad = column.missing if yes_no else np.ones(len(column.values), dtype=bool)
    first, details = firms.first(bad)
    problems.append(
        Problem(
            "EI-A09",
            f"{details['count']:,} rows of {column.name!r} are neither yes nor no, the first for "
            f"{first} ({column.example()!r} is an example of what the column holds); a firm would "
            "be taken as supported or rejected at random. Use True and False, and drop pending "
            "applications.",
            {**details, "column": column.name},
        )
    )
    return np.ones(len(start.values), dtype=bool)


def _without_period(start: Column, needs: BoolArray, firms: RowNames) -> Iterator[Problem]:
    if needs.any():
        first, details = firms.first(needs)
        yield Problem(
            "EI-A05",
            f"{details['count']:,} rows of support have no period in {start.name!r}, the first for "
            f"{first}; a row is an award unless awarded= says no, and an award without a period "
            "belongs to no cohort. Fill it in, or drop the rows of firms that were never "
            "supported.",
            {**details, "column": start.name},
        )


def _ends_before_start(start: Column, end: Column | None, firms: RowNames) -> Iterator[Problem]:
    if end is None:
        return
    if end.kind != start.kind and not end.missing.all():
        yield Problem(
            "EI-A06",
            f"Column {end.name!r} holds {end.kind}s and {start.name!r} holds {start.kind}s; how "
            "long support lasted cannot be told. Give both in the same form.",
            {"column": end.name, "kind": end.kind},
        )
        return
    both = ~start.missing & ~end.missing
    wrong = np.zeros(len(both), dtype=bool)
    wrong[both] = end.values[both] < start.values[both]
    if wrong.any():
        first, details = firms.first(wrong)
        yield Problem(
            "EI-A08",
            f"{details['count']:,} spells end ({end.name!r}) before they start ({start.name!r}), "
            f"the first for {first}; the supported periods cannot be told. Correct the two "
            "columns.",
            {**details, "column": end.name},
        )


def _programmes(
    column: Column | None, firms: RowNames, problems: list[Problem]
) -> tuple[IntArray, tuple[str, ...]]:
    if column is None:
        return np.zeros(len(firms.ids.codes) if firms.ids else 0, dtype=np.int64), (ANY_PROGRAMME,)
    names = np.array(["" if m else str(v).strip() for v, m in _pairs(column)], dtype=object)
    blank = names == ""
    if blank.any():
        first, details = firms.first(blank)
        problems.append(
            Problem(
                "EI-A11",
                f"{details['count']:,} rows of support name no programme in {column.name!r}, the "
                f"first for {first}; the support could be counted for the wrong programme. Fill it "
                'in, for example with "unknown".',
                {**details, "column": column.name},
            )
        )
    distinct, codes = np.unique(names.astype(str), return_inverse=True)
    return codes.astype(np.int64), tuple(str(name) for name in distinct)


def _pairs(column: Column) -> Iterator[tuple[object, bool]]:
    yield from zip(column.values.tolist(), column.missing.tolist(), strict=True)


def _numbers(
    column: Column | None, firms: RowNames, problems: list[Problem], code: str, *, negative: bool
) -> FloatArray | None:
    if column is None:
        return None
    if not column.is_numeric:
        bad = np.ones(len(column.values), dtype=bool)
        values = np.full(len(bad), np.nan)
    else:
        values = column.numbers()
        bad = np.isinf(values) | (False if negative else values < 0)
    if bad.any():
        first, details = firms.first(bad)
        needed = "finite numbers" if negative else "finite numbers of at least 0"
        problems.append(
            Problem(
                code,
                f"{details['count']:,} rows of {column.name!r} are not {needed}, the first for "
                f"{first} (such as {column.example()!r}); sums and orders of them mean nothing. "
                f"Convert with pandas.to_numeric, and leave what is not known missing.",
                {**details, "column": column.name},
            )
        )
    return values


def nobody_supported(name: str) -> Problem:
    """EI-A02: a table without an award."""
    return Problem(
        "EI-A02",
        f"No row of the table of support is an award (column {name!r}), so no firm is supported "
        "and there is no effect to estimate. Check awarded= and the filter that the table came "
        "from.",
        {"count": 0, "column": name},
    )
