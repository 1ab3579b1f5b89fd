"""Omitted-variable bias in a regression, in terms of partial R2.

An unobserved confounder enters through two numbers: the share of the treatment's residual variance
that it explains (given the covariates) and the share of the outcome's residual variance that it
explains (given covariates and treatment). Both lie between 0 and 1, need no model for the
confounder, and stand for several confounders at once.

Assumptions: the estimate is the coefficient of a linear regression by (weighted) least squares. The
standard error has to be the classical one of that regression, since the formulas take from it the
ratio of residual variances; with a robust or clustered error they are wrong. `treatment_fit`
returns it. Benchmarks compare with covariates that are uncorrelated with the confounder.

References
----------
Cinelli & Hazlett (2020), doi:10.1111/rssb.12348; the extreme robustness value and the case in which
it caps the robustness value: Cinelli & Hazlett (2025), doi:10.1093/biomet/asaf004.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from exportimpact._typing import FloatArray, IntArray
from exportimpact.numerics.checks import require
from exportimpact.numerics.distributions import t_quantile

_RANK_TOLERANCE = 1e-9


@dataclass(frozen=True)
class TreatmentFit:
    """The treatment's coefficient, its classical standard error and degrees of freedom left."""

    estimate: float
    std_error: float
    df: int


@dataclass(frozen=True, eq=False)
class Adjusted:
    """What the regression would have said with the confounder in it.

    Attributes
    ----------
    estimate, std_error, t : float or arrays of the shape of the partial R2s
        `t` tests an effect of zero on `df` - 1 degrees of freedom.
    """

    estimate: FloatArray
    std_error: FloatArray
    t: FloatArray


@dataclass(frozen=True, eq=False)
class PartialR2:
    """Partial R2 of confounders, or of benchmark covariates.

    Attributes
    ----------
    treatment : (m,)
        With the treatment, given the other covariates.
    outcome : (m,)
        With the outcome, given the other covariates and the treatment.
    """

    treatment: FloatArray
    outcome: FloatArray


def treatment_fit(y: FloatArray, d: FloatArray, X: FloatArray, w: FloatArray) -> TreatmentFit:
    """Fit y on d and X by weighted least squares.

    Parameters
    ----------
    y, d : (n,)
    X : (n, k)
        Covariates with a constant; columns that depend on others are allowed.
    w : (n,)
        Weights; a row with weight 0 is not counted.

    Returns
    -------
    TreatmentFit

    Raises
    ------
    InputError
        EI-N01: the covariates explain the treatment fully, or no degree of freedom is left.
    """
    root = np.sqrt(w)
    target = np.column_stack([y, d]) * root[:, None]
    residual, rank = _residuals(X * root[:, None], target)
    left = float(residual[:, 1] @ residual[:, 1])
    df = int((w > 0).sum()) - rank - 1
    require(
        left > _RANK_TOLERANCE**2 * float(target[:, 1] @ target[:, 1]) and df > 0,
        f"The covariates leave {df} degrees of freedom or explain the treatment fully. "
        "Then no comparison is left whose sensitivity could be judged. Take covariates out.",
        {"df": df},
    )
    estimate = float(residual[:, 0] @ residual[:, 1]) / left
    rest = residual[:, 0] - estimate * residual[:, 1]
    return TreatmentFit(estimate, float(np.sqrt(rest @ rest / df / left)), df)


