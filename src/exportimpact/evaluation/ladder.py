"""The ladder: the same outcome estimated rung by rung, and the headline, its highest rung."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from exportimpact.core.result import EstimationResult
from exportimpact.core.step import Step
from exportimpact.evaluation.known import Known, known_percent, known_value
from exportimpact.evaluation.paths import event_study_table
from exportimpact.language import Message, known_ids, message

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

    @property
    def matched(self) -> bool:
        """Whether it compares firms that a match has chosen or weighted."""
        return bool(_match_of(self.result))

    @property
    def matcher(self) -> str:
        """How its firms were matched, in words; empty without a match."""
        return _matched_by(_match_of(self.result)) if self.matched else ""

    @property
    def lags(self) -> int:
        """Past outcomes that the firms of its match share."""
        return int(_match_of(self.result).get("lags", 0))

    @property
    def missed(self) -> Message | None:
        """That its match missed the limits of balance, so that it is not causal; None otherwise."""
        if not self.matched or self.result.max_step is not Step.IV:
            return None
        return next((note for note in self.result.notes if note.id == "fact.capped"), None)

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
            "limits_missed": "" if self.missed is None else str(self.missed.values["missed"]),
        }
        if known is not None:
            record["known"] = known_value(known, self.overall.estimand)
            record["known_percent"] = known_percent(known, self.overall.estimand)
        return record


def build_rungs(results: Sequence[EstimationResult], primary: str) -> tuple[Rung, ...]:
    """Return the rungs by outcome, the primary one first, lowest rung first within an outcome."""
    outcomes = [r.estimand.outcome for r in results]
    order = list(dict.fromkeys([primary, *outcomes]))
    named = variants(results)
    rungs = [
        Rung(result, result.overall("simple"), result.provenance.title, variant, key)
        for result, (variant, key) in zip(results, named, strict=True)
    ]
    return tuple(sorted(rungs, key=lambda r: (order.index(r.outcome), r.result.step.rank)))


def headline(rungs: Sequence[Rung], outcome: str) -> Rung:
    """Return the highest rung of `outcome`; among equals the one that was given first.

    What holds effects equal that other methods leave free comes last among equals.
    """
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
    own = (r for r in results if r.estimand.outcome == name)
    return max(own, key=lambda r: (r.step.rank, r.estimand.common == "none"))


def table(rungs: Sequence[Rung], known: Known | None) -> pd.DataFrame:
    """Return one row per rung."""
    return pd.DataFrame([rung.record(known) for rung in rungs])


def method_text(row: Mapping[Any, Any]) -> str:
    """Return what a row of the ladder is called, with a mark where it is not causal."""
    missed = bool(row.get("limits_missed"))
    mark = str(message("plot.limits_missed" if missed else "plot.not_causal"))
    method = str(row["method"])
    return method if row.get("causal", True) or mark in method else f"{method} ({mark})"


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


def variants(results: Sequence[EstimationResult]) -> list[tuple[str, str]]:
    """Return a variant and a key per result, telling apart results of one outcome and method.

    A matched result always names its matcher; options of matching are listed where another result
    of the same method has a match with others.
    """
    made: list[tuple[str, str]] = []
    for result in results:
        same = [
            r
            for r in results
            if r.estimand.outcome == result.estimand.outcome
            and r.provenance.estimator == result.provenance.estimator
        ]
        differing = _differing(_options(result), [_options(r) for r in same])
        match = _match_of(result)
        others = [found for r in same if (found := _match_of(r))]
        differing |= _differing(match, others)
        differing.pop("matcher", None)
        if len(differing) > 1:
            differing.pop("thresholds", None)  # limits are no part of how firms were matched
        if match.get("lags"):
            differing["lags"] = match["lags"]  # another assumption, which has to be seen
        by = _matched_by(match) if match else ""
        words = [by, *(_option_words(name, value) for name, value in differing.items())]
        keys = [match.get("matcher", ""), *(f"{k}_{_plain(v)}" for k, v in differing.items())]
        key = "_".join([result.provenance.estimator, *filter(None, keys)])
        made.append(("; ".join(filter(None, words)), key.replace(" ", "_")))
    return made


def _differing(own: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {k: v for k, v in own.items() if any(other.get(k) != v for other in others)}


def _options(result: EstimationResult) -> dict[str, Any]:
    skipped = {"asks", "panel", "outcome", "matching"}
    settings = {k: v for k, v in result.provenance.settings.items() if k not in skipped}
    return settings | result.provenance.parameters


def _match_of(result: EstimationResult) -> dict[str, Any]:
    """Return the options of the match that a result rests on; none where it uses all others."""
    typical = result.estimand.reference == "typical"
    return {} if typical else dict(result.provenance.settings.get("matching", {}))


def _matched_by(match: Mapping[str, Any]) -> str:
    id = f"matcher.{match['matcher']}"
    return str(message(id)) if id in known_ids() else str(match["matcher"])


def _option_words(name: str, value: Any) -> str:
    id = f"option.{name}_{_plain(value)}"
    return str(message(id)) if id in known_ids() else f"{name} {_plain(value)}"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "+".join(f"{k} {_plain(v)}" for k, v in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return "+".join(map(str, value)) or "none"
    return str(value)
