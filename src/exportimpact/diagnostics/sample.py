"""Is the sample what it should be: linkage of awards, and enough supported firms in each cell."""

from __future__ import annotations

from typing import Any

from exportimpact.core.diagnostic import diagnostic
from exportimpact.core.finding import Finding, judged
from exportimpact.core.result import EstimationResult
from exportimpact.language import message

MIN_LINKED = 0.80
MIN_SUPPORTED = 20
_CONVENTION = "package convention"


@diagnostic(
    id="linkage", assumption="missing_at_random", needs="design", threshold_source=_CONVENTION
)
def linkage(design: Any) -> Finding:
    """Return whether the awarded firms are found in the panel; under 80 % is a concern."""
    table = design.aligned.linkage
    awarded, linked = int(table["awarded_firms"].sum()), int(table["linked"].sum())
    share = linked / awarded
    worst = table.sort_values("share").iloc[0]
    values = {"linked": linked, "awarded": awarded, "percent": 100 * share}
    if share >= MIN_LINKED and worst["share"] >= MIN_LINKED:
        text = message("finding.linked", **values)
    else:
        text = message(
            "finding.not_linked",
            **values,
            programme=str(worst["programme"]),
            worst=100 * float(worst["share"]),
        )
    low = min(share, float(worst["share"]))
    return Finding(
        "linkage",
        judged(low >= MIN_LINKED),
        text,
        "missing_at_random",
        low,
        MIN_LINKED,
        _CONVENTION,
    )


@diagnostic(id="cohort_size", assumption=None, needs="design", threshold_source=_CONVENTION)
def cohort_size(design: Any) -> Finding:
    """Return whether every cohort of the design has at least 20 supported firms."""
    sizes = [int(design.members(cohort).size) for cohort in design.cohorts]
    small = sum(size < MIN_SUPPORTED for size in sizes)
    text = message(
        "finding.cohorts_small" if small else "finding.cohorts_filled",
        small=small,
        cohorts=len(sizes),
        least=min(sizes),
        needed=MIN_SUPPORTED,
    )
    least = float(min(sizes))
    return Finding(
        "cohort_size", judged(not small), text, None, least, float(MIN_SUPPORTED), _CONVENTION
    )


@diagnostic(id="cell_size", assumption=None, needs="result", threshold_source=_CONVENTION)
def cell_size(design: Any, result: EstimationResult) -> Finding:
    """Return whether every cell has at least 20 supported firms."""
    counts = result.cells.counts.supported
    small = int((counts < MIN_SUPPORTED).sum())
    least = int(counts.min())
    text = message(
        "finding.cells_small" if small else "finding.cells_filled",
        small=small,
        cells=int(counts.size),
        least=least,
        needed=MIN_SUPPORTED,
    )
    return Finding(
        "cell_size", judged(not small), text, None, float(least), float(MIN_SUPPORTED), _CONVENTION
    )
