"""The nearest slots of many treated units at once, by a tree or by blocks of matrix products.

`Tree` is for few coordinates (cKDTree: Maneewongvatana & Mount 1999, arXiv:cs/9901013). `Blocks` is
for many coordinates and for windows: squared distances are |x|^2 + |y|^2 - 2xy, one matrix product
for a block of treated units beside the comparison units that their windows leave. The product
only preselects: a bound of its rounding error is added to the threshold, and distances are computed
again from the coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy

from exportimpact._typing import AnyArray, BoolArray, FloatArray, IntArray
from exportimpact.numerics.pairing_problem import PairingProblem, Stock, sort_key

_TREE_COORDINATES = 8
_BLOCK_CELLS = 1_000_000
_BLOCK_ROWS = 128
_STRIDE = 8
_SAMPLED_FROM = 2048


@dataclass(frozen=True, eq=False)
class Near:
    """The nearest allowed slots of some treated units, row by row.

    Attributes
    ----------
    offset : (n_rows + 1,)
        Where each row begins in `slot` and `distance`.
    slot : (n_listed,)
    distance : (n_listed,), increasing within a row
    reach : (n_rows,)
        Every allowed slot nearer than this is listed: infinite where all of them are.
    """

    offset: IntArray
    slot: IntArray
    distance: FloatArray
    reach: FloatArray

    @property
    def row(self) -> IntArray:
        """The row of each entry, (n_listed,)."""
        return np.repeat(np.arange(self.reach.size), np.diff(self.offset))


class Searcher(Protocol):
    """What lists the nearest slots."""

    def refresh(self, alive: BoolArray) -> None:
        """Leave out slots from now on; `alive` is (n_slots,)."""

    def near(self, units: IntArray, count: int) -> Near:
        """List about the `count` nearest slots, or more, of each treated unit."""


def searcher_of(problem: PairingProblem, stock: Stock) -> Searcher:
    """Return the searcher that suits a problem."""
    plain = not problem.windows and not problem.different
    if plain and problem.treated.shape[1] <= _TREE_COORDINATES:
        return Tree(problem, stock)
    return Blocks(problem, stock)


class Tree:
    """Slots in a k-d tree. One more coordinate puts strata too far apart to meet."""

    def __init__(self, problem: PairingProblem, stock: Stock) -> None:
        treated, slots = problem.treated, problem.comparison[stock.first]
        both = np.concatenate([treated, slots])
        diameter = float(np.sqrt((np.ptp(both, axis=0) ** 2).sum()))
        self._bound = min(problem.limit, diameter + problem.slack.absolute) * (1 + 1e-6)
        # Squares must not underflow where all coordinates are zero.
        self._bound = max(self._bound, 1e-100)
        stratum1, stratum0 = problem.strata
        codes = np.unique(np.concatenate([stratum1, stratum0]), return_inverse=True)[1]
        if codes.any():
            apart = codes * (4 * self._bound)
            treated = np.column_stack([treated, apart[: len(treated)]])
            slots = np.column_stack([slots, apart[len(treated) :][stock.first]])
        self._limit = problem.limit
        self._treated, self._slots = treated, slots
        self.refresh(np.ones(len(slots), dtype=bool))

    def refresh(self, alive: BoolArray) -> None:
        """Build the tree of the slots that are left."""
        self._alive = np.flatnonzero(alive)
        self._tree = scipy.spatial.cKDTree(
            self._slots[self._alive], compact_nodes=False, balanced_tree=False
        )

    def near(self, units: IntArray, count: int) -> Near:
        """List the `count` nearest slots of each treated unit."""
        k, rows = min(count, self._alive.size), units.size
        if k == 0 or rows == 0:
            return Near(np.zeros(rows + 1, np.int64), units[:0], np.empty(0), np.full(rows, np.inf))
        found = self._tree.query(self._treated[units], k=k, distance_upper_bound=self._bound)
        distance, place = (np.asarray(part).reshape(rows, k) for part in found)
        listed = np.isfinite(distance) & (distance <= self._limit)
        complete = (k == self._alive.size) | ~listed[:, -1]
        # The tree rounds its last distance; what is as near as that may be missing.
        reach = np.where(complete, np.inf, distance[:, -1] * (1 - 1e-12))
        offset = np.concatenate([[0], np.cumsum(listed.sum(axis=1))])
        return Near(offset, self._alive[place[listed]], distance[listed], reach)


class Blocks:
    """Slots sorted by stratum and a scalar that bounds who is allowed, searched block by block."""

    def __init__(self, problem: PairingProblem, stock: Stock) -> None:
        self._problem, self._first = problem, stock.first
        stratum1, stratum0 = (codes.astype(float) for codes in problem.strata)
        mine, theirs, width = self._scalar()
        keys = sort_key(stratum0, theirs)[stock.first]
        self._order = np.argsort(keys, kind="stable")
        keys = keys[self._order]
        self._low0 = np.searchsorted(keys, sort_key(stratum1, mine - width))
        self._high0 = np.searchsorted(keys, sort_key(stratum1, mine + width), "right")
        self._rank = np.argsort(np.argsort(sort_key(stratum1, mine), kind="stable"), kind="stable")
        slots = problem.comparison[stock.first[self._order]]
        centre = slots.mean(axis=0) if len(slots) else 0.0
        x, y = problem.treated - centre, slots - centre
        largest = max(_square(x).max(initial=0), _square(y).max(initial=0))
        self._unit = float(np.sqrt(largest)) or 1.0
        x, y = x / self._unit, y / self._unit
        self._x2, y2 = _square(x), _square(y)
        # Far outliers make single precision too coarse to preselect well.
        fine = len(y) > 0 and float(np.median(y2)) < 64**-2
        kind = np.float64 if fine else np.float32
        self._left = np.column_stack([-2 * x, self._x2, np.ones(len(x))]).astype(kind)
        self._right = np.vstack([y.T, np.ones(len(y)), y2]).astype(kind)
        self._rounding = (x.shape[1] + 8) * float(np.finfo(kind).eps)
        self.refresh(np.ones(len(y), dtype=bool))

    def _scalar(self) -> tuple[FloatArray, FloatArray, float]:
        """Return the scalar that slots are sorted by, and how far it may differ."""
        problem = self._problem
        if problem.windows:
            spread = [float(np.std(w.comparison)) or 1.0 for w in problem.windows]
            tight = [w.limit / s for w, s in zip(problem.windows, spread, strict=True)]
            window = problem.windows[int(np.argmin(tight))]
            return window.treated, window.comparison, window.limit
        widest = int(np.argmax(np.ptp(problem.comparison, axis=0)))
        return problem.treated[:, widest], problem.comparison[:, widest], problem.limit

    def refresh(self, alive: BoolArray) -> None:
        """Keep the columns of the slots that are left."""
        kept = alive[self._order]
        before = np.concatenate([[0], np.cumsum(kept)])
        self._slot = self._order[kept]
        self._columns = np.ascontiguousarray(self._right[:, kept])
        self._low, self._high = before[self._low0], before[self._high0]

    def near(self, units: IntArray, count: int) -> Near:
        """List the nearest slots of each treated unit, `count` or more where there are as many."""
        sequence = np.argsort(self._rank[units], kind="stable")
        rows, slots = [units[:0]], [units[:0]]
        reach = np.full(units.size, np.inf)
        at = 0
        while at < units.size:
            block = sequence[at : at + self._rows_of_block(units, sequence, at)]
            row, slot, reach[block] = self._block(units[block], count)
            rows.append(block[row])
            slots.append(slot)
            at += block.size
        row, slot = np.concatenate(rows), np.concatenate(slots)
        distance = self._problem.distance(units[row], self._first[slot])
        reach[reach >= self._problem.limit] = np.inf
        kept = np.flatnonzero(distance <= self._problem.limit)
        kept = kept[np.lexsort((distance[kept], row[kept]))]
        offset = np.concatenate([[0], np.cumsum(np.bincount(row[kept], minlength=units.size))])
        return Near(offset, slot[kept], distance[kept], reach)

    def _rows_of_block(self, units: IntArray, sequence: IntArray, at: int) -> int:
        """Return how many units share a block: their ranges overlap and its cells fit the cache."""
        ahead = units[sequence[at : at + _BLOCK_ROWS]]
        low, high = self._low[ahead], self._high[ahead]
        together = np.maximum.accumulate(high) - np.minimum.accumulate(low)
        own = np.cumsum(high - low)
        size = np.arange(1, ahead.size + 1)
        cells = together * size
        good = (cells <= _BLOCK_CELLS) & (cells <= 2 * own + 50_000)
        return max(1, int(np.argmin(good)) if not good.all() else ahead.size)

    def _block(self, units: IntArray, count: int) -> tuple[IntArray, IntArray, FloatArray]:
        """Return rows and slots of the candidates of a block, and the reach of each row."""
        low, high = int(self._low[units].min()), int(self._high[units].max())
        if high <= low:
            return units[:0], units[:0], np.full(units.size, np.inf)
        square = np.matmul(self._left[units], self._columns[:, low:high])
        self._forbid(square, units, low, high)
        threshold = _threshold(square, count)
        size = np.sqrt(self._x2[units]) + np.sqrt(self._columns[-1, low:high].max())
        error = self._rounding * size.astype(np.float64) ** 2
        limit = min(self._problem.limit / self._unit, 1e9)
        threshold = np.minimum(threshold, limit**2 if limit < 1e9 else np.inf)
        raised = (threshold + 2 * error)[:, None]
        # A single-precision threshold must not be rounded down.
        bound = np.nextafter(raised.astype(square.dtype), np.array(np.inf, dtype=square.dtype))
        found = np.flatnonzero((square <= bound) & (square < np.inf))
        row, column = np.divmod(found, high - low)
        reach = self._unit * np.sqrt(np.maximum(threshold + error, 0.0))
        return row, self._slot[low + column], reach

    def _forbid(self, square: AnyArray, units: IntArray, low: int, high: int) -> None:
        """Make infinite what ranges, windows and codes do not allow."""
        width = high - low
        starts, ends = (self._low[units] - low).tolist(), (self._high[units] - low).tolist()
        for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
            if start > 0:
                square[row, :start] = np.inf
            if end < width:
                square[row, end:] = np.inf
        if not (len(self._problem.windows) > 1 or self._problem.different):
            return
        columns = self._first[self._slot[low:high]]
        for w in self._problem.windows:
            gap = np.abs(w.treated[units][:, None] - w.comparison[columns][None, :])
            square[gap > w.limit] = np.inf
        for mine, theirs in self._problem.different:
            square[mine[units][:, None] == theirs[columns][None, :]] = np.inf


def _square(x: FloatArray) -> FloatArray:
    square: FloatArray = (x**2).sum(axis=1)
    return square


def _threshold(square: AnyArray, count: int) -> FloatArray:
    """Return squared distances, one per row, that about `count` cells or more do not exceed."""
    width = square.shape[1]
    if width <= max(32, 2 * count):
        return np.full(len(square), np.inf)
    if width < _SAMPLED_FROM or width < 4 * _STRIDE * count:
        smallest = np.partition(square, count - 1, axis=1)[:, count - 1]
    else:
        rank = 1 + -(-count // _STRIDE)
        smallest = np.partition(square[:, ::_STRIDE], rank, axis=1)[:, rank]
    return smallest.astype(np.float64)
