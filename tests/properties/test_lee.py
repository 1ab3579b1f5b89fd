"""What must hold of bounds for always-exporters whatever the data, and what they are by force."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from exportimpact.numerics import lee
from exportimpact.numerics.margins import contrasts

SEEDS = st.integers(0, 2**32 - 1)
MANY = settings(max_examples=25)
NUMBERS = ("value", "treated", "control")


@dataclass(frozen=True, eq=False)
class Drawn:
    """Outcomes with zeros and ties on two sides; weights that sum to 1 on each."""

    y: np.ndarray
    d: np.ndarray
    w: np.ndarray
    group: np.ndarray

    def bounds(self):
        return lee.bounds(self.y, self.y > 0, self.d, self.w, self.group)

    def at(self, order):
        return Drawn(self.y[order], self.d[order], self.w[order], self.group[order])


def draw(seed, n=60, groups=1, ties=True):
    rng = np.random.default_rng(seed)
    d = np.repeat([1.0, 0.0], [n // 2, n - n // 2])
    y = np.exp(rng.normal(2, 1, n))
    y = np.ceil(y) if ties else y
    y = np.where(rng.random(n) < np.where(d == 1, *rng.uniform(0.3, 0.9, 2)), y, 0.0)
    group = rng.integers(0, groups, n)
    # Exporters on both sides of every group.
    for side in (0, 1):
        for code in range(groups):
            at = np.flatnonzero(d == side)[code * 2 : code * 2 + 2]
            y[at], group[at] = [3.0, 8.0], code
    return Drawn(y, d, to_one(rng.integers(1, 4, n).astype(float), d), group)


def to_one(w, d):
    return w / np.where(d == 1, w[d == 1].sum(), w[d == 0].sum())


def error(one, w, d):
    means = [w[d == side] @ one.influence[d == side] for side in (1, 0)]
    return float(np.sqrt(np.sum((w * (one.influence - np.where(d == 1, *means))) ** 2)))


def alike(one, other, flip=1.0):
    for end in ("low", "high"):
        for name in NUMBERS:
            theirs = getattr(getattr(other, end), name)
            assert getattr(getattr(one, end), name) == pytest.approx(theirs, rel=1e-10, abs=1e-10)


def by_program(drawn, sign):
    """The largest (or smallest) mean of the trimmed side that a linear programme finds."""
    s, one = drawn.y > 0, drawn.d == 1
    shares = [drawn.w[s & one].sum(), drawn.w[s & ~one].sum()]
    a, b = (s & one, s & ~one) if shares[0] >= shares[1] else (s & ~one, s & one)
    mass = min(shares)
    gain = drawn.w[a] * drawn.y[a] / mass
    found = linprog(-sign * gain, A_eq=[drawn.w[a]], b_eq=[mass], bounds=(0, 1))
    other = drawn.w[b] @ drawn.y[b] / drawn.w[b].sum()
    return (gain @ found.x - other) * (1 if shares[0] >= shares[1] else -1)


@given(SEEDS)
@MANY
def test_bounds_are_what_no_choice_of_always_exporters_exceeds(seed):
    drawn = draw(seed)
    ends = sorted(by_program(drawn, sign) for sign in (1, -1))
    bounds = drawn.bounds()
    assert [bounds.low.value, bounds.high.value] == pytest.approx(ends, rel=1e-7)


@given(SEEDS, st.integers(1, 3))
@MANY
def test_influence_is_the_derivative_by_weights(seed, groups):
    drawn, h = draw(seed, groups=groups), 1e-6
    for end in ("low", "high"):
        one = getattr(drawn.bounds(), end)
        means = [drawn.w[drawn.d == side] @ one.influence[drawn.d == side] for side in (1, 0)]
        psi = drawn.w * (one.influence - np.where(drawn.d == 1, *means))
        for i in (0, 1, 17, 30, 31, 55):
            moved = []
            for step in (h, -h):
                w = drawn.w.copy()
                w[i] *= 1 + step
                again = replace(drawn, w=to_one(w, drawn.d))
                moved.append(getattr(again.bounds(), end).value)
            # At a kink (a tie in shares, a full step of mass) the two sides differ.
            slopes = [(moved[0] - one.value) / h, (one.value - moved[1]) / h]
            if abs(slopes[0] - slopes[1]) < 1e-3 * (1e-3 + abs(slopes[0])):
                assert psi[i] == pytest.approx(np.mean(slopes), rel=1e-3, abs=1e-5)


@given(SEEDS, st.integers(1, 3))
@MANY
def test_row_order_does_not_matter(seed, groups):
    drawn = draw(seed, groups=groups)
    order = np.random.default_rng(seed).permutation(drawn.y.size)
    one, other = drawn.bounds(), drawn.at(order).bounds()
    alike(one, other)
    for end in ("low", "high"):
        psi = getattr(one, end).influence[order]
        np.testing.assert_allclose(getattr(other, end).influence, psi, rtol=1e-9, atol=1e-9)


@given(SEEDS, st.integers(1, 3), st.floats(1e-3, 1e3))
@MANY
def test_levels_scale_and_logs_do_not(seed, groups, factor):
    drawn = draw(seed, groups=groups)
    one, other = drawn.bounds(), replace(drawn, y=factor * drawn.y).bounds()
    s = drawn.y > 0
    logs = [
        lee.bounds(np.log(np.where(s, y, 1.0)), s, drawn.d, drawn.w, drawn.group)
        for y in (drawn.y, factor * drawn.y)
    ]
    for end in ("low", "high"):
        level, scaled = getattr(one, end), getattr(other, end)
        assert scaled.value == pytest.approx(factor * level.value, rel=1e-9, abs=1e-9 * factor)
        log, shifted = (getattr(found, end) for found in logs)
        assert shifted.value == pytest.approx(log.value, rel=1e-9, abs=1e-9)
        assert error(shifted, drawn.w, drawn.d) == pytest.approx(error(log, drawn.w, drawn.d))


@given(SEEDS, st.integers(1, 3))
@MANY
def test_duplicates_change_errors_alone(seed, groups):
    drawn = draw(seed, groups=groups)
    twice = drawn.at(np.tile(np.arange(drawn.y.size), 2))
    twice = replace(twice, w=twice.w / 2)
    one, other = drawn.bounds(), twice.bounds()
    alike(one, other)
    for end in ("low", "high"):
        half = error(getattr(other, end), twice.w, twice.d) * np.sqrt(2)
        assert half == pytest.approx(error(getattr(one, end), drawn.w, drawn.d), rel=1e-9)


@given(SEEDS)
@MANY
def test_sides_can_be_swapped(seed):
    drawn = draw(seed)
    one, other = drawn.bounds(), replace(drawn, d=1 - drawn.d).bounds()
    assert one.low.value == pytest.approx(-other.high.value, rel=1e-10, abs=1e-10)
    assert one.high.value == pytest.approx(-other.low.value, rel=1e-10, abs=1e-10)
    assert error(one.low, drawn.w, drawn.d) == pytest.approx(error(other.high, drawn.w, drawn.d))


@given(SEEDS, st.booleans())
@MANY
def test_without_a_selection_effect_bounds_are_the_raw_difference(seed, everyone):
    """Whether all export or the same share of both sides does, errors included."""
    drawn = draw(seed, n=60)
    y = np.where(drawn.y > 0, drawn.y, 2.0 if everyone else 0.0)
    y[30:] = np.where(y[:30] > 0, y[30:] + 1.0, 0.0)
    w = np.tile(drawn.w[:30], 2)
    drawn = Drawn(y, drawn.d, to_one(w, drawn.d), drawn.group)
    bounds, raw = drawn.bounds(), lee.raw_difference(y, y > 0, drawn.d, drawn.w)
    for one in (bounds.low, bounds.high):
        assert one.value == pytest.approx(raw.value, rel=1e-12, abs=1e-12)
        assert error(one, drawn.w, drawn.d) == pytest.approx(error(raw, drawn.w, drawn.d))
    assert bounds.trimmed == pytest.approx(0.0, abs=1e-12)


@given(SEEDS)
@MANY
def test_categories_never_widen_bounds_where_they_are_balanced(seed):
    """With the same categories on both sides and one direction, as Lee's Proposition 1b."""
    rng = np.random.default_rng(seed)
    y = np.exp(rng.normal(2, 1, 80))
    d = np.repeat([1.0, 0.0], 40)
    group = np.tile(np.repeat([0, 1], 20), 2)
    for code, (more, fewer) in enumerate(rng.integers([14, 5], [20, 12], (2, 2))):
        for side, exporters in ((1, more), (0, fewer)):
            y[np.flatnonzero((d == side) & (group == code))[exporters:]] = 0.0
    drawn = Drawn(y, d, np.full(80, 1 / 40), np.zeros(80, dtype=int))
    wide, tight = drawn.bounds(), replace(drawn, group=group).bounds()
    assert tight.low.value >= wide.low.value - 1e-12
    assert tight.high.value <= wide.high.value + 1e-12


