"""Would comparison firms' own growth have set the sides apart: baseline columns not adjusted for.

Where comparison firms' changes since the base period depend on a column of the panel in which the
two sides differ, trends are not parallel, whether or not any year before support shows it: a boom
that lifts large firms and begins with the programme leaves no trace before. The predicted gap of a
column is the overall effect less the effect that also adjusts for the column by regression; it is
computed from the columns of both sides and the outcomes of comparison firms alone.

Columns that move with the outcome are left out: a firm whose past exports were lucky falls back,
which sets the sides apart by regression to the mean while trends are parallel (Daw & Hatfield,
2018, doi:10.1111/1475-6773.12993). So are columns at whose level support was assigned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtr

from exportimpact._typing import BoolArray, FloatArray
from exportimpact.core.assumption import GROWTH
from exportimpact.core.cell import Cell
from exportimpact.core.diagnostic import diagnostic
from exportimpact.core.finding import Finding, judged
from exportimpact.core.result import EstimationResult
from exportimpact.data.building import BaselineColumn
from exportimpact.diagnostics.matter import least_that_matters
from exportimpact.diagnostics.trends import about_trends
from exportimpact.language import message
from exportimpact.numerics import two_by_two
from exportimpact.numerics.regression import dependent_columns, least_squares

LEVEL = 0.05
MOVES = 0.10
FIRMS_PER_COLUMN = 10
_SOURCE = (
    "package convention: Bonferroni-adjusted p below 0.05, and a gap above a quarter of the "
    "standard error (which costs at most 0.8 points of coverage) and a tenth of the effect"
)


@dataclass(frozen=True)
class _Gap:
    """The predicted gap of a column in the overall effect, and the p-value of its absence."""

    column: str
    size: float
    p_value: float


@diagnostic(id="unadjusted", assumption="parallel_trends", needs="result", threshold_source=_SOURCE)
def unadjusted(design: Any, result: EstimationResult) -> Iterator[Finding]:
    """Return the largest gap that a baseline column without adjustment predicts.

    A quiet answer speaks to no assumption: it says nothing about what no column records.
    """
    about = about_trends(result)
    if about is None or not (result.cells.index.event_time >= 0).any():
        return
    if about in GROWTH:
        text = message("finding.growth_not_additive")
        yield Finding("unadjusted", "NOT_APPLICABLE", text, threshold_source=_SOURCE)
        return
    given = design.settings["covariates"] if about == "parallel_trends_given_x" else ()
    columns = [design.panel.baseline(name) for name in _left_over(design, given)]
    if not columns:
        text = message("finding.nothing_unadjusted")
        yield Finding("unadjusted", "NOT_APPLICABLE", text, threshold_source=_SOURCE)
        return
    samples = _samples(design, result)
    usable = [c for c in columns if not _moves_with_outcome(design, c)]
    found = (_predicted(design, samples, c, bool(given)) for c in usable)
    gaps = [gap for gap in found if gap is not None]
    if not gaps:
        text = message("finding.no_usable_column")
        yield Finding("unadjusted", "NOT_APPLICABLE", text, threshold_source=_SOURCE)
        return
    least = least_that_matters(result)
    worst = _worst(gaps, least)
    p_value = min(1.0, worst.p_value * len(gaps))
    bad = p_value < LEVEL and abs(worst.size) > least
    text = message(
        "finding.growth_by_column" if bad else "finding.growth_alike",
        column=worst.column,
        gap=worst.size,
        p=p_value,
        columns=len(gaps),
    )
    # A quiet answer is about these columns only, so that it speaks to no assumption.
    assumption = about if bad else None
    yield Finding("unadjusted", judged(not bad), text, assumption, worst.size, least, _SOURCE)


def _worst(gaps: list[_Gap], least: float) -> _Gap:
    """Return the largest gap that would be a concern, else the least likely one."""
    loud = [g for g in gaps if g.p_value * len(gaps) < LEVEL and abs(g.size) > least]
    if loud:
        return max(loud, key=lambda g: abs(g.size))
    return min(gaps, key=lambda g: g.p_value)


def _left_over(design: Any, given: Any) -> list[str]:
    """Return the baseline columns that are neither adjusted for nor the level of assignment."""
    used = set(re.findall(r"\w+", given)) if isinstance(given, str) else set(given)
    used |= {design.panel.cluster, design.assigned_at}
    return [name for name in design.panel.baseline_names if name not in used]


def _samples(design: Any, result: EstimationResult) -> list[tuple[Cell, int, FloatArray]]:
    """Return the distinct samples of the result's cells since support.

    Everything here is linear in the outcome, so that cells of one sample are taken together: one
    of them, their number, and the sum of their changes.
    """
    index = result.cells.index
    found: dict[tuple[int, bytes, bytes], tuple[Cell, int, FloatArray]] = {}
    known = set(zip(index.cohort.tolist(), index.period.tolist(), strict=True))
    for cell in design.cells():
        if cell.event_time >= 0 and (cell.cohort, cell.period) in known:
            key = (cell.cohort, cell.rows.tobytes(), cell.weights.tobytes())
            first, count, change = found.get(key, (cell, 0, np.zeros(cell.rows.size)))
            found[key] = (first, count + 1, change + design.wide().change(cell))
    return list(found.values())


def _moves_with_outcome(design: Any, column: BaselineColumn) -> bool:
    """Return whether the column moves with the outcome within firms, before their support."""
    v = column.values
    if not (np.nanmax(v, axis=1, initial=-np.inf) > np.nanmin(v, axis=1, initial=np.inf)).any():
        return False
    lead = design.calendar.step * design.anticipation
    before = design.calendar.ordinals[None, :] < design.aligned.first[:, None] - lead
    y = np.where(before, design.wide().outcome, np.nan)
    levels = [v] if column.categories is None else [v == k for k in range(len(column.categories))]
    return any(abs(_within(y, np.where(np.isnan(v), np.nan, x))) > MOVES for x in levels)


def _within(y: FloatArray, x: FloatArray) -> float:
    """Return the correlation of two (n_firms, n_periods) arrays within firms, 0 without spread."""
    both = np.isfinite(y) & np.isfinite(x)
    count = np.maximum(both.sum(axis=1, keepdims=True), 1)
    y, x = (
        np.where(both, a - np.where(both, a, 0.0).sum(axis=1, keepdims=True) / count, 0.0)
        for a in (y, x)
    )
    spread = float(np.sqrt((y**2).sum() * (x**2).sum()))
    return float((x * y).sum()) / spread if spread > 0 else 0.0


def _predicted(
    design: Any, samples: list[tuple[Cell, int, FloatArray]], column: BaselineColumn, given: bool
) -> _Gap | None:
    """Return the column's gap in the mean over cells; None where no cell can say anything."""
    psi, total, weight, firms = np.zeros(design.units.size), 0.0, 0.0, []
    for cell, count, change in samples:
        z = _expanded(column, cell)
        x = design.wide().covariates(cell) if given else np.ones((cell.rows.size, 1))
        if z.shape[1] and cell.comparison.size >= FIRMS_PER_COLUMN * (x.shape[1] + z.shape[1]):
            share = float(design.member_weights(cell.cohort).sum())
            size, own = _gap(change, cell, x, z)
            psi[cell.rows] += share * own
            total, weight = total + share * size, weight + share * count
            firms.append((cell.supported, cell.comparison))
    if not weight or not psi.any():
        return None
    error, least = _error(design, psi / weight, firms)
    if not error > 0 or least < 1:
        return None
    size = total / weight
    return _Gap(column.name, size, 2 * float(stdtr(least, -abs(size) / error)))


