"""Coverage of effects of support that stops, comes again and comes in doses.

On the scenario of repeated support the effect is the one of the path that firms had. On doses drawn
here, every unit of support adds 0.5 on average while it lasts, so that the total effect per unit,
and the first normalised effect, are 0.5. Bands as in test_known_effects.py; seeds are 1, 2, ...
draws.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import exportimpact as ei
from exportimpact.did import Intertemporal

pytestmark = pytest.mark.calibration
DRAWS, COVERAGE = 2000, (0.9335, 0.9655)
FIRMS, YEARS, PER_UNIT = 600, np.arange(2010, 2017), 0.5


def hold(estimate, std_error, low, high, truth):
    covers = np.mean((low <= truth) & (truth <= high))
    error = np.asarray(estimate) - truth
    sd = error.std(ddof=1)
    assert COVERAGE[0] <= covers <= COVERAGE[1], covers
    ratio = np.sqrt(np.mean(np.square(std_error))) / sd
    assert abs(ratio - 1) <= 3.29 / np.sqrt(2 * DRAWS), ratio
    assert abs(error.mean()) <= sd * (0.10 + 3 / np.sqrt(DRAWS)), error.mean() / sd


def of_repeated_support(seed):
    bench = ei.synthetic.scenario("on_off_support").draw(n_firms=FIRMS, n_periods=8, seed=seed)
    design = ei.Design(bench.panel, bench.support, outcome="ln_exports", comparison="not_yet")
    one = Intertemporal().estimate(design).overall("simple", weights="observed")
    return one.estimate, one.std_error, one.ci_low, one.ci_high, bench.truth.value(one.estimand)


def of_doses(seed):
    """Total effect and first normalised effect; a firm's effect per unit has mean 0.5."""
    rng = np.random.default_rng(seed)
    n, t = FIRMS, np.arange(YEARS.size)
    first = rng.choice([2, 3, 4, YEARS.size], n, p=[0.2, 0.2, 0.2, 0.4])
    on = (rng.random((n, t.size)) < 0.6) | (t == first[:, None])
    dose = (t >= first[:, None]) * on * np.ceil(rng.gamma(2, 1, (n, 1)))
    per_unit = PER_UNIT * rng.gamma(4, 0.25, (n, 1))
    y = rng.normal(size=(n, 1)) + rng.normal(size=dose.shape) + per_unit * dose + 0.2 * t
    frame = pd.DataFrame(
        {
            "firm": np.repeat(np.arange(n), t.size),
            "year": np.tile(YEARS, n),
            "dose": dose.ravel(),
            "y": y.ravel(),
        }
    )
    panel = ei.Panel.from_frame(frame, unit="firm", period="year", outcomes=["y"])
    support = ei.Assignment.from_doses(frame, unit="firm", period="year", dose="dose")
    design = ei.Design(panel, support, outcome="y", comparison="not_yet")
    result = Intertemporal(normalized=True).estimate(design)
    rows = result.aggregate("event_time", weights="observed").table().set_index("event_time")
    columns = ["estimate", "std_error", "ci_low", "ci_high"]
    return [
        (*table[columns], PER_UNIT) for table in (result.exhibits[0].table.iloc[0], rows.loc[0])
    ]


def test_repeated_support():
    hold(*np.array([of_repeated_support(seed) for seed in range(1, DRAWS + 1)]).T)


def test_doses():
    found = np.array([of_doses(seed) for seed in range(1, DRAWS + 1)])
    for number in range(2):
        hold(*found[:, number].T)
