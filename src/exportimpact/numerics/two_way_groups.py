"""Two-way fixed effects regressions without a matrix of firm dummies.

Firm effects are swept out by subtracting each firm's mean over the periods in which it is observed;
periods are columns. Firms with the same regressors and observed periods contribute to the normal
equations through their sum alone, so that they are one group, however many they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from exportimpact._typing import BoolArray, FloatArray, IntArray

_CHUNK = 65_536


@dataclass(frozen=True, eq=False, repr=False)
class Groups:
    """Firms in groups that share regressors and observed periods; a firm alone is a group too.

    Attributes
    ----------
    code : (n_firms,)
        Group of each firm, -1 for firms that take no part: those observed in fewer than two
        periods.
    seen : (n_groups, n_periods) bool
    y : (n_groups, n_periods)
        Weighted mean outcome of the group's firms, 0 where not seen.
    X : (n_groups, n_periods, k)
        Regressors, 0 where not seen.
    size : (n_groups,)
        Sum of the weights of the group's firms.
    """

    code: IntArray
    seen: BoolArray
    y: FloatArray
    X: FloatArray
    size: FloatArray

    @property
    def periods(self) -> IntArray:
        """Indices of the periods that have a column: all observed ones but the first."""
        return np.flatnonzero(self.seen.any(axis=0))[1:].astype(np.int64)

    def columns(self, start: int, stop: int) -> FloatArray:
        """Return regressors, then period dummies, of some groups, (n, n_periods, k + periods)."""
        seen = self.seen[start:stop]
        dummies = np.eye(seen.shape[1])[:, self.periods] * seen[:, :, None]
        return np.concatenate([self.X[start:stop], dummies], axis=2)

    def swept(self, start: int, stop: int) -> FloatArray:
        """Return `columns` less each group's mean over the periods in which it is seen."""
        columns, seen = self.columns(start, stop), self.seen[start:stop]
        mean = columns.sum(axis=1) / seen.sum(axis=1)[:, None]
        out: FloatArray = (columns - mean[:, None, :]) * seen[:, :, None]
        return out

    def chunks(self) -> Iterator[tuple[int, int]]:
        """Yield ranges of groups that are small enough to be held in full."""
        for start in range(0, self.size.size, _CHUNK):
            yield start, min(start + _CHUNK, self.size.size)


def alike(labels: IntArray, seen: BoolArray) -> tuple[IntArray, IntArray]:
    """Return groups of firms with the same label and observed periods.

    Parameters
    ----------
    labels : (n_firms,)
    seen : (n_firms, n_periods)

    Returns
    -------
    code : (n_firms,)
        Group of each firm, -1 for firms seen in fewer than two periods.
    first : (n_groups,)
        A firm of each group.
    """
    part = np.flatnonzero(seen.sum(axis=1) > 1)
    key = np.concatenate(
        [labels[part, None].astype(np.int64).view(np.uint8), np.packbits(seen[part], axis=1)],
        axis=1,
    )
    flat = np.ascontiguousarray(key).view(np.dtype((np.void, key.shape[1]))).ravel()
    _, first, inverse = np.unique(flat, return_index=True, return_inverse=True)
    code = np.full(labels.size, -1, dtype=np.int64)
    code[part] = inverse.ravel()
    return code, part[first].astype(np.int64)


def alone(seen: BoolArray) -> tuple[IntArray, IntArray]:
    """Return every firm as a group of its own, like `alike`."""
    part = np.flatnonzero(seen.sum(axis=1) > 1).astype(np.int64)
    code = np.full(seen.shape[0], -1, dtype=np.int64)
    code[part] = np.arange(part.size)
    return code, part


