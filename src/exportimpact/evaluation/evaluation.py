"""An evaluation: results of several rungs, their findings and the plan, in one frozen object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import Any

import pandas as pd

from exportimpact.core.exhibit import Exhibit
from exportimpact.core.finding import Finding
from exportimpact.core.protocols import DesignLike, SealedLike
from exportimpact.core.result import EstimationResult
from exportimpact.errors import CapabilityError, InputError, did_you_mean
from exportimpact.evaluation import assumptions as lattice
from exportimpact.evaluation import bracket, detectable, ladder, objectives, support
from exportimpact.evaluation.claims import claim
from exportimpact.evaluation.known import Known, known_rows
from exportimpact.evaluation.ladder import Rung
from exportimpact.evaluation.plan import Plan
from exportimpact.evaluation.quantities import best_text

Findings = Sequence[Finding] | Mapping[str, Sequence[Finding]]

FINDING_COLUMNS = (
    "outcome",
    "finding",
    "assumption",
    "verdict",
    "statement",
    "statistic",
    "threshold",
    "threshold_source",
)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Evaluation:
    """What was estimated of one programme, how far it can be trusted, and what may be said of it.

    Attributes
    ----------
    sealed : SealedLike
        The primary design; its outcome is the primary outcome.
    rungs : tuple of Rung
        Every result with its average effect, by outcome, lowest rung first.
    findings : mapping of outcome to tuple of Finding
    plan : Plan
    known : oracle, mapping or None
        Known effects of a synthetic panel.
    exhibits : mapping of outcome to tuple of Exhibit
        What belongs to an outcome and to no single rung, such as a comparison of estimators.
    """

    sealed: SealedLike
    rungs: tuple[Rung, ...]
    findings: Mapping[str, tuple[Finding, ...]]
    plan: Plan
    known: Known | None = None
    exhibits: Mapping[str, tuple[Exhibit, ...]] = field(default_factory=dict)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Outcomes with a result, the primary one first."""
        return tuple(dict.fromkeys(rung.outcome for rung in self.rungs))

    @property
    def primary(self) -> str:
        """The outcome of the primary design."""
        return self.sealed.outcome_spec.name

    @property
    def results(self) -> tuple[EstimationResult, ...]:
        """The results, in the order of the rungs."""
        return tuple(rung.result for rung in self.rungs)

    def headline(self, outcome: str | None = None) -> Rung:
        """Return the highest rung of an outcome, by default the primary one.

        Among equals it is the one that was given first: the order of the results is part of the
        plan, and neither an estimate nor a cell that failed changes it.

        Raises
        ------
        InputError
            EI-E23 for an outcome without a result.
        """
        return ladder.headline(self.rungs, self._outcome(outcome))

    def ladder(self, outcome: str | None = None) -> pd.DataFrame:
        """Return one row per rung: the average effect of step IV beside those of higher steps.

        Parameters
        ----------
        outcome : str, optional
            Only this outcome.

        Returns
        -------
        DataFrame
            outcome, step, estimator, estimate, std_error, ci_low, ci_high, p_value, percent,
            percent_low, percent_high, percent_unit, n_supported, n_comparison, causal; then
            method, variant, comparison, cells, df, mde, counterfactual, ratio, percent_note,
            limits_missed (of balance, by its match), headline, and known and known_percent where
            effects are known.

        Raises
        ------
        InputError
            EI-E23 for an outcome without a result.
        """
        kept = self.rungs if outcome is None else self._of(self._outcome(outcome))
        frame = ladder.table(kept, self.known)
        heads = [self.headline(name) for name in self.outcomes]
        frame["headline"] = [rung in heads for rung in kept]
        return frame

    def brackets(self) -> pd.DataFrame:
        """Return difference-in-differences beside matching on past outcomes, where both were done.

        Their assumptions do not contain one another; if either holds, the effect is at one of the
        two ends, apart from sampling error (Ding & Li 2019, doi:10.1017/pan.2019.25).

        Returns
        -------
        DataFrame
            outcome, assumption ("parallel_trends", then "unconfoundedness" given the past), step,
            estimator, method, variant, estimate, std_error, ci_low, ci_high, p_value, percent,
            percent_low, percent_high, percent_unit, n_supported, n_comparison, sentence; two rows
            for each such outcome.
        """
        return bracket.table(self.rungs)

    def event_study(self, outcome: str | None = None) -> pd.DataFrame:
        """Return the headline's effect by periods since first support, with both intervals.

        Raises
        ------
        InputError
            EI-E23 for an outcome without a result.
        """
        head = self.headline(outcome)
        frame = head.path.copy()
        if self.known is not None:
            frame["known"] = list(known_rows(self.known, head.result.aggregate("event_time")))
        return frame

    def power(self) -> pd.DataFrame:
        """Return what each headline could have found.

        The minimum detectable effect (80 % power, 5 % level), and power, exaggeration (type M) and
        sign error (type S) of Gelman & Carlin (2014, doi:10.1177/1745691614551642) at the plan's
        effect from outside the data, never at the estimate.

        Returns
        -------
        DataFrame
            outcome, step, estimator, external_effect, external_percent, std_error, df, mde,
            mde_percent, percent_unit, power, exaggeration, sign_error, note.
        """
        return detectable.table([self.headline(name) for name in self.outcomes], self.plan)

    def objectives(self) -> pd.DataFrame:
        """Return each objective of the plan beside the estimated effect with its interval.

        Returns
        -------
        DataFrame
            objective, outcome, direction, target, unit, horizon, effect, effect_low, effect_high,
            status ("reached", "missed", "open", "not causal", "withheld", "not estimated"), step.
        """
        heads = {name: self.headline(name) for name in self.outcomes}
        claims = self.claims()
        statuses = dict(zip(claims["outcome"], claims["status"], strict=True))
        return objectives.table(self.plan.objectives, heads, statuses)

    def assumptions(self) -> pd.DataFrame:
        """Return what each headline rests on, and what was checked of it.

        Returns
        -------
        DataFrame
            outcome, assumption, meaning, alternatives, status (a verdict, or "NOT_CHECKED"),
            checked, findings.
        """
        frames = []
        for name in self.outcomes:
            requires = self.headline(name).result.provenance.requires
            frames.append(lattice.table(name, requires, self.findings.get(name, ())))
        return pd.concat(frames, ignore_index=True)

    def claims(self) -> pd.DataFrame:
        """Return the sentence that each headline allows.

        Returns
        -------
        DataFrame
            outcome, step, status ("describes", "conditional", "withheld"), causal, claim, caveats.
        """
        rests_on = self._assumptions
        made = [
            claim(
                self.headline(name),
                rests_on[rests_on["outcome"] == name],
                self.findings.get(name, ()),
            )
            for name in self.outcomes
        ]
        return pd.DataFrame([c.record() for c in made])

    def checks(self) -> pd.DataFrame:
        """Return every finding: outcome, finding, assumption, verdict, statement, statistic, ..."""
        rows = [
            (name, *_finding_row(f)) for name in self.outcomes for f in self.findings.get(name, ())
        ]
        frame = pd.DataFrame(rows, columns=list(FINDING_COLUMNS))
        return frame.astype({"statistic": float, "threshold": float})

    def support(self) -> pd.DataFrame:
        """Return counts of supported firms by cohort, periods of support and programmes."""
        return support.support_table(self.sealed)

    def linkage(self) -> pd.DataFrame:
        """Return awarded and linked firms by programme."""
        return support.linkage_table(self.sealed)

    def __repr__(self) -> str:
        lines = [f"Evaluation: {self.plan.title or self.primary}"]
        for rung in self.rungs[:16]:
            estimand = rung.result.estimand
            shown = best_text(rung.row, estimand.scale, estimand.unit)
            causal = "" if rung.result.step.is_causal else ", not causal"
            interval = f"[{shown.interval}]"
            lines.append(
                f"  {rung.outcome}: {shown.text} {interval}, step {rung.result.step}{causal}, "
                f"{rung.result.provenance.estimator}"
            )
        if len(self.rungs) > 16:
            lines.append(f"  ... {len(self.rungs) - 16} more")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"

    @cached_property
    def _assumptions(self) -> pd.DataFrame:
        return self.assumptions()

    def _of(self, outcome: str) -> tuple[Rung, ...]:
        return tuple(rung for rung in self.rungs if rung.outcome == outcome)

    def _outcome(self, outcome: str | None) -> str:
        name = self.primary if outcome is None else outcome
        if name not in self.outcomes:
            raise _no_outcome(name, self.outcomes)
        return name


