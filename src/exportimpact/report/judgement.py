"""What the page says of the estimates: headlines, what is assumed, what was found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from exportimpact.evaluation import Evaluation, Rung
from exportimpact.evaluation.assumptions import NOT_CHECKED, short_name
from exportimpact.evaluation.quantities import (
    MISSING,
    own_text,
    percent_text,
    significant,
    with_unit,
)
from exportimpact.language import message
from exportimpact.report import grids

SEVERITY = ("CONTRADICTS", "CONCERN", "SUPPORTS", "NOT_APPLICABLE", "NOT_RUN", NOT_CHECKED)


@dataclass(frozen=True)
class Card:
    """The headline of one outcome."""

    outcome: str
    step: str
    method: str
    causal: bool
    status: str
    effect: str
    interval: str
    second: str
    supported: str
    comparison: str
    claim: str
    caveats: str
    known: str
    percent_note: str
    detectable: str
    missed: str


@dataclass(frozen=True)
class Chip:
    """A verdict with the outcomes that it is about."""

    verdict: str
    label: str
    outcomes: str


@dataclass(frozen=True)
class Assumed:
    """One assumption with its verdicts."""

    name: str
    meaning: str
    alternatives: str
    chips: tuple[Chip, ...]


@dataclass(frozen=True)
class Check:
    """One finding, once for all outcomes that share it."""

    chip: Chip
    statement: str
    evidence: str


def cards(evaluation: Evaluation) -> list[Card]:
    """Return the headline of every outcome, nulls included."""
    claims = evaluation.claims()
    return [
        _card(evaluation, evaluation.headline(name), claims.iloc[place])
        for place, name in enumerate(evaluation.outcomes)
    ]


def _card(evaluation: Evaluation, head: Rung, claim: pd.Series) -> Card:
    estimand, record = head.result.estimand, head.record(evaluation.known)
    own, relative = own_text(head.row, estimand.scale, estimand.unit), percent_text(head.row)
    main, second = own, relative
    if estimand.scale in {"log", "logged"}:
        main, second = relative, own
    stated = second.effect != MISSING and second.text != main.text
    return Card(
        outcome=head.outcome,
        step=str(head.result.step),
        method=head.label,
        causal=head.result.step.is_causal,
        status=str(claim["status"]),
        effect=main.text,
        interval=main.interval,
        second=f"{second.text} ({second.interval})" if stated else "",
        supported=grids.count(head.row["n_supported"]),
        comparison=grids.count(head.row["n_comparison"]),
        claim=str(claim["claim"]),
        caveats=str(claim["caveats"]),
        known=_known(record, head),
        percent_note=str(record["percent_note"]),
        detectable=_detectable(head),
        missed="" if head.missed is None else str(head.missed),
    )


def _detectable(head: Rung) -> str:
    estimand = head.result.estimand
    effect = {**head.row, "estimate": grids.real(head.row["mde"])}
    return own_text(effect, estimand.scale, estimand.unit).text.lstrip("+")


def _known(record: Mapping[str, Any], head: Rung) -> str:
    value = grids.real(record.get("known"))
    if math.isnan(value):
        return ""
    estimand = head.result.estimand
    own = own_text({**head.row, "estimate": value}, estimand.scale, estimand.unit)
    percent = grids.real(record.get("known_percent"))
    if math.isnan(percent) or estimand.scale == "binary":
        return own.text
    shown = percent_text({**head.row, "percent": percent}).effect
    return f"{own.text} ({with_unit(shown, '%')})"


def trust(evaluation: Evaluation) -> list[Assumed]:
    """Return each assumption that a headline rests on, with its verdicts by outcome."""
    table, several = evaluation.assumptions(), len(evaluation.outcomes) > 1
    found = []
    for _, group in table.groupby("assumption", sort=False):
        first = group.iloc[0]
        by_status = {
            status: list(dict.fromkeys(group.loc[group["status"] == status, "outcome"]))
            for status in SEVERITY
        }
        chips = tuple(
            _chip(status, outcomes if several else [])
            for status, outcomes in by_status.items()
            if outcomes
        )
        name = short_name(str(first["assumption"]))
        name = name[:1].upper() + name[1:]
        found.append(Assumed(name, str(first["meaning"]), str(first["alternatives"]), chips))
    return found


def checks(evaluation: Evaluation) -> list[Check]:
    """Return the findings, the gravest first; those shared by outcomes stand once."""
    table, several = evaluation.checks(), len(evaluation.outcomes) > 1
    by = ["finding", "verdict", "statement", "statistic", "threshold", "threshold_source"]
    found = []
    for _, group in table.groupby(by, sort=False, dropna=False):
        first = group.iloc[0]
        chip = _chip(str(first["verdict"]), list(group["outcome"]) if several else [])
        found.append(Check(chip, str(first["statement"]), _evidence(first)))
    return sorted(found, key=lambda check: SEVERITY.index(check.chip.verdict))


def _evidence(finding: pd.Series) -> str:
    parts = [
        str(message(f"report.{name}", value=significant(grids.real(finding[name]))))
        for name in ("statistic", "threshold")
        if pd.notna(finding[name])
    ]
    return "; ".join([*parts, *filter(None, [str(finding["threshold_source"])])])


def _chip(status: str, outcomes: list[str]) -> Chip:
    return Chip(status, str(message(f"report.verdict_{status.lower()}")), ", ".join(outcomes))
