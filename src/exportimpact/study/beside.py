"""What a study shows of an outcome beside its rungs: comparisons, subgroups, margins, tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from exportimpact.core.estimator import Estimator
from exportimpact.core.exhibit import Exhibit
from exportimpact.core.result import EstimationResult
from exportimpact.design import SealedDesign
from exportimpact.errors import (
    CapabilityError,
    ExportImpactError,
    InputError,
    NotIdentifiedError,
)
from exportimpact.estimators.matched import margins
from exportimpact.evaluation import compare, subgroups
from exportimpact.evaluation.comparison import ESTIMATES
from exportimpact.evaluation.quantities import POINTS, own_factor, own_unit
from exportimpact.inference import (
    RandomisationTest,
    WildClusterTest,
    adjust,
    equivalence_test,
    randomisation_test,
    sensitivity,
    wild_cluster_test,
)
from exportimpact.language import Message, message
from exportimpact.study.assemble import about
from exportimpact.study.matches import of_margins
from exportimpact.study.schema import (
    EquivalenceEntry,
    FamilyEntry,
    SensitivityEntry,
    Study,
    SubgroupsEntry,
    TestEntry,
)


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


def if_trends_differ(
    entries: Sequence[SensitivityEntry], head: EstimationResult
) -> Iterator[Exhibit]:
    """Yield the headline's intervals when trends may differ."""
    for number, entry in enumerate(entries, start=1):
        named = f"sensitivity_{number}"
        try:
            with about(f"Outcome {head.estimand.outcome!r}, sensitivity"):
                found = sensitivity(
                    head, restriction=entry.restriction, values=entry.values, target=entry.target
                )
                drawn = found.exhibit
        except (CapabilityError, NotIdentifiedError) as error:
            yield _not_estimated(named, error)
        else:
            unit = own_unit(head.estimand.scale, head.estimand.unit)
            yield replace(drawn, id=named, units=dict.fromkeys(ESTIMATES, unit))


def small_before(entries: Sequence[EquivalenceEntry], head: EstimationResult) -> Iterator[Exhibit]:
    """Yield whether effects of the headline before support are shown to be within a margin."""
    outcome, unit = head.estimand.outcome, own_unit(head.estimand.scale, head.estimand.unit)
    wanted = (entry for entry in entries if entry.outcome == outcome)
    for number, entry in enumerate(wanted, start=1):
        named = f"equivalence_{number}"
        try:
            with about(f"Outcome {outcome!r}, equivalence of trends"):
                found = equivalence_test(head, entry.margin)
        except (CapabilityError, NotIdentifiedError) as error:
            yield _not_estimated(named, error)
        else:
            # The statement has the margin as it was given, so that shares stay shares.
            units = {} if unit == POINTS else {"estimate": unit}
            yield Exhibit(named, "equivalence", found.table(), units, (found.statement,))


def of_families(
    entries: Sequence[FamilyEntry], heads: Mapping[str, EstimationResult]
) -> Iterator[tuple[str, Exhibit]]:
    """Yield the first outcome of each family with the p-values that are adjusted within it."""
    for number, entry in enumerate(entries, start=1):
        with about(f"Family {entry.name!r}"):
            results = [heads[name] for name in entry.outcomes]
            table = adjust({entry.name: results}, method=entry.method)
        factor = [own_factor(result.estimand.scale) for result in results]
        unit = [own_unit(result.estimand.scale, result.estimand.unit) for result in results]
        for column in ("estimate", "std_error"):
            table[column] *= factor
        table.insert(5, "unit", unit)
        yield entry.outcomes[0], Exhibit(f"family_{number}", "family", table)


def tested(
    entries: Sequence[TestEntry],
    estimator: Estimator,
    design: SealedDesign,
    head: EstimationResult,
) -> Iterator[Exhibit]:
    """Yield the headline's own interval and what each test says of it, then what was refused."""
    if not entries:
        return
    outcome, own = head.estimand.outcome, head.overall()
    rows = [_test_row(outcome, "own", own.estimate, own)]
    said: list[Message] = []
    refused = []
    for number, entry in enumerate(entries, start=1):
        try:
            with about(f"Outcome {outcome!r}, {entry.test}"):
                found = _tested(entry, estimator, design, head)
        except (CapabilityError, NotIdentifiedError) as error:
            refused.append(_not_estimated(f"tests_{number}", error))
            continue
        rows.append(_test_row(outcome, entry.test, found.estimate, found, found.draws))
        named = message(f"exhibit.test_{entry.test}")
        said += [message("exhibit.test_assumes", test=named, what=text) for text in found.assumed]
        said += found.notes
    if len(rows) > 1:
        unit = own_unit(head.estimand.scale, head.estimand.unit)
        units = dict.fromkeys(ESTIMATES, unit)
        table = pd.DataFrame(rows).astype({"draws": "Int64"})
        yield Exhibit("tests", "tests", table, units, tuple(said))
    yield from refused


def _tested(
    entry: TestEntry, estimator: Estimator, design: SealedDesign, head: EstimationResult
) -> WildClusterTest | RandomisationTest:
    if entry.test == "wild_cluster":
        return wild_cluster_test(head, draws=entry.draws)
    return randomisation_test(
        estimator, design, draws=entry.draws, within=entry.within, unit=entry.unit
    )


def _test_row(
    outcome: str, test: str, estimate: float, found: Any, draws: int | None = None
) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "test": str(message(f"exhibit.test_{test}")),
        "estimate": estimate,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "p_value": found.p_value,
        "draws": pd.NA if draws is None else draws,
    }


def _not_estimated(named: str, error: ExportImpactError) -> Exhibit:
    """Return what was asked for and cannot be had, with the reason: the rest of a study stands."""
    table = pd.DataFrame({"code": [error.code], "reason": [error.message]})
    return Exhibit(named, "not_estimated", table)
