"""The arrays that estimators work on: outcome changes and covariates of a cell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from exportimpact._typing import BoolArray, FloatArray
from exportimpact.core.cell import Cell
from exportimpact.design.covariates import Covariates


@dataclass(frozen=True, eq=False)
class Wide:
    """Outcome and covariates of a design.

    Attributes
    ----------
    outcome : (n_firms, n_periods)
        NaN outside the sample. Firms of one period lie side by side in memory.
    builder : Covariates or None
    """

    outcome: FloatArray
    builder: Covariates | None

    def change(self, cell: Cell) -> FloatArray:
        """Return the change since the base period of the cell's rows, (n_rows,)."""
        rows = cell.rows
        out: FloatArray = (
            self.outcome[:, cell.period_index][rows] - self.outcome[:, cell.base_index][rows]
        )
        return out

    def level(self, cell: Cell) -> FloatArray:
        """Return the outcome in the cell's period, (n_rows,)."""
        out: FloatArray = self.outcome[:, cell.period_index][cell.rows]
        return out

    def covariates(self, cell: Cell) -> FloatArray:
        """Return a constant and the covariates at the base period, (n_rows, 1 + k)."""
        if self.builder is None:
            return np.ones((cell.rows.size, 1))
        out: FloatArray = self._at(cell.base_index)[cell.rows]
        return out

    def past(self, cell: Cell, base_index: int, lags: int) -> FloatArray:
        """Return the outcome at a base period and before, latest first, (n_rows, lags)."""
        columns = base_index - np.arange(lags)
        out: FloatArray = self.outcome[np.ix_(cell.rows, columns)]
        return out

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of `covariates`."""
        return ("constant",) if self.builder is None else self.builder.names

    def matrix(self, base_index: int) -> FloatArray:
        """Return a constant and the covariates of all firms at a base period, (n_firms, 1 + k)."""
        if self.builder is None:
            return np.ones((self.outcome.shape[0], 1))
        return self._at(base_index)

    def known(self, base_index: int) -> BoolArray:
        """Return which firms have every covariate at a base period, (n_firms,)."""
        if base_index not in self._known:
            self._known[base_index] = np.asarray(np.isfinite(self._at(base_index)).all(axis=1))
        return self._known[base_index]

    def _at(self, base_index: int) -> FloatArray:
        assert self.builder is not None
        if base_index not in self._kept:
            self._kept.clear()  # one at a time: with many categories each is large
            self._kept[base_index] = self.builder.matrix(base_index)
        return self._kept[base_index]

    @cached_property
    def _kept(self) -> dict[int, FloatArray]:
        return {}

    @cached_property
    def _known(self) -> dict[int, BoolArray]:
        return {}
