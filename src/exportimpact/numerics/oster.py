"""Selection on unobservables judged by selection on observables.

How far a coefficient moves when controls are added, and how much R2 rises, say what further
controls could do if selection on what they leave out is `delta` times selection on what they hold
(proportional selection). `proportionality` returns the delta that would make the effect a given
number; `bias_adjusted` the effect at a given delta.

Assumptions: a linear model with a constant effect; the controls' own coefficients are in proportion
to those of a regression of the treatment on them (true of one control, Oster's assumption 2 for
several); the R2 of the hypothetical regression with everything in it is known. A coefficient that
is stable because the controls explain nothing of the outcome is no evidence: R2 has to move too.

References
----------
Oster (2019), doi:10.1080/07350015.2016.1227711, propositions 2 and 3 and the selection rule of
Stata's psacalc 2.1; Altonji, Elder & Taber (2005), doi:10.1086/426036.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exportimpact._typing import BoolArray, FloatArray
from exportimpact.numerics.checks import require
from exportimpact.numerics.regression import dependent_columns, least_squares

R2_FACTOR = 1.3
"""R2 of the hypothetical regression over that of the full one: Oster's bound, at which 90 % of
the results of randomised studies survive."""


_TINY = 1e-18


@dataclass(frozen=True)
class CoefficientMovement:
    """The two regressions that are compared.

    Attributes
    ----------
    beta_short, r2_short : float
        Without the controls whose explanatory power is the yardstick.
    beta_full, r2_full : float
        With them.
    var_y, var_d : float
        Variance of the outcome, and of the treatment given the controls of the short regression.
    var_d_residual : float
        Variance of the treatment given all controls. Variances share one denominator.
    """

    beta_short: float
    r2_short: float
    beta_full: float
    r2_full: float
    var_y: float
    var_d: float
    var_d_residual: float


@dataclass(frozen=True)
class BiasAdjusted:
    """The effect at a given proportionality.

    Attributes
    ----------
    beta : float
        The solution that the selection rule prefers.
    others : tuple of float
        The other real solutions, in the order of the rule.
    reverses : bool
        Whether even `beta` lies on the other side of the full coefficient from where adding the
        observed controls moved it.
    """

    beta: float
    others: tuple[float, ...]
    reverses: bool


def coefficient_movement(
    y: FloatArray, d: FloatArray, X: FloatArray, w: FloatArray, short: BoolArray
) -> CoefficientMovement:
    """Fit the short and the full regression by weighted least squares.

    Parameters
    ----------
    y, d : (n,)
    X : (n, k)
        All controls with a constant.
    w : (n,)
    short : (k,) bool
        Columns that both regressions have: the constant, and controls that are not related to
        selection ("unrelated controls" of psacalc).

    Returns
    -------
    CoefficientMovement
        With weighted variances (psacalc takes them without weights).

    Raises
    ------
    InputError
        EI-N01: the controls explain the treatment, or the outcome does not vary.
    """
    share = w / w.sum()
    var_y = float(share @ (y - share @ y) ** 2)
    beta, r2, var = np.empty(2), np.empty(2), np.empty(2)
    for i, columns in enumerate((short, np.ones_like(short))):
        A = X[:, columns]
        A = A[:, ~dependent_columns(A * np.sqrt(share)[:, None])]
        residual = d - A @ least_squares(A, d, share).coefficients
        var[i] = share @ residual**2
        require(
            var_y > _TINY * (share @ y**2) and var[i] > _TINY * (share @ d**2),
            "The outcome does not vary, or the controls explain the treatment fully. "
            "Then there is no coefficient to follow. Take controls out.",
        )
        B = np.column_stack([residual, A])
        fit = least_squares(B, y, share).coefficients
        beta[i], r2[i] = fit[0], 1 - share @ (y - B @ fit) ** 2 / var_y
    return CoefficientMovement(
        float(beta[0]),
        float(r2[0]),
        float(beta[1]),
        float(r2[1]),
        var_y,
        float(var[0]),
        float(var[1]),
    )


def r2_of_everything(movement: CoefficientMovement, factor: float = R2_FACTOR) -> float:
    """Return the R2 assumed for a regression with all that matters: `factor` times, at most 1."""
    return min(1.0, factor * movement.r2_full)


def proportionality(
    movement: CoefficientMovement, *, beta: float = 0.0, r2_max: float | None = None
) -> float:
    """Return delta: how strong selection on unobservables has to be for the effect to be `beta`.

    Parameters
    ----------
    movement : CoefficientMovement
    beta : float
    r2_max : float, optional
        R2 of the hypothetical regression; `r2_of_everything` when None.

    Returns
    -------
    float
        Relative to selection on the controls. Negative when it has to work against them; infinite
        or NaN when no strength would do.

    Raises
    ------
    InputError
        EI-N01: r2_max below the R2 of the full regression or above 1, variances out of order.
    """
    m = _standardised(movement, r2_max)
    nu = m.full - beta * m.scale
    numerator = nu * (m.gained + m.moved**2) * m.tau + 2 * nu**2 * m.tau * m.moved + m.cube * nu**3
    denominator = (
        m.room * m.moved + nu * m.room * (1 - m.tau) + nu**2 * m.tau * m.moved + nu**3 * m.cube
    )
    return float(np.divide(numerator, denominator)) if denominator else _no_delta(numerator)


def bias_adjusted(
    movement: CoefficientMovement, *, delta: float = 1.0, r2_max: float | None = None
) -> BiasAdjusted:
    """Return the effect when selection on unobservables is `delta` times that on the controls.

    The bias solves a quadratic equation at delta = 1 and a cubic one otherwise. Of several real
    solutions the rule of psacalc takes the one closest to the full coefficient among those that go
    on in the direction in which adding controls moved it (Oster's assumption 3), and the closest
    one when none does. Unlike psacalc, no movement at all counts as going on, so that an r2_max
    equal to the R2 of the full regression returns the full coefficient.

    Parameters
    ----------
    movement : CoefficientMovement
    delta : float
    r2_max : float, optional

    Returns
    -------
    BiasAdjusted

    Raises
    ------
    InputError
        EI-N01: as `proportionality`.
    """
    m = _standardised(movement, r2_max)
    coefficients = np.array(
        [
            (delta - 1) * m.cube,
            m.tau * m.moved * (delta - 2),
            delta * m.room * (1 - m.tau) - m.gained * m.tau - m.tau * m.moved**2,
            m.room * delta * m.moved,
        ]
    )
    biases = _real_roots(coefficients)
    # The observed controls moved the coefficient by -moved; bias nu moves it by -nu.
    ranked = sorted(biases, key=lambda nu: (nu * m.moved < 0, abs(nu)))
    betas = [float((m.full - nu) / m.scale) for nu in ranked]
    return BiasAdjusted(betas[0], tuple(betas[1:]), bool(ranked[0] * m.moved < 0))


@dataclass(frozen=True)
class _Standardised:
    """A movement with outcome and treatment (given the short controls) of variance 1.

    `moved` is short minus full, `gained` and `room` are rises of R2, `tau` the treatment's residual
    variance, `cube` the factor of the cubic term, `scale` turns a coefficient into standard units.
    """

    full: float
    moved: float
    gained: float
    room: float
    tau: float
    cube: float
    scale: float


def _standardised(movement: CoefficientMovement, r2_max: float | None) -> _Standardised:
    highest = r2_of_everything(movement) if r2_max is None else r2_max
    require(
        movement.r2_full <= highest <= 1,
        f"The R2 of the hypothetical regression is {highest:.6g}; it has to be between that of the "
        f"full regression, {movement.r2_full:.6g}, and 1.",
        {"r2_max": highest},
    )
    require(
        movement.var_y > 0 and 0 < movement.var_d_residual <= movement.var_d * (1 + 1e-12),
        "Variances have to be positive, and controls cannot raise the variance of the treatment.",
    )
    scale = float(np.sqrt(movement.var_d / movement.var_y))
    tau = min(1.0, movement.var_d_residual / movement.var_d)
    return _Standardised(
        full=movement.beta_full * scale,
        moved=(movement.beta_short - movement.beta_full) * scale,
        gained=movement.r2_full - movement.r2_short,
        room=highest - movement.r2_full,
        tau=tau,
        cube=tau - tau**2,
        scale=scale,
    )


def _no_delta(numerator: float) -> float:
    return float(np.copysign(np.inf, numerator)) if numerator else float("nan")


def _real_roots(coefficients: FloatArray) -> list[float]:
    """Return the real roots of a polynomial, each polished by Newton steps."""
    if not coefficients.any():
        return [0.0]
    roots = np.roots(coefficients)
    real = roots[np.abs(roots.imag) <= 1e-7 * np.maximum(np.abs(roots), 1e-12)].real
    slope = np.polyder(coefficients)
    for _ in range(3):
        steep = np.polyval(slope, real)
        safe = np.abs(steep) > 1e-10
        real = real - np.where(safe, np.polyval(coefficients, real) / np.where(safe, steep, 1), 0)
    return [float(root) for root in real] or [0.0]
