"""How far two firms are apart: a score, or covariates whitened so that distance is Euclidean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from exportimpact._typing import FloatArray
from exportimpact.design.matching.matched import Estimated, Score
from exportimpact.design.matching.propensity import Propensity, fitted
from exportimpact.design.matching.riskset import RiskSet, distinct
from exportimpact.language import Message

SCORES = ("propensity", "linear")
SPREADS = ("mahalanobis", "scaled_euclidean")
KINDS = (*SCORES, *SPREADS)


@dataclass(frozen=True, eq=False, kw_only=True)
class Measure:
    """Distances of a risk set.

    Attributes
    ----------
    coordinates : (n, k)
        The distance is Euclidean in these.
    on : (n, q)
        What is alike between near firms, with a constant.
    score : Score or None
        The one coordinate, where there is one.
    propensity : Propensity or None
    moved : Estimated or None
        How estimates move with the coefficients of a logit.
    no_error : bool
        Whether a classifier made the score, so that its error is not known.
    """

    coordinates: FloatArray
    on: FloatArray
    score: Score | None = None
    propensity: Propensity | None = None
    moved: Estimated | None = None
    no_error: bool = False


def measure(
    risk: RiskSet, kind: str, classifier: Any, folds: int, *, within: bool = False
) -> Measure | Message:
    """Return the distances of a risk set, or why there are none.

    Parameters
    ----------
    risk : RiskSet
    kind : str
        One of `KINDS`, or a baseline column.
    classifier, folds
        As in `fitted`.
    within : bool
        Whether the propensity is needed beside the distance.
    """
    if kind in SCORES:
        made = fitted(risk, classifier, folds)
        return made if isinstance(made, Message) else _by_score(made, kind, classifier)
    beside = fitted(risk, classifier, folds) if within else None
    if isinstance(beside, Message):
        return beside
    if kind not in SPREADS:
        value = risk.column(kind)
        on = np.column_stack([np.ones(value.size), value, value**2])
        score = Score(kind, value)
        return Measure(coordinates=value[:, None], on=on, score=score, propensity=beside)
    X = risk.X[:, distinct(risk.X)]
    on = np.column_stack([np.ones(X.shape[0]), X])
    near = _whitened(X, risk.is_supported) if kind == "mahalanobis" else _scaled(risk)
    return Measure(coordinates=near, on=on, propensity=beside)


def _by_score(made: Propensity, kind: str, classifier: Any) -> Measure:
    value = made.probability if kind == "propensity" else made.linear
    return Measure(
        coordinates=value[:, None],
        on=made.curve,
        score=Score("propensity" if kind == "propensity" else "log odds of support", value),
        propensity=made,
        moved=made.matched_on(),
        no_error=classifier is not None,
    )


def _whitened(X: FloatArray, d: FloatArray) -> FloatArray:
    """Return coordinates whose Euclidean distance is Mahalanobis' with the pooled covariance."""
    centred = X.copy()
    for side in (0, 1):
        centred[d == side] -= X[d == side].mean(axis=0)
    covariance = centred.T @ centred / max(X.shape[0] - 2, 1)
    values, vectors = np.linalg.eigh(covariance)
    keep = values > 1e-10 * max(float(values.max(initial=0.0)), 1e-300)
    whitened: FloatArray = X @ (vectors[:, keep] / np.sqrt(values[keep]))
    return whitened


def _scaled(risk: RiskSet) -> FloatArray:
    """Return columns over their pooled within-side standard deviation.

    A category with k levels counts as k dummies over the root of 2, so that two firms in different
    categories are as far apart whichever level was left out of the covariates.
    """
    X, d = risk.levels, risk.is_supported
    centred = X.copy()
    for side in (0, 1):
        centred[d == side] -= X[d == side].mean(axis=0)
    spread = np.sqrt((centred**2).sum(axis=0) / max(X.shape[0] - 2, 1))
    keep = spread > 0
    scaled: FloatArray = X[:, keep] / spread[keep]
    return scaled
