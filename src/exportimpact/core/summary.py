"""One number over many cells whose influence is already summed: its error without the cells' own.

An estimator that shows a further estimate beside its result (on another outcome, on fewer firms)
needs one row of it. Its influence can be computed at once, and the moments of every cell need not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from exportimpact._typing import FloatArray, IntArray, Scale
from exportimpact.core import aggregation
from exportimpact.core.aggregation import CellIndex, Rows, Sizes
from exportimpact.core.cell import Cell
from exportimpact.core.cellset import CellSet, Counts, clusters_of
from exportimpact.core.effects import relative_effects
from exportimpact.core.protocols import DesignLike
from exportimpact.numerics.distributions import t_quantile
from exportimpact.numerics.influence import Block, Influence


@dataclass(frozen=True, eq=False)
class Summary:
    """The overall ("simple") effect over cells: their weights, then the row.

    Attributes
    ----------
    design : sealed design
    cells : sequence of Cell
        With event time >= 0, all of them estimated.
    """

    design: DesignLike
    cells: Sequence[Cell]

    @property
    def weights(self) -> FloatArray:
        """Weight of each cell, (n_cells,)."""
        weights: FloatArray = self._rows.weights[0]
        return weights

    def row(
        self, estimate: FloatArray, influence: FloatArray, scale: Scale, *, level: float = 0.95
    ) -> pd.Series:
        """Return estimate, std_error, ci_low, ci_high, and the columns of `percent`.

        Parameters
        ----------
        estimate : (n_cells,)
        influence : (n_firms,)
            Of the mean of the cells with these weights, to be summed; what estimated weights add is
            added here.
        scale : str
        level : float
        """
        n, weights = self.design.units.size, self.weights
        mean, of_mean = self._means()
        psi = np.column_stack([influence + self._sizes(estimate), of_mean + self._sizes(mean)])
        touched = np.flatnonzero(psi.any(axis=1))
        two = np.arange(2, dtype=np.int64)
        block = Block(touched, two, n * psi[touched])
        found = Influence(n, 2, (block,))
        none = Sizes(np.ones(1), np.zeros(1, dtype=np.int64))
        cells = CellSet(
            index=CellIndex(*np.zeros((3, 1), dtype=np.int64)),
            estimate=np.array([weights @ estimate]),
            mean=np.array([weights @ mean]),
            base=np.zeros(1, dtype=np.int64),
            design_sizes=none,
            observed_sizes=none,
            counts=self._counts(),
            moments=found.moments(self.design.cohort_codes, self.design.cluster_codes),
            influence=found,
            clustered=self.design.cluster_codes is not None,
        )
        rows = aggregation.identity(cells.index)
        errors = cells.errors(cells.gradient(rows), rows)
        half = t_quantile(0.5 + level / 2, errors.df) * errors.std_error
        ends = {
            "estimate": cells.estimate[0],
            "std_error": errors.std_error[0],
            "ci_low": cells.estimate[0] - half[0],
            "ci_high": cells.estimate[0] + half[0],
        }
        percent = relative_effects(cells, rows, errors, scale, level).iloc[0]
        return pd.concat([pd.Series(ends), percent])

    @cached_property
    def _cohorts(self) -> tuple[int, ...]:
        return tuple(sorted({cell.cohort for cell in self.cells}))

    @cached_property
    def _rows(self) -> Rows:
        index = CellIndex(
            np.array([c.cohort for c in self.cells]),
            np.array([c.period for c in self.cells]),
            np.array([c.event_time for c in self.cells]),
        )
        n = self.design.units.size
        size = np.array([self.design.member_weights(g).sum() / n for g in self._cohorts])
        place = np.searchsorted(self._cohorts, index.cohort)
        return aggregation.overall("simple", index, Sizes(size[place], place))

    def _sizes(self, values: FloatArray) -> FloatArray:
        """Return what estimated sizes of cohorts add to the influence of a row of values, (n,)."""
        n = self.design.units.size
        gradient = self._rows.size_gradient(values, len(self._cohorts))[0]
        psi = np.zeros(n)
        for slope, cohort in zip(gradient, self._cohorts, strict=True):
            psi[self.design.members(cohort)] = slope * self.design.member_weights(cohort) / n
        return psi

    def _means(self) -> tuple[FloatArray, FloatArray]:
        """Return supported firms' mean outcome by cell, and the influence of their mean."""
        wide, means, psi = self.design.wide(), [], np.zeros(self.design.units.size)
        for cell, weight in zip(self.cells, self.weights, strict=True):
            m = cell.supported.size
            share = cell.weights[:m] / cell.weights[:m].sum()
            outcome = wide.level(cell)[:m]
            means.append(float(share @ outcome))
            psi[cell.supported] += weight * share * (outcome - means[-1])
        return np.array(means), psi

    def _counts(self) -> Counts:
        """Return the fewest firms and clusters on either side of any cell."""
        sides = [c.supported for c in self.cells], [c.comparison for c in self.cells]

        def fewest(codes: IntArray | None) -> list[IntArray]:
            return [np.array([min(clusters_of(codes, rows) for rows in side)]) for side in sides]

        return Counts(*fewest(None), *fewest(self.design.cluster_codes))
