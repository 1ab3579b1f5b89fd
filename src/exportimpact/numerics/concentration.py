"""On how many firms a sum rests: the effective number of firms, and the share of the largest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from exportimpact._typing import FloatArray

TOP = 0.01


@dataclass(frozen=True)
class Concentration:
    """How a variance spreads over firms.

    Attributes
    ----------
    effective : float
        (sum psi^2)^2 / sum psi^4: the number of firms of equal weight with the same spread.
    firms : int
        Firms that contribute.
    top : int
        The largest one percent of them, at least one.
    share : float
        Their share of the variance.
    """

    effective: float
    firms: int
    top: int
    share: float


def concentration(psi: FloatArray) -> Concentration | None:
    """Return how the variance of an estimate spreads over firms; None where nobody contributes.

    Parameters
    ----------
    psi : (n_firms,)
        Influence of the estimate.

    Examples
    --------
    >>> concentration(np.array([1.0, -1.0, 1.0, 1.0, 0.0]))
    Concentration(effective=4.0, firms=4, top=1, share=0.25)
    """
    square = np.sort(psi**2)[::-1]
    square = square[square > 0]
    if not square.size:
        return None
    top = max(1, math.ceil(TOP * square.size))
    effective = float(square.sum() ** 2 / (square**2).sum())
    return Concentration(effective, int(square.size), top, float(square[:top].sum() / square.sum()))
