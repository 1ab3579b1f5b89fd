"""What can be wrong with a panel's columns: each check returns problems, and nothing is raised.

Every problem has a code, the count, an example firm, why it matters, and the fix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from exportimpact._typing import AnyArray, BoolArray, FloatArray, IntArray
from exportimpact.core.outcome import Outcome
from exportimpact.data.calendar import Calendar
from exportimpact.data.identifiers import confusable, plain, shown
from exportimpact.data.reading import Column
from exportimpact.errors import Problem


@dataclass(frozen=True, eq=False)
class Rows:
    """Which firm and period each row of the frame belongs to.

    Attributes
    ----------
    unit, period : str
        Names of the two columns.
    units : array of shape (n_firms,)
        Firm ids, sorted.
    firm, ordinal : IntArray of shape (n_rows,)
        Place of the row's firm (-1: missing) and its period's ordinal.
    dated : BoolArray of shape (n_rows,)
        Whether the row has a period.
    calendar : Calendar or None
        None when the periods cannot be used.
    """

    unit: str
    period: str
    units: AnyArray
    firm: IntArray
    ordinal: IntArray
    dated: BoolArray
    calendar: Calendar | None

    @property
    def noun(self) -> str:
        """Firm-years, firm-quarters, firm-months or firm-periods."""
        return f"firm-{self.calendar.noun if self.calendar else 'period'}s"

    def first(self, mask: BoolArray) -> tuple[str, dict[str, Any]]:
        """Return the first firm and period among the rows of `mask`, in words and as details."""
        rows = np.flatnonzero(mask)
        count = {"count": len(rows)}
        known = rows[(self.firm[rows] >= 0) & self.dated[rows]]
        if self.calendar is None or not len(known):
            row = int(rows[0])
            if self.firm[row] < 0:
                return f"row {row + 1}", {**count, "row": row}
            firm = plain(self.units[self.firm[row]])
            return f"firm {firm} (row {row + 1})", {**count, "firm": firm, "row": row}
        at = known[np.lexsort((self.ordinal[known], self.firm[known]))[0]]
        firm = plain(self.units[self.firm[at]])
        label = self.calendar.label(int(self.ordinal[at]))
        return f"firm {firm} in {label}", {**count, "firm": firm, "period": label}

    def problem(self, code: str, mask: BoolArray, text: str, column: str) -> Iterator[Problem]:
        """Yield a problem when `mask` is true anywhere; `text` names {n}, {rows} and {first}."""
        if not mask.any():
            return
        first, details = self.first(mask)
        n = f"{details['count']:,} of {len(mask):,} rows"
        yield Problem(code, text.format(n=n, first=first), {**details, "column": column})


def check_ids(column: Column, rows: Rows) -> Iterator[Problem]:
    """Missing ids (EI-P05) and ids that look like one firm twice (EI-P15)."""
    yield from rows.problem(
        "EI-P05",
        rows.firm < 0,
        f"{{n}} have no firm id in {column.name!r}; the first is {{first}}. They cannot be "
        "followed over time. Fill in the id, or drop these rows.",
        column.name,
    )
    pairs = confusable(rows.units)
    if pairs:
        yield Problem(
            "EI-P15",
            f"{len(pairs):,} firm ids in {column.name!r} differ from another one only by leading "
            f"zeros, case or spaces; the first pair is {shown(pairs)}. One firm would count as "
            "two, each with half a history. Write every firm's id in one way.",
            {"column": column.name, "count": len(pairs), "firm": pairs[0][1], "pair": pairs[0]},
        )


def unusable_ids(column: Column) -> Problem:
    """EI-P22: a type that cannot identify firms."""
    held = {
        "float": "numbers with fractions",
        "boolean": "truth values",
        "date": "dates",
    }.get(column.kind, "a mixture of types")
    return Problem(
        "EI-P22",
        f"The firm ids in {column.name!r} are {held} (such as {column.example()!r}); the rows of "
        "one firm cannot be told from those of another. Use whole numbers or text, for example "
        f"frame[{column.name!r}].astype(str).",
        {"column": column.name, "kind": column.kind},
    )


def check_periods(column: Column, rows: Rows) -> Iterator[Problem]:
    """EI-P06: rows without a period."""
    yield from rows.problem(
        "EI-P06",
        ~rows.dated,
        f"{{n}} have no period in {column.name!r}; the first is {{first}}. They belong to no point "
        "in time. Fill in the period, or drop these rows.",
        column.name,
    )


def check_outcome(outcome: Outcome, column: Column, rows: Rows) -> Iterator[Problem]:
    """Type, infinite values, emptiness and the range of the outcome's scale."""
    name = outcome.source
    if not column.is_numeric:
        yield Problem(
            "EI-P23",
            f"The outcome {outcome.name!r} is not numeric: column {name!r} holds {column.kind} "
            f"values such as {column.example()!r}, which have no mean. Convert first: "
            f"frame[{name!r}] = pandas.to_numeric(frame[{name!r}]).",
            {"column": name, "outcome": outcome.name},
        )
        return
    values = column.numbers()
    yield from check_finite(name, "outcome", values, rows)
    usable = values > 0 if outcome.scale == "log" else ~np.isnan(values)
    if not usable.any():
        what = (
            "positive value, so its log is defined nowhere" if outcome.scale == "log" else "value"
        )
        yield Problem(
            "EI-P09",
            f"The outcome {outcome.name!r} has no {what}: all {len(values):,} rows of column "
            f"{name!r} fall out, and nothing can be estimated. Check the column and its unit, or "
            "leave the outcome out.",
            {"column": name, "outcome": outcome.name, "count": len(values)},
        )
    if outcome.scale in ("binary", "count"):
        yield from rows.problem(
            "EI-P24",
            values < 0,
            f"{{n}} of column {name!r} are negative, the first for {{first}}; the outcome "
            f"{outcome.name!r} is a {outcome.scale}, which has no negative values. Correct them, "
            'or use scale="level".',
            name,
        )
    if outcome.scale == "share":
        yield from rows.problem(
            "EI-P25",
            (values < 0) | (values > 1),
            f"{{n}} of column {name!r} lie outside 0 to 1, the first for {{first}}; the outcome "
            f"{outcome.name!r} is a share, and its effect is read in percentage points. Divide "
            'percentages by 100, or use scale="level".',
            name,
        )


