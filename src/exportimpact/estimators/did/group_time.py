"""Effects by cohort and period, each from its own clean comparison.

For cohort g in period t the change since the base period is compared with that of firms never or
not yet supported, with or without adjustment for covariates at the base period. Cells are not
averaged here: aggregation, clustering and bands are written once, in the result.

References
----------
Callaway & Sant'Anna (2021), doi:10.1016/j.jeconom.2020.12.001; adjustments as in
`exportimpact.numerics.two_by_two`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, get_args

import numpy as np

from exportimpact._typing import Adjust, FloatArray
from exportimpact.core.assumption import Requirement, all_of, any_of
from exportimpact.core.builder import CellBuilder
from exportimpact.core.cell import Cell
from exportimpact.core.estimator import estimator
from exportimpact.core.many import Shared, content_key
from exportimpact.core.protocols import DesignLike, WideLike
from exportimpact.core.result import EstimationResult
from exportimpact.core.spec import EstimatorSpec
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

_NEEDS: dict[Adjust, Requirement] = {
    "none": all_of("parallel_trends"),
    "regression": all_of("parallel_trends_given_x", "outcome_model"),
    "weighting": all_of("parallel_trends_given_x", "overlap", "propensity_model"),
    "doubly_robust": all_of(
        "parallel_trends_given_x", "overlap", any_of("outcome_model", "propensity_model")
    ),
}


@estimator(
    id="group_time",
    title="Group-time difference-in-differences",
    reference="Callaway & Sant'Anna (2021), doi:10.1016/j.jeconom.2020.12.001; "
    "Sant'Anna & Zhao (2020), doi:10.1016/j.jeconom.2020.06.003",
    step="V-b",
    requires=all_of(
        "no_anticipation",
        any_of(*_NEEDS.values()),
    ),
    blind_to={"same_measurement": "reports that support inflates look like an effect"},
    accepts={"weights", "matched", "not_yet", "rejected", "covariates"},
)
@dataclass(frozen=True, kw_only=True)
class GroupTime:
    """Effects by cohort and period.

    Parameters
    ----------
    adjust : {"doubly_robust", "regression", "weighting", "none"}
        How covariates of the design are used. Without covariates all four are the difference in
        mean changes.

    Notes
    -----
    Requires no anticipation beyond the design's window, and parallel trends: unconditional for
    ``"none"``; given covariates, with a right model of comparison firms' changes for
    ``"regression"``, of support for ``"weighting"``, of either for ``"doubly_robust"``. Comparison
    firms whose propensity is 0.995 or more get no weight.

    References
    ----------
    Callaway & Sant'Anna (2021), doi:10.1016/j.jeconom.2020.12.001; Sant'Anna & Zhao (2020),
    doi:10.1016/j.jeconom.2020.06.003
    """

    spec: ClassVar[EstimatorSpec]
    adjust: Adjust = "doubly_robust"

    def __post_init__(self) -> None:
        if self.adjust not in get_args(Adjust):
            raise InputError(
                "EI-E08",
                f"adjust={self.adjust!r} is unknown; it decides what is assumed of covariates. "
                f"{did_you_mean(str(self.adjust), get_args(Adjust))}",
                adjust=self.adjust,
            )

    def requirement(self, design: DesignLike) -> Requirement:
        """Return what this configuration assumes on this design."""
        return all_of("no_anticipation", *_NEEDS[self.as_used(design).adjust].parts)

    def as_used(self, design: DesignLike) -> GroupTime:
        """Return the configuration that gives the same on this design: none without covariates."""
        return self if design.settings["covariates"] else replace(self, adjust="none")

    def estimate(self, design: DesignLike, *, shared: Shared | None = None) -> EstimationResult:
        """Return every identified cohort x period cell.

        Parameters
        ----------
        design : Design or SealedDesign
        shared : Shared, optional
            Propensity fits that other designs may have made already; `estimate_many` passes it.

        Returns
        -------
        EstimationResult

        Raises
        ------
        NotIdentifiedError
            EI-E06 when no cell is identified.
        """
        wide, cells = design.wide(), CellBuilder(design, self)
        adjust = self.as_used(design).adjust
        models = _Models(wide, shared)
        for cell in design.cells():
            dy, d, w = wide.change(cell), cell.is_supported, cell.weights
            if adjust == "none":
                effect, psi = two_by_two.difference(dy, d, w)
                cells.add(cell, estimate=effect, influence=psi, sampled=True)
                continue
            reason = models.prepare(cell, adjust)
            if reason is not None:
                cells.not_identified(cell, reason)
                continue
            effect, psi = models.estimate(adjust, dy, d, w)
            cells.add(cell, estimate=effect, influence=psi, sampled=True)
        if self.adjust == "none" and design.settings["covariates"]:
            cells.note(message("note.covariates_unused", estimator=self.spec.title))
        if models.trimmed:
            cells.note(message("note.trimmed", firms=models.trimmed, limit=0.995))
        return cells.result()


@dataclass(frozen=True, eq=False)
class _Fit:
    """What a cell's sample gives before its outcome is looked at."""

    regressors: Regressors | None = None
    score: Logit | None = None
    reason: Message | None = None
    trimmed: int = 0


