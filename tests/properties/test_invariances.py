"""What must not change an estimate, or must change it in a known way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exportimpact.did import GroupTime, Imputation, Intertemporal, TwoPeriod
from exportimpact.matched import Benchmark

SEED = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=5)
X = {"covariates": ["x"]}
ESTIMATORS = [
    pytest.param(GroupTime(adjust="none"), {"comparison": "not_yet"}, id="none"),
    pytest.param(GroupTime(adjust="regression"), X | {"base": "varying"}, id="regression"),
    pytest.param(GroupTime(adjust="weighting"), X, id="weighting"),
    pytest.param(GroupTime(adjust="doubly_robust"), X | {"comparison": "not_yet"}, id="robust"),
    pytest.param(TwoPeriod(), {}, id="two_period"),
    pytest.param(Intertemporal(), {"comparison": "not_yet"}, id="intertemporal"),
    pytest.param(Imputation(leads=2), {}, id="imputation"),
    pytest.param(Imputation(effects="kind"), X, id="imputation_effects"),
    pytest.param(Benchmark(strata=("kind",)), {}, id="benchmark"),
]
every_estimator = pytest.mark.parametrize(("estimator", "options"), ESTIMATORS)


@every_estimator
@FEW
@given(seed=SEED)
def test_row_order(estimator, options, seed, firms, same):
    one = firms(seed, gaps=0.05)
    other = replace(one, frame=one.frame.sample(frac=1, random_state=seed % 2**31))
    results = [f.estimate(estimator, **options) for f in (one, other)]
    same(*results, rtol=0)
    assert results[0].provenance.seal == results[1].provenance.seal


@every_estimator
@pytest.mark.parametrize("how", ["in order", "reversed", "text"])
@FEW
@given(seed=SEED)
def test_relabelled_firms(estimator, options, how, seed, firms, same):
    one = firms(seed, gaps=0.05)
    ids = one.frame["firm"]
    renamed = {
        "in order": 3 * ids - 7,
        "reversed": 999 - ids,
        "text": "기업 " + (999 - ids).astype(str),
    }
    other = one.changed(firm=renamed[how])
    results = [f.estimate(estimator, **options) for f in (one, other)]
    same(*results, rtol=0 if how == "in order" else 1e-8)


@every_estimator
@FEW
@given(seed=SEED, by=st.integers(-100, 80))
def test_shifted_periods(estimator, options, seed, by, firms, same):
    one = firms(seed, gaps=0.05)
    other = one.changed(year=one.frame["year"] + by, first=one.frame["first"] + by)
    back = other.estimate(estimator, **options).table()
    back["cohort"] -= by
    back["period"] -= by
    pd.testing.assert_frame_equal(one.estimate(estimator, **options).table(), back)


@every_estimator
@FEW
@given(
    seed=SEED,
    scale=st.floats(0.01, 100) | st.floats(-100, -0.01),
    shift=st.floats(-1e3, 1e3),
)
@example(seed=3628801, scale=3.0, shift=0.0)
@example(seed=77939, scale=9.0, shift=0.0)
def test_rescaled_and_shifted_outcome(estimator, options, seed, scale, shift, firms):
    one = firms(seed, gaps=0.05)
    other = one.changed(y=scale * one.frame["y"] + shift)
    for by in ("simple", "event_time", "cohort", "calendar"):
        before, after = (f.estimate(estimator, **options).overall(by) for f in (one, other))
        assert after.estimate == pytest.approx(scale * before.estimate, rel=1e-6, abs=1e-7)
        assert after.std_error == pytest.approx(abs(scale) * before.std_error, rel=1e-6, abs=1e-9)
        assert after.p_value == pytest.approx(before.p_value, rel=1e-5, abs=1e-7, nan_ok=True)


@every_estimator
@pytest.mark.parametrize("scale", ["level", "logged"])
@FEW
@given(seed=SEED)
def test_firm_and_period_effects(estimator, options, scale, seed, firms, same):
    one = firms(seed, gaps=0.05)
    one = replace(one, outcome=replace(one.outcome, scale=scale, after_exit=None))
    rng = np.random.default_rng(seed)
    firm, year = one.frame["firm"], one.frame["year"]
    of_firm = firm.map(dict(zip(firm.unique(), rng.normal(0, 5, firm.nunique()), strict=True)))
    of_year = year.map(dict(zip(year.unique(), rng.normal(0, 5, year.nunique()), strict=True)))
    other = one.changed(y=one.frame["y"] + of_firm + of_year)
    same(*(f.estimate(estimator, **options) for f in (one, other)))


@every_estimator
@FEW
@given(seed=SEED)
def test_irrelevant_columns(estimator, options, seed, firms, same):
    one = firms(seed)
    noise = np.random.default_rng(seed).normal(size=len(one.frame))
    other = one.changed(noise=noise, estimate="no", treat=1)
    results = [f.estimate(estimator, **options) for f in (one, other)]
    same(*results, rtol=0)
    assert results[0].provenance.seal == results[1].provenance.seal


@every_estimator
@FEW
@given(seed=SEED, when=st.integers(-3, 0), n=st.integers(1, 6))
def test_always_supported_firms_change_the_account_only(
    estimator, options, seed, when, n, firms, same
):
    one = firms(seed, gaps=0.05)
    added = firms(seed + 1, n_firms=15).frame
    added = added[added["firm"] < 100 + n]
    added = added.assign(firm=added["firm"] + 5_000, first=one.frame["year"].min() + when)
    other = replace(one, frame=pd.concat([added, one.frame], ignore_index=True))
    before, after = (f.estimate(estimator, **options) for f in (one, other))
    same(before, after)
    assert after.sample.firms == before.sample.firms + n
    assert after.sample.remaining == before.sample.remaining
    dropped = [e.firms for e in after.sample.entries if e not in before.sample.entries]
    assert dropped == [n]


@every_estimator
@FEW
@given(seed=SEED, factor=st.floats(0.01, 100))
def test_unit_of_weights(estimator, options, seed, factor, firms, same):
    one = replace(firms(seed, gaps=0.05), weight="w")
    other = one.changed(w=factor * one.frame["w"])
    same(*(f.estimate(estimator, **options) for f in (one, other)))


def copies(frame, count):
    """Each firm `count` times (a number or a column), with its own id and the id it came from."""
    times = np.broadcast_to(count, len(frame)).astype(int)
    out = frame.loc[frame.index.repeat(times)].assign(origin=lambda f: f["firm"])
    nth = out.groupby(["firm", "year"]).cumcount()
    return out.assign(firm=1_000 * out["firm"] + nth)


@every_estimator
@FEW
@given(seed=SEED)
def test_a_weight_of_three_is_three_firms(estimator, options, seed, firms):
    one = firms(seed)
    weighted = replace(one, weight="w").estimate(estimator, **options)
    repeated = replace(one, frame=copies(one.frame, one.frame["w"])).estimate(estimator, **options)
    for by in ("simple", "event_time", "cohort", "calendar"):
        assert repeated.overall(by).estimate == pytest.approx(
            weighted.overall(by).estimate, rel=1e-7, abs=1e-9
        )


@every_estimator
@FEW
@given(seed=SEED, times=st.integers(2, 4))
def test_duplicated_firms(estimator, options, seed, times, firms):
    """Errors shrink with sqrt(copies), unless clustered on the firm that was copied."""
    one = firms(seed)
    one = one.changed(origin=one.frame["firm"])
    many = replace(one, frame=copies(one.frame, times))
    once, naive = (f.estimate(estimator, **options).table() for f in (one, many))
    np.testing.assert_allclose(naive["estimate"], once["estimate"], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(naive["std_error"] * np.sqrt(times), once["std_error"], rtol=1e-6)
    clustered = [replace(f, cluster="origin").estimate(estimator, **options) for f in (one, many)]
    for by in ("simple", "event_time", "cohort", "calendar"):
        a, b = (r.overall(by).table().iloc[0] for r in clustered)
        for name in ("estimate", "std_error", "ci_low", "ci_high", "p_value"):
            assert b[name] == pytest.approx(a[name], rel=1e-6, abs=1e-8, nan_ok=True), name
        assert b["n_supported_clusters"] == a["n_supported"]
    sums = clustered[1].cells.influence.cluster_sums(clustered[1].design.cluster_codes)
    pooled = np.sqrt((sums[:, : len(once)] ** 2).sum(axis=0)) / clustered[1].units.size
    np.testing.assert_allclose(pooled, once["std_error"], rtol=1e-6)


@settings(max_examples=4)
@given(seed=SEED)
def test_many_clusters_give_the_error_of_firms(seed, firms):
    """From 50 clusters and 20 on either side on, cluster sums are pooled as firms are."""
    one = firms(seed, n_firms=120, n_years=3)
    one = one.changed(first=one.frame["first"].where(one.frame["first"].isna(), 2011))
    clustered = replace(one, frame=copies(one.frame, 2), cluster="origin")
    a, b = (f.estimate(GroupTime(adjust="none")).table() for f in (one, clustered))
    for name in ("estimate", "std_error", "ci_low", "ci_high", "p_value"):
        np.testing.assert_allclose(a[name], b[name], rtol=1e-8, atol=1e-10)
