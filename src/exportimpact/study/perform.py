"""The evaluation that a study file describes, in memory: a run writes it, `verify` compares it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from exportimpact.core.estimator import Estimator
from exportimpact.core.exhibit import Exhibit
from exportimpact.core.finding import Finding
from exportimpact.core.result import EstimationResult
from exportimpact.design import SealedDesign
from exportimpact.diagnostics import diagnose
from exportimpact.evaluation import Evaluation, evaluate, headline_result
from exportimpact.evaluation.known import Known
from exportimpact.language import message
from exportimpact.study import beside
from exportimpact.study.assemble import (
    Inputs,
    about,
    designs,
    load,
    matched,
    placebo_designs,
    plan,
)

if TYPE_CHECKING:
    from exportimpact.study.file import StudyFile

_ABOUT_MATCHES = frozenset(
    {"match_balance", "rosenbaum_bounds", "robustness_value", "oster_delta", "e_value"}
)
"""Findings on matches, shown beside those on a headline that rests on none."""

Progress = Callable[[str], None]
"""Called with what is being done, in words."""


@dataclass(frozen=True, eq=False)
class Performed:
    """Everything from the files to the reported numbers.

    Attributes
    ----------
    file : StudyFile
    inputs : Inputs
    designs : tuple of SealedDesign
        One per evaluated outcome, the primary first; sealed before anything was estimated.
    matched : mapping of (outcome, name) to SealedDesign
        The designs of `[[matching]]`, sealed at the same time.
    results : tuple of EstimationResult
        Every estimator on every outcome.
    evaluation : Evaluation
    numbers : DataFrame
        place, value, std_error, kind: every reported number.
    """

    file: StudyFile
    inputs: Inputs
    designs: tuple[SealedDesign, ...]
    matched: Mapping[tuple[str, str], SealedDesign]
    results: tuple[EstimationResult, ...]
    evaluation: Evaluation
    numbers: pd.DataFrame

    @property
    def sealed(self) -> dict[tuple[str, str | None], SealedDesign]:
        """Every design by outcome and name of its match, None where it is not matched."""
        return _by_match(self.designs, self.matched)


class _Made(NamedTuple):
    """A result, the method that made it, and the design that the method was given."""

    result: EstimationResult
    estimator: Estimator
    design: SealedDesign


def perform(
    file: StudyFile,
    *,
    progress: Progress | None = None,
    synthetic: Mapping[str, Any] | None = None,
) -> Performed:
    """Carry out a study; linear algebra runs on one thread, so that digits repeat.

    Parameters
    ----------
    file : StudyFile
    progress : callable, optional
    synthetic : mapping, optional
        Arguments of the synthetic draw that made the data, whose known effects are reported.
    """
    from threadpoolctl import threadpool_limits

    say = progress or _quiet
    with threadpool_limits(limits=1, user_api="blas"):
        say("reading the data")
        inputs = load(file)
        say("sealing the design")
        sealed = designs(file.study, inputs)
        placebo = placebo_designs(file.study, inputs)
        if file.matches:
            say("matching")
        pairs = matched(file, sealed)
        made = _estimates(file, sealed, pairs, say)
        results = tuple(one.result for one in made)
        say("checking what can be checked")
        findings = _findings(file, made, placebo)
        say("putting the rungs side by side")
        known = _known(synthetic)
        evaluation = evaluate(
            sealed[0],
            results,
            findings,
            plan=plan(file.study),
            known=known,
            exhibits=_beside(file, _by_match(sealed, pairs), made, say),
        )
        return Performed(file, inputs, sealed, pairs, results, evaluation, _numbers(evaluation))


def _beside(
    file: StudyFile,
    designs: Mapping[tuple[str, str | None], SealedDesign],
    made: Sequence[_Made],
    say: Progress,
) -> dict[str, tuple[Exhibit, ...]]:
    """Return by outcome what is shown beside its rungs."""
    study, results = file.study, [one.result for one in made]
    shown: dict[str, tuple[Exhibit, ...]] = {}
    heads = {outcome: _headline(made, outcome) for outcome in study.evaluated}
    for outcome, (head, estimator, own) in heads.items():
        if study.looks_behind:
            say(f"looking behind the headline of {outcome}")
        shown[outcome] = (
            *beside.compared(results, outcome),
            *beside.if_trends_differ(study.sensitivity, head),
            *beside.small_before(study.equivalence, head),
            *beside.tested(study.tests, estimator, own, head),
            *beside.by_subgroup(study.subgroups, estimator, own),
            *beside.of_both_margins(study, outcome, designs),
        )
    by_outcome = {outcome: one.result for outcome, one in heads.items()}
    for outcome, family in beside.of_families(study.families, by_outcome):
        shown[outcome] += (family,)
    return shown


def _by_match(
    sealed: Sequence[SealedDesign], pairs: Mapping[tuple[str, str], SealedDesign]
) -> dict[tuple[str, str | None], SealedDesign]:
    """Return every design by outcome and name of its match, None where it is not matched."""
    found: dict[tuple[str, str | None], SealedDesign] = {}
    found |= {(design.outcome, None): design for design in sealed}
    return found | {(outcome, name): d for (outcome, name), d in pairs.items()}


def _numbers(evaluation: Evaluation) -> pd.DataFrame:
    from exportimpact.report import numbers

    return numbers(evaluation)


def _estimates(
    file: StudyFile,
    sealed: Sequence[SealedDesign],
    pairs: Mapping[tuple[str, str], SealedDesign],
    say: Progress,
) -> list[_Made]:
    """Estimate every outcome by every method that is for it."""
    made = []
    for design in sealed:
        methods = zip(file.study.methods, file.estimators, file.uses, strict=True)
        for entry, estimator, match in methods:
            if design.outcome not in (entry.outcomes or file.study.evaluated):
                continue
            title = estimator.spec.title
            say(f"estimating {design.outcome}: {title}")
            own = design if match is None else pairs[design.outcome, match]
            with about(f"Outcome {design.outcome!r}, {title}"):
                made.append(_Made(estimator.estimate(own), estimator, own))
    return made


def _headline(made: Sequence[_Made], outcome: str) -> _Made:
    """Return what gives an outcome's headline."""
    head = headline_result([one.result for one in made], outcome)
    return next(one for one in made if one.result is head)