def evaluate(
    sealed: DesignLike,
    results: Sequence[EstimationResult],
    findings: Findings,
    *,
    plan: Plan | None = None,
    known: Known | None = None,
    exhibits: Mapping[str, Sequence[Exhibit]] | None = None,
) -> Evaluation:
    """Put results and findings of one panel into an evaluation.

    Parameters
    ----------
    sealed : SealedDesign
        The primary design; a design that is not sealed is sealed as exploratory.
    results : sequence of EstimationResult
        Cells, as estimators return them; of several outcomes and designs on the same panel. Of
        several on the highest rung the first is the headline.
    findings : sequence of Finding, or mapping of outcome to such a sequence
        A sequence belongs to the primary outcome. Findings of the designs themselves are added.
    plan : Plan, optional
    known : oracle or mapping, optional
        Known effects of a synthetic panel: anything with ``value(estimand)``, or the average effect
        of each outcome in its own unit.
    exhibits : mapping of outcome to sequence of Exhibit, optional
        What else the report shows of an outcome: ``compare(results).exhibit``, or that of
        subgroups or margins.

    Raises
    ------
    InputError
        EI-E20 without results, EI-E21 for a result from another panel, EI-E23 for a plan or
        findings on an outcome without a result, EI-E24 when the primary outcome has none, EI-E26
        for the unit of an objective.
    CapabilityError
        EI-E22 for an aggregate instead of cells.
    """
    primary = sealed if isinstance(sealed, SealedLike) else sealed.seal(exploratory=True)
    made = [results] if isinstance(results, EstimationResult) else list(results)
    _check_results(primary, made)
    name, outcomes = primary.outcome_spec.name, [r.estimand.outcome for r in made]
    if name not in outcomes:
        raise InputError(
            "EI-E24",
            f"No result is about {name!r}, the outcome of the primary design, so that the "
            "evaluation would have no headline. Estimate it, or pass the sealed design of one of: "
            f"{', '.join(sorted(set(outcomes)))}.",
            outcome=name,
        )
    plan = Plan() if plan is None else plan
    rungs = ladder.build_rungs(made, name)
    given = findings if isinstance(findings, Mapping) else {name: findings}
    shown = {outcome: tuple(of) for outcome, of in (exhibits or {}).items()}
    for asked in (*given, *(o.outcome for o in plan.objectives), *plan.declared_effects, *shown):
        if asked not in outcomes:
            raise _no_outcome(asked, outcomes)
    for objective in plan.objectives:
        objectives.check_unit(objective, ladder.headline(rungs, objective.outcome))
    return Evaluation(
        sealed=primary,
        rungs=rungs,
        findings=_all_findings(rungs, given),
        plan=plan,
        known=known,
        exhibits=shown,
    )


