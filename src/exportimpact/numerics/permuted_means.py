"""Average effects by cohort and period, for many arrangements of support at once.

Where a cell is a difference in mean changes, everything that an arrangement needs are sums of
changes over the firms of each history of support. Changes since every base period are taken once;
where whole clusters are dealt out, so are their sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from exportimpact._typing import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False, repr=False)
class Roles:
    """What firms of each history do in each cell.

    Attributes
    ----------
    supported, comparison : (n_histories, n_cells) bool
    cohort : (n_cells,)
        Cohort of each cell, counted from 0.
    stratum : (n_histories,)
        0 for histories of no cohort, else the cohort counted from 1.
    """

    supported: BoolArray
    comparison: BoolArray
    cohort: IntArray
    stratum: IntArray


@dataclass(frozen=True, eq=False, repr=False)
class Atoms:
    """Firms, or clusters that are dealt out whole.

    Attributes
    ----------
    sums : (n_atoms, 3 n_cells)
        Per cell, side by side: change of the outcome and of observed support, and how many firms
        are observed at both ends.
    size : (n_atoms,)
        Firms.
    clusters : (n_atoms,) codes from 0, or None
        Clusters of the errors; None when the firm is the cluster.
    n_firms : int
        All firms, which shares are relative to.
    """

    sums: FloatArray
    size: FloatArray
    clusters: IntArray | None
    n_firms: int

    @cached_property
    def _numbers(self) -> IntArray:
        return np.arange(self.size.size)


def averages(
    atoms: Atoms, roles: Roles, history: IntArray, *, within: bool
) -> tuple[FloatArray, FloatArray]:
    """Return the average effect on both outcomes, (2,), and its covariance, (2, 2).

    Parameters
    ----------
    atoms : Atoms
    roles : Roles
    history : (n_atoms,)
        History of support of each atom, counted from 0.
    within : bool
        Whether the covariance is computed within (cohort, arm) strata of cluster sums.
    """
    n_histories, m = roles.supported.shape
    hot = np.zeros((n_histories, history.size))
    hot[history, atoms._numbers] = 1.0
    total = (hot @ atoms.sums).reshape(n_histories, 3, m)
    sizes = np.bincount(roles.stratum, hot @ atoms.size, int(roles.stratum.max()) + 1)
    share: FloatArray = sizes[1:] / atoms.n_firms
    means, counts = [], []
    for side in (roles.supported, roles.comparison):
        summed = np.einsum("hc,hkc->kc", side, total)
        counts.append(summed[2])
        with np.errstate(divide="ignore", invalid="ignore"):
            means.append(summed[:2] / summed[2])
    there = (counts[0] > 0) & (counts[1] > 0)
    weight = np.where(there, share[roles.cohort], 0.0)
    whole = weight.sum()
    if not whole > 0:
        return np.full(2, np.nan), np.full((2, 2), np.nan)
    effect = np.where(there, means[0] - means[1], 0.0)
    theta = effect @ (weight / whole)
    slope = np.zeros((n_histories, 2))
    for place, code in enumerate(roles.stratum):
        own = there & (roles.cohort == code - 1)
        slope[place] = (effect[:, own] - theta[:, None]).sum(axis=1) / whole
    scale = atoms.n_firms * weight / whole
    with np.errstate(divide="ignore", invalid="ignore"):
        sides = zip((roles.supported, roles.comparison), counts, strict=True)
        moves = [np.where(there & side, scale / count, 0.0) for side, count in sides]
    K = moves[0] - moves[1]
    centre = [np.where(there, x, 0.0) for x in means]
    psi = _influence(atoms, history, K, moves, centre) + slope[history] * atoms.size[:, None]
    return theta, _covariance(psi, atoms, roles.stratum[history], within=within)


def _influence(
    atoms: Atoms,
    history: IntArray,
    K: FloatArray,
    moves: list[FloatArray],
    centre: list[FloatArray],
) -> FloatArray:
    """Return sums of psi over the firms of each atom, (n_atoms, 2)."""
    n_histories, m = K.shape
    by = np.zeros((3, m, n_histories, 2))
    for k in range(2):
        by[k, :, :, k] = K.T
        by[2, :, :, k] = -(moves[0] * centre[0][k] - moves[1] * centre[1][k]).T
    every = atoms.sums @ by.reshape(3 * m, 2 * n_histories)
    psi: FloatArray = every.reshape(-1, n_histories, 2)[atoms._numbers, history]
    return psi


def _covariance(psi: FloatArray, atoms: Atoms, stratum: IntArray, *, within: bool) -> FloatArray:
    n = atoms.n_firms
    if atoms.clusters is None:
        pooled: FloatArray = psi.T @ psi / n**2
        return pooled
    return clustered_covariance(psi, atoms.clusters, stratum, atoms.size > 0, within=within) / n**2


def clustered_covariance(
    psi: FloatArray, clusters: IntArray, stratum: IntArray, present: BoolArray, *, within: bool
) -> FloatArray:
    """Return the sum over clusters of psi psi', pooled or centred within strata, (k, k).

    Clusters whose members belong to several strata form one further stratum, and those that are
    alone in theirs a stratum whose mean is zero.

    Parameters
    ----------
    psi : (n, k)
    clusters, stratum : (n,) codes from 0
    present : (n,) bool
        Who takes part.
    within : bool
    """
    n_clusters = int(clusters.max()) + 1
    sums: FloatArray = np.stack(
        [np.asarray(np.bincount(clusters, c, n_clusters), dtype=float) for c in psi.T], axis=1
    )
    if not within:
        pooled: FloatArray = sums.T @ sums
        return pooled
    low, high = np.full(n_clusters, np.iinfo(np.int64).max), np.full(n_clusters, -1)
    np.minimum.at(low, clusters[present], stratum[present])
    np.maximum.at(high, clusters[present], stratum[present])
    own = np.where(low == high, low, int(stratum.max()) + 1)[high >= 0]
    sums = sums[high >= 0]
    strata, place, count = np.unique(own, return_inverse=True, return_counts=True)
    lone = sums[count[place] == 1]
    total: FloatArray = len(lone) / max(len(lone) - 1, 1) * np.asarray(lone.T @ lone)
    for code, k in zip(strata, count, strict=True):
        if k > 1:
            apart = sums[own == code] - sums[own == code].mean(axis=0)
            total += k / (k - 1) * apart.T @ apart
    return total
