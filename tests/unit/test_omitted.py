"""Omitted-variable bias: the formulas against regressions with the confounder in them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from exportimpact.errors import InputError
from exportimpact.numerics.distributions import t_quantile
from exportimpact.numerics.omitted import (
    PartialR2,
    TreatmentFit,
    adjusted,
    benchmark_bounds,
    benchmark_r2,
    extreme_robustness_value,
    partial_r2,
    robustness_value,
    treatment_fit,
)

FIT = TreatmentFit(0.8, 0.2, 60)


def ols(y, A, w):
    """Coefficients, classical covariance and degrees of freedom, by the normal equations."""
    inverse = np.linalg.inv((A * w[:, None]).T @ A)
    b = inverse @ (A.T @ (w * y))
    df = y.size - A.shape[1]
    return b, inverse * (w @ (y - A @ b) ** 2) / df, df


@pytest.fixture
def sample():
    rng = np.random.default_rng(3)
    n = 90
    X = np.column_stack([np.ones(n), rng.normal(size=(n, 3))])
    z = rng.normal(size=n) + X[:, 1]
    d = X @ [0.3, 0.5, -0.4, 0.1] + 0.6 * z + rng.normal(size=n)
    y = 0.4 * d + X @ [1.0, 0.7, 0.2, 0.0] + 0.9 * z + rng.normal(size=n)
    return y, d, X, z, rng.uniform(0.5, 2.0, n)


def confounder_of(share_d, share_y, y, d, X, w, rng):
    """A variable with exactly these partial R2s with d, given X, and with y, given X and d."""
    root = np.sqrt(w)

    def rest(v, *on):
        A = np.column_stack(on) * root[:, None]
        u = v - A @ np.linalg.lstsq(A, v, rcond=None)[0]
        return u / np.sqrt(u @ u)

    rd = rest(d * root, X)
    ry = rest(y * root, X, d)
    noise = rest(rng.normal(size=y.size), X, d, y)
    a, b = np.sqrt(share_d), np.sqrt(share_y * (1 - share_d))
    return (a * rd + b * ry + np.sqrt((1 - share_d) * (1 - share_y)) * noise) / root


def test_treatment_fit_is_the_regression(sample):
    y, d, X, _, w = sample
    b, V, df = ols(y, np.column_stack([d, X]), w)
    fit = treatment_fit(y, d, X, w)
    assert_allclose([fit.estimate, fit.std_error, fit.df], [b[0], np.sqrt(V[0, 0]), df], rtol=1e-10)
    twice = treatment_fit(y, d, np.column_stack([X, X[:, 1] - 2 * X[:, 2]]), w)
    assert_allclose([twice.estimate, twice.std_error], [fit.estimate, fit.std_error], rtol=1e-10)
    assert twice.df == fit.df
    zero = np.append(w, 0.0)
    padded = treatment_fit(np.append(y, 9), np.append(d, 9), np.vstack([X, X[:1]]), zero)
    assert_allclose(padded.std_error, fit.std_error, rtol=1e-10)


def test_adjusted_is_the_regression_with_the_confounder(sample):
    """Partial R2s of an actual omitted variable return the long regression."""
    y, d, X, z, w = sample
    b, V, _ = ols(y, np.column_stack([d, X, z]), w)
    long = np.column_stack([X, z])
    strength = benchmark_r2(y, d, long, w, [np.array([4])])
    fit = treatment_fit(y, d, X, w)
    shown = adjusted(fit, strength, toward_zero=bool(abs(b[0]) < abs(fit.estimate)))
    assert_allclose(shown.estimate, b[0], rtol=1e-9)
    assert_allclose(shown.std_error, np.sqrt(V[0, 0]), rtol=1e-9)
    assert_allclose(shown.t, b[0] / np.sqrt(V[0, 0]), rtol=1e-9)


@pytest.mark.parametrize("q", [0.25, 0.5, 1.0])
def test_robustness_value_by_brute_force(q, sample):
    """A confounder with both partial R2 at RV_q, put into the regression, leaves (1 - q)."""
    y, d, X, _, w = sample
    fit = treatment_fit(y, d, X, w)
    rv = robustness_value(fit, q=q)
    z = confounder_of(rv, rv, y, d, X, w, np.random.default_rng(5))
    strength = benchmark_r2(y, d, np.column_stack([X, z]), w, [np.array([4])])
    assert_allclose([strength.treatment[0], strength.outcome[0]], rv, rtol=1e-9)
    with_it = treatment_fit(y, d, np.column_stack([X, z]), w)
    assert_allclose(with_it.estimate, (1 - q) * fit.estimate, atol=1e-10)


@given(
    st.floats(0.05, 30),
    st.integers(5, 500),
    st.floats(0.1, 1.5),
    st.sampled_from([None, 0.05, 0.4]),
)
def test_nothing_weaker_than_the_robustness_value_suffices(t, df, q, alpha):
    fit = TreatmentFit(-2.0 * t, 2.0, df)
    rv = robustness_value(fit, q=q, alpha=alpha)
    xrv = extreme_robustness_value(fit, q=q, alpha=alpha)
    assert 0 <= xrv <= rv + 1e-12
    assert rv < 1
    if rv == 0:
        return
    limit = 0.0 if alpha is None else float(t_quantile(1 - alpha / 2, np.array([df - 1.0]))[0])

    def distance(rd, ry):
        shown = adjusted(fit, PartialR2(rd, ry))
        away = (shown.estimate - (1 - q) * fit.estimate) * np.sign(fit.estimate)
        return away - limit * shown.std_error

    inside = np.linspace(0, rv, 60)
    slack = 1e-7 * (abs(fit.estimate) + fit.std_error * np.sqrt(df))
    assert (distance(inside[:, None], inside[None, :]) >= -slack).all()
    # At the value itself some confounder does; for the extreme one, whatever its outcome share.
    shares = np.linspace(0, 1, 20_001)
    assert distance(np.array(rv), np.minimum(shares, rv)).min() <= slack
    assert distance(np.array(xrv), shares).min() <= slack + 1e-4 * abs(fit.estimate)


def test_robustness_value_at_a_level_takes_t_to_the_critical_value():
    rv = robustness_value(FIT, alpha=0.05)
    shown = adjusted(FIT, PartialR2(np.array(rv), np.array(rv)))
    assert_allclose(shown.t, t_quantile(0.975, np.array([59.0])), rtol=1e-10)
    assert robustness_value(TreatmentFit(0.1, 0.2, 60), alpha=0.05) == 0
    assert robustness_value(TreatmentFit(0.0, 0.2, 60)) == 0


def test_extreme_scenario():
    share = partial_r2(FIT)
    assert_allclose(extreme_robustness_value(FIT), share)
    shown = adjusted(FIT, PartialR2(np.array(share), np.array(1.0)))
    assert_allclose(shown.estimate, 0.0, atol=1e-12)


@given(st.floats(0.01, 100), st.sampled_from([1, -1]))
def test_scale_and_sign_do_not_matter(scale, sign):
    other = TreatmentFit(sign * scale * FIT.estimate, scale * FIT.std_error, FIT.df)
    assert_allclose(robustness_value(other, alpha=0.05), robustness_value(FIT, alpha=0.05))
    strength = PartialR2(np.array([0.0, 0.1, 0.6]), np.array([0.3, 0.1, 0.9]))
    ours, theirs = adjusted(FIT, strength), adjusted(other, strength)
    assert_allclose(theirs.estimate, sign * scale * ours.estimate, rtol=1e-12)
    assert_allclose(theirs.t, sign * ours.t, rtol=1e-12)
    away = adjusted(FIT, strength, toward_zero=False)
    assert_allclose(away.estimate - FIT.estimate, FIT.estimate - ours.estimate, rtol=1e-12)


def test_a_benchmark_bounds_a_confounder_that_repeats_it():
    """The confounder is orthogonal to the covariate and enters as the covariate does."""
    noise = np.random.default_rng(8).normal(size=(400, 4))
    x, z, e, u = np.linalg.qr(noise - noise.mean(axis=0))[0].T
    one, w = np.ones(400), np.ones(400)
    d = 0.5 * x + 0.5 * z + e
    y = 0.7 * x + 0.7 * z + 0.4 * d + u
    seen = benchmark_r2(y, d, np.column_stack([one, x]), w, [np.array([1])])
    bound = benchmark_bounds(seen, np.ones(1))
    actual = benchmark_r2(y, d, np.column_stack([one, x, z]), w, [np.array([2])])
    assert_allclose(bound.treatment, actual.treatment, rtol=1e-10)
    assert actual.outcome <= bound.outcome


def test_bounds_where_no_such_confounder_exists():
    benchmark = PartialR2(np.array([0.2, 0.6, 0.0]), np.array([0.1, 0.1, 0.5]))
    bound = benchmark_bounds(benchmark, np.ones((2, 1)) * [[1.0], [4.0]])
    assert np.isfinite(bound.treatment[0, [0, 2]]).all()
    assert np.isnan(bound.treatment[0, 1])
    assert np.isnan(bound.treatment[1, 0])
    assert bound.outcome[1, 2] == 1
    assert np.isnan(adjusted(FIT, bound).estimate[1, 0])
    stronger = benchmark_bounds(benchmark, np.ones(1), np.array([2.0]))
    assert stronger.outcome[0] > bound.outcome[0, 0]
    assert stronger.treatment[0] == bound.treatment[0, 0]


def test_groups_of_columns(sample):
    y, d, X, _, w = sample
    together = benchmark_r2(y, d, X, w, [np.array([1, 2]), np.array([3])])
    A, B = np.column_stack([X, d]), np.column_stack([X[:, [0, 3]], d])

    def rss(v, M):
        return w @ (v - M @ ols(v, M, w)[0]) ** 2

    assert_allclose(together.outcome[0], 1 - rss(y, A) / rss(y, B), rtol=1e-9)
    assert_allclose(together.treatment[0], 1 - rss(d, X) / rss(d, X[:, [0, 3]]), rtol=1e-9)
    twin = benchmark_r2(y, d, np.column_stack([X, X[:, 1]]), w, [np.array([1]), np.array([1, 4])])
    assert_allclose(twin.treatment[0], 0.0, atol=1e-12)
    assert twin.treatment[1] > 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: robustness_value(FIT, q=0.0),
        lambda: robustness_value(FIT, alpha=1.0),
        lambda: robustness_value(TreatmentFit(1.0, 0.0, 60)),
        lambda: partial_r2(TreatmentFit(np.nan, 1.0, 60)),
        lambda: extreme_robustness_value(TreatmentFit(1.0, 1.0, 1), alpha=0.05),
        lambda: adjusted(FIT, PartialR2(np.array(1.0), np.array(0.5))),
        lambda: adjusted(FIT, PartialR2(np.array(0.1), np.array(1.1))),
        lambda: benchmark_bounds(PartialR2(np.array(0.1), np.array(0.1)), np.array(0.0)),
        lambda: treatment_fit(np.arange(5.0), np.ones(5), np.ones((5, 1)), np.ones(5)),
        lambda: treatment_fit(np.arange(2.0), np.arange(2.0), np.ones((2, 1)), np.ones(2)),
    ],
)
def test_what_cannot_be_used_is_refused(call):
    with pytest.raises(InputError, match="EI-N01"):
        call()
