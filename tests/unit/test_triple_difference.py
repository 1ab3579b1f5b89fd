"""The triple difference: saturated least squares, joint influence, known effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from scipy import stats

import exportimpact as ei

EFFECT = 0.5


def drawn(seed=0, n=400, *, cluster=False, by_x=0.0):
    """Regions supported from 2013, 2015 or never; in each, affected and unaffected firms.

    Supported regions grow faster, and so do affected firms. With `by_x` firms of supported regions
    grow by a covariate, affected or not, of which affected firms there have more.
    """
    rng = np.random.default_rng(seed)
    years = np.arange(2010, 2017)
    region = rng.integers(0, 60, n)
    start = np.array([2013, 2015, 9999])[region % 3]
    affected = rng.random(n) < 0.5
    x = rng.normal(size=n) + 0.8 * affected * (start < 9999)
    time = years - 2010.0
    y = rng.normal(size=n)[:, None] + 0.3 * rng.normal(size=(n, years.size)).cumsum(axis=1)
    y += 0.05 * time * (start < 9999)[:, None] + 0.08 * time * affected[:, None]
    y += by_x * time * (x * (start < 9999))[:, None]
    y += EFFECT * affected[:, None] * (years >= start[:, None])
    if cluster:
        y += 0.3 * rng.normal(size=(60, years.size)).cumsum(axis=1)[region]
    frame = pd.DataFrame(
        {
            "firm": np.repeat(np.arange(n), years.size),
            "year": np.tile(years, n),
            "y": y.ravel(),
            "exposed": np.repeat(affected, years.size),
            "sort": np.repeat(np.where(affected, "yes", "no"), years.size),
            "x": np.repeat(x, years.size),
            "region": np.repeat(region, years.size),
        }
    )
    panel = ei.Panel.from_frame(
        frame,
        unit="firm",
        period="year",
        outcomes=["y"],
        baseline=["exposed", "x", "sort"],
        cluster="region" if cluster else None,
    )
    first = pd.DataFrame({"firm": np.arange(n), "first": pd.array(start, dtype="Int64")})
    first["first"] = first["first"].mask(first["first"] == 9999)
    support = ei.Assignment.from_first_period(first, unit="firm", first_period="first")
    return frame, panel, support


def design(panel, support, **options):
    return ei.Design(panel, support, outcome="y", **options)


def estimate(given, **options):
    return ei.did.TripleDifference(by="exposed", **options).estimate(given)


def coded(code, call):
    with pytest.raises(ei.ExportImpactError) as caught:
        call()
    assert caught.value.code == code


@pytest.mark.parametrize("cluster", [False, True])
def test_saturated_least_squares(cluster):
    """Each cell is the triple interaction of a saturated regression, with its robust error."""
    frame, panel, support = drawn(cluster=cluster)
    result = estimate(design(panel, support))
    wide = frame.pivot(index="firm", columns="year", values="y")
    firm = frame.drop_duplicates("firm").set_index("firm")
    start = support.align(panel).first
    for (g, t), ours in zip(result.estimand.cells, result.table().itertuples(), strict=True):
        use = (start == g) | (start > 2016)
        S, Q = (start == g)[use].astype(float), firm["exposed"].to_numpy()[use].astype(float)
        dy = (wide[t] - wide[g - 1]).to_numpy()[use]
        X = np.column_stack([np.ones(use.sum()), S, Q, S * Q])
        robust = {"cov_type": "HC0"}
        if cluster:
            groups = firm["region"].to_numpy()[use]
            robust = {
                "cov_type": "cluster",
                "cov_kwds": {"groups": groups, "use_correction": False},
            }
        fit = sm.OLS(dy, X).fit(**robust)
        assert ours.estimate == pytest.approx(fit.params[3], rel=1e-9)
        if not result.cells.few_clusters:
            assert ours.std_error == pytest.approx(fit.bse[3], rel=1e-9)


def test_without_covariates_it_is_the_difference_of_two_subgroups():
    _, panel, support = drawn()
    whole = design(panel, support)
    triple = estimate(whole)
    one, two = (ei.did.GroupTime().estimate(whole.within("exposed", v)) for v in (1, 0))
    assert_allclose(triple.cells.estimate, one.cells.estimate - two.cells.estimate, rtol=1e-10)
    assert_allclose(triple.influence, one.influence - two.influence, atol=1e-9)
    apart = np.hypot(one.table()["std_error"], two.table()["std_error"])
    assert_allclose(triple.table()["std_error"], apart, rtol=1e-9)
    first = triple.table(detail=True)["df"][0]
    parts = [r.table(detail=True).iloc[0] for r in (one, two)]
    spread = [p["std_error"] ** 2 for p in parts]
    welch = sum(spread) ** 2 / sum(s**2 / p["df"] for s, p in zip(spread, parts, strict=True))
    # Four groups, each with its own variance; the rest is k/(k-1) of each group.
    assert first == pytest.approx(welch, rel=1e-3)
    of_affected = one.overall().rows.weights
    assert_allclose(triple.overall().rows.weights, of_affected, rtol=1e-12)


def test_who_takes_part():
    _, panel, support = drawn()
    given = design(panel, support).seal()
    result = estimate(given)
    assert result.design is given
    assert result.provenance.seal == given.hash
    assert result.estimand.segment == ("exposed", "1")
    assert "with exposed = 1" in str(result.estimand)
    assert result.sample.remaining[0] == 400  # unaffected firms take part
    row = result.table().iloc[0]
    affected = panel.baseline("exposed").values[:, 0] == 1
    start = support.align(panel).first
    assert row["n_supported"] == (affected & (start == 2013)).sum()
    others = (start > 2016).sum() + (~affected & (start == 2013)).sum()
    assert row["n_comparison"] == others
    assert any("gap between affected firms" in str(note) for note in result.notes)
    assert "parallel_trends" in result.provenance.requires.names()
    again = ei.EstimationResult.from_json(result.to_json())
    assert_allclose(again.overall().std_error, result.overall().std_error)


def test_rows_and_scale_do_not_matter():
    frame, panel, support = drawn()
    given = {"covariates": ["x"]}
    result = estimate(design(panel, support, **given)).overall()
    mixed = frame.sample(frac=1, random_state=1).assign(y=lambda f: 7 - 3 * f["y"])
    other = ei.Panel.from_frame(
        mixed, unit="firm", period="year", outcomes=["y"], baseline=["exposed", "x"]
    )
    again = estimate(design(other, support, **given)).overall()
    assert again.estimate == pytest.approx(-3 * result.estimate, rel=1e-9)
    assert again.std_error == pytest.approx(3 * result.std_error, rel=1e-9)


def test_the_propensity_is_shared_between_outcomes():
    frame, _, support = drawn()
    panel = ei.Panel.from_frame(
        frame.assign(z=lambda f: f["y"] ** 2),
        unit="firm",
        period="year",
        outcomes=["y", "z"],
        baseline=["exposed", "x"],
    )
    made = [ei.Design(panel, support, outcome=o, covariates=["x"]) for o in ("y", "z")]
    estimator = ei.did.TripleDifference(by="exposed")
    for together, given in zip(ei.estimate_many(estimator, made), made, strict=True):
        assert (together.cells.estimate == estimator.estimate(given).cells.estimate).all()


def test_it_can_be_compared():
    _, panel, support = drawn()
    whole = design(panel, support)
    results = {"DDD": estimate(whole), "DiD": ei.did.GroupTime().estimate(whole)}
    compared = ei.compare(results)
    psi = np.column_stack([r.overall().influence[:, 0] for r in results.values()])
    assert_allclose(compared.covariance(), psi.T @ psi / len(psi) ** 2, rtol=1e-9)
    assert any("other firms" in str(note) for note in compared.notes)


def test_what_is_refused():
    frame, panel, support = drawn(n=120)
    whole = design(panel, support)
    coded("EI-E54", lambda: ei.did.TripleDifference(by="sort").estimate(whole))
    coded("EI-E54", lambda: ei.did.TripleDifference(by="x").estimate(whole))
    coded("EI-P33", lambda: ei.did.TripleDifference(by="colour").estimate(whole))
    coded("EI-E54", lambda: estimate(design(panel, support, covariates=["x", "exposed"])))
    coded("EI-E08", lambda: ei.did.TripleDifference(by="exposed", adjust="dr"))
    coded("EI-E03", lambda: estimate(design(panel, support, comparison="not_yet")))
    matched = design(panel, support, covariates=["x"]).match(ei.matching.Nearest(replace=True))
    coded("EI-E03", lambda: estimate(matched))
    start = dict(enumerate(support.align(panel).first))
    alone = frame.assign(exposed=frame["firm"].map(start) < 9999)
    one_sided = ei.Panel.from_frame(
        alone, unit="firm", period="year", outcomes=["y"], baseline=["exposed"]
    )
    coded("EI-D08", lambda: estimate(design(one_sided, support)))


def test_groups_of_one_firm_are_no_comparison():
    frame, _, support = drawn(n=120)
    panel = ei.Panel.from_frame(
        frame, unit="firm", period="year", outcomes=["y"], baseline=["exposed"]
    )
    start = support.align(panel).first
    keep = np.flatnonzero(start == 2013)
    unaffected = [f for f in keep if not panel.baseline("exposed").values[f, 0]]
    left = frame[~frame["firm"].isin(unaffected[1:])]
    small = ei.Panel.from_frame(
        left, unit="firm", period="year", outcomes=["y"], baseline=["exposed"]
    )
    first = pd.DataFrame({"firm": np.arange(120), "first": start}).astype({"first": "Int64"})
    first["first"] = first["first"].mask(first["first"] > 2016)
    first = first[first["firm"].isin(left["firm"])]
    again = ei.Assignment.from_first_period(first, unit="firm", first_period="first")
    result = estimate(design(small, again))
    assert set(result.cells.index.cohort) == {2015}
    assert any("1 firm(s)" in str(why) for _, _, why in result.not_identified)


def naive(given):
    """The difference of two adjusted difference-in-differences."""
    one, two = (ei.did.GroupTime().estimate(given.within("exposed", v)) for v in (1, 0))
    return one.overall().estimate - two.overall().estimate


def test_a_difference_of_two_adjusted_ones_is_not_it():
    """Supported firms grow by a covariate of which affected ones have more: both others fail."""
    _, panel, support = drawn(n=6000, by_x=0.15)
    given = design(panel, support, covariates=["x"])
    row = estimate(given).overall()
    assert abs(row.estimate - EFFECT) < 4 * row.std_error
    plain = estimate(given, adjust="none").overall()
    assert abs(plain.estimate - EFFECT) > 4 * plain.std_error
    assert abs(naive(given) - EFFECT) > 4 * row.std_error


@pytest.mark.calibration
@pytest.mark.parametrize("adjust", ["doubly_robust", "none"])
def test_known_effect(adjust):
    """400 draws: bias, error against spread, coverage."""
    draws, rows = 400, []
    by_x = 0.15 if adjust == "doubly_robust" else 0.0
    for seed in range(draws):
        _, panel, support = drawn(seed, n=500, by_x=by_x)
        row = estimate(design(panel, support, covariates=["x"]), adjust=adjust).overall()
        rows.append((row.estimate, row.std_error, row.ci_low <= EFFECT <= row.ci_high))
    value, std_error, covered = np.array(rows, dtype=float).T
    sd = value.std(ddof=1)
    assert abs(value.mean() - EFFECT) <= 0.10 * sd + 3 * sd / np.sqrt(draws)
    assert abs(np.sqrt((std_error**2).mean()) / sd - 1) <= 3.29 / np.sqrt(2 * draws)
    low, high = stats.binom.ppf([0.0005, 0.9995], draws, 0.95)
    assert low <= covered.sum() <= high
