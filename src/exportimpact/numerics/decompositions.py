"""What a two-way fixed effects coefficient is made of, when support starts at different times.

Both decompositions need sums by cohort and period only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from exportimpact._typing import FloatArray, IntArray

Kind: TypeAlias = Literal["never", "later", "earlier"]
"""Who a cohort is compared with: never supported firms, later ones before their support, or
earlier ones, which are supported already."""


@dataclass(frozen=True)
class TwoByTwo:
    """One comparison of two groups before and after the support of one of them.

    Attributes
    ----------
    group, against : int
        Places of the two groups in what was decomposed.
    kind : {"never", "later", "earlier"}
    weight, estimate : float
    """

    group: int
    against: int
    kind: Kind
    weight: float
    estimate: float


def bacon(mean: FloatArray, share: FloatArray, start: IntArray) -> list[TwoByTwo]:
    """Return the comparisons whose weighted mean is the coefficient, on a balanced panel.

    Parameters
    ----------
    mean : (n_groups, n_periods)
        Mean outcome by group and period.
    share : (n_groups,)
        Share of firms (or weight) in each group.
    start : (n_groups,)
        Index of the first supported period, increasing; n_periods for never supported firms.

    References
    ----------
    Goodman-Bacon (2021), doi:10.1016/j.jeconom.2021.03.014, theorem 1. Weights are proportional to
    n_k n_U D_k (1 - D_k), n_k n_l (D_k - D_l)(1 - D_k) and n_k n_l D_l (D_k - D_l), with D the
    share of periods in which a group is supported and k the earlier group.
    """
    n_periods = mean.shape[1]
    treated = 1 - start / n_periods
    found: list[TwoByTwo] = []
    for k in range(start.size):
        for other in range(k + 1, start.size):
            pair, d, d_other = share[k] * share[other], treated[k], treated[other]
            early, late = int(start[k]), int(start[other])
            if late == n_periods:
                change = _change(mean[k] - mean[other], (0, early), (early, n_periods))
                found.append(TwoByTwo(k, other, "never", pair * d * (1 - d), change))
                continue
            change = _change(mean[k] - mean[other], (0, early), (early, late))
            weight = pair * (d - d_other) * (1 - d)
            found.append(TwoByTwo(k, other, "later", weight, change))
            change = _change(mean[other] - mean[k], (early, late), (late, n_periods))
            weight = pair * d_other * (d - d_other)
            found.append(TwoByTwo(other, k, "earlier", weight, change))
    total = sum(c.weight for c in found)
    return [TwoByTwo(c.group, c.against, c.kind, c.weight / total, c.estimate) for c in found]


def _change(difference: FloatArray, before: tuple[int, int], after: tuple[int, int]) -> float:
    return float(difference[slice(*after)].mean() - difference[slice(*before)].mean())


@dataclass(frozen=True)
class Sensitivity:
    """How little effects would have to differ for the coefficient to mislead.

    Attributes
    ----------
    negative_cells : int
    negative_sum : float
        Sum of the negative weights.
    sigma_zero : float
        Least standard deviation of the effects over cells at which their true mean can be zero
        (sigma-lower); infinite where weights do not differ.
    sigma_opposite : float or None
        The least at which every effect can have the opposite sign (sigma-lower-2); None where no
        weight is negative, so that this cannot be.
    """

    negative_cells: int
    negative_sum: float
    sigma_zero: float
    sigma_opposite: float | None


def sensitivity(coefficient: float, weight: FloatArray, share: FloatArray) -> Sensitivity:
    """Return the sensitivity of a coefficient to effects that differ.

    Parameters
    ----------
    coefficient : float
    weight : (n_cells,)
        Weights of the effects of supported cells, sum 1.
    share : (n_cells,)
        Share of supported firm-periods in each cell, sum 1.

    References
    ----------
    de Chaisemartin & D'Haultfoeuille (2020), doi:10.1257/aer.20181169, corollary 1.
    """
    size = abs(coefficient)
    relative = weight / share
    spread = float(np.sqrt(share @ (relative - 1) ** 2))
    flat = spread <= 1e-9
    negative = relative < -1e-12
    return Sensitivity(
        negative_cells=int(negative.sum()),
        negative_sum=float(weight[negative].sum()),
        sigma_zero=np.inf if flat else size / spread,
        sigma_opposite=_opposite(size, relative, share) if negative.any() else None,
    )


def _opposite(size: float, relative: FloatArray, share: FloatArray) -> float:
    order = np.argsort(-relative, kind="stable")
    w, p = relative[order], share[order]
    # Sums from each cell to the last, cells in descending order of their weight.
    P, S, T = (np.cumsum((p * w**power)[::-1])[::-1] for power in (0, 1, 2))
    # All cells together have S = 1: the condition holds at the first cell that is negative enough.
    rest = np.maximum(1 - P, 0.0)
    with np.errstate(divide="ignore"):
        bound = np.where(rest > 0, -S / np.where(rest > 0, rest, 1.0), -np.inf)
    s = int(np.argmax(w < bound))
    return float(size / np.sqrt(T[s] + S[s] ** 2 / rest[s]))
