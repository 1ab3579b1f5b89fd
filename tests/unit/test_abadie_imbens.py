"""Variances of matching estimators by hand and by brute force."""

from __future__ import annotations

import numpy as np
import pytest

from exportimpact.errors import InputError
from exportimpact.numerics import abadie_imbens
from exportimpact.numerics.pairing import PairingProblem, nearest_with_replacement
from exportimpact.numerics.pairing_problem import nobody


def paired(treated, comparison, **options):
    problem = PairingProblem(
        treated=np.reshape(treated, (-1, 1)), comparison=np.reshape(comparison, (-1, 1)), **options
    )
    return nearest_with_replacement(problem, ratio=1, ties="average")


def test_by_hand():
    """Units 0 and 1 share comparison unit 0; unit 2 has two equally near ones; unit 3 has none."""
    pairs = paired([0.0, 0.1, 5.0, 99.0], [0.0, 4.0, 6.0], caliper=2.0)
    y1, y0 = np.array([3.0, 5.0, 9.0, 1.0]), np.array([1.0, 2.0, 4.0])
    found = abadie_imbens.gaps(y1, y0, pairs)
    np.testing.assert_allclose(found.unit, [2, 4, 6, np.nan])
    assert (found.n_matched, found.estimate) == (3, 4.0)
    used, squares = abadie_imbens.uses(pairs, 3)
    np.testing.assert_allclose(used, [2, 0.5, 0.5])
    np.testing.assert_allclose(squares, [2, 0.25, 0.25])
    # Pairs deviate by -2, 0, 3 and 1, the last two with half a share.
    variance = abadie_imbens.pair_variance(found)
    assert variance == pytest.approx((4 + 0 + 4.5 + 0.5) / 3 / 2)
    errors = abadie_imbens.errors(found, variance, variance)
    assert errors.population == pytest.approx(np.sqrt(4 + 4 + variance * (4 - 2)) / 3)
    assert errors.sample == pytest.approx(np.sqrt(variance * (3 + 4 + 0.5)) / 3)
    assert errors.conditional == pytest.approx(
        np.sqrt(max(errors.population**2 - errors.sample**2, 0))
    )


def test_neighbours_by_brute_force():
    rng = np.random.default_rng(4)
    x, y = rng.integers(0, 6, (60, 2)).astype(float), rng.normal(size=60)
    found = abadie_imbens.neighbour_variances(y, x, neighbours=3)
    for i in range(y.size):
        distance = np.linalg.norm(x - x[i], axis=1)
        distance[i] = -1.0
        inside = distance <= np.sort(distance)[3] + 1e-9
        assert found[i] == pytest.approx(y[inside].var(ddof=1))


def test_errors_take_variances_of_each_unit():
    rng = np.random.default_rng(5)
    x1, x0 = rng.normal(size=30), rng.normal(size=80)
    y1, y0 = rng.normal(size=30) + 1, rng.normal(size=80)
    pairs = paired(x1, x0)
    found = abadie_imbens.gaps(y1, y0, pairs)
    alike = abadie_imbens.errors(found, 0.7, 0.7)
    each = abadie_imbens.errors(found, np.full(30, 0.7), np.full(80, 0.7))
    assert alike == each
    # Nobody is used twice: the population variance is that of the gaps.
    once = abadie_imbens.gaps(y1, y0[:30], paired(x1, x1))
    spread = np.sqrt(((once.unit - once.estimate) ** 2).sum()) / 30
    assert abadie_imbens.errors(once, 0.7, 0.7).population == pytest.approx(spread)


def test_correction_removes_what_is_linear_in_covariates():
    rng = np.random.default_rng(6)
    x1, x0 = rng.normal(size=(30, 2)) + 1, rng.normal(size=(90, 2))
    slope = np.array([2.0, -1.0])
    pairs = nearest_with_replacement(
        PairingProblem(treated=x1, comparison=x0), ratio=2, ties="average"
    )
    found = abadie_imbens.corrected_gaps(x1 @ slope + 3, x0 @ slope, pairs, x1, x0)
    np.testing.assert_allclose(found.pair, 3.0)


def test_one_unit_has_no_variance():
    assert np.isnan(abadie_imbens.neighbour_variances(np.ones(1), np.ones((1, 1)), neighbours=2))


@pytest.mark.parametrize(
    "call",
    [
        lambda: abadie_imbens.gaps(np.ones(2), np.ones(2), nobody()),
        lambda: abadie_imbens.neighbour_variances(np.ones(2), np.ones((2, 1)), neighbours=0),
    ],
)
def test_what_has_no_error_is_refused(call):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.code == "EI-N01"
