"""The effect on a mean with zeros, taken apart: how many, and how much each.

E[Y] = P m with P = P(Y > 0) and m = E[Y | Y > 0], so that the difference of two means is
(P1 - P0) m0 + P1 (m1 - m0), or (P1 - P0) m1 + P0 (m1 - m0), or the average of both: Shapley's
value, which favours neither side (Shorrocks 2013, doi:10.1007/s10888-011-9214-z). All are exact.
The second part is arithmetic, not the effect on any firm: m1 and m0 are of different firms.
"""

from __future__ import annotations

import numpy as np

from exportimpact._typing import FloatArray
from exportimpact.numerics.lee import Contrast, raw_difference


def contrasts(y: FloatArray, d: FloatArray, w: FloatArray) -> dict[str, Contrast]:
    """Return the total, both margins, and three decompositions.

    Parameters
    ----------
    y : (n,)
        Not negative, and above zero for some observation on each side.
    d : (n,)
        1 for treated, 0 for control.
    w : (n,)
        Weights that sum to 1 on each side.
    """
    s, treated = y > 0, d == 1
    intensive = raw_difference(y, s, d, w)
    m1, m0 = intensive.treated, intensive.control
    p1, p0 = float(w[treated & s].sum()), float(w[~treated & s].sum())
    of_p1, of_p0 = np.where(treated & s, 1.0, 0.0), np.where(~treated & s, 1.0, 0.0)
    of_m1 = np.where(treated, intensive.influence, 0.0)
    of_m0 = np.where(treated, 0.0, -intensive.influence)
    of_p, of_m = of_p1 - of_p0, of_m1 - of_m0
    p, m = p1 - p0, m1 - m0
    total = p1 * of_m1 + m1 * of_p1 - p0 * of_m0 - m0 * of_p0
    parts = {
        "extensive_at_comparison_mean": Contrast(p * m0, m0 * of_p + p * of_m0),
        "intensive_at_supported_share": Contrast(p1 * m, m * of_p1 + p1 * of_m),
        "extensive_at_supported_mean": Contrast(p * m1, m1 * of_p + p * of_m1),
        "intensive_at_comparison_share": Contrast(p0 * m, m * of_p0 + p0 * of_m),
    }
    first, second = list(parts.values())[::2], list(parts.values())[1::2]
    return {
        "total": Contrast(p1 * m1 - p0 * m0, total, p1 * m1, p0 * m0),
        "extensive": Contrast(p, of_p, p1, p0),
        "intensive_raw": intensive,
        "extensive_part": _average(first),
        "intensive_part": _average(second),
        **parts,
    }


def _average(both: list[Contrast]) -> Contrast:
    one, other = both
    return Contrast((one.value + other.value) / 2, (one.influence + other.influence) / 2)
