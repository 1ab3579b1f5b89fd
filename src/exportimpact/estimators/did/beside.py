"""What stands beside an effect on a level: participation, and how much rests on a few firms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import numpy as np
import pandas as pd

from exportimpact._typing import BoolArray, FloatArray
from exportimpact.core.builder import CellBuilder
from exportimpact.core.exhibit import Exhibit
from exportimpact.core.result import EstimationResult
from exportimpact.errors import NotIdentifiedError
from exportimpact.estimators.did.saturated import Saturated
from exportimpact.estimators.did.saturation import Saturation
from exportimpact.language import message
from exportimpact.numerics.concentration import TOP, concentration
from exportimpact.numerics.saturated import fit_linear

_ROW = "simple"
_ENDS = ("estimate", "std_error", "ci_low", "ci_high")

Row: TypeAlias = dict[str, str | float | int]


class Again(Protocol):
    """Estimates the same model on an outcome, among the firms that are kept."""

    def __call__(
        self, model: Saturation, outcome: FloatArray, kept: BoolArray | None
    ) -> EstimationResult:
        """Return the cells."""
        ...


def beside_the_headline(
    model: Saturation, outcome: FloatArray, result: EstimationResult, again: Again
) -> tuple[Exhibit, ...]:
    """Return the exhibit beside the overall ("simple") effect; none without a cell after support.

    Parameters
    ----------
    model : Saturation
    outcome : (n_firms, n_periods)
    result : EstimationResult
        The headline.
    again : callable
        The headline's estimator.

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
        *_in_money("headline", result, unit, firms),
        _in_points(_attempt(lambda: _participation(model, outcome)), firms),
        *_spread(result),
        *_in_money("without_top", _attempt(lambda: again(model, outcome, kept)), unit, rest),
    ]
    notes = (
        message("beside.participation"),
        message("beside.without_top", percent=100 * TOP, firms=firms - rest),
    )
    table = pd.DataFrame(rows)
    return (Exhibit("beside_the_headline", "beside_the_headline", table, notes=notes),)


def _participation(model: Saturation, outcome: FloatArray) -> EstimationResult:
    above = np.where(np.isfinite(outcome), outcome > 0, np.nan)
    effects = "firm" if model.firm_effects else "cohort"
    linear = Saturated(leads=model.leads, effects=effects)
    cells = CellBuilder(model.design, linear, pool=model.pool)
    model.add(cells, fit_linear(model.reference(above)), above)
    return cells.result()


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


def _attempt(estimate: Callable[[], EstimationResult]) -> EstimationResult | None:
    """Return a result, or None where nothing is identified: the headline is, and is not lost."""
    try:
        result = estimate()
    except NotIdentifiedError:
        return None
    return result if (result.cells.index.event_time >= 0).any() else None


def _in_money(measure: str, result: EstimationResult | None, unit: str, firms: int) -> list[Row]:
    money, percent = dict.fromkeys(_ENDS, np.nan), dict.fromkeys(_ENDS, np.nan)
    if result is not None:
        overall = result.overall(_ROW)
        line, ratio = overall.table().iloc[0], overall.percent().iloc[0]
        money = {name: float(line[name]) for name in _ENDS}
        percent["estimate"] = float(ratio["percent"])
        percent["ci_low"] = float(ratio["percent_low"])
        percent["ci_high"] = float(ratio["percent_high"])
    return [
        {"measure": measure, **money, "unit": unit, "firms": firms},
        {"measure": f"{measure}_percent", **percent, "unit": "%", "firms": firms},
    ]


def _in_points(result: EstimationResult | None, firms: int) -> Row:
    values = dict.fromkeys(_ENDS, np.nan)
    if result is not None:
        line = result.overall(_ROW).table().iloc[0]
        values = {name: 100 * float(line[name]) for name in _ENDS}
    return {"measure": "participation", **values, "unit": "pp", "firms": firms}


def _spread(result: EstimationResult) -> list[Row]:
    found = concentration(result.overall(_ROW).influence[:, 0])
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
