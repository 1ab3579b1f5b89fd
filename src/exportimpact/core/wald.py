"""The joint test that every cell before support is zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exportimpact.core.aggregation import identity
from exportimpact.core.cellset import CellSet
from exportimpact.language import Message, message
from exportimpact.numerics.distributions import f_upper


@dataclass(frozen=True)
class WaldTest:
    """A joint test, its null hypothesis, and whether it applies.

    Attributes
    ----------
    null : Message
    wald, statistic : float or None
        theta' V^-1 theta, and the F statistic made from it.
    df_numerator, df_denominator : int
    p_value : float or None
    reason : Message or None
        Why the test does not apply.

    References
    ----------
    Hotelling's T^2: F = W (G - k) / (k (G - 1)) with k cells and G clusters (firms).
    """

    null: Message
    wald: float | None
    statistic: float | None
    df_numerator: int
    df_denominator: int
    p_value: float | None
    reason: Message | None = None

    @property
    def applies(self) -> bool:
        """Whether there is a p-value."""
        return self.p_value is not None


def pretrend_test(cells: CellSet, anticipation: int, matched: int = 0) -> WaldTest:
    """Test the cells with event time below -anticipation jointly.

    Cells in the `matched` time before that are left out: firms were matched on their outcomes, so
    that they are near zero whether or not anything holds.
    """
    event_time = cells.index.event_time
    before = np.flatnonzero(event_time < -anticipation - matched)
    clusters = cells.moments.n_members
    null = message("test.pretrend_null", cells=int(before.size))
    if before.size == 0:
        by_construction = bool((event_time < -anticipation).any())
        why = "test.met_by_construction" if by_construction else "test.no_pre_cells"
        return _none(null, 0, clusters, message(why))
    if before.size >= clusters - 1:
        reason = message("test.too_many_cells", cells=int(before.size), clusters=clusters)
        return _none(null, int(before.size), clusters, reason)
    rows = identity(cells.index)
    errors = cells.errors(cells.gradient(rows), rows)
    if np.isnan(errors.std_error[before]).any():
        return _none(null, int(before.size), clusters, message("test.no_errors"))
    covariance = errors.covariance[np.ix_(before, before)]
    scale = np.sqrt(np.diagonal(covariance))
    if (scale <= 0).any():
        return _none(null, int(before.size), clusters, message("test.singular"))
    correlation = covariance / np.outer(scale, scale)
    if np.linalg.matrix_rank(correlation, tol=1e-9) < before.size:
        return _none(null, int(before.size), clusters, message("test.singular"))
    z = cells.estimate[before] / scale
    wald = float(z @ np.linalg.solve(correlation, z))
    k = int(before.size)
    statistic = wald * (clusters - k) / (k * (clusters - 1))
    return WaldTest(null, wald, statistic, k, clusters - k, f_upper(statistic, k, clusters - k))


def _none(null: Message, cells: int, clusters: int, reason: Message) -> WaldTest:
    return WaldTest(null, None, None, cells, max(clusters - cells, 0), None, reason)
