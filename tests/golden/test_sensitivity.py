"""Sensitivity to departures from parallel trends against R's HonestDiD on two published studies.

Numbers: EXPORTIMPACT_REFERENCE/honestdid (R 4.2.2, HonestDiD 0.2.6; each record names its command).
Benzarti & Carloni (BC) with 4 periods on either side, Lovenheim & Willen (LW) with 9 and 23.
Conventions that differ from ours:

- HonestDiD tests the points of a grid over 20 standard errors to either side of zero and prints the
  outermost that it does not reject. Ours are the ends themselves: rounded inwards to its grid they
  are its numbers. Where its grid ends first (BC: upper ends at Mbar = 2 and of all averages), it
  prints the end of the grid; ours goes on, and with the same grid says that it ended.
- Its least-favourable critical value is the 99.5 % quantile of 1,000 simulated draws, which is off
  by 0.15 standard deviations (one standard error); ours is exact. The ends of the hybrid interval
  may differ by 3.29 of these and a step of the grid.
- Its quantile of the folded normal is simulated as well: 1.96224 for 1.95996, from a million draws
  that `r_normals` repeats. With them our length for M = 0 is HonestDiD's to 1e-6, and the middle to
  1.2e-3 half-lengths: its solver stops at a standard deviation 6e-8 above that of generalised least
  squares, which is ours. For M > 0 its search for the shortest interval stops early, where it is up
  to 1.6e-4 longer than the shortest. Lengths agree to 1e-3. The middle moves more, because other
  combinations of the estimates are nearly as good; we check that its own middle is one of these.
- Its conditional hybrid for smoothness (`C-LF`) and sign restrictions are not offered.
"""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

from exportimpact.numerics.relative_magnitudes import relative_magnitudes_interval
from exportimpact.numerics.smoothness import (
    FixedLength,
    fixed_length_interval,
    folded_quantile,
)

STUDIES, EFFECTS = ("BC", "LW"), ("first", "average")
POINTS = {"BC": 400, "LW": 100}
SIMULATED = np.sqrt(0.005 * 0.995 / 1000) / 0.0145
"""Error of a 99.5 % quantile of 1,000 draws: the density of the normal is 0.0145 there."""


@pytest.fixture(scope="module")
def studies(reference):
    found = {}
    for name in STUDIES:
        text = (reference("honestdid") / f"input_{name}.json").read_text(encoding="utf-8")
        given = json.loads(text)
        sigma = np.array(given["sigma"])  # printed with 15 digits, symmetric but for the last
        found[name] = np.array(given["betahat"]), (sigma + sigma.T) / 2, given["numPrePeriods"]
    return found


@pytest.fixture(scope="module")
def expected(records):
    return lambda name: pd.DataFrame(records("honestdid").by_id[name]["table"])


def weights(study, effect):
    n_after = study[0].size - study[2]
    return np.eye(n_after)[0] if effect == "first" else np.full(n_after, 1 / n_after)


@cache
def r_normals() -> np.ndarray:
    """The draws of set.seed(0); rnorm(1e6) in R: Mersenne Twister, inversion of 53 bits."""
    seed, state = 0, []
    for at in range(50 + 625):
        seed = (69069 * seed + 1) % 2**32
        if at >= 50:
            state.append(seed)
    generator = np.random.MT19937()
    known = generator.state
    known["state"] = {"key": np.array(state[1:], dtype=np.uint32), "pos": 624}
    generator.state = known
    u = generator.random_raw(2 * 10**6) * 2.3283064365386963e-10
    return ndtri((np.floor(2**27 * u[::2]) + u[1::2]) / 2**27)


def simulated_half(interval: FixedLength) -> float:
    """The half-length that HonestDiD would give this combination of the estimates."""
    mean = interval.bias / interval.std_error
    return interval.std_error * np.quantile(np.abs(r_normals() + mean), 0.95)


def test_the_draws_are_those_of_r():
    assert r_normals()[:3] == pytest.approx([1.262954285, -0.326233361, 1.329799263], abs=1e-9)


