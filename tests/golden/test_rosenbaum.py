"""Rosenbaum bounds against R's rbounds on 113 matched pairs of Lalonde's data.

Numbers: EXPORTIMPACT_REFERENCE/rosenbaum_bounds (R 4.2.2, rbounds 2.2, MatchIt 4.7.1; each record
names its command). psens drops pairs without a difference before ranking, and rounds to 4 decimals;
binarysens rounds to 5. Conventions that differ from ours:

- binarysens prints P(X > x) for the x pairs in favour, 0.322 at Gamma = 1; the p-value of the exact
  test is P(X >= x), 0.439 (scipy.stats.binomtest), which is ours. Compared at one pair more.
- hlsens walks away from the estimate in steps of 0.1 until the statistic reaches its target, so
  that its bounds lie up to 0.1 further out, and prints 5 digits; ours are the exact crossings.
  Where the target is an integer (Gamma of 2 and 2.8) every shift between two averages is one: ours
  is their middle, theirs the first that the walk meets.
- At Gamma = 1 hlsens prints the estimate of wilcox.test, which drops pairs without a difference,
  while its own walk counts them. Ours counts them throughout.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from exportimpact.numerics.rosenbaum import (
    breakdown,
    hodges_lehmann_bounds,
    sign_test_bounds,
    sign_test_breakdown,
    signed_rank_bounds,
)

STEP = 0.1


@pytest.fixture(scope="module")
def pairs(reference):
    return pd.read_csv(reference("rosenbaum_bounds") / "data.csv")


@pytest.fixture(scope="module")
def differences(pairs):
    return (pairs["treated_re78"] - pairs["control_re78"]).to_numpy()


def table(records, name):
    rows = pd.DataFrame(records("rosenbaum_bounds").by_id[name]["table"])
    return rows["Gamma"].to_numpy(), rows["Lower bound"].to_numpy(), rows["Upper bound"].to_numpy()


def test_the_pairs(differences, records, golden):
    expected = records("rosenbaum_bounds")
    assert differences.size == expected.scalar("pairs_n", "n")
    golden(differences.mean(), expected.scalar("pairs_n", "mean_diff"), rtol=1e-12)


def test_signed_rank(differences, records, golden):
    gamma, lower, upper = table(records, "psens")
    ours = signed_rank_bounds(differences, gamma)
    golden(ours.lower, lower, rtol=0, atol=5.1e-5, what="lower bound of p")
    golden(ours.upper, upper, rtol=0, atol=5.1e-5, what="upper bound of p")


def test_sign_test(pairs, records, golden):
    gamma, lower, upper = table(records, "binarysens")
    treated, control = pairs["treated_re78"] > 0, pairs["control_re78"] > 0
    favourable, unfavourable = int((treated & ~control).sum()), int((~treated & control).sum())
    expected = records("rosenbaum_bounds")
    golden(
        [unfavourable, favourable],
        [expected.scalar("binarysens", "x"), expected.scalar("binarysens", "y")],
        rtol=0,
        what="discordant pairs",
    )
    ours = sign_test_bounds(favourable + 1, unfavourable - 1, gamma)
    golden(ours.lower, lower, rtol=0, atol=5.1e-6, what="lower bound of p")
    golden(ours.upper, upper, rtol=0, atol=5.1e-6, what="upper bound of p")


def test_hodges_lehmann(differences, records, golden):
    gamma, lower, upper = (column[1:] for column in table(records, "hlsens"))
    ours, gap = hodges_lehmann_bounds(differences, gamma), gap_at_integers(differences, gamma)
    digit = 0.5 * 10.0 ** (np.floor(np.log10(np.abs([lower, upper]))) - 4)
    outside = np.array([ours.lower - lower, upper - ours.upper])
    reach = STEP + digit + gap
    golden(outside / reach, np.zeros(reach.shape), rtol=0, atol=1.0, what="within a step")
    apart = np.broadcast_to(gap > 0, outside.shape)
    assert apart[0].sum() == 2
    assert (outside[~apart] >= -digit[~apart]).all(), "theirs are the outer ones"


def gap_at_integers(differences, gamma):
    """Half the distance of the two averages around a target that is an integer, else 0."""
    i, j = np.triu_indices(differences.size)
    averages = np.sort((differences[i] + differences[j]) / 2)
    gaps = np.zeros(gamma.size)
    for at, g in enumerate(gamma):
        for share in (g / (1 + g), 1 / (1 + g)):
            target = averages.size * share
            if abs(target - round(target)) < 1e-6:
                k = averages.size - round(target)
                gaps[at] = max(gaps[at], (averages[k] - averages[k - 1]) / 2)
    return gaps


def test_estimate_without_hidden_bias(differences, records, golden):
    """Ours is the middle of the two central averages, wilcox.test's root anywhere between them."""
    expected = records("rosenbaum_bounds").scalar("hlsens", "pval")
    d = differences[differences != 0]
    ours = hodges_lehmann_bounds(d, [1.0])
    golden(ours.lower, [expected], rtol=0, atol=gap_at_integers(d, np.ones(1))[0])
    assert_allclose(ours.upper, ours.lower)


def test_breakdown_lies_between_the_printed_rows(differences, records):
    gamma, _, upper = table(records, "psens")
    at = breakdown(differences, alpha=0.10)
    assert at.status == "found"
    assert gamma[upper <= 0.10].max() <= at.gamma <= gamma[upper > 0.10].min()
    assert breakdown(differences, alpha=0.05).gamma == 1  # 0.0786 at Gamma = 1
    assert sign_test_breakdown(22, 20).status == "not_rejected"
