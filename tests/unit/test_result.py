"""The result type: its table, aggregates, percent, bands, and what it says of itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate, optimize, stats

import exportimpact as ei
from exportimpact.core import result as result_module
from exportimpact.numerics.bands import sup_t

NA = pd.NA
COLUMNS = [
    *("outcome", "subgroup", "programme", "cohort", "period", "event_time"),
    *("estimate", "std_error", "ci_low", "ci_high", "p_value", "n_supported", "n_comparison"),
]
KINDS = ("simple", "event_time", "cohort", "calendar")


def design(y, starts, *, outcome=None, years=None, constant=None, options=None, **columns):
    """Firms 0, 1, ... with one row of `y` each; `constant` columns hold one value per firm."""
    y = np.asarray(y, dtype=float)
    n, periods = y.shape
    years = range(2014, 2014 + periods) if years is None else years
    frame = pd.DataFrame({"firm": np.repeat(np.arange(n), periods), "year": [*years] * n})
    frame["y"] = y.ravel()
    for name, values in (constant or {}).items():
        frame[name] = np.repeat(values, periods)
    panel = ei.Panel.from_frame(
        frame, unit="firm", period="year", outcomes=[outcome or ei.Outcome("y")], **columns
    )
    awards = pd.DataFrame({"firm": range(n), "first": pd.array(list(starts), dtype="Int64")})
    support = ei.Assignment.from_first_period(awards, unit="firm", first_period="first")
    name = outcome.name if outcome else "y"
    return ei.Design(panel, support, outcome=name, **(options or {}))


def estimate(*args, adjust="none", **kwargs):
    return ei.did.GroupTime(adjust=adjust).estimate(design(*args, **kwargs))


def random(seed=0, sizes=(12, 10), n_never=30, periods=5, mean=20.0):
    """Outcomes and starts (2016, 2017, ...) of firms with random walks."""
    rng = np.random.default_rng(seed)
    starts = [2016 + g for g, k in enumerate(sizes) for _ in range(k)] + [NA] * n_never
    y = mean + rng.normal(size=(len(starts), periods)).cumsum(axis=1)
    return y, starts


# Effects of cohorts 2015, 2016 and 2017 with 4, 2 and 3 firms; nothing else moves.
EFFECTS = {
    (2015, 2015): 1.0,
    (2015, 2016): 2.0,
    (2015, 2017): 3.0,
    (2016, 2016): 10.0,
    (2016, 2017): 20.0,
    (2017, 2017): 100.0,
}
SIZES = {2015: 4, 2016: 2, 2017: 3}


def three_cohorts(missing=(), **more):
    starts = [g for g, k in SIZES.items() for _ in range(k)] + [NA] * 3
    effect = [[EFFECTS.get((g, t), 0.0) for t in range(2014, 2018)] for g in starts]
    y = np.array(effect) + np.arange(12.0)[:, None] ** 2
    for firm, year in missing:
        y[firm, year - 2014] = np.nan
    return estimate(y, starts, **more)


def keyed(result, column):
    table = result.table()
    return dict(zip(table[column], table["estimate"], strict=True))


def test_cells_by_hand():
    table = three_cohorts().table()
    found = {(g, t): e for g, t, e in table[["cohort", "period", "estimate"]].to_numpy()}
    assert found == pytest.approx({key: EFFECTS.get(key, 0.0) for key in found})
    assert EFFECTS.keys() < found.keys()


@pytest.mark.parametrize(
    ("kind", "column", "rows", "overall"),
    [
        ("simple", "cohort", None, (4 * 6 + 2 * 30 + 3 * 100) / 19),
        ("event_time", "event_time", {-2: 0, -3: 0, 0: 36, 1: 8, 2: 3}, (36 + 8 + 3) / 3),
        ("cohort", "cohort", {2015: 2, 2016: 15, 2017: 100}, (4 * 2 + 2 * 15 + 3 * 100) / 9),
        (
            "calendar",
            "period",
            {2015: 1, 2016: 28 / 6, 2017: 352 / 9},
            (1 + 28 / 6 + 352 / 9) / 3,
        ),
    ],
)
def test_aggregates_by_hand(kind, column, rows, overall):
    result = three_cohorts()
    assert result.overall(kind).estimate == pytest.approx(overall)
    if rows is None:
        assert result.aggregate(kind).table().equals(result.overall(kind).table())
    else:
        assert keyed(result.aggregate(kind), column) == pytest.approx(rows)
    if kind == "simple":
        assert result.overall().estimate == pytest.approx(overall)
    shown = result.overall(kind).table().iloc[0]
    assert (shown["n_supported"], shown["n_comparison"]) == (9, 3)
    assert pd.isna(shown[["cohort", "period", "event_time"]]).all()


@pytest.mark.parametrize(
    ("kind", "limits", "expected"),
    [
        ("event_time", {"max": 1}, (36 + 8) / 2),
        ("event_time", {"min": 1, "max": 1}, 8),
        ("event_time", {"balance": 1}, ((4 * 1 + 2 * 10) / 6 + 8) / 2),
        ("simple", {"min": 1}, (4 * 2 + 4 * 3 + 2 * 20) / 10),
        ("cohort", {"max": 0}, 36),
        ("calendar", {"balance": 2}, (1 + 2 + 3) / 3),
    ],
)
def test_limits_by_hand(kind, limits, expected):
    assert three_cohorts().overall(kind, **limits).estimate == pytest.approx(expected)


def test_observed_and_design_weights():
    result = three_cohorts(missing=[(0, 2016), (1, 2016)])
    assert result.overall().estimate == pytest.approx(384 / 19)
    observed = result.overall(weights="observed")
    assert observed.estimate == pytest.approx((4 + 2 * 2 + 12 + 2 * 30 + 300) / 17)
    assert str(observed.estimand) != str(result.overall().estimand)


def test_cohort_sizes_are_sums_of_weights():
    w = [1.0] * 4 + [2.0] * 2 + [0.5] * 6
    result = three_cohorts(constant={"w": w}, weight="w")
    expected = (4 * 6 + 4 * 30 + 1.5 * 100) / (12 + 8 + 1.5)
    assert result.overall().estimate == pytest.approx(expected)


def test_table_columns():
    y, starts = random()
    region = np.arange(len(starts)) % 7
    result = estimate(y, starts)
    for shown in (result, result.overall(), *(result.aggregate(k) for k in KINDS)):
        assert list(shown.table().columns) == COLUMNS
    clustered = estimate(y, starts, constant={"region": region}, cluster="region").table()
    assert list(clustered.columns) == [*COLUMNS, "n_supported_clusters", "n_comparison_clusters"]
    detail = result.table(detail=True)
    more = ["df", "mde", "reason", "percent", "percent_low", "percent_high", "percent_unit"]
    assert list(detail.columns) == [*COLUMNS, *more, "counterfactual", "ratio"]
    assert set(detail["subgroup"]) == {"all"}
    assert set(detail["programme"]) == {"any"}


def test_interval_p_value_and_smallest_detectable_effect():
    table = estimate(*random()).table(level=0.9, detail=True)
    t = stats.t(table["df"])
    half = t.ppf(0.95) * table["std_error"]
    assert_allclose(table["ci_low"], table["estimate"] - half)
    assert_allclose(table["ci_high"], table["estimate"] + half)
    assert_allclose(table["p_value"], 2 * t.sf(abs(table["estimate"] / table["std_error"])))
    assert_allclose(table["mde"], (t.ppf(0.975) + t.ppf(0.8)) * table["std_error"])


def test_influence_functions():
    y, starts = random()
    result = estimate(y, starts)
    psi = result.influence
    n, table = len(starts), result.table()
    assert psi.shape == (n, len(table))
    assert_array_equal(result.units, np.arange(n))
    assert_allclose(np.sqrt((psi**2).sum(axis=0)) / n, table["std_error"])
    for cell, column in zip(result.design.cells(), psi.T, strict=True):
        outside = np.setdiff1d(np.arange(n), cell.rows)
        assert not column[outside].any()
    by_event = result.aggregate("event_time")
    assert_allclose(by_event.influence.T @ by_event.influence / n**2, by_event.covariance())


# Every reported number moves with the weight of a firm as its influence function says ----------


def reported(w, y, starts, x):
    """Overall effects and their percents, with errors and degrees of freedom, at firm weights w."""
    result = estimate(
        y,
        starts,
        adjust="doubly_robust",
        constant={"w": w, "x": x},
        weight="w",
        baseline=["x"],
        options={"covariates": ["x"]},
    )
    rows = [result.overall(k) for k in KINDS]
    rows += [result.overall("simple", weights="observed"), result.aggregate("event_time")]
    return pd.concat([r.table(detail=True) for r in rows], ignore_index=True)


def brute_force(columns, step=1e-4):
    """Numbers at equal weights, and their derivatives with respect to each firm's weight."""
    y, starts = random(sizes=(6, 5), n_never=12, periods=4)
    y[2, 3] = y[7, 3] = np.nan
    x = np.random.default_rng(9).normal(size=len(starts))
    base = np.ones(len(starts))
    change = []
    for i in range(base.size):
        up, down = base.copy(), base.copy()
        up[i] += step
        down[i] -= step
        ends = [reported(w, y, starts, x)[columns].to_numpy() for w in (up, down)]
        change.append((ends[0] - ends[1]) / (2 * step))
    strata = np.array([0 if g is NA else g for g in starts])
    return reported(base, y, starts, x), np.array(change), strata


