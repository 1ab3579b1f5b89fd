"""Proportional selection: worlds in which it holds exactly, and the equation's corner cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from exportimpact.errors import InputError
from exportimpact.numerics.oster import (
    CoefficientMovement,
    bias_adjusted,
    coefficient_movement,
    proportionality,
    r2_of_everything,
)

NORMAL = {"allow_nan": False, "allow_infinity": False}


def world(beta, delta, var_1, var_2, cov_1, var_v, var_e):
    """Population moments of y = beta d + w1 + w2 + e, where only the index w1 is observed.

    Treatment and outcome: d = (cov_1 / var_1) w1 + delta (cov_1 / var_1) w2 + v. w1 and w2 are
    orthogonal, so that cov(w2, d) / var_2 = delta cov(w1, d) / var_1: proportional selection.
    """
    slope = cov_1 / var_1
    a, b = np.array([slope, delta * slope, 1.0]), np.array([var_1, var_2, var_v])
    var_d = float(a**2 @ b)
    load_y = beta * a + np.array([1.0, 1.0, 0.0])
    var_y = float(load_y**2 @ b) + var_e
    cov_dy = float(a * load_y @ b)
    tau = var_d - slope**2 * var_1
    cov_residual = cov_dy - slope * float(load_y[0]) * var_1
    explained_by_w1 = load_y[0] ** 2 * var_1
    movement = CoefficientMovement(
        beta_short=cov_dy / var_d,
        r2_short=cov_dy**2 / var_d / var_y,
        beta_full=cov_residual / tau,
        r2_full=(explained_by_w1 + cov_residual**2 / tau) / var_y,
        var_y=var_y,
        var_d=var_d,
        var_d_residual=tau,
    )
    return movement, 1 - var_e / var_y


WORLDS = [
    (beta, delta, var_2, cov_1)
    for beta in (-0.6, 0.0, 0.4)
    for delta in (0.5, 1.0, 1.7, -0.5)
    for var_2 in (0.3, 2.0)
    for cov_1 in (0.4, -0.4)
]


@pytest.mark.parametrize(("beta", "delta", "var_2", "cov_1"), WORLDS)
def test_population_moments_return_what_made_them(beta, delta, var_2, cov_1):
    movement, r2_max = world(beta, delta, 1.0, var_2, cov_1, 0.8, 0.5)
    assert_allclose(proportionality(movement, beta=beta, r2_max=r2_max), delta, rtol=1e-8)
    solved = bias_adjusted(movement, delta=delta, r2_max=r2_max)
    gaps = np.abs(np.array([solved.beta, *solved.others]) - beta)
    assert gaps.min() < 1e-8


@pytest.mark.parametrize("beta", [-0.6, 0.0, 0.4])
def test_the_rule_finds_the_effect_when_controls_move_the_coefficient_toward_it(beta):
    movement, r2_max = world(beta, 1.0, 1.0, 0.3, 0.4, 0.8, 0.5)
    solved = bias_adjusted(movement, r2_max=r2_max)
    assert_allclose(solved.beta, beta, atol=1e-8)
    assert not solved.reverses
    assert movement.beta_short > movement.beta_full > solved.beta


def test_arrays_and_moments_agree():
    """A sample that has the population's moments exactly."""
    rng = np.random.default_rng(2)
    n = 500
    noise = rng.normal(size=(n, 4))
    noise -= noise.mean(axis=0)
    w1, w2, v, e = np.linalg.qr(noise)[0].T * np.sqrt(n) * np.sqrt([[1.0], [0.3], [0.8], [0.5]])
    d = 0.4 * w1 + 0.4 * w2 + v
    y = 0.4 * d + w1 + w2 + e
    X, short = np.column_stack([np.ones(n), w1]), np.array([True, False])
    expected, _ = world(0.4, 1.0, 1.0, 0.3, 0.4, 0.8, 0.5)
    ours = coefficient_movement(y, d, X, np.ones(n), short)
    for name, value in vars(expected).items():
        assert_allclose(getattr(ours, name), value, rtol=1e-10, err_msg=name)
    twice = coefficient_movement(
        np.tile(y, 2), np.tile(d, 2), np.tile(X, (2, 1)), np.repeat([1.0, 3.0], n), short
    )
    assert_allclose(list(vars(twice).values()), list(vars(ours).values()), rtol=1e-10)


