"""Covariates at a base period as a matrix: a list of columns, or a formula."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from exportimpact._typing import FloatArray, IntArray
from exportimpact.data import Panel
from exportimpact.errors import ColumnError, InputError, did_you_mean
from exportimpact.numerics.regression import dependent_columns


@dataclass(frozen=True, eq=False)
class Covariates:
    """Builds the matrix of covariates at a base period.

    Attributes
    ----------
    names : tuple of str
        Name of each column, the constant first.
    matrix : function from the index of a base period to (n_firms, k)
        NaN where a firm is not observed.
    """

    names: tuple[str, ...]
    matrix: Callable[[int], FloatArray]


def build(panel: Panel, asked: tuple[str, ...] | str, bases: IntArray) -> Covariates:
    """Return the covariates `asked` for: names of baseline columns, or a formula.

    Raises
    ------
    ColumnError
        EI-D04 for a name that is not a baseline column.
    InputError
        EI-D10 for constant or collinear covariates, EI-D11 for a formula that cannot be read.
    """
    made = _from_formula(panel, asked) if isinstance(asked, str) else _from_names(panel, asked)
    _refuse_dependent(made, bases)
    return made


def _from_names(panel: Panel, names: tuple[str, ...]) -> Covariates:
    columns: list[tuple[str, FloatArray]] = []
    for name in names:
        if name not in panel.baseline_names:
            raise ColumnError(
                "EI-D04",
                f"Covariate {name!r} is not a baseline column of the panel, so that firms "
                f"cannot be "
                f"compared on it. {did_you_mean(name, panel.baseline_names)} Name it in "
                "Panel.from_frame(baseline=[...]).",
                covariate=name,
            )
        column = panel.baseline(name)
        if column.categories is None:
            columns.append((name, column.values))
            continue
        for code, category in enumerate(column.categories[1:], start=1):
            flag = np.where(np.isnan(column.values), np.nan, column.values == code)
            columns.append((f"{name}={category}", flag))

    def matrix(base: int) -> FloatArray:
        return np.column_stack([np.ones(panel.n_firms), *(v[:, base] for _, v in columns)])

    return Covariates(("constant", *(n for n, _ in columns)), matrix)


def _from_formula(panel: Panel, formula: str) -> Covariates:
    import formulaic

    def frame(base: int) -> pd.DataFrame:
        out: dict[str, object] = {}
        for name in panel.baseline_names:
            column = panel.baseline(name)
            values = column.values[:, base]
            if column.categories is None:
                out[name] = values
            else:
                codes = np.where(np.isnan(values), -1, values).astype(np.int64)
                labels = pd.Index(column.categories)
                out[name] = pd.Categorical.from_codes(codes, categories=labels)
        return pd.DataFrame(out)

    whole = pd.concat([frame(b) for b in range(panel.n_periods)], ignore_index=True)
    known = whole.notna().all(axis=1).to_numpy()
    try:
        spec = formulaic.model_matrix(formula, whole[known], na_action="raise").model_spec
    except Exception as error:
        raise InputError(
            "EI-D11",
            f"The formula {formula!r} cannot be read: {error}. Write it over the baseline columns "
            f"({', '.join(panel.baseline_names)}), such as '~ log(employees) + C(industry)'.",
            formula=formula,
        ) from error

    def matrix(base: int) -> FloatArray:
        data = frame(base)
        there = data.notna().all(axis=1).to_numpy()
        values = np.full((panel.n_firms, len(spec.column_names)), np.nan)
        values[there] = np.asarray(spec.get_model_matrix(data[there]), dtype=float)
        return values

    return Covariates(tuple(str(n) for n in spec.column_names), matrix)


def _refuse_dependent(covariates: Covariates, bases: IntArray) -> None:
    stacked = [covariates.matrix(int(b)) for b in bases]
    whole = np.vstack(stacked) if stacked else np.zeros((0, len(covariates.names)))
    whole = whole[np.isfinite(whole).all(axis=1)]
    if not whole.shape[0]:
        return
    dependent = dependent_columns(whole)
    if dependent.any():
        named = [n for n, bad in zip(covariates.names, dependent, strict=True) if bad]
        raise InputError(
            "EI-D10",
            f"{len(named)} covariate column(s) are constant or a combination of others at the base "
            f"periods: {', '.join(named[:5])}. Their coefficients are not determined, and "
            f"with them "
            "neither is the comparison. Leave them out.",
            columns=tuple(named),
        )
