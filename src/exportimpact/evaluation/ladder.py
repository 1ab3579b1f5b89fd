"""The ladder: the same outcome estimated rung by rung, and the headline, its highest rung."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from exportimpact.core.result import EstimationResult
from exportimpact.evaluation.known import Known, known_percent, known_value
from exportimpact.evaluation.paths import event_study_table
from exportimpact.language import message

COLUMNS = (
    "outcome",
    "step",
    "estimator",
    "estimate",
    "std_error",
    "ci_low",
    "ci_high",
    "p_value",
    "percent",
    "percent_low",
    "percent_high",
    "percent_unit",
    "n_supported",
    "n_comparison",
    "causal",
)


@dataclass(frozen=True, eq=False)
class Rung:
    """One result with its average effect.

    Attributes
    ----------
    result : EstimationResult
        The cells.
    overall : EstimationResult
        ``result.overall("simple")``: one row.
    label : str
        The estimator's title.
    variant : str
        What sets it apart from other results of the same estimator and outcome, often empty.
    key : str
        A short name for files and places, such as ``"group_time"``.
    """

    result: EstimationResult
    overall: EstimationResult
    label: str
    variant: str
    key: str

    @property
    def outcome(self) -> str:
        """The outcome's name."""
        return self.result.estimand.outcome

    @cached_property
    def row(self) -> Mapping[str, Any]:
        """Estimate, error, interval, percent and counts of the average effect."""
        return {str(k): v for k, v in self.overall.table(detail=True).iloc[0].items()}

    @cached_property
    def path(self) -> pd.DataFrame:
        """What `event_study_table` returns for the result; bands take time, so they are kept."""
        return event_study_table(self.result)

    def record(self, known: Known | None) -> dict[str, Any]:
        """Return this rung's row of the ladder."""
        result, row = self.result, dict(self.row)
        step = result.step
        row |= {"step": str(step), "estimator": result.provenance.estimator}
        record = {name: row.get(name) for name in COLUMNS} | {"causal": step.is_causal}
        record |= {
            "method": self.label,
            "variant": self.variant,
            "comparison": _pool(result),
            "cells": len(self.overall.estimand.cells),
            "df": row["df"],
            "mde": row["mde"],
            "counterfactual": row["counterfactual"],
            "ratio": row["ratio"],
            "percent_note": percent_note(row),
        }
        if known is not None:
            record["known"] = known_value(known, self.overall.estimand)
            record["known_percent"] = known_percent(known, self.overall.estimand)
        return record


def build_rungs(results: Sequence[EstimationResult], primary: str) -> tuple[Rung, ...]:
    """Return the rungs by outcome, the primary one first, lowest rung first within an outcome."""
    outcomes = [r.estimand.outcome for r in results]
    order = list(dict.fromkeys([primary, *outcomes]))
    variants = _variants(results)
    rungs = [
        Rung(result, result.overall("simple"), result.provenance.title, variant, key)
        for result, (variant, key) in zip(results, variants, strict=True)
    ]
    return tuple(sorted(rungs, key=lambda r: (order.index(r.outcome), r.result.step.rank)))


def headline(rungs: Sequence[Rung], outcome: str) -> Rung:
    """Return the highest rung of `outcome`; among equals the one that was given first."""
    chosen = headline_result([rung.result for rung in rungs], outcome)
    return next(rung for rung in rungs if rung.result is chosen)


def headline_result(
    results: Sequence[EstimationResult], outcome: str | None = None
) -> EstimationResult:
    """Return the result of `outcome` that would be its headline: the one to diagnose.

    Parameters
    ----------
    results : sequence of EstimationResult
        Cells, as estimators return them.
    outcome : str, optional
        The outcome of the first result when not given.
    """
    name = results[0].estimand.outcome if outcome is None else outcome
    return max((r for r in results if r.estimand.outcome == name), key=lambda r: r.step.rank)


def table(rungs: Sequence[Rung], known: Known | None) -> pd.DataFrame:
    """Return one row per rung."""
    return pd.DataFrame([rung.record(known) for rung in rungs])


def percent_note(row: Mapping[str, Any]) -> str:
    """Return why a row has no effect in percent, or no interval; empty when it has both."""
    if not pd.notna(row["percent"]):
        return str(message("report.percent_undefined"))
    if not pd.notna(row["percent_low"]):
        return str(message("report.no_error"))
    return ""


def _pool(result: EstimationResult) -> str:
    typical = result.estimand.reference == "typical"
    return "others" if typical else str(result.estimand.comparison or "")


def _variants(results: Sequence[EstimationResult]) -> list[tuple[str, str]]:
    """Return a variant and a key per result, telling apart results of one outcome and method."""
    made: list[tuple[str, str]] = []
    for result in results:
        same = [
            r
            for r in results
            if r.estimand.outcome == result.estimand.outcome
            and r.provenance.estimator == result.provenance.estimator
        ]
        own = _options(result)
        differing = [
            f"{name} {_plain(value)}"
            for name, value in own.items()
            if any(_options(other).get(name) != value for other in same)
        ]
        key = "_".join([result.provenance.estimator, *(d.replace(" ", "_") for d in differing)])
        made.append(("; ".join(differing), key))
    return made


def _options(result: EstimationResult) -> dict[str, Any]:
    skipped = {"asks", "panel", "outcome"}
    settings = {k: v for k, v in result.provenance.settings.items() if k not in skipped}
    return settings | result.provenance.parameters


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "+".join(map(str, value)) or "none"
    return str(value)
