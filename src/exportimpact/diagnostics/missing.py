"""Is what is missing alike on both sides: missing reports, and exporters by side for logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from exportimpact._typing import BoolArray
from exportimpact.core.diagnostic import diagnostic
from exportimpact.core.finding import Finding, judged
from exportimpact.language import message

MAX_GAP = 0.05
MAX_PARTICIPATION_GAP = 0.02
_SOURCE = "What Works Clearinghouse (2022) attrition standard; 5 points as package convention"
_ABOUT = "missing_at_random"


@diagnostic(id="missing", assumption=_ABOUT, needs="design", threshold_source=_SOURCE)
def missing(design: Any) -> Iterator[Finding]:
    """Return how far the share of usable firm-periods falls apart between the two sides.

    For a log outcome a second finding says how the share of firms with a positive value moved on
    the supported side against the other: if support moves it, a log effect mixes two things.
    """
    values = np.isfinite(design.wide().outcome)
    gap = 100 * _change_in_share(design, values, relative=False)
    good = abs(gap) <= 100 * MAX_GAP
    text = message("finding.missing_alike" if good else "finding.missing_apart", points=gap)
    yield Finding("missing", judged(good), text, _ABOUT, abs(gap) / 100, MAX_GAP, _SOURCE)
    if design.outcome_spec.scale != "log":
        return
    moved = 100 * _change_in_share(design, values, relative=True)
    good = abs(moved) <= 100 * MAX_PARTICIPATION_GAP
    text = message(
        "finding.participation_still" if good else "finding.participation_moved", points=moved
    )
    yield Finding(
        "participation",
        judged(good),
        text,
        _ABOUT,
        abs(moved) / 100,
        MAX_PARTICIPATION_GAP,
        "package convention",
    )


def _change_in_share(design: Any, values: BoolArray, *, relative: bool) -> float:
    """Return supported less comparison share with a value since support; relative to the base."""
    calendar, total, weight = design.calendar, 0.0, 0
    codes = design.cohort_codes
    comparison = np.flatnonzero((codes == 0) & values.any(axis=1))
    lead = calendar.step * (1 + design.anticipation)
    for cohort in design.cohorts:
        own, base = design.members(cohort), calendar.index(cohort - lead)
        since = calendar.ordinals >= cohort
        if base is None or not comparison.size:
            continue
        gap = float(values[np.ix_(own, since)].mean() - values[np.ix_(comparison, since)].mean())
        if relative:
            gap -= float(values[own, base].mean() - values[comparison, base].mean())
        total += gap * own.size
        weight += own.size
    return total / weight if weight else 0.0
