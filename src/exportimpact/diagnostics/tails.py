"""Does a mean rest on a handful of firms: effective number of firms, share of the largest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from exportimpact.core.diagnostic import diagnostic
from exportimpact.core.finding import Finding, judged
from exportimpact.core.result import EstimationResult
from exportimpact.language import message
from exportimpact.numerics.concentration import concentration

MIN_EFFECTIVE = 20.0
MAX_TOP_SHARE = 0.5
_ABOUT = "no_dominant_firm"
_CONVENTION = "package convention"


@diagnostic(id="dominant_firms", assumption=_ABOUT, needs="result", threshold_source=_CONVENTION)
def dominant_firms(design: Any, result: EstimationResult) -> Iterator[Finding]:
    """Return how many firms carry the variance of the overall effect on a level or count.

    Both come from the overall effect's influence, as in `numerics.concentration`.
    """
    if result.estimand.scale not in {"level", "count"} or result.cells.influence is None:
        return
    if not (result.cells.index.event_time >= 0).any():
        return
    found = concentration(result.overall("simple").influence[:, 0])
    if found is None:
        return
    few = found.effective < MIN_EFFECTIVE or found.share > MAX_TOP_SHARE
    text = message(
        "finding.few_firms_dominate" if few else "finding.no_firm_dominates",
        effective=found.effective,
        firms=found.firms,
        top=found.top,
        percent=100 * found.share,
    )
    yield Finding(
        "dominant_firms",
        judged(not few),
        text,
        _ABOUT,
        found.effective,
        MIN_EFFECTIVE,
        _CONVENTION,
    )