@given(SEEDS)
@MANY
def test_parts_add_up_and_so_do_their_influences(seed):
    drawn = draw(seed)
    found = contrasts(drawn.y, drawn.d, drawn.w)
    total = found["total"]
    size = max(1.0, np.abs(drawn.y).max())
    assert total.value == pytest.approx(
        drawn.w[drawn.d == 1] @ drawn.y[drawn.d == 1]
        - drawn.w[drawn.d == 0] @ drawn.y[drawn.d == 0],
        abs=1e-12 * size,
    )
    for pair in (
        ("extensive_part", "intensive_part"),
        ("extensive_at_comparison_mean", "intensive_at_supported_share"),
        ("extensive_at_supported_mean", "intensive_at_comparison_share"),
    ):
        one, other = (found[name] for name in pair)
        assert one.value + other.value == pytest.approx(total.value, abs=1e-12 * size)
        np.testing.assert_allclose(
            one.influence + other.influence, total.influence, atol=1e-11 * size
        )


@pytest.mark.parametrize("width", [0.0, 0.5, 3.0, 50.0])
def test_imbens_manski_runs_from_two_sided_to_one_sided(width):
    low, high = lee.imbens_manski(0.0, width, (1.0, 1.0))
    critical = -low
    assert high - width == pytest.approx(critical)
    assert 1.6448536 - 1e-6 <= critical <= 1.9599640 + 1e-6
    ends = {0.0: 1.9599640, 50.0: 1.6448536}
    assert critical == pytest.approx(ends.get(width, critical), abs=1e-6)
    wider = lee.imbens_manski(0.0, width, (1.0, 1.0), df=5.0)
    assert wider[0] < low
    assert lee.imbens_manski(1.0, 2.0, (0.0, 0.0)) == (1.0, 2.0)
    assert np.isnan(lee.imbens_manski(1.0, 2.0, (np.nan, 1.0))).all()
