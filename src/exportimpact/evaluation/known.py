"""Effects that are known because the panel is synthetic, for the rows of a result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from exportimpact.core.estimand import Estimand
from exportimpact.core.result import EstimationResult
from exportimpact.errors import InputError


@runtime_checkable
class Oracle(Protocol):
    """Anything that answers an estimand, such as the truth of a synthetic draw."""

    def value(self, estimand: Estimand, *, percent: bool = False) -> float:
        """Return the true value of `estimand` in the outcome's unit."""
        ...


Known: TypeAlias = Oracle | Mapping[str, float]
"""An oracle, or the known average effect of each outcome in its own unit."""


def known_value(known: Known | None, estimand: Estimand) -> float:
    """Return the known value of one row, NaN where it is not known.

    An oracle is asked for the effect in the population that firms are drawn from, which is what
    standard errors refer to, and where it does not know that one, for the effect on these firms.
    """
    if known is None:
        return math.nan
    if isinstance(known, Mapping):
        return float(known.get(estimand.outcome, math.nan)) if estimand.overall else math.nan
    for wanted in (estimand, estimand.in_population("sample")):
        try:
            return float(known.value(wanted))
        except InputError:  # the scenario does not answer this estimand
            continue
    return math.nan


def known_percent(known: Known | None, estimand: Estimand) -> float:
    """Return the known value of one row in percent (points of a binary outcome), or NaN."""
    value, scale = known_value(known, estimand), estimand.scale
    if scale in {"log", "logged"}:
        return 100 * math.expm1(value)
    if scale == "binary":
        return 100 * value
    if known is None or isinstance(known, Mapping):
        return math.nan
    for wanted in (estimand, estimand.in_population("sample")):
        try:
            percent = float(known.value(wanted, percent=True))
        except InputError:  # the scenario does not answer this estimand
            continue
        if math.isfinite(percent):
            return percent
    return math.nan


def known_rows(known: Known | None, result: EstimationResult) -> Sequence[float]:
    """Return the known value of every row of `result`."""
    estimand = result.estimand
    if estimand.overall:
        return [known_value(known, estimand)]
    if result.rows is None:
        return [known_value(known, estimand.at(pair)) for pair in estimand.cells]
    return [math.nan if k is None else known_value(known, estimand.at(k)) for k in result.rows.keys]