def benchmark_r2(
    y: FloatArray, d: FloatArray, X: FloatArray, w: FloatArray, groups: Sequence[IntArray]
) -> PartialR2:
    """Return how much groups of covariates explain of treatment and outcome, by least squares.

    Parameters
    ----------
    y, d : (n,)
    X : (n, k)
        Covariates with a constant.
    w : (n,)
    groups : sequence of (k_g,) column indices
        Columns that belong together, such as the indicators of one categorical covariate.

    Returns
    -------
    PartialR2 of shape (n_groups,)
    """
    root = np.sqrt(w)[:, None]
    A, outcome, treatment = X * root, y[:, None] * root, d[:, None] * root
    with_all = _squares(A, treatment), _squares(np.hstack([A, treatment]), outcome)
    r2 = np.empty((2, len(groups)))
    for g, columns in enumerate(groups):
        B = np.delete(A, columns, axis=1)
        without = _squares(B, treatment), _squares(np.hstack([B, treatment]), outcome)
        r2[:, g] = [
            1 - full / part if part > 0 else 0.0
            for full, part in zip(with_all, without, strict=True)
        ]
    treatment_r2, outcome_r2 = np.clip(r2, 0.0, 1.0)
    return PartialR2(treatment_r2, outcome_r2)


def partial_r2(fit: TreatmentFit) -> float:
    """Return the partial R2 of the treatment with the outcome.

    It is also the extreme scenario: a confounder that explained all of the outcome's residual
    variance would have to explain this share of the treatment's to account for the estimate.
    """
    square = _checked(fit) ** 2
    return square / (square + fit.df)


def robustness_value(fit: TreatmentFit, *, q: float = 1.0, alpha: float | None = None) -> float:
    """Return the partial R2, with treatment and outcome alike, that would overturn the estimate.

    Parameters
    ----------
    fit : TreatmentFit
    q : float
        The share of the estimate that bias would have to take away; 1 takes it to zero.
    alpha : float, optional
        With it: what would take the estimate to where (1 - q) of it is inside the 1 - alpha
        interval.

    Returns
    -------
    float
        Between 0 and 1; 0 when the interval holds it already. No confounder with both partial R2
        below this value suffices.

    Raises
    ------
    InputError
        EI-N01: q not above 0, alpha not between 0 and 1, an error or degrees of freedom not
        positive.
    """
    f, critical = _f_and_critical(fit, q, alpha)
    if f <= critical:
        return 0.0
    if f * critical >= 1:
        return (f**2 - critical**2) / (1 + f**2)
    excess = (f - critical) ** 2
    return float((np.sqrt(excess**2 + 4 * excess) - excess) / 2)


def extreme_robustness_value(
    fit: TreatmentFit, *, q: float = 1.0, alpha: float | None = None
) -> float:
    """Return the partial R2 with the treatment that would do, whatever the one with the outcome.

    Parameters, range and errors are those of `robustness_value`. With q = 1 and without alpha it is
    the partial R2 of the treatment with the outcome.
    """
    f, critical = _f_and_critical(fit, q, alpha)
    return max(0.0, (f**2 - critical**2) / (1 + f**2))


