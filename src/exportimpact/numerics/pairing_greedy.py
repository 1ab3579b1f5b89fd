"""Greedy pairing without replacement: in a given order, or the closest pair first."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from exportimpact._typing import IntArray
from exportimpact.numerics.pairing_problem import PairingProblem, Slack, Stock
from exportimpact.numerics.pairing_search import Searcher

_LISTED = 8
_FEWEST_AHEAD, _MOST_AHEAD = 64, 16_384
_STALE = 256


class Finder(Protocol):
    """What finds the nearest free comparison unit of one treated unit.

    Attributes
    ----------
    ahead : int
        How many treated units to prepare at once.
    """

    ahead: int

    def prepare(self, units: Sequence[int]) -> None:
        """Get ready for searches of some treated units."""

    def nearest(self, unit: int) -> tuple[int, float, bool]:
        """Return the nearest free slot (-1: nobody), its distance, and whether others are equal."""

    def take(self, slot: int) -> int:
        """Take the lowest index of a slot."""


Taken = tuple[IntArray, IntArray, IntArray]
"""Treated units, their comparison units, and the treated units whose choice was arbitrary."""


def in_order(finder: Finder, order: IntArray, ratio: int) -> Taken:
    """Give each treated unit in turn its nearest free comparison unit, in `ratio` passes.

    Parameters
    ----------
    finder : Finder
    order : (n1,)
        The treated units, first to choose first.
    ratio : int
    """
    record = _Record(finder)
    active: list[int] = order.tolist()
    for _ in range(ratio):
        matched: list[int] = []
        at = 0
        while at < len(active):
            turn = active[at : at + finder.ahead]
            finder.prepare(turn)
            for unit in turn:
                slot, _, several = finder.nearest(unit)
                if slot >= 0:
                    record.pair(unit, slot, several)
                    matched.append(unit)
            at += len(turn)
        # Who found nobody finds nobody later, for comparison units only become fewer.
        active = matched
    return record.taken()


def closest_first(finder: Finder, n_treated: int, slack: Slack, ratio: int) -> Taken:
    """Pair the closest two that are left, again and again, in `ratio` passes.

    Of equally close pairs the treated unit of the lowest index comes first.
    """
    record = _Record(finder)
    active = list(range(n_treated))
    for _ in range(ratio):
        finder.prepare(active)
        matched: list[int] = []
        queue = [(finder.nearest(unit), unit) for unit in active]
        heap = [(distance, unit) for (slot, distance, _), unit in queue if slot >= 0]
        heapq.heapify(heap)
        while heap:
            level = heap[0][0] + slack.relative * heap[0][0] + slack.absolute
            matched += _settle_level(heap, level, finder, record)
        active = sorted(matched)
    return record.taken()


def _settle_level(
    heap: list[tuple[float, int]], level: float, finder: Finder, record: _Record
) -> list[int]:
    """Pair all who have somebody within `level`, lowest index first; others go back to the heap."""
    equal: list[int] = []
    while heap and heap[0][0] <= level:
        equal.append(heapq.heappop(heap)[1])
    matched: list[int] = []
    for unit in sorted(equal):
        # Somebody else may have taken the one that was nearest.
        slot, distance, several = finder.nearest(unit)
        if slot >= 0 and distance <= level:
            record.pair(unit, slot, several)
            matched.append(unit)
        elif slot >= 0:
            heapq.heappush(heap, (distance, unit))
    return matched


class _Record:
    """The pairs so far."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._treated: list[int] = []
        self._comparison: list[int] = []
        self._tied: list[int] = []

    def pair(self, unit: int, slot: int, several: bool) -> None:
        self._treated.append(unit)
        self._comparison.append(self._finder.take(slot))
        if several:
            self._tied.append(unit)

    def taken(self) -> Taken:
        lists = (self._treated, self._comparison, self._tied)
        treated, comparison, tied = (np.asarray(part, dtype=np.int64) for part in lists)
        return treated, comparison, tied


class ListFinder:
    """Finds nearest free comparison units in lists of the nearest ones.

    Lists are made for many treated units at once, from what is free then. A treated unit whose list
    no longer decides (all are taken, or what is as near might be missing) gets one twice as long.
    """

    def __init__(self, problem: PairingProblem, stock: Stock, searcher: Searcher) -> None:
        self.ahead = max(_FEWEST_AHEAD, min(_MOST_AHEAD, len(problem.treated) // 16))
        self._searcher, self._slack = searcher, problem.slack
        self._members: list[int] = stock.members.tolist()
        self._head: list[int] = stock.start[:-1].tolist()
        self._end: list[int] = stock.start[1:].tolist()
        self._alive = np.ones(stock.start.size - 1, dtype=bool)
        self._emptied = self._missed = self._prepared = 0
        self._lists: dict[int, tuple[list[int], list[float], float]] = {}

    def prepare(self, units: Sequence[int]) -> None:
        """List the nearest free slots of `units`."""
        if self._prepared:
            share = self._missed / self._prepared
            factor = 0.5 if share > 0.08 else 2.0 if share < 0.02 else 1.0
            self.ahead = max(_FEWEST_AHEAD, min(_MOST_AHEAD, int(self.ahead * factor)))
        self._refresh()
        self._prepared = len(units)
        self._lists = {}
        self._list(units, _LISTED)

    def _refresh(self) -> None:
        if self._emptied:
            self._searcher.refresh(self._alive)
        self._emptied = self._missed = 0

    def _list(self, units: Sequence[int], count: int) -> None:
        near = self._searcher.near(np.asarray(units, dtype=np.int64), count)
        offset, slot, distance = near.offset.tolist(), near.slot.tolist(), near.distance.tolist()
        for i, (unit, reach) in enumerate(zip(units, near.reach.tolist(), strict=True)):
            start, end = offset[i], offset[i + 1]
            self._lists[unit] = (slot[start:end], distance[start:end], reach)

    def nearest(self, unit: int) -> tuple[int, float, bool]:
        """Return the nearest free slot (-1: nobody), its distance, and whether others are equal."""
        found = self._choose(unit)
        count = _LISTED
        while found is None:
            self._missed += 1
            if min(self._missed, self._emptied) >= _STALE:
                self._refresh()
            count = 2 * max(count, len(self._lists[unit][0]))
            self._list([unit], count)
            found = self._choose(unit)
        return found

    def _choose(self, unit: int) -> tuple[int, float, bool] | None:
        """Return the choice from the list of `unit`, or None when the list does not decide."""
        slots, distances, reach = self._lists[unit]
        head, end = self._head, self._end
        free = (i for i, slot in enumerate(slots) if head[slot] < end[slot])
        first = next(free, -1)
        if first < 0:
            return (-1, np.inf, False) if reach == np.inf else None
        distance, best = distances[first], slots[first]
        equal = distance + self._slack.relative * distance + self._slack.absolute
        if equal >= reach:
            return None
        several = end[best] - head[best] > 1
        for i in free:
            if distances[i] > equal:
                break
            several = True
            if self._members[head[slots[i]]] < self._members[head[best]]:
                best = slots[i]
        return best, distance, several

    def take(self, slot: int) -> int:
        """Take the lowest index of a slot."""
        head = self._head[slot]
        self._head[slot] = head + 1
        if head + 1 == self._end[slot]:
            self._alive[slot] = False
            self._emptied += 1
        return self._members[head]
