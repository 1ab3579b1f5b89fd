"""What a study shows of an outcome beside its rungs: estimators of one effect, compared."""

from __future__ import annotations

from collections.abc import Sequence

from exportimpact.core.exhibit import Exhibit
from exportimpact.core.result import EstimationResult
from exportimpact.errors import InputError
from exportimpact.evaluation import compare


def beside(results: Sequence[EstimationResult], outcome: str) -> tuple[Exhibit, ...]:
    """Return the causal estimates of an outcome on the cells that all of them have.

    Effects per unit of support are no such estimates. Nothing is shown where fewer than two are
    left, or where no cell is common to all.
    """
    alike = [
        r
        for r in results
        if r.estimand.outcome == outcome and r.step.is_causal and not r.estimand.per_unit
    ]
    if len(alike) < 2:
        return ()
    try:
        compared = compare(alike)
    except InputError as error:
        if error.code != "EI-E52":
            raise
        return ()
    drawn = compared.exhibit
    apart = Exhibit("differences", "differences", compared.differences(), drawn.units)
    return drawn, apart
