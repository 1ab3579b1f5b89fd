"""Did matching do what it is for: limits of balance, and outcomes that it should leave alike.

References
----------
Stuart (2010), doi:10.1214/09-STS313 (balance); Imbens & Rubin (2015), Causal Inference, chapter 21,
doi:10.1017/CBO9781139025751 (effects on lagged outcomes).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from exportimpact._typing import Verdict
from exportimpact.core.diagnostic import diagnostic
from exportimpact.core.finding import Finding, judged
from exportimpact.core.result import EstimationResult
from exportimpact.design.facts import TESTABLE
from exportimpact.language import message

CONTRADICTED = 0.01
CONCERNED = 0.05
SUPPORTED = 0.10
_CONVENTION = "package convention; Stuart (2010), doi:10.1214/09-STS313"
_LAGGED = (
    "package convention: p below 0.01 contradicts, below 0.05 concerns, p of 0.10 or more from two "
    "periods supports; Imbens & Rubin (2015), doi:10.1017/CBO9781139025751, chapter 21"
)
_ABOUT = "unconfoundedness"


@diagnostic(id="match_balance", assumption=None, needs="design", threshold_source=_CONVENTION)
def match_balance(design: Any) -> Finding:
    """Return whether a matched design kept its limits of balance and of firms matched.

    The statistic is the largest standardised difference after matching, in absolute value.
    """
    if design.matching is None:
        text = message("finding.not_matched")
        return Finding("match_balance", "NOT_APPLICABLE", text, threshold_source=_CONVENTION)
    missed, limit = design.terms.missed, design.thresholds.smd
    if missed:
        text = message("finding.match_unbalanced", missed="; ".join(map(str, missed)))
    else:
        sizes = {"kept": design.matching.kept, "supported": design.matching.at_risk}
        text = message("finding.match_balanced", limit=limit, **sizes)
    worst = _largest_difference(design)
    return Finding("match_balance", judged(not missed), text, None, worst, limit, _CONVENTION)


def _largest_difference(design: Any) -> float | None:
    table = design.balance()
    gaps = table.loc[table["kind"] == "covariate", "smd_after"].abs().dropna()
    return float(gaps.max()) if len(gaps) else None


@diagnostic(id="placebo_lagged", assumption=_ABOUT, needs="result", threshold_source=_LAGGED)
def placebo_lagged(design: Any, result: EstimationResult) -> Iterator[Finding]:
    """Return the joint test that there is no effect on outcomes before the base period.

    Where firms with the same covariates are taken to differ in nothing that matters, they should
    not differ in earlier outcomes either. That is plausible rather than implied, so that more is
    asked of a contradiction than of one with trends. Outcomes that firms were matched on are left
    out.
    """
    if _ABOUT not in result.provenance.requires.names():
        return
    test = result.pretrend_test()
    if test.p_value is None or test.statistic is None:
        text = message("finding.lagged_not_testable", why=test.reason)
        yield Finding("placebo_lagged", "NOT_APPLICABLE", text, _ABOUT, threshold_source=_LAGGED)
        return
    verdict, words = _read(test.p_value, _periods(result))
    text = message(words, cells=test.df_numerator, statistic=test.statistic, p=test.p_value)
    yield Finding("placebo_lagged", verdict, text, _ABOUT, test.statistic, threshold_source=_LAGGED)


def _periods(result: EstimationResult) -> int:
    """Return how many periods before support are tested."""
    record = result.provenance
    limit = -record.anticipation - record.lags * record.step_length
    event_time = result.cells.index.event_time
    return int(np.unique(event_time[event_time < limit]).size)


def _read(p_value: float, periods: int) -> tuple[Verdict, str]:
    if p_value < CONTRADICTED:
        return "CONTRADICTS", "finding.lagged_differ"
    if p_value < CONCERNED:
        return "CONCERN", "finding.lagged_apart"
    if periods < TESTABLE - 1:
        return "NOT_APPLICABLE", "finding.lagged_too_short"
    if p_value < SUPPORTED:
        return "NOT_APPLICABLE", "finding.lagged_unclear"
    return "SUPPORTS", "finding.lagged_alike"
