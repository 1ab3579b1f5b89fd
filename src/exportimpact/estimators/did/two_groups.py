"""Two groups of firms between two periods: first-step fits, shared where the sample is the same.

What `GroupTime` does for every cell, and `TripleDifference` for each of three pairs of groups.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

import numpy as np

from exportimpact._typing import Adjust, FloatArray
from exportimpact.core.assumption import Requirement, all_of, any_of
from exportimpact.core.cell import Cell
from exportimpact.core.many import Shared, content_key
from exportimpact.core.protocols import WideLike
from exportimpact.errors import InputError, did_you_mean
from exportimpact.language import Message, message
from exportimpact.numerics import two_by_two
from exportimpact.numerics.regression import (
    Logit,
    Regressors,
    dependent_columns,
    logit,
    separating_column,
)

NEEDS: dict[Adjust, Requirement] = {
    "none": all_of("parallel_trends"),
    "regression": all_of("parallel_trends_given_x", "outcome_model"),
    "weighting": all_of("parallel_trends_given_x", "overlap", "propensity_model"),
    "doubly_robust": all_of(
        "parallel_trends_given_x", "overlap", any_of("outcome_model", "propensity_model")
    ),
}
"""What each adjustment assumes."""


def check_adjust(adjust: str) -> None:
    """Raise EI-E08 for an adjustment that does not exist."""
    if adjust not in get_args(Adjust):
        raise InputError(
            "EI-E08",
            f"adjust={adjust!r} is unknown; it decides what is assumed of covariates. "
            f"{did_you_mean(str(adjust), get_args(Adjust))}",
            adjust=adjust,
        )


@dataclass(frozen=True, eq=False)
class _Fit:
    """What a cell's sample gives before its outcome is looked at."""

    regressors: Regressors | None = None
    score: Logit | None = None
    robust: two_by_two.DoublyRobust | None = None
    reason: Message | None = None
    trimmed: int = 0


@dataclass(eq=False)
class Models:
    """First-step fits of the cell at hand; what does not vary between cells is fitted once."""

    wide: WideLike
    shared: Shared | None
    trimmed: int = 0
    _last: Cell | None = None
    _X: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    _fit: _Fit = field(default_factory=_Fit)

    def prepare(self, cell: Cell, adjust: Adjust) -> Message | None:
        """Load the cell's covariates and propensity; return why it is not identified, if so."""
        if adjust == "none":
            return None
        if self._last is not None and _same_sample(cell, self._last):
            return self._fit.reason
        self._last = cell
        X = self.wide.covariates(cell)
        present = np.concatenate([[True], (X[:, 1:] != 0).any(axis=0)])
        self._X = X = X[:, present]
        names = tuple(n for n, there in zip(self.wide.names, present, strict=True) if there)

        def fitted() -> _Fit:
            return _fitted(X, cell, names, adjust)

        if self.shared is None:
            self._fit = fitted()
        else:
            content = content_key("fit", adjust, names, X, cell.supported.size, cell.weights)
            self._fit = self.shared.get(content, fitted)
        self.trimmed = max(self.trimmed, self._fit.trimmed)
        return self._fit.reason

    def estimate(
        self, adjust: Adjust, dy: FloatArray, d: FloatArray, w: FloatArray
    ) -> tuple[float, FloatArray]:
        """Return effect and influence of the prepared cell."""
        if adjust == "none":
            return two_by_two.difference(dy, d, w)
        fit = self._fit
        if adjust == "weighting":
            assert fit.score is not None
            return two_by_two.weighting(dy, d, w, self._X, fit.score)
        assert fit.regressors is not None
        assert self._last is not None
        line = fit.regressors.fit(dy[self._last.supported.size :])
        if adjust == "regression":
            return two_by_two.regression(dy, d, w, self._X, line)
        assert fit.robust is not None
        return fit.robust.estimate(dy, line)


def _same_sample(cell: Cell, other: Cell) -> bool:
    """Whether two cells have the same firms and base period, and with them all but the outcome."""
    return (
        cell.base_index == other.base_index
        and np.array_equal(cell.supported, other.supported)
        and np.array_equal(cell.comparison, other.comparison)
    )


def _fitted(X: FloatArray, cell: Cell, names: tuple[str, ...], adjust: Adjust) -> _Fit:
    """Return what a sample gives before its outcome, or why its cells are not identified."""
    d, w, first = cell.is_supported, cell.weights, cell.supported.size
    n_comparison, k = cell.comparison.size, X.shape[1]
    if n_comparison <= k:
        return _Fit(reason=message("cell.too_few_comparison", firms=n_comparison, columns=k))
    dependent = dependent_columns(X[first:])
    if dependent.any():
        named = ", ".join(n for n, bad in zip(names, dependent, strict=True) if bad)
        return _Fit(reason=message("cell.collinear", covariates=named))
    regressors = Regressors.of(X[first:], w[first:])
    if adjust == "regression":
        return _Fit(regressors)
    score = logit(X, d, w)
    if not score.converged:
        return _Fit(reason=message("cell.separated", covariate=names[separating_column(X, d)]))
    kept = score.probability[first:] < two_by_two.MAX_PROPENSITY
    if not kept.any():
        return _Fit(reason=message("cell.no_overlap"))
    trimmed = int((~kept).sum())
    if adjust == "weighting":
        return _Fit(score=score, trimmed=trimmed)
    robust = two_by_two.DoublyRobust.of(d, w, X, regressors.bread, score)
    return _Fit(regressors, robust=robust, trimmed=trimmed)