@dataclass(eq=False)
class _Models:
    """First-step fits of the cell at hand; what does not vary between cells is fitted once."""

    wide: WideLike
    shared: Shared | None
    trimmed: int = 0
    _last: Cell | None = None
    _X: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    _fit: _Fit = field(default_factory=_Fit)

    def prepare(self, cell: Cell, adjust: Adjust) -> Message | None:
        """Load the cell's covariates and propensity; return why it is not identified, if so."""
        if self._last is not None and _same_sample(cell, self._last):
            return self._fit.reason
        self._last = cell
        X = self.wide.covariates(cell)
        present = np.concatenate([[True], (X[:, 1:] != 0).any(axis=0)])
        self._X = X = X[:, present]
        names = tuple(n for n, there in zip(self.wide.names, present, strict=True) if there)
        scored = adjust != "regression"

        def fitted() -> _Fit:
            return _fitted(X, cell, names, scored)

        if self.shared is None:
            self._fit = fitted()
        else:
            content = content_key("logit", scored, names, X, cell.supported.size, cell.weights)
            self._fit = self.shared.get(content, fitted)
        self.trimmed = max(self.trimmed, self._fit.trimmed)
        return self._fit.reason

    def estimate(
        self, adjust: Adjust, dy: FloatArray, d: FloatArray, w: FloatArray
    ) -> tuple[float, FloatArray]:
        """Return effect and influence of the prepared cell."""
        score, regressors = self._fit.score, self._fit.regressors
        if adjust == "weighting":
            assert score is not None
            return two_by_two.weighting(dy, d, w, self._X, score)
        assert regressors is not None
        assert self._last is not None
        line = regressors.fit(dy[self._last.supported.size :])
        if adjust == "regression":
            return two_by_two.regression(dy, d, w, self._X, line)
        assert score is not None
        return two_by_two.doubly_robust(dy, d, w, self._X, line, score)


def _same_sample(cell: Cell, other: Cell) -> bool:
    """Whether two cells have the same firms and base period, and with them all but the outcome."""
    return (
        cell.base_index == other.base_index
        and np.array_equal(cell.supported, other.supported)
        and np.array_equal(cell.comparison, other.comparison)
    )


def _fitted(X: FloatArray, cell: Cell, names: tuple[str, ...], scored: bool) -> _Fit:
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
    if not scored:
        return _Fit(regressors)
    score = logit(X, d, w)
    if not score.converged:
        return _Fit(reason=message("cell.separated", covariate=names[separating_column(X, d)]))
    kept = score.probability[first:] < two_by_two.MAX_PROPENSITY
    if not kept.any():
        return _Fit(reason=message("cell.no_overlap"))
    return _Fit(regressors, score, trimmed=int((~kept).sum()))
