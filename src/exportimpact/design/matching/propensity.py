"""The propensity of support at a base period: a logit, or a classifier of scikit-learn's kind.

A classifier is cross-fitted, so that no firm's propensity was learnt from the firm itself; how its
error moves the effect is not known, which is why designs that rest on one give no standard error.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from exportimpact._typing import FloatArray
from exportimpact.design.matching.matched import Estimated
from exportimpact.design.matching.riskset import RiskSet, distinct
from exportimpact.errors import InputError
from exportimpact.language import Message, message
from exportimpact.numerics.regression import Logit, dependent_columns, logit, separating_column

_EDGE = 1e-6


@dataclass(frozen=True, eq=False)
class Propensity:
    """A propensity over the units of a risk set.

    Attributes
    ----------
    X : (n, k)
        Constant and the covariates that entered.
    probability : (n,)
    fit : Logit or None
        None when a classifier made it.
    d, weights : (n,)
    """

    X: FloatArray
    probability: FloatArray
    fit: Logit | None
    d: FloatArray
    weights: FloatArray

    @cached_property
    def linear(self) -> FloatArray:
        """Log odds, (n,)."""
        if self.fit is not None:
            return np.asarray(self.X @ self.fit.coefficients)
        p = np.clip(self.probability, _EDGE, 1 - _EDGE)
        return np.asarray(np.log(p / (1 - p)))

    @cached_property
    def influence(self) -> FloatArray:
        """Influence of the coefficients, (n, k)."""
        assert self.fit is not None
        score = (self.weights * (self.d - self.probability))[:, None] * self.X
        return np.asarray(score @ self.fit.bread)

    @cached_property
    def curve(self) -> FloatArray:
        """Constant, log odds and their square, (n, 3): what matching on the propensity balances."""
        scale = float(self.linear.std()) or 1.0
        s = (self.linear - self.linear.mean()) / scale
        return np.column_stack([np.ones(s.size), s, s**2])

    def matched_on(self) -> Estimated | None:
        """Return how an estimate moves with the coefficients when firms are matched on them.

        d(log w)/d(theta) of a comparison firm is x - E[x | p] among comparison firms (Abadie &
        Imbens 2016), with the expectation from a cubic in the log odds, weighted by the odds.
        """
        if self.fit is None:
            return None
        other = self.d == 0
        p = np.clip(self.probability, _EDGE, 1 - _EDGE)
        root = np.sqrt(np.minimum(p / (1 - p), 1 / _EDGE) * self.weights)[other]
        curve = np.column_stack([self.curve, self.curve[:, 1] ** 3])[other]
        slopes = np.linalg.lstsq(curve * root[:, None], self.X[other] * root[:, None], rcond=None)
        slope = np.zeros(self.X.shape)
        slope[other] = self.X[other] - curve @ slopes[0]
        return Estimated(self.influence, slope)


def fitted(risk: RiskSet, classifier: Any = None, folds: int = 5) -> Propensity | Message:
    """Return the propensity of a risk set, or why there is none.

    Parameters
    ----------
    risk : RiskSet
    classifier : object with ``fit`` and ``predict_proba``, optional
        A logit when not given.
    folds : int
        Folds of the cross-fitting.
    """
    X = risk.X[:, distinct(risk.X)]
    X = np.column_stack([np.ones(risk.rows.size), X])
    names = ["constant", *(n for n, v in zip(risk.names, distinct(risk.X), strict=True) if v)]
    d, w = risk.is_supported, risk.weights
    if classifier is not None:
        p = cross_fitted(classifier, X[:, 1:], d, w, folds)
        return Propensity(X, p, None, d, w)
    keep = ~dependent_columns(X)
    X, names = X[:, keep], [n for n, k in zip(names, keep, strict=True) if k]
    fit = logit(X, d, w)
    if not fit.converged:
        return message("match.separated", covariate=names[separating_column(X, d)])
    return Propensity(X, fit.probability, fit, d, w)


def cross_fitted(
    classifier: Any, X: FloatArray, d: FloatArray, w: FloatArray, folds: int
) -> FloatArray:
    """Return each unit's probability from a classifier that did not see its fold, (n,).

    Raises
    ------
    InputError
        EI-M10 for what cannot classify, or too few firms on a side for the folds.
    """
    from sklearn.base import clone

    if not (hasattr(classifier, "fit") and hasattr(classifier, "predict_proba")):
        raise InputError(
            "EI-M10",
            f"{classifier!r} has no fit and predict_proba, so that it gives no propensity. Pass a "
            "classifier of scikit-learn's kind, such as GradientBoostingClassifier().",
        )
    smallest = int(min(d.sum(), (1 - d).sum()))
    if smallest < folds:
        raise InputError(
            "EI-M10",
            f"{smallest} firms on one side cannot be split into {folds} folds: some propensities "
            f"would be learnt without any such firm. Use folds={max(smallest, 2)} or a logit.",
            folds=folds,
        )
    fold = fold_of(d, folds)
    p = np.empty(d.size)
    for k in range(folds):
        inside = fold == k
        own = clone(classifier)
        if "random_state" in own.get_params() and own.get_params()["random_state"] is None:
            own.set_params(random_state=0)  # the same design has to give the same match
        own.fit(X[~inside], d[~inside].astype(int), **_weighted(own, w[~inside]))
        p[inside] = own.predict_proba(X[inside])[:, 1]
    return np.clip(p, _EDGE, 1 - _EDGE)


def fold_of(d: FloatArray, folds: int) -> FloatArray:
    """Return the fold of each unit, (n,): both sides are dealt out evenly, in a fixed shuffle."""
    fold = np.empty(d.size)
    rng = np.random.default_rng(0)
    for side in (0, 1):
        units = np.flatnonzero(d == side)
        fold[rng.permutation(units)] = np.arange(units.size) % folds
    return fold


def _weighted(classifier: Any, w: FloatArray) -> dict[str, FloatArray]:
    import inspect

    takes = "sample_weight" in inspect.signature(classifier.fit).parameters
    return {"sample_weight": w} if takes and np.ptp(w) > 0 else {}
