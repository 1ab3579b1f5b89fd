"""E-values: the bias factor that they stand for, symmetry, and intervals with the null in them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from exportimpact.errors import InputError
from exportimpact.numerics.evalue import (
    EValues,
    difference_e_values,
    e_value,
    risk_difference_e_values,
    risk_ratio_e_values,
)


@given(st.floats(0.01, 100))
def test_a_confounder_of_that_strength_explains_the_ratio_and_no_weaker_one(ratio):
    e = float(e_value(ratio))
    away = max(ratio, 1 / ratio)
    assert_allclose(e * e / (2 * e - 1), away, rtol=1e-9)
    assert e >= away
    assert_allclose(e_value(1 / ratio), e, rtol=1e-12)


def test_shapes_and_the_null():
    assert e_value(1.0) == 1
    assert e_value(np.array([[2.0, 0.5], [1.0, 3.0]])).shape == (2, 2)


@pytest.mark.parametrize(
    ("estimate", "lower", "upper"), [(1.2, 0.9, 1.6), (0.8, 0.6, 1.0), (1, 1, 1)]
)
def test_an_interval_with_the_null_has_limit_one(estimate, lower, upper):
    shown = risk_ratio_e_values(estimate, lower, upper)
    assert shown.limit == 1
    assert shown.estimate == float(e_value(estimate))


def test_another_null():
    shown = risk_ratio_e_values(1.3, 1.1, 1.4, null=1.05)
    assert_allclose(shown.estimate, (1.3 + np.sqrt(1.3 * (1.3 - 1.05))) / 1.05)
    assert_allclose(shown.limit, (1.1 + np.sqrt(1.1 * (1.1 - 1.05))) / 1.05)


def test_difference_goes_through_the_ratio():
    shown = difference_e_values(0.05, 0.02, 0.08, baseline=0.10)
    assert_allclose([shown.estimate, shown.limit], [e_value(1.5), e_value(1.2)])
    fewer = difference_e_values(-0.05, -0.08, -0.02, baseline=0.10)
    assert_allclose([fewer.estimate, fewer.limit], [e_value(0.5), e_value(0.8)])
    assert difference_e_values(0.01, -0.02, 0.04, baseline=0.3).limit == 1
    assert difference_e_values(-0.1, -0.12, -0.08, baseline=0.1).estimate == np.inf


def test_table_by_brute_force():
    """The limit's bias factor on a fine grid, as in R's EValue."""
    a, n1, b, n0 = 60, 200, 40, 250
    p1, p0, f = a / n1, b / n0, n1 / (n1 + n0)
    bias = np.linspace(1, p1 / p0, 2_000_001)
    difference, share = p1 - p0 * bias, f + (1 - f) / bias
    variance = (p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0 * bias**2) * share**2
    variance += difference**2 * (1 - 1 / bias) ** 2 * f * (1 - f) / (n1 + n0)
    first = bias[np.argmax(difference * share - 1.959963984540054 * np.sqrt(variance) <= 0)]
    shown = risk_difference_e_values(a, n1, b, n0)
    assert_allclose(shown.limit, e_value(first), rtol=1e-5)
    assert_allclose(shown.estimate, e_value(p1 / p0))
    assert risk_difference_e_values(b, n0, a, n1) == shown
    narrower = risk_difference_e_values(a, n1, b, n0, level=0.8)
    assert shown.limit < narrower.limit < shown.estimate


def test_tables_that_say_little():
    assert risk_difference_e_values(55, 108833, 51, 108829).limit == 1
    assert risk_difference_e_values(5, 10, 5, 10) == EValues(1.0, 1.0)
    none = risk_difference_e_values(5, 10, 0, 10)
    assert none.estimate == np.inf
    assert np.isnan(none.limit)


@pytest.mark.parametrize(
    "call",
    [
        lambda: e_value(0.0),
        lambda: e_value(np.array([1.0, -1.0])),
        lambda: risk_ratio_e_values(1.2, 1.3, 1.4),
        lambda: risk_ratio_e_values(1.2, 0.0, 1.4),
        lambda: risk_ratio_e_values(1.2, 1.1, 1.4, null=0.0),
        lambda: difference_e_values(0.1, 0.0, 0.2, baseline=0.0),
        lambda: difference_e_values(-0.3, -0.4, -0.2, baseline=0.2),
        lambda: risk_difference_e_values(11, 10, 1, 10),
        lambda: risk_difference_e_values(1, 10, 1, 10, level=0.0),
    ],
)
def test_what_cannot_be_used_is_refused(call):
    with pytest.raises(InputError, match="EI-N01"):
        call()
