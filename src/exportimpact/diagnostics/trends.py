"""Did both sides move in parallel before support, as far as that can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from exportimpact._typing import Verdict
from exportimpact.core.diagnostic import diagnostic
from exportimpact.core.finding import Finding
from exportimpact.core.result import EstimationResult
from exportimpact.design.facts import TESTABLE, pre_support_periods
from exportimpact.language import message

CONTRADICTED = 0.05
SUPPORTED = 0.10
_SOURCE = (
    "package convention: p below 0.05 contradicts, p of 0.10 or more from three periods supports; "
    "Roth (2022), doi:10.1257/aeri.20210236, on its limits"
)


@diagnostic(id="pre_trends", assumption="parallel_trends", needs="result", threshold_source=_SOURCE)
def pre_trends(design: Any, result: EstimationResult) -> Iterator[Finding]:
    """Return the joint test of the effects before support; few periods never support."""
    names = result.provenance.requires.names()
    about = next((n for n in ("parallel_trends_given_x", "parallel_trends") if n in names), None)
    if about is None:
        if result.provenance.lags and "unconfoundedness" in names:
            text = message("finding.trends_matched", lags=result.provenance.lags)
            yield Finding("pre_trends", "NOT_APPLICABLE", text, "unconfoundedness")
        return
    test = result.pretrend_test()
    periods = pre_support_periods(design)
    if test.p_value is None or test.statistic is None:
        why = test.reason or message("test.no_pre_cells")
        text = message("finding.trends_not_testable", why=why)
        yield Finding("pre_trends", "NOT_APPLICABLE", text, about, threshold_source=_SOURCE)
    else:
        values = {
            "cells": test.df_numerator,
            "statistic": test.statistic,
            "df": test.df_denominator,
            "p": test.p_value,
            "periods": periods,
            "needed": TESTABLE,
        }
        verdict, words = _read(test.p_value, periods)
        text = message(f"finding.trends_{words}", **values)
        statistic = test.statistic
        yield Finding("pre_trends", verdict, text, about, statistic, threshold_source=_SOURCE)
    for id, assumption in (
        ("sensitivity", about),
        ("anticipation", "no_anticipation"),
        ("spillover", "no_interference"),
    ):
        yield Finding(id, "NOT_RUN", message(f"finding.{id}_not_run"), assumption)


def _read(p_value: float, periods: int) -> tuple[Verdict, str]:
    if p_value < CONTRADICTED:
        return "CONTRADICTS", "differ"
    if periods < TESTABLE:
        return "NOT_APPLICABLE", "too_short"
    return ("CONCERN", "unclear") if p_value < SUPPORTED else ("SUPPORTS", "parallel")
