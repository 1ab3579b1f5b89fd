"""Covariates at a base period as a matrix: a list of columns, or a formula."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd

from exportimpact._typing import FloatArray, IntArray
from exportimpact.data import Panel
from exportimpact.errors import ColumnError, InputError, did_you_mean
from exportimpact.numerics.regression import dependent_columns, triangle


class Covariates(Protocol):
    """The matrix of covariates at a base period."""

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each column, the constant first."""
        ...

    def matrix(self, base: int) -> FloatArray:
        """Return (n_firms, k) at the index of a base period; NaN where not observed."""
        ...


@dataclass(frozen=True, eq=False)
class NamedColumns:
    """Baseline columns as they are, categories as dummies, each (n_firms, n_periods)."""

    columns: tuple[tuple[str, FloatArray], ...]
    n_firms: int

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each column, the constant first."""
        return ("constant", *(name for name, _ in self.columns))

    def matrix(self, base: int) -> FloatArray:
        """Return (n_firms, k) at the index of a base period."""
        return np.column_stack([np.ones(self.n_firms), *(v[:, base] for _, v in self.columns)])


@dataclass(frozen=True, eq=False)
class FormulaColumns:
    """Columns of a formula over the baseline columns; `spec` is formulaic's fitted model spec."""

    panel: Panel
    spec: Any

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each column, the constant first."""
        return ("constant", *(n for n in self._given if n != "Intercept"))

    @property
    def variables(self) -> frozenset[str]:
        """Baseline columns that the formula reads."""
        return frozenset(map(str, self.spec.required_variables))

    @cached_property
    def _made(self) -> dict[int, FloatArray]:
        return {}

    @property
    def _given(self) -> list[str]:
        return [str(name) for name in self.spec.column_names]

    def matrix(self, base: int) -> FloatArray:
        """Return (n_firms, k) at the index of a base period."""
        if base not in self._made:
            self._made[base] = self._make(base)
        return self._made[base]

    def _make(self, base: int) -> FloatArray:
        data = _frame(self.panel, base)
        there = data.notna().all(axis=1).to_numpy()
        given = np.asarray(self.spec.get_model_matrix(data[there]), dtype=float)
        # The comparison needs a constant whether or not the formula asks for one.
        rest = given[:, [name != "Intercept" for name in self._given]]
        values = np.full((self.panel.n_firms, 1 + rest.shape[1]), np.nan)
        values[there] = np.column_stack([np.ones(len(rest)), rest])
        return values


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
                f"Covariate {name!r} is not a baseline column of the panel, so that firms cannot "
                f"be compared on it. {did_you_mean(name, panel.baseline_names)} Name it in "
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

    return NamedColumns(tuple(columns), panel.n_firms)


def _from_formula(panel: Panel, formula: str) -> Covariates:
    import formulaic

    whole = pd.concat([_frame(panel, b) for b in range(panel.n_periods)], ignore_index=True)
    known = whole.notna().all(axis=1).to_numpy()
    try:
        matrix = formulaic.model_matrix(formula, whole[known], na_action="raise")
        spec = matrix.model_spec
        infinite = ~np.isfinite(np.asarray(matrix, dtype=float)).all(axis=1)
    except Exception as error:
        raise InputError(
            "EI-D11",
            f"The formula {formula!r} cannot be read: {_plain(error)}. Write one side over the "
            f"baseline columns ({', '.join(panel.baseline_names)}), such as "
            "'~ log(employees) + C(industry)'.",
            formula=formula,
        ) from error
    if infinite.any():
        raise InputError(
            "EI-D12",
            f"The formula {formula!r} is not finite in {int(infinite.sum()):,} of "
            f"{infinite.size:,} firm-periods (a log of 0?); those firms would leave the comparison "
            "without a reason. Choose a transformation that is defined for all of them.",
            formula=formula,
            firm_periods=int(infinite.sum()),
        )

    return FormulaColumns(panel, spec)


def _plain(error: Exception) -> str:
    """Return formulaic's message without its colours."""
    return re.sub(r"⧛?\x1b?\[[0-9;]*m⧚?|[⧛⧚]", "", str(error))


def _frame(panel: Panel, base: int) -> pd.DataFrame:
    """Return the baseline columns at a base period, categories with all their levels."""
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


def _refuse_dependent(covariates: Covariates, bases: IntArray) -> None:
    parts = []
    for base in bases:
        whole = covariates.matrix(int(base))
        parts.append(triangle(whole[np.isfinite(whole).all(axis=1)]))
    if not sum(map(len, parts)):
        return
    dependent = dependent_columns(np.vstack(parts))
    if dependent.any():
        named = [n for n, bad in zip(covariates.names, dependent, strict=True) if bad]
        raise InputError(
            "EI-D10",
            f"{len(named)} covariate column(s) are constant or a combination of others at the "
            f"base periods: {', '.join(named[:5])}. Their coefficients are not determined, and "
            "with them neither is the comparison. Leave them out.",
            columns=tuple(named),
        )
