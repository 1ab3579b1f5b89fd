"""One clean experiment for each cohort, stacked, with the weights that make their sum an average.

For every cohort there is a stack: its supported firms, and comparison firms that stay unsupported
through the whole event window, both observed in all of it. Within a stack the effect at each time
since support is a difference in mean changes. A regression on the stacks as they are weights
supported and comparison firms of a cohort differently and estimates no average effect; the
corrective weights of Wing, Freedman and Hollingsworth (N_g / N over the stack's share of comparison
firms) give the average over supported firms. That is what aggregating the stacks' effects by cohort
size does, so that here each stack has its own cells and the result's aggregation does the rest.

References
----------
Wing, Freedman & Hollingsworth (2024), doi:10.3386/w32054
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from exportimpact._typing import BoolArray, IntArray
from exportimpact.core.builder import CellBuilder
from exportimpact.core.cell import Cell
from exportimpact.core.estimator import estimator
from exportimpact.core.protocols import DesignLike
from exportimpact.core.result import EstimationResult
from exportimpact.core.spec import EstimatorSpec
from exportimpact.errors import CapabilityError, InputError
from exportimpact.language import message
from exportimpact.numerics import two_by_two


@estimator(
    id="stacked",
    title="Stacked difference-in-differences",
    reference="Wing, Freedman & Hollingsworth (2024), doi:10.3386/w32054",
    step="V-b",
    requires={"parallel_trends", "no_anticipation"},
    blind_to={"same_measurement": "reports that support inflates look like an effect"},
    accepts={"weights", "matched", "not_yet", "rejected"},
)
@dataclass(frozen=True, kw_only=True)
class Stacked:
    """Effects by cohort and period from one clean experiment for each cohort.

    Parameters
    ----------
    window : tuple of (before, after), optional
        Time before and after first support that every stack spans, in the calendar's unit (years in
        a yearly panel): (3, 2) has event times -3 to 2. A cohort whose window is not wholly inside
        the panel, or that has nobody to compare with through all of it, is left out and reported.
        When not given, the widest window that every cohort with an estimable effect has.

    Notes
    -----
    Requires parallel trends and no anticipation beyond the design's window. Comparison firms are
    those of the design's pool that are unsupported through the end of the window; firms that are
    not observed in all of it are in no stack, which a note counts. Every cohort has the same event
    times, so that ``aggregate("event_time")`` has the same cohorts in each row. Errors count that
    the cohorts' shares are estimated; those of the stacked regression do not. Covariates of the
    design are not used.

    References
    ----------
    Wing, Freedman & Hollingsworth (2024), doi:10.3386/w32054

    Examples
    --------
    >>> import exportimpact as ei
    >>> bench = ei.synthetic.scenario("staggered_dynamic").draw(n_firms=300, n_periods=8, seed=1)
    >>> design = ei.Design(bench.panel, bench.support, outcome="ln_exports", comparison="not_yet")
    >>> result = Stacked(window=(2, 1)).estimate(design)
    >>> result.aggregate("event_time").table()["event_time"].tolist()
    [-2, 0, 1]
    """

    spec: ClassVar[EstimatorSpec]
    window: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.window is None:
            return
        given = tuple(self.window)
        whole = len(given) == 2 and all(isinstance(v, (int, np.integer)) for v in given)
        if not whole or given[0] < 1 or given[1] < 0:
            raise InputError(
                "EI-E43",
                f"window={self.window!r} is no event window: it takes two whole numbers, the time "
                "before support (at least 1, the reference) and after it (at least 0). Write "
                "window=(3, 2) for three periods before to two after.",
                window=self.window,
            )
        object.__setattr__(self, "window", (int(given[0]), int(given[1])))

    def estimate(self, design: DesignLike) -> EstimationResult:
        """Return the cells of every cohort whose window is whole.

        Parameters
        ----------
        design : Design or SealedDesign

        Returns
        -------
        EstimationResult

        Raises
        ------
        InputError
            EI-E43 for a window that does not fit the calendar or the anticipation of the design.
        CapabilityError
            EI-E43 on a matched design when firms are not observed in the whole window.
        NotIdentifiedError
            EI-E06 when no cohort is left.
        """
        found = list(design.cells())
        low, high = self._event_times(design, found)
        cells = CellBuilder(design, self, window=(low, high))
        outcome, lost = design.history().outcome, 0
        ends = {c.cohort: c for c in found if c.event_time == high}
        for cohort in design.cohorts:
            span = _span(design, cohort, low, high)
            own = [c for c in found if c.cohort == cohort and low <= c.event_time <= high]
            if span is None or cohort not in ends:
                _leave_out(cells, design, own, whole=span is not None)
                continue
            end = ends[cohort]
            inside = np.asarray(np.isfinite(outcome[end.rows][:, span]).all(axis=1))
            lost += int((~inside).sum())
            stack = _stack(end, inside)
            if stack is None:
                _leave_out(cells, design, own, whole=True)
                continue
            for cell in _cells_of(stack, design, span):
                change = outcome[cell.rows, cell.period_index] - outcome[cell.rows, cell.base_index]
                effect, psi = two_by_two.difference(change, cell.is_supported, cell.weights)
                cells.add(cell, estimate=effect, influence=psi, sampled=True)
        cells.note(message("note.stacked_window", low=low, high=high))
        if lost:
            cells.note(message("note.stacked_incomplete", firms=lost))
        if design.settings["covariates"]:
            cells.note(message("note.covariates_unused", estimator=self.spec.title))
        return cells.result()

    def _event_times(self, design: DesignLike, found: list[Cell]) -> tuple[int, int]:
        """Return the first and the last event time of the window, in ordinals."""
        step, lead = design.calendar.step, 1 + int(design.settings["anticipation"])
        if self.window is None:
            return _widest(design, found, lead * step)
        before, after = self.window
        if before % step or after % step or before < lead * step:
            raise InputError(
                "EI-E43",
                f"window={self.window!r} does not fit the design: periods are {step} apart, and "
                f"the reference is {lead * step} before support, so that the window must begin "
                "there or earlier. Choose multiples of the step that reach back to the reference.",
                window=self.window,
            )
        return -before, after


def _widest(design: DesignLike, found: list[Cell], lead: int) -> tuple[int, int]:
    """Return the widest window that every cohort with an effect has."""
    first, last = int(design.calendar.ordinals[0]), 0
    starts = sorted({c.cohort for c in found if c.event_time == 0})
    if not starts:
        return -lead, 0
    reach = {g: max(c.event_time for c in found if c.cohort == g) for g in starts}
    last = min(reach.values())
    before = min(g - first for g in starts)
    return -max(before, lead), last


def _span(design: DesignLike, cohort: int, low: int, high: int) -> IntArray | None:
    """Return the columns of the periods of a cohort's window, None if it leaves the panel."""
    ordinals = design.calendar.ordinals
    wanted = np.arange(cohort + low, cohort + high + 1, design.calendar.step)
    inside = np.isin(wanted, ordinals).all()
    return np.searchsorted(ordinals, wanted).astype(np.int64) if inside else None


