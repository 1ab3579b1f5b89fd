"""Weights instead of matches: entropy balancing, inverse probability and overlap weights.

References
----------
Hainmueller (2012), doi:10.1093/pan/mpr025 (entropy balancing); Hirano, Imbens & Ridder (2003),
doi:10.1111/1468-0262.00442 (inverse probability); Li, Morgan & Zaslavsky (2018),
doi:10.1080/01621459.2016.1260466 (overlap).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from exportimpact._typing import FloatArray
from exportimpact.design.matching import options
from exportimpact.design.matching.forms import Weighted
from exportimpact.design.matching.matched import CohortMatch, Estimated, Score
from exportimpact.design.matching.matcher import ByCovariates
from exportimpact.design.matching.propensity import Propensity, fitted
from exportimpact.design.matching.riskset import RiskSet
from exportimpact.errors import InputError
from exportimpact.language import Message, message
from exportimpact.numerics.balancing import entropy_balance
from exportimpact.numerics.regression import dependent_columns


@dataclass(frozen=True, kw_only=True)
class EntropyBalancing(ByCovariates):
    """Weights of comparison firms under which covariates have the supported firms' moments.

    Parameters
    ----------
    moments : {1, 2, 3}
        Means; variances as well; skewness as well. Higher moments of truth values say nothing new
        and are left out.
    """

    moments: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.moments, bool) or self.moments not in (1, 2, 3):
            raise InputError(
                "EI-M02",
                f"moments={self.moments!r}: weights balance means (1), variances too (2) or "
                "skewness too (3).",
                option="moments",
            )

    def match(
        self, risk: RiskSet, *, tie_order: np.random.Generator | None = None
    ) -> CohortMatch | Message:
        """Return the cohort's weights, or why there are none."""
        C = self._moments(risk)
        d, w = risk.is_supported, risk.weights
        other = d == 0
        with_constant = np.column_stack([np.ones(other.sum()), C[other]])
        C = C[:, ~dependent_columns(with_constant)[1:]]
        target = w[~other] @ C[~other] / w[~other].sum()
        found = entropy_balance(C[other], target, w[other])
        if not found.converged:
            return message("match.cannot_balance", cohort=risk.label, imbalance=found.imbalance)
        total = w[~other].sum()
        value = np.where(d > 0, w, 0.0)
        value[other] = found.weights * total
        gap = value[:, None] * (C - target) / total
        bread = np.linalg.pinv(found.curvature)
        influence = np.where(d[:, None] > 0, gap, -gap) @ bread
        slope = np.where(d[:, None] > 0, 0.0, C - target)
        return CohortMatch(risk=risk, form=Weighted(value), estimated=Estimated(influence, slope))

    def _moments(self, risk: RiskSet) -> FloatArray:
        columns = []
        for x in risk.X.T:
            z = (x - x.mean()) / (x.std() or 1.0)
            several = np.unique(x).size > 2
            columns += [z**power for power in range(1, (self.moments if several else 1) + 1)]
        return np.column_stack(columns)


@dataclass(frozen=True, kw_only=True)
class InverseProbability(ByCovariates):
    """Comparison firms weighted by their odds of support.

    Parameters
    ----------
    largest : float
        Comparison firms with a propensity at or above it get no weight; 1 for no limit.
    classifier : scikit-learn classifier, optional
        Makes the propensity, cross-fitted in `folds` parts; then there is no standard error.
    folds : int
    """

    largest: float = 0.995
    classifier: Any = None
    folds: int = 5

    def __post_init__(self) -> None:
        options.whole("folds", self.folds, 2)
        options.positive("largest", self.largest)
        if self.largest > 1:
            raise InputError(
                "EI-M02",
                f"largest={self.largest!r} is a propensity, between 0 and 1: comparison firms at "
                "or above it get no weight.",
                option="largest",
            )

    def match(
        self, risk: RiskSet, *, tie_order: np.random.Generator | None = None
    ) -> CohortMatch | Message:
        """Return the cohort's weights, or why there are none."""
        made = fitted(risk, self.classifier, self.folds)
        if isinstance(made, Message):
            return made
        p = np.minimum(made.probability, 1 - 1e-6)
        odds = np.where(made.probability < self.largest, p / (1 - p), 0.0)
        value = risk.weights * np.where(made.d > 0, 1.0, odds)
        if not value[made.d == 0].any():
            return message("match.no_overlap", cohort=risk.label)
        slope = np.where(made.d[:, None] > 0, 0.0, made.X)
        return _by_propensity(risk, made, value, slope, self.classifier)


@dataclass(frozen=True, kw_only=True)
class Overlap(ByCovariates):
    """Supported firms weighted by 1 - p, comparison firms by p: the effect where both are found.

    Parameters
    ----------
    classifier : scikit-learn classifier, optional
        Makes the propensity, cross-fitted in `folds` parts; then there is no standard error.
    folds : int

    Notes
    -----
    The effect is that of firms that could as well not have been supported, not of all supported
    firms; results say so.
    """

    classifier: Any = None
    folds: int = 5

    def __post_init__(self) -> None:
        options.whole("folds", self.folds, 2)

    def match(
        self, risk: RiskSet, *, tie_order: np.random.Generator | None = None
    ) -> CohortMatch | Message:
        """Return the cohort's weights, or why there are none."""
        made = fitted(risk, self.classifier, self.folds)
        if isinstance(made, Message):
            return made
        p = made.probability
        value = risk.weights * np.where(made.d > 0, 1 - p, p)
        slope = np.where(made.d > 0, -p, 1 - p)[:, None] * made.X
        return _by_propensity(risk, made, value, slope, self.classifier, overlap=True)


def _by_propensity(
    risk: RiskSet,
    made: Propensity,
    value: FloatArray,
    slope: FloatArray,
    classifier: Any,
    *,
    overlap: bool = False,
) -> CohortMatch:
    return CohortMatch(
        risk=risk,
        form=Weighted(_rescaled(value, risk)),
        score=Score("propensity", made.probability),
        estimated=None if made.fit is None else Estimated(made.influence, slope),
        target="overlap" if overlap else "supported",
        no_error=classifier is not None,
    )


def _rescaled(value: FloatArray, risk: RiskSet) -> FloatArray:
    """Return weights of which the comparison firms' add up to those of the supported firms."""
    own, others = risk.split(value)
    return np.concatenate([own, others * own.sum() / others.sum()])
