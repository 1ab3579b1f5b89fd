"""From cells to rows: weights of the cells, and how rows move with estimated cohort sizes.

A row is a weighted mean of cells whose weights depend on cohort sizes p. Its influence function is
the weighted one of the cells plus, for every size p_g, d(row)/dp_g times the influence of p_g
(Callaway & Sant'Anna 2021, doi:10.1016/j.jeconom.2020.12.001, section 4). Because weights do not
change when all sizes are scaled, the centring of those influences cancels and need not be computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from exportimpact._typing import Aggregation, BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False, repr=False)
class CellIndex:
    """Which cell is which.

    Attributes
    ----------
    cohort, period, event_time : (n_cells,) calendar ordinals
    """

    cohort: IntArray
    period: IntArray
    event_time: IntArray

    def __len__(self) -> int:
        return int(self.cohort.size)


@dataclass(frozen=True, eq=False, repr=False)
class Rows:
    """Linear combinations of cells.

    Attributes
    ----------
    weights : (n_rows, n_cells)
        Weights of the cells; rows sum to 1.
    parts : tuple, one per row
        The size-weighted means that make up the row; empty where weights do not depend on sizes.
    keys : tuple
        Key of each row: event time, cohort, period, or None.
    """

    weights: FloatArray
    parts: tuple[tuple[Pooled, ...], ...]
    keys: tuple[int | None, ...]

    def used(self, n_columns: int) -> BoolArray:
        """Return which columns each row depends on by construction, (n_rows, n_columns).

        Not read off a gradient, where rounding decides what is zero.
        """
        used = np.zeros((len(self.parts), n_columns), dtype=bool)
        used[:, : self.weights.shape[1]] = self.weights != 0
        for row, parts in enumerate(self.parts):
            for part in parts:
                columns = np.unique(part.size_column)
                used[row, columns] |= columns.size > 1
        return used

    def size_gradient(self, values: FloatArray, n_sizes: int) -> FloatArray:
        """Return d(row)/d(size), (n_rows, n_sizes), at the cell values (n_cells,)."""
        gradient = np.zeros((len(self.parts), n_sizes))
        for row, parts in enumerate(self.parts):
            for part in parts:
                part.add_gradient(gradient[row], values)
        return gradient


@dataclass(frozen=True, eq=False, repr=False)
class Pooled:
    """One weighted mean inside a row: units u (cells or cohort means) weighted by their sizes.

    Attributes
    ----------
    share : float
        Weight of this mean in the row.
    means : (n_units, n_cells)
        Each unit as a mean of cells.
    size : (n_units,)
        Size of each unit.
    size_column : (n_units,)
        Column of the influence of that size.
    """

    share: float
    means: FloatArray
    size: FloatArray
    size_column: IntArray

    @property
    def weights(self) -> FloatArray:
        """Weights of the cells in the row, (n_cells,)."""
        weights: FloatArray = self.share * (self.size / self.size.sum()) @ self.means
        return weights

    def add_gradient(self, out: FloatArray, values: FloatArray) -> None:
        """Add d(row)/d(size) to `out`, (n_sizes,)."""
        units = self.means @ values
        total = self.size.sum()
        centre = (self.size / total) @ units
        np.add.at(out, self.size_column, self.share * (units - centre) / total)


@dataclass(frozen=True, eq=False, repr=False)
class Sizes:
    """Size of the supported side of each cell, and the column of that size's influence."""

    value: FloatArray
    column: IntArray


def identity(index: CellIndex) -> Rows:
    """Return the rows that are the cells themselves."""
    n = len(index)
    return Rows(np.eye(n), tuple(() for _ in range(n)), tuple(range(n)))


def aggregate(
    kind: Aggregation, index: CellIndex, sizes: Sizes, *, kept: BoolArray | None = None
) -> Rows:
    """Return the rows of an aggregation over the cells that are `kept`."""
    keep = np.ones(len(index), dtype=bool) if kept is None else kept
    return _ROWS[kind](index, sizes, keep)


def overall(
    kind: Aggregation, index: CellIndex, sizes: Sizes, *, kept: BoolArray | None = None
) -> Rows:
    """Return the one-row summary of an aggregation: post-support cells only."""
    keep = np.ones(len(index), dtype=bool) if kept is None else kept
    keep = keep & (index.event_time >= 0)
    if kind in {"cell", "simple"}:
        return _simple(index, sizes, keep)
    if kind == "cohort":
        cohorts = np.unique(index.cohort[keep])
        means = np.stack([_mean_of(keep & (index.cohort == g)) for g in cohorts])
        first = [int(np.flatnonzero(keep & (index.cohort == g))[0]) for g in cohorts]
        part = Pooled(1.0, means, sizes.value[first], sizes.column[first])
        return _rows([(part,)], [None])
    rows = _ROWS[kind](index, sizes, keep)
    return plain_mean(rows, range(len(rows.keys)))


def plain_mean(rows: Rows, chosen: Sequence[int]) -> Rows:
    """Return the row that is the plain mean of the `chosen` ones, which pool cells by size."""
    share = 1.0 / len(chosen)
    parts = tuple(
        Pooled(p.share * share, p.means, p.size, p.size_column)
        for row in chosen
        for p in rows.parts[row]
    )
    return _rows([parts], [None])


def _simple(index: CellIndex, sizes: Sizes, keep: BoolArray) -> Rows:
    return _rows([(_pooled(keep & (index.event_time >= 0), sizes),)], [None])


def _by_event_time(index: CellIndex, sizes: Sizes, keep: BoolArray) -> Rows:
    return _by(index.event_time, sizes, keep)


def _by_period(index: CellIndex, sizes: Sizes, keep: BoolArray) -> Rows:
    return _by(index.period, sizes, keep & (index.event_time >= 0))


def _by(label: IntArray, sizes: Sizes, keep: BoolArray) -> Rows:
    keys = [int(k) for k in np.unique(label[keep])]
    return _rows([(_pooled(keep & (label == k), sizes),) for k in keys], keys)


def _by_cohort(index: CellIndex, sizes: Sizes, keep: BoolArray) -> Rows:
    keep = keep & (index.event_time >= 0)
    cohorts = [int(g) for g in np.unique(index.cohort[keep])]
    weights = np.stack([_mean_of(keep & (index.cohort == g)) for g in cohorts])
    return Rows(weights, tuple(() for _ in cohorts), tuple(cohorts))


def _pooled(chosen: BoolArray, sizes: Sizes) -> Pooled:
    cells = np.flatnonzero(chosen)
    return Pooled(1.0, np.eye(chosen.size)[cells], sizes.value[cells], sizes.column[cells])


def _mean_of(chosen: BoolArray) -> FloatArray:
    weights: FloatArray = chosen / chosen.sum()
    return weights


def _rows(parts: list[tuple[Pooled, ...]], keys: list[int] | list[None]) -> Rows:
    weights = np.stack([np.sum([p.weights for p in row], axis=0) for row in parts])
    return Rows(weights, tuple(parts), tuple(keys))


_ROWS: dict[Aggregation, Callable[[CellIndex, Sizes, BoolArray], Rows]] = {
    "simple": _simple,
    "event_time": _by_event_time,
    "cohort": _by_cohort,
    "calendar": _by_period,
}
