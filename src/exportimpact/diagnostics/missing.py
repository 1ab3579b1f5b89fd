"""Is what is missing alike on both sides: missing reports, and exporters by side for logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from exportimpact._typing import BoolArray
from exportimpact.core.diagnostic import diagnostic
from exportimpact.core.finding import Finding, judged
from exportimpact.data import NEVER
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
    exits = design.panel.exit_ordinal[:, None]
    alive = ~(exits < design.calendar.ordinals[None, :])
    gap = 100 * _gap_in_share(design, usable, alive, relative=False)
    good = abs(gap) <= 100 * MAX_GAP
    text = message("finding.missing_alike" if good else "finding.missing_apart", points=gap)
    yield Finding("missing", judged(good), text, _ABOUT, abs(gap) / 100, MAX_GAP, _SOURCE)
    if design.outcome_spec.after_exit == "missing" and not alive.all():
        yield _closures(design, alive)
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


def _closures(design: Any, alive: BoolArray) -> Finding:
    """Return how far survival falls apart, where the outcome ends with the firm.

    Firms that are there to be compared are then those that survived, and support may decide who
    does. Outcomes that are zero after an exit keep every firm and need no such finding.
    """
    gap = 100 * _gap_in_share(design, alive, np.ones_like(alive), relative=False)
    good = abs(gap) <= 100 * MAX_GAP
    text = message("finding.closures_alike" if good else "finding.closures_apart", points=gap)
    return Finding("closures", judged(good), text, _ABOUT, abs(gap) / 100, MAX_GAP, _SOURCE)


def _gap_in_share(design: Any, having: BoolArray, among: BoolArray, *, relative: bool) -> float:
    """Return the supported less the comparison share `having` a value `among` those since support.

    Of firms that have one in the base period or, with `relative`, of all firms and less the same
    gap in the base period. Cohorts are weighted by size.
    """
    calendar, total, weight = design.calendar, 0.0, 0
    first, lead = design.aligned.first, calendar.step * (1 + design.anticipation)
    for cohort in design.cohorts:
        base = calendar.index(cohort - lead)
        if base is None:
            continue
        own, gaps = first == cohort, []
        for period in np.flatnonzero(calendar.ordinals >= cohort):
            sides = (own, _candidates(design, int(calendar.ordinals[period])))
            counted = among[:, period] if relative else among[:, period] & having[:, base]
            now = [_share(having[:, period], counted, side) for side in sides]
            then = [_share(having[:, base], among[:, base], side) for side in sides]
            gaps.append(now[0] - now[1] - (then[0] - then[1] if relative else 0.0))
        known = [gap for gap in gaps if np.isfinite(gap)]
        if known:
            total += float(np.mean(known)) * own.sum()
            weight += int(own.sum())
    return total / weight if weight else 0.0


def _candidates(design: Any, period: int) -> BoolArray:
    """Return the firms that may serve in the design's pool in `period`, reported or not."""
    aligned = design.aligned
    waiting: BoolArray = aligned.first > period
    if design.comparison == "never":
        waiting &= aligned.after_panel | (aligned.first == NEVER)
    if design.comparison == "rejected":
        applied = np.zeros(waiting.size, dtype=bool)
        applied[np.concatenate(list(aligned.rejected.values()))] = True
        waiting &= applied
    if aligned.others == "drop_comparison":
        waiting &= ~aligned.other_supported
    return waiting


def _share(having: BoolArray, among: BoolArray, side: BoolArray) -> float:
    count = int((among & side).sum())
    return int((having & among & side).sum()) / count if count else float("nan")
