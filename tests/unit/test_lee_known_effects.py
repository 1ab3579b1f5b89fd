"""Bounds where the effect on always-exporters is known, drawn by lot; bands written beforehand.

Firms are of four kinds: always exporters, exporters only with support (moved in), only without
(moved out), never. Monotone selection means that one of the middle two does not exist. The bands
follow CONTRIBUTING: exact binomial 99.9 % for coverage, 3.29 / sqrt(2 draws) for the ratio of the
mean standard error to the standard deviation.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import binom

from exportimpact.numerics import lee

DRAWS, FIRMS = 200, 2000
KINDS = {  # shares of always, moved in, moved out, never
    "in": (0.50, 0.15, 0.00, 0.35),
    "out": (0.50, 0.00, 0.15, 0.35),
    "both": (0.40, 0.15, 0.10, 0.35),
    "nobody": (0.65, 0.00, 0.00, 0.35),
}
EFFECT = 0.1


def one_draw(rng, kinds, moved, *, by_kind=False):
    """Lower and upper bound in logs, each with its error.

    Log exports are normal over all firms that ever export. "alike": the moved are any of them;
    "largest", "smallest": they are those that export most or least, so that one bound is the effect
    itself, at a quantile with a density, as Lee's Proposition 3 asks; "opposed": those moved out
    export most, those moved in least.
    """
    always, into, out, _ = KINDS[kinds]
    ever = rng.random(FIRMS) < always + into + out
    u = rng.random(FIRMS)
    rank = {"alike": rng.random(FIRMS), "smallest": u, "largest": 1 - u, "opposed": u}[moved]
    share_in, share_out = into / (always + into + out), out / (always + into + out)
    if moved == "opposed":
        is_in, is_out = rank < share_in, rank > 1 - share_out
    else:
        is_in = rank < share_in
        is_out = ~is_in & (rank < share_in + share_out)
    d = (rng.random(FIRMS) < 0.5).astype(float)
    exports = ever & ~(is_in & (d == 0)) & ~(is_out & (d == 1))
    y = ndtri(u) + EFFECT * d
    w = 1 / np.where(d == 1, d.sum(), (1 - d).sum())
    group = is_out.astype(int) if by_kind else np.zeros(FIRMS, dtype=int)
    found = lee.bounds(y, exports, d, w, group)
    ends = []
    for one in (found.low, found.high):
        means = [w[d == side] @ one.influence[d == side] for side in (1, 0)]
        psi = w * (one.influence - np.where(d == 1, *means))
        ends.append((one.value, float(np.sqrt(psi @ psi))))
    return ends


def run(kinds, moved, **options):
    rng = np.random.default_rng(2009)
    found = np.array([one_draw(rng, kinds, moved, **options) for _ in range(DRAWS)])
    value, error = found[..., 0], found[..., 1]
    inside = [
        (ends := lee.imbens_manski(*v, tuple(e)))[0] <= EFFECT <= ends[1]
        for v, e in zip(value, error, strict=True)
    ]
    return value, error, float(np.mean(inside))


def band(rate=0.95):
    return binom.ppf([0.0005, 0.9995], DRAWS, rate) / DRAWS


@pytest.mark.parametrize("kinds", ["in", "out"])
@pytest.mark.parametrize("moved", ["alike", "largest", "smallest"])
def test_bounds_hold_under_monotone_selection(kinds, moved):
    """The interval covers at 95 % where one bound is the effect, at more between the bounds."""
    value, error, covered = run(kinds, moved)
    low, high = band()
    assert covered >= low
    if moved != "alike":
        assert covered <= high
        # Moved in and largest: the lower bound leaves them out, and is the effect; and so on.
        sharp = 0 if (kinds, moved) in {("in", "largest"), ("out", "smallest")} else 1
        miss = value[:, sharp].mean() - EFFECT
        assert abs(miss) <= (0.10 + 3.29 / np.sqrt(DRAWS)) * value[:, sharp].std(ddof=1)
    else:
        assert ((value[:, 0] < EFFECT) & (value[:, 1] > EFFECT)).mean() >= low
    for end in (0, 1):
        ratio = error[:, end].mean() / value[:, end].std(ddof=1)
        assert abs(ratio - 1) <= 3.29 / np.sqrt(2 * DRAWS)


@pytest.mark.parametrize(("moved", "misses"), [("opposed", True), ("alike", False)])
def test_bounds_miss_where_support_moves_firms_both_ways(moved, misses):
    """Firms moved out had the largest exports, firms moved in have the smallest; the net is cut.

    Where the moved are like the others nothing shows, and nothing is lost. This is why the words
    beside the bounds name monotone selection.
    """
    _, _, covered = run("both", moved)
    assert (covered < 0.5) if misses else (covered >= band()[0])


def test_the_interval_is_not_too_short_where_support_moves_nobody():
    """Which side is trimmed is chance then, and the bounds are no smooth function of the data."""
    _, _, covered = run("nobody", "alike")
    assert covered >= band()[0]


def test_bounds_hold_within_categories_that_move_one_way_each():
    """The same firms, with a category that tells who can be moved out (Semenova 2020)."""
    _, _, covered = run("both", "opposed", by_kind=True)
    assert covered >= band()[0]
