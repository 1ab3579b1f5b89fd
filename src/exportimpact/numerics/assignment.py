"""Pairing with the smallest total distance (Rosenbaum 1989, doi:10.1080/01621459.1989.10478868).

The assignment problem is solved on the sparse graph of nearest neighbours by the algorithm of
Jonker & Volgenant (1987, doi:10.1007/BF02278710). Each treated unit may also stay with a stand-in
of its own, dearer than any chain of neighbours. The graph is complete enough when the list of each
treated unit reaches as far as its price, which is the cost of the cheapest chain from it to a
comparison unit that is free: then no neighbour that is not listed could improve the pairing, by
complementary slackness. Until then the lists that fall short grow.
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
_GROWTH = 4


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
    short, count = np.arange(n1), np.full(n1, max(_LISTED, 2 * ratio))
    graph = _grown(None, searcher.near(short, int(count[0])), short, stock, n1 * ratio)
    while True:
        edge, price = _solve(graph, ratio)
        short = np.flatnonzero(graph.reach < price * (1 - 1e-12))
        if not short.size:
            break
        count[short] *= _GROWTH
        for size in np.unique(count[short]):
            units = short[count[short] == size]
            graph = _grown(graph, searcher.near(units, int(size)), units, stock, n1 * ratio)
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


def _solve(graph: _Graph, ratio: int) -> tuple[IntArray, FloatArray]:
    """Return the edges of the best pairing in the graph, and the price of each treated unit.

    Each treated unit has `ratio` rows. A later row's stand-in costs less, so that comparison units
    that are scarce are spread.
    """
    n1 = graph.reach.size
    if not graph.unit.size:
        return graph.unit, np.full(n1, np.inf)
    columns, column = np.unique(graph.unit, return_inverse=True)
    # The solver takes zero for no edge; a constant on all edges changes no choice.
    shift = float(graph.distance.max()) or 1.0
    alone: FloatArray = (n1 * ratio + 1) * 2 * shift * np.arange(ratio, 0.0, -1.0)
    treated = np.arange(n1)
    rows, cols, costs = [], [], []
    for r in range(ratio):
        rows += [graph.treated + r * n1, treated + r * n1]
        cols += [column, columns.size + treated + r * n1]
        costs += [graph.distance + shift, np.full(n1, alone[r] + shift)]
    shape = (n1 * ratio, columns.size + n1 * ratio)
    # SciPy before 1.12 takes no other indices than 32-bit ones.
    at = tuple(np.concatenate(part).astype(np.int32) for part in (rows, cols))
    entries = (np.concatenate(costs), at)
    matrix = scipy.sparse.csr_array(entries, shape=shape)
    row, chosen = scipy.sparse.csgraph.min_weight_full_bipartite_matching(matrix)
    row, chosen = row[chosen < columns.size], chosen[chosen < columns.size]
    key = graph.treated * columns.size + column
    order = np.argsort(key)
    edge = order[np.searchsorted(key[order], row % n1 * columns.size + chosen)]
    holder = np.full(columns.size, -1)
    holder[chosen] = row
    return edge, _prices(graph, column, holder, edge, alone, order)


def _prices(
    graph: _Graph,
    column: IntArray,
    holder: IntArray,
    edge: IntArray,
    alone: FloatArray,
    order: IntArray,
) -> FloatArray:
    """Return the cost of the cheapest chain from each treated unit to somebody free, (n1,).

    Chains are lengthened step by step (Bellman 1958, doi:10.1090/qam/102435): taking the comparison
    unit of somebody costs its distance, saves that of its holder, and costs the holder's price.
    """
    n1, ratio = graph.reach.size, alone.size
    treated, distance, column = graph.treated[order], graph.distance[order], column[order]
    saved = np.zeros(holder.size)
    saved[_columns_of(edge, order, column)] = graph.distance[edge]
    first = np.flatnonzero(np.diff(treated, prepend=-1))
    somebody = treated[first]
    held = holder[column]
    cost, free = distance - saved[column], held < 0
    price = np.repeat(alone, n1)
    for _ in range(n1 * ratio):
        chain = np.where(free, cost, cost + price[held])
        cheapest = np.full(n1, np.inf)
        cheapest[somebody] = np.minimum.reduceat(chain, first)
        new = np.minimum(np.repeat(alone, n1), np.tile(cheapest, ratio))
        settled = bool((new >= price - 1e-12 * alone[-1] / (n1 + 1)).all())
        price = np.minimum(price, new)
        if settled:
            break
    highest: FloatArray = price.reshape(ratio, n1).max(axis=0)
    return highest


def _columns_of(edge: IntArray, order: IntArray, column: IntArray) -> IntArray:
    """Return the columns of edges, when `column` is in `order`."""
    place = np.empty(order.size, dtype=np.int64)
    place[order] = np.arange(order.size)
    return column[place[edge]]


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
