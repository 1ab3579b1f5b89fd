"""Estimates before support beside the effects since, and how a difference in trend moves them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from exportimpact._typing import Aggregation, FloatArray, IntArray
from exportimpact.core.aggregation import Rows, identity
from exportimpact.core.cellset import CellSet
from exportimpact.core.result import EstimationResult
from exportimpact.core.wald import WaldTest, pretrend_cells
from exportimpact.errors import CapabilityError, NotIdentifiedError
from exportimpact.language import Message, message
from exportimpact.numerics import pretrends
from exportimpact.numerics.distributions import t_quantile, t_two_sided
from exportimpact.numerics.lattice import chance_in_box
from exportimpact.numerics.pretrends import Quiet

Test: TypeAlias = Literal["joint", "each"]


@dataclass(frozen=True, eq=False)
class Leads:
    """What a pre-trend test looks at, and the rows whose bias is asked for.

    Attributes
    ----------
    test : {"joint", "each"}
        All cells before support at once, or each event time by itself.
    level : float
        Of the test, such as 0.05.
    estimate, shape : (k,)
        The estimates before support, and what a trend of one a period adds to each.
    covariance : (k, k)
    critical : (k,)
        Critical values of the t statistics where each is looked at.
    df : float
        Denominator degrees of freedom of the joint test.
    p_value : float
        Of the test as it came out; the smallest where each is looked at.
    row_estimate, row_shape : (m,)
        Of the other rows: the overall effect first, then the effects by event time.
    cross : (m, k)
        Their covariance with the estimates before support.
    """

    test: Test
    level: float
    estimate: FloatArray
    shape: FloatArray
    covariance: FloatArray
    critical: FloatArray
    df: float
    p_value: float
    row_estimate: FloatArray
    row_shape: FloatArray
    cross: FloatArray

    def slope(self, power: float) -> float:
        """Return the slope that is found with `power`; ValueError where less is found by chance."""
        if self.test == "joint":
            return pretrends.slope_joint(power, self.shape, self.covariance, self.df, self.level)
        return pretrends.slope_each(power, self.shape, self.covariance, self.critical)

    def quiet(self, slope: float) -> Quiet:
        """Return what follows from a quiet test under a slope."""
        delta = slope * self.shape
        if self.test == "joint":
            return pretrends.quiet_joint(delta, self.covariance, self.df, self.level)
        return pretrends.quiet_each(delta, self.covariance, self.critical)

    def chance(self, slope: float) -> float:
        """Return the chance that the test finds nothing under a slope."""
        if self.test == "joint":
            return self.quiet(slope).chance
        limit = self.critical * np.sqrt(np.diagonal(self.covariance))
        return chance_in_box(slope * self.shape, self.covariance, limit)

    def shift(self, slope: float, quiet: Quiet) -> FloatArray:
        """Return by how much the rows are off where the test found nothing, (m,)."""
        delta = slope * self.shape
        further = pretrends.shift_if_quiet(delta, quiet, self.covariance, self.cross)
        shift: FloatArray = slope * self.row_shape + further
        return shift

    def likelihood_ratio(self, slope: float) -> float:
        """Return how likely the estimates before support are under a slope, against none."""
        return pretrends.likelihood_ratio(self.estimate, slope * self.shape, self.covariance)


def leads_of(
    result: EstimationResult,
    test: Test,
    by: Aggregation,
    level: float,
    *,
    path: bool = True,
    found: WaldTest | None = None,
) -> Leads | Message:
    """Return what a pre-trend test of a result looks at, or why there is none.

    Parameters
    ----------
    result : EstimationResult
        Cells.
    test : {"joint", "each"}
    by : {"simple", "event_time", "cohort", "calendar"}
        Which overall effect.
    level : float
        Of the test.
    path : bool
        Whether the effects by event time are among the rows.
    found : WaldTest, optional
        The pre-trend test of the result, where it is known already.

    Raises
    ------
    CapabilityError
        EI-I03 for aggregates, EI-I40 where a trend does not move cells as their base periods say.
    """
    found = result.pretrend_test() if found is None else found
    if not found.applies and (test == "joint" or found.df_numerator == 0):
        return found.reason or message("test.no_pre_cells")
    shape = trend_of(result)
    overall = result.overall(by).rows
    assert overall is not None
    others = [overall]
    if path:
        by_time = result.aggregate("event_time").rows
        assert by_time is not None
        others.append(by_time)
    before = _joint_rows(result) if test == "joint" else _event_time_rows(result)
    if isinstance(before, Message):
        return before
    return _leads(result, test, level, before, _together(others), shape, found)


def trend_of(result: EstimationResult) -> FloatArray:
    """Return what a difference in trend of one a period adds to each cell, (n_cells,).

    Raises
    ------
    CapabilityError
        EI-I40.
    """
    cells, step = result.cells, result.provenance.step_length
    lag = (cells.index.period - cells.base) / step
    if result.estimand.per_unit or (lag[cells.index.event_time < 0] == 0).any():
        why = (
            "its effects are divided by the support received"
            if result.estimand.per_unit
            else "its effects before support are held against all older periods, its effects since "
            "support against all periods without support"
        )
        raise CapabilityError(
            "EI-I40",
            f"{result.provenance.title!r} does not hold cells against one base period each: {why}, "
            "so that a difference in trend of one a period does not move them by their distance "
            "from the base period and its bias would be wrong. Ask it of GroupTime, "
            "Saturated(leads=True) or Stacked on the same design.",
            estimator=result.provenance.estimator,
        )
    return lag


def event_time_leads(result: EstimationResult) -> tuple[EstimationResult, IntArray]:
    """Return the path by event time, and which of its rows tell of trends before support.

    Raises
    ------
    NotIdentifiedError
        EI-I41 where none of them has an error.
    """
    test = result.pretrend_test()
    path = result.aggregate("event_time")
    rows = _lead_rows(result, path)
    live = rows[np.nan_to_num(path.table()["std_error"].to_numpy(dtype=float)[rows]) > 0]
    live = live[np.isfinite(path.table(detail=True)["df"].to_numpy(dtype=float)[live])]
    if not live.size:
        raise nothing_to_test(test.reason or message("test.no_errors"))
    return path, live


def nothing_to_test(reason: Message) -> NotIdentifiedError:
    """Return EI-I41: there is nothing before support that a test could look at."""
    return NotIdentifiedError(
        "EI-I41",
        f"There is no test of trends before support: {reason} What it could have seen is not a "
        "question then, and parallel trends rest on trust. Use a panel that starts earlier, an "
        "estimator with leads, or fewer cohorts.",
        reason=str(reason),
    )


def _lead_rows(result: EstimationResult, path: EstimationResult) -> IntArray:
    """Return which rows of the path by event time are before support, anticipation and lags."""
    own = result.provenance
    latest = -own.anticipation - own.lags * own.step_length
    assert path.rows is not None
    return np.flatnonzero([int(key or 0) < latest for key in path.rows.keys]).astype(np.int64)


def _joint_rows(result: EstimationResult) -> Rows:
    own = result.provenance
    before = pretrend_cells(result.cells, own.anticipation, own.lags * own.step_length)
    return _some(identity(result.cells.index), before)


def _event_time_rows(result: EstimationResult) -> Rows | Message:
    try:
        path, live = event_time_leads(result)
    except NotIdentifiedError:
        return message("test.no_errors")
    assert path.rows is not None
    return _some(path.rows, live)


def _leads(
    result: EstimationResult,
    test: Test,
    level: float,
    before: Rows,
    others: Rows,
    shape: FloatArray,
    found: WaldTest,
) -> Leads | Message:
    cells: CellSet = result.cells
    rows, k = _together([before, others]), len(before.keys)
    gradient, values = cells.gradient(rows), rows.weights @ cells.estimate
    critical, p_value = np.full(k, np.nan), float(found.p_value or 0.0)
    if test == "joint":  # the covariance that the F test is made with
        covariance = cells.moments.within(gradient, rows.used(gradient.shape[1]))
    else:
        errors = cells.errors(gradient, rows)
        covariance = errors.covariance
        critical = t_quantile(1 - level / 2, errors.df[:k])
        p_value = float(t_two_sided(values[:k] / errors.std_error[:k], errors.df[:k]).min())
    scale = np.sqrt(np.diagonal(covariance)[:k])
    related = covariance[:k, :k] / np.outer(scale, scale)
    if np.linalg.matrix_rank(related, tol=1e-9) < k:
        return message("test.singular")
    shifts = rows.weights @ shape
    return Leads(
        test=test,
        level=level,
        estimate=values[:k],
        shape=shifts[:k],
        covariance=covariance[:k, :k],
        critical=critical,
        df=float(found.df_denominator),
        p_value=p_value,
        row_estimate=values[k:],
        row_shape=shifts[k:],
        cross=covariance[k:, :k],
    )


def _together(parts: list[Rows]) -> Rows:
    return Rows(
        np.vstack([rows.weights for rows in parts]),
        tuple(part for rows in parts for part in rows.parts),
        tuple(key for rows in parts for key in rows.keys),
    )


def _some(rows: Rows, kept: IntArray) -> Rows:
    return Rows(
        rows.weights[kept],
        tuple(rows.parts[k] for k in kept),
        tuple(rows.keys[k] for k in kept),
    )
