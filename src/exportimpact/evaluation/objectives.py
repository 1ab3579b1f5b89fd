"""Objectives held against the estimated effect with its interval, never against the raw change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from exportimpact.errors import InputError
from exportimpact.evaluation.ladder import Rung
from exportimpact.evaluation.plan import Objective
from exportimpact.evaluation.quantities import own_unit

COLUMNS = (
    "objective",
    "outcome",
    "direction",
    "target",
    "unit",
    "horizon",
    "effect",
    "effect_low",
    "effect_high",
    "status",
    "step",
)


def check_unit(objective: Objective, rung: Rung) -> None:
    """Raise EI-E26 when the effect of the objective's outcome cannot be shown in its unit."""
    estimand = rung.result.estimand
    binary = estimand.scale == "binary"
    allowed = {None, own_unit(estimand.scale, estimand.unit), None if binary else "%"}
    if objective.unit not in allowed:
        named = sorted(repr(u) for u in allowed if u is not None)
        raise InputError(
            "EI-E26",
            f"The objective for {objective.outcome!r} has the unit {objective.unit!r}, but its "
            f"effect is measured in {' or '.join(named)}; target and effect could not be "
            "compared. State the target in one of these, or leave the unit out for the outcome's "
            "own.",
            outcome=objective.outcome,
            unit=objective.unit,
        )


def table(
    objectives: Sequence[Objective], headlines: Mapping[str, Rung], claims: Mapping[str, str]
) -> pd.DataFrame:
    """Return one row per objective; a target that was not stated is missing.

    `status` is "reached" when the whole interval lies at or beyond the target (beyond zero where
    only a direction was stated), "missed" when the whole interval falls short, "open" when it holds
    the target, "not causal" on step IV, "withheld" where a finding withholds the causal claim, and
    "not estimated" when there is no such effect or no interval.

    Parameters
    ----------
    objectives : sequence of Objective
    headlines : mapping of outcome to Rung
    claims : mapping of outcome to the status of its claim
    """
    rows = [_row(o, headlines[o.outcome], claims[o.outcome]) for o in objectives]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["horizon"] = pd.array(frame["horizon"].tolist(), dtype="Int64")
    return frame


def _row(objective: Objective, rung: Rung, claim: str) -> dict[str, Any]:
    estimand = rung.result.estimand
    unit = objective.unit or own_unit(estimand.scale, estimand.unit)
    effect, low, high = _effect(objective, rung, unit)
    return {
        "objective": objective.text or f"{objective.direction} {objective.outcome}",
        "outcome": objective.outcome,
        "direction": objective.direction,
        "target": math.nan if objective.target is None else objective.target,
        "unit": unit,
        "horizon": pd.NA if objective.horizon is None else objective.horizon,
        "effect": effect,
        "effect_low": low,
        "effect_high": high,
        "status": _status(objective, low, high, claim),
        "step": str(rung.result.step),
    }


def _effect(objective: Objective, rung: Rung, unit: str) -> tuple[float, float, float]:
    row: Mapping[str, Any] = rung.row
    if objective.horizon is not None:
        step = rung.result.provenance.step_length
        path = rung.result.aggregate("event_time").table(detail=True)
        due = path[path["event_time"] == objective.horizon * step]
        if due.empty:
            return math.nan, math.nan, math.nan
        row = {str(k): v for k, v in due.iloc[0].items()}
    own = own_unit(rung.result.estimand.scale, rung.result.estimand.unit)
    relative = unit == "pp" or (unit == "%" and own != "%")
    names = (
        ("percent", "percent_low", "percent_high")
        if relative
        else ("estimate", "ci_low", "ci_high")
    )
    effect, low, high = (float(row[name]) for name in names)
    return effect, low, high


def _status(objective: Objective, low: float, high: float, claim: str) -> str:
    if not (math.isfinite(low) and math.isfinite(high)):
        return "not estimated"
    if claim != "conditional":
        return "withheld" if claim == "withheld" else "not causal"
    target = objective.target or 0.0
    if objective.direction == "decrease":
        target, low, high = -target, -high, -low
    if low > 0 if target == 0 else low >= target:
        return "reached"
    return "missed" if high < target else "open"