def _leave_out(cells: CellBuilder, design: DesignLike, own: list[Cell], *, whole: bool) -> None:
    for cell in own:
        label = design.calendar.label(cell.cohort)
        id = "cell.no_clean_comparison" if whole else "cell.window_outside"
        cells.not_identified(cell, message(id, cohort=label))


def _stack(end: Cell, inside: BoolArray) -> Cell | None:
    """Return the cell at the window's end with the firms that are observed in all of it.

    Raises
    ------
    CapabilityError
        EI-E43 when firms of a match would be lost.
    """
    if inside.all():
        return end
    if end.matched:
        raise CapabilityError(
            "EI-E43",
            f"{int((~inside).sum())} matched firms of the cohort {end.cohort} are not observed in "
            "the whole window; without them pairs and weights would no longer balance. Use a "
            'design with unbalanced="balanced", or a narrower window.',
            cohort=end.cohort,
        )
    n = end.supported.size
    if not inside[:n].any() or not inside[n:].any():
        return None
    return end.among(inside)


def _cells_of(stack: Cell, design: DesignLike, span: IntArray) -> Iterator[Cell]:
    """Yield the stack's cell in every period of the window but the reference."""
    for t in span:
        period = int(design.calendar.ordinals[t])
        if period != stack.base:
            yield replace(
                stack, period=period, event_time=period - stack.cohort, period_index=int(t)
            )
