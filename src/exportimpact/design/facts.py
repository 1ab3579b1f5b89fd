"""What a reader of any result from a design must know, as messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from exportimpact.design.levels import clustered_high_enough
from exportimpact.design.matching.terms import facts_of
from exportimpact.language import Message, message

if TYPE_CHECKING:
    from exportimpact.design.design import Design

TESTABLE = 3
"""Pre-support periods from which parallel trends can be tested (package convention)."""


def of(design: Design) -> tuple[Message, ...]:
    """Return the facts of a design."""
    found: list[Message] = []
    if getattr(design, "exploratory", False):
        found.append(message("fact.exploratory"))
    own = (None, design.outcome)
    found += [n for n in design.panel.notes if n.values.get("outcome") in own]
    found += design.aligned.notes
    before = pre_support_periods(design)
    if before < TESTABLE:
        found.append(message("fact.not_testable", periods=before, needed=TESTABLE))
    if design.assigned_at is not None and not clustered_high_enough(design):
        cluster = design.panel.cluster or "firm"
        found.append(message("fact.errors_too_small", level=design.assigned_at, cluster=cluster))
    found += facts_of(design)
    return tuple(found)


def pre_support_periods(design: Design) -> int:
    """Return the most periods before support (and anticipation) that any cohort has."""
    first = int(design.calendar.ordinals[0])
    step = design.calendar.step
    return max(((g - first) // step - design.anticipation for g in design.cohorts), default=0)


def assumed(design: Design) -> tuple[str, ...]:
    """Return what sample and outcome assume: reports, spillovers, clusters, the missing, giants."""
    found = ["no_interference", "same_measurement", "independent_clusters"]
    missing = np.isnan(design.wide().outcome) & design._sample.inside[:, None]
    if (missing.any(axis=0) & design.panel.observed.any(axis=0)).any():
        found.append("missing_at_random")
    if design.outcome_spec.scale in {"level", "count"}:
        found.append("no_dominant_firm")
    return tuple(found)
