"""TwoWayFixedEffects, its leads and lags, and both decompositions.

Numbers: EXPORTIMPACT_REFERENCE/castle_staggered, fixest_did and twfe_weights (R 4.2.2, fixest
0.14.2, bacondecomp 0.1.3, TwoWayFEWeights 2.0.4; each record names its command). The castle data
ship with the PyPI package causaldata as well, so that the figures in this file always run.

Our errors are sqrt(sum psi^2)/n without a small-sample factor. fixest multiplies the variance by
G/(G-1) (N-1)/(N-K) with K = slopes + levels of the effects that are not nested in the cluster (the
periods), as its record says.

TwoWayFEWeights computes sigma-lower with the standard deviation of N - 1 cells; the paper's
(corollary 1) and ours divides by N. Its cells are states, ours cohorts; states of a cohort have the
same weight. fixest's event study bins no end points, and neither does ours.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from exportimpact import Assignment, Design, Outcome, Panel
from exportimpact.did import TwoWayFixedEffects, event_study

CLOSED = 1e-8
COEFFICIENT, STD_ERROR = 0.0818116169306474, 0.0588742180792229
BY_KIND = {  # bacondecomp: weight and mean estimate
    "later": (0.0597632516237167, -0.00554197875164142),
    "earlier": (0.0318981772470145, 0.0703206344191076),
    "never": (0.908338571129269, 0.0879624911679339),
}
KINDS = {
    "Earlier vs Later Treated": "later",
    "Later vs Earlier Treated": "earlier",
    "Treated vs Untreated": "never",
}


def design(frame, unit, period, outcome, **options):
    baseline = options.pop("baseline", [])
    panel = Panel.from_frame(
        frame, unit=unit, period=period, outcomes=[outcome], baseline=baseline, **options
    )
    support = Assignment.from_first_period(frame, unit=unit, first_period="first")
    return Design(panel, support, outcome=outcome.name)


def factor(clusters, rows, parameters):
    """The small-sample factor of fixest, on the error."""
    return np.sqrt(clusters / (clusters - 1) * (rows - 1) / (rows - parameters))


@pytest.fixture(scope="module")
def castle():
    causaldata = pytest.importorskip("causaldata")
    frame = causaldata.castle.load_pandas().data[["sid", "year", "post", "l_homicide"]]
    law = frame[frame["post"] > 0].groupby("sid")["year"].min() - 1
    frame = frame.assign(first=frame["sid"].map(law).astype("Int64"))
    return design(frame, "sid", "year", Outcome("l_homicide", scale="logged"))


@pytest.fixture(scope="module")
def result(castle):
    return TwoWayFixedEffects().estimate(castle)


@pytest.fixture(scope="module")
def one_cohort(reference):
    frame = pd.read_csv(reference("fixest_did") / "data_base_did.csv")
    frame = frame.assign(first=pd.Series(6, frame.index, "Int64").where(frame["treat"] == 1))
    return design(frame, "id", "period", Outcome("y"), baseline=["x1"])


@pytest.fixture(scope="module")
def staggered(reference):
    frame = pd.read_csv(reference("fixest_did") / "data.csv")
    year = frame["year_treated"].astype("Int64")
    frame = frame.assign(first=year.where(year <= 10))
    return design(frame, "id", "year", Outcome("y"), baseline=["x1"])


def shown(result, kind):
    return next(e.table for e in result.own_exhibits if e.kind == kind)


@pytest.mark.golden("TwoWayFixedEffects")
def test_one_number(result, golden):
    row = result.overall()
    golden(row.estimate, COEFFICIENT, rtol=CLOSED)
    golden(row.std_error * factor(50, 550, 1 + 11), STD_ERROR, rtol=CLOSED)


@pytest.mark.golden("TwoWayFixedEffects")
@pytest.mark.parametrize("kind", BY_KIND)
def test_bacon_by_kind(kind, result, golden):
    table = shown(result, "bacon")
    rows = table[table["kind"] == kind]
    weight = rows["weight"].sum()
    golden(weight, BY_KIND[kind][0], rtol=CLOSED)
    golden(rows["weight"] @ rows["estimate"] / weight, BY_KIND[kind][1], rtol=CLOSED)


def test_bacon_is_the_coefficient(result):
    table = shown(result, "bacon")
    assert_allclose(table["weight"].sum(), 1, rtol=1e-12)
    assert_allclose(table["weight"] @ table["estimate"], result.overall().estimate, rtol=1e-10)


@pytest.mark.golden("TwoWayFixedEffects")
def test_every_comparison_of_bacon(result, records, golden):
    expected = pd.DataFrame(records("castle_staggered").by_id["castle/bacon_2x2"]["table"])
    expected["kind"] = expected["type"].map(KINDS)
    expected["untreated"] = expected["untreated"].where(expected["kind"] != "never", 0)
    table = shown(result, "bacon").assign(against=lambda t: t["against"].fillna(0))
    ours = table.sort_values(["cohort", "against"])
    theirs = expected.sort_values(["treated", "untreated"])
    assert ours["cohort"].tolist() == theirs["treated"].tolist()
    assert ours["against"].tolist() == theirs["untreated"].tolist()
    assert ours["kind"].tolist() == theirs["kind"].tolist()
    golden(ours["weight"], theirs["weight"], rtol=CLOSED)
    golden(ours["estimate"], theirs["estimate"], rtol=CLOSED)


@pytest.mark.golden("TwoWayFixedEffects")
def test_weights_of_every_cell(result, castle, records, golden):
    found = records("twfe_weights")
    theirs = pd.DataFrame(found.by_id["castle_feTR_weights"]["table"])
    # TwoWayFEWeights numbers the states in the order of their ids.
    cohort = {row + 1: int(first) for row, first in enumerate(castle.aligned.first)}
    theirs["cohort"] = theirs["G"].map(cohort)
    theirs = theirs[theirs["weight"] != 0].groupby(["cohort", "T"])["weight"].sum()
    ours = shown(result, "twfe_weights").set_index(["cohort", "period"])["weight"]
    assert ours.index.tolist() == theirs.index.tolist()
    golden(ours, theirs, rtol=CLOSED)
    measures = shown(result, "twfe_sensitivity").set_index("measure")["value"]
    assert measures["negative_cells"] == found.scalar("castle_feTR", "nr_minus")
    states = found.scalar("castle_feTR", "nr_weights")
    with_n_minus_1 = measures["sigma_zero"] * np.sqrt((states - 1) / states)
    golden(with_n_minus_1, found.scalar("castle_feTR", "sensibility"), rtol=CLOSED)
    assert pd.isna(measures["sigma_opposite"])


@pytest.mark.golden("TwoWayFixedEffects")
@pytest.mark.parametrize(
    ("panel", "record", "term", "size"),
    [
        ("one_cohort", "base_did/twfe_2x2/cluster_id", "treat:post", (108, 1080, 2 + 10)),
        ("staggered", "base_stagg/twfe_static/cluster_id", "treated_post", (95, 950, 2 + 10)),
    ],
)
def test_with_a_control(panel, record, term, size, request, records, golden):
    row = TwoWayFixedEffects(controls=("x1",)).estimate(request.getfixturevalue(panel)).overall()
    expected = records("fixest_did").table(record).set_index("term").loc[term]
    golden(row.estimate, expected["estimate"], rtol=CLOSED)
    golden(row.std_error * factor(*size), expected["std_error"], rtol=CLOSED)


@pytest.mark.golden("TwoWayFixedEffects")
@pytest.mark.parametrize(
    ("panel", "record", "prefix", "start", "size"),
    [
        ("one_cohort", "base_did/event_study/cluster_id", "period::", 6, (108, 1080, 10 + 10)),
        (
            "staggered",
            "base_stagg/twfe_dynamic/cluster_id",
            "time_to_treatment::",
            0,
            (95, 950, 18 + 10),
        ),
    ],
)
def test_leads_and_lags(panel, record, prefix, start, size, request, records, golden):
    found = event_study(request.getfixturevalue(panel), controls=("x1",))
    ours = found.aggregate("event_time").table()
    expected = records("fixest_did").table(record)
    expected = expected[expected["term"].str.startswith(prefix)]
    times = expected["term"].str.extract(r"::(-?\d+)", expand=False).astype(int) - start
    assert ours["event_time"].tolist() == times.tolist()
    golden(ours["estimate"], expected["estimate"], rtol=CLOSED)
    golden(ours["std_error"] * factor(*size), expected["std_error"], rtol=CLOSED)
