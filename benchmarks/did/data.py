"""A staggered panel of any size, the same for every package."""

from __future__ import annotations

import numpy as np
import pandas as pd

PERIODS = np.arange(2010, 2020)
COHORTS = np.array([2012, 2013, 2014, 2016, 2017, 2018])
SHARES = np.array([0.08, 0.08, 0.08, 0.08, 0.08, 0.08])
COVARIATES = ["x1", "x2"]


def panel(n_firms: int, seed: int = 1) -> pd.DataFrame:
    """Return one row per firm and year: id, year, first (0 if never), y, x1, x2, in random order.

    Covariates do not change over time. They move both the chance of support and the trend, so that
    the comparison has to be adjusted; the effect grows with time since the start.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_firms, 2))
    # Some cohorts take firms with high x1, some with high x2; half of the firms stay without.
    score = np.log(SHARES) + 0.3 * np.outer(x[:, 0], np.linspace(1, 0.3, COHORTS.size))
    score += 0.3 * np.outer(x[:, 1], np.linspace(0.3, 1, COHORTS.size))
    score = np.column_stack([np.full(n_firms, np.log(1 - SHARES.sum())), score])
    pick = (score + rng.gumbel(size=score.shape)).argmax(axis=1)
    first = np.concatenate([[0], COHORTS])[pick]
    since = PERIODS - first[:, None]
    time = PERIODS - PERIODS[0]
    y = rng.normal(size=n_firms)[:, None] + 0.2 * time + (0.1 * x @ [1.0, -0.5])[:, None] * time
    y = y + np.where((first > 0)[:, None] & (since >= 0), 0.1 * (1 + 0.2 * since), 0.0)
    y += rng.normal(size=y.shape)
    frame = pd.DataFrame(
        {
            "id": np.repeat(np.arange(n_firms), PERIODS.size),
            "year": np.tile(PERIODS, n_firms),
            "first": np.repeat(first, PERIODS.size),
            "y": y.ravel(),
            "x1": np.repeat(x[:, 0], PERIODS.size),
            "x2": np.repeat(x[:, 1], PERIODS.size),
        }
    )
    return frame.iloc[rng.permutation(len(frame))].reset_index(drop=True)