def group_means(
    y: FloatArray, weight: FloatArray, code: IntArray, seen: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Return the weighted mean outcome by group and period, 0 where not seen, and sizes.

    Parameters
    ----------
    y : (n_firms, n_periods)
    weight : (n_firms,)
    code : (n_firms,) groups
    seen : (n_groups, n_periods)
    """
    inside, n_groups = np.flatnonzero(code >= 0), seen.shape[0]
    group, w = code[inside], weight[inside]
    size: FloatArray = np.asarray(np.bincount(group, w, n_groups), dtype=float)
    mean = np.zeros(seen.shape)
    for t in range(y.shape[1]):
        known = np.where(seen[group, t], y[inside, t], 0.0)
        mean[:, t] = np.bincount(group, w * known, n_groups) / size
    return mean, size


def normal_matrix(groups: Groups) -> FloatArray:
    """Return the sum over firms of w z z' of the swept columns, (k + periods, k + periods)."""
    width = groups.X.shape[2] + groups.periods.size
    total = np.zeros((width, width))
    for start, stop in groups.chunks():
        Z = groups.swept(start, stop)
        weighted = Z * groups.size[start:stop, None, None]
        total += weighted.reshape(-1, width).T @ Z.reshape(-1, width)
    return total


def coefficients(groups: Groups, bread: FloatArray) -> FloatArray:
    """Return the coefficients of regressors and periods, (k + periods,).

    Parameters
    ----------
    groups : Groups
    bread : (k + periods, k + periods)
        Inverse of `normal_matrix`.
    """
    score = np.zeros(bread.shape[0])
    for start, stop in groups.chunks():
        weighted = groups.y[start:stop] * groups.size[start:stop, None]
        score += np.einsum("gt,gtk->k", weighted, groups.swept(start, stop))
    return np.asarray(bread @ score)


def leverage(groups: Groups, bread: FloatArray) -> FloatArray:
    """Return how each observation moves each coefficient, (n_groups, n_periods, k).

    Parameters
    ----------
    groups : Groups
    bread : (k + periods, k + periods)
        Inverse of `normal_matrix`.
    """
    k = groups.X.shape[2]
    parts = [groups.swept(*chunk) @ bread[:, :k] for chunk in groups.chunks()]
    return np.concatenate(parts)


def influence(
    groups: Groups, moves: FloatArray, coefficients: FloatArray, y: FloatArray, weight: FloatArray
) -> FloatArray:
    """Return the influence of each firm on the k coefficients, (n_firms, k), zero outside.

    Estimate - truth is about the sum over firms: sum over t of w_i moves_it u_it. Firm effects
    drop out of the residual u because `moves` sums to zero over each firm's periods.

    Parameters
    ----------
    groups : Groups
    moves : (n_groups, n_periods, k)
        From `leverage`.
    coefficients : (k + periods,)
    y : (n_firms, n_periods)
    weight : (n_firms,)
    """
    fitted = np.concatenate([groups.columns(*chunk) @ coefficients for chunk in groups.chunks()])
    inside = np.flatnonzero(groups.code >= 0)
    psi = np.zeros((y.shape[0], moves.shape[2]))
    for start in range(0, inside.size, _CHUNK):
        rows = inside[start : start + _CHUNK]
        group = groups.code[rows]
        residual = np.where(groups.seen[group], y[rows] - fitted[group], 0.0)
        psi[rows] = weight[rows, None] * np.einsum("it,itk->ik", residual, moves[group])
    return psi


def cluster_sums(
    groups: Groups, y: FloatArray, weight: FloatArray, clusters: IntArray
) -> tuple[FloatArray, FloatArray, int]:
    """Return sums within clusters of w z z', of w z y over swept columns z, and the observations.

    Parameters
    ----------
    groups : Groups
    y : (n_firms, n_periods)
    weight : (n_firms,)
    clusters : (n_firms,) codes
        Those without a firm in a group are left out.

    Returns
    -------
    cross : (n_clusters, k + periods, k + periods)
    moment : (n_clusters, k + periods)
    n_rows : int
    """
    rows = np.flatnonzero(groups.code >= 0)
    code = np.unique(clusters[rows], return_inverse=True)[1]
    group = groups.code[rows]
    n_groups, n_clusters = groups.size.size, int(code.max()) + 1
    pair, place = np.unique(code * n_groups + group, return_inverse=True)
    w = weight[rows]
    size = np.bincount(place, w, pair.size)
    total = np.stack(
        [
            np.bincount(place, w * np.where(groups.seen[group, t], y[rows, t], 0.0), pair.size)
            for t in range(y.shape[1])
        ],
        axis=1,
    )
    width = groups.X.shape[2] + groups.periods.size
    cross = np.zeros((n_clusters, width, width))
    moment = np.zeros((n_clusters, width))
    cluster, of_pair = pair // n_groups, pair % n_groups
    for start, stop in groups.chunks():
        inside = np.flatnonzero((of_pair >= start) & (of_pair < stop))
        Z = groups.swept(start, stop)
        square = np.matmul(Z.transpose(0, 2, 1), Z)
        own = of_pair[inside] - start
        np.add.at(cross, cluster[inside], size[inside, None, None] * square[own])
        np.add.at(moment, cluster[inside], np.einsum("pt,ptk->pk", total[inside], Z[own]))
    return cross, moment, int(groups.seen[group].sum())
