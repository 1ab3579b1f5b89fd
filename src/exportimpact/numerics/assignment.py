"""Pairing with the smallest total distance (Rosenbaum 1989, doi:10.1080/01621459.1989.10478868).

The assignment problem is solved on the sparse graph of nearest neighbours by the algorithm of
Jonker & Volgenant (1987, doi:10.1007/BF02278710). Each treated unit may also stay with a stand-in
of its own. For a unit whose list of neighbours is not complete, the stand-in costs as much as the
list reaches, hence no more than any neighbour that is not listed. The solution is therefore optimal
among all pairings as soon as no such stand-in is used; until then the lists of those who use one
grow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from exportimpact._typing import FloatArray, IntArray
from exportimpact.numerics.pairing_problem import (
    PairingProblem,
    Pairs,
    Stock,
    nobody,
    pairs_of,
    stock_of,
)
from exportimpact.numerics.pairing_search import Near, searcher_of

_LISTED = 8


@dataclass(frozen=True, eq=False)
class _Graph:
    """Listed neighbours, units instead of slots.

    Attributes
    ----------
    treated, slot, unit, distance : (n_edges,)
    reach : (n1,)
    """

    treated: IntArray
    slot: IntArray
    unit: IntArray
    distance: FloatArray
    reach: FloatArray


def optimal(problem: PairingProblem, *, ratio: int) -> Pairs:
    """Pair without replacement so that the total distance is smallest.

    As many pairs as possible are made, spread over as many treated units as possible; among these
    pairings the total distance is the smallest.

    Parameters
    ----------
    problem : PairingProblem
    ratio : int
        Comparison units for each treated unit, at most.

    Notes
    -----
    A treated unit counts as tied when a comparison unit that is left over is as near as one of its
    own. Of identical comparison units the lowest indices are used.
    """
    if not (len(problem.treated) and len(problem.comparison)):
        return nobody()
    stock = stock_of(problem)
    searcher = searcher_of(problem, stock)
    n1 = len(problem.treated)
    loose, count = np.arange(n1), max(_LISTED, 2 * ratio)
    graph = _grown(None, searcher.near(loose, count), loose, stock, n1 * ratio)
    while True:
        edge, lacking = _solve(graph, ratio)
        loose = lacking[np.isfinite(graph.reach[lacking])]
        if not loose.size:
            break
        count *= 2
        graph = _grown(graph, searcher.near(loose, count), loose, stock, n1 * ratio)
    treated, comparison = graph.treated[edge], _lowest(graph, edge, stock)
    return pairs_of(problem, treated, comparison, _tied(problem, graph, edge, comparison))


def _grown(graph: _Graph | None, near: Near, units: IntArray, stock: Stock, most: int) -> _Graph:
    """Return the graph with the neighbours of `units` listed anew; `most` of a slot are enough."""
    size = np.minimum(stock.size[near.slot], most)
    within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    slot = np.repeat(near.slot, size)
    treated, distance = np.repeat(units[near.row], size), np.repeat(near.distance, size)
    unit = stock.members[stock.start[slot] + within]
    if graph is None:
        return _Graph(treated, slot, unit, distance, near.reach)
    kept = ~np.isin(graph.treated, units)
    reach = graph.reach.copy()
    reach[units] = near.reach
    return _Graph(
        np.concatenate([graph.treated[kept], treated]),
        np.concatenate([graph.slot[kept], slot]),
        np.concatenate([graph.unit[kept], unit]),
        np.concatenate([graph.distance[kept], distance]),
        reach,
    )


def _solve(graph: _Graph, ratio: int) -> tuple[IntArray, IntArray]:
    """Return the edges of the best pairing, and the treated units that use a stand-in.

    Each treated unit has `ratio` rows. A later row's stand-in costs less, so that comparison units
    that are scarce are spread.
    """
    n1 = graph.reach.size
    if not graph.unit.size:
        return graph.unit, np.arange(n1)
    columns, column = np.unique(graph.unit, return_inverse=True)
    finite = graph.reach[np.isfinite(graph.reach)]
    top = max(float(graph.distance.max()), float(finite.max(initial=0.0)))
    # The solver takes zero for no edge; a constant on all edges changes no choice.
    shift = top if top > 0 else 1.0
    unmatched = (n1 * ratio + 1) * (top + shift)
    rows, cols, costs = [], [], []
    for r in range(ratio):
        stand_in = np.where(np.isfinite(graph.reach), graph.reach, unmatched * (ratio - r))
        rows += [graph.treated + r * n1, np.arange(n1) + r * n1]
        cols += [column, columns.size + np.arange(n1) + r * n1]
        costs += [graph.distance + shift, stand_in + shift]
    shape = (n1 * ratio, columns.size + n1 * ratio)
    entries = (np.concatenate(costs), (np.concatenate(rows), np.concatenate(cols)))
    matrix = scipy.sparse.csr_array(entries, shape=shape)
    row, chosen = scipy.sparse.csgraph.min_weight_full_bipartite_matching(matrix)
    treated, real = row % n1, chosen < columns.size
    edges = np.lexsort((graph.unit, graph.treated))
    width = columns.size
    found = np.searchsorted(
        (graph.treated * width + column)[edges], (treated * width + chosen)[real]
    )
    return edges[found], np.unique(treated[~real])


def _lowest(graph: _Graph, edge: IntArray, stock: Stock) -> IntArray:
    """Return comparison units of the edges: the lowest indices of each slot, in treated order."""
    slot = graph.slot[edge]
    order = np.lexsort((graph.treated[edge], slot))
    ordered = slot[order]
    out = np.empty(edge.size, dtype=np.int64)
    place = np.arange(edge.size) - np.searchsorted(ordered, ordered)
    out[order] = stock.members[stock.start[ordered] + place]
    return out


def _tied(problem: PairingProblem, graph: _Graph, edge: IntArray, used: IntArray) -> IntArray:
    """Return treated units with an equally near comparison unit that nobody uses."""
    spare = np.flatnonzero(~np.isin(graph.unit, used))
    spare = spare[np.lexsort((graph.distance[spare], graph.treated[spare]))]
    key = graph.treated[spare] + 1j * graph.distance[spare]
    treated, distance = graph.treated[edge], graph.distance[edge]
    shorter = 2 * distance - problem.slack.at(distance)
    low = np.searchsorted(key, treated + 1j * shorter)
    high = np.searchsorted(key, treated + 1j * problem.slack.at(distance), "right")
    return treated[high > low]
