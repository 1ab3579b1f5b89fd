"""Firms' paths of support since their first change, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exportimpact._typing import BoolArray, Dose, FloatArray, IntArray
from exportimpact.core.cell import Cell
from exportimpact.core.protocols import CalendarLike, DesignLike
from exportimpact.errors import InputError


@dataclass(frozen=True, eq=False)
class Paths:
    """What each firm received when, and when it is observed.

    Attributes
    ----------
    dose, total : (n_firms, n_periods)
        Support in each period, and up to it; NaN where not known.
    observed : (n_firms, n_periods) bool
        Whether the outcome is in the sample.
    start : (n_firms,)
        Index of the first period that support may have touched, n_periods if none.
    calendar : CalendarLike
    """

    dose: FloatArray
    total: FloatArray
    observed: BoolArray
    start: IntArray
    calendar: CalendarLike

    @classmethod
    def of(cls, design: DesignLike, dose: Dose | None) -> Paths:
        """Return the paths of a design; EI-E46 when amounts are asked for and none is known."""
        path, history = design.treatment(dose), design.history()
        inside = np.isfinite(history.outcome)
        if dose == "amount" and not (np.isfinite(path) & (path > 0) & inside).any():
            raise InputError(
                "EI-E46",
                "Support is to be counted in amounts, and no amount is known for any firm of the "
                "design, so that there is nothing to divide by. Pass amount= to "
                'Assignment.from_spells, or count supported periods with dose="on".',
            )
        return cls(path, path.cumsum(axis=1), inside, history.start, design.calendar)

    @property
    def n_periods(self) -> int:
        """Number of periods of the panel."""
        return int(self.dose.shape[1])

    def label(self, ordinal: int) -> int | str:
        """Return what a reader calls the period."""
        return self.calendar.label(ordinal)

    def mirror(self, cell: Cell) -> int:
        """Return the index of the last period of the effect as long as the cell's placebo.

        Cells since support, and those against the period before, have their own period.
        """
        after = cell.base_index - cell.period_index
        return cell.base_index + after if after > 0 else cell.period_index

    def time_of(self, cell: Cell, index: int) -> int:
        """Return the time since the cohort's first change of a period, by its index."""
        return cell.event_time + (index - cell.period_index) * self.calendar.step

    def observed_with(self, cell: Cell, until: int) -> tuple[BoolArray, BoolArray]:
        """Return which supported and comparison firms serve in an effect up to `until` as well."""
        waiting = self.start[cell.comparison] > until
        seen = self.observed[:, until]
        return seen[cell.supported], seen[cell.comparison] & waiting

    def doses_up_to(self, cell: Cell) -> FloatArray:
        """Return what the cell's supported firms received over an effect of its length."""
        until = min(self.mirror(cell), self.n_periods - 1)
        return np.asarray(self.total[cell.supported, until])

    def first_doses(self, cell: Cell) -> FloatArray:
        """Return the dose of each of the cell's firms at the cohort's first change, (n_rows,)."""
        index = cell.period_index - cell.event_time // self.calendar.step
        return np.asarray(self.dose[cell.rows, index])
