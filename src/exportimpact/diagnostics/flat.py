"""Could trends before support have differed at all: outcomes that are flat by rule.

Where only firms without exports are eligible, or only firms that operate, supported firms' outcome
does not move before support. A quiet test of earlier periods then says that the rule was kept, and
nothing about how firms would have moved afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from exportimpact._typing import FloatArray
from exportimpact.core.diagnostic import diagnostic
from exportimpact.core.finding import Finding, judged
from exportimpact.core.result import EstimationResult
from exportimpact.diagnostics.trends import about_trends
from exportimpact.language import message

STILL = 0.01
TIMES = 10.0
_SOURCE = (
    "package convention: at most 1 % of supported firm-periods change before support, and "
    "comparison firms at least ten times as often after it"
)


@diagnostic(
    id="flat_by_rule", assumption="parallel_trends", needs="result", threshold_source=_SOURCE
)
def flat_by_rule(design: Any, result: EstimationResult) -> Iterator[Finding]:
    """Return how often supported firms' outcome changed before support, comparison firms' after.

    A quiet answer speaks to no assumption: that trends could have been seen is no evidence on them.
    """
    about = about_trends(result)
    if about is None:
        return
    y, ordinals = design.wide().outcome, design.calendar.ordinals
    before, after = [], []
    for cell in _last_cells(design):
        early = ordinals < cell.cohort - design.calendar.step * design.anticipation
        before.append(_changes(y[cell.supported][:, early]))
        after.append(_changes(y[cell.comparison][:, ordinals >= cell.base]))
    moved, late = (np.concatenate([*found, np.zeros(0)]) for found in (before, after))
    if not moved.size or not late.size:
        text = message("finding.one_period_before")
        yield Finding("flat_by_rule", "NOT_APPLICABLE", text, threshold_source=_SOURCE)
        return
    share, others = float(moved.mean()), float(late.mean())
    flat = share <= STILL and others > max(STILL, TIMES * share)
    text = message(
        "finding.flat_by_rule" if flat else "finding.not_flat",
        percent=100 * share,
        others=100 * others,
    )
    assumption = about if flat else None
    yield Finding("flat_by_rule", judged(not flat), text, assumption, share, STILL, _SOURCE)


def _last_cells(design: Any) -> list[Any]:
    """Return the last cell since support of each cohort."""
    return list({c.cohort: c for c in design.cells() if c.event_time >= 0}.values())


def _changes(y: FloatArray) -> FloatArray:
    """Return 1 for each step between neighbouring periods in which a firm's outcome moved."""
    step = np.diff(y, axis=1)
    moved: FloatArray = (step[np.isfinite(step)] != 0).astype(np.float64)
    return moved
