"""Probabilities behind pre-trend tests, and how a trend moves estimates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import exportimpact as ei
from exportimpact.inference.leads import leads_of, trend_of
from exportimpact.numerics import pretrends
from exportimpact.numerics.bands import Beyond, sup_t
from exportimpact.numerics.distributions import f_quantile, noncentral_f_lower
from exportimpact.numerics.lattice import chance_in_box, mean_in_box
from exportimpact.numerics.multiple import benjamini_hochberg, holm, step_down

seeds = st.integers(0, 10_000)


def covariance_of(seed, k):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(k, k + 2))
    return a @ a.T / (k + 2)


@settings(max_examples=30)
@given(st.integers(1, 12), st.floats(2, 300), st.floats(0, 60), st.floats(0.1, 8))
def test_noncentral_f_is_scipys(k, df, ncp, f):
    assert noncentral_f_lower(f, k, df, ncp) == pytest.approx(
        stats.ncf.cdf(f, k, df, ncp), abs=1e-4
    )
    chi2 = stats.ncx2.cdf(k * f, k, ncp) if ncp else stats.chi2.cdf(k * f, k)
    assert noncentral_f_lower(f, k, np.inf, ncp) == pytest.approx(chi2, abs=1e-9)


@settings(max_examples=15)
@given(seeds, st.integers(1, 5))
def test_chance_in_a_box_is_scipys(seed, k):
    rng, v = np.random.default_rng(seed), covariance_of(seed, k)
    mean, limit = rng.normal(size=k), rng.uniform(0.5, 2.5, k)
    joint = stats.multivariate_normal(mean, v, seed=1)
    wanted = float(joint.cdf(limit, lower_limit=-limit))
    assert chance_in_box(mean, v, limit) == pytest.approx(wanted, abs=2e-3)


@settings(max_examples=10)
@given(seeds)
def test_means_after_a_quiet_test_by_integration(seed):
    """Two estimates before support: both tests against sums over a fine grid."""
    rng, v = np.random.default_rng(seed), covariance_of(seed, 2)
    error = np.sqrt(np.diag(v))
    delta, critical = rng.normal(size=2) * error, np.full(2, 1.96)
    axes = [np.linspace(-6, 6, 601) * e + d for e, d in zip(error, delta, strict=True)]
    b = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    density = stats.multivariate_normal(delta, v).pdf(b)
    density /= density.sum()
    passed = {
        "each": (np.abs(b) <= critical * error).all(axis=1),
        "joint": np.einsum("ni,ij,nj->n", b, np.linalg.inv(v), b) <= stats.chi2.ppf(0.95, 2),
    }
    found = {
        "each": pretrends.quiet_each(delta, v, critical),
        "joint": pretrends.quiet_joint(delta, v),
    }
    for name, quiet in found.items():
        inside = density * passed[name]
        assert quiet.chance == pytest.approx(inside.sum(), abs=1e-2)
        assert quiet.mean / error == pytest.approx(inside @ b / inside.sum() / error, abs=3e-2)


def test_means_after_hotellings_test_by_drawing():
    """With an estimated covariance: 60,000 draws of estimates and Wishart matrices."""
    k, nu, draws = 3, 20, 60_000
    v, delta = covariance_of(3, k), np.array([0.3, -0.6, 0.9])
    rng = np.random.default_rng(20240502)
    b = rng.multivariate_normal(delta, v, draws)
    s = stats.wishart(nu, v / nu, seed=rng).rvs(draws)
    t2 = np.einsum("ni,ni->n", b, np.linalg.solve(s, b[..., None])[..., 0])
    df = nu - k + 1
    passed = t2 * df / (k * nu) <= f_quantile(0.95, k, df)
    quiet = pretrends.quiet_joint(delta, v, df)
    error = np.sqrt(quiet.chance * (1 - quiet.chance) / draws)
    assert passed.mean() == pytest.approx(quiet.chance, abs=4 * error)
    spread = b[passed].std(axis=0) / np.sqrt(passed.sum())
    assert (np.abs(b[passed].mean(axis=0) - quiet.mean) <= 4 * spread).all()


@settings(max_examples=15)
@given(seeds, st.integers(1, 4), st.sampled_from([0.5, 0.8, 0.95]))
def test_slopes_are_found_with_their_power(seed, k, power):
    v, shape = covariance_of(seed, k), -np.arange(k, 0, -1.0)
    joint = pretrends.slope_joint(power, shape, v, 25.0)
    assert 1 - pretrends.quiet_joint(joint * shape, v, 25.0).chance == pytest.approx(
        power, abs=1e-4
    )
    critical = np.full(k, 2.6)
    each = pretrends.slope_each(power, shape, v, critical)
    assert 1 - pretrends.quiet_each(each * shape, v, critical).chance == pytest.approx(
        power, abs=1e-4
    )


@settings(max_examples=15)
@given(seeds)
def test_one_estimate_is_the_truncated_normal(seed):
    delta, error = np.random.default_rng(seed).normal(size=2)
    v = np.array([[error**2 + 0.1]])
    quiet = pretrends.quiet_each(np.array([delta]), v, np.array([1.96]))
    scale = float(np.sqrt(v[0, 0]))
    edge = 1.96 * scale
    wanted = stats.truncnorm((-edge - delta) / scale, (edge - delta) / scale, delta, scale)
    assert quiet.mean[0] == pytest.approx(wanted.mean(), rel=1e-8)
    limit = np.array([edge])
    assert mean_in_box(np.array([delta]), v, limit, quiet.chance)[0] == pytest.approx(quiet.mean[0])


@settings(max_examples=20)
@given(seeds, st.integers(2, 8))
def test_chance_of_any_is_between_one_and_all(seed, k):
    v, df = covariance_of(seed, k), np.random.default_rng(seed).choice([4.0, 30.0, np.inf], k)
    for p in (0.5, 0.05, 1e-6):
        assert p * (1 - 1e-9) <= Beyond(v, df).chance(p) <= min(k * p, 1.0) * (1 + 1e-9)
    same = Beyond(np.ones((k, k)), np.full(k, 9.0))
    assert same.chance(0.05) == pytest.approx(0.05, rel=1e-9)
    apart = Beyond(np.eye(k), np.full(k, np.inf)).chance(0.05)
    # Random points would have an error of k p sd(1 / overlap) / sqrt(2,048): 0.002 at most here.
    assert apart == pytest.approx(1 - 0.95**k, abs=4e-3)
    assert (sup_t(v, df, 0.95) >= sup_t(v, df, 0.90)).all()


@settings(max_examples=20)
@given(seeds, st.integers(2, 7))
def test_adjusted_p_values_are_ordered(seed, k):
    rng, v = np.random.default_rng(seed), covariance_of(seed, k)
    p = rng.uniform(size=k) ** 3
    p[rng.random(k) < 0.2] = np.nan
    there, df = np.isfinite(p), np.full(k, 15.0)
    down, bound, rate = step_down(p, v, df), holm(p), benjamini_hochberg(p)
    for adjusted in (down, bound, rate):
        assert np.array_equal(np.isfinite(adjusted), there)
        assert (adjusted[there] >= p[there]).all()
        assert (np.diff(adjusted[there][np.argsort(p[there])]) >= -1e-12).all()
    assert (down[there] <= bound[there] + 1e-9).all()
    assert (rate[there] <= bound[there] + 1e-12).all()
    turn = rng.permutation(k)
    again = step_down(p[turn], v[np.ix_(turn, turn)], df)
    assert again == pytest.approx(down[turn], abs=2e-3, nan_ok=True)


@settings(max_examples=10)
@given(seeds, st.floats(0.05, 3))
def test_equivalence_is_every_interval_inside(seed, margin):
    rng = np.random.default_rng(seed)
    b, error, df = rng.normal(size=4), rng.uniform(0.1, 0.5, 4), np.array([5.0, 9, 40, np.inf])
    found = pretrends.equivalence(b, error, df, margin)
    half = stats.t.ppf(0.95, np.minimum(df, 1e12)) * error
    inside = ((b + half < margin) & (b - half > -margin)).all()
    assert (found.p_value < 0.05) == inside
    assert pretrends.equivalence(b, error, df, found.smallest_margin).p_value == pytest.approx(0.05)


ESTIMATORS = [
    ei.did.GroupTime(adjust="none"),
    ei.did.Saturated(leads=True),
    ei.did.Stacked(window=(2, 1)),
]


@settings(max_examples=5)
@given(st.integers(0, 200))
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("base", ["universal", "varying"])
def test_a_trend_moves_cells_as_said(firms, estimator, base, seed):
    made = firms(seed, n_firms=40)
    frame = made.frame
    drift = 0.3 * (frame["year"] - 2010) * frame["first"].notna()
    drifting = made.changed(y=frame["y"] + drift)
    try:
        results = [m.estimate(estimator, base=base) for m in (made, drifting)]
    except ei.ExportImpactError:
        return
    moved = results[1].cells.estimate - results[0].cells.estimate
    assert moved == pytest.approx(0.3 * trend_of(results[0]), abs=1e-9)


@settings(max_examples=5)
@given(st.integers(0, 200))
def test_power_does_not_depend_on_the_base_or_the_unit(firms, seed):
    made = firms(seed, n_firms=60)
    found = []
    for base, factor in (("universal", 1.0), ("varying", 1.0), ("universal", 1000.0)):
        scaled = made.changed(y=factor * made.frame["y"])
        result = scaled.estimate(ei.did.GroupTime(adjust="none"), base=base)
        if not result.pretrend_test().applies:
            return
        leads = leads_of(result, "joint", "simple", 0.05)
        slope = leads.slope(0.8)
        found.append([slope / factor, leads.shift(slope, leads.quiet(slope))[0] / factor])
    assert found[1] == pytest.approx(found[0], rel=1e-4)
    assert found[2] == pytest.approx(found[0], rel=1e-4)
