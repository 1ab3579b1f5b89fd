"""Cluster-robust numbers and the wild bootstrap against brute force."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import scipy
from numpy.testing import assert_allclose

from exportimpact.errors import InputError
from exportimpact.numerics.cluster_robust import Clustered, two_way
from exportimpact.numerics.inversion import invert
from exportimpact.numerics.wild_cluster import draw, regression_parts

SIZES = [3, 8, 2, 12, 5, 7]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    codes = np.repeat(np.arange(len(SIZES)), SIZES)
    n = codes.size
    X = np.column_stack([np.ones(n), rng.normal(size=n) + codes, rng.normal(size=n)])
    y = X @ [1.0, 0.2, 0.0] + rng.normal(size=n) + rng.normal(size=len(SIZES))[codes]
    w = rng.uniform(0.5, 2.0, n)
    return X, y, codes, w


def adjusted(X, codes, power):
    """The n x k regressors, each cluster's times (I - H)^power, with matrices of its size."""
    bread = np.linalg.inv(X.T @ X)
    out = np.zeros_like(X)
    for g in np.unique(codes):
        rows = codes == g
        values, vectors = np.linalg.eigh(np.eye(rows.sum()) - X[rows] @ bread @ X[rows].T)
        out[rows] = vectors * values**power @ vectors.T @ X[rows]
    return out


@pytest.mark.parametrize(("kind", "power"), [("CR0", 0.0), ("CR2", -0.5), ("CR3", -1.0)])
def test_covariance_and_freedom_are_those_of_big_matrices(kind, power, data):
    X, y, codes, w = data
    fit = Clustered.of(X, y, codes, w)
    Z, z = X * np.sqrt(w)[:, None], y * np.sqrt(w)
    bread = np.linalg.inv(Z.T @ Z)
    F, e = adjusted(Z, codes, power), z - Z @ (bread @ Z.T @ z)
    parts = np.stack([F[codes == g].T @ e[codes == g] for g in range(len(SIZES))]) @ bread
    assert_allclose(fit.covariance(kind), parts.T @ parts, rtol=1e-10)
    c = np.array([0.3, 1.0, -1.0])
    rest = np.eye(len(y)) - Z @ bread @ Z.T
    forms = np.stack([rest[:, codes == g] @ F[codes == g] @ bread @ c for g in range(len(SIZES))])
    gram = forms @ forms.T
    assert_allclose(fit.freedom(c, kind), np.trace(gram) ** 2 / np.sum(gram**2), rtol=1e-9)
    one = fit.hotelling(c[None, :], kind)
    test = fit.test(c, kind=kind)
    assert_allclose(one.statistic, test.statistic**2, rtol=1e-9)
    assert_allclose(one.p_value, test.p_value, rtol=1e-8)


def test_cr2_is_unbiased_under_the_working_model(data):
    X, _, codes, _ = data
    basis = np.eye(len(codes))
    total = sum(Clustered.of(X, row, codes).covariance("CR2") for row in basis)
    # E[V] = sum over unit vectors of V, when errors are independent with variance 1
    assert_allclose(total, np.linalg.inv(X.T @ X), rtol=1e-9)


def test_cr3_is_the_jackknife(data):
    X, y, codes, _ = data
    fit = Clustered.of(X, y, codes)
    left = np.stack(
        [
            np.linalg.lstsq(X[codes != g], y[codes != g], rcond=None)[0] - fit.coefficients
            for g in range(len(SIZES))
        ]
    )
    assert_allclose(fit.covariance("CR3"), left.T @ left, rtol=1e-9)


def test_two_ways_with_one_way_twice_is_one_way(data):
    X, y, codes, _ = data
    assert_allclose(
        two_way(X, y, codes, codes), Clustered.of(X, y, codes).covariance("CR1S"), rtol=1e-10
    )


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("null", [0.0, 0.4])
def test_bootstrap_is_that_of_fits_made_again(restricted, null, data):
    X, y, codes, _ = data
    c = np.array([0.0, 1.0, 0.5])
    fit = Clustered.of(X, y, codes)
    drawn = draw(
        regression_parts(fit, c), draws=64, rng=np.random.default_rng(0), restricted=restricted
    )
    beta = fit.coefficients
    if restricted:
        towards = fit.bread @ c / (c @ fit.bread @ c)
        beta = beta - towards * (c @ beta - null)
    u, statistics = y - X @ beta, []
    for signs in product((1.0, -1.0), repeat=len(SIZES)):
        again = Clustered.of(X, X @ beta + np.array(signs)[codes] * u, codes)
        error = np.sqrt(c @ again.covariance("CR0") @ c)
        statistics.append(c @ (again.coefficients - beta) / error)
    assert_allclose(np.sort(drawn.drawn(null)), np.sort(statistics), rtol=1e-7, atol=1e-9)
    assert_allclose(drawn.std_error, np.sqrt(c @ fit.covariance("CR0") @ c), rtol=1e-10)


def test_which_weights_are_drawn(data):
    X, y, codes, _ = data
    parts = regression_parts(Clustered.of(X, y, codes), np.array([0.0, 1.0, 0.0]))
    rng = np.random.default_rng(0)
    made = [draw(parts, draws=b, rng=rng) for b in (64, 63)]
    assert [(d.weights, d.enumerated, d.n_draws) for d in made] == [
        ("rademacher", True, 64),
        ("webb", False, 63),
    ]
    many = regression_parts(Clustered.of(X, y, np.arange(len(codes))), np.array([0.0, 1.0, 0.0]))
    assert draw(many, draws=99, rng=rng).weights == "rademacher"


def test_interval_holds_what_is_not_rejected(data):
    X, y, codes, _ = data
    fit = Clustered.of(X, y, np.arange(len(codes)) // 2)
    drawn = draw(
        regression_parts(fit, np.array([0.0, 1.0, 0.0])), draws=999, rng=np.random.default_rng(1)
    )
    low, high = drawn.interval(0.9)
    assert low < drawn.estimate < high
    for end, out in ((low, -1.0), (high, 1.0)):
        assert max(drawn.p_value(end + out * away) for away in (1e-6, 0.01, 0.1, 1, 10)) <= 0.1
        assert max(drawn.p_value(end - out * near) for near in (1e-12, 1e-10)) > 0.1


def test_inversion_of_a_t_test_is_its_interval():
    def p(r):
        return 2 * float(scipy.stats.t.sf(abs(2.0 - r) / 0.5, 7))

    half = 0.5 * scipy.stats.t.ppf(0.975, 7)
    assert_allclose(invert(p, 2.0, 0.5, 0.95), (2 - half, 2 + half), rtol=1e-9)
    assert invert(lambda r: 0.06, 2.0, 0.5, 0.95) == (-np.inf, np.inf)
    assert all(map(np.isnan, invert(p, 2.0, 0.0, 0.95)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda X, codes: (X, 0 * codes), "One cluster"),
        (lambda X, codes: (np.column_stack([X, X[:, 0]]), codes), "dependent"),
        (lambda X, codes: (np.column_stack([X, 0 * X[:, 0]]), codes), "zero throughout"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change, words, data):
    X, y, codes, _ = data
    X, codes = change(X, codes)
    with pytest.raises(InputError, match=words) as caught:
        Clustered.of(X, y, codes)
    assert caught.value.code == "EI-N01"
