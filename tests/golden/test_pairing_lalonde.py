"""Pairing kernels against R's MatchIt 4.7.1 and Matching 4.10-8 on Lalonde's data (here: persons).

Numbers: EXPORTIMPACT_REFERENCE/matchit_lalonde and matching_abadie_imbens. Conventions:

- Without replacement on the propensity, the comparison persons that are used, the distances and the
  effects are those of MatchIt. Who of several with the same propensity goes to whom is not: MatchIt
  takes the one that its walk through the sorted values meets first, we take the lowest index.
- Mahalanobis and scaled Euclidean distances, with replacement, and `m.order = "closest"`: effects
  depend on ties (tie_sensitivity.json). Counts, distances and the range over ties are compared.
- Matching calls distances equal when their squares differ by no more than 1e-5, keeps all who are
  as near as the last, and gives all kept the same share.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from exportimpact.numerics.pairing import (
    PairingProblem,
    closest_without_replacement,
    nearest_with_replacement,
    nearest_without_replacement,
    optimal,
)

COVARIATES = ["age", "educ", "race", "married", "nodegree", "re74", "re75"]
SCORES = {  # scale of the score, order, caliper in standard deviations
    "nn_ps": ("ps", "largest", np.inf),
    "nn_ps_caliper0.2": ("ps", "largest", 0.2),
    "nn_ps_caliper0.1": ("ps", "largest", 0.1),
    "nn_linearps_caliper0.2": ("linear", "largest", 0.2),
    "nn_ps_caliper0.05_raw": ("ps", "largest", "raw"),
    "nn_ps_data_order": ("ps", "data", np.inf),
}


class Lalonde:
    """Persons of both groups, with MatchIt's propensity, matched sets and weights."""

    def __init__(self, folder):
        self.frame = pd.read_csv(folder / "data.csv")
        self.weights = pd.read_csv(folder / "weights.csv")
        self.sets = pd.read_csv(folder / "subclass.csv")
        text = (folder / "tie_sensitivity.json").read_text(encoding="utf-8")
        self.ties = {row["method"]: row for row in json.loads(text)}
        self.treated = (self.frame["treat"] == 1).to_numpy()
        p = self.weights["ps_logit"].to_numpy()
        self.scores = {"ps": p, "linear": np.log(p / (1 - p))}

    def problem(self, x, **options):
        x = x.reshape(len(self.frame), -1)
        return PairingProblem(treated=x[self.treated], comparison=x[~self.treated], **options)

    def order(self, rule):
        score = self.scores["ps"][self.treated]
        return np.argsort(-score, kind="stable") if rule == "largest" else np.arange(score.size)

    def effect(self, found):
        y = self.frame["re78"].to_numpy()
        units = np.unique(found.treated)
        matched = found.share @ y[~self.treated][found.comparison] / units.size
        return y[self.treated][units].mean() - matched

    def partners(self, name):
        """MatchIt's comparison person of each treated one, for pairs that are complete."""
        label = self.sets[name].to_numpy()
        place = {v: j for j, v in enumerate(label[~self.treated]) if not np.isnan(v)}
        return np.array([place[v] for v in label[self.treated]])

    def used(self, name):
        return (self.weights[name] > 0).to_numpy()

    def scaled(self, whiten):
        """Covariates by their pooled within-group covariance; all levels of race by sqrt(2)."""
        frame = pd.get_dummies(self.frame[COVARIATES], columns=["race"], dtype=float)
        x = frame.to_numpy(dtype=float)
        x[:, [c.startswith("race") for c in frame]] /= np.sqrt(2)
        x /= np.sqrt(np.diagonal(self._within(x)))
        if not whiten:
            return x
        values, vectors = np.linalg.eigh(self._within(x))
        kept = values > 1e-9 * values.max()
        return x @ (vectors[:, kept] / np.sqrt(values[kept]))

    def _within(self, x):
        parts = [x[rows] - x[rows].mean(axis=0) for rows in (self.treated, ~self.treated)]
        return sum(part.T @ part for part in parts) / (len(x) - 2)


@pytest.fixture(scope="module")
def lalonde(reference):
    return Lalonde(reference("matchit_lalonde"))


def score_problem(lalonde, scale, caliper, **options):
    score = lalonde.scores[scale]
    width = 0.05 if caliper == "raw" else caliper * np.std(score, ddof=1)
    return lalonde.problem(score, caliper=width, **options)


@pytest.mark.golden
@pytest.mark.parametrize("name", SCORES)
def test_on_the_propensity(name, lalonde, records, golden):
    scale, rule, caliper = SCORES[name]
    p = score_problem(lalonde, scale, caliper)
    found = nearest_without_replacement(p, ratio=1, order=lalonde.order(rule))
    expected = records("matchit_lalonde")
    golden(found.treated.size, expected.scalar(f"{name}/effect", "n_matched_treated"), rtol=0)
    used = np.zeros(lalonde.treated.size)
    places = (np.flatnonzero(rows) for rows in (lalonde.treated, ~lalonde.treated))
    for at, indices in zip(places, (found.treated, found.comparison), strict=True):
        used[at[indices]] = 1
    golden(used, lalonde.weights[name], rtol=0, what="who is used")
    effect = expected.by_id[f"{name}/effect"]["table"][0]
    assert effect["estimator"] == "diff_in_weighted_means"
    golden(lalonde.effect(found), effect["estimate"], rtol=1e-9)
    if np.isinf(p.caliper):
        theirs = p.distance(np.arange(len(p.treated)), lalonde.partners(name))
        golden(found.distance, theirs, atol=1e-12, what="distance of each pair")