def check_finite(name: str, what: str, values: FloatArray, rows: Rows) -> Iterator[Problem]:
    """EI-P08: infinite values."""
    yield from rows.problem(
        "EI-P08",
        np.isinf(values),
        f"{{n}} of the {what} {name!r} are infinite, the first for {{first}}; one of them makes "
        "every mean infinite. They usually come from log(0) or a division by 0: replace them by "
        'missing values, or give the column before the log and use scale="log".',
        name,
    )


def check_covariate(column: Column, rows: Rows, missing_is_error: bool) -> Iterator[Problem]:
    """Type, infinite and missing values of a baseline covariate."""
    name = column.name
    if column.kind in ("date", "other"):
        yield Problem(
            "EI-P30",
            f"The baseline covariate {name!r} holds "
            f"{'dates' if column.kind == 'date' else 'a mixture of types'} (such as "
            f"{column.example()!r}), which cannot be adjusted for. Use numbers, truth values or "
            "text; for a founding date, the age in years.",
            {"column": name, "kind": column.kind},
        )
        return
    if column.is_numeric:
        yield from check_finite(name, "baseline covariate", column.numbers(), rows)
    if missing_is_error and column.missing.any():
        firms = len(np.unique(rows.firm[column.missing]))
        first, details = rows.first(column.missing)
        yield Problem(
            "EI-P11",
            f"{firms:,} of {len(rows.units):,} firms lack the baseline covariate {name!r} in "
            f"{details['count']:,} of their {rows.noun}; the first is {first}. A firm without it "
            "cannot be compared with firms like it. Fill it in, leave it out of baseline=, or pass "
            'missing_baseline="drop", which moves these firms to the sample account.',
            {**details, "column": name, "firms": firms},
        )


