"""Every observation of a design, told apart by whether support may have touched it.

Estimators that fit one model of untreated outcomes work on this instead of on pairs of periods.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from exportimpact._typing import BoolArray, FloatArray, IntArray
from exportimpact.core.cell import Cell
from exportimpact.data import NEVER, Panel
from exportimpact.design.sample import Sample
from exportimpact.design.wide import Wide
from exportimpact.language import Message, message

Unidentified: TypeAlias = tuple[int, int, Message]


@dataclass(frozen=True, eq=False)
class History:
    """The firms of a design over all periods.

    Attributes
    ----------
    panel, sample, wide
        What the design works on.
    anticipation : int
        Periods before support in which firms may already react.
    """

    panel: Panel
    sample: Sample
    wide: Wide
    anticipation: int

    @property
    def outcome(self) -> FloatArray:
        """The outcome, (n_firms, n_periods), NaN outside the sample."""
        return self.wide.outcome

    @cached_property
    def start(self) -> IntArray:
        """Index of the first period that support may have touched, n_periods if none, (n_firms,).

        Firms outside the design have 0.
        """
        first = self.sample.first
        touched = np.where(first == NEVER, NEVER, self._touched(first))
        start = np.searchsorted(self.panel.calendar.ordinals, touched)
        return np.where(self.sample.inside, start, 0).astype(np.int64)

    @cached_property
    def usable(self) -> BoolArray:
        """Which observations have all that a model needs, (n_firms, n_periods)."""
        firms = self.sample.inside & np.isfinite(self.weight)
        firms &= self.sample.in_segment(self.reading)
        if self.wide.builder is not None:
            firms &= np.asarray(np.isfinite(self.covariates).all(axis=1))
        return np.asarray(np.isfinite(self.outcome) & firms[:, np.newaxis], dtype=bool)

    @cached_property
    def untreated(self) -> BoolArray:
        """Which usable observations support cannot have touched, (n_firms, n_periods)."""
        periods = np.arange(self.outcome.shape[1])
        return np.asarray(self.usable & (periods < self.start[:, None]), dtype=bool)

    @cached_property
    def reading(self) -> IntArray:
        """Index of the period at which each firm's covariates and weight are read, (n_firms,).

        Its cohort's base period; for firms without a cohort, the earliest base period of any.
        """
        last = self.panel.n_periods - 1
        own = np.clip(self.start - 1, 0, last)
        cohorts = self.sample.cohorts
        first_touched = np.searchsorted(self.panel.calendar.ordinals, self._touched(cohorts))
        earliest = int(np.clip(first_touched.min() - 1, 0, last)) if cohorts.size else 0
        return np.where(np.isin(self.sample.first, cohorts), own, earliest).astype(np.int64)

    @cached_property
    def weight(self) -> FloatArray:
        """Probability weight of each firm, 1 without weights, NaN where unknown, (n_firms,)."""
        if self.panel.weight is None:
            return np.ones(self.panel.n_firms)
        given: FloatArray = self.panel.weight[np.arange(self.panel.n_firms), self.reading]
        return given

    @cached_property
    def covariates(self) -> FloatArray:
        """Covariates of each firm without a constant, read once, (n_firms, k)."""
        out = np.zeros((self.panel.n_firms, len(self.wide.names) - 1))
        for index in np.unique(self.reading):
            rows = np.flatnonzero(self.reading == index)
            out[rows] = self.wide.matrix(int(index))[rows, 1:]
        return out

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of `covariates`."""
        return self.wide.names[1:]

    def groups(self, column: str) -> IntArray:
        """Return each firm's category of a baseline column, read once, (n_firms,); -1 if unknown.

        Raises
        ------
        ColumnError
            EI-P33 when the panel has no such column.
        """
        values = self.panel.baseline(column).values[np.arange(self.panel.n_firms), self.reading]
        known = np.isfinite(values)
        codes = np.full(values.size, -1, dtype=np.int64)
        codes[known] = np.unique(values[known], return_inverse=True)[1]
        return codes

    def column(self, name: str) -> FloatArray:
        """Return a baseline column as it is in every period, NaN if unknown, (n_firms, n_periods).

        Categories are codes.

        Raises
        ------
        ColumnError
            EI-P33 when the panel has no such column.
        """
        return self.panel.baseline(name).values

    def cells(self, *, never: bool) -> Iterator[Cell | Unidentified]:
        """Yield every cohort x period cell but the base periods, or why there is none.

        Supported firms of a cell are those of the cohort that are observed then and, untouched by
        support, in some other period; comparison firms those untouched then.

        Parameters
        ----------
        never : bool
            Whether only firms without support count as comparison firms.
        """
        untreated, usable = self.untreated, self.usable
        others = untreated & self.sample.in_never_pool[:, None] if never else untreated
        compared = [np.flatnonzero(others[:, t]) for t in range(untreated.shape[1])]
        known = untreated.sum(axis=1)
        for cohort in self.sample.cohorts:
            own = np.flatnonzero(self.sample.inside & (self.sample.first == cohort))
            lead = int(self._touched(cohort)) - self.panel.calendar.step
            for t, ordinal in enumerate(self.panel.calendar.ordinals):
                if int(ordinal) == lead:
                    continue
                elsewhere = known[own] - untreated[own, t]
                rows = own[usable[own, t] & (elsewhere > 0)]
                comparison = compared[t]
                comparison = comparison[self.sample.first[comparison] != cohort]
                yield self._cell(int(cohort), lead, t, rows, comparison)

    def _cell(
        self, cohort: int, lead: int, t: int, supported: IntArray, comparison: IntArray
    ) -> Cell | Unidentified:
        period = int(self.panel.calendar.ordinals[t])
        label = self.panel.calendar.label
        if not supported.size:
            reason = message("cell.no_history", period=label(period))
            return cohort, period, reason
        if not comparison.size:
            return cohort, period, message("cell.no_pool", period=label(period))
        weights = self.weight[np.concatenate([supported, comparison])]
        base = self.panel.calendar.index(lead)
        return Cell(
            cohort=cohort,
            period=period,
            base=lead,
            event_time=period - cohort,
            period_index=t,
            base_index=t if base is None else base,
            supported=supported,
            comparison=comparison,
            weights=weights / weights.mean(),
        )

    def _touched(self, first: IntArray) -> IntArray:
        """Return the ordinal of the first period that support may have touched."""
        return first - self.panel.calendar.step * self.anticipation