@pytest.mark.golden
def test_several_for_each_and_exact_strata(lalonde, golden):
    p, order = score_problem(lalonde, "ps", np.inf), lalonde.order("largest")
    two = nearest_without_replacement(p, ratio=2, order=order)
    golden(lalonde.effect(two), lalonde.ties["nn_ps_ratio2"]["file_order_estimate"], rtol=1e-9)
    race = lalonde.frame["race"].astype("category").cat.codes.to_numpy().astype(np.int64)
    strata = {
        "stratum_treated": race[lalonde.treated],
        "stratum_comparison": race[~lalonde.treated],
    }
    exact = nearest_without_replacement(
        score_problem(lalonde, "ps", np.inf, **strata), ratio=1, order=order
    )
    expected = lalonde.ties["nn_ps_exact_race"]["file_order_estimate"]
    golden(lalonde.effect(exact), expected, rtol=1e-9)


@pytest.mark.golden
def test_mahalanobis(lalonde, golden):
    p = lalonde.problem(lalonde.scaled(whiten=True))
    found = nearest_without_replacement(p, ratio=1, order=lalonde.order("data"))
    theirs = p.distance(np.arange(len(p.treated)), lalonde.partners("nn_mahalanobis"))
    golden(found.distance.sum(), theirs.sum(), rtol=1e-9)
    free = np.setdiff1d(np.arange(found.treated.size), found.tied)
    golden(found.distance[free], theirs[free], rtol=1e-9, atol=1e-9)


@pytest.mark.golden
def test_scaled_euclidean(lalonde, golden):
    p = lalonde.problem(lalonde.scaled(whiten=False))
    found = nearest_without_replacement(p, ratio=1, order=lalonde.order("data"))
    theirs = p.distance(np.arange(len(p.treated)), lalonde.partners("nn_scaled_euclidean"))
    # Other choices among equally near persons leave others for those who come later.
    golden(found.distance.sum(), theirs.sum(), rtol=1e-3)


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("nn_ps_closest_caliper0.2", closest_without_replacement),
        ("optimal_ps", optimal),
    ],
)
def test_effects_inside_the_range_of_ties(name, pair, lalonde, golden):
    caliper = 0.2 if "caliper" in name else np.inf
    found = pair(score_problem(lalonde, "ps", caliper), ratio=1)
    row = lalonde.ties[name]
    golden(found.treated.size, row["n_treated_min"], rtol=0)
    assert row["min_estimate"] - 1e-6 <= lalonde.effect(found) <= row["max_estimate"] + 1e-6


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "ratio", "caliper"),
    [("nn_ps_replace", 1, np.inf), ("nn_ps_replace_ratio3_cal0.2", 3, 0.2)],
)
def test_with_replacement(name, ratio, caliper, lalonde, golden):
    p = score_problem(lalonde, "ps", caliper)
    found = nearest_with_replacement(p, ratio=ratio, ties="first")
    used = lalonde.used(name)
    golden(np.unique(found.treated).size, used[lalonde.treated].sum(), rtol=0)
    row = lalonde.ties[name]
    assert row["min_estimate"] <= lalonde.effect(found) <= row["max_estimate"]
    shared = nearest_with_replacement(p, ratio=ratio, ties="average")
    mine, theirs = p.treated[shared.treated, 0], p.comparison[shared.comparison, 0]
    np.testing.assert_allclose(np.abs(mine - theirs), shared.distance)


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "ratio"),
    [
        *((name, ratio) for name in ("X_invvar", "X_mahalanobis", "ps_lin") for ratio in (1, 4)),
        ("ps_quad", 1),
    ],
)
def test_matching_keeps_all_ties(name, ratio, reference, records, golden):
    expected = records("matching_abadie_imbens")
    key = f"{name}/ATT/M{ratio}"
    frame = pd.read_csv(reference("matching_abadie_imbens") / "data.csv")
    covariates = ["age", "educ", "black", "hisp", "married", "nodegr", "re74", "re75"]
    columns = [name] if name.startswith("ps") else covariates
    x = frame[columns].to_numpy(dtype=float)
    x = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    if name == "X_mahalanobis":
        x = x @ np.linalg.cholesky(np.linalg.inv(x.T @ x / len(x)))
    treated, y = (frame["treat"] == 1).to_numpy(), frame["re78"].to_numpy()
    p = PairingProblem(treated=x[treated], comparison=x[~treated])
    found = nearest_with_replacement(p, ratio=ratio, ties="average", squared_tolerance=1e-5)
    golden(found.treated.size, expected.scalar(key, "n_pairs_unweighted"), rtol=0)
    effect = y[treated].mean() - found.share @ y[~treated][found.comparison] / treated.sum()
    golden(effect, expected.scalar(key, "estimate"), rtol=1e-9)
