"""Joint tests: that effects or combinations of them are zero, that estimates are equal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exportimpact._typing import BoolArray, FloatArray, IntArray
from exportimpact.core.aggregation import Rows, identity
from exportimpact.core.cellset import CellSet
from exportimpact.language import Message, message
from exportimpact.numerics.distributions import f_upper
from exportimpact.numerics.influence import Moments


@dataclass(frozen=True)
class WaldTest:
    """A joint test, its null hypothesis, and whether it applies.

    Attributes
    ----------
    null : Message
    wald, statistic : float or None
        theta' V^-1 theta, and an F statistic: the same with the covariance within (cohort, arm),
        which loses degrees of freedom.
    df_numerator : int
    df_denominator : float
    p_value : float or None
    reason : Message or None
        Why the test does not apply.

    References
    ----------
    Hotelling's T^2 with unequal covariances: F = T^2 (nu - k + 1) / (k nu) with k cells and the
    degrees of freedom nu of Nel & van der Merwe (1986), doi:10.1080/03610928608829342.
    """

    null: Message
    wald: float | None
    statistic: float | None
    df_numerator: int
    df_denominator: float
    p_value: float | None
    reason: Message | None = None

    @property
    def applies(self) -> bool:
        """Whether there is a p-value."""
        return self.p_value is not None

    def __repr__(self) -> str:
        if self.reason is not None:
            return f"{self.null} Not tested: {self.reason}"
        freedom = f"{self.df_numerator} and {self.df_denominator:.0f} degrees of freedom"
        return f"{self.null} F = {self.statistic:.3g} with {freedom}, p = {self.p_value:.3g}"


def pretrend_test(cells: CellSet, anticipation: int, matched: int = 0) -> WaldTest:
    """Test the cells of `pretrend_cells` jointly."""
    event_time = cells.index.event_time
    before = pretrend_cells(cells, anticipation, matched)
    clusters = cells.moments.n_members
    null = message("test.pretrend_null", cells=int(before.size))
    if before.size == 0:
        by_construction = bool((event_time < -anticipation).any())
        why = "test.met_by_construction" if by_construction else "test.no_pre_cells"
        return not_applicable(null, 0, clusters, message(why))
    return rows_test(cells, identity(cells.index), before, null)


def pretrend_cells(cells: CellSet, anticipation: int, matched: int = 0) -> IntArray:
    """Return which cells tell of trends before support: event time below -anticipation, (k,).

    Cells in the `matched` time before that are left out: firms were matched on their outcomes, so
    that they are near zero whether or not anything holds.
    """
    event_time = cells.index.event_time
    before = np.flatnonzero(event_time < -anticipation - matched)
    if cells.common != "none":  # one and the same number is one restriction
        before = before[np.unique(event_time[before], return_index=True)[1]]
    return before.astype(np.int64)


def linear_test(cells: CellSet, contrasts: FloatArray, null: Message) -> WaldTest:
    """Test that every one of some combinations of cells is zero.

    Parameters
    ----------
    cells : CellSet
    contrasts : (k, n_cells)
        One restriction a row.
    null : Message
    """
    k = contrasts.shape[0]
    rows = Rows(contrasts, ((),) * k, (None,) * k)
    return rows_test(cells, rows, np.arange(k), null)


def rows_test(cells: CellSet, rows: Rows, tested: IntArray, null: Message) -> WaldTest:
    """Test that the rows `tested` of a table are zero, all of them."""
    k, clusters = int(tested.size), cells.moments.n_members
    if k >= clusters - 1:
        reason = message("test.too_many_cells", cells=k, clusters=clusters)
        return not_applicable(null, k, clusters, reason)
    gradient = cells.gradient(rows)
    used, errors = rows.used(gradient.shape[1]), cells.errors(gradient, rows)
    if np.isnan(errors.std_error[tested]).any():
        return not_applicable(null, k, clusters, message("test.no_errors"))
    return joint_test(
        null,
        (rows.weights @ cells.estimate)[tested],
        errors.covariance[np.ix_(tested, tested)],
        cells.moments,
        gradient[tested],
        used[tested],
    )


def joint_test(
    null: Message,
    theta: FloatArray,
    covariance: FloatArray,
    moments: Moments,
    gradient: FloatArray,
    used: BoolArray,
) -> WaldTest:
    """Test that functions of the columns of `moments` are zero, all of them.

    Parameters
    ----------
    null : Message
    theta : (k,)
    covariance : (k, k)
        That errors are shown with.
    moments : Moments
    gradient, used : (k, n_columns)
        How `theta` moves with the columns, and which of them it depends on.
    """
    k, clusters = theta.size, moments.n_members
    wald = _distance(theta, covariance)
    unbiased = _distance(theta, moments.within(gradient, used))
    if wald is None or unbiased is None:
        return not_applicable(null, k, clusters, message("test.singular"))
    nu = moments.joint_freedom(gradient, used)
    if not nu > k:
        reason = message("test.too_many_cells", cells=k, clusters=int(nu) + 1)
        return not_applicable(null, k, int(nu) + 1, reason)
    statistic = unbiased * (nu - k + 1) / (k * nu)
    return WaldTest(null, wald, statistic, k, nu - k + 1, f_upper(statistic, k, nu - k + 1))


def _distance(theta: FloatArray, covariance: FloatArray) -> float | None:
    """Return theta' V^-1 theta; None where V is singular."""
    scale = np.sqrt(np.clip(np.diagonal(covariance), 0.0, None))
    if (scale <= 0).any():
        return None
    correlation = covariance / np.outer(scale, scale)
    if np.linalg.matrix_rank(correlation, tol=1e-9) < theta.size:
        return None
    z = theta / scale
    return float(z @ np.linalg.solve(correlation, z))


def not_applicable(null: Message, cells: int, clusters: int, reason: Message) -> WaldTest:
    """Return a test without a statistic, and the reason."""
    return WaldTest(null, None, None, cells, max(clusters - cells, 0), None, reason)
