"""The total effect per unit of support, and joint tests by event time, as exhibits of a result."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from exportimpact._typing import BoolArray, FloatArray
from exportimpact.core.aggregation import aggregate
from exportimpact.core.cell import Cell
from exportimpact.core.exhibit import Exhibit
from exportimpact.core.protocols import DesignLike
from exportimpact.core.result import EstimationResult
from exportimpact.core.wald import WaldTest, rows_test
from exportimpact.estimators.did.paths import Paths
from exportimpact.language import message
from exportimpact.numerics.distributions import t_quantile, t_two_sided
from exportimpact.numerics.influence import Block, Influence


@dataclass(eq=False)
class Received:
    """What supported firms received in the cells since support, filled cell by cell.

    Attributes
    ----------
    design, paths
    support : (n_firms,)
        Weighted support of each firm over its cells.
    compared : (n_firms, n_periods) bool
        Where firms served as comparison since a cohort's first change.
    n_supported : int
        Supported firm-periods.
    unknown : (n_firms,) bool
        Firms whose dose is not known in some cell.
    apart : (n_firms,) bool
        Supported firms without a comparison firm of their baseline in some period.
    complete : bool
        Whether every cell has a supported firm whose dose is known.
    """

    design: DesignLike
    paths: Paths
    support: FloatArray
    compared: BoolArray
    unknown: BoolArray
    apart: BoolArray
    n_supported: int = 0
    complete: bool = True

    @classmethod
    def nothing(cls, design: DesignLike, paths: Paths) -> Received:
        """Return the state before the first cell."""
        n_firms, n_periods = paths.dose.shape
        return cls(
            design,
            paths,
            np.zeros(n_firms),
            np.zeros((n_firms, n_periods), dtype=bool),
            np.zeros(n_firms, dtype=bool),
            np.zeros(n_firms, dtype=bool),
        )

    @property
    def n_unknown(self) -> int:
        """Firms whose dose is not known in some cell."""
        return int(self.unknown.sum())

    @property
    def n_apart(self) -> int:
        """Firms without a comparison firm of their baseline in some period."""
        return int(self.apart.sum())

    def add(self, cell: Cell, whole: Cell) -> None:
        """Add a cell, if it is one since first change; `whole` has firms that it left out too."""
        if cell.event_time < 0:
            return
        if whole.supported.size > cell.supported.size:
            self.apart[np.setdiff1d(whole.supported, cell.supported)] = True
        members = self.design.members(cell.cohort)
        weight = self.design.member_weights(cell.cohort)[np.searchsorted(members, cell.supported)]
        dose = self.paths.dose[cell.supported, cell.period_index]
        known = np.isfinite(dose)
        self.unknown[cell.supported[~known]] = True
        self.n_supported += cell.supported.size
        self.compared[cell.comparison, cell.period_index] = True
        if not weight[known].sum() > 0:
            self.complete = False
            return
        mean = weight[known] @ dose[known] / weight[known].sum()
        self.support[cell.supported] += weight * np.where(known, dose, mean)


def with_exhibits(result: EstimationResult, received: Received, *, known: bool) -> EstimationResult:
    """Return the result with its total effect per unit of support and its joint tests.

    Parameters
    ----------
    result : EstimationResult
    received : Received
    known : bool
        Whether doses are taken as they are in the error of the total effect.
    """
    shown = [*result.own_exhibits]
    if received.complete and received.support.any():
        shown.append(_total_effect(result, received, known=known))
    return replace(result, own_exhibits=(*shown, _joint_tests(result)))


def _total_effect(result: EstimationResult, received: Received, *, known: bool) -> Exhibit:
    """Sum of effects over sum of support: psi = (psi_effects - ratio psi_support) / support."""
    cells, design = result.cells, received.design
    assert cells.influence is not None
    since = cells.index.event_time >= 0
    sizes = np.where(since, cells.observed_sizes.value, 0.0)
    mean_support = float(received.support.mean())
    ratio = float(sizes @ cells.estimate) / mean_support
    gradient = np.zeros((cells.influence.n_columns, 1))
    gradient[: sizes.size, 0] = sizes
    gradient[cells.observed_sizes.column, 0] = np.where(since, cells.estimate, 0.0)
    psi = cells.influence.combine(gradient).dense()[:, 0]
    psi = (psi - (0.0 if known else ratio * received.support)) / mean_support
    rows = np.flatnonzero(psi)
    block = Block(rows, np.zeros(1, dtype=np.int64), psi[rows][:, np.newaxis])
    errors = cells.errors_of_one(
        Influence(psi.size, 1, (block,)), since, design.cohort_codes, design.cluster_codes
    )
    error, df = float(errors.std_error[0]), errors.df
    half = float(t_quantile(0.975, df)[0]) * error
    table = pd.DataFrame(
        {
            "estimate": [ratio],
            "std_error": [error],
            "ci_low": [ratio - half],
            "ci_high": [ratio + half],
            "p_value": t_two_sided(np.array([ratio / error if error > 0 else np.nan]), df),
            "n_supported": [received.n_supported],
            "n_comparison": [int(received.compared.sum())],
        }
    )
    note = message("note.total_effect")
    return Exhibit("total_effect", "total_effect", table, notes=(note,))


def _joint_tests(result: EstimationResult) -> Exhibit:
    cells = result.cells
    rows = aggregate("event_time", cells.index, cells.observed_sizes)
    times = np.array(rows.keys, dtype=np.int64)
    step, lead = result.provenance.step_length, result.provenance.anticipation
    tests: dict[str, WaldTest | None] = {}
    for name, chosen in (("effects", times >= 0), ("placebos", times < -lead - step)):
        null = message(f"test.{name}_null", rows=int(chosen.sum()))
        tested = np.flatnonzero(chosen)
        tests[name] = rows_test(cells, rows, tested, null) if tested.size else None
    lines = [_line(name, test) for name, test in tests.items()]
    return Exhibit("joint_tests", "joint_tests", pd.DataFrame(lines))


def _line(name: str, test: WaldTest | None) -> dict[str, object]:
    line: dict[str, object] = {"test": name}
    for column in ("wald", "statistic", "df_numerator", "df_denominator", "p_value"):
        value = None if test is None else getattr(test, column)
        line[column] = np.nan if value is None else float(value)
    reason = message("test.no_rows") if test is None else test.reason
    line["reason"] = "" if reason is None else str(reason)
    return line