def _expanded(column: BaselineColumn, cell: Cell) -> FloatArray:
    """Return the column at the base period as numbers, (n_rows, k).

    Values that are missing, and categories of fewer than ten comparison firms, count as the mean
    of comparison firms: nothing can be predicted from them.
    """
    values = column.values[cell.rows, cell.base_index]
    other = ~cell.is_supported.astype(bool)
    if column.categories is None:
        return _filled(values[:, None], np.isfinite(values), other)
    codes = np.where(np.isnan(values), -1, values).astype(np.int64)
    count = np.bincount(codes[other & (codes >= 0)], minlength=len(column.categories))
    kept = np.flatnonzero(count >= FIRMS_PER_COLUMN)
    flags = (codes[:, None] == kept[None, 1:]).astype(np.float64)
    return _filled(flags, np.isin(codes, kept), other)


def _filled(values: FloatArray, known: BoolArray, other: BoolArray) -> FloatArray:
    if not (known & other).any():
        return values[:, :0]
    mean = values[known & other].mean(axis=0)
    filled: FloatArray = np.where(known[:, None], values, mean)
    return filled[:, np.ptp(filled[other], axis=0) > 0]


def _gap(dy: FloatArray, cell: Cell, x: FloatArray, z: FloatArray) -> tuple[float, FloatArray]:
    """Return the effect given x less the effect given x and z, and the influence of each row."""
    d, w = cell.is_supported, cell.weights
    found = []
    for matrix in (x, np.column_stack([x, z])):
        kept = matrix[:, ~dependent_columns(matrix[d == 0])]
        fit = least_squares(kept[d == 0], dy[d == 0], w[d == 0])
        found.append(two_by_two.regression(dy, d, w, kept, fit))
    return found[0][0] - found[1][0], found[0][1] - found[1][1]


def _error(design: Any, psi: FloatArray, firms: list[Any]) -> tuple[float, int]:
    """Return the standard error of a sum of `psi`, and its degrees of freedom.

    Degrees of freedom are those of the side with fewer firms (clusters), less one.
    """
    codes = design.cluster_codes
    codes = np.arange(psi.size) if codes is None else codes
    supported, comparison = (
        np.unique(codes[np.concatenate(side)]) for side in zip(*firms, strict=True)
    )
    groups = np.union1d(supported, comparison).size
    squares = float((np.bincount(codes, psi) ** 2).sum())
    least = min(supported.size, comparison.size)
    return float(np.sqrt(squares * groups / max(groups - 1, 1))), least - 1