def welch(change, strata):
    """Satterthwaite degrees of freedom from within-stratum variances of (n_firms, n_rows)."""
    top = bottom = 0.0
    for s in np.unique(strata):
        inside = change[strata == s]
        k = (abs(inside) > 1e-9).sum(axis=0)
        centred = (inside**2).sum(axis=0) - inside.sum(axis=0) ** 2 / np.maximum(k, 1)
        spread = np.where(k > 1, centred * k / np.maximum(k - 1, 1), 0.0)
        top = top + spread
        bottom = bottom + spread**2 / np.maximum(k - 1, 1)
    return top**2 / bottom


def test_errors_are_those_of_the_infinitesimal_jackknife():
    """Of effects, and of percents by the delta method; estimated cohort sizes included."""
    table, change, strata = brute_force(["estimate", "percent"])
    error = np.sqrt((change**2).sum(axis=0))
    df = np.column_stack([welch(change[:, :, j], strata) for j in (0, 1)])
    assert_allclose(table["std_error"], error[:, 0], rtol=1e-5)
    assert_allclose(table["df"], df[:, 0], rtol=1e-4)
    half = stats.t(df[:, 1]).ppf(0.975) * error[:, 1]
    assert_allclose(table["percent_high"] - table["percent"], half, rtol=1e-4)
    assert_allclose(table["percent"] - table["percent_low"], half, rtol=1e-4)
    assert_allclose(table["percent"], 100 * table["estimate"] / table["counterfactual"])
    assert_allclose(table["ratio"], 1 + table["percent"] / 100)
    assert set(table["percent_unit"]) == {"%"}


