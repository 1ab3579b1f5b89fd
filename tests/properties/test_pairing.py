"""Every search against a search through all pairs, and what must not change a pairing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from exportimpact.numerics.pairing import (
    PairingProblem,
    Window,
    closest_without_replacement,
    nearest_with_replacement,
    nearest_without_replacement,
    optimal,
)

SEED = st.integers(0, 2**32 - 1)
RATIO = st.integers(1, 3)
KINDS = ("real", "counts", "thirds", "mixed", "zero")


def coordinates(rng, kind, n, k):
    if kind == "counts":
        return rng.integers(0, 3, size=(n, k)).astype(float)
    if kind == "thirds":
        return rng.integers(0, 4, size=(n, k)) / 3 + 0.1
    x = rng.normal(size=(n, k))
    if kind == "mixed":
        x[:, 0] = rng.integers(0, 2, n)
    return 0 * x if kind == "zero" else x


def window(rng, n1, n0):
    if rng.random() < 0.5:
        width = rng.choice([0.3, 1.0, 5.0])
        return Window(treated=rng.normal(size=n1), comparison=rng.normal(size=n0), width=width)
    values = (rng.integers(0, 5, n) / 3 for n in (n1, n0))
    return Window(
        **dict(zip(("treated", "comparison"), values, strict=True)), width=rng.integers(3) / 3
    )


def draw(seed, kinds=KINDS):
    """A problem: on a line, in a tree's few coordinates or in many, with and without limits."""
    rng = np.random.default_rng(seed)
    large = rng.random() < 0.2
    n1, n0 = (rng.integers(*s) for s in (((20, 60), (50, 300)) if large else ((0, 12), (0, 25))))
    k, kind = rng.choice([1, 1, 2, 3, 7]), rng.choice(kinds)
    options = {}
    if rng.random() < 0.4:
        options["stratum_treated"] = rng.integers(0, 4, n1)
        options["stratum_comparison"] = rng.integers(0, rng.integers(1, 4), n0)
    if rng.random() < 0.4:
        options["caliper"] = rng.choice([0.0, 0.3, 1 / 3, 0.5, 1.0, 2.0])
    if rng.random() < 0.35:
        options["windows"] = tuple(window(rng, n1, n0) for _ in range(rng.integers(1, 3)))
    if rng.random() < 0.25:
        options["different"] = ((rng.integers(0, 3, n1), rng.integers(0, 3, n0)),)
    treated, comparison = (coordinates(rng, kind, n, k) for n in (n1, n0))
    return PairingProblem(treated=treated, comparison=comparison, **options), rng


def up_to(value):
    return value * (1 + 1e-9) + 1e-13


def allowed(p):
    """Distances of all pairs, infinite where a pair is not allowed."""
    distance = np.sqrt(((p.treated[:, None] - p.comparison[None]) ** 2).sum(axis=2))
    fine = distance <= up_to(p.caliper)
    if p.stratum_treated is not None:
        fine &= p.stratum_treated[:, None] == p.stratum_comparison[None]
    for w in p.windows:
        fine &= np.abs(w.treated[:, None] - w.comparison[None]) <= up_to(w.width)
    for mine, theirs in p.different:
        fine &= mine[:, None] != theirs[None]
    return np.where(fine, distance, np.inf)


def brute_in_order(p, ratio, order):
    distance, pairs, tied = allowed(p), [], set()
    for _ in range(ratio):
        for i in order:
            nearest = distance[i].min(initial=np.inf)
            if nearest < np.inf:
                equal = np.flatnonzero(distance[i] <= up_to(nearest))
                pairs.append((i, equal[0]))
                tied |= {i} if equal.size > 1 else set()
                distance[:, equal[0]] = np.inf
    return sorted(pairs), sorted(tied)


def brute_closest(p, ratio):
    left, pairs, tied = allowed(p), [], set()
    for _ in range(ratio):
        now = left.copy()
        while (nearest := now.min(initial=np.inf)) < np.inf:
            equal = np.argwhere(now <= up_to(nearest))
            i, j = equal[0]
            pairs.append((i, j))
            tied |= {i} if (equal[:, 0] == i).sum() > 1 else set()
            now[i], now[:, j], left[:, j] = np.inf, np.inf, np.inf
    return sorted(pairs), sorted(tied)


def brute_with_replacement(p, ratio, ties):
    pairs, tied = [], []
    for i, row in enumerate(allowed(p)):
        nearest = np.sort(row[np.isfinite(row)])[:ratio]
        if not nearest.size:
            continue
        kept = np.flatnonzero(np.isfinite(row) & (row <= up_to(nearest[-1])))
        tied += [i] if kept.size > ratio else []
        if ties == "first" and kept.size > ratio:
            last = up_to(row[kept]) >= nearest[-1]
            kept = np.concatenate([kept[~last], kept[last]])[:ratio]
        pairs += [(i, j) for j in kept]
    return sorted(pairs), tied


