"""What a study shows of an outcome beside its rungs: comparisons, subgroups, margins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from exportimpact.core.estimator import Estimator
from exportimpact.core.exhibit import Exhibit
from exportimpact.core.result import EstimationResult
from exportimpact.design import SealedDesign
from exportimpact.errors import InputError, NotIdentifiedError
from exportimpact.estimators.matched import margins
from exportimpact.evaluation import compare, subgroups
from exportimpact.study.assemble import about
from exportimpact.study.matches import of_margins
from exportimpact.study.schema import Study, SubgroupsEntry


def compared(results: Sequence[EstimationResult], outcome: str) -> Iterator[Exhibit]:
    """Yield the causal estimates of an outcome on the cells that all of them have.

    Effects per unit of support are no such estimates. Nothing is shown where fewer than two are
    left, or where no cell is common to all.
    """
    alike = [
        r
        for r in results
        if r.estimand.outcome == outcome and r.step.is_causal and not r.estimand.per_unit
    ]
    if len(alike) < 2:
        return
    try:
        together = compare(alike)
    except InputError as error:
        if error.code != "EI-E52":
            raise
        return
    drawn = together.exhibit
    yield drawn
    yield Exhibit("differences", "differences", together.differences(), drawn.units)


def by_subgroup(
    entries: Sequence[SubgroupsEntry], estimator: Estimator, design: SealedDesign
) -> Iterator[Exhibit]:
    """Yield the effect by category of each column, and how categories differ."""
    for entry in entries:
        named = f"subgroups_{entry.column}"
        try:
            with about(f"Outcome {design.outcome!r}, subgroups by {entry.column!r}"):
                found = subgroups(
                    estimator,
                    design,
                    entry.column,
                    bins=entry.bins,
                    quantiles=entry.quantiles,
                    adjust=entry.adjust,
                    aggregation=entry.aggregation,
                )
        except NotIdentifiedError as error:
            yield _not_estimated(named, error)
            continue
        drawn = found.exhibit
        yield replace(drawn, id=named)
        apart = f"interactions_{entry.column}"
        against = found.interactions().assign(column=entry.column)
        yield Exhibit(apart, "interactions", against, drawn.units)


def of_both_margins(
    study: Study, outcome: str, sealed: Mapping[tuple[str, str | None], SealedDesign]
) -> Iterator[Exhibit]:
    """Yield the margins of an outcome that the study asks for."""
    wanted = (entry for entry in study.margins if entry.outcome == outcome)
    for number, entry in enumerate(wanted, start=1):
        named = f"margins_{number}"
        try:
            with about(f"Outcome {outcome!r}, margins"):
                found = margins(
                    sealed[outcome, of_margins(entry, study)],
                    event_time=entry.event_time,
                    tighten=entry.tighten,
                    randomised=entry.randomised,
                )
        except NotIdentifiedError as error:
            yield _not_estimated(named, error)
        else:
            yield replace(found.exhibit, id=named)


def _not_estimated(named: str, error: NotIdentifiedError) -> Exhibit:
    """Return what was asked for and cannot be had, with the reason: the rest of a study stands."""
    table = pd.DataFrame({"code": [error.code], "reason": [error.message]})
    return Exhibit(named, "not_estimated", table)
