"""Findings on designs and results, one file per family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from exportimpact.core import diagnostic
from exportimpact.core.finding import Finding
from exportimpact.core.protocols import SealedLike
from exportimpact.core.result import EstimationResult
from exportimpact.diagnostics import (
    blind,
    clusters,
    comparability,
    equal_effects,
    flat,
    hidden_bias,
    interference,
    matching,
    missing,
    sample,
    tails,
    trends,
    unadjusted,
)
from exportimpact.diagnostics.placebo import placebo_outcomes
from exportimpact.errors import CapabilityError

__all__ = [
    "blind",
    "clusters",
    "comparability",
    "diagnose",
    "equal_effects",
    "flat",
    "hidden_bias",
    "interference",
    "matching",
    "missing",
    "sample",
    "tails",
    "trends",
    "unadjusted",
]


def diagnose(
    sealed: SealedLike,
    result: EstimationResult,
    *,
    placebos: Sequence[EstimationResult] = (),
) -> tuple[Finding, ...]:
    """Return the findings of every registered diagnostic on a design and a result from it.

    Parameters
    ----------
    sealed : SealedDesign
    result : EstimationResult
        Cells, as the estimator returned them.
    placebos : sequence of EstimationResult
        Of the same estimator on outcomes that support cannot move: an effect on one of them says
        that the two sides differ for another reason.

    Returns
    -------
    tuple of Finding
        Findings on the design, then on the result. What was not run is among them.

    Raises
    ------
    CapabilityError
        EI-E10 when the arguments are not a sealed design and a result, EI-E18 when a placebo is of
        the evaluated outcome itself.
    """
    _check_arguments(sealed, result)
    outcome = sealed.outcome_spec.name
    on_design = [replace(f, outcome=outcome) for f in diagnostic.run("design", sealed)]
    estimator = result.provenance.estimator
    found = (*diagnostic.run("result", sealed, result), *placebo_outcomes(result, placebos))
    on_result = [replace(f, outcome=outcome, estimator=estimator) for f in found]
    return (*on_design, *on_result)


def _check_arguments(sealed: object, result: object) -> None:
    if not isinstance(sealed, SealedLike) or not isinstance(result, EstimationResult):
        raise CapabilityError(
            "EI-E10",
            f"diagnose takes a sealed design and a result from it, not a {type(sealed).__name__} "
            f"and a {type(result).__name__}. Call ei.diagnose(sealed, result).",
        )