def adjusted(fit: TreatmentFit, confounder: PartialR2, *, toward_zero: bool = True) -> Adjusted:
    """Return estimate, error and t statistic with a confounder of given strength in the regression.

    Parameters
    ----------
    fit : TreatmentFit
    confounder : PartialR2
        Partial R2 with the treatment below 1; an outcome partial R2 of 1 is the extreme scenario.
        NaN where a benchmark implies no possible confounder.
    toward_zero : bool
        Whether bias has made the estimate larger than it should be, in absolute terms.

    Returns
    -------
    Adjusted

    Raises
    ------
    InputError
        EI-N01: a partial R2 outside its range, an error or degrees of freedom not positive.
    """
    _checked(fit)
    rd = np.asarray(confounder.treatment, dtype=float)
    ry = np.asarray(confounder.outcome, dtype=float)
    outside = bool(((rd < 0) | (rd >= 1)).any() or ((ry < 0) | (ry > 1)).any())
    require(
        not outside and fit.df > 1,
        "A confounder's partial R2 is from 0 to below 1 with the treatment and from 0 to 1 with "
        "the outcome, and one degree of freedom has to be left for it.",
    )
    bias = fit.std_error * np.sqrt(fit.df) * np.sqrt(ry * rd / (1 - rd))
    sign = np.sign(fit.estimate) * (1 if toward_zero else -1)
    estimate = fit.estimate - sign * bias
    std_error = fit.std_error * np.sqrt((1 - ry) / (1 - rd) * fit.df / (fit.df - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.divide(estimate, std_error)
    return Adjusted(np.asarray(estimate), np.asarray(std_error), np.asarray(t))


def benchmark_bounds(
    benchmark: PartialR2, kd: FloatArray, ky: FloatArray | None = None
) -> PartialR2:
    """Return the largest partial R2s of a confounder that is as strong as benchmark covariates.

    Parameters
    ----------
    benchmark : PartialR2
        Of observed covariates, (m,) or broadcastable with `kd`.
    kd, ky : arrays that broadcast with it
        How many times as strong the confounder is as the benchmark, in explaining the treatment and
        the outcome; `ky` is `kd` when None.

    Returns
    -------
    PartialR2
        NaN where so strong a confounder cannot exist, since the benchmark would leave it no
        variance of the treatment to explain; the outcome's is 1 where the bound says nothing.

    Raises
    ------
    InputError
        EI-N01: a multiple that is not positive.
    """
    kd = np.asarray(kd, dtype=float)
    ky = kd if ky is None else np.asarray(ky, dtype=float)
    require(
        bool((kd > 0).all() and (ky > 0).all()), "Multiples of a benchmark have to be positive."
    )
    rd, ry = np.asarray(benchmark.treatment, float), np.asarray(benchmark.outcome, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        treatment = kd * rd / (1 - rd)
        possible = (kd * rd < 1) & (treatment < 1)
        rzx = kd * rd**2 / ((1 - kd * rd) * (1 - rd))
        eta = (np.sqrt(ky) + np.sqrt(rzx)) / np.sqrt(1 - rzx)
        outcome = np.where(rzx < 1, np.minimum(eta**2 * ry / (1 - ry), 1.0), 1.0)
    return PartialR2(np.where(possible, treatment, np.nan), np.where(possible, outcome, np.nan))


def _checked(fit: TreatmentFit) -> float:
    """Return the t statistic of a usable fit."""
    require(
        fit.std_error > 0 and fit.df > 0 and bool(np.isfinite(fit.estimate)),
        f"The error ({fit.std_error}) and degrees of freedom ({fit.df}) have to be positive and "
        "the estimate finite.",
    )
    return fit.estimate / fit.std_error


def _f_and_critical(fit: TreatmentFit, q: float, alpha: float | None) -> tuple[float, float]:
    """Return q times the partial f of the treatment, and the f below which nothing is excluded."""
    t = abs(_checked(fit))
    require(q > 0, f"The share of the estimate to be explained is above 0, not {q}.", {"q": q})
    f = q * t / np.sqrt(fit.df)
    if alpha is None:
        return float(f), 0.0
    require(
        0 < alpha < 1 and fit.df > 1,
        f"A level is between 0 and 1 (got {alpha}), and with the confounder in the regression one "
        f"degree of freedom fewer is left than {fit.df}.",
    )
    df = np.array([fit.df - 1.0])
    return float(f), float(t_quantile(1 - alpha / 2, df)[0] / np.sqrt(df[0]))


def _residuals(A: FloatArray, V: FloatArray) -> tuple[FloatArray, int]:
    """Return residuals of the columns of V on A, (n, k), and the rank of A."""
    norm = np.sqrt((A**2).sum(axis=0))
    scaled = A[:, norm > 0] / norm[norm > 0]
    if not scaled.shape[1]:
        return V.copy(), 0
    q, r, _ = scipy.linalg.qr(scaled, mode="economic", pivoting=True)
    rank = int((np.abs(np.diagonal(r)) > _RANK_TOLERANCE).sum())
    basis = q[:, :rank]
    rest = V - basis @ (basis.T @ V)
    return rest - basis @ (basis.T @ rest), rank


def _squares(A: FloatArray, v: FloatArray) -> float:
    """Return the residual sum of squares of v, (n, 1), on A."""
    residual, _ = _residuals(A, v)
    return float((residual**2).sum())
