"""Is what is missing alike on both sides: missing reports, and exporters by side for logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from exportimpact._typing import BoolArray, IntArray
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
    usable = np.isfinite(design.wide().outcome)
    gap = 100 * _gap_in_share(design, usable, design.panel.observed, relative=False)
    good = abs(gap) <= 100 * MAX_GAP
    text = message("finding.missing_alike" if good else "finding.missing_apart", points=gap)
    yield Finding("missing", judged(good), text, _ABOUT, abs(gap) / 100, MAX_GAP, _SOURCE)
    if design.outcome_spec.scale != "log":
        return
    reported = usable | design.panel.not_positive(design.outcome)
    moved = 100 * _gap_in_share(design, usable, reported, relative=True)
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


def _gap_in_share(design: Any, having: BoolArray, among: BoolArray, *, relative: bool) -> float:
    """Return the supported less the comparison share `having` a value `among` those since support.

    With `relative`, less the same gap in the base period. Cohorts are weighted by size.
    """
    calendar, total, weight = design.calendar, 0.0, 0
    comparison = np.flatnonzero((design.cohort_codes == 0) & having.any(axis=1))
    lead = calendar.step * (1 + design.anticipation)
    for cohort in design.cohorts:
        own, base = design.members(cohort), calendar.index(cohort - lead)
        since = np.flatnonzero(calendar.ordinals >= cohort)
        if base is None:
            continue
        shares = [_share(having, among, rows, since) for rows in (own, comparison)]
        if relative:
            before = np.array([base])
            then = [_share(having, among, rows, before) for rows in (own, comparison)]
            shares = [now - earlier for now, earlier in zip(shares, then, strict=True)]
        if np.isfinite(shares).all():
            total += (shares[0] - shares[1]) * own.size
            weight += own.size
    return total / weight if weight else 0.0


def _share(having: BoolArray, among: BoolArray, rows: IntArray, periods: IntArray) -> float:
    where = np.ix_(rows, periods)
    count = int(among[where].sum())
    return int((having[where] & among[where]).sum()) / count if count else float("nan")
