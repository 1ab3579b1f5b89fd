"""What a matched design has to show: balance, overlap, and paths before support."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from exportimpact._typing import FloatArray
from exportimpact.core.exhibit import Exhibit
from exportimpact.design.matching.balance import PATH
from exportimpact.design.matching.matched import CohortMatch
from exportimpact.design.matching.propensity import fitted
from exportimpact.design.matching.riskset import time_name, time_of
from exportimpact.language import Message, message

if TYPE_CHECKING:
    from exportimpact.design.design import Design

_BINS = 24


def exhibits(design: Design) -> tuple[Exhibit, ...]:
    """Return sizes, balance, love plot, overlap and paths; nothing of a design without a match."""
    if design.matching is None:
        return ()
    table = design.balance()
    found = [
        Exhibit("match_sizes", "match_sizes", design.matching.sizes()),
        Exhibit("balance", "balance", table, notes=(message("match.denominator"),)),
        Exhibit("love", "love", _love(design, table)),
    ]
    found += [
        Exhibit(kind, kind, made)
        for kind, made in (("overlap", _overlap(design)), ("paths", _paths(design, table)))
        if len(made)
    ]
    return tuple(found)


def _love(design: Design, table: pd.DataFrame) -> pd.DataFrame:
    shown = table[table["kind"] != PATH][["covariate", "kind", "smd_before", "smd_after"]]
    return shown.assign(threshold=design.thresholds.smd).reset_index(drop=True)


def _overlap(design: Design) -> pd.DataFrame:
    """Return densities of the propensity on both sides, before and after matching."""
    assert design.matching is not None
    parts = [part for match in design.matching.cohorts.values() for part in _scores(match)]
    if not parts:
        return pd.DataFrame()
    name = parts[0][0]
    value, d, before, after = (
        np.concatenate([np.asarray(part[i], dtype=float) for part in parts]) for i in (1, 2, 3, 4)
    )
    edges = np.linspace(value.min(), value.max(), _BINS + 1)
    own = d > 0
    columns = {
        "supported_before": (own, before),
        "supported_after": (own, after),
        "comparison_before": (~own, before),
        "comparison_after": (~own, after),
    }
    frame = pd.DataFrame({"score": name, "low": edges[:-1], "high": edges[1:]})
    for column, (side, weight) in columns.items():
        count = np.histogram(value[side], edges, weights=weight[side])[0]
        frame[column] = count / max(float(count.sum()), 1e-300)
    return frame


def _scores(
    match: CohortMatch,
) -> Iterator[tuple[str, FloatArray, FloatArray, FloatArray, FloatArray]]:
    """Yield the propensity of a cohort; of a match on something else it is fitted to be shown."""
    risk = match.risk
    score = match.score
    if score is None:
        made = None if not risk.X.shape[1] else fitted(risk)
        if made is None or isinstance(made, Message):
            return
        name, value = "propensity", made.probability
    else:
        name, value = score.name, score.value
    yield name, value, risk.is_supported, risk.weights, match.weights


def _paths(design: Design, table: pd.DataFrame) -> pd.DataFrame:
    """Return mean outcomes by time before support, of both sides, before and after matching."""
    lags = range(design.calendar.ordinals.size)
    times = {time_name(design, lag): time_of(design, lag) for lag in lags}
    path = table[table["covariate"].isin(list(times))]
    sides = ("supported", "comparison")
    columns = [f"mean_{side}_{when}" for when in ("before", "after") for side in sides]
    frame = path[columns].reset_index(drop=True)
    frame.insert(0, "event_time", path["covariate"].map(times).to_numpy())
    frame.insert(0, "outcome", design.outcome)
    return frame.sort_values("event_time").reset_index(drop=True)