def check(p, found, expected):
    """Same pairs and ties; sorted; distances and shares as they follow from the pairs."""
    got = list(zip(found.treated.tolist(), found.comparison.tolist(), strict=True))
    assert (sorted(got), found.tied.tolist()) == expected
    np.testing.assert_allclose(found.distance, allowed(p)[found.treated, found.comparison])
    order = np.lexsort((found.comparison, found.distance, found.treated))
    assert order.tolist() == list(range(order.size))
    count = np.bincount(found.treated, minlength=len(p.treated))
    np.testing.assert_array_equal(found.share, 1 / count[found.treated])


@settings(max_examples=250)
@given(seed=SEED, ratio=RATIO)
def test_in_order(seed, ratio):
    p, rng = draw(seed)
    order = rng.permutation(len(p.treated))
    found = nearest_without_replacement(p, ratio=ratio, order=order)
    check(p, found, brute_in_order(p, ratio, order))


@settings(max_examples=250)
@given(seed=SEED, ratio=RATIO)
def test_closest_first(seed, ratio):
    p, _ = draw(seed)
    check(p, closest_without_replacement(p, ratio=ratio), brute_closest(p, ratio))


@pytest.mark.parametrize("ties", ["average", "first"])
@settings(max_examples=150)
@given(seed=SEED, ratio=RATIO)
def test_with_replacement(ties, seed, ratio):
    p, _ = draw(seed)
    found = nearest_with_replacement(p, ratio=ratio, ties=ties)
    check(p, found, brute_with_replacement(p, ratio, ties))


@settings(max_examples=150)
@given(seed=SEED, ratio=RATIO)
def test_optimal(seed, ratio):
    p, _ = draw(seed)
    distance, n1, n0 = allowed(p), len(p.treated), len(p.comparison)
    found = optimal(p, ratio=ratio)
    # Rows of the same unit stay unmatched at falling costs, so that pairs are spread.
    cost = np.vstack(
        [
            np.hstack([np.minimum(distance, 1e9), np.full((n1, n1 * ratio), 1e4 * (ratio - r))])
            for r in range(ratio)
        ]
    )
    row, column = linear_sum_assignment(cost)
    row, column = row[column < n0], column[column < n0]
    assert found.distance.sum() == pytest.approx(cost[row, column].sum(), rel=1e-9, abs=1e-12)
    assert np.isfinite(distance[found.treated, found.comparison]).all()
    assert np.unique(found.comparison).size == found.comparison.size
    spread = (np.sort(np.bincount(i, minlength=n1)) for i in (found.treated, row % max(n1, 1)))
    np.testing.assert_array_equal(*spread)
    greedy = nearest_without_replacement(p, ratio=ratio, order=np.arange(n1))
    assert found.treated.size >= greedy.treated.size
    if found.treated.size == greedy.treated.size and ratio == 1:
        assert found.distance.sum() <= greedy.distance.sum() * (1 + 1e-9) + 1e-12


def reordered(p, by1, by0):
    """The problem with the rows of both sides in another order."""
    strata = {}
    if p.stratum_treated is not None:
        strata = {
            "stratum_treated": p.stratum_treated[by1],
            "stratum_comparison": p.stratum_comparison[by0],
        }
    return replace(
        p,
        treated=p.treated[by1],
        comparison=p.comparison[by0],
        windows=tuple(
            replace(w, treated=w.treated[by1], comparison=w.comparison[by0]) for w in p.windows
        ),
        different=tuple((a[by1], b[by0]) for a, b in p.different),
        **strata,
    )


@pytest.mark.parametrize("how", ["in_order", "closest", "average", "first", "optimal"])
@settings(max_examples=40)
@given(seed=SEED, ratio=RATIO)
def test_without_ties_the_order_of_rows_does_not_matter(how, seed, ratio):
    p, rng = draw(seed, kinds=("real",))
    order = rng.permutation(len(p.treated))

    def pair(q, order):
        if how == "in_order":
            return nearest_without_replacement(q, ratio=ratio, order=order)
        if how == "closest":
            return closest_without_replacement(q, ratio=ratio)
        if how == "optimal":
            return optimal(q, ratio=ratio)
        return nearest_with_replacement(q, ratio=ratio, ties=how)

    by1, by0 = rng.permutation(len(p.treated)), rng.permutation(len(p.comparison))
    one, other = pair(p, order), pair(reordered(p, by1, by0), np.argsort(by1)[order])
    if how == "optimal" and (ratio > 1 or p.treated.shape[1] == 1):
        # Several pairings may have the same total: on a line, or when pairs are spread.
        assert other.distance.sum() == pytest.approx(one.distance.sum())
        return
    back = sorted(zip(by1[other.treated], by0[other.comparison], strict=True))
    assert back == sorted(zip(one.treated, one.comparison, strict=True))
