"""Lee's bounds against plain R on the NSW experiment: earnings in 1978 with zeros, drawn by lot.

No package of R that was to be had has these bounds with weights, ties and covariates, so that
`lee/lee.R` was written from the paper and shares nothing with ours: it sorts and fills up to the
trimmed share. Its errors are Proposition 3's formula, derivatives taken numerically with respect to
each weight, and the bootstrap. R 4.2.2; `lee/lee.json` holds what it printed.

- Errors differ from R's by what core does to every influence function: nothing, at firm level.
- The bootstrap at 445 people is 10 % (lower bound) to 17 % (tightened lower bound) above the linear
  error: the tail makes the bound bend with the trimmed share, 15 % +- 5 %, and near zero it turns.
  With 16 times as many people drawn from the same distribution the gap closes.
- Intervals of the package use Student's t; R's Imbens-Manski interval the normal.
- `pyleebounds` 0.3.0 trims a whole number of people, rounded down, so that its bounds differ by up
  to one person. Where the number is whole they agree.
"""

from __future__ import annotations

import json
from pathlib import Path

import causaldata
import numpy as np
import pandas as pd
import pytest

import exportimpact as ei
from exportimpact.numerics import lee

EXPECTED = json.loads((Path(__file__).parent / "lee" / "lee.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def nsw():
    return causaldata.nsw_mixtape.load_pandas().data


def design_of(nsw, *, earnings=None, weight=None, treat=None):
    """The experiment as a panel of two years, treated in the second; the first is not used."""
    n = len(nsw)
    earnings = nsw["re78"] if earnings is None else earnings
    treat = nsw["treat"] if treat is None else treat
    frame = pd.DataFrame(
        {
            "id": np.tile(np.arange(n), 2),
            "year": np.repeat([1977, 1978], n),
            "earnings": np.concatenate([nsw["re75"], earnings]),
            "nodegree": np.tile(nsw["nodegree"], 2),
            "w": np.tile(1.0 + nsw["age"] % 5, 2),
            "first": pd.array(np.tile(np.where(treat == 1, 1978, 0), 2), dtype="Int64"),
        }
    )
    frame["first"] = frame["first"].mask(frame["first"] == 0)
    panel = ei.Panel.from_frame(
        frame,
        unit="id",
        period="year",
        outcomes=[ei.Outcome("earnings", unit="US$")],
        baseline=["nodegree"],
        weight=weight,
    )
    support = ei.Assignment.from_first_period(frame, unit="id", first_period="first")
    return ei.Design(panel, support, outcome="earnings")


def bounds_in(table, margin, column):
    rows = table.set_index("quantity")[column]
    return [rows[f"{margin}_low"], rows[f"{margin}_high"]]


CASES = {
    "level": ("intensive", {}, {}),
    "log": ("log", {}, {}),
    "mirrored": ("intensive", {"treat": "mirrored"}, {}),
    "weighted": ("intensive", {"weight": "w"}, {}),
    "ties": ("intensive", {"weight": "w", "earnings": "thousand"}, {}),
    "tight": ("intensive", {"weight": "w"}, {"tighten": "nodegree"}),
}


@pytest.mark.golden
@pytest.mark.parametrize("name", CASES)
def test_bounds_and_errors(name, nsw, golden):
    margin, options, how = CASES[name]
    options = dict(options)
    if "treat" in options:
        options["treat"] = 1 - nsw["treat"]
    if "earnings" in options:
        options["earnings"] = 1000 * np.ceil(nsw["re78"] / 1000)
    table = ei.margins(design_of(nsw, **options), randomised=True, **how).table()
    golden(bounds_in(table, margin, "estimate"), EXPECTED[name], rtol=1e-9, what="bounds")
    # Numerical derivatives in R are good to about 1e-8, and its print to 1e-12.
    golden(bounds_in(table, margin, "std_error"), EXPECTED[f"{name}_se"], rtol=1e-6, what="errors")


@pytest.mark.golden
def test_interval_for_the_effect(golden):
    low, high = EXPECTED["level"]
    ends = lee.imbens_manski(low, high, tuple(EXPECTED["level_se"]))
    golden(ends, EXPECTED["imbens_manski"], rtol=1e-9)


@pytest.mark.golden
@pytest.mark.parametrize("name", ["level", "log", "tight"])
def test_errors_against_the_bootstrap(name, golden):
    """At 16 times the sample within the simulation error of 4,000 draws, 3.29 / sqrt(2 draws)."""
    draws = EXPECTED["bootstrap_draws"][0]
    ratio = np.divide(EXPECTED[f"bootstrap_16_{name}_se"], EXPECTED[f"{name}_se"])
    golden(ratio, [1.0, 1.0], rtol=3.29 / np.sqrt(2 * draws))
