"""The clusters' parts of an estimate, from its influence functions.

An estimate is a sum over strata (cohorts, and firms of none) of one mean each. Draws give clusters
other signs, and the means are estimated again: each cluster loses its share of what its stratum
moves.
"""

from __future__ import annotations

import numpy as np

from exportimpact._typing import FloatArray, IntArray
from exportimpact.core.result import EstimationResult
from exportimpact.numerics.wild_cluster import Parts


def score_parts(row: EstimationResult, codes: IntArray) -> Parts:
    """Return the parts of a result of one row; cohorts weigh as they do in the sample.

    Parameters
    ----------
    row : EstimationResult
    codes : (n_firms,)
        Cluster of each firm.

    References
    ----------
    Kline & Santos (2012), doi:10.1515/2156-6674.1006
    """
    psi, leverage = _of_firms(row)
    taking_part = np.flatnonzero(leverage > 0)
    cluster = np.unique(codes[taking_part], return_inverse=True)[1]
    stratum = np.unique(row.design.cohort_codes[taking_part], return_inverse=True)[1]
    n_clusters, n_strata = int(cluster.max()) + 1, int(stratum.max()) + 1
    place = cluster * n_strata + stratum

    def summed(values: FloatArray) -> FloatArray:
        found = np.bincount(place, values[taking_part], n_clusters * n_strata)
        return np.asarray(found, dtype=float).reshape(n_clusters, n_strata)

    share = summed(leverage)
    share = share / share.sum(axis=0)
    parts = summed(psi)
    spread = np.bincount(stratum, psi[taking_part] ** 2, n_strata)
    moved = parts + row.estimate * share * (spread / spread.sum())
    slope = -share * (spread / spread.sum())
    return Parts(
        estimate=row.estimate,
        value=moved.sum(axis=1),
        slope=slope.sum(axis=1),
        loss=share,
        moved=moved,
        moved_slope=slope,
        factor=_factors(share),
    )


def _of_firms(row: EstimationResult) -> tuple[FloatArray, FloatArray]:
    """Return each firm's part of the estimate, and how much it counts in its mean, (n_firms,)."""
    assert row.rows is not None
    assert row.cells.influence is not None
    weights, design = row.rows.weights[0], row.design
    n = design.units.size
    psi, leverage = np.zeros(n), np.zeros(n)
    own = np.searchsorted(np.array(design.cohorts), row.cells.index.cohort) + 1
    firm_weight = np.nan_to_num(design.history().weight)
    for block in row.cells.influence.blocks:
        for j, column in enumerate(block.cols):
            if column >= weights.size or weights[column] == 0:
                continue
            psi[block.rows] += weights[column] * block.values[:, j] / n
            there = block.taking_part[:, j]
            counted = np.where(there, firm_weight[block.rows], 0.0)
            supported = design.cohort_codes[block.rows] == own[column]
            for side in (supported, ~supported):
                total = counted[side].sum()
                if total > 0:
                    leverage[block.rows[side]] += abs(weights[column]) * counted[side] / total
    return psi, leverage


def _factors(share: FloatArray) -> FloatArray:
    """Return k / (k - 1) of each cluster's stratum of k clusters, (n_clusters,).

    Clusters that span several strata are counted in a further stratum of their own.
    """
    inside = share > 0
    stratum = np.where(inside.sum(axis=1) > 1, share.shape[1], inside.argmax(axis=1))
    size = np.bincount(stratum)[stratum]
    factor: FloatArray = size / np.maximum(size - 1, 1)
    return factor
