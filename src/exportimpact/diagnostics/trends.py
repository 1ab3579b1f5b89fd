"""Did both sides move in parallel before support, as far as that can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.special import stdtr

from exportimpact._typing import Verdict
from exportimpact.core.assumption import GROWTH, TRENDS
from exportimpact.core.diagnostic import diagnostic
from exportimpact.core.finding import Finding
from exportimpact.core.result import EstimationResult
from exportimpact.design.facts import TESTABLE, pre_support_periods
from exportimpact.language import message

CONTRADICTED = 0.05
SUPPORTED = 0.10
_EARLY_SOURCE = (
    "package convention: p below 0.05 that the last period before support differs from the mean of "
    "earlier ones"
)
_SOURCE = (
    "package convention: p below 0.05 contradicts, p of 0.10 or more from three periods supports; "
    "Roth (2022), doi:10.1257/aeri.20210236, on its limits"
)


@diagnostic(id="pre_trends", assumption="parallel_trends", needs="result", threshold_source=_SOURCE)
def pre_trends(design: Any, result: EstimationResult) -> Iterator[Finding]:
    """Return the joint test of the effects before support; few periods never support."""
    about = about_trends(result)
    if about is None:
        names = result.provenance.requires.names()
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
    yield Finding("sensitivity", "NOT_RUN", message("finding.sensitivity_not_run"), about)


@diagnostic(
    id="anticipation", assumption="no_anticipation", needs="result", threshold_source=_EARLY_SOURCE
)
def anticipation(design: Any, result: EstimationResult) -> Iterator[Finding]:
    """Return whether the last period before support (and its window) is in line with earlier ones.

    Against a universal base that is the mean over the cells before support, or over those of the
    base period where it is an estimate itself; varying bases are left to the test of trends.
    """
    if "no_anticipation" not in result.provenance.requires.names():
        return
    test, periods = result.pretrend_test(), pre_support_periods(design)
    if test.p_value is None or periods < TESTABLE or design.settings["base"] != "universal":
        text = message("finding.anticipation_not_testable", periods=periods, needed=TESTABLE)
        yield Finding("anticipation", "NOT_APPLICABLE", text, threshold_source=_EARLY_SOURCE)
        return
    shift, error = _shift_before(result)
    nu = test.df_denominator + test.df_numerator - 1  # that of the joint covariance
    p_value = 2 * float(stdtr(nu, -abs(shift) / error))
    early = p_value < CONTRADICTED
    text = message("finding.early" if early else "finding.not_early", shift=shift, p=p_value)
    verdict: Verdict = "CONCERN" if early else "SUPPORTS"
    yield Finding(
        "anticipation",
        verdict,
        text,
        "no_anticipation",
        shift,
        threshold_source=_EARLY_SOURCE,
    )


def about_trends(result: EstimationResult) -> str | None:
    """Return which parallel trends, or growth, a result rests on, None for none of them."""
    names = result.provenance.requires.names()
    return next((n for n in sorted(TRENDS | GROWTH, key=len, reverse=True) if n in names), None)


def _shift_before(result: EstimationResult) -> tuple[float, float]:
    """Return how far the base period is off earlier ones, by cohort size, and its error."""
    event_time, lead = result.cells.index.event_time, result.provenance.anticipation
    base = event_time == -lead - result.provenance.step_length
    before, sign = (base, 1.0) if base.any() else (event_time < -lead, -1.0)
    weight = np.where(before, result.cells.design_sizes.value, 0.0)
    weight *= sign / weight.sum()
    variance = weight[before] @ result.covariance()[np.ix_(before, before)] @ weight[before]
    return float(weight[before] @ result.cells.estimate[before]), float(np.sqrt(variance))


def _read(p_value: float, periods: int) -> tuple[Verdict, str]:
    if p_value < CONTRADICTED:
        return "CONTRADICTS", "differ"
    if periods < TESTABLE:
        return "NOT_APPLICABLE", "too_short"
    return ("CONCERN", "unclear") if p_value < SUPPORTED else ("SUPPORTS", "parallel")
