"""Margins in matched and weighted samples with a known effect: errors, bias, and coverage.

Larger firms are supported more often and export more, so that the two sides are comparable only
after matching on size. Support raises log exports of every exporter by 0.1 and brings in firms that
would have had the largest exports, so that the lower bound is the effect on always-exporters. Bands
follow CONTRIBUTING and were written before the first draw.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import exportimpact as ei
from exportimpact.matching import EntropyBalancing, InverseProbability, Nearest

pytestmark = pytest.mark.calibration

DRAWS, FIRMS, EFFECT, CUT = 1000, 1000, 0.1, 1.0
MATCHERS = {
    "entropy": EntropyBalancing(),
    "odds": InverseProbability(),
    "nearest": Nearest(replace=True, ratio=3),
}


def one_draw(rng, matcher):
    size = rng.normal(0, 1, FIRMS)
    supported = rng.random(FIRMS) < 1 / (1 + np.exp(1.0 - 0.7 * size))
    ever = rng.random(FIRMS) < 1 / (1 + np.exp(-0.8 - 0.3 * size))
    log = 0.5 * size + rng.normal(0, 1, FIRMS)
    exports = ever & ((log < CUT) | supported)
    value = np.where(exports, np.exp(log + EFFECT * supported), 0.0)
    frame = pd.DataFrame(
        {
            "firm": np.tile(np.arange(FIRMS), 2),
            "year": np.repeat([2020, 2021], FIRMS),
            "exports": np.concatenate([np.zeros(FIRMS), value]),
            "size": np.tile(size, 2),
            "first": pd.array(np.tile(np.where(supported, 2021, 0), 2), dtype="Int64"),
        }
    )
    frame["first"] = frame["first"].mask(frame["first"] == 0)
    panel = ei.Panel.from_frame(
        frame, unit="firm", period="year", outcomes=[ei.Outcome("exports")], baseline=["size"]
    )
    support = ei.Assignment.from_first_period(frame, unit="firm", first_period="first")
    design = ei.Design(panel, support, outcome="exports", covariates=["size"]).match(matcher)
    table = ei.margins(design).table().set_index("quantity")
    inside = table.loc["log_effect", "ci_low"] <= EFFECT <= table.loc["log_effect", "ci_high"]
    treated = ever & supported
    truth = {
        # On the firms drawn: shares and means with and without support.
        "extensive": 100 * (treated & (log >= CUT)).sum() / supported.sum(),
        "total": np.where(treated, np.exp(log + EFFECT), 0.0)[supported].mean()
        - np.where(ever & (log < CUT), np.exp(log), 0.0)[supported].mean(),
        "log_low": EFFECT,
    }
    names = list(truth)
    return (
        table.loc[names, "estimate"].to_numpy(),
        table.loc[names, "std_error"].to_numpy(),
        np.array(list(truth.values())),
        inside,
    )


@pytest.mark.parametrize("name", MATCHERS)
def test_errors_bias_and_coverage(name):
    rng = np.random.default_rng(1979)
    found = [one_draw(rng, MATCHERS[name]) for _ in range(DRAWS)]
    estimate, error, truth = (np.array([f[i] for f in found]) for i in range(3))
    spread = estimate.std(axis=0, ddof=1)
    ratio = error.mean(axis=0) / spread
    miss = (estimate - truth).mean(axis=0) / spread
    covered = float(np.mean([f[3] for f in found]))
    print(name, "ratio", ratio.round(3), "bias", miss.round(3), "coverage", covered)
    low, high = binom.ppf([0.0005, 0.9995], DRAWS, 0.95) / DRAWS
    assert low <= covered <= high
    assert (np.abs(ratio - 1) <= 3.29 / np.sqrt(2 * DRAWS)).all()
    assert (np.abs(miss) <= 0.10 + 3 / np.sqrt(DRAWS)).all()
