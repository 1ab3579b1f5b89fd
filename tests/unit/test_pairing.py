"""Pairs that one can check by eye."""

from __future__ import annotations

import numpy as np
import pytest

from exportimpact.numerics.pairing import (
    PairingProblem,
    Window,
    closest_without_replacement,
    nearest_with_replacement,
    nearest_without_replacement,
    optimal,
)


def line(treated, comparison, **options):
    """A problem on a line; windows that hold for everybody send it to the general search."""
    one, other = (np.asarray(x, dtype=float)[:, None] for x in (treated, comparison))
    return PairingProblem(treated=one, comparison=other, **options)


def pairs(found):
    return list(zip(found.treated.tolist(), found.comparison.tolist(), strict=True))


@pytest.fixture(params=["line", "plane", "window"])
def problem(request):
    """Return a function that builds the same problem for each of the three searches."""

    def build(treated, comparison, **options):
        if request.param == "plane":
            flat = line(treated, comparison, **options)
            parts = (np.column_stack([x, 0 * x]) for x in (flat.treated, flat.comparison))
            return PairingProblem(
                **dict(zip(("treated", "comparison"), parts, strict=True)), **options
            )
        if request.param == "window":
            idle = Window(
                treated=np.zeros(len(treated)), comparison=np.zeros(len(comparison)), width=0.0
            )
            options["windows"] = (*options.get("windows", ()), idle)
        return line(treated, comparison, **options)

    return build


def in_order(problem, ratio=1, order=None):
    order = np.arange(len(problem.treated)) if order is None else np.asarray(order)
    return nearest_without_replacement(problem, ratio=ratio, order=order)


def test_who_chooses_first_matters(problem):
    p = problem([1.0, 2.0], [1.9, 4.0])
    assert pairs(in_order(p)) == [(0, 0), (1, 1)]
    assert pairs(in_order(p, order=[1, 0])) == [(0, 1), (1, 0)]


def test_a_second_pass_begins_when_all_have_chosen(problem):
    found = in_order(problem([0.0, 1.0], [0.1, 0.2, 0.9, 5.0]), ratio=2)
    assert pairs(found) == [(0, 0), (0, 1), (1, 2), (1, 3)]
    np.testing.assert_allclose(found.share, 0.5)


def test_who_finds_nobody_keeps_what_it_has(problem):
    found = in_order(problem([0.0, 9.0], [0.1, 9.1, 9.2], caliper=0.5), ratio=2)
    assert pairs(found) == [(0, 0), (1, 1), (1, 2)]
    np.testing.assert_allclose(found.share, [1.0, 0.5, 0.5])


def test_of_equally_near_units_the_lowest_index_is_taken(problem):
    found = in_order(problem([1.0, 1.0, 1.0], [2.0, 0.0, 2.0, 0.0]))
    assert found.comparison.tolist() == [0, 1, 2]
    assert found.tied.tolist() == [0, 1, 2]
    assert in_order(problem([1.0], [3.0, 2.0])).tied.size == 0


def test_rounding_does_not_break_ties(problem):
    # 0.3 - 0.2 and 0.2 - 0.1 differ in the last place; so do 0.4 - 0.3 and the caliper.
    assert in_order(problem([0.2], [0.3, 0.1])).comparison.tolist() == [0]
    assert in_order(problem([0.2], [0.1, 0.3])).comparison.tolist() == [0]
    assert pairs(in_order(problem([0.4], [0.3], caliper=0.1))) == [(0, 0)]
    assert pairs(in_order(problem([0.4], [0.3], caliper=0.0999999))) == []


def test_strata_windows_and_codes(problem):
    codes = np.array([7]), np.array([7, 3, 7])
    exact = {"stratum_treated": codes[0], "stratum_comparison": codes[1]}
    assert in_order(problem([0.0], [3.0, 1.0, 2.0], **exact)).comparison.tolist() == [2]
    assert in_order(problem([0.0], [3.0, 1.0, 2.0], different=(codes,))).comparison.tolist() == [1]
    window = Window(treated=np.zeros(1), comparison=np.array([0.1, 0.2, 0.3]), width=0.1)
    assert in_order(problem([0.0], [3.0, 1.0, 2.0], windows=(window,))).comparison.tolist() == [0]


def test_the_closest_pair_comes_first(problem):
    p = problem([0.0, 1.0], [1.1, 3.0])
    assert pairs(in_order(p)) == [(0, 0), (1, 1)]
    assert pairs(closest_without_replacement(p, ratio=1)) == [(0, 1), (1, 0)]


def test_all_ties_share_equally(problem):
    p = problem([0.0], [2.0, 1.0, -2.0, 2.0, 5.0])
    found = nearest_with_replacement(p, ratio=2, ties="average")
    assert found.comparison.tolist() == [1, 0, 2, 3]
    np.testing.assert_allclose(found.share, 0.25)
    assert found.tied.tolist() == [0]
    first = nearest_with_replacement(p, ratio=2, ties="first")
    assert first.comparison.tolist() == [1, 0]
    assert first.tied.tolist() == [0]
    assert nearest_with_replacement(p, ratio=4, ties="first").tied.size == 0


def test_tolerances_widen_ties(problem):
    p = problem([0.0], [1.0, 1.001, 1.1])
    for options in ({"tolerance": 1e-2}, {"squared_tolerance": 1e-2}):
        found = nearest_with_replacement(p, ratio=1, ties="average", **options)
        assert found.comparison.tolist() == [0, 1]


def test_optimal_gives_way(problem):
    found = optimal(problem([1.0, 2.0], [1.9, -1.0]), ratio=1)
    assert pairs(found) == [(0, 1), (1, 0)]
    assert found.distance.sum() == pytest.approx(2.1)


def test_optimal_pairs_as_many_as_possible_and_spreads_them(problem):
    p = problem([0.0, 0.9], [0.4, 1.5], caliper=0.6)
    assert pairs(optimal(p, ratio=1)) == [(0, 0), (1, 1)]
    found = optimal(problem([0.0, 5.0], [0.1, 0.2]), ratio=2)
    assert sorted(found.treated.tolist()) == [0, 1]


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0), (0, 0)])
def test_nobody(problem, sizes):
    p = problem(*(np.zeros(n) for n in sizes))
    for found in (
        in_order(p),
        closest_without_replacement(p, ratio=1),
        nearest_with_replacement(p, ratio=1, ties="average"),
        optimal(p, ratio=1),
    ):
        assert found.treated.size == found.share.size == found.tied.size == 0


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_far_outliers_and_units_do_not_blur_blocks(scale):
    rng = np.random.default_rng(0)
    comparison = rng.normal(size=(3000, 8))
    comparison[0] = 1e9
    treated = comparison[rng.permutation(3000)[:200]] + 1e-6
    p = PairingProblem(treated=treated * scale, comparison=comparison * scale)
    found = in_order(p)
    brute = ((treated[:, None] - comparison[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert found.comparison.tolist() == brute.tolist()
