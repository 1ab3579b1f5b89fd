"""A confidence interval as the values that a test does not reject."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_DOUBLINGS = 24
_GRID = 64
_HALVINGS = 60
_ROUNDING = 1e-12


def invert(
    p_value: Callable[[float], float], centre: float, scale: float, level: float
) -> tuple[float, float]:
    """Return the outermost values whose p-value is above 1 - level.

    Parameters
    ----------
    p_value : function
        Of the value under the null hypothesis; a step function, as draws are finite.
    centre : float
        The estimate.
    scale : float
        A first step, such as the standard error.
    level : float

    Returns
    -------
    low, high : float
        Infinite where values about ten million steps away are not rejected.
    """
    alpha = 1 - level + _ROUNDING  # a share of draws that is 1 - level is a rejection
    ends = [_outermost(p_value, centre, sign * scale, alpha) for sign in (-1.0, 1.0)]
    return ends[0], ends[1]


def _outermost(
    p_value: Callable[[float], float], centre: float, step: float, alpha: float
) -> float:
    if not (np.isfinite(step) and step != 0):
        return float("nan")
    inside = 0.0
    for k in range(_DOUBLINGS, -3, -1):
        if p_value(centre + step * 2.0**k) > alpha:
            if k == _DOUBLINGS:
                return float(np.copysign(np.inf, step))
            inside = 2.0**k
            break
    outside = 2 * inside if inside else 0.25
    for part in np.linspace(outside, inside, _GRID, endpoint=False)[1:]:
        if p_value(centre + step * part) > alpha:
            inside = float(part)
            break
        outside = float(part)
    for _ in range(_HALVINGS):
        middle = 0.5 * (inside + outside)
        if p_value(centre + step * middle) > alpha:
            inside = middle
        else:
            outside = middle
    return centre + step * outside
