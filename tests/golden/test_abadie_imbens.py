"""Errors of matching estimators against R's Matching 4.10-8 on Lalonde's data (here: persons).

Numbers: EXPORTIMPACT_REFERENCE/matching_abadie_imbens. Conventions:

- Matching calls distances equal when their squares differ by no more than 1e-5, among pairs and
  among neighbours of the same side, and prints as `se` the population error.
- `se.standard` is the error of a mean of raw differences over pairs, each with its share, about the
  raw estimate, whether or not the estimate is corrected for bias. It leaves re-use out.
- `se.conditional` is the root of what the population variance exceeds the sample variance by.
- With a caliper Matching divides by all treated persons, takes the effect on those without a match
  as zero when it adds up squared deviations (as if they deviated by the whole estimate), and counts
  their variance in the sample error. Ours are of those with a match alone; `as_matching` converts.
- Without replacement Matching gives no such error (null) and goes through the file in order; ties
  then decide who is left, so that only the number of pairs is compared.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from exportimpact.numerics import abadie_imbens
from exportimpact.numerics.pairing import (
    PairingProblem,
    nearest_with_replacement,
    nearest_without_replacement,
)

COVARIATES = ["age", "educ", "black", "hisp", "married", "nodegr", "re74", "re75"]
SQUARED = 1e-5
CASES = [
    *(
        (f"{metric}{correct}/ATT/M{ratio}")
        for ratio in (1, 4)
        for metric in ("X_invvar", "X_mahalanobis")
        for correct in ("", "_biasadj")
    ),
    *(
        f"X_invvar{ending}/ATT/M{ratio}"
        for ratio in (1, 4)
        for ending in ("_varcalc2", "_biasadj_varcalc4")
    ),
    "ps_lin/ATT/M1",
    "ps_lin/ATT/M4",
    "ps_quad/ATT/M1",
    "ps_lin_caliper0.1/ATT/M1",
]


class Sides:
    """Outcomes, covariates and coordinates of both sides under one distance."""

    def __init__(self, frame, name):
        score = "ps_lin" if name.startswith("ps_lin") else "ps_quad"
        columns = [score] if name.startswith("ps") else COVARIATES
        x = frame[columns].to_numpy(dtype=float)
        self.x = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
        near = self.x
        if "mahalanobis" in name:
            near = near @ np.linalg.cholesky(np.linalg.inv(near.T @ near / len(near)))
        self.near, self.y = near, frame["re78"].to_numpy()
        self.treated = (frame["treat"] == 1).to_numpy()

    def of(self, values):
        return values[self.treated], values[~self.treated]

    def problem(self, **options):
        near = self.of(self.near)
        return PairingProblem(treated=near[0], comparison=near[1], **options)


@pytest.fixture(scope="module")
def frame(reference):
    return pd.read_csv(reference("matching_abadie_imbens") / "data.csv")


def as_matching(found, errors, variance):
    """Our errors as Matching counts treated persons without a match."""
    lost = found.unit.size - found.n_matched
    if not lost:
        return errors
    totals = (
        (errors.population * found.n_matched) ** 2 + lost * found.estimate**2,
        (errors.sample * found.n_matched) ** 2 + lost * variance,
    )
    return abadie_imbens.Errors(*(np.sqrt(total) / found.unit.size for total in totals))


@pytest.mark.golden("MatchedDifference")
@pytest.mark.parametrize("key", CASES)
def test_estimates_and_errors(key, frame, records, golden):
    name, _, ratio = key.split("/")
    sides = Sides(frame, name)
    caliper = 0.1 if "caliper" in name else np.inf
    pairs = nearest_with_replacement(
        sides.problem(caliper=caliper),
        ratio=int(ratio[1:]),
        ties="average",
        squared_tolerance=SQUARED,
    )
    raw = abadie_imbens.gaps(*sides.of(sides.y), pairs)
    found = raw
    if "biasadj" in name:
        found = abadie_imbens.corrected_gaps(*sides.of(sides.y), pairs, *sides.of(sides.x))
    variances = (abadie_imbens.pair_variance(found),) * 2
    if "varcalc" in name:
        variances = tuple(
            abadie_imbens.neighbour_variances(
                y, near, neighbours=int(name[-1]), squared_tolerance=SQUARED
            )
            for y, near in zip(sides.of(sides.y), sides.of(sides.near), strict=True)
        )
    errors = as_matching(found, abadie_imbens.errors(found, *variances), variances[0])
    expected = records("matching_abadie_imbens")
    golden(found.pair.size, expected.scalar(key, "n_pairs_unweighted"), rtol=0)
    golden(found.n_matched, expected.scalar(key, "sum_weights"), rtol=0)
    golden(found.estimate, expected.scalar(key, "estimate"), what="estimate")
    golden(errors.population, expected.scalar(key, "se_abadie_imbens"), what="population error")
    golden(errors.conditional, expected.scalar(key, "se_conditional"), what="conditional error")
    standard = np.sqrt(2 * abadie_imbens.pair_variance(raw) / raw.n_matched)
    golden(standard, expected.scalar(key, "se_standard"), what="standard error")


def test_without_replacement(frame, records, golden):
    sides = Sides(frame, "ps_lin")
    problem = sides.problem()
    pairs = nearest_without_replacement(problem, ratio=1, order=np.arange(len(problem.treated)))
    expected = records("matching_abadie_imbens")
    key = "ps_lin_noreplace/ATT/M1"
    golden(pairs.treated.size, expected.scalar(key, "n_pairs_unweighted"), rtol=0)
    assert expected.by_id[key]["scalars"]["se_abadie_imbens"] is None
