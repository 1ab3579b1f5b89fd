"""Rosenbaum bounds: brute force, Gamma = 1, monotonicity, symmetries, and little or no data."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from exportimpact.errors import InputError
from exportimpact.numerics import rosenbaum
from exportimpact.numerics.rosenbaum import (
    breakdown,
    hodges_lehmann_bounds,
    set_differences,
    sign_test_bounds,
    sign_test_breakdown,
    signed_rank_bounds,
    signed_rank_interval,
)

GAMMAS = np.array([1.0, 1.2, 2.0, 5.0])
WHOLE = st.lists(st.integers(-6, 6), min_size=5, max_size=40).filter(any)


def draw(n, shift=0.4, seed=1):
    return np.random.default_rng(seed).normal(shift, 1.0, n)


def every_sign_pattern(differences, p, zeros="wilcox"):
    """P(T >= t) over all signs of the non-zero differences, each positive with probability p."""
    d = differences[differences != 0] if zeros == "wilcox" else differences
    ranks = stats.rankdata(np.abs(d))[d != 0]
    observed = ranks[d[d != 0] > 0].sum()
    tail = 0.0
    for signs in itertools.product([0, 1], repeat=ranks.size):
        chosen = np.array(signs)
        if chosen @ ranks >= observed - 1e-9:
            tail += p ** chosen.sum() * (1 - p) ** (ranks.size - chosen.sum())
    return tail


@pytest.mark.parametrize("zeros", ["wilcox", "pratt"])
@pytest.mark.parametrize("d", [draw(9), np.array([0, 0, 1, 1, -1, 2, 3, 3, -2, 0.0])])
def test_exact_bounds_are_those_of_every_sign_pattern(d, zeros):
    bounds = signed_rank_bounds(d, GAMMAS, zeros=zeros)
    for at, gamma in enumerate(GAMMAS):
        assert_allclose(bounds.upper[at], every_sign_pattern(d, gamma / (1 + gamma), zeros))
        assert_allclose(bounds.lower[at], every_sign_pattern(d, 1 / (1 + gamma), zeros))


@pytest.mark.parametrize("direction", ["greater", "less"])
@pytest.mark.parametrize("zeros", ["wilcox", "pratt"])
@pytest.mark.parametrize("n", [12, 200])
def test_without_hidden_bias_it_is_wilcoxons_test(n, zeros, direction):
    untied, tied = draw(n), np.round(draw(n), 1)
    for d, how, ours in (
        (untied, "exact", "exact"),
        (untied, "approx", "normal"),
        (tied, "approx", "normal"),
    ):
        if n > 100 and how == "exact":
            continue
        theirs = stats.wilcoxon(d, alternative=direction, zero_method=zeros, method=how)
        bounds = signed_rank_bounds(d, [1.0], direction=direction, zeros=zeros, method=ours)
        assert_allclose(bounds.upper, theirs.pvalue, rtol=1e-10)
        assert_allclose(bounds.lower, bounds.upper)


def test_sign_test_is_mcnemars():
    assert_allclose(
        sign_test_bounds(22, 20, [1.0]).upper,
        stats.binomtest(22, 42, alternative="greater").pvalue,
    )
    bounds = sign_test_bounds(8, 3, GAMMAS)
    assert_allclose(bounds.upper, stats.binom.sf(7, 11, GAMMAS / (1 + GAMMAS)))
    assert_allclose(bounds.lower, stats.binom.sf(7, 11, 1 / (1 + GAMMAS)))
    assert_allclose(sign_test_bounds(0, 3, GAMMAS).upper, 1.0)


def test_sign_test_is_the_exact_signed_rank_test_of_a_binary_outcome():
    d = np.repeat([1.0, -1.0, 0.0], [30, 12, 50])
    ranks = signed_rank_bounds(d, GAMMAS, method="exact")
    assert_allclose(ranks.upper, sign_test_bounds(30, 12, GAMMAS).upper, rtol=1e-10)
    by_ranks, by_signs = breakdown(d, method="exact"), sign_test_breakdown(30, 12)
    assert_allclose(by_ranks.gamma, by_signs.gamma, rtol=1e-9)
    assert by_ranks.n_pairs == by_signs.n_pairs == 42


@given(WHOLE, st.sampled_from(["exact", "normal"]), st.sampled_from(["wilcox", "pratt"]))
def test_bounds_widen_with_gamma(values, method, zeros):
    d, gamma = np.array(values, dtype=float), np.linspace(1, 8, 30)
    bounds = signed_rank_bounds(d, gamma, zeros=zeros, method=method)
    estimate = hodges_lehmann_bounds(d, gamma)
    interval = signed_rank_interval(d, gamma, method=method)
    for shown, slack in ((bounds, 1e-12), (estimate, 0), (interval, 0)):
        assert (shown.lower[1:] <= shown.lower[:-1] + slack).all()
        assert (shown.upper[1:] >= shown.upper[:-1] - slack).all()
        assert (shown.lower <= shown.upper + slack).all()
    assert (interval.lower <= estimate.lower).all()
    assert (estimate.upper <= interval.upper).all()


@given(WHOLE, st.floats(0.01, 100))
def test_scale_sign_and_order_do_not_matter(values, scale):
    d = np.array(values, dtype=float)
    plain = signed_rank_bounds(d, GAMMAS)
    assert_allclose(signed_rank_bounds(scale * d[::-1], GAMMAS).upper, plain.upper)
    turned = signed_rank_bounds(-d, GAMMAS, direction="less")
    assert_allclose(turned.upper, plain.upper)
    assert_allclose(turned.lower, plain.lower)
    for bounds in (hodges_lehmann_bounds, signed_rank_interval):
        ours, mirrored, moved = bounds(d, GAMMAS), bounds(-scale * d, GAMMAS), bounds(d + 3, GAMMAS)
        assert_allclose(mirrored.lower, -scale * ours.upper, atol=1e-9)
        assert_allclose(mirrored.upper, -scale * ours.lower, atol=1e-9)
        assert_allclose(moved.lower, ours.lower + 3)


def test_estimate_without_hidden_bias_is_the_median_of_averages():
    d = draw(31)
    i, j = np.triu_indices(d.size)
    bounds = hodges_lehmann_bounds(d, [1.0])
    assert_allclose(bounds.lower, np.median((d[i] + d[j]) / 2))
    assert_allclose(bounds.lower, bounds.upper)


@pytest.mark.parametrize("gamma", [1.0, 1.3, 2.0])
def test_estimates_put_the_statistic_at_its_expectation(gamma):
    d = draw(40)
    bounds = hodges_lehmann_bounds(d, [gamma])
    total = d.size * (d.size + 1) / 2

    def statistic(shift):
        return stats.rankdata(np.abs(d - shift))[d > shift].sum()

    for shift, share in (
        (bounds.lower[0], gamma / (1 + gamma)),
        (bounds.upper[0], 1 / (1 + gamma)),
    ):
        assert statistic(shift - 1e-9) >= total * share >= statistic(shift + 1e-9)


@pytest.mark.parametrize("method", ["exact", "normal"])
@pytest.mark.parametrize("gamma", [1.0, 1.5])
def test_limits_are_where_the_test_begins_to_reject(method, gamma):
    d = draw(20, shift=1.0)
    limits = signed_rank_interval(d, [gamma], method=method)
    for limit, direction, inward in (
        (limits.lower[0], "greater", 1e-9),
        (limits.upper[0], "less", -1e-9),
    ):
        p = [
            signed_rank_bounds(d - at, [gamma], direction=direction, method=method).upper[0]
            for at in (limit - inward, limit + inward)
        ]
        assert p[0] <= 0.025 < p[1]


def test_few_pairs_exclude_nothing():
    limits = signed_rank_interval(np.array([1.0, 2.0, 3.0]), [1.0])
    assert limits.lower == -np.inf
    assert limits.upper == np.inf


def test_many_pairs_are_searched_not_sorted(monkeypatch):
    d = np.sort(np.round(draw(60), 1))
    order = np.array([1, 2, 500, 915, 1829, 1830])
    sorted_out = rosenbaum._walsh_averages(d, order)
    monkeypatch.setattr(rosenbaum, "_SORTED_PAIRS", 0)
    assert_allclose(rosenbaum._walsh_averages(d, order), sorted_out, rtol=1e-14, atol=1e-14)
    same = np.full(8, 2.5)
    assert_allclose(rosenbaum._walsh_averages(same, np.array([1, 36])), 2.5)


def test_exact_and_normal_meet_in_large_samples():
    d = draw(300, shift=0.2)
    exact, normal = (signed_rank_bounds(d, GAMMAS[:2], method=m) for m in ("exact", "normal"))
    assert_allclose(exact.upper, normal.upper, rtol=0.02)
    assert_allclose(
        breakdown(d, method="exact").gamma, breakdown(d, method="normal").gamma, rtol=1e-3
    )


@pytest.mark.parametrize("method", ["exact", "normal"])
@pytest.mark.parametrize("direction", ["greater", "less"])
def test_breakdown_is_where_p_is_alpha(method, direction):
    d = draw(24, shift=0.9) * (1 if direction == "greater" else -1)
    at = breakdown(d, 0.05, direction, method=method)
    assert at.status == "found"
    p = signed_rank_bounds(d, [at.gamma], direction=direction, method=method).upper
    assert_allclose(p, 0.05, rtol=1e-9)
    other = "less" if direction == "greater" else "greater"
    assert breakdown(d, 0.05, other, method=method).status == "not_rejected"


def test_breakdown_of_the_normal_test_in_closed_form():
    d = draw(100, shift=0.5)
    ranks = stats.rankdata(np.abs(d))
    T, A, B = ranks[d > 0].sum(), ranks.sum(), (ranks**2).sum()
    z2B = stats.norm.ppf(0.95) ** 2 * B
    a, b, c = A**2 + z2B, -(2 * T * A + z2B), T**2
    p = (-b - np.sqrt(b**2 - 4 * a * c)) / (2 * a)
    assert_allclose(breakdown(d).gamma, p / (1 - p), rtol=1e-10)


def test_breakdown_says_what_it_cannot_find():
    assert breakdown(np.zeros(10)).status == "too_few"
    nothing = breakdown(np.array([]))
    assert np.isnan(nothing.gamma)
    assert np.isnan(nothing.p_value)
    assert nothing.n_pairs == 0
    few = breakdown(np.array([1.0, 2, 3, 4, 0, 0]))
    assert (few.status, few.n_pairs) == ("too_few", 4)
    assert few.p_value == 0.5**4
    assert breakdown(np.array([1.0, 2, 3, 4, 5])).status == "found"
    none = breakdown(draw(50, shift=-1.0))
    assert (none.gamma, none.status) == (1.0, "not_rejected")
    everybody = np.arange(1.0, 200.0)
    beyond = breakdown(everybody, method="exact", ceiling=3.0)
    assert (beyond.gamma, beyond.status) == (3.0, "beyond_ceiling")
    assert sign_test_breakdown(0, 0).status == "too_few"
    assert sign_test_breakdown(3, 9).status == "not_rejected"
    assert sign_test_breakdown(5000, 1).status == "beyond_ceiling"


@pytest.mark.parametrize("d", [np.zeros(4), np.array([])])
def test_no_information_gives_nan(d):
    bounds = signed_rank_bounds(d, GAMMAS)
    assert np.isnan(bounds.lower).all()
    assert np.isnan(bounds.upper).all()
    assert np.isnan(sign_test_bounds(0, 0, GAMMAS).upper).all()


def test_estimates_of_no_pairs_and_of_zeros():
    assert np.isnan(hodges_lehmann_bounds(np.array([]), GAMMAS).lower).all()
    assert np.isnan(signed_rank_interval(np.array([]), GAMMAS).lower).all()
    assert_allclose(hodges_lehmann_bounds(np.zeros(6), GAMMAS).upper, 0.0)


def test_set_differences():
    treated, comparison = np.array([5.0, 9.0]), np.array([1.0, 3.0, 4.0])
    sets = np.array([0, 0, 1])
    assert_allclose(set_differences(treated, comparison, sets), [3.0, 5.0])
    weighted = set_differences(treated, comparison, sets, np.array([3.0, 1.0, 7.0]))
    assert_allclose(weighted, [3.5, 5.0])
    with pytest.raises(InputError, match="EI-N01"):
        set_differences(treated, comparison, np.array([0, 0, 0]))


@pytest.mark.parametrize(
    "call",
    [
        lambda: signed_rank_bounds(draw(9), [0.9]),
        lambda: signed_rank_bounds(draw(9), [np.nan]),
        lambda: signed_rank_bounds(np.array([1.0, np.nan]), [1.0]),
        lambda: hodges_lehmann_bounds(np.array([1.0, np.inf]), [1.0]),
        lambda: signed_rank_interval(draw(9), [1.0], level=1.0),
        lambda: sign_test_bounds(-1, 3, [1.0]),
        lambda: breakdown(draw(9), alpha=0.5),
        lambda: breakdown(draw(9), ceiling=1.0),
        lambda: sign_test_breakdown(3, 4, alpha=0.0),
    ],
)
def test_what_cannot_be_used_is_refused(call):
    with pytest.raises(InputError, match="EI-N01"):
        call()
