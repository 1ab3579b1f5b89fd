"""The average effect on the supported of one cell, from changes in the outcome.

Each function takes one cell's sample: the change dy (n,), whether supported d (n,), weights w (n,)
and, where used, covariates X (n, k) with a constant. It returns the effect and the influence of
each sampled firm, scaled so that effect - truth is about sum(psi).

References
----------
Heckman, Ichimura & Todd (1997), doi:10.2307/2971733 (regression); Abadie (2005),
doi:10.1111/0034-6527.00321 (weighting); Sant'Anna & Zhao (2020), doi:10.1016/j.jeconom.2020.06.003
(doubly robust, and the influence functions of all three).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exportimpact._typing import FloatArray
from exportimpact.numerics.regression import LeastSquares, Logit

MAX_PROPENSITY = 0.995
"""Comparison firms with a propensity at or above this have no weight, as in R's DRDID."""


def difference(dy: FloatArray, d: FloatArray, w: FloatArray) -> tuple[float, FloatArray]:
    """Return the difference in mean changes, without adjustment."""
    w1, w0 = w * d, w * (1 - d)
    mean1, mean0 = w1 @ dy / w1.sum(), w0 @ dy / w0.sum()
    psi = w1 * (dy - mean1) / w1.sum() - w0 * (dy - mean0) / w0.sum()
    return float(mean1 - mean0), psi


def regression(
    dy: FloatArray, d: FloatArray, w: FloatArray, X: FloatArray, fit: LeastSquares
) -> tuple[float, FloatArray]:
    """Return the effect against the changes that comparison firms' regression predicts."""
    w1, w0 = w * d, w * (1 - d)
    n1 = w1.sum()
    fitted = X @ fit.coefficients
    effect = float(w1 @ (dy - fitted) / n1)
    first_step = (w0 * (dy - fitted)) * (X @ (fit.bread @ (w1 @ X / n1)))
    psi = w1 * (dy - fitted - effect) / n1 - first_step
    return effect, psi


def weighting(
    dy: FloatArray, d: FloatArray, w: FloatArray, X: FloatArray, score: Logit
) -> tuple[float, FloatArray]:
    """Return the effect against comparison firms weighted by their odds of support (Hajek)."""
    p = np.minimum(score.probability, 1 - 1e-6)
    w1, w0 = w * d, _odds_weights(d, w, p)
    mean1, mean0 = w1 @ dy / w1.sum(), w0 @ dy / w0.sum()
    slope = (w0 * (dy - mean0)) @ X / w0.sum()
    first_step = w * (d - p) * (X @ (score.bread @ slope))
    psi = w1 * (dy - mean1) / w1.sum() - w0 * (dy - mean0) / w0.sum() - first_step
    return float(mean1 - mean0), psi


@dataclass(frozen=True, eq=False)
class DoublyRobust:
    """The effect that is right when the regression or the propensity model is.

    Holds what does not depend on the outcome, for any number of outcomes of one sample.

    Attributes
    ----------
    X : (n, k)
    share1, share0 : (n,)
        Weights of supported and of comparison firms, each summing to 1.
    by_residual : (n,)
        What a firm's residual counts for: directly, and through the regression's coefficients.
    by_score : (n,)
        w (d - p): with X and `bread`, the influence of the propensity's coefficients.
    bread : (k, k)
    """

    X: FloatArray
    share1: FloatArray
    share0: FloatArray
    by_residual: FloatArray
    by_score: FloatArray
    bread: FloatArray

    @classmethod
    def of(
        cls, d: FloatArray, w: FloatArray, X: FloatArray, bread: FloatArray, score: Logit
    ) -> DoublyRobust:
        """Prepare a sample; `bread` is that of the regression of comparison firms."""
        p = np.minimum(score.probability, 1 - 1e-6)
        w1, w0 = w * d, _odds_weights(d, w, p)
        share1, share0 = w1 / w1.sum(), w0 / w0.sum()
        by_fit = w * (1 - d) * (X @ (bread @ (share1 @ X - share0 @ X)))
        return cls(X, share1, share0, share1 - share0 - by_fit, w * (d - p), score.bread)

    def estimate(self, dy: FloatArray, fit: LeastSquares) -> tuple[float, FloatArray]:
        """Return effect and influence for the change dy, (n,), with its regression."""
        residual = dy - self.X @ fit.coefficients
        mean1, mean0 = self.share1 @ residual, self.share0 @ residual
        slope = (self.share0 * (residual - mean0)) @ self.X
        psi = self.by_residual * residual
        psi -= mean1 * self.share1
        psi += mean0 * self.share0
        psi -= self.by_score * (self.X @ (self.bread @ slope))
        return float(mean1 - mean0), psi


def augmented(
    dy: FloatArray,
    d: FloatArray,
    w: FloatArray,
    s: FloatArray,
    X: FloatArray,
    fit: LeastSquares,
) -> tuple[float, FloatArray, FloatArray]:
    """Return the difference (weights w) in residuals of a fit to comparison firms (weights s).

    The influence, with the weights w as given, comes in two parts: of the difference, and of the
    fit, which does not move with w.
    """
    residual = dy - X @ fit.coefficients
    w1, w0 = w * d, w * (1 - d)
    mean1, mean0 = w1 @ residual / w1.sum(), w0 @ residual / w0.sum()
    by_fit = w1 @ X / w1.sum() - w0 @ X / w0.sum()
    difference = w1 * (residual - mean1) / w1.sum() - w0 * (residual - mean0) / w0.sum()
    first_step = -s * (1 - d) * residual * (X @ (fit.bread @ by_fit))
    return float(mean1 - mean0), difference, first_step


def _odds_weights(d: FloatArray, w: FloatArray, p: FloatArray) -> FloatArray:
    kept = (1 - d) * (p < MAX_PROPENSITY)
    return w * kept * p / (1 - p)
