"""Who could be compared with whom: a cohort and the firms still unsupported at its base period.

Only what was known at the base period is here; no outcome after it can reach a matcher.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from exportimpact._typing import BoolArray, FloatArray, IntArray
from exportimpact.language import Message, message

if TYPE_CHECKING:
    from exportimpact.data import Panel
    from exportimpact.design.design import Design


@dataclass(frozen=True, eq=False)
class RiskSet:
    """A cohort's supported firms and the firms they can be matched to.

    Units are the supported firms, then the comparison firms, each in the order of firm ids.

    Attributes
    ----------
    panel : Panel
    cohort : int
        Ordinal of first support.
    base_index : int
        Column of the base period.
    supported : (n1,) rows of the panel
    comparison : (n0,) rows of the panel
    weights : (n1 + n0,)
        Sampling weights at the base period; 1 without any.
    names : tuple of str
        Names of the columns of `X`.
    X : (n1 + n0, k)
        Covariates at the base period, then lagged outcomes; no constant.
    plain : tuple of str or None
        The covariates as baseline columns; None when a formula made them.
    left : tuple of (reason, (n,) rows)
        Supported firms of the cohort that cannot be matched because something is not known.
    """

    panel: Panel
    cohort: int
    base_index: int
    supported: IntArray
    comparison: IntArray
    weights: FloatArray
    names: tuple[str, ...]
    X: FloatArray
    plain: tuple[str, ...] | None
    left: tuple[tuple[Message, IntArray], ...]

    @property
    def n_supported(self) -> int:
        """Number of supported firms."""
        return int(self.supported.size)

    @cached_property
    def rows(self) -> IntArray:
        """Rows of the panel, (n1 + n0,)."""
        return np.concatenate([self.supported, self.comparison])

    @cached_property
    def is_supported(self) -> FloatArray:
        """1 for supported, 0 for comparison firms, (n1 + n0,)."""
        flag = np.zeros(self.rows.size)
        flag[: self.n_supported] = 1.0
        return flag

    @property
    def label(self) -> int | str:
        """What a reader calls the cohort."""
        return self.panel.calendar.label(self.cohort)

    def column(self, name: str) -> FloatArray:
        """Return a baseline column at the base period, (n1 + n0,); codes of categories."""
        values: FloatArray = self.panel.baseline(name).values[self.rows, self.base_index]
        return values

    def codes(self, names: tuple[str, ...]) -> IntArray:
        """Return one code for each combination of the values of baseline columns, (n1 + n0,)."""
        if not names:
            return np.zeros(self.rows.size, dtype=np.int64)
        code = np.zeros(self.rows.size, dtype=np.int64)
        for name in names:
            own = np.unique(self.column(name), return_inverse=True)[1].reshape(-1)
            code = np.unique(code * (int(own.max()) + 1) + own, return_inverse=True)[1].reshape(-1)
        return code.astype(np.int64)

    @cached_property
    def levels(self) -> FloatArray:
        """Covariates with a dummy for every level of a category, (n, m); then lagged outcomes."""
        if self.plain is None:
            return self.X
        columns: list[FloatArray] = []
        width = 0
        for name in self.plain:
            categories = self.panel.baseline(name).categories
            values = self.column(name)
            width += 1 if categories is None else len(categories) - 1
            levels = [] if categories is None else range(len(categories))
            columns += [values] if categories is None else [values == c for c in levels]
        return np.column_stack([*columns, self.X[:, width:]]).astype(float)

    def split(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return an array over units as (of supported firms, of comparison firms)."""
        return values[: self.n_supported], values[self.n_supported :]

    def units_of(self, supported: IntArray, comparison: IntArray) -> IntArray:
        """Return the units that stand for rows of the panel, supported then comparison."""
        return np.concatenate(
            [
                np.searchsorted(self.supported, supported),
                self.n_supported + np.searchsorted(self.comparison, comparison),
            ]
        )


def risk_sets(design: Design, needed: tuple[str, ...]) -> Iterator[RiskSet]:
    """Yield the risk set of every cohort whose base period is in the panel.

    Parameters
    ----------
    design : Design
    needed : tuple of str
        Baseline columns, beside the covariates, that have to be known.
    """
    for cohort in design.cohorts:
        made = _risk_set(design, cohort, needed)
        if made is not None:
            yield made


def _risk_set(design: Design, cohort: int, needed: tuple[str, ...]) -> RiskSet | None:
    identifier = design._identifier
    base = design.calendar.index(identifier.last_before(cohort))
    if base is None:
        return None
    panel = design.panel
    last = design.calendar.last if design.horizon is None else cohort + design.horizon
    own = np.zeros(panel.n_firms, dtype=bool)
    own[design.cohort_firms[cohort]] = True
    pool = identifier.at_risk(cohort, design.comparison, min(last, design.calendar.last))
    observed = identifier.observed_at(base)
    X, names = _covariates(design, base)
    known = np.isfinite(X).all(axis=1)
    for name in needed:
        known &= np.isfinite(panel.baseline(name).values[:, base])
    ready = observed & known
    reasons = (
        (message("match.not_observed"), np.flatnonzero(own & ~observed)),
        (message("match.not_known"), np.flatnonzero(own & observed & ~known)),
    )
    supported, comparison = np.flatnonzero(own & ready), np.flatnonzero(pool & ready)
    rows = np.concatenate([supported, comparison])
    weights = np.ones(rows.size) if panel.weight is None else panel.weight[rows, base]
    return RiskSet(
        panel=panel,
        cohort=cohort,
        base_index=base,
        supported=supported,
        comparison=comparison,
        weights=weights,
        names=names,
        X=X[rows],
        plain=None if isinstance(design.covariates, str) else tuple(design.covariates),
        left=tuple((why, firms) for why, firms in reasons if firms.size),
    )


def _covariates(design: Design, base: int) -> tuple[FloatArray, tuple[str, ...]]:
    """Return covariates and lagged outcomes of all firms at a base period, and their names."""
    wide = design.wide()
    columns = [wide.matrix(base)[:, 1:]]
    names = list(wide.names[1:])
    for lag in range(design.lags):
        at = base - lag
        y = wide.outcome[:, at] if at >= 0 else np.full(design.panel.n_firms, np.nan)
        columns.append(y[:, None])
        names.append(time_name(design, lag))
    return np.concatenate(columns, axis=1), tuple(names)


def time_name(design: Design, lag: int) -> str:
    """Return the name of the outcome `lag` periods before the base period."""
    return f"{design.outcome} at {time_of(design, lag)}"


def time_of(design: Design, lag: int) -> int:
    """Return the time since first support of `lag` periods before the base period."""
    return -design.calendar.step * (1 + design.anticipation + lag)


def distinct(X: FloatArray) -> BoolArray:
    """Return which columns vary, (k,)."""
    varies: BoolArray = np.ptp(X, axis=0) > 0 if X.shape[0] else np.zeros(X.shape[1], dtype=bool)
    return varies