def check_weight(column: Column, rows: Rows) -> Iterator[Problem]:
    """EI-P18: weights that are not positive numbers."""
    name = column.name
    if not column.is_numeric:
        bad = np.ones(len(column.values), dtype=bool)
    else:
        values = column.numbers()
        bad = ~(np.isfinite(values) & (values > 0))
    yield from rows.problem(
        "EI-P18",
        bad,
        f"{{n}} have no positive, finite weight in {name!r}; the first is {{first}}. A weight says "
        "how many firms a firm stands for. Fill it in, or drop firms that stand for none.",
        name,
    )


def check_cluster(column: Column, rows: Rows, codes: IntArray) -> Iterator[Problem]:
    """EI-P19: a cluster that is missing or changes within a firm."""
    name = column.name
    yield from rows.problem(
        "EI-P19",
        codes < 0,
        f"{{n}} have no cluster in {name!r}; the first is {{first}}. Standard errors need to know "
        "which firms share their fate. Fill it in.",
        name,
    )
    known = (codes >= 0) & (rows.firm >= 0)
    highest = np.full(len(rows.units), -1, dtype=np.int64)
    np.maximum.at(highest, rows.firm[known], codes[known])
    changes = known & (codes != highest[rows.firm])
    if changes.any():
        firms = len(np.unique(rows.firm[changes]))
        first, details = rows.first(changes)
        yield Problem(
            "EI-P19",
            f"The cluster {name!r} changes over time within {firms:,} of {len(rows.units):,} "
            f"firms; the first is {first}. A firm in two clusters makes both dependent, and "
            "standard errors would be too small. Use the cluster of the firm's first period "
            "throughout.",
            {**details, "count": firms, "column": name},
        )


def check_exit(column: Column, rows: Rows) -> Iterator[Problem]:
    """EI-P16: an exit column that is not a yes/no mark; missing means no."""
    if column.kind in ("boolean", "empty"):
        return
    if column.is_numeric and set(np.unique(column.numbers()[~column.missing])) <= {0.0, 1.0}:
        return
    yield Problem(
        "EI-P16",
        f"The exit column {column.name!r} is not a yes/no mark: it holds {column.kind} values "
        f"such as {column.example()!r}. It has to be true in the last {rows.noun[5:-1]} of a "
        "firm's life only, since that decides which firms count as zeros afterwards. From a "
        f"column with the year of exit: frame[{column.name!r}] = frame[{rows.period!r}] == "
        f"frame[{column.name!r}].",
        {"column": column.name, "kind": column.kind},
    )


def check_life(rows: Rows, exit_ordinal: FloatArray, column: str) -> Iterator[Problem]:
    """EI-P17: rows after the declared exit."""
    known = rows.firm >= 0
    after = np.zeros(len(rows.firm), dtype=bool)
    after[known] = rows.ordinal[known] > exit_ordinal[rows.firm[known]]
    yield from rows.problem(
        "EI-P17",
        after & rows.dated,
        f"{{n}} come after their firm's declared exit ({column!r}); the first is {{first}}. The "
        "package fills the time after an exit itself, and would contradict these rows. Mark the "
        "last row of life only, and drop rows after it.",
        column,
    )


def check_varies(name: str, values: FloatArray) -> Iterator[Problem]:
    """EI-P14: a covariate that is the same for all firms in every period."""
    low, high = np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)
    if bool(np.all((low == high) | np.isnan(low))) and not bool(np.isnan(low).all()):
        value = low[~np.isnan(low)][0]
        yield Problem(
            "EI-P14",
            f"The baseline covariate {name!r} is constant over firms (for example {value:g} for "
            f"all {len(values):,} of them in the first period); it cannot tell firms apart and "
            "would make the adjustment singular. Remove it from baseline=.",
            {"column": name, "count": len(values)},
        )
