"""Adjusted p-values against base R and multcomp 1.4.22 (R 4.2.2; mvtnorm 1.1.3).

`multiple/p_adjust.R` prints `multiple/p_adjust.json`. multcomp's step-down ("free") is that of the
joint multivariate t; its probabilities are simulated, ours computed on fixed points, so that the
two agree to 1e-3. A brute-force step-down counts draws instead.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from exportimpact.numerics.multiple import benjamini_hochberg, holm, step_down

TEXT = (Path(__file__).parent / "multiple" / "p_adjust.json").read_text(encoding="utf-8")
EXPECTED = json.loads(TEXT)
PROBABILITY = 1e-3


def numbers(values):
    return np.array([np.nan if v is None else v for v in values])


@pytest.mark.golden
@pytest.mark.parametrize("name", ["spread", "ties", "missing", "one"])
@pytest.mark.parametrize("method", [holm, benjamini_hochberg])
def test_p_adjust(name, method, golden):
    given = EXPECTED[name]
    golden(method(numbers(given["p"])), numbers(given[method.__name__]), rtol=1e-12)


@pytest.mark.golden
@pytest.mark.parametrize("df", [0, 12])
def test_step_down(df, golden):
    given = EXPECTED[f"step_down_{df}"]
    b, v = np.array(given["b"]), np.array(given["v"]).reshape(5, 5)
    freedom = np.full(5, df or np.inf)
    p = 2 * stats.t.sf(np.abs(b) / np.sqrt(np.diag(v)), freedom)
    golden(step_down(p, v, freedom), given["p_adjusted"], rtol=0, atol=PROBABILITY)


def test_step_down_by_counting():
    """The same from 400,000 draws of the multivariate t, within 4 Monte Carlo errors."""
    given = EXPECTED["step_down_12"]
    v, freedom = np.array(given["v"]).reshape(5, 5), np.full(5, 12.0)
    t = np.abs(np.array(given["b"])) / np.sqrt(np.diag(v))
    rng = np.random.default_rng(20240501)
    draws = np.abs(rng.multivariate_normal(np.zeros(5), v, 400_000)) / np.sqrt(np.diag(v))
    draws /= np.sqrt(rng.chisquare(12, 400_000) / 12)[:, None]
    counted, largest, left = np.empty(5), 0.0, list(np.argsort(-t))
    while left:
        first = left[0]
        largest = max(largest, float((draws[:, left].max(axis=1) >= t[first]).mean()))
        counted[first] = largest
        left.pop(0)
    found = step_down(2 * stats.t.sf(t, 12), v, freedom)
    error = np.sqrt(counted * (1 - counted) / 400_000)
    assert (np.abs(found - counted) <= 4 * error + PROBABILITY / 2).all()