def test_degrees_of_freedom_count_every_firm_of_a_cell():
    # Changes 1, 2, 3: the middle firm's influence is zero, but it is a firm of the sample.
    starts = [2015] * 3 + [NA] * 4
    own, others = [1.0, 2.0, 3.0], [0.0, 1.0, 5.0, 7.0]
    y = np.column_stack([np.zeros(7), own + others])
    found = estimate(y, starts).table(detail=True).iloc[0]
    a, b = np.var(own, ddof=1) / 3, np.var(others, ddof=1) / 4
    assert found["df"] == pytest.approx((a + b) ** 2 / (a**2 / 2 + b**2 / 3))


# Percent on other scales ------------------------------------------------------------------------


@pytest.mark.parametrize("scale", ["log", "logged"])
def test_percent_of_a_log(scale):
    y, starts = random(mean=3.0)
    y = np.exp(y / 5) if scale == "log" else y / 5
    table = estimate(y, starts, outcome=ei.Outcome("y", scale=scale)).table(detail=True)
    for end, name in (
        ("estimate", "percent"),
        ("ci_low", "percent_low"),
        ("ci_high", "percent_high"),
    ):
        assert_allclose(table[name], 100 * np.expm1(table[end]))
    assert set(table["percent_unit"]) == {"%"}
    assert table["counterfactual"].isna().all()


def test_percent_of_a_binary_outcome_is_in_points():
    exporting = [[0, 1], [0, 0], [1, 1], [0, 1], [0, 0], [1, 1], [0, 0], [1, 1]]
    outcome = ei.Outcome("exporting", column="y", scale="binary")
    result = estimate(exporting, [2015] * 4 + [NA] * 4, outcome=outcome)
    row = result.table(detail=True).iloc[0]
    assert row["estimate"] == pytest.approx(0.5)
    assert (row["percent"], row["percent_unit"]) == (pytest.approx(50), "pp")
    assert row["percent_low"] == pytest.approx(100 * row["ci_low"])
    assert (row["counterfactual"], row["ratio"]) == (pytest.approx(0.25), pytest.approx(3.0))


def test_percent_is_not_defined_where_the_counterfactual_may_be_zero():
    y, starts = random(mean=0.0)
    result = estimate(y, starts)
    percent = result.overall().percent().iloc[0]
    assert np.isfinite(result.overall().estimate)
    assert percent[["percent", "percent_low", "percent_high", "ratio"]].isna().all()
    assert "nan " not in repr(result).lower()


