"""Nearest free comparison unit on a line: sorted slots and compressed pointers to free neighbours.

The pointers are a disjoint-set forest with path compression (Tarjan 1975,
doi:10.1145/321879.321884): a search for the next free slot on one side costs almost constant time
however many are taken.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exportimpact.numerics.pairing_problem import PairingProblem, Stock, sort_key


class LineFinder:
    """Finds nearest free comparison units when one scalar and the strata decide everything.

    Python lists hold the state: one lookup in them is several times faster than in an array.
    """

    def __init__(self, problem: PairingProblem, stock: Stock) -> None:
        stratum1, stratum0 = problem.strata
        value = problem.treated[:, 0]
        slots = sort_key(stratum0[stock.first], problem.comparison[stock.first, 0])
        self.ahead = len(value)
        self._value: list[float] = value.tolist()
        self._slot_value: list[float] = slots.imag.tolist()
        low, high = value - problem.limit, value + problem.limit
        self._low: list[int] = np.searchsorted(slots, sort_key(stratum1, low)).tolist()
        self._high: list[int] = np.searchsorted(slots, sort_key(stratum1, high), "right").tolist()
        self._at: list[int] = np.searchsorted(slots, sort_key(stratum1, value)).tolist()
        self._members: list[int] = stock.members.tolist()
        self._head: list[int] = stock.start[:-1].tolist()
        self._end: list[int] = stock.start[1:].tolist()
        # Slot s is place s + 1 on the way down, so that place 0 is nobody.
        self._up = list(range(len(self._head) + 1))
        self._down = list(range(len(self._head) + 1))
        self._relative, self._absolute = problem.slack.relative, problem.slack.absolute

    def prepare(self, units: Sequence[int]) -> None:
        """Do nothing: every search is cheap."""

    def nearest(self, unit: int) -> tuple[int, float, bool]:
        """Return the nearest free slot (-1: nobody), its distance, and whether others are equal."""
        value, x, place = self._value[unit], self._slot_value, self._at[unit]
        right, left = _root(self._up, place), _root(self._down, place) - 1
        low, high = self._low[unit], self._high[unit]
        best, distance = -1, np.inf
        if right < high:
            best, distance = right, x[right] - value
        if left >= low and value - x[left] < distance:
            best, distance = left, value - x[left]
        if best < 0:
            return -1, distance, False
        equal = distance + self._relative * distance + self._absolute
        several = self._end[best] - self._head[best] > 1
        upward = right < high and x[right] - value <= equal
        downward = left >= low and value - x[left] <= equal
        if upward and downward:
            return self._lowest(left, right, equal, unit)
        # Unless a direct neighbour is as near, free or not, nothing else can be.
        if (upward and right + 1 < high and x[right + 1] - value <= equal) or (
            downward and left > low and value - x[left - 1] <= equal
        ):
            return self._lowest(left, right, equal, unit)
        return best, distance, several

    def _lowest(self, left: int, right: int, equal: float, unit: int) -> tuple[int, float, bool]:
        """Return the free slot of the lowest index among those no farther than `equal`."""
        value, x, low, high = self._value[unit], self._slot_value, self._low[unit], self._high[unit]
        found = []
        while right < high and x[right] - value <= equal:
            found.append(right)
            right = _root(self._up, right + 1)
        while left >= low and value - x[left] <= equal:
            found.append(left)
            left = _root(self._down, left) - 1
        best = min(found, key=lambda slot: self._members[self._head[slot]])
        several = len(found) > 1 or self._end[best] - self._head[best] > 1
        return best, abs(x[best] - value), several

    def take(self, slot: int) -> int:
        """Take the lowest index of a slot."""
        head = self._head[slot]
        self._head[slot] = head + 1
        if head + 1 == self._end[slot]:
            self._up[slot] = slot + 1
            self._down[slot + 1] = slot
        return self._members[head]


def _root(link: list[int], place: int) -> int:
    """Return where the links from a place end, and shorten them."""
    root = link[place]
    if root == link[root]:
        return root
    while link[root] != root:
        root = link[root]
    while link[place] != root:
        link[place], place = root, link[place]
    return root
