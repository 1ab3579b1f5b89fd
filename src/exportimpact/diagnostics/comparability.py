"""Do supported and comparison firms look alike before support: balance and overlap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from exportimpact._typing import BoolArray, FloatArray
from exportimpact.core.cell import Cell
from exportimpact.core.diagnostic import diagnostic
from exportimpact.core.finding import Finding, judged
from exportimpact.language import message
from exportimpact.numerics.regression import dependent_columns, logit

MAX_SMD = 0.10
MAX_OUTSIDE = 0.05
_STUART = "Stuart (2010), doi:10.1214/09-STS313"


@diagnostic(id="balance", assumption="overlap", needs="design", threshold_source=_STUART)
def balance(design: Any) -> Iterator[Finding]:
    """Return the largest standardised mean difference and the supported firms off support.

    The difference is before adjustment, so that it speaks to no assumption of an adjusted estimate;
    of a matched design it is `match_balance` that speaks. Support is looked at among all firms that
    could have been matched, for the supported firms that were.
    """
    if design.matching is not None:
        yield from _of_matched(design)
        return
    wide = design.wide()
    if wide.builder is None or len(wide.names) == 1:
        text = message("finding.no_covariates")
        yield Finding("balance", "NOT_APPLICABLE", text, threshold_source=_STUART)
        return
    worst, name = 0.0, ""
    outside = supported = 0
    for cell in _first_cells(design):
        matrix = wide.covariates(cell)[:, 1:]
        gap = np.abs(_standardised_difference(matrix, cell))
        if gap.max() > worst:
            worst, name = float(gap.max()), wide.names[1 + int(gap.argmax())]
        supported += cell.supported.size
        matrix = wide.covariates(cell)
        outside += int(_off_support(matrix, cell.is_supported, cell.weights).sum())
    if not supported:
        text = message("finding.nobody_to_balance")
        yield Finding("balance", "NOT_APPLICABLE", text, threshold_source=_STUART)
        return
    good = worst <= MAX_SMD
    text = message("finding.balanced" if good else "finding.unbalanced", smd=worst, covariate=name)
    yield Finding("balance", judged(good), text, None, worst, MAX_SMD, _STUART)
    yield _overlap(outside, supported)


def _of_matched(design: Any) -> Iterator[Finding]:
    text = message("finding.balance_matched")
    yield Finding("balance", "NOT_APPLICABLE", text, threshold_source=_STUART)
    matches = design.matching.cohorts.values()
    if all(match.risk.X.shape[1] for match in matches):
        yield _overlap(sum(map(_off_support_matched, matches)), design.matching.kept)


def _overlap(outside: int, supported: int) -> Finding:
    share = outside / supported
    good = share <= MAX_OUTSIDE
    text = message(
        "finding.on_support" if good else "finding.off_support", firms=outside, of=supported
    )
    return Finding(
        "overlap",
        judged(good),
        text,
        "overlap",
        share,
        MAX_OUTSIDE,
        "package convention",
    )


def _first_cells(design: Any) -> Iterator[Cell]:
    """Yield the first cell of each cohort at or after support."""
    seen: set[int] = set()
    for cell in design.cells():
        if cell.event_time >= 0 and cell.cohort not in seen:
            seen.add(cell.cohort)
            yield cell


def _standardised_difference(matrix: FloatArray, cell: Cell) -> FloatArray:
    """Return mean differences over the supported firms' standard deviation, (k,)."""
    n = cell.supported.size
    own, others = matrix[:n], matrix[n:]
    spread = own.std(axis=0, ddof=1) if n > 1 else np.zeros(matrix.shape[1])
    spread = np.where(spread > 0, spread, matrix.std(axis=0))
    gap: FloatArray = (own.mean(axis=0) - others.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return gap


def _off_support(matrix: FloatArray, d: FloatArray, w: FloatArray) -> BoolArray:
    """Return which supported firms have a propensity above that of every comparison firm."""
    matrix = matrix[:, ~dependent_columns(matrix)]
    p = logit(matrix, d, w).probability
    return np.asarray(p[d == 1] > p[d == 0].max(), dtype=bool)


def _off_support_matched(match: Any) -> int:
    """Return how many of the matched supported firms are off support among all at risk."""
    risk = match.risk
    matrix = np.column_stack([np.ones(risk.rows.size), risk.X])
    kept, _ = risk.split(match.weights > 0)
    return int((_off_support(matrix, risk.is_supported, risk.weights) & kept).sum())
