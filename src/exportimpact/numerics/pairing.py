"""Nearest-neighbour pairing of treated with comparison units, greedy, with replacement or optimal.

Equal distances (see `pairing_problem`): the comparison unit with the lowest index is chosen. The
rules without replacement are those of R's MatchIt 4.7 (Ho, Imai, King & Stuart 2011,
doi:10.18637/jss.v042.i08); with replacement and all ties kept, those of Abadie & Imbens (2006,
doi:10.1111/j.1468-0262.2006.00655.x) as in R's Matching (Sekhon 2011, doi:10.18637/jss.v042.i07).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from exportimpact._typing import BoolArray, FloatArray, IntArray
from exportimpact.numerics.assignment import optimal
from exportimpact.numerics.pairing_greedy import Finder, ListFinder, closest_first, in_order
from exportimpact.numerics.pairing_problem import (
    RELATIVE,
    PairingProblem,
    Pairs,
    Slack,
    Stock,
    Window,
    nobody,
    pairs_of,
    stock_of,
)
from exportimpact.numerics.pairing_scalar import LineFinder
from exportimpact.numerics.pairing_search import Near, searcher_of

__all__ = [
    "PairingProblem",
    "Pairs",
    "Window",
    "closest_without_replacement",
    "nearest_with_replacement",
    "nearest_without_replacement",
    "optimal",
]

_AT_ONCE = 16_384


def nearest_without_replacement(problem: PairingProblem, *, ratio: int, order: IntArray) -> Pairs:
    """Pair greedily: in each of `ratio` passes, each treated unit takes its nearest free unit.

    Parameters
    ----------
    problem : PairingProblem
    ratio : int
        Comparison units for each treated unit, at most.
    order : (n1,)
        A permutation of the treated units: who chooses first.
    """
    if not (len(problem.treated) and len(problem.comparison)):
        return nobody()
    return pairs_of(problem, *in_order(_finder(problem), order, ratio))


def closest_without_replacement(problem: PairingProblem, *, ratio: int) -> Pairs:
    """Pair greedily the closest two that are left (MatchIt's `m.order = "closest"`).

    In each of `ratio` passes a treated unit gets one comparison unit at most. Of equally close
    pairs, the lowest treated index comes first, then the lowest comparison index.
    """
    n1 = len(problem.treated)
    if not (n1 and len(problem.comparison)):
        return nobody()
    return pairs_of(problem, *closest_first(_finder(problem), n1, problem.slack, ratio))


def _finder(problem: PairingProblem) -> Finder:
    stock = stock_of(problem)
    if problem.on_a_line:
        return LineFinder(problem, stock)
    return ListFinder(problem, stock, searcher_of(problem, stock))


def nearest_with_replacement(
    problem: PairingProblem,
    *,
    ratio: int,
    ties: Literal["average", "first"],
    tolerance: float = RELATIVE,
    squared_tolerance: float = 0.0,
) -> Pairs:
    """Pair each treated unit with its `ratio` nearest comparison units, which may be used again.

    Parameters
    ----------
    problem : PairingProblem
    ratio : int
    ties : {"average", "first"}
        Keep every unit as near as the `ratio`-th, all kept units with equal shares (R's Matching);
        or exactly `ratio` of them, the lowest index first among the farthest.
    tolerance : float
        Distances are equal when they differ by no more than this share of the smaller one.
    squared_tolerance : float
        They are also equal when their squares differ by no more than this; R's Matching has 1e-5.

    Notes
    -----
    With ``ties="average"`` and values that many firms share, the answer itself is long: every
    treated unit is paired with all of the firms at the nearest value.
    """
    if not (len(problem.treated) and len(problem.comparison)):
        return nobody()
    stock = stock_of(problem)
    searcher = searcher_of(problem, stock)
    slack = replace(problem.slack, relative=tolerance, squared=squared_tolerance)
    parts: list[tuple[IntArray, IntArray, IntArray]] = []
    n1 = len(problem.treated)
    for start in range(0, n1, _AT_ONCE):
        pending, count = np.arange(start, min(start + _AT_ONCE, n1)), ratio + 2
        while pending.size:
            near = searcher.near(pending, count)
            farthest, settled = _farthest(near, stock, ratio, slack)
            treated, comparison, tied = _kept(near, stock, ratio, ties, slack, farthest, settled)
            parts.append((pending[treated], comparison, pending[tied]))
            pending, count = pending[~settled], 2 * count
    empty = np.empty(0, dtype=np.int64)
    treated, comparison, tied = (
        np.concatenate([empty, *(part[i] for part in parts)]) for i in range(3)
    )
    return pairs_of(problem, treated, comparison, tied)


def _farthest(near: Near, stock: Stock, ratio: int, slack: Slack) -> tuple[FloatArray, BoolArray]:
    """Return the distance of each row's `ratio`-th unit, and whether all as near are listed."""
    units = np.concatenate([[0], np.cumsum(stock.size[near.slot])])
    enough = units[1:] - units[near.offset[:-1]][near.row] >= ratio
    distance = np.where(enough, near.distance, np.inf)
    listed = np.flatnonzero(np.diff(near.offset))
    farthest = np.full(near.reach.size, np.inf)
    if listed.size:
        farthest[listed] = np.minimum.reduceat(distance, near.offset[listed])
    settled = (slack.at(farthest) < near.reach) | np.isinf(near.reach)
    return farthest, settled


def _kept(
    near: Near,
    stock: Stock,
    ratio: int,
    ties: Literal["average", "first"],
    slack: Slack,
    farthest: FloatArray,
    settled: BoolArray,
) -> tuple[IntArray, IntArray, IntArray]:
    """Return rows and comparison units of settled rows, and rows whose last place is tied."""
    row = near.row
    inside = np.flatnonzero(settled[row] & (near.distance <= slack.at(farthest)[row]))
    row, slot, distance = row[inside], near.slot[inside], near.distance[inside]
    size = stock.size[slot]
    total = np.bincount(row, size, minlength=settled.size)
    if ties == "first":
        size = np.minimum(size, ratio)
    within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    unit = stock.members[np.repeat(stock.start[slot], size) + within]
    row, distance = np.repeat(row, size), np.repeat(distance, size)
    if ties == "first":
        last = slack.at(distance) >= farthest[row]
        order = np.lexsort((unit, last, row))
        row, unit = row[order], unit[order]
        place = np.arange(row.size) - np.searchsorted(row, row)
        row, unit = row[place < ratio], unit[place < ratio]
    return row, unit, np.flatnonzero(total > ratio)
