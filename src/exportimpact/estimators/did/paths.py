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
    dose : (n_firms, n_periods)
        Support in each period less that in the first, turned around where it fell at the first
        change; NaN where not known.
    baseline : (n_firms,)
        Code of support in the first period.
    sign : (n_firms,)
        -1 for firms whose support fell at the first change, else 1.
    observed : (n_firms, n_periods) bool
        Whether the outcome is in the sample.
    start : (n_firms,)
        Index of the first period that support may have touched, n_periods if none.
    calendar : CalendarLike
    """

    dose: FloatArray
    baseline: IntArray
    sign: FloatArray
    observed: BoolArray
    start: IntArray
    calendar: CalendarLike

    @classmethod
    def of(cls, design: DesignLike, dose: Dose | None) -> Paths:
        """Return the paths of a design; EI-E46 when amounts are asked for and none is known."""
        changed, path, history = design.treatment(), design.treatment(dose), design.history()
        inside = np.isfinite(history.outcome)
        if dose == "amount" and not (np.isfinite(path) & (path > 0) & inside).any():
            raise InputError(
                "EI-E46",
                "Support is to be counted in amounts, and no amount is known for any firm of the "
                "design, so that there is nothing to divide by. Pass amount= to "
                'Assignment.from_spells, or count supported periods with dose="on".',
            )
        baseline = changed[:, 0]
        moves = np.isfinite(changed) & (changed != baseline[:, np.newaxis])
        first = changed[np.arange(baseline.size), moves.argmax(axis=1)]
        sign = np.where(moves.any(axis=1) & (first < baseline), -1.0, 1.0)
        relative = sign[:, np.newaxis] * (path - path[:, :1])
        code = np.unique(baseline, return_inverse=True)[1].astype(np.int64)
        return cls(relative, code, sign, inside, history.start, design.calendar)

    @property
    def n_periods(self) -> int:
        """Number of periods of the panel."""
        return int(self.dose.shape[1])

    @property
    def falls(self) -> bool:
        """Whether support of some firm of the design fell at its first change."""
        return bool((self.sign[self.observed.any(axis=1)] < 0).any())

    @property
    def n_crossing(self) -> int:
        """Firms that had both more and less than in the first period."""
        with np.errstate(invalid="ignore"):
            return int(((self.dose < 0) & self.observed).any(axis=1).sum())

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

    def same_baseline(self, cell: Cell) -> tuple[BoolArray, BoolArray]:
        """Return which supported and comparison firms have one another's baseline."""
        supported, comparison = self.baseline[cell.supported], self.baseline[cell.comparison]
        n = int(self.baseline.max()) + 1
        both = (np.bincount(supported, minlength=n) > 0) & (
            np.bincount(comparison, minlength=n) > 0
        )
        return both[supported], both[comparison]

    def received(self, cell: Cell) -> FloatArray:
        """Return what the cell's supported firms received over an effect of its length."""
        until = min(self.mirror(cell), self.n_periods - 1)
        return np.asarray(self.dose[cell.supported, : until + 1].sum(axis=1))

    def first_doses(self, cell: Cell) -> FloatArray:
        """Return how each of the cell's firms changed when the cohort first did, (n_rows,)."""
        index = cell.period_index - cell.event_time // self.calendar.step
        return np.asarray(self.sign[cell.rows] * self.dose[cell.rows, index])
