"""Does a mean rest on a handful of firms: effective number of firms, share of the largest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from exportimpact.core.diagnostic import diagnostic
from exportimpact.core.finding import Finding, judged
from exportimpact.core.result import EstimationResult
from exportimpact.language import message

MIN_EFFECTIVE = 20.0
MAX_TOP_SHARE = 0.5
_ABOUT = "no_dominant_firm"
_CONVENTION = "package convention"


@diagnostic(id="dominant_firms", assumption=_ABOUT, needs="result", threshold_source=_CONVENTION)
def dominant_firms(design: Any, result: EstimationResult) -> Iterator[Finding]:
    """Return how many firms carry the variance of the overall effect on a level or count.

    The effective number of firms is (sum psi^2)^2 / sum psi^4 of the overall effect's influence.
    """
    if result.estimand.scale not in {"level", "count"} or result.cells.influence is None:
        return
    if not (result.cells.index.event_time >= 0).any():
        return
    square = np.sort(result.overall("simple").influence[:, 0] ** 2)[::-1]
    square = square[square > 0]
    if not square.size:
        return
    effective = float(square.sum() ** 2 / (square**2).sum())
    top = max(1, int(np.ceil(0.01 * square.size)))
    share = float(square[:top].sum() / square.sum())
    few = effective < MIN_EFFECTIVE or share > MAX_TOP_SHARE
    text = message(
        "finding.few_firms_dominate" if few else "finding.no_firm_dominates",
        effective=effective,
        firms=int(square.size),
        top=top,
        percent=100 * share,
    )
    yield Finding(
        "dominant_firms",
        judged(not few),
        text,
        _ABOUT,
        effective,
        MIN_EFFECTIVE,
        _CONVENTION,
    )
