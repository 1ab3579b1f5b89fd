"""What is to be paired, what pairs are, and when two distances count as equal.

A comparison unit may be paired with a treated unit when their strata agree, their Euclidean
distance is within the caliper, each window holds and each code of `different` differs.

Distances that are equal in exact arithmetic may differ by rounding. `Slack` says how far: two
distances are equal when they differ by no more than 1e-9 of the smaller one, or by the rounding of
the coordinates themselves (8 units in the last place of the largest). A distance equal to a caliper
or to the width of a window, in this sense, is inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from exportimpact._typing import FloatArray, IntArray

RELATIVE = 1e-9
"""Two distances are equal when they differ by no more than this share of the smaller one."""

_ULPS = 8 * float(np.finfo(float).eps)


@dataclass(frozen=True)
class Slack:
    """How far a distance may exceed another one and still be equal to it.

    Attributes
    ----------
    relative : float
        As a share of the smaller distance.
    absolute : float
        The rounding of the coordinates.
    squared : float
        How far the square of a distance may exceed the square of the other.
    """

    relative: float
    absolute: float
    squared: float = 0.0

    def at(self, distance: FloatArray) -> FloatArray:
        """Return the largest distances that are equal to `distance`."""
        base = np.sqrt(distance**2 + self.squared) if self.squared else distance
        return base + self.relative * base + self.absolute


def _slack(*values: FloatArray, relative: float = RELATIVE) -> Slack:
    return Slack(
        relative, _ULPS * max((float(np.abs(v).max()) for v in values if v.size), default=0)
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Window:
    """A caliper on a scalar other than the distance, such as the propensity.

    Attributes
    ----------
    treated : (n1,)
    comparison : (n0,)
    width : float
        The largest difference, inclusive.
    """

    treated: FloatArray
    comparison: FloatArray
    width: float

    @cached_property
    def limit(self) -> float:
        """The width with the slack of rounding."""
        slack = _slack(self.treated, self.comparison)
        return self.width + slack.relative * self.width + slack.absolute


@dataclass(frozen=True, eq=False, kw_only=True)
class PairingProblem:
    """Treated and comparison units with coordinates, all finite.

    Attributes
    ----------
    treated : (n1, k)
        Euclidean distance between the coordinates is the distance: whiten them beforehand.
    comparison : (n0, k)
    caliper : float
        The largest distance, inclusive.
    stratum_treated, stratum_comparison : (n1,), (n0,), optional
        Codes that must agree (exact matching).
    windows : tuple of Window
        Differences of other scalars that must be small.
    different : tuple of pairs of (n1,), (n0,)
        Codes that must differ (MatchIt's `antiexact`).
    """

    treated: FloatArray
    comparison: FloatArray
    caliper: float = np.inf
    stratum_treated: IntArray | None = None
    stratum_comparison: IntArray | None = None
    windows: tuple[Window, ...] = ()
    different: tuple[tuple[IntArray, IntArray], ...] = ()

    @property
    def strata(self) -> tuple[IntArray, IntArray]:
        """Codes of the strata, (n1,) and (n0,): zeros where none are given."""
        if self.stratum_treated is None or self.stratum_comparison is None:
            n1, n0 = len(self.treated), len(self.comparison)
            return np.zeros(n1, dtype=np.int64), np.zeros(n0, dtype=np.int64)
        return self.stratum_treated, self.stratum_comparison

    @cached_property
    def slack(self) -> Slack:
        """When distances are equal."""
        return _slack(self.treated, self.comparison)

    @cached_property
    def limit(self) -> float:
        """The caliper with the slack of rounding."""
        return self.caliper + self.slack.relative * self.caliper + self.slack.absolute

    @property
    def on_a_line(self) -> bool:
        """Whether one scalar and the strata decide everything."""
        return self.treated.shape[1] == 1 and not self.windows and not self.different

    def distance(self, treated: IntArray, comparison: IntArray) -> FloatArray:
        """Return the distances of pairs of indices, (m,)."""
        gap = self.treated[treated] - self.comparison[comparison]
        if gap.shape[1] == 1:
            return np.abs(gap[:, 0])
        square: FloatArray = np.einsum("ij,ij->i", gap, gap)
        return np.sqrt(square)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs, sorted by treated unit, distance and comparison unit.

    Attributes
    ----------
    treated : (m,)
        Index of the treated unit.
    comparison : (m,)
    distance : (m,)
    share : (m,)
        Weight of the pair within its treated unit's match; sums to 1 over the match.
    tied : (n_tied,)
        Treated units, increasing, whose choice among equally distant comparison units was arbitrary
        (the lowest index was taken) or shared.
    """

    treated: IntArray
    comparison: IntArray
    distance: FloatArray
    share: FloatArray
    tied: IntArray


def pairs_of(
    problem: PairingProblem, treated: IntArray, comparison: IntArray, tied: IntArray
) -> Pairs:
    """Return pairs in order, with their distances and equal shares."""
    distance = problem.distance(treated, comparison)
    order = np.lexsort((comparison, distance, treated))
    count = np.bincount(treated, minlength=len(problem.treated))
    share = 1.0 / count[treated[order]]
    return Pairs(treated[order], comparison[order], distance[order], share, np.unique(tied))


def nobody() -> Pairs:
    """Return no pairs."""
    index, number = np.empty(0, dtype=np.int64), np.empty(0)
    return Pairs(index, index, number, number, index)


@dataclass(frozen=True, eq=False)
class Stock:
    """Comparison units that nothing tells apart, gathered in slots.

    Ties among identical firms are the common ones (counts, zeros, rounded values). Searching slots
    instead of units settles them: the lowest index of a slot that is still there is taken.

    Attributes
    ----------
    members : (n0,)
        Indices of comparison units, slot by slot, increasing within a slot.
    start : (n_slots + 1,)
        Where each slot begins in `members`. On a line, slots are sorted by stratum and value.
    """

    members: IntArray
    start: IntArray

    @property
    def first(self) -> IntArray:
        """The lowest index of each slot, (n_slots,)."""
        return self.members[self.start[:-1]]

    @property
    def size(self) -> IntArray:
        """Units in each slot, (n_slots,)."""
        return np.diff(self.start)


def stock_of(problem: PairingProblem) -> Stock:
    """Gather the comparison units of a problem in slots."""
    stratum = problem.strata[1]
    columns = [
        stratum,
        *problem.comparison.T,
        *(w.comparison for w in problem.windows),
        *(codes for _, codes in problem.different),
    ]
    if problem.on_a_line:
        order = np.lexsort((columns[1], stratum))
    else:
        # Equal rows have equal sums, so a stable sort puts them side by side, lowest index first.
        sums = np.zeros(stratum.size)
        for j, column in enumerate(columns):
            sums += np.sqrt(2.0 + j) * column
        order = np.argsort(sums, kind="stable")
    new = np.zeros(max(order.size - 1, 0), dtype=bool)
    for column in columns:
        ordered = column[order]
        new |= ordered[1:] != ordered[:-1]
    start = np.concatenate([[0], np.flatnonzero(new) + 1, [order.size]])
    return Stock(order, start if order.size else start[:1])


def sort_key(
    stratum: IntArray, value: FloatArray
) -> np.ndarray[tuple[int], np.dtype[np.complex128]]:
    """Return keys that sort by stratum, then by value: NumPy orders complex numbers like that."""
    key = np.empty(stratum.size, dtype=np.complex128)
    key.real, key.imag = stratum, value
    return key
