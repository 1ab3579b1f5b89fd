"""Designs on tiny panels: which cells there are, from which firms, and why others are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import exportimpact as ei

NA = pd.NA
YEARS = range(2014, 2019)


def long(y, years=YEARS, **columns):
    """Firms 0, 1, 2, ... in long form; a column has one value per firm, or per firm and year."""
    y = np.asarray(y, dtype=float)
    shape = y.shape
    frame = {"firm": np.repeat(np.arange(len(y)), shape[1]), "year": list(years) * len(y)}
    frame["y"] = y.ravel()
    for name, values in columns.items():
        values = np.asarray(values)
        frame[name] = values.ravel() if values.ndim == 2 else np.repeat(values, shape[1])
    return pd.DataFrame(frame)


def noise(n, periods=5, seed=0):
    return np.random.default_rng(seed).normal(10, 2, size=(n, periods))


def panel(frame, **options):
    known = {"unit": "firm", "period": "year", "outcomes": ["y"]}
    return ei.Panel.from_frame(frame, **(known | options))


def first(*periods):
    frame = pd.DataFrame({"firm": range(len(periods)), "first": pd.array(periods, dtype="Int64")})
    return ei.Assignment.from_first_period(frame, unit="firm", first_period="first")


def spells(*rows):
    """Rows of (firm, start, programme, awarded)."""
    frame = pd.DataFrame(rows, columns=["firm", "start", "programme", "awarded"])
    return ei.Assignment.from_spells(
        frame, unit="firm", start="start", programme="programme", awarded="awarded"
    )


def cells(design, pool=None):
    """{(cohort, period): (base, supported, comparison)} with firms as rows."""
    label = design.calendar.label
    return {
        (label(c.cohort), label(c.period)): (
            label(c.base),
            c.supported.tolist(),
            c.comparison.tolist(),
        )
        for c in design.cells(pool)
    }


def comparison(design, pool=None):
    return {key: found[2] for key, found in cells(design, pool).items()}


# Firms 0 and 1 start in 2016, 2 in 2017, 3 never, 4 after the panel, 5 before it.
STARTS = (2016, 2016, 2017, NA, 2019, 2014)
EARLY, LATE = (2014, 2016, 2017, 2018), (2014, 2015, 2017, 2018)


def of(cohort, periods, *pools):
    """Pool of each period; the last one holds for the rest."""
    filled = [*pools, *[pools[-1]] * (len(periods) - len(pools))]
    return {(cohort, t): pool for t, pool in zip(periods, filled, strict=True)}


@pytest.mark.parametrize(
    ("options", "pool", "expected"),
    [
        ({}, None, of(2016, EARLY, [3, 4]) | of(2017, LATE, [3, 4])),
        ({"never": "strictly"}, None, of(2016, EARLY, [3]) | of(2017, LATE, [3])),
        (
            {"comparison": "not_yet"},
            None,
            of(2016, EARLY, [2, 3, 4], [2, 3, 4], [3, 4]) | of(2017, LATE, [3, 4]),
        ),
        ({}, "others", of(2016, EARLY, [2, 3, 4]) | of(2017, LATE, [0, 1, 3, 4])),
        # A firm that may react one year ahead is no comparison in that year.
        (
            {"comparison": "not_yet", "anticipation": 1},
            None,
            of(2016, (2015,), [2, 3, 4])
            | of(2016, (2016, 2017), [3, 4])
            | of(2017, (2014, 2016, 2017), [3, 4])
            | {(2016, 2018): [3], (2017, 2018): [3]},
        ),
    ],
)
def test_pools(options, pool, expected):
    design = ei.Design(panel(long(noise(6))), first(*STARTS), outcome="y", **options)
    assert comparison(design, pool) == expected
    own = {2016: [0, 1], 2017: [2]}
    assert all(c.supported.tolist() == own[c.cohort] for c in design.cells(pool))
    assert design.not_identified() == ()


def test_always_supported_firms_leave_with_a_reason():
    design = ei.Design(panel(long(noise(6))), first(*STARTS), outcome="y")
    assert design.cohorts == (2016, 2017)
    assert all(5 not in c.rows for c in design.cells("others"))
    lines = [(e.firms, e.firm_periods) for e in design.account.entries]
    assert lines == [(1, 5)]
    assert design.account.remaining == (5, 25)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {2014: 2015, 2016: 2015, 2017: 2015, 2018: 2015}),
        ({"base": "varying"}, {2015: 2014, 2016: 2015, 2017: 2015, 2018: 2015}),
        ({"anticipation": 1}, {2015: 2014, 2016: 2014, 2017: 2014, 2018: 2014}),
        ({"anticipation": 1, "base": "varying"}, dict.fromkeys(range(2015, 2019), 2014)),
    ],
)
def test_base_periods_of_a_cohort(options, expected):
    design = ei.Design(panel(long(noise(2))), first(2016, NA), outcome="y", **options)
    assert {t: base for (_, t), (base, _, _) in cells(design).items()} == expected


def rejected_rounds():
    """0, 1 awarded in 2016; 2, 3 rejected then, 2 awarded in 2018; 4 rejected in 2018."""
    return spells(
        (0, 2016, "voucher", True),
        (1, 2016, "voucher", True),
        (2, 2016, "voucher", False),
        (3, 2016, "voucher", False),
        (2, 2018, "voucher", True),
        (4, 2018, "voucher", False),
    )


@pytest.mark.parametrize(
    ("anticipation", "expected"),
    [
        (0, of(2016, EARLY, [2, 3], [2, 3], [2, 3], [3]) | of(2018, range(2014, 2017), [4])),
        (1, of(2016, (2015, 2016, 2017, 2018), [2, 3], [2, 3], [3], [3])),
    ],
)
def test_rejected_firms_leave_when_supported_later(anticipation, expected):
    support = rejected_rounds()
    options = {"comparison": "rejected", "anticipation": anticipation}
    found = comparison(ei.Design(panel(long(noise(6))), support, outcome="y", **options))
    assert expected.items() <= found.items()
    assert all(pool == [4] for (cohort, _), pool in found.items() if cohort == 2018)


VOUCHER_AND_FAIR = (
    (0, 2016, "voucher", True),
    (1, 2016, "voucher", True),
    (1, 2017, "fair", True),
    (2, 2015, "fair", True),
    (4, 2018, "voucher", True),
    (4, 2015, "fair", True),
)


@pytest.mark.parametrize(
    ("others", "pool", "expected"),
    [
        # (supported, comparison) of cohort 2016 in 2016 and in 2017
        ("drop_comparison", "never", (([0, 1], [3]), ([0, 1], [3]))),
        ("drop_comparison", "not_yet", (([0, 1], [3]), ([0, 1], [3]))),
        ("ignore", "never", (([0, 1], [2, 3]), ([0, 1], [2, 3]))),
        ("ignore", "not_yet", (([0, 1], [2, 3, 4]), ([0, 1], [2, 3, 4]))),
        ("censor", "not_yet", (([0, 1], [3]), ([0], [3]))),
    ],
)
def test_focus(others, pool, expected):
    support = spells(*VOUCHER_AND_FAIR).focus("voucher", others=others)
    design = ei.Design(panel(long(noise(5))), support, outcome="y", comparison=pool)
    found = cells(design)
    assert tuple(found[2016, t][1:] for t in (2016, 2017)) == expected


def test_rejected_firms_with_other_support_leave_the_pool():
    rows = [
        (0, 2016, "voucher", True),
        (1, 2016, "voucher", False),
        (2, 2016, "voucher", False),
        (2, 2018, "voucher", True),
        (2, 2015, "fair", True),
    ]
    support = spells(*rows).focus("voucher", others="drop_comparison")
    design = ei.Design(panel(long(noise(3))), support, outcome="y", comparison="rejected")
    assert comparison(design)[2016, 2016] == [1]


def test_small_cohorts_leave_with_a_reason():
    design = ei.Design(panel(long(noise(6))), first(*STARTS), outcome="y", min_supported=2)
    assert design.cohorts == (2016,)
    assert comparison(design, "others")[2016, 2016] == [3, 4]
    assert design.account.remaining == (4, 20)


def quarters():
    return pd.period_range("2019Q1", periods=5, freq="Q").to_timestamp()


def test_quarters():
    frame = long(noise(3), years=quarters())
    dates = pd.DataFrame({"firm": [0], "start": [pd.Timestamp("2019-08-20")]})
    support = ei.Assignment.from_spells(dates, unit="firm", start="start")
    design = ei.Design(panel(frame, frequency="quarter"), support, outcome="y")
    periods = ("2019Q1", "2019Q3", "2019Q4", "2020Q1")
    assert cells(design) == {("2019Q3", t): ("2019Q2", [0], [1, 2]) for t in periods}
    table = ei.did.GroupTime().estimate(design).table()
    assert table["period"].tolist() == list(periods)
    assert table["event_time"].tolist() == [-2, 0, 1, 2]


@pytest.mark.parametrize(("anticipation", "base"), [(0, 2014), (1, 2012)])
def test_every_second_year(anticipation, base):
    frame = long(noise(3), years=range(2010, 2020, 2))
    design = ei.Design(panel(frame), first(2016, NA, NA), outcome="y", anticipation=anticipation)
    assert {found[0] for found in cells(design).values()} == {base}
    assert {c.event_time for c in design.cells()} == {-6, -4, -2, 0, 2} - {base - 2016}


def test_a_missing_base_period_is_never_replaced_by_the_one_before():
    frame = long(noise(4))
    frame = frame[frame["year"] != 2016]
    design = ei.Design(panel(frame), first(2017, 2018, NA, NA), outcome="y")
    assert {cohort for cohort, _ in cells(design)} == {2018}
    listed = {(g, t): str(reason) for g, t, reason in design.not_identified()}
    assert {t for g, t in listed if g == 2017} == {2014, 2015, 2017, 2018}
    assert all("2016" in reason for reason in listed.values())
    varying = ei.Design(panel(frame), first(2017, 2018, NA, NA), outcome="y", base="varying")
    assert set(cells(varying)) == {(2017, 2015), (2018, 2015), (2018, 2018)}


def test_a_base_period_before_the_panel_is_not_identified():
    design = ei.Design(panel(long(noise(3))), first(2015, 2017, NA), outcome="y", anticipation=1)
    listed = {t: str(reason) for g, t, reason in design.not_identified() if g == 2015}
    assert set(listed) == set(YEARS)
    assert all("2013" in reason for reason in listed.values())


def test_cells_that_are_not_identified_are_listed_and_not_in_the_table():
    support = first(2016, 2016, 2018, 2018)
    design = ei.Design(panel(long(noise(4))), support, outcome="y", comparison="not_yet")
    result = ei.did.GroupTime().estimate(design)
    table = result.table()
    assert np.isfinite(table["estimate"]).all()
    there = set(zip(table["cohort"], table["period"], strict=True))
    missing = {(g, t) for g, t, _ in result.not_identified}
    assert there == {(2016, 2014), (2016, 2016), (2016, 2017)}
    assert missing == {(2016, 2018)} | {(2018, t) for t in (2014, 2015, 2016, 2018)}
    assert all(str(reason) for *_, reason in result.not_identified)


def test_a_pool_that_is_empty_is_empty_for_the_right_year():
    # Before support the pool is read at the base period: in 2014 nobody was supported yet.
    support = first(2016, 2016, 2018, 2018)
    design = ei.Design(panel(long(noise(4))), support, outcome="y", comparison="not_yet")
    reason = next(str(r) for g, t, r in design.not_identified() if (g, t) == (2018, 2014))
    assert "2017" in reason
    assert "2014" not in reason


def test_the_benchmark_does_not_list_what_it_estimates():
    support = first(2016, 2016, 2018, 2018)
    design = ei.Design(panel(long(noise(4))), support, outcome="y", comparison="not_yet")
    result = ei.matched.Benchmark().estimate(design)
    there = set(result.estimand.cells)
    assert not there & {(g, t) for g, t, _ in result.not_identified}


@pytest.mark.parametrize(
    ("unbalanced", "expected"),
    [
        ("pairwise", {2014: [3], 2016: [2], 2017: [2, 3], 2018: [2, 3]}),
        ("balanced", None),
    ],
)
def test_unbalanced_panels(unbalanced, expected):
    y = noise(5)
    y[2, 0] = y[3, 2] = np.nan
    frame = long(y).query("not (firm == 3 and year == 2016)")
    design = ei.Design(
        panel(frame), first(2016, 2016, *[NA] * 3), outcome="y", unbalanced=unbalanced
    )
    found = {t: rows for (_, t), rows in comparison(design).items()}
    for t, rows in found.items():
        assert rows == ([*expected[t], 4] if expected else [4])
    lost = {"pairwise": 0, "balanced": 2}[unbalanced]
    assert design.account.remaining[0] == 5 - lost


def test_a_year_without_any_row_does_not_unbalance_firms():
    frame = long(noise(4))
    frame = frame[frame["year"] != 2015]
    design = ei.Design(panel(frame), first(2017, 2017, NA, NA), outcome="y", unbalanced="balanced")
    assert set(comparison(design)) == {(2017, 2014), (2017, 2017), (2017, 2018)}


def dying():
    """0 and 3 close in 2016 and 2015, 2 in 2014, before the base period; 1 and 4 live on."""
    last = np.array([2016, 2018, 2014, 2015, 2018])
    frame = long(noise(5), last=last)
    frame["closed"] = (frame["year"] == frame["last"]) & (frame["last"] < 2018)
    return frame[frame["year"] <= frame["last"]]


@pytest.mark.parametrize(
    ("after", "supported", "rows"),
    [
        ("zero", {2016: [0, 1], 2017: [0, 1]}, {2014: [3, 4], 2016: [3, 4], 2018: [3, 4]}),
        ("missing", {2016: [0, 1], 2017: [1]}, {2014: [3, 4], 2016: [4], 2018: [4]}),
    ],
)
def test_exits(after, supported, rows):
    outcome = ei.Outcome("y", after_exit=after)
    support = first(2016, 2016, NA, NA, NA)
    design = ei.Design(panel(dying(), outcomes=[outcome], exit="closed"), support, outcome="y")
    found = cells(design)
    assert {t: found[2016, t][1] for t in supported} == supported
    assert {t: found[2016, t][2] for t in rows} == rows
    if after == "zero":
        last = next(c for c in design.cells() if c.period == 2018)
        assert design.wide().level(last)[[0, 2]].tolist() == [0, 0]
    sample = ei.did.GroupTime().estimate(design).sample
    used = {(r, t) for c in design.cells() for r in c.rows for t in (c.period, c.base)}
    assert sample.remaining == (4, len(used))


def test_weights_are_those_of_the_base_period_and_have_mean_one():
    w = np.random.default_rng(1).uniform(0.5, 3, size=(5, 5))
    frame = long(noise(5), w=w)
    design = ei.Design(panel(frame, weight="w"), first(2016, 2016, *[NA] * 3), outcome="y")
    for cell in design.cells():
        expected = w[cell.rows, cell.base - 2014]
        assert_allclose(cell.weights, expected / expected.mean())
        assert cell.weights.mean() == pytest.approx(1)


def covariate_frame(n=60):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(n, 5))
    return long(noise(n), x=x, size=rng.lognormal(size=n), kind=rng.choice(["a", "b", "c"], n))


@pytest.mark.parametrize(
    ("listed", "formula"),
    [(["x"], "x"), (["x", "kind"], "~ x + kind"), (["kind"], "1 + C(kind)")],
)
def test_covariates_as_list_and_as_formula(listed, formula):
    frame = covariate_frame()
    support = first(*[2016] * 20, *[2017] * 15, *[NA] * 25)
    made = panel(frame, baseline=["x", "kind"])
    one, other = (
        ei.Design(made, support, outcome="y", covariates=asked) for asked in (listed, formula)
    )
    cell = next(one.cells())
    x = frame["x"].to_numpy().reshape(60, 5)[cell.rows, cell.base_index]
    matrix = one.wide().covariates(cell)
    assert_array_equal(matrix[:, 0], 1)
    if "x" in listed:
        assert_array_equal(matrix[:, 1], x)
    assert_array_equal(matrix, other.wide().covariates(cell))
    tables = [ei.did.GroupTime().estimate(d).table() for d in (one, other)]
    pd.testing.assert_frame_equal(*tables)


def test_a_formula_may_transform():
    frame = covariate_frame()
    made = panel(frame.assign(logged=np.log(frame["size"])), baseline=["size", "logged"])
    support = first(*[2016] * 30, *[NA] * 30)
    tables = [
        ei.did.GroupTime().estimate(ei.Design(made, support, outcome="y", covariates=asked)).table()
        for asked in ("log(size)", ["logged"])
    ]
    pd.testing.assert_frame_equal(*tables)


def bad(**changes):
    """A design that works, with one thing changed."""
    frame = covariate_frame(12)
    frame["twice"], frame["constant"] = 2 * frame["x"], 1.0
    frame.loc[(frame["firm"] == 11) & (frame["year"] > 2016), "y"] = np.nan
    names = ["x", "twice", "kind"]
    known = {
        "panel": panel(frame, baseline=names),
        "support": first(*[2016] * 5, *[NA] * 7),
        "outcome": "y",
    }
    return ei.Design(**(known | changes))


CODES = [
    ({"outcome": "exports"}, "EI-D01"),
    ({"comparison": "nobody"}, "EI-D02"),
    ({"comparison": "others"}, "EI-D02"),
    ({"base": "last"}, "EI-D02"),
    ({"unbalanced": "drop"}, "EI-D02"),
    ({"never": "ever"}, "EI-D02"),
    ({"anticipation": -1}, "EI-D03"),
    ({"anticipation": 0.5}, "EI-D03"),
    ({"anticipation": True}, "EI-D03"),
    ({"min_supported": 0}, "EI-D03"),
    ({"covariates": ["empolyees"]}, "EI-D04"),
    ({"covariates": ["y"]}, "EI-D04"),
    ({"comparison": "rejected"}, "EI-D05"),
    ({"comparison": "rejected", "support": spells((0, 2016, "a", True))}, "EI-D05"),
    ({"assigned_at": "region"}, "EI-D06"),
    ({"support": first(*[2014] * 5, *[NA] * 7)}, "EI-D07"),
    ({"support": first(*[2019] * 5, *[NA] * 7)}, "EI-D07"),
    ({"min_supported": 6}, "EI-D07"),
    ({"support": first(*[2016] * 6, *[2017] * 6)}, "EI-D08"),
    ({"support": first(*[2016] * 6, *[2019] * 6), "never": "strictly"}, "EI-D08"),
    ({"unbalanced": "error"}, "EI-D09"),
    ({"covariates": ["x", "twice"]}, "EI-D10"),
    ({"covariates": ["x", "x"]}, "EI-D10"),
    ({"covariates": "x + I(3 * x)"}, "EI-D10"),
    ({"covariates": "x + nobody"}, "EI-D11"),
    ({"covariates": "x +* kind"}, "EI-D11"),
    # A second side has no meaning here, and covariates come beside a constant.
    ({"covariates": "x ~ kind"}, "EI-D11"),
]


@pytest.mark.parametrize(("changes", "code"), CODES)
def test_codes(changes, code):
    with pytest.raises(ei.ExportImpactError) as caught:
        bad(**changes)
    assert caught.value.code == code
    assert f"[{code}]" in str(caught.value)


def test_a_collinear_covariate_is_named():
    with pytest.raises(ei.ExportImpactError, match="twice"):
        bad(covariates=["x", "twice"])


def test_a_covariate_that_a_formula_cannot_transform_is_no_silent_drop():
    size = np.arange(40.0)  # firm 0 has none, and log(0) is no number
    made = panel(long(noise(40), size=size), baseline=["size"])
    support = first(*[2016] * 20, *[NA] * 20)
    with (
        np.errstate(divide="ignore"),
        pytest.raises(ei.ExportImpactError, match=r"log\(size\)"),
    ):
        ei.Design(made, support, outcome="y", covariates="log(size)")


def separated(*cohorts):
    """Covariate z is above that of all comparison firms for the cohorts named."""
    rng = np.random.default_rng(2)
    start = np.repeat([2016, 2017, 0], [15, 15, 30])
    z = rng.normal(size=60) + 20 * np.isin(start, cohorts)
    made = panel(long(noise(60), z=z), baseline=["z"])
    support = first(*[NA if g == 0 else int(g) for g in start])
    return ei.Design(made, support, outcome="y", covariates=["z"])


@pytest.mark.parametrize("adjust", ["weighting", "doubly_robust"])
def test_separation_leaves_the_other_cells(adjust):
    result = ei.did.GroupTime(adjust=adjust).estimate(separated(2016))
    assert set(result.table()["cohort"]) == {2017}
    assert {g for g, *_ in result.not_identified} == {2016}
    assert all("z separates" in str(reason) for *_, reason in result.not_identified)
    assert result.overall().table()["n_supported"].tolist() == [15]


def test_separation_in_every_cell_is_an_error():
    with pytest.raises(ei.ExportImpactError, match="z separates") as caught:
        ei.did.GroupTime(adjust="weighting").estimate(separated(2016, 2017))
    assert caught.value.code == "EI-E06"
    assert np.isfinite(
        ei.did.GroupTime(adjust="none").estimate(separated(2016, 2017)).overall().estimate
    )


def test_repr_is_short():
    years = range(2000, 2018)
    support = first(*range(2002, 2017), NA)
    design = ei.Design(panel(long(noise(16, 18), years=years)), support, outcome="y")
    for shown in (repr(design), repr(design.seal())):
        assert len(shown.splitlines()) <= 20
        assert "y" in shown
    assert "sealed" in repr(design.seal())
    assert design._repr_html_().startswith("<pre>")


def sealed_with(support, region):
    made = panel(long(noise(6), region=region), cluster="region")
    return ei.Design(made, support, outcome="y", comparison="rejected").seal().hash


def test_the_seal_knows_who_is_compared():
    same = sealed_with(rejected_rounds(), [0, 0, 1, 1, 2, 2])
    assert same == sealed_with(rejected_rounds(), [0, 0, 1, 1, 2, 2])
    rows = [(0, 2016, "voucher", True), (1, 2016, "voucher", True), (2, 2018, "voucher", True)]
    fewer = spells(*rows, (2, 2016, "voucher", False), (4, 2018, "voucher", False))
    assert same != sealed_with(fewer, [0, 0, 1, 1, 2, 2]), "another pool of rejected firms"


def test_the_seal_knows_the_clusters():
    same = sealed_with(rejected_rounds(), [0, 0, 1, 1, 2, 2])
    assert same != sealed_with(rejected_rounds(), [0, 1, 2, 3, 4, 5]), "another set of clusters"


@pytest.mark.parametrize("change", ["before", "after", "option"])
def test_the_seal_leaves_out_what_happens_after_support(change):
    frame = long(noise(4))
    support = first(2016, 2017, NA, NA)
    before = ei.Design(panel(frame), support, outcome="y").seal()
    firm, year = (0, 2016) if change == "after" else (0, 2015)
    other = frame.assign(y=frame["y"] + ((frame["firm"] == firm) & (frame["year"] == year)))
    options = {"anticipation": 1} if change == "option" else {}
    frame = frame if change == "option" else other
    after = ei.Design(panel(frame), support, outcome="y", **options).seal()
    assert (before.hash == after.hash) == (change == "after")
    assert not after.exploratory


def test_history_knows_what_support_may_have_touched():
    bench = ei.synthetic.scenario("staggered_dynamic").draw(n_firms=60, n_periods=6, seed=3)
    design = ei.Design(bench.panel, bench.support, outcome="ln_exports", anticipation=1)
    history, ordinals = design.history(), design.calendar.ordinals
    first = design.aligned.first
    expected = ordinals[None, :] < first[:, None] - 1
    assert (history.untreated == (expected & history.usable)).all()
    for pool in ("all_untreated", "all_never"):
        for cell in design.cells(pool):
            assert (first[cell.supported] == cell.cohort).all()
            assert history.untreated[cell.comparison, cell.period_index].all()
            assert (first[cell.comparison] != cell.cohort).all()
            assert cell.base == cell.cohort - 2 != cell.period