def _check_results(sealed: SealedLike, results: Sequence[EstimationResult]) -> None:
    if not results:
        raise InputError(
            "EI-E20",
            "There are no results, so that there is nothing to evaluate. Pass what an estimator's "
            ".estimate(sealed) returns, for instance evaluate(sealed, [result], findings).",
        )
    for result in results:
        who = f"The result of {result.provenance.estimator!r} on {result.estimand.outcome!r}"
        if result.rows is not None:
            raise CapabilityError(
                "EI-E22",
                f"{who} holds rows aggregated by {result.estimand.aggregation} instead of cells; "
                "the ladder could not average it like the others. Pass the result of the "
                "estimator itself, before .aggregate() or .overall().",
                estimator=result.provenance.estimator,
            )
        if result.provenance.settings.get("panel") != sealed.settings.get("panel"):
            raise InputError(
                "EI-E21",
                f"{who} comes from another panel than the primary design: their fingerprints "
                "differ. Rungs of one ladder must rest on the same firms and periods. Estimate "
                "both on one panel.",
                estimator=result.provenance.estimator,
                outcome=result.estimand.outcome,
            )


def _all_findings(
    rungs: Sequence[Rung], given: Mapping[str, Sequence[Finding]]
) -> dict[str, tuple[Finding, ...]]:
    """Return findings by outcome: those given, then those of the headline's design, each once."""
    found: dict[str, tuple[Finding, ...]] = {}
    for name in dict.fromkeys(rung.outcome for rung in rungs):
        design: Any = ladder.headline(rungs, name).result.design
        merged: list[Finding] = []
        for finding in (*given.get(name, ()), *getattr(design, "findings", ())):
            if _finding_row(finding) not in map(_finding_row, merged):
                merged.append(finding)
        found[name] = tuple(merged)
    return found


def _no_outcome(name: str, known: Sequence[str]) -> InputError:
    return InputError(
        "EI-E23",
        f"No result is about {name!r}, so that nothing can be said of it. "
        f"{did_you_mean(name, dict.fromkeys(known))}",
        outcome=name,
    )


def _finding_row(finding: Finding) -> tuple[object, ...]:
    return (
        finding.id,
        finding.assumption or "",
        finding.verdict,
        str(finding.message),
        finding.statistic,
        finding.threshold,
        finding.threshold_source,
    )
