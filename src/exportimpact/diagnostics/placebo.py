"""Is there an effect on an outcome that support cannot move; if so, the two sides differ anyway.

Reference: Imbens & Rubin (2015), Causal Inference, chapter 21, doi:10.1017/CBO9781139025751.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exportimpact._typing import Verdict
from exportimpact.core.finding import Finding
from exportimpact.core.result import EstimationResult
from exportimpact.errors import CapabilityError
from exportimpact.language import message

CONTRADICTED = 0.05
_SOURCE = (
    "package convention: p below 0.05 contradicts; Imbens & Rubin (2015), "
    "doi:10.1017/CBO9781139025751, chapter 21"
)
_ABOUT = ("unconfoundedness", "parallel_trends_given_x", "parallel_trends")


def placebo_outcomes(
    result: EstimationResult, placebos: Sequence[EstimationResult]
) -> Iterator[Finding]:
    """Yield one finding per result on a placebo outcome, or that none was given.

    Parameters
    ----------
    result : EstimationResult
    placebos : sequence of EstimationResult
        Of the same estimator on other outcomes, which support cannot move.

    Raises
    ------
    CapabilityError
        EI-E10 for something else than a result, EI-E18 for the outcome that is evaluated itself.
    """
    _check(result, placebos)
    names = result.provenance.requires.names()
    about = next((name for name in _ABOUT if name in names), None)
    if about is None:
        return
    if not placebos:
        text = message("finding.placebo_not_run")
        yield Finding("placebo_outcome", "NOT_RUN", text, about, threshold_source=_SOURCE)
    for placebo in placebos:
        yield _finding(placebo, about)


def _finding(placebo: EstimationResult, about: str) -> Finding:
    name = placebo.estimand.outcome
    since = placebo.rows is not None or bool((placebo.cells.index.event_time >= 0).any())
    one = placebo.overall("simple") if placebo.rows is None and since else placebo
    row = one.table(detail=True).iloc[0]
    if not since or not row["std_error"] > 0:
        text = message("finding.placebo_no_error", placebo=name)
        return Finding("placebo_outcome", "NOT_APPLICABLE", text, about, threshold_source=_SOURCE)
    moved = one.p_value < CONTRADICTED
    text = message(
        "finding.placebo_moved" if moved else "finding.placebo_still",
        placebo=name,
        estimate=one.estimate,
        low=one.ci_low,
        high=one.ci_high,
        p=one.p_value,
        detectable=float(row["mde"]),
    )
    verdict: Verdict = "CONTRADICTS" if moved else "SUPPORTS"
    return Finding(
        "placebo_outcome", verdict, text, about, one.p_value, CONTRADICTED, threshold_source=_SOURCE
    )


def _check(result: EstimationResult, placebos: Sequence[EstimationResult]) -> None:
    for placebo in placebos:
        if not isinstance(placebo, EstimationResult):
            raise CapabilityError(
                "EI-E10",
                f"placebos are results on outcomes that support cannot move, not a "
                f"{type(placebo).__name__}. Pass what estimate() returns on a design with such an "
                "outcome.",
            )
        if placebo.estimand.outcome == result.estimand.outcome:
            raise CapabilityError(
                "EI-E18",
                f"The placebo outcome {placebo.estimand.outcome!r} is the outcome that is "
                "evaluated: an effect on it is what support is for and would count as evidence "
                "against itself. Pass a result on an outcome that support cannot move.",
                outcome=placebo.estimand.outcome,
            )
