"""How large a difference in trends a quiet pre-trend test would have missed, and what it would do.

The absence of a significant difference before support is shown as proof of parallel trends. Whether
it is one depends on what the test could have seen (Roth 2022, doi:10.1257/aeri.20210236).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import get_args

import numpy as np
import pandas as pd

from exportimpact._typing import Aggregation
from exportimpact.core.estimand import Estimand
from exportimpact.core.exhibit import Exhibit
from exportimpact.core.result import AGGREGATIONS, EstimationResult, check_level, check_option
from exportimpact.errors import InputError
from exportimpact.inference.leads import Leads, Test, leads_of, nothing_to_test
from exportimpact.language import Message, message

HALF = 0.5
_PATH = ["event_time", "estimate", "std_error", "ci_low", "ci_high", "trend", "mean_if_quiet"]


@dataclass(frozen=True)
class Trend:
    """A difference in trend between supported and comparison firms, seen or not.

    Attributes
    ----------
    target : float
        The power that was asked for; NaN for a slope that was given.
    slope : float
        Added to the outcome of supported firms in each period, in the outcome's unit.
    power : float
        Share of samples in which the test finds it.
    bayes_factor : float
        How much rarer a quiet test is under this trend than without a trend.
    likelihood_ratio : float
        How likely the estimates before support are under this trend, against none.
    bias : float
        What it adds to the overall effect.
    bias_if_quiet : float
        The same among samples in which the test finds nothing.
    """

    target: float
    slope: float
    power: float
    bayes_factor: float
    likelihood_ratio: float
    bias: float
    bias_if_quiet: float


@dataclass(frozen=True, eq=False, repr=False)
class PretrendPower:
    """What a pre-trend test could have seen.

    Attributes
    ----------
    estimand : Estimand
        The overall effect whose bias is shown.
    estimate, std_error : float
        Of it.
    test : {"joint", "each"}
    level : float
        Of the intervals; the test is at one less it.
    n_leads : int
        Estimates before support that the test looks at.
    p_value : float
        Of the test as it came out; the smallest of the estimates with ``test="each"``.
    trends : tuple of Trend
    path : DataFrame
        Effects by event time with the last of `trends`: event_time, estimate, std_error, ci_low,
        ci_high, trend, mean_if_quiet.
    notes : tuple of Message
    """

    estimand: Estimand
    estimate: float
    std_error: float
    test: Test
    level: float
    n_leads: int
    p_value: float
    trends: tuple[Trend, ...]
    path: pd.DataFrame
    notes: tuple[Message, ...]

    def table(self) -> pd.DataFrame:
        """Return one row per trend.

        Returns
        -------
        DataFrame
            outcome, target, slope, power, bayes_factor, likelihood_ratio, bias, bias_if_quiet,
            estimate, std_error.
        """
        frame = pd.DataFrame([vars(trend) for trend in self.trends])
        frame.insert(0, "outcome", self.estimand.outcome)
        return frame.assign(estimate=self.estimate, std_error=self.std_error)

    @property
    def exhibit(self) -> Exhibit:
        """The effects by event time beside the last trend: kind "pretrend_power"."""
        last = self.trends[-1]
        frame = self.path.assign(
            outcome=self.estimand.outcome,
            scale=self.estimand.scale,
            unit=self.estimand.unit,
            slope=last.slope,
            power=last.power,
        )
        unit = self.estimand.unit or ""
        units = dict.fromkeys(("slope", *_PATH[1:]), unit)
        return Exhibit(
            "pretrend_power", "pretrend_power", frame, units, (*self._said(), *self.notes)
        )

    def _said(self) -> Iterator[Message]:
        yield message(
            f"pretrend.{self.test}",
            leads=self.n_leads,
            percent=100 * (1 - self.level),
            p=self.p_value,
        )
        for trend in self.trends:
            yield message(
                "pretrend.found",
                slope=trend.slope,
                percent=100 * trend.power,
                bias=trend.bias,
                quiet=trend.bias_if_quiet,
                estimate=self.estimate,
            )

    def __repr__(self) -> str:
        lines = [str(line) for line in self._said()]
        shown = self.table().drop(columns=["outcome", "estimate", "std_error"])
        lines += shown.to_string(index=False, float_format=lambda v: f"{v:.4g}").splitlines()
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines[:20])

    def _repr_html_(self) -> str:
        said = "<br>".join(escape(str(line)) for line in self._said())
        notes = "".join(f"<li>{escape(str(note))}</li>" for note in self.notes)
        return f"<p>{said}</p>{self.table().to_html(index=False)}<ul>{notes}</ul>"


def pretrend_power(
    result: EstimationResult,
    *,
    slope: float | None = None,
    power: float = 0.8,
    test: Test = "joint",
    by: Aggregation = "simple",
    level: float = 0.95,
) -> PretrendPower:
    """Return which differences in trend the pre-trend test of a result would have found.

    A linear difference in trend adds its slope to every cell for each period between the cell's
    base period and its period. Beside the slopes that are found in half of samples and with
    `power` stands what they add to the overall effect, over all samples and among those in which
    the test finds nothing.

    Parameters
    ----------
    result : EstimationResult
        Cells, as the estimator returned them.
    slope : float, optional
        A further slope to look at, in the outcome's unit a period.
    power : float
        Share of samples in which the trend is to be found.
    test : {"joint", "each"}
        The joint test of ``result.pretrend_test()``, or looking whether any effect before support
        by event time is significant by itself, as a reader of an event study does.
    by : {"simple", "event_time", "cohort", "calendar"}
        Which overall effect, as in ``result.overall(by)``.
    level : float
        Of the intervals: 0.95 is a test at 5 %.

    Returns
    -------
    PretrendPower
        ``.table()``, ``.exhibit``; `exportimpact.plot.pretrend_power` draws it.

    Raises
    ------
    InputError
        EI-I42 for a slope or power that cannot be looked at, EI-I08 for an unknown option, EI-I02
        without a cell since support.
    NotIdentifiedError
        EI-I41 where there is no pre-trend test.
    CapabilityError
        EI-I03 for an aggregate, EI-I40 where cells are not held against one base period each.

    Notes
    -----
    Assumes that estimates are normal with the covariance that was estimated; the joint test is the
    F test of the result, whose power is exact for normal data up to its degrees of freedom. Slopes
    have the sign of the overall effect: these trends would pass for it. A slope that is found with
    80 % is not ruled out by a quiet test: 20 % of samples with it look like this one.

    References
    ----------
    Roth (2022), doi:10.1257/aeri.20210236

    Examples
    --------
    >>> import exportimpact as ei
    >>> bench = ei.synthetic.scenario("staggered_dynamic").draw(n_firms=400, n_periods=8, seed=1)
    >>> design = ei.Design(bench.panel, bench.support, outcome="ln_exports")
    >>> found = ei.pretrend_power(ei.did.GroupTime().estimate(design))
    >>> found.table()["power"].round(3).tolist()
    [0.5, 0.8]
    """
    _check(slope, power, test, by)
    check_level(level)
    leads = leads_of(result, test, by, 1 - level)
    if isinstance(leads, Message):
        raise nothing_to_test(leads)
    overall = result.overall(by)
    trends, notes = [], list(_notes(result))
    sign = -1.0 if leads.row_estimate[0] < 0 else 1.0
    for target in sorted({HALF, power}):
        try:
            found = sign * leads.slope(target)
        except ValueError:
            if target == power:
                raise _always(target, leads) from None
            notes.append(message("pretrend.more_by_chance", percent=100 * target))
        else:
            trends.append(trend_at(leads, found, target))
    # What the path shows comes last: the slope that was given, or the one that is found with power.
    trends.sort(key=lambda trend: trend.target == power)
    if slope is not None:
        trends.append(trend_at(leads, float(slope), math.nan))
    row = overall.table(level=level).iloc[0]
    return PretrendPower(
        estimand=overall.estimand,
        estimate=float(row["estimate"]),
        std_error=float(row["std_error"]),
        test=test,
        level=level,
        n_leads=leads.estimate.size,
        p_value=leads.p_value,
        trends=tuple(trends),
        path=_path(result, leads, trends[-1].slope, level),
        notes=tuple(notes),
    )


def trend_at(leads: Leads, slope: float, target: float) -> Trend:
    """Return what a slope means for the test and for the first of the other rows."""
    quiet = leads.quiet(slope)
    return Trend(
        target=target,
        slope=slope,
        power=1 - quiet.chance,
        bayes_factor=quiet.chance / leads.chance(0.0),
        likelihood_ratio=leads.likelihood_ratio(slope),
        bias=float(slope * leads.row_shape[0]),
        bias_if_quiet=float(leads.shift(slope, quiet)[0]),
    )


def _path(result: EstimationResult, leads: Leads, slope: float, level: float) -> pd.DataFrame:
    frame = result.aggregate("event_time").table(level=level)
    shift = leads.shift(slope, leads.quiet(slope))
    frame = frame.assign(trend=slope * leads.row_shape[1:], mean_if_quiet=shift[1:])
    return frame[_PATH].assign(step=result.provenance.step_length)


def _notes(result: EstimationResult) -> Iterator[Message]:
    yield message("pretrend.sign")
    pre = result.cells.index.event_time < 0
    lag = (result.cells.index.period - result.cells.base)[pre]
    if lag.size and (lag > 0).all():
        yield message("pretrend.varying")
    if result.provenance.lags:
        yield message("pretrend.matched", lags=result.provenance.lags)


def _check(slope: float | None, power: float, test: str, by: str) -> None:
    check_option("test", test, get_args(Test))
    check_option("by", by, AGGREGATIONS)
    for option, given, good in (
        ("power", power, 0 < power < 1),
        ("slope", slope, slope is None or (math.isfinite(slope) and slope != 0)),
    ):
        if not good:
            raise InputError(
                "EI-I42",
                f"{option}={given!r} cannot be looked at: a power is a share between 0 and 1, a "
                "slope a number other than 0 in the outcome's unit a period. Without it there is "
                "no trend whose bias could be shown. Write power=0.8, or leave slope out.",
                option=option,
            )


def _always(power: float, leads: Leads) -> InputError:
    size = 1 - leads.chance(0.0)
    return InputError(
        "EI-I42",
        f"power={power!r} cannot be looked at: with {leads.estimate.size} effects before support "
        f"the test finds something in {100 * size:.0f} % of samples without any difference in "
        "trends, so that every slope is found more often. Ask for more power, or use the joint "
        "test.",
        option="power",
        size=float(np.round(size, 6)),
    )
