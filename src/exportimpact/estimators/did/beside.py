"""What stands beside an effect on a level: participation, and how much rests on a few firms."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pandas as pd

from exportimpact._typing import BoolArray, FloatArray
from exportimpact.core.exhibit import Exhibit
from exportimpact.core.result import EstimationResult
from exportimpact.estimators.did.saturation import Saturation
from exportimpact.language import message
from exportimpact.numerics.concentration import TOP, concentration
from exportimpact.numerics.saturated import Fit, Reference, fit_linear

_ENDS = ("estimate", "std_error", "ci_low", "ci_high")

Row: TypeAlias = dict[str, str | float | int]
Refit: TypeAlias = Callable[[Reference], Fit]


def beside_the_headline(
    model: Saturation, outcome: FloatArray, result: EstimationResult, fit: Refit
) -> tuple[Exhibit, ...]:
    """Return the exhibit beside the overall ("simple") effect; none without a cell after support.

    Parameters
    ----------
    model : Saturation
    outcome : (n_firms, n_periods)
    result : EstimationResult
        The headline.
    fit : callable
        Fits the headline's model to a reference.

    Returns
    -------
    tuple of Exhibit
        A table with measure, estimate, std_error, ci_low, ci_high, unit, firms: the headline in
        money and percent; participation, by the same model as a linear probability of an outcome
        above zero; the effective number of firms and the share of the variance that the top one
        percent by influence have; the headline without the top one percent by mean outcome before
        anyone was supported.
    """
    if not (result.cells.index.event_time >= 0).any():
        return ()
    unit = result.estimand.unit or ""
    members = np.zeros(outcome.shape[0], dtype=bool)
    for cell in model.cells:
        members[cell.supported] = True
    members |= model.used.any(axis=1)
    kept = members & ~_largest(model, outcome, members)
    firms, rest = int(members.sum()), int(kept.sum())
    rows = [
        *_in_money("headline", _line(result), unit, firms),
        _in_points(_participation(model, outcome), firms),
        *_spread(result),
        *_in_money("without_top", _without(model, outcome, kept, fit), unit, rest),
    ]
    notes = (
        message("beside.participation"),
        message("beside.without_top", percent=100 * TOP, firms=firms - rest),
    )
    table = pd.DataFrame(rows)
    return (Exhibit("beside_the_headline", "beside_the_headline", table, notes=notes),)


def _line(result: EstimationResult) -> pd.Series:
    overall = result.overall("simple")
    line: pd.Series = pd.concat([overall.table().iloc[0], overall.percent().iloc[0]])
    return line


def _participation(model: Saturation, outcome: FloatArray) -> pd.Series | None:
    above = np.where(np.isfinite(outcome), outcome > 0, np.nan)
    return model.overall(fit_linear(model.reference(above)), above, "binary")


def _without(
    model: Saturation, outcome: FloatArray, kept: BoolArray, fit: Refit
) -> pd.Series | None:
    scale = model.design.outcome_spec.scale
    return model.overall(fit(model.reference(outcome, kept=kept)), outcome, scale, kept=kept)


def _largest(model: Saturation, outcome: FloatArray, members: BoolArray) -> BoolArray:
    """Return the top firms by mean outcome in the periods before anyone is supported."""
    history = model.design.history()
    start = history.start[members & (model.design.cohort_codes > 0)]
    early = history.usable[:, : int(start.min())] & members[:, None]
    count = early.sum(axis=1)
    total = np.where(early, outcome[:, : early.shape[1]], 0.0).sum(axis=1)
    mean = np.divide(total, count, out=np.full(count.size, -np.inf), where=count > 0)
    n = int(np.ceil(TOP * members.sum()))
    limit = np.partition(mean, mean.size - n)[mean.size - n]
    # Firms that share the limit go together, so that no order of firms decides.
    return np.asarray((mean >= limit) & (mean > 0), dtype=bool)


def _in_money(measure: str, line: pd.Series | None, unit: str, firms: int) -> list[Row]:
    money, percent = dict.fromkeys(_ENDS, np.nan), dict.fromkeys(_ENDS, np.nan)
    if line is not None:
        money = {name: float(line[name]) for name in _ENDS}
        percent["estimate"] = float(line["percent"])
        percent["ci_low"] = float(line["percent_low"])
        percent["ci_high"] = float(line["percent_high"])
    return [
        {"measure": measure, **money, "unit": unit, "firms": firms},
        {"measure": f"{measure}_percent", **percent, "unit": "%", "firms": firms},
    ]


def _in_points(line: pd.Series | None, firms: int) -> Row:
    values = dict.fromkeys(_ENDS, np.nan)
    if line is not None:
        values = {name: 100 * float(line[name]) for name in _ENDS}
    return {"measure": "participation", **values, "unit": "pp", "firms": firms}


def _spread(result: EstimationResult) -> list[Row]:
    found = concentration(result.overall("simple").influence[:, 0])
    if found is None:
        return []
    none = dict.fromkeys(_ENDS[1:], np.nan)
    share = 100 * found.share
    return [
        {
            "measure": "effective_firms",
            "estimate": found.effective,
            **none,
            "unit": "firms",
            "firms": found.firms,
        },
        {
            "measure": "top_share",
            "estimate": share,
            **none,
            "unit": "% of variance",
            "firms": found.top,
        },
    ]
