"""Effects in percent of the counterfactual, and the smallest effect that could be found."""

from __future__ import annotations

import numpy as np
import pandas as pd

from exportimpact._typing import FloatArray, Scale
from exportimpact.core.aggregation import Rows
from exportimpact.core.cellset import CellSet, Errors
from exportimpact.numerics.distributions import t_quantile

POWER = 0.8


def minimum_detectable(std_error: FloatArray, df: FloatArray) -> FloatArray:
    """Return the effect found with 80 % power at the 5 % level, two-sided (Bloom 1995)."""
    return (t_quantile(0.975, df) + t_quantile(POWER, df)) * std_error


def relative_effects(
    cells: CellSet, rows: Rows, errors: Errors, scale: Scale, level: float
) -> pd.DataFrame:
    """Return the columns of `EstimationResult.percent`, row by row."""
    estimate = rows.weights @ cells.estimate
    half = t_quantile(0.5 + level / 2, errors.df) * errors.std_error
    n = estimate.size
    nothing = np.full(n, np.nan)
    if scale in {"log", "logged"}:
        ends = [100 * np.expm1(v) for v in (estimate, estimate - half, estimate + half)]
        return _frame(ends[0], ends[1], ends[2], "%", nothing, np.exp(estimate))
    counterfactual = rows.weights @ cells.mean - estimate
    if scale == "binary":
        points = [100 * v for v in (estimate, estimate - half, estimate + half)]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(counterfactual > 0, 1 + estimate / counterfactual, np.nan)
        return _frame(points[0], points[1], points[2], "pp", counterfactual, ratio)
    percent, spread = _ratio(cells, rows, errors, estimate, counterfactual, level)
    return _frame(
        percent, percent - spread, percent + spread, "%", counterfactual, 1 + percent / 100
    )


def _ratio(
    cells: CellSet,
    rows: Rows,
    errors: Errors,
    estimate: FloatArray,
    counterfactual: FloatArray,
    level: float,
) -> tuple[FloatArray, FloatArray]:
    of_effect = cells.gradient(rows)
    of_counterfactual = cells.mean_gradient(rows) - of_effect
    denominator = cells.errors(of_counterfactual, rows)
    half = t_quantile(0.5 + level / 2, denominator.df) * denominator.std_error
    defined = np.abs(counterfactual) > half
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(defined, estimate / counterfactual, np.nan)
        gradient = (of_effect - ratio[:, None] * of_counterfactual) / counterfactual[:, None]
    gradient[~defined] = 0.0
    delta = cells.errors(gradient, rows)
    spread = t_quantile(0.5 + level / 2, delta.df) * delta.std_error
    return 100 * ratio, np.where(defined, 100 * spread, np.nan)


def _frame(
    percent: FloatArray,
    low: FloatArray,
    high: FloatArray,
    unit: str,
    counterfactual: FloatArray,
    ratio: FloatArray,
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "percent": percent,
            "percent_low": low,
            "percent_high": high,
            "percent_unit": unit,
            "counterfactual": counterfactual,
            "ratio": ratio,
        }
    )
