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
from exportimpact.core.wald import WaldTest
from exportimpact.design.facts import TESTABLE, pre_support_periods
from exportimpact.errors import CapabilityError
from exportimpact.inference.leads import Leads, leads_of
from exportimpact.inference.power import HALF
from exportimpact.language import Message, message
from exportimpact.numerics.distributions import t_quantile

CONTRADICTED = 0.05
SUPPORTED = 0.10
_EARLY_SOURCE = (
    "package convention: p below 0.05 that the last period before support differs from the mean of "
    "earlier ones"
)
_MISSED_SOURCE = (
    "package convention: a trend that the test misses in half of samples moves the effect by as "
    "much as the effect or half its interval, whichever is more; Roth (2022), "
    "doi:10.1257/aeri.20210236"
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
        if test.p_value >= CONTRADICTED:
            yield missed_trend(result, test)
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


def missed_trend(result: EstimationResult, test: WaldTest) -> Finding:
    """Return which difference in trends a quiet test misses half the time, and what it would do.

    It qualifies a quiet test and is no evidence on trends themselves, so that it speaks to no
    assumption and never supports one: CONCERN where such a trend would account for the whole
    effect, or move it by half its interval where that is wider.

    Parameters
    ----------
    result : EstimationResult
        Cells.
    test : WaldTest
        Its pre-trend test, which found nothing.
    """
    id = "pretrend_power"
    leads: Leads | Message = message("finding.no_effect_to_move")
    if (result.cells.index.event_time >= 0).any():
        try:
            leads = leads_of(result, "joint", "simple", CONTRADICTED, path=False, found=test)
        except CapabilityError:
            leads = message("finding.no_base_of_their_own")
    if isinstance(leads, Message):
        text = message("finding.missed_not_known", why=leads)
        return Finding(id, "NOT_APPLICABLE", text, threshold_source=_MISSED_SOURCE)
    effect, half = float(leads.row_estimate[0]), _half_interval(result)
    slope = float(np.copysign(leads.slope(HALF), effect))
    bias = float(leads.shift(slope, leads.quiet(slope))[0])
    large = abs(bias) >= max(abs(effect), half)
    words = "finding.missed_large" if large else "finding.missed_small"
    text = message(words, slope=slope, bias=bias, effect=effect, half=half)
    verdict: Verdict = "CONCERN" if large else "NOT_APPLICABLE"
    return Finding(id, verdict, text, None, slope, threshold_source=_MISSED_SOURCE)


def _half_interval(result: EstimationResult) -> float:
    """Return half the 95 % interval of the overall effect, 0 where it has none."""
    rows = result.overall("simple").rows
    assert rows is not None
    errors = result.cells.errors(result.cells.gradient(rows), rows)
    return float(np.nan_to_num(t_quantile(0.975, errors.df) * errors.std_error)[0])


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
