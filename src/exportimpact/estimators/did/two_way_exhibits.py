"""What the two-way fixed effects coefficient is made of, as exhibits."""

from __future__ import annotations

import numpy as np
import pandas as pd

from exportimpact._typing import FloatArray, IntArray
from exportimpact.core.exhibit import Exhibit
from exportimpact.core.protocols import DesignLike
from exportimpact.language import Message, message
from exportimpact.numerics.decompositions import bacon, sensitivity
from exportimpact.numerics.two_way_groups import Groups


def decomposed(
    design: DesignLike, groups: Groups, moves: FloatArray, start: IntArray, coefficient: float
) -> tuple[list[Exhibit], list[Message]]:
    """Return the decompositions of the static coefficient, and why one of them is not shown.

    Parameters
    ----------
    design : sealed design
    groups : Groups
        The first regressor is support.
    moves : (n_groups, n_periods)
        How each observation moves the coefficient.
    start : (n_groups,)
        Index of the first supported period, n_periods without.
    coefficient : float
    """
    weights = _weights(design, groups, moves, start)
    shown = [
        Exhibit("twfe_weights", "twfe_weights", weights),
        _sensitivity(weights, coefficient),
    ]
    why = "note.bacon_controls" if groups.X.shape[2] > 1 else "note.bacon_unbalanced"
    seen = groups.seen[:, groups.seen.any(axis=0)]
    if groups.X.shape[2] > 1 or not seen.all():
        return shown, [message(why)]
    return [*shown, _bacon(design, groups, start)], []


def _weights(
    design: DesignLike, groups: Groups, moves: FloatArray, start: IntArray
) -> pd.DataFrame:
    """Return the weight of each cohort's effect in each period, sum 1."""
    ordinals, starts = design.calendar.ordinals, np.unique(start[start < moves.shape[1]])
    supported = groups.seen & (np.arange(ordinals.size) >= start[:, None])
    weight, size = (
        np.stack([(values * supported)[start == g].sum(axis=0) for g in starts])
        for values in (groups.size[:, None] * moves, groups.size[:, None] * np.ones(moves.shape))
    )
    place, t = np.nonzero(size)
    label = design.calendar.label
    return pd.DataFrame(
        {
            "cohort": [label(int(ordinals[starts[g]])) for g in place],
            "period": [label(int(ordinals[s])) for s in t],
            "event_time": ordinals[t] - ordinals[starts[place]],
            "share": size[place, t] / size.sum(),
            "weight": weight[place, t],
        }
    )


def _sensitivity(weights: pd.DataFrame, coefficient: float) -> Exhibit:
    found = sensitivity(coefficient, weights["weight"].to_numpy(), weights["share"].to_numpy())
    rows: dict[str, float | None] = {
        "cells": len(weights),
        "negative_cells": found.negative_cells,
        "negative_share": found.negative_cells / len(weights),
        "negative_sum": found.negative_sum,
        "sigma_zero": found.sigma_zero,
        "sigma_opposite": found.sigma_opposite,
    }
    table = pd.DataFrame({"measure": list(rows), "value": pd.array(list(rows.values()), "Float64")})
    return Exhibit("twfe_sensitivity", "twfe_sensitivity", table)


def _bacon(design: DesignLike, groups: Groups, start: IntArray) -> Exhibit:
    """Return the comparisons of pairs of cohorts that the coefficient averages."""
    periods = np.flatnonzero(groups.seen.any(axis=0))
    order = np.argsort(start, kind="stable")
    place = np.searchsorted(periods, start[order])
    share = groups.size[order] / groups.size.sum()
    found = bacon(groups.y[order][:, periods], share, place)
    ordinals, n_periods = design.calendar.ordinals, groups.seen.shape[1]
    names = [
        pd.NA if s == n_periods else design.calendar.label(int(ordinals[s])) for s in start[order]
    ]
    outcome = design.outcome_spec
    table = pd.DataFrame(
        {
            "cohort": [names[c.group] for c in found],
            "against": [names[c.against] for c in found],
            "kind": [c.kind for c in found],
            "estimate": [c.estimate for c in found],
            "weight": [c.weight for c in found],
            "outcome": outcome.name,
            "scale": outcome.scale,
            "unit": outcome.unit,
        }
    )
    return Exhibit("bacon", "bacon", table)
