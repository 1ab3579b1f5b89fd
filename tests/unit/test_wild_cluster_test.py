"""The wild cluster bootstrap of results: what is drawn, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import exportimpact as ei
from exportimpact.numerics.cluster_robust import Clustered
from exportimpact.numerics.wild_cluster import draw, regression_parts

YEARS = np.arange(2010, 2018)


def design(starts, *, sizes=6, clustered=True, missing=0.0, effect=0.0, mixed=False, seed=2):
    rng = np.random.default_rng(seed)
    region = np.repeat(np.arange(len(starts)), np.broadcast_to(sizes, len(starts)))
    n = region.size
    first = np.asarray(starts)[region]
    if mixed:
        first = np.where(np.arange(n) % 2 == 0, first, 0)
    on = (first[:, None] > 0) & (first[:, None] <= YEARS)
    shock = 0.2 * rng.normal(size=(len(starts), YEARS.size)).cumsum(axis=1)
    y = rng.normal(size=(n, 1)) + 0.3 * rng.normal(size=on.shape) + shock[region] + effect * on
    frame = pd.DataFrame(
        {
            "firm": np.repeat(np.arange(n), YEARS.size),
            "year": np.tile(YEARS, n),
            "y": np.where(rng.random(on.shape) < missing, np.nan, y).ravel(),
            "x": rng.normal(size=n * YEARS.size),
            "region": np.repeat(region, YEARS.size),
        }
    )
    spells = pd.DataFrame({"firm": np.arange(n), "first": pd.array(first, dtype="Int64")})
    spells.loc[spells["first"] == 0, "first"] = pd.NA
    panel = ei.Panel.from_frame(
        frame,
        unit="firm",
        period="year",
        outcomes=[ei.Outcome("y", scale="logged")],
        baseline=["x"],
        cluster="region" if clustered else None,
    )
    support = ei.Assignment.from_first_period(spells, unit="firm", first_period="first")
    return ei.Design(panel, support, outcome="y")


ONE_START = (2014,) * 4 + (0,) * 6
STAGGERED = (2013, 2013, 2014, 2014, 2016, 2016, 0, 0, 0, 0, 0, 0)


def dummies_of(made, dynamic, with_x):
    """The regression with a dummy for every firm, row by row: y, X, clusters."""
    y = made.wide().outcome
    n, t = y.shape
    start = np.array([0, *made.cohorts])[made.cohort_codes]
    event = np.where(start[:, None] > 0, YEARS - start[:, None], np.nan)
    times = [e for e in np.unique(event[np.isfinite(event)]) if e != -1] if dynamic else [None]
    support = [(event >= 0) if e is None else event == e for e in times]
    columns = [s.ravel().astype(float) for s in support]
    if with_x:
        columns.append(made.history().column("x").ravel())
    columns += [np.tile(year == YEARS, n).astype(float) for year in YEARS[1:]]
    X = np.column_stack([*columns, np.kron(np.eye(n), np.ones((t, 1)))])
    seen = np.isfinite(y).ravel()
    return y.ravel()[seen], X[seen], np.repeat(made.cluster_codes, t)[seen], times


@pytest.mark.parametrize(
    ("dynamic", "controls", "missing"),
    [(False, (), 0.0), (False, (), 0.15), (False, ("x",), 0.1), (True, (), 0.0)],
)
def test_two_way_fixed_effects_are_drawn_as_the_regression_with_dummies(dynamic, controls, missing):
    made = design(STAGGERED, missing=missing, effect=0.3)
    result = ei.did.TwoWayFixedEffects(dynamic=dynamic, controls=controls).estimate(made)
    test = ei.wild_cluster_test(result, rng=5, draws=199)
    y, X, codes, times = dummies_of(made, dynamic, bool(controls))
    row = result.overall("simple")
    contrast = np.zeros(X.shape[1])
    for weight, e in zip(row.rows.weights[0], result.cells.index.event_time, strict=True):
        contrast[times.index(e) if dynamic else 0] += weight
    fit = Clustered.of(X, y, codes)
    drawn = draw(regression_parts(fit, contrast), draws=199, rng=np.random.default_rng(5))
    assert test.method == "regression"
    assert_allclose(test.estimate, row.estimate, rtol=1e-8)
    assert_allclose(test.std_error, drawn.std_error, rtol=1e-7)
    assert test.p_value == drawn.p_value()
    assert_allclose([test.ci_low, test.ci_high], drawn.interval(0.95), rtol=1e-5)


def test_influence_with_one_start_gives_the_error_of_the_table():
    result = ei.did.GroupTime().estimate(design(ONE_START))
    test, row = ei.wild_cluster_test(result), result.overall("simple")
    assert test.method == "score"
    assert_allclose(test.std_error, row.std_error, rtol=1e-8)
    assert_allclose(test.statistic, row.estimate / row.std_error, rtol=1e-8)
    assert (test.draws, test.weights, test.enumerated) == (999, "webb", False)
    assert test.ci_low < test.estimate < test.ci_high


def test_influence_draws_are_those_of_means_estimated_again():
    made = design(ONE_START, sizes=(3, 9, 5, 7, 4, 8, 6, 2, 5, 6))
    result = ei.did.GroupTime().estimate(made)
    test = ei.wild_cluster_test(result, draws=1024)
    y = made.wide().outcome
    z = y[:, YEARS >= 2014].mean(axis=1) - y[:, YEARS == 2013][:, 0]
    up, region = made.cohort_codes == 1, made.cluster_codes
    sides = [up, ~up]
    means = [z[s].mean() for s in sides]
    spread = np.array([z[s].var() / s.sum() for s in sides])
    gap = means[0] - means[1]
    # Under no effect the means move towards each other, by their parts of the variance.
    under = [means[0] - gap * spread[0] / spread.sum(), means[1] + gap * spread[1] / spread.sum()]
    rest = z - np.where(up, *under)
    statistics = []
    for pattern in range(1024):
        v = np.array([1.0 if pattern >> g & 1 else -1.0 for g in range(10)])
        drawn = v[region] * rest
        effect, variance = 0.0, 0.0
        for sign, side in zip((1, -1), sides, strict=True):
            k = np.unique(region[side]).size
            part = (drawn - drawn[side].mean()) * side / side.sum()
            variance += k / (k - 1) * np.sum(np.bincount(region, part) ** 2)
            effect += sign * drawn[side].mean()
        statistics.append(effect / np.sqrt(variance))
    own = abs(test.statistic)
    assert test.enumerated
    assert_allclose(test.p_value, np.mean(np.abs(statistics) >= own * (1 - 1e-9)))


def test_clusters_on_both_sides_and_firms_as_clusters():
    both = ei.wild_cluster_test(ei.did.GroupTime().estimate(design(STAGGERED, mixed=True)))
    assert (both.clusters, both.supported, both.draws) == (12, 6, 999)
    firms = ei.wild_cluster_test(ei.did.GroupTime().estimate(design(STAGGERED, clustered=False)))
    assert (firms.clusters, firms.supported, firms.weights) == (72, 36, "rademacher")
    for test in (both, firms):
        assert 0 < test.p_value <= 1
        assert test.ci_low < test.estimate < test.ci_high
        assert len(repr(test).splitlines()) <= 20


def test_a_row_of_ones_own():
    result = ei.did.GroupTime().estimate(design(STAGGERED))
    test = ei.wild_cluster_test(result.overall("event_time"))
    assert_allclose(test.estimate, result.overall("event_time").estimate, rtol=1e-9)


def test_five_clusters_reject_nothing_and_say_so():
    made = design((2014, 2014, 2014, 0, 0), effect=5.0)
    test = ei.wild_cluster_test(ei.did.GroupTime().estimate(made))
    assert (test.enumerated, test.draws, test.p_value) == (True, 32, 2 / 32)
    assert (test.ci_low, test.ci_high) == (-np.inf, np.inf)
    assert "0.0625" in repr(test)


@pytest.mark.parametrize(
    ("make", "options", "code"),
    [
        (lambda: group_time((2014, *(0,) * 9)), {}, "EI-I30"),
        (lambda: group_time((2014, 2014, *(0,) * 9)), {}, "EI-I30"),
        (lambda: group_time((2014, 2014, 2014, 0)), {}, "EI-I30"),
        (lambda: group_time((2014, 2014, 2015, *(0,) * 9)), {}, "EI-I30"),
        (lambda: group_time(ONE_START), {"draws": 0}, "EI-I08"),
        (lambda: group_time(ONE_START), {"weights": "mammen"}, "EI-I08"),
        (lambda: group_time(ONE_START), {"level": 95}, "EI-I08"),
        (lambda: group_time(ONE_START).aggregate("event_time"), {}, "EI-I06"),
        (lambda: ei.EstimationResult.from_json(group_time(ONE_START).to_json()), {}, "EI-I04"),
    ],
)
def test_what_is_refused(make, options, code):
    with pytest.raises(ei.ExportImpactError) as caught:
        ei.wild_cluster_test(make(), **options)
    assert caught.value.code == code


def group_time(starts):
    return ei.did.GroupTime().estimate(design(starts))