def _findings(
    file: StudyFile, made: Sequence[_Made], placebo: Sequence[SealedDesign]
) -> dict[str, tuple[Finding, ...]]:
    """Findings on the highest rung of each outcome, which is the one that a reader relies on."""
    found, results = {}, [one.result for one in made]
    for outcome in file.study.evaluated:
        head, estimator, given = _headline(made, outcome)
        placebos = _placebo_results(estimator, head, placebo)
        # A method may have set some firms of its design apart: theirs is the one to look at.
        own = head.design if isinstance(head.design, SealedDesign) else given
        about_head = diagnose(own, head, placebos=placebos)
        if file.study.sensitivity:  # it is shown beside the estimates
            about_head = tuple(f for f in about_head if f.id != "sensitivity")
        found[outcome] = (*about_head, *_of_match(results, head))
    return found


def _of_match(results: Sequence[EstimationResult], head: EstimationResult) -> tuple[Finding, ...]:
    """Findings on the first of the highest matched rungs beside the headline, named as its own."""
    rungs = [
        r
        for r in results
        if r.estimand.outcome == head.estimand.outcome
        and r is not head
        and r.design.matcher is not None
        and r.step.is_causal
    ]
    if not rungs or head.design.matcher is not None:
        return ()
    best = max(rungs, key=lambda r: r.step.rank)
    title = best.provenance.title
    return tuple(
        replace(f, message=message("finding.of_method", method=title, finding=f.message))
        for f in diagnose(best.design, best)
        if f.id in _ABOUT_MATCHES
    )


def _placebo_results(
    estimator: Estimator, head: EstimationResult, placebo: Sequence[SealedDesign]
) -> list[EstimationResult]:
    """Estimate outcomes that support cannot move as the headline was estimated."""
    scales = estimator.spec.scales
    made = []
    for design in placebo:
        if scales is not None and design.outcome_spec.scale not in scales:
            continue
        with about(f"Placebo outcome {design.outcome!r}"):
            made.append(estimator.estimate(_matched_like(head.design, design)))
    return made


def _matched_like(other: Any, design: SealedDesign) -> SealedDesign:
    """Return the design, matched as the other one is."""
    if other is None or other.matcher is None:
        return design
    options = {name: getattr(other, name) for name in ("horizon", "lags", "thresholds")}
    return design.match(other.matcher, **options).seal()


def _known(synthetic: Mapping[str, Any] | None) -> Known | None:
    if synthetic is None:
        return None
    from exportimpact.synthetic import scenario

    arguments = dict(synthetic)
    return scenario(arguments.pop("scenario")).draw(**arguments).truth


def _quiet(stage: str) -> None:
    pass