# Bands ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["sup_t", "multiplier"])
@pytest.mark.parametrize("family", ["post", "all"])
def test_bands_are_never_narrower_than_intervals(family, method):
    result = estimate(*random(sizes=(3, 25)))
    for shown in (result, result.aggregate("event_time"), result.aggregate("cohort")):
        bands = shown.bands(family=family, method=method)
        inside = bands["event_time"].fillna(0) >= (0 if family == "post" else -9)
        assert (bands.loc[inside, "band_low"] <= bands.loc[inside, "ci_low"] + 1e-12).all()
        assert (bands.loc[inside, "band_high"] >= bands.loc[inside, "ci_high"] - 1e-12).all()
        assert bands.loc[~inside, ["critical", "band_low", "band_high"]].isna().all(axis=None)
        assert set(bands["family"]) == {family}


def test_bands_over_more_rows_and_at_higher_levels_are_wider():
    result = estimate(*random()).aggregate("event_time")
    post, everything = (result.bands(family=f)["critical"] for f in ("post", "all"))
    high = result.bands(level=0.99)["critical"]
    shown = post.notna()
    assert (everything[shown] > post[shown]).all()
    assert (high[shown] > post[shown]).all()


@pytest.mark.parametrize("k", [1, 2, 5, 11])
def test_sup_t_of_independent_normal_rows(k):
    # P(max |Z| <= c) = (2 Phi(c) - 1)^k; 2.83 for 11 rows.
    exact = stats.norm.ppf((1 + 0.95 ** (1 / k)) / 2)
    found = sup_t(np.diag(np.arange(1.0, k + 1)), np.full(k, np.inf), 0.95)
    assert_allclose(found, exact, atol=0.01)
    if k == 11:
        assert_allclose(found, 2.83, atol=0.01)


@pytest.mark.parametrize("df", [4, 12])
def test_sup_t_of_rows_with_one_scale(df):
    """The studentised maximum modulus of five independent rows, by quadrature."""
    scale = stats.chi(df)

    def excess(c):
        def inside(s):
            return (2 * stats.norm.cdf(c * s / np.sqrt(df)) - 1) ** 5 * scale.pdf(s)

        return integrate.quad(inside, 0, 20)[0] - 0.95

    exact = optimize.brentq(excess, 2, 8)
    assert_allclose(sup_t(np.eye(5), np.full(5, float(df)), 0.95), exact, rtol=0.01)


def test_sup_t_against_brute_force():
    shown = estimate(*random(sizes=(4, 25))).aggregate("event_time")
    table, covariance = shown.table(detail=True), shown.covariance()
    post = (table["event_time"] >= 0).to_numpy()
    df = table.loc[post, "df"].to_numpy()
    rng = np.random.default_rng(0)
    size = covariance[np.ix_(post, post)]
    z = rng.multivariate_normal(np.zeros(post.sum()), size, size=100_000)
    u = rng.random(100_000)[:, None]
    t = z / np.sqrt(np.diag(size)) / np.sqrt(stats.chi2(df).ppf(u) / df)
    smallest = np.quantile(2 * stats.t(df).sf(abs(t)).min(axis=1), 0.05)
    exact = stats.t(df).isf(smallest / 2)
    assert_allclose(shown.bands().loc[post, "critical"], exact, rtol=0.01)


def test_the_multiplier_bootstrap_repeats():
    result = estimate(*random()).aggregate("event_time")

    def critical(rng):
        return result.bands(method="multiplier", rng=rng)["critical"].dropna().iloc[0]

    assert critical(None) == critical(None)
    assert critical(1) == critical(1) == critical(np.random.default_rng(1))
    assert len({critical(seed) for seed in range(5)}) > 1
    assert critical(3) == pytest.approx(result.bands()["critical"].dropna().iloc[0], rel=0.1)


# Thin cohorts -----------------------------------------------------------------------------------

NO_INTERVAL = ["ci_low", "ci_high", "p_value", "df", "mde"]


def test_one_supported_firm_has_an_error_but_no_interval():
    y, starts = random(sizes=(1, 10))
    result = estimate(y, starts)
    table = result.table(detail=True)
    thin = table["cohort"] == 2016
    assert (table["std_error"] > 0).all()
    assert table.loc[thin, NO_INTERVAL].isna().all(axis=None)
    assert table.loc[~thin, NO_INTERVAL].notna().all(axis=None)
    assert result.overall().std_error > 0
    assert np.isnan(result.overall().ci_low)
    without_band = thin | (table["event_time"] < 0)
    assert result.bands()["critical"].isna().tolist() == without_band.tolist()
    by_cohort = result.aggregate("cohort").table()
    assert by_cohort["ci_low"].isna().tolist() == [True, False]


# Errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda r: r.aggregate("group"), "EI-I01"),
        (lambda r: r.overall("cell"), "EI-I01"),
        (lambda r: r.overall(max=-1), "EI-I02"),
        (lambda r: r.aggregate("event_time", min=40), "EI-I02"),
        (lambda r: r.aggregate("event_time", balance=40), "EI-I02"),
        (lambda r: r.overall().overall(), "EI-I03"),
        (lambda r: r.aggregate("cohort").aggregate("event_time"), "EI-I03"),
        (lambda r: r.aggregate("event_time").pretrend_test(), "EI-I03"),
        (lambda r: r.from_json(r.to_json()).influence, "EI-I04"),
        (lambda r: r.from_json(r.to_json()).units, "EI-I04"),
        (lambda r: r.from_json(r.to_json()).bands(method="multiplier"), "EI-I04"),
        (lambda r: r.estimate, "EI-I06"),
        (lambda r: r.aggregate("event_time").p_value, "EI-I06"),
        (lambda r: r.from_json("no JSON"), "EI-I07"),
        (lambda r: r.from_json("[1]"), "EI-I07"),
        (lambda r: r.from_json('{"schema": 2}'), "EI-I07"),
        (lambda r: r.from_json('{"schema": 1}'), "EI-I07"),
    ],
)
def test_codes(ask, code):
    with pytest.raises(ei.ExportImpactError) as caught:
        ask(estimate(*random()))
    assert caught.value.code == code


def test_influence_that_would_fill_the_memory_is_refused(monkeypatch):
    result = three_cohorts()
    monkeypatch.setattr(result_module, "MAX_INFLUENCE_VALUES", 12 * 9 - 1)
    assert result.overall().influence.shape == (12, 1)
    with pytest.raises(ei.ExportImpactError) as caught:
        _ = result.influence
    assert caught.value.code == "EI-I05"


@pytest.mark.parametrize(
    "ask",
    [
        lambda r: r.overall(weights="cohort"),
        lambda r: r.bands(family="pre"),
        lambda r: r.bands(method="bootstrap"),
        lambda r: r.bands(method="multiplier", draws=0),
        lambda r: r.table(level=95),
    ],
    ids=["weights", "family", "method", "draws", "level"],
)
def test_unknown_options_are_refused(ask):
    with pytest.raises(ei.ExportImpactError):
        ask(estimate(*random()))


def test_json_keeps_every_aggregate():
    result = estimate(*random())
    back = ei.EstimationResult.from_json(result.to_json())
    pd.testing.assert_frame_equal(back.table(detail=True), result.table(detail=True))
    for kind in KINDS:
        one, other = (r.aggregate(kind, weights="observed") for r in (result, back))
        pd.testing.assert_frame_equal(one.bands(), other.bands())
    assert str(back.estimand) == str(result.estimand)
    assert back.pretrend_test() == result.pretrend_test()
    assert back.sample.table().equals(result.sample.table())


# What it says of itself -------------------------------------------------------------------------


def test_repr_says_what_matters():
    outcome = ei.Outcome("exports", column="y", unit="KRW m")
    y, starts = random(sizes=(5, 5, 5), periods=9, n_never=15)
    y[:8, 8] = np.nan
    result = estimate(y, starts, outcome=outcome)
    row = result.overall().table(detail=True).iloc[0]
    for shown in (result, result.overall(), result.aggregate("event_time")):
        lines = repr(shown).splitlines()
        assert len(lines) <= 20
        assert any(
            line.startswith("Assumed: no_anticipation, parallel_trends, no_interference")
            for line in lines
        )
        assert any("Checked:" in line for line in lines)
        assert "exports" in lines[0]
        assert "exploratory" in lines[0]
    headline = repr(result.overall())
    for part in (
        f"{row['estimate']:.4g} KRW m [{row['ci_low']:.4g}, {row['ci_high']:.4g}]",
        f"{row['percent']:+.3g} % [{row['percent_low']:.4g}, {row['percent_high']:.4g}]",
        "15 supported, 15 comparison firms",
    ):
        assert part in headline
        assert part in repr(result)


def test_html_escapes_names():
    outcome = ei.Outcome("<script>alert(1)</script>", column="y", unit="<b>m</b>")
    html = estimate(*random(), outcome=outcome)._repr_html_()
    assert "<script>" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;" in html


def test_the_benchmark_says_that_it_is_not_causal():
    result = ei.matched.Benchmark().estimate(design(*random()))
    assert "not causal" in repr(result)
    assert "not causal" in result._repr_html_()
