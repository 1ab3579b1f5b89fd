"""Imputation written out again with a dense matrix of dummies, and identities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from exportimpact.did import GroupTime, Imputation

SEED = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=12)


class Dense:
    """Least squares on firm dummies, (kind x) year dummies and x times year dummies."""

    def __init__(self, frame, *, anticipation=0, covariate=False, kinds=False, weighted=False):
        rows = frame.dropna(subset=["y"]).sort_values(["firm", "year"]).reset_index(drop=True)
        first = rows["first"].astype(float)
        base = (first.fillna(first.min()) - 1 - anticipation).clip(lower=rows["year"].min())
        at_base = frame.set_index(["firm", "year"])["x"]
        x = [at_base[key] for key in zip(rows["firm"], base, strict=True)]
        rows = rows.assign(e=rows["year"] - first, x=x, w=rows["w"] if weighted else 1.0)
        self.rows = rows.assign(treated=rows["e"] >= -anticipation)
        year = rows["year"].astype(str)
        groups = year + rows["kind"] if kinds else year
        parts = [pd.get_dummies(rows["firm"]), pd.get_dummies(groups)]
        if covariate:
            parts.append(pd.get_dummies(year).mul(rows["x"], axis=0))
        self.X = np.column_stack([part.to_numpy(float) for part in parts])
        self.anticipation = anticipation

    def solve(self, X):
        """The matrix that takes untreated outcomes to coefficients."""
        root = np.sqrt(self.rows["w"].to_numpy()[self.untreated])[:, None]
        return np.linalg.pinv(X[self.untreated] * root, rcond=1e-10) * root.T

    @property
    def untreated(self):
        return ~self.rows["treated"].to_numpy()

    def cells(self):
        """Estimate and error of every cell that can be imputed; firms that cannot leave it."""
        rows, y = self.rows, self.rows["y"].to_numpy()
        solve = self.solve(self.X)
        X0 = self.X[self.untreated]
        residual = y[self.untreated] - X0 @ (solve @ y[self.untreated])
        known = np.linalg.pinv(X0, rcond=1e-10) @ X0
        possible = np.abs(self.X @ known - self.X).max(axis=1) < 1e-8
        firms = rows["firm"].to_numpy()
        found = {}
        for key, own in rows[rows["treated"] & possible].groupby(["first", "year"]):
            u = own["w"].to_numpy() / own["w"].sum()
            effect = own["y"].to_numpy() - self.X[own.index] @ (solve @ y[self.untreated])
            mean = u @ effect
            v = -(u @ self.X[own.index]) @ solve
            psi = pd.Series(v * residual).groupby(firms[self.untreated]).sum()
            psi = psi.add(pd.Series(u * (effect - mean), own["firm"].to_numpy()), fill_value=0.0)
            found[key] = mean, np.sqrt((psi**2).sum())
        return found

    def leads(self, dummies):
        """Coefficients of further columns, and their covariance by firm."""
        X = np.column_stack([dummies, self.X])
        solve, y = self.solve(X), self.rows["y"].to_numpy()[self.untreated]
        coefficients = solve @ y
        scores = solve[: dummies.shape[1]] * (y - X[self.untreated] @ coefficients)
        firms = self.rows["firm"].to_numpy()[self.untreated]
        psi = pd.DataFrame(scores.T).groupby(firms).sum().to_numpy()
        return coefficients[: dummies.shape[1]], psi.T @ psi


options = st.fixed_dictionaries(
    {
        "anticipation": st.integers(0, 1),
        "covariate": st.booleans(),
        "kinds": st.booleans(),
        "weighted": st.booleans(),
    }
)


def estimate(one, how, **more):
    # A cohort needs a period before support and its anticipation window.
    assume(one.frame["first"].max() - how["anticipation"] > one.frame["year"].min())
    estimator = Imputation(effects="kind" if how["kinds"] else None, **more)
    one = replace(one, weight="w" if how["weighted"] else None)
    design = {"anticipation": how["anticipation"], "covariates": ["x"] if how["covariate"] else []}
    return one.estimate(estimator, **design)


@FEW
@given(seed=SEED, how=options, gaps=st.sampled_from([0.0, 0.15, 0.4]))
def test_dense_dummies(seed, how, gaps, firms):
    one = firms(seed, n_firms=36, gaps=gaps)
    expected = Dense(one.frame, **how).cells()
    result = estimate(one, how, leads=0)
    table = result.table().set_index(["cohort", "period"])
    lost = {(g, t) for g, t, _ in result.not_identified}
    assert set(table.index) == set(expected) - lost
    for key, (effect, error) in expected.items():
        if key not in lost:
            assert table.loc[key, "estimate"] == pytest.approx(effect, rel=1e-7, abs=1e-7)
            assert table.loc[key, "std_error"] == pytest.approx(error, rel=1e-6, abs=1e-7)


@settings(max_examples=6)
@given(seed=SEED, how=options, gaps=st.sampled_from([0.0, 0.15]), leads=st.integers(1, 4))
def test_leads_with_dense_dummies(seed, how, gaps, leads, firms):
    one = firms(seed, n_firms=36, n_years=6, gaps=gaps)
    dense = Dense(one.frame, **how)
    result = estimate(one, how, leads=leads)
    table = result.table()
    before = table[table["event_time"] < -how["anticipation"]]
    rows = dense.rows
    if len(before):
        found, covariance = dense.leads(
            np.column_stack(
                [
                    (rows["first"] == g).fillna(False) & (rows["year"] == t)
                    for g, t in zip(before["cohort"], before["period"], strict=True)
                ]
            ).astype(float)
        )
        at = before.index
        np.testing.assert_allclose(before["estimate"], found, rtol=1e-6, atol=1e-7)
        ours = result.covariance()[np.ix_(at, at)]
        np.testing.assert_allclose(ours, covariance, rtol=1e-6, atol=1e-8)
    for exhibit in result.exhibits:
        pooled = exhibit.table
        dummies = np.column_stack([rows["e"] == e for e in pooled["event_time"]]).astype(float)
        found, covariance = dense.leads(dummies)
        np.testing.assert_allclose(pooled["estimate"], found, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(
            pooled["std_error"] ** 2, np.diagonal(covariance), rtol=1e-6, atol=1e-8
        )
        joint = exhibit.notes[0].values
        if "wald" in joint:
            assert joint["wald"] == pytest.approx(
                found @ np.linalg.solve(covariance, found), rel=1e-5
            )


@FEW
@given(seed=SEED, weighted=st.booleans())
def test_one_cohort_and_two_periods_is_the_difference_of_mean_changes(seed, weighted, firms):
    one = firms(seed, n_years=3)
    frame = one.frame[one.frame["first"].isna() | (one.frame["first"] == one.frame["first"].min())]
    last = int(frame["first"].min())
    frame = frame[frame["year"].isin([last - 1, last])]
    one = replace(one, frame=frame, weight="w" if weighted else None)
    pair = [one.estimate(e).table() for e in (Imputation(), GroupTime(adjust="none"))]
    for name in ("estimate", "std_error", "ci_low", "ci_high", "n_supported", "n_comparison"):
        np.testing.assert_allclose(pair[0][name], pair[1][name], rtol=1e-9)


@FEW
@given(seed=SEED)
def test_leave_out_scales_each_cell(seed, firms):
    """Without noise among comparison firms only the supported firms' part is left."""
    one = firms(seed)
    never = one.frame["first"].isna()
    one = one.changed(y=one.frame["y"].where(~never, one.frame["year"] * 1.0))
    one = replace(one, frame=one.frame[never | (one.frame["first"] == one.frame["first"].min())])
    plain, refined = (
        one.estimate(Imputation(leads=0, leave_out=leave)).table() for leave in (False, True)
    )
    n = plain["n_supported"]
    np.testing.assert_allclose(refined["estimate"], plain["estimate"], rtol=1e-12)
    if (one.frame["first"].min() == one.frame["year"].min() + 1) and (n >= 2).all():
        scaled = plain["std_error"] * n / (n - 1)
        np.testing.assert_allclose(refined["std_error"], scaled, rtol=1e-9)


