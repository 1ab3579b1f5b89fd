"""One comparison: a cohort in a period against its base period, and the sample that serves it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from exportimpact._typing import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False, slots=True)
class Cell:
    """A cohort x period cell.

    Attributes
    ----------
    cohort, period, base, event_time : int
        Calendar ordinals; event time is period - cohort.
    period_index, base_index : int
        Columns of the period and the base period in wide arrays.
    supported : (n_supported,) row indices of the cohort's firms
    comparison : (n_comparison,) row indices of the comparison firms
    weights : (n_supported + n_comparison,)
        Weight of each of `rows`, mean 1: the only way to a cell's sample. A matched design gives
        weights to the comparison firms that it kept.
    matched : bool
        Whether the weights come from matching.
    """

    cohort: int
    period: int
    base: int
    event_time: int
    period_index: int
    base_index: int
    supported: IntArray
    comparison: IntArray
    weights: FloatArray
    matched: bool = False

    @property
    def rows(self) -> IntArray:
        """Supported rows, then comparison rows."""
        return np.concatenate([self.supported, self.comparison])

    @property
    def is_supported(self) -> FloatArray:
        """1 for supported, 0 for comparison firms, in the order of `rows`."""
        flag = np.zeros(self.supported.size + self.comparison.size)
        flag[: self.supported.size] = 1.0
        return flag

    def among(self, inside: BoolArray) -> Cell:
        """Return the cell among some of its firms, weights with mean 1 again.

        Parameters
        ----------
        inside : (n_supported + n_comparison,) bool
            In the order of `rows`.
        """
        if inside.all():
            return self
        n, weights = self.supported.size, self.weights[inside]
        return replace(
            self,
            supported=self.supported[inside[:n]],
            comparison=self.comparison[inside[n:]],
            weights=weights / weights.mean() if weights.size else weights,
        )
