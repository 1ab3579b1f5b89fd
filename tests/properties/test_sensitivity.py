"""Sensitivity intervals: against linear programmes, other optimisers, and what theory says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import linprog, minimize
from scipy.special import ndtri

from exportimpact.errors import InputError
from exportimpact.numerics import relative_magnitudes as rm
from exportimpact.numerics.relative_magnitudes import relative_magnitudes_interval
from exportimpact.numerics.smoothness import fixed_length_interval, folded_quantile

Z = float(ndtri(0.975))


@st.composite
def studies(draw, most=5):
    """Estimates with a covariance, the number before support, and weights of an effect."""
    n_before, n_after = draw(st.integers(1, most)), draw(st.integers(1, most))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    n = n_before + n_after
    root = rng.normal(size=(n, n + 3))
    covariance = root @ root.T / (n + 3) * 0.1
    estimate = rng.multivariate_normal(draw(st.floats(-1, 1)) * np.arange(n), covariance)
    kinds = [np.eye(n_after)[rng.integers(n_after)], np.full(n_after, 1 / n_after)]
    target = draw(st.sampled_from([*kinds, rng.normal(size=n_after)]))
    return estimate, covariance, n_before, target


def moments(study, change, sign, magnitude):
    """Moments A of the estimates that are at most zero, as Rambachan & Roth write them."""
    estimate, _, n_before, _ = study
    n = estimate.size
    differences = np.diff(np.insert(np.eye(n), n_before, 0.0, axis=0), axis=0)
    after, largest = differences[n_before:], sign * differences[change]
    return np.vstack([after - magnitude * largest, -after - magnitude * largest])


def by_programmes(study, change, sign, magnitude, theta, alpha, critical):
    """The hybrid test at `theta` by HiGHS: the statistic, its truncation, whether it rejects."""
    estimate, covariance, n_before, target = study
    A = moments(study, change, sign, magnitude)
    sigma = A @ covariance @ A.T
    deviation = np.sqrt(np.diagonal(sigma))
    post = A[:, n_before:]
    # tau = base theta + (what the effect of interest leaves free)
    base = target / (target @ target)
    free = np.linalg.svd(target[None])[2][1:].T
    y = A @ estimate - post @ base * theta
    X = post @ free
    equal = np.vstack([deviation, X.T])
    dual = linprog(-y, A_eq=equal, b_eq=np.eye(equal.shape[0])[0], bounds=(0, None), method="highs")
    assert dual.status == 0
    gamma, statistic = dual.x, -dual.fun
    variance = gamma @ sigma @ gamma
    if variance < 1e-14:
        return statistic, -np.inf, np.inf, statistic > 0
    direction = sigma @ gamma / variance
    rest = y - direction * statistic
    # gamma stays optimal at c where some nuisance meets rest + direction c - X d <= deviation c
    ends = []
    for way in (1.0, -1.0):
        cost = np.zeros(1 + X.shape[1])
        cost[0] = way
        slack = np.column_stack([direction - deviation, -X])
        bounds = [(None, None)] * cost.size
        found = linprog(cost, A_ub=slack, b_ub=-rest, bounds=bounds, method="highs")
        assert found.status in {0, 3}
        ends.append(found.x[0] if found.status == 0 else -way * np.inf)
    low, high = ends
    if statistic > critical:
        return statistic, low, high, True
    sd = np.sqrt(variance)
    cut = rm._truncated_quantile(np.array([low / sd]), np.array([min(high, critical) / sd]), alpha)
    return statistic, low, high, statistic > max(sd * cut[0], 0.0)


@settings(max_examples=60)
@given(
    studies(most=4),
    st.sampled_from([0.3, 1.0, 2.5]),
    st.integers(0, 3),
    st.sampled_from([1.0, -1.0]),
    st.floats(-3, 3),
)
def test_the_vertices_are_those_of_the_linear_programme(study, magnitude, change, sign, far):
    change = change % study[2]
    shared = rm._Study.of(*study, magnitude)
    test = rm._Test.of(shared, change, sign, 0.05, True)
    theta = shared.at + far * (shared.std_error + magnitude * abs(shared.changes[change]))
    statistic, low, high, rejected = by_programmes(
        study, change, sign, magnitude, theta, test.alpha, test.critical
    )
    error = np.array([shared.at - theta])
    values = error * test.on_error + test.on_change * test.change
    assert values.max() == pytest.approx(statistic, rel=1e-6, abs=1e-8)
    margin = 1e-6 * (1 + abs(statistic))
    if not (low + margin < statistic < high - margin):
        return  # on the edge between two vertices, where rounding decides
    mine = test.truncation(int(values.argmax()), values[None])
    assert_allclose([end[0] for end in mine], [low, high], rtol=1e-5, atol=1e-6)
    assert bool(test.accepts(error)[0]) is not rejected


@settings(max_examples=10)
@given(studies(), st.sampled_from([0.0, 0.5, 2.0]))
def test_the_least_favourable_critical_value_is_that_of_draws(study, magnitude):
    shared = rm._Study.of(*study, magnitude)
    test = rm._Test.of(shared, 0, 1.0, 0.5, True)
    draws = np.random.default_rng(1).multivariate_normal(
        np.zeros(4), test.covariance, 100_000, check_valid="ignore"
    )
    exceeded = (draws.max(axis=1) > test.critical).mean()
    assert exceeded == pytest.approx(0.05, abs=3.9 * np.sqrt(0.05 * 0.95 / 100_000))


@settings(max_examples=20)
@given(studies())
def test_no_violation_gives_the_conventional_interval(study):
    estimate, covariance, n_before, target = study
    found = relative_magnitudes_interval(*study, 0.0)
    half = Z * np.sqrt(target @ covariance[n_before:, n_before:] @ target)
    middle = target @ estimate[n_before:]
    assert_allclose([found.low, found.high], [middle - half, middle + half], atol=1e-7 * half)


@settings(max_examples=20)
@given(studies())
def test_no_bend_extrapolates_a_line_by_generalised_least_squares(study):
    estimate, covariance, n_before, target = study
    # estimates = slope t + effects after support, so that these are free but for the slope
    times = np.r_[np.arange(-n_before, 0), np.arange(1, target.size + 1)].astype(float)
    after = np.vstack([np.zeros((n_before, target.size)), np.eye(target.size)])
    X = np.column_stack([times, after])
    inverse = np.linalg.inv(covariance)
    bread = np.linalg.inv(X.T @ inverse @ X)
    fitted = bread @ X.T @ inverse @ estimate
    found = fixed_length_interval(*study, 0.0)
    spread = np.sqrt(target @ bread[1:, 1:] @ target)
    assert found.estimate == pytest.approx(target @ fitted[1:], abs=1e-7 * spread)
    assert_allclose(found.std_error, spread, rtol=1e-8)
    assert_allclose((found.high - found.low) / 2, Z * spread, rtol=1e-8)
    assert found.bias == 0


@settings(max_examples=30)
@given(studies(), st.sampled_from([0.01, 0.1, 0.5, 3.0]))
def test_no_other_weights_give_a_shorter_interval(study, bound):
    estimate, _, n_before, target = study
    found = fixed_length_interval(*study, bound)
    # worst bias of the chosen weights, by a linear programme over delta
    n = estimate.size
    with_zero = np.insert(np.eye(n), n_before, 0.0, axis=0)
    bends = np.diff(with_zero, n=2, axis=0)
    worst = linprog(
        -found.weights,
        A_ub=np.vstack([bends, -bends]),
        b_ub=np.full(2 * bends.shape[0], bound),
        bounds=(None, None),
        method="highs",
    )
    assert worst.status == 0
    assert -worst.fun == pytest.approx(found.bias, rel=1e-7)
    assert_allclose(found.weights[n_before:], target)
    half = (found.high - found.low) / 2
    assert_allclose(half, found.std_error * folded_quantile(found.bias / found.std_error, 0.95))
    assert half <= shortest_by_gradient(study, bound) * (1 + 1e-7)


def shortest_by_gradient(study, bound):
    """The half-length by another optimiser: weights before support, absolute values split."""
    _, covariance, n_before, target = study
    times = np.arange(1, target.size + 1)
    trend = float(target @ times)
    fixed = abs(trend) + np.abs(target @ np.clip(times[:, None] - times, 0, None)).sum()

    def half(split):
        w = np.r_[trend, split[: n_before - 1] - split[n_before - 1 :], 0.0, 0.0]
        v = np.diff(w, n=2)[::-1]  # the estimate m periods before support has w second-differenced
        a = np.r_[v, target]
        sd = np.sqrt(a @ covariance @ a)
        return sd * folded_quantile(bound * (fixed + split.sum()) / sd, 0.95)

    start = np.full(2 * (n_before - 1), 0.1)
    if start.size == 0:
        return half(start)
    options = {"ftol": 1e-14, "gtol": 1e-9, "maxiter": 500}
    bounds = [(0, None)] * start.size
    return minimize(half, start, method="L-BFGS-B", bounds=bounds, options=options).fun


@settings(max_examples=15)
@given(studies(), st.floats(0.01, 100))
def test_another_unit_scales_the_interval(study, factor):
    estimate, covariance, n_before, target = study
    scaled = factor * estimate, factor**2 * covariance, n_before, target
    for interval, own in ((relative_magnitudes_interval, 1.0), (fixed_length_interval, factor)):
        one, other = interval(*study, 0.7), interval(*scaled, 0.7 * own)
        width = factor * (one.high - one.low)
        assert_allclose(
            [other.low, other.high], [factor * one.low, factor * one.high], atol=1e-6 * width
        )


@settings(max_examples=15)
@given(studies())
def test_another_sign_mirrors_the_interval(study):
    estimate, *rest = study
    for interval in (relative_magnitudes_interval, fixed_length_interval):
        one, other = interval(estimate, *rest, 0.7), interval(-estimate, *rest, 0.7)
        width = one.high - one.low
        assert_allclose([other.low, other.high], [-one.high, -one.low], atol=1e-6 * width)


@settings(max_examples=25)
@given(studies(), st.floats(0, 3), st.floats(0, 3))
def test_allowing_more_gives_no_narrower_interval(study, one, other):
    less, more = sorted((one, other))
    for interval in (relative_magnitudes_interval, fixed_length_interval):
        narrow, wide = interval(*study, less), interval(*study, more)
        width = narrow.high - narrow.low
        assert wide.high - wide.low >= width * (1 - 1e-6)


@settings(max_examples=15)
@given(studies(), st.floats(0, 3))
def test_the_interval_holds_the_identified_set_at_the_estimates(study, magnitude):
    shared = rm._Study.of(*study, magnitude)
    reach = magnitude * np.abs(shared.changes).max() * np.abs(shared.weight).sum()
    found = relative_magnitudes_interval(*study, magnitude)
    assert found.low <= shared.at - reach
    assert shared.at + reach <= found.high


def test_a_given_grid_that_ends_first_is_said():
    study = np.array([0.1, 1.0]), np.diag([0.01, 0.04]), 1, np.ones(1)
    whole = relative_magnitudes_interval(*study, 1.0)
    assert (whole.low_open, whole.high_open) == (False, False)
    cut = relative_magnitudes_interval(*study, 1.0, grid=(0.9, 5.0))
    assert (cut.low, cut.low_open, cut.high_open) == (0.9, True, False)
    assert cut.high == pytest.approx(whole.high, abs=1e-9)


@pytest.mark.parametrize(
    "study",
    [
        (np.zeros(2), np.eye(3), 1, np.ones(1)),
        (np.zeros(1), np.eye(1), 0, np.ones(1)),
        (np.zeros(2), np.eye(2), 1, np.zeros(1)),
        (np.array([0.0, np.nan]), np.eye(2), 1, np.ones(1)),
        (np.zeros(2), np.zeros((2, 2)), 1, np.ones(1)),
        (np.zeros(2), np.array([[1.0, 0.5], [0.0, 1.0]]), 1, np.ones(1)),
    ],
)
def test_numbers_that_cannot_be_used_are_refused(study):
    for interval in (relative_magnitudes_interval, fixed_length_interval):
        with pytest.raises(InputError, match="EI-N01"):
            interval(*study, 1.0)


def test_bounds_below_zero_and_singular_covariances_are_refused():
    study = np.zeros(2), np.eye(2), 1, np.ones(1)
    for interval in (relative_magnitudes_interval, fixed_length_interval):
        with pytest.raises(InputError, match="at least 0"):
            interval(*study, -1.0)
    with pytest.raises(InputError, match="singular"):
        fixed_length_interval(np.zeros(2), np.ones((2, 2)), 1, np.ones(1), 1.0)
    with pytest.raises(InputError, match="does not hold the estimate"):
        relative_magnitudes_interval(*study, 1.0, grid=(1.0, 2.0))