@FEW
@given(seed=SEED)
def test_leave_out_leaves_out_clusters(seed, firms):
    """Firms twice, clustered on the firm, are held against the other firms."""
    one = firms(seed)
    one = one.changed(origin=one.frame["firm"])
    twin = one.frame.assign(firm=one.frame["firm"] + 1000)
    twice = replace(one, frame=pd.concat([one.frame, twin]))
    results = [
        replace(f, cluster="origin").estimate(Imputation(leave_out=True)) for f in (one, twice)
    ]
    psi = [r.cells.influence.cluster_sums(r.design.cluster_codes) for r in results]
    n = len(results[0].cells.index)
    np.testing.assert_allclose(psi[1][:, :n], 2 * psi[0][:, :n], rtol=1e-8, atol=1e-8)


@FEW
@given(seed=SEED)
def test_an_effect_on_untreated_firms_without_noise_is_found_exactly(seed, firms):
    one = firms(seed, gaps=0.1)
    rng = np.random.default_rng(seed)
    frame = one.frame
    alpha = frame["firm"].map(dict(zip(frame["firm"].unique(), rng.normal(size=30), strict=True)))
    after = (frame["year"] >= frame["first"]).fillna(False)
    kind = frame["kind"].map({"a": 0.0, "b": 1.0, "c": 2.0})
    y = alpha + np.sin(frame["year"] * (1 + kind)) + 3.0 * after
    one = one.changed(y=y.where(frame["y"].notna()))
    table = one.estimate(Imputation(effects="kind")).table()
    truth = np.where(table["event_time"] >= 0, 3.0, 0.0)
    np.testing.assert_allclose(table["estimate"], truth, atol=1e-9)