def test_unrelated_controls_are_in_both_regressions():
    rng = np.random.default_rng(6)
    n = 300
    m, x = rng.normal(size=(2, n))
    d = m + x + rng.normal(size=n)
    y = d + m + x + rng.normal(size=n)
    X = np.column_stack([np.ones(n), m, x, 2 * x - m])
    ours = coefficient_movement(y, d, X, np.ones(n), np.array([True, True, False, False]))
    residual = d - X[:, :2] @ np.linalg.lstsq(X[:, :2], d, rcond=None)[0]
    assert_allclose(ours.var_d, residual.var(), rtol=1e-10)
    assert_allclose(ours.beta_short, residual @ y / (residual @ residual), rtol=1e-10)
    assert ours.r2_short < ours.r2_full


@given(
    st.floats(-3, 3, **NORMAL),
    st.floats(-3, 3, **NORMAL),
    st.floats(0, 0.6),
    st.floats(0, 0.3),
    st.floats(0.05, 1.0),
    st.floats(-2, 3, **NORMAL),
    st.floats(0.01, 100),
)
def test_solutions_solve_and_do_not_depend_on_units(short, full, r2, gain, tau, delta, unit):
    movement = CoefficientMovement(short, r2, full, r2 + gain, 1.0, 1.0, tau)
    r2_max, moved, gain = r2 + gain + 0.1, short - full, movement.r2_full - r2
    room = r2_max - movement.r2_full
    assume(abs(moved) > 1e-3)
    solved = bias_adjusted(movement, delta=delta, r2_max=r2_max)
    for beta in (solved.beta, *solved.others):
        nu = full - beta
        terms = [
            (delta - 1) * (tau - tau**2) * nu**3,
            tau * moved * (delta - 2) * nu**2,
            (delta * room * (1 - tau) - gain * tau - tau * moved**2) * nu,
            delta * room * moved,
        ]
        assert abs(sum(terms)) <= 1e-7 * max(map(abs, terms)) + 1e-12
    scaled = CoefficientMovement(
        short * unit, r2, full * unit, movement.r2_full, unit**4, unit**2, tau * unit**2
    )
    again = bias_adjusted(scaled, delta=delta, r2_max=r2_max)
    assert_allclose(again.beta, unit * solved.beta, rtol=1e-6, atol=1e-9 * unit)


def test_quadratic_is_the_limit_of_the_cubic():
    movement, r2_max = world(0.4, 1.0, 1.0, 0.3, 0.4, 0.8, 0.5)
    near = bias_adjusted(movement, delta=1 + 1e-9, r2_max=r2_max)
    assert_allclose(near.beta, bias_adjusted(movement, r2_max=r2_max).beta, atol=1e-7)
    assert len(near.others) == 2


def test_corner_cases():
    movement, _ = world(0.4, 1.0, 1.0, 0.3, 0.4, 0.8, 0.5)
    no_room = bias_adjusted(movement, r2_max=movement.r2_full)
    assert_allclose(no_room.beta, movement.beta_full)
    assert not no_room.reverses
    still = replace(movement, beta_short=movement.beta_full)
    assert_allclose(bias_adjusted(still, r2_max=0.9).beta, movement.beta_full)
    assert_allclose(bias_adjusted(movement, delta=0.0, r2_max=0.9).beta, movement.beta_full)
    assert proportionality(movement, beta=movement.beta_full, r2_max=0.9) == 0
    nothing = replace(still, var_d_residual=movement.var_d, r2_short=movement.r2_full)
    assert np.isnan(proportionality(nothing, beta=nothing.beta_full))
    assert np.isnan(proportionality(nothing)) or np.isinf(proportionality(nothing))


def test_default_r2():
    movement, _ = world(0.4, 1.0, 1.0, 0.3, 0.4, 0.8, 0.5)
    assert_allclose(r2_of_everything(replace(movement, r2_full=0.5)), 0.65)
    assert r2_of_everything(replace(movement, r2_full=0.8)) == 1
    chosen = r2_of_everything(movement)
    assert proportionality(movement) == proportionality(movement, r2_max=chosen)
    assert bias_adjusted(movement) == bias_adjusted(movement, r2_max=chosen)


def test_what_cannot_be_used_is_refused():
    movement, _ = world(0.4, 1.0, 1.0, 0.3, 0.4, 0.8, 0.5)
    y, ones = np.arange(6.0), np.ones(6)
    X = np.column_stack([ones, y])
    for call in (
        lambda: proportionality(movement, r2_max=0.9 * movement.r2_full),
        lambda: bias_adjusted(movement, r2_max=1.01),
        lambda: bias_adjusted(replace(movement, var_d_residual=2 * movement.var_d)),
        lambda: proportionality(replace(movement, var_y=0.0)),
        lambda: coefficient_movement(y, y, X, ones, np.array([True, False])),
        lambda: coefficient_movement(ones, y**2, X, ones, np.array([True, False])),
    ):
        with pytest.raises(InputError, match="EI-N01"):
            call()
