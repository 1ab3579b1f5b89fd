"""The sample of a matched cell: what is compared, and the covariates that a regression may use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from exportimpact._typing import FloatArray
from exportimpact.core.cell import Cell
from exportimpact.language import Message, message
from exportimpact.numerics.regression import dependent_columns


@dataclass(frozen=True, eq=False)
class Sample:
    """A cell's sample.

    Attributes
    ----------
    y, d, w : (n_rows,)
        Outcome or change, whether supported, weights.
    s : (n_rows,)
        Sampling weights at the base period, without those of matching.
    X : (n_rows, k)
        A constant, covariates and matched lags.
    reason : Message or None
        Why a regression on X among comparison firms is not possible.
    """

    y: FloatArray
    d: FloatArray
    w: FloatArray
    s: FloatArray
    X: FloatArray
    reason: Message | None


def sample_of(design: Any, cell: Cell, *, change: bool) -> Sample:
    """Return the sample of a cell.

    Parameters
    ----------
    design : Design
    cell : Cell
    change : bool
        Whether the outcome is its change since the base period.
    """
    wide = design.wide()
    y = wide.change(cell) if change else wide.level(cell)
    # The past that was matched on is that of the cohort's base period, whatever the cell's own is.
    base = design.matching.cohorts[cell.cohort].risk.base_index
    X = np.column_stack([wide.covariates(cell), wide.past(cell, base, design.lags)])
    names = [*wide.names, *(f"lag {lag}" for lag in range(design.lags))]
    present = np.concatenate([[True], np.ptp(X[:, 1:], axis=0) > 0])
    X, names = X[:, present], [n for n, there in zip(names, present, strict=True) if there]
    other = cell.is_supported == 0
    reason = None
    dependent = dependent_columns(X[other])
    if other.sum() <= X.shape[1]:
        reason = message("cell.too_few_comparison", firms=int(other.sum()), columns=X.shape[1])
    elif dependent.any():
        named = ", ".join(n for n, bad in zip(names, dependent, strict=True) if bad)
        reason = message("cell.collinear", covariates=named)
    weight = design.panel.weight
    s = np.ones(y.size) if weight is None else weight[cell.rows, cell.base_index]
    return Sample(y, cell.is_supported, cell.weights, s, X, reason)
