"""Randomisation tests: fast redraws against estimating again, exactness, and what is refused."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import exportimpact as ei
from exportimpact.inference.mechanism import Mechanism
from exportimpact.inference.redraws import Again, Means, redraw_of
from exportimpact.numerics.randomisation import Randomised, arrangements, n_arrangements

YEARS = np.arange(2010, 2018)


def panel(starts, *, sizes=6, clustered=True, missing=0.0, effect=0.0, seed=1, mixed=False):
    """Regions with these first supported years (0: never); with `mixed`, of every other firm."""
    rng = np.random.default_rng(seed)
    size = np.broadcast_to(sizes, len(starts))
    region = np.repeat(np.arange(len(starts)), size)
    n = region.size
    first = np.asarray(starts)[region]
    if mixed:
        first = np.where(np.arange(n) % 2 == 0, first, 0)
    on = (first[:, None] > 0) & (first[:, None] <= YEARS)
    shock = 0.3 * rng.normal(size=(len(starts), YEARS.size)).cumsum(axis=1)
    y = rng.normal(size=(n, 1)) + rng.normal(size=on.shape) + shock[region] + effect * on
    frame = pd.DataFrame(
        {
            "firm": np.repeat(np.arange(n), YEARS.size),
            "year": np.tile(YEARS, n),
            "y": np.where(rng.random(on.shape) < missing, np.nan, y).ravel(),
            "region": np.repeat(region, YEARS.size),
            "half": np.repeat(np.where(region % 2, "odd", "even"), YEARS.size),
            "size": np.repeat(rng.normal(size=n), YEARS.size),
        }
    )
    spells = pd.DataFrame({"firm": np.arange(n), "first": pd.array(first, dtype="Int64")})
    spells.loc[spells["first"] == 0, "first"] = pd.NA
    made = ei.Panel.from_frame(
        frame,
        unit="firm",
        period="year",
        outcomes=[ei.Outcome("y", scale="logged")],
        baseline=["half", "size"],
        cluster="region" if clustered else None,
    )
    return made, ei.Assignment.from_first_period(spells, unit="firm", first_period="first")


def design(starts, *, options=None, **kwargs):
    return ei.Design(*panel(starts, **kwargs), outcome="y", **(options or {}))


STAGGERED = (2013, 2013, 2014, 2014, 2016, 2016, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("unit", "options", "data"),
    [
        ("cluster", {}, {}),
        ("cluster", {"comparison": "not_yet", "anticipation": 1}, {"missing": 0.2}),
        ("cluster", {}, {"sizes": (2, 9, 4, 6, 3, 5, 8, 2, 7, 6), "missing": 0.1}),
        ("firm", {}, {"clustered": False}),
        ("firm", {"comparison": "not_yet"}, {"clustered": False, "missing": 0.2}),
        ("firm", {}, {"mixed": True}),
        ("firm", {"base": "varying", "unbalanced": "balanced"}, {"missing": 0.02}),
    ],
)
def test_sums_give_what_estimating_again_gives(unit, options, data):
    sealed = design(STAGGERED, options=options, **data).seal()
    result = ei.did.GroupTime().estimate(sealed)
    mechanism = Mechanism.of(sealed, unit, None)
    fast = redraw_of(ei.did.GroupTime(), sealed, mechanism, result)
    assert isinstance(fast, Means)
    within = result.cells.few_clusters
    slow = Again(ei.did.GroupTime(), sealed, mechanism, within=within, linear=True)
    sources, _, _ = mechanism.sources(5, np.random.default_rng(0))
    for source in [np.arange(mechanism.labels.size), *sources]:
        for ours, theirs in zip(fast.at(source), slow.at(source), strict=True):
            assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_observed_estimate_and_error_are_those_of_the_table():
    test = ei.randomisation_test(ei.did.GroupTime(), design(STAGGERED), draws=19)
    row = test.result.overall("simple")
    assert_allclose(test.estimate, row.estimate, rtol=1e-10)
    assert_allclose(test.statistic, row.estimate / row.std_error, rtol=1e-9)
    assert test.studentised


def test_estimators_with_covariates_are_run_again():
    sealed = design(STAGGERED, options={"covariates": ["size"]}, sizes=12).seal()
    test = ei.randomisation_test(ei.did.GroupTime(), sealed, draws=9)
    assert test.draws == 9
    assert test.ci_low == -np.inf  # nine draws reject nothing at 5 %
    assert "inference.too_few_draws" in {note.id for note in test.notes}


def test_an_estimate_that_is_not_linear_has_no_interval():
    def squared(wide, cell):
        return wide.change(cell) ** 3

    estimator = _custom(squared)
    test = ei.randomisation_test(estimator, design(STAGGERED), draws=19)
    assert np.isnan(test.ci_low)
    assert "inference.not_linear" in {note.id for note in test.notes}
    assert 0 < test.p_value <= 1


def _custom(change):
    from dataclasses import dataclass

    @ei.estimator(
        id="a_custom_change",
        title="Custom change",
        reference="none",
        step="V-b",
        requires={"parallel_trends", "no_anticipation"},
    )
    @dataclass(frozen=True, kw_only=True)
    class Custom:
        def estimate(self, design):
            wide, cells = design.wide(), ei.CellBuilder(design, self)
            for cell in design.cells():
                dy, n1 = change(wide, cell), cell.supported.size
                up, down = dy[:n1], dy[n1:]
                psi = np.concatenate([(up - up.mean()) / n1, -(down - down.mean()) / down.size])
                effect = up.mean() - down.mean()
                cells.add(cell, estimate=effect, influence=psi, sampled=True)
            return cells.result()

    return Custom()


def test_one_supported_cluster_has_a_p_value_from_all_places_and_no_interval():
    one = design((2014, *(0,) * 9), effect=3.0)
    test = ei.randomisation_test(ei.did.GroupTime(), one)
    assert (test.draws, test.enumerated, test.supported) == (10, True, 1)
    assert test.p_value == 0.1
    assert np.isnan(test.ci_low)
    assert np.isnan(test.ci_high)
    assert not test.studentised
    assert "EI-I33" in repr(test)
    assert len(repr(test).splitlines()) <= 20


def test_every_arrangement_is_held_against_the_sample():
    made = design((2014, 2014, 2014, *(0,) * 5))
    test = ei.randomisation_test(ei.did.GroupTime(), made)
    assert test.enumerated
    assert test.draws == 56
    y = made.wide().outcome.reshape(8, 6, -1)
    post, base = YEARS >= 2014, np.flatnonzero(YEARS == 2013)[0]
    change = (y[:, :, post] - y[:, :, [base]]).mean(axis=(1, 2))
    statistics = []
    for chosen in combinations(range(8), 3):
        up = change[list(chosen)]
        down = np.delete(change, chosen)
        error = np.sqrt(up.var(ddof=1) / 3 + down.var(ddof=1) / 5)
        statistics.append((up.mean() - down.mean()) / error)
    own = abs(statistics[0])
    assert_allclose(abs(test.statistic), own, rtol=1e-9)
    assert_allclose(test.p_value, np.mean(np.abs(statistics) >= own * (1 - 1e-9)))


def test_interval_is_the_test_of_other_effects():
    starts = (2014, 2014, 2014, 2014, *(0,) * 6)
    test = ei.randomisation_test(ei.did.GroupTime(), design(starts), rng=3)
    for end, sign in ((test.ci_low, -1), (test.ci_high, 1)):
        for away, rejected in ((1e-6, True), (-1e-6, False)):
            moved = design(starts, effect=-(end + sign * away))
            again = ei.randomisation_test(ei.did.GroupTime(), moved, rng=3)
            assert (again.p_value <= 0.05) is rejected


def test_strata():
    starts = (2014, 2014, 0, 0, 2014, 0, 0, 0)
    test = ei.randomisation_test(ei.did.GroupTime(), design(starts), within="half", unit="cluster")
    # even: 0, 2, 4, 6 with two supported; odd: 1, 3, 5, 7 with one
    assert test.draws == 6 * 4
    assert "half" in str(test.assumed[0])
    mixed = design((2014, 0, 0, 2014), mixed=True)
    inside = ei.randomisation_test(
        ei.did.GroupTime(), mixed, within="region", unit="firm", draws=19
    )
    assert inside.supported == 6


def test_the_same_seal_gives_the_same_draws():
    made = design(STAGGERED).seal()
    tests = [ei.randomisation_test(ei.did.GroupTime(), made, draws=49) for _ in range(2)]
    assert tests[0].p_value == tests[1].p_value
    assert tests[0].ci_low == tests[1].ci_low


@pytest.mark.parametrize(
    ("make", "options", "code"),
    [
        (lambda: design(STAGGERED), {"draws": 0}, "EI-I08"),
        (lambda: design(STAGGERED), {"unit": "village"}, "EI-I08"),
        (lambda: design(STAGGERED, clustered=False), {"unit": "cluster"}, "EI-I08"),
        (lambda: design(STAGGERED, mixed=True), {"unit": "cluster"}, "EI-I32"),
        (lambda: design((2014, 0, 0, 0)), {"unit": "firm", "within": "region"}, "EI-I34"),
        (lambda: design(STAGGERED).within("half", "even"), {}, "EI-I31"),
        (
            lambda: design(STAGGERED, options={"covariates": ["size"]}).match(
                ei.matching.EntropyBalancing()
            ),
            {},
            "EI-I31",
        ),
        (lambda: "no design", {}, "EI-E10"),
    ],
)
def test_what_is_refused(make, options, code):
    with pytest.raises(ei.ExportImpactError) as caught:
        ei.randomisation_test(ei.did.GroupTime(), make(), **options)
    assert caught.value.code == code


def test_arrangements_are_all_different():
    labels, strata = np.array([1, 0, 2, 1, 0, 0]), np.array([0, 0, 0, 0, 1, 1])
    sources, count, enumerated = arrangements(labels, strata, 12, np.random.default_rng(0))
    dealt = {tuple(labels[s]) for s in sources}
    assert enumerated
    assert count == len(dealt) == n_arrangements(labels, strata) == 12
    assert all(d[4:] == (0, 0) and sorted(d[:4]) == [0, 1, 1, 2] for d in dealt)
    sources, count, enumerated = arrangements(labels, strata, 11, np.random.default_rng(0))
    assert (count, enumerated) == (11, False)
    assert all(sorted(s[:4]) == [0, 1, 2, 3] for s in sources)


def test_arrangements_without_an_estimate_count_as_far_away():
    drawn = np.array([[0.0, 0.0], [np.nan, np.nan], [0.1, 0.0]])
    found = Randomised(
        np.array([1.0, 1.0]), np.eye(2), drawn, np.ones((3, 1, 1)) * np.eye(2), True, False
    )
    assert found.failed == 1
    assert found.p_value() == 0.5
