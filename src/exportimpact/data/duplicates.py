"""Rows of one firm and period that repeat: refused, or made one by a declared rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from exportimpact._typing import BoolArray, FloatArray, IntArray
from exportimpact.core.outcome import Outcome
from exportimpact.data.reading import Column
from exportimpact.data.validation import Rows
from exportimpact.errors import Problem

ADDITIVE = ("level", "count")


@dataclass(frozen=True, eq=False)
class Duplicates:
    """How rows go to the grid.

    Attributes
    ----------
    shape : (n_firms, n_periods)
    cells : IntArray of shape (n_rows,)
        Each row's cell of the flattened grid.
    keep : IntArray or None
        The one row per cell that is kept; None when no cell repeats.
    observed : BoolArray of shape (n_firms, n_periods)
    extra : int
        Rows that went into another one or were left out.
    summed : bool
        Whether outcomes of repeated rows are added up.
    """

    shape: tuple[int, int]
    cells: IntArray
    keep: IntArray | None
    observed: BoolArray = field(repr=False)
    extra: int = 0
    summed: bool = False

    def spread(self, values: FloatArray) -> FloatArray:
        """Return row values on the grid, NaN where there is no row."""
        grid = np.full(self.shape[0] * self.shape[1], np.nan)
        if self.keep is None:
            grid[self.cells] = values
        else:
            grid[self.cells[self.keep]] = values[self.keep]
        return grid.reshape(self.shape)

    def numbers(self, column: Column) -> FloatArray:
        """Return a numeric column on the grid."""
        return self.spread(column.numbers())

    def outcome(self, column: Column) -> FloatArray:
        """Return an outcome's column on the grid, added up when so declared.

        A missing value among the added makes the sum missing: the total is not known.
        """
        if not self.summed:
            return self.numbers(column)
        size = self.shape[0] * self.shape[1]
        grid = np.bincount(self.cells, weights=column.numbers(), minlength=size)
        return np.where(self.observed, grid.reshape(self.shape), np.nan)


def resolve_duplicates(
    rows: Rows, table: Mapping[str, Column], outcomes: Sequence[Outcome], rule: str
) -> tuple[Duplicates, list[Problem]]:
    """Return how rows go to the grid, and what stands against the declared rule.

    ``"first"`` and ``"last"`` follow the order of the frame's rows; ``"sum"`` adds outcomes of
    scale level or count and asks that everything else agrees.
    """
    assert rows.calendar is not None
    calendar = rows.calendar
    shape = (len(rows.units), len(calendar.ordinals))
    cells = rows.firm * shape[1] + calendar.places(rows.ordinal)
    counts = np.bincount(cells, minlength=shape[0] * shape[1])
    observed = (counts > 0).reshape(shape)
    extra = int(len(cells) - observed.sum())
    if extra == 0:
        return Duplicates(shape, cells, None, observed), []
    repeated = counts > 1
    if rule == "error":
        first, details = rows.first(repeated[cells])
        n = int(repeated.sum())
        problem = Problem(
            "EI-P07",
            f"{n:,} of {int(observed.sum()):,} {rows.noun} repeat ({rows.unit}, {rows.period}); "
            f"the first is {first}. Effects would count these firms twice. Aggregate first, or "
            'pass duplicates="sum".',
            {**details, "count": n},
        )
        return Duplicates(shape, cells, None, observed, extra), [problem]
    order = np.arange(len(cells)) if rule != "last" else np.arange(len(cells))[::-1]
    keep = np.sort(order[np.unique(cells[order], return_index=True)[1]])
    merged = Duplicates(shape, cells, keep, observed, extra, rule == "sum")
    problems = _not_summable(merged, rows, table, outcomes) if rule == "sum" else []
    return merged, problems


def _not_summable(
    merged: Duplicates, rows: Rows, table: Mapping[str, Column], outcomes: Sequence[Outcome]
) -> list[Problem]:
    """EI-P27: a scale that cannot be added up, or other columns that disagree."""
    problems = []
    additive = {o.source for o in outcomes if o.scale in ADDITIVE}
    refused = [o for o in outcomes if o.source not in additive]
    for outcome in refused:
        problems.append(
            Problem(
                "EI-P27",
                f'{merged.extra:,} rows repeat, and duplicates="sum" cannot add up the outcome '
                f"{outcome.name!r} of scale {outcome.scale!r}: a sum of such values means nothing. "
                f'Aggregate first, or declare column {outcome.source!r} as a "level" or "count" '
                "too.",
                {"column": outcome.source, "outcome": outcome.name, "count": merged.extra},
            )
        )
    sources = {o.source for o in outcomes} | {rows.unit, rows.period}
    for name in table.keys() - sources:
        problems += _disagreement(merged, rows, table[name])
    return sorted(problems, key=lambda p: str(p.details["column"]))


def _disagreement(merged: Duplicates, rows: Rows, column: Column) -> list[Problem]:
    assert merged.keep is not None
    kept = np.empty(merged.shape[0] * merged.shape[1], dtype=np.int64)
    kept[merged.cells[merged.keep]] = merged.keep
    twin = kept[merged.cells]
    differs = column.missing != column.missing[twin]
    there = ~column.missing & ~column.missing[twin]
    differs[there] = column.values[there] != column.values[twin[there]]
    return list(
        rows.problem(
            "EI-P27",
            differs,
            f"{{n}} disagree on {column.name!r} with the row of the same firm and period, the "
            'first for {first}; duplicates="sum" adds outcomes and cannot choose between the '
            "two. Aggregate first.",
            column.name,
        )
    )
