"""What could have been found: the smallest detectable effect, and power at an outside effect."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from exportimpact.evaluation.ladder import Rung
from exportimpact.evaluation.plan import Plan
from exportimpact.evaluation.power import design_power
from exportimpact.language import message

COLUMNS = (
    "outcome",
    "step",
    "estimator",
    "external_effect",
    "external_percent",
    "std_error",
    "df",
    "mde",
    "mde_percent",
    "percent_unit",
    "power",
    "exaggeration",
    "sign_error",
    "note",
)


def record(rung: Rung, plan: Plan) -> dict[str, Any]:
    """Return the row of `Evaluation.power` for one rung.

    The outside effect is a share of the counterfactual: ln(1 + share) for logs, the share of the
    mean counterfactual of supported firms for levels, counts and shares. A binary outcome has none
    unless the plan declares one: 7 % more exporters means little without saying of how many.
    """
    row, scale = rung.row, rung.result.estimand.scale
    effect, note = outside_effect(rung, plan)
    found = design_power(effect, float(row["std_error"]), float(row["df"]))
    return {
        "outcome": rung.outcome,
        "step": str(rung.result.step),
        "estimator": rung.result.provenance.estimator,
        "external_effect": effect,
        "external_percent": in_percent(effect, scale, row),
        "std_error": float(row["std_error"]),
        "df": float(row["df"]),
        "mde": float(row["mde"]),
        "mde_percent": in_percent(float(row["mde"]), scale, row),
        "percent_unit": row["percent_unit"],
        "power": found.power,
        "exaggeration": found.exaggeration,
        "sign_error": found.sign_error,
        "note": note,
    }


def outside_effect(rung: Rung, plan: Plan) -> tuple[float, str]:
    """Return the plan's effect in the outcome's own unit, or NaN and the reason."""
    declared = plan.declared_effects.get(rung.outcome)
    if declared is not None:
        return float(declared), ""
    scale = rung.result.estimand.scale
    if scale in {"log", "logged"}:
        return math.log1p(plan.external_effect), ""
    if scale == "binary":
        return math.nan, str(message("report.power_not_declared"))
    if not math.isfinite(float(rung.row["percent"])):
        return math.nan, str(message("report.percent_undefined"))
    return plan.external_effect * float(rung.row["counterfactual"]), ""


def in_percent(effect: float, scale: str, row: Any) -> float:
    """Return an effect in the outcome's own unit as percent, or as percentage points."""
    if scale in {"log", "logged"}:
        return 100 * math.expm1(effect) if math.isfinite(effect) else math.nan
    if scale == "binary":
        return 100 * effect
    defined = math.isfinite(float(row["percent"]))
    return 100 * effect / float(row["counterfactual"]) if defined else math.nan


def table(rungs: list[Rung], plan: Plan) -> pd.DataFrame:
    """Return one row per rung."""
    return pd.DataFrame([record(rung, plan) for rung in rungs], columns=list(COLUMNS))