@pytest.mark.parametrize("name", STUDIES)
def test_original(studies, expected, golden, name):
    estimate, covariance, n_before = studies[name]
    row = expected(f"{name}/original").iloc[0]
    middle, std_error = estimate[n_before], np.sqrt(covariance[n_before, n_before])
    ends = middle + ndtri(0.975) * std_error * np.array([-1, 1])
    golden(ends, [row["lb"], row["ub"]], rtol=1e-8, what="interval under parallel trends")


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("name", STUDIES)
def test_smoothness(studies, expected, golden, name, effect):
    study = studies[name]
    for _, row in expected(f"{name}/DeltaSD_FLCI_{effect}").iterrows():
        ours = fixed_length_interval(*study, weights(study, effect), row["M"])
        half, middle = (row["ub"] - row["lb"]) / 2, (row["ub"] + row["lb"]) / 2
        at_zero = row["M"] == 0
        rtol = 1e-6 if at_zero else 1e-3
        golden(simulated_half(ours), half, rtol=rtol, what=f"half-length at M = {row['M']}")
        shortest = (ours.high - ours.low) / 2
        if at_zero:
            golden(ours.estimate, middle, rtol=0, atol=2e-3 * half, what="middle")
            continue
        golden(shortest, half, rtol=1e-3, what=f"half-length at M = {row['M']}, exact quantile")
        near = half_length_with_middle(study, weights(study, effect), row["M"], middle)
        assert shortest <= near * (1 + 1e-12)
        golden(near, shortest, rtol=2e-4, what="half-length at its middle")


def half_length_with_middle(study, target, bound, middle) -> float:
    """The shortest half-length of combinations on the path of ours that have a given middle."""
    estimate, covariance, n_before = study
    best = np.inf
    previous = None
    # Other bounds and levels choose other combinations on the same path of variance and bias.
    for other in bound * np.geomspace(0.5, 2, 100):
        at = fixed_length_interval(estimate, covariance, n_before, target, other)
        bias = at.bias * bound / other
        here = at.estimate, at.std_error * folded_quantile(bias / at.std_error, 0.95)
        if previous is not None and min(previous[0], here[0]) <= middle <= max(
            previous[0], here[0]
        ):
            best = min(best, max(previous[1], here[1]))
        previous = here
    return best


@pytest.mark.parametrize("name", STUDIES)
def test_relative_magnitudes_conditional(studies, expected, golden, name):
    study, points = studies[name], POINTS[name]
    target = weights(study, "first")
    std_error = np.sqrt(study[1][study[2], study[2]])
    theirs = np.linspace(-20 * std_error, 20 * std_error, points)
    for _, row in expected(f"{name}/DeltaRM_Conditional_first").iterrows():
        ours = relative_magnitudes_interval(*study, target, row["Mbar"], hybrid=False)
        assert not ours.low_open
        assert not ours.high_open
        inside = theirs[(theirs >= ours.low) & (theirs <= ours.high)]
        golden([inside[0], inside[-1]], [row["lb"], row["ub"]], rtol=1e-8, what="on its grid")


def test_the_end_of_the_grid_is_said(studies, expected):
    study = studies["BC"]
    end = 20 * np.sqrt(study[1][4, 4])
    row = expected("BC/DeltaRM_C-LF_first").iloc[-1]
    assert row["ub"] == pytest.approx(end)
    same = relative_magnitudes_interval(*study, weights(study, "first"), 2.0, grid=(-end, end))
    assert same.high == pytest.approx(row["ub"])
    assert (same.low_open, same.high_open) == (False, True)


@pytest.mark.parametrize(("name", "effect"), [("BC", "first"), ("BC", "average"), ("LW", "first")])
def test_relative_magnitudes_hybrid(studies, expected, golden, name, effect):
    study, target = studies[name], weights(studies[name], effect)
    std_error = np.sqrt(target @ study[1][study[2] :, study[2] :] @ target)
    step = 40 * std_error / (POINTS[name] - 1)
    for _, row in expected(f"{name}/DeltaRM_C-LF_{effect}").iterrows():
        ours = relative_magnitudes_interval(*study, target, row["Mbar"])
        assert not ours.low_open
        assert not ours.high_open
        end = 20 * std_error - 1e-6 * step
        noise = 3.29 * SIMULATED * std_error
        for mine, printed, inwards in ((ours.low, row["lb"], 1), (ours.high, row["ub"], -1)):
            if abs(printed) >= end:
                assert abs(mine) > end
                continue
            middle = printed - inwards * step / 2
            golden(mine, middle, rtol=0, atol=step / 2 + noise, what=f"end at {row['Mbar']}")
