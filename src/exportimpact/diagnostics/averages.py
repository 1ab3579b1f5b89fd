"""Each firm's mean outcome since support, for analyses that want one number per firm or match.

Whether it is the outcome or its change since the base period is what the estimator compared. A
comparison firm that serves several cohorts has one row for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from exportimpact._typing import BoolArray, FloatArray, IntArray
from exportimpact.core.cell import Cell
from exportimpact.core.result import EstimationResult
from exportimpact.design.matching.forms import Paired
from exportimpact.numerics.regression import dependent_columns, least_squares


@dataclass(frozen=True, eq=False)
class Averages:
    """Firms that could have been matched, of all cohorts.

    Attributes
    ----------
    y, d : (n,)
        Mean outcome (or change) since support, and whether supported.
    X : (n, k)
        A constant for each cohort, then covariates and matched lags.
    is_fixed : (k,)
        Which columns of `X` are constants of cohorts.
    before, after : (n,)
        Weights: before matching comparison firms of a cohort together weigh what its supported
        firms do; after matching the design's.
    groups : dict of covariate to its (m,) columns of `X`
    """

    y: FloatArray
    d: FloatArray
    X: FloatArray
    is_fixed: BoolArray
    before: FloatArray
    after: FloatArray
    groups: dict[str, IntArray]


@dataclass(frozen=True, eq=False)
class Sets:
    """Matched sets of one supported firm each.

    Attributes
    ----------
    difference : (n_sets,)
        Mean over periods since support: the firm's outcome less its matches' weighted mean; of what
        a regression among matched comparison firms does not explain, where the estimator has one.
    shared : bool
        Whether a comparison firm is in several sets.
    several : bool
        Whether a set has several comparison firms.
    """

    difference: FloatArray
    shared: bool
    several: bool


def averages_of(design: Any, result: EstimationResult) -> Averages:
    """Return the firms' means; the result has an effect since support."""
    cells = _by_cohort(design, result)
    parts = [
        (match, *_means(design, result, cells[cohort], match.risk))
        for cohort, match in design.matching.cohorts.items()
        if cohort in cells
    ]
    n_cohorts = len(parts)
    names = parts[0][0].risk.names if parts else ()
    rows: list[tuple[FloatArray, ...]] = []
    for place, (match, y, seen) in enumerate(parts):
        risk = match.risk
        constants = np.zeros((risk.rows.size, n_cohorts))
        constants[:, place] = 1.0
        d = risk.is_supported
        before = np.where(seen, risk.weights, 0.0)
        before = before * np.where(d > 0, 1.0, before @ d / (before @ (1 - d)))
        columns = (y, d, np.hstack([constants, risk.X]), before, match.weights)
        rows.append(tuple(column[seen] for column in columns))
    whole = [np.concatenate(part) for part in zip(*rows, strict=True)]
    return Averages(
        y=whole[0],
        d=whole[1],
        X=whole[2],
        is_fixed=np.arange(whole[2].shape[1]) < n_cohorts,
        before=whole[3],
        after=whole[4],
        groups=_grouped(names, n_cohorts),
    )


def sets_of(design: Any, result: EstimationResult) -> Sets | None:
    """Return the matched sets, or None where a design has weights or strata instead of pairs."""
    cells = _by_cohort(design, result)
    differences, several, largest = [], False, 0.0
    for cohort, match in design.matching.cohorts.items():
        if not isinstance(match.form, Paired):
            return None
        form, risk, n = match.form, match.risk, match.risk.rows.size
        total, count = np.zeros(n), np.zeros(n)
        for cell in cells.get(cohort, ()):
            y = _outcome(design, result, cell, risk)
            largest = max(largest, float(np.nanmax(np.abs(y), initial=0.0)))
            if _has_regression(result):
                y = _unexplained(y, match)
            pair = np.isfinite(y[form.supported]) & np.isfinite(y[form.comparison])
            own, other = form.supported[pair], form.comparison[pair]
            share = form.share[pair] * form.base[other]
            weight = np.bincount(own, share, n)
            mean = np.bincount(own, share * y[other], n)
            there = weight > 0
            total[there] += y[there] - mean[there] / weight[there]
            count[there] += 1
            several = several or bool((np.bincount(own) > 1).any())
        differences.append(total[count > 0] / count[count > 0])
    difference = np.concatenate(differences) if differences else np.zeros(0)
    # What rounding alone keeps from zero is no difference.
    difference[np.abs(difference) <= 1e-12 * largest] = 0.0
    return Sets(difference, _any_shared(design), several)


def _has_regression(result: EstimationResult) -> bool:
    """Return whether a regression is in the estimate; zeros and ones stay as they are."""
    record = result.provenance
    if result.estimand.scale == "binary":
        return False
    return record.estimator == "doubly_robust" or record.parameters.get("correct") == "regression"


def _unexplained(y: FloatArray, match: Any) -> FloatArray:
    """Return residuals of a regression on covariates among matched comparison firms."""
    risk = match.risk
    columns = np.column_stack([np.ones(y.size), risk.X])
    inside = (risk.is_supported == 0) & (match.weights > 0) & np.isfinite(y)
    columns = columns[:, ~dependent_columns(columns[inside])]
    if inside.sum() <= columns.shape[1]:
        return y
    fit = least_squares(columns[inside], y[inside], match.weights[inside])
    return np.asarray(y - columns @ fit.coefficients)


def _any_shared(design: Any) -> bool:
    rows = [m.risk.rows[m.form.comparison] for m in design.matching.cohorts.values()]
    partners = np.concatenate(rows)
    return bool(np.unique(partners).size < partners.size)


def _by_cohort(design: Any, result: EstimationResult) -> dict[int, list[Cell]]:
    """Return the cells since support of a result, by cohort."""
    index = result.cells.index
    estimated = set(zip(index.cohort.tolist(), index.period.tolist(), strict=True))
    found: dict[int, list[Cell]] = {}
    for cell in design.cells():
        if cell.event_time >= 0 and (cell.cohort, cell.period) in estimated:
            found.setdefault(cell.cohort, []).append(cell)
    return found


def _means(
    design: Any, result: EstimationResult, cells: list[Cell], risk: Any
) -> tuple[FloatArray, BoolArray]:
    values = np.array([_outcome(design, result, cell, risk) for cell in cells])
    count = np.isfinite(values).sum(axis=0)
    total = np.nansum(values, axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan), count > 0


def _outcome(design: Any, result: EstimationResult, cell: Cell, risk: Any) -> FloatArray:
    """Return what the estimator compares, of all firms of a risk set; NaN where it is not there."""
    outcome = design.wide().outcome
    y: FloatArray = outcome[risk.rows, cell.period_index]
    if result.provenance.parameters.get("change", True):
        y = y - outcome[risk.rows, cell.base_index]
    free = design.aligned.first[risk.rows] > cell.period
    return np.where(free | (risk.is_supported > 0), y, np.nan)


def _grouped(names: tuple[str, ...], start: int) -> dict[str, IntArray]:
    """Return the columns of each covariate: dummies of one category belong together."""
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        found.setdefault(name.split("=")[0].split("[")[0], []).append(start + place)
    return {name: np.array(columns, dtype=np.int64) for name, columns in found.items()}
