"""Supported firms against weighted comparison firms and a model of outcomes: right if either is.

The outcome model is fitted to comparison firms without the design's weights, so that the two say
different things, and what it predicts is taken from both sides. Cross-fitted, the estimate does not
move to first order with either, so that any learner of outcomes or of support has an error.

References
----------
Robins, Rotnitzky & Zhao (1994), doi:10.1080/01621459.1994.10476818; Sant'Anna & Zhao (2020),
doi:10.1016/j.jeconom.2020.06.003; Chernozhukov et al. (2018), doi:10.1111/ectj.12097.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from exportimpact._typing import FloatArray
from exportimpact.core.assumption import Requirement, all_of, any_of
from exportimpact.core.builder import CellBuilder
from exportimpact.core.estimator import estimator
from exportimpact.core.protocols import DesignLike
from exportimpact.core.result import EstimationResult
from exportimpact.core.spec import EstimatorSpec
from exportimpact.core.step import Step
from exportimpact.errors import InputError
from exportimpact.estimators.matched.assumed import require_match, required, rung
from exportimpact.estimators.matched.cells import Sample, sample_of
from exportimpact.numerics import two_by_two
from exportimpact.numerics.regression import least_squares


@estimator(
    id="doubly_robust",
    title="Doubly robust difference",
    reference="Robins, Rotnitzky & Zhao (1994), doi:10.1080/01621459.1994.10476818; Chernozhukov "
    "et al. (2018), doi:10.1111/ectj.12097",
    step="V-b",
    requires=all_of(
        "parallel_trends_given_x",
        "no_anticipation",
        "overlap",
        any_of("outcome_model", "propensity_model"),
    ),
    blind_to={"same_measurement": "reports that support inflates look like an effect"},
    accepts={"weights", "matched", "not_yet", "rejected", "covariates"},
)
@dataclass(frozen=True, kw_only=True)
class DoublyRobust:
    """Weighted difference in what a model of comparison firms' outcomes does not explain.

    Parameters
    ----------
    change : bool
        Whether the outcome is its change since the base period (step V-b) or its level (V-a).
    regressor : scikit-learn regressor, optional
        Model of outcomes, cross-fitted in `folds` parts; least squares when not given, cross-fitted
        too when a classifier made the weights of the design.
    folds : int

    Notes
    -----
    Requires overlap, no anticipation, unconfoundedness given covariates for levels or parallel
    trends given covariates for changes, and a right model of outcomes or of support. Cross-fitting
    needs both to be learnt faster than the fourth root of the number of firms.

    References
    ----------
    Robins, Rotnitzky & Zhao (1994), doi:10.1080/01621459.1994.10476818; Chernozhukov et al. (2018),
    doi:10.1111/ectj.12097
    """

    spec: ClassVar[EstimatorSpec]
    needs_match: ClassVar[bool] = True
    change: bool = True
    regressor: Any = None
    folds: int = 5

    def __post_init__(self) -> None:
        fits = self.regressor is None or hasattr(self.regressor, "predict")
        if not fits or isinstance(self.folds, bool) or self.folds < 2:
            raise InputError(
                "EI-E08",
                f"regressor={self.regressor!r}, folds={self.folds!r}: a model of outcomes needs "
                "fit and predict, and cross-fitting at least two parts; otherwise it would be "
                "tested on the firms that it was learnt from.",
            )

    @property
    def reached(self) -> Step:
        """The rung that this configuration can reach."""
        return rung(change=self.change)

    def requirement(self, design: DesignLike) -> Requirement:
        """Return what this configuration assumes on this design."""
        return required(design, change=self.change, regression=True)

    def estimate(self, design: Any) -> EstimationResult:
        """Return every identified cohort x period cell.

        Parameters
        ----------
        design : Design or SealedDesign
            Matched or weighted, with `Design.match`.

        Returns
        -------
        EstimationResult

        Raises
        ------
        CapabilityError
            EI-E11 for a design that is not matched.
        NotIdentifiedError
            EI-E06 when no cell is identified.
        """
        require_match(design, self.spec.title)
        crossed = self.regressor is not None or design.terms.no_error
        cells = CellBuilder(design, self, orthogonal=crossed)
        for cell in design.cells():
            sample = sample_of(design, cell, change=self.change)
            if sample.reason is not None:
                cells.not_identified(cell, sample.reason)
                continue
            if crossed:
                effect, psi = self._crossed(sample)
                cells.add(cell, estimate=effect, influence=psi, sampled=True)
                continue
            effect, psi, by_fit = _augmented(sample)
            cells.add(cell, estimate=effect, influence=psi, apart=by_fit, sampled=True)
        return cells.result()

    def _crossed(self, sample: Sample) -> tuple[float, FloatArray]:
        """Return effect and influence, with each firm's outcome predicted from other firms."""
        fold = np.empty(sample.d.size)
        for side in (0, 1):
            units = np.flatnonzero(sample.d == side)
            fold[np.random.default_rng(0).permutation(units)] = np.arange(units.size) % self.folds
        fitted = np.empty(sample.d.size)
        for part in range(self.folds):
            inside, learn = fold == part, (fold != part) & (sample.d == 0)
            if inside.any():
                fitted[inside] = self._predicted(sample, learn, inside)
        return two_by_two.difference(sample.y - fitted, sample.d, sample.w)

    def _predicted(self, sample: Sample, learn: Any, inside: Any) -> FloatArray:
        if self.regressor is None:
            fit = least_squares(sample.X[learn], sample.y[learn], sample.s[learn])
            return np.asarray(sample.X[inside] @ fit.coefficients)
        from sklearn.base import clone

        own = clone(self.regressor)
        if "random_state" in own.get_params() and own.get_params()["random_state"] is None:
            own.set_params(random_state=0)  # the same design has to give the same estimate
        own.fit(sample.X[learn, 1:], sample.y[learn])
        return np.asarray(own.predict(sample.X[inside, 1:]), dtype=float)


def _augmented(sample: Sample) -> tuple[float, FloatArray, FloatArray]:
    other = sample.d == 0
    fit = least_squares(sample.X[other], sample.y[other], sample.s[other])
    return two_by_two.augmented(sample.y, sample.d, sample.w, sample.s, sample.X, fit)
