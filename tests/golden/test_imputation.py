"""Imputation against R's didimputation, did2s and etwfe.

Numbers: EXPORTIMPACT_REFERENCE/bjs_did2s, castle_staggered and etwfe_mpdta (R 4.2.2, didimputation
0.5.0, did2s 1.2.0, etwfe; fixest run with fixef.rm="none", without which didimputation loses every
cohort with a single period before support, such as mpdta's of 2004). The same castle data ship with
the PyPI package causaldata: the figures of R that stand in this file always run on them.

Where ours differs, and by what:

- didimputation's errors of an aggregate take the cohorts' sizes as known. `overall` and `aggregate`
  count that they are estimated. Golden errors are therefore those of the mean of the cells with
  fixed weights, sqrt(w' C w); what is added to them is written out in
  `test_aggregates_add_the_error_of_cohort_sizes`.
- Below 50 clusters our errors are computed within (cohort, arm) strata; didimputation's sum of
  squared cluster sums is taken from the influence functions.
- Coefficients before support are fixest's in R, with its small-sample factor
  G/(G-1) (N-1)/(N-K): G firms, N untreated observations, K coefficients and period effects. Ours
  have no factor, as all errors here.
- R puts 95 % intervals at 1.96 errors; ours use a t distribution.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from exportimpact import Assignment, Design, Outcome, Panel
from exportimpact.did import Imputation
from exportimpact.numerics.two_way import two_way, with_dummies

TIGHT = 1e-8
CASTLE = {  # did_imputation: static, and by event time with horizon=TRUE
    None: (0.0798015471729075, 0.0608839795275818),
    0: (0.0710706095942379, 0.0559899758006575),
    1: (0.0928844573722033, 0.0599541394920379),
    2: (0.0767730063343175, 0.0755966704023233),
    3: (0.100185181343808, 0.0793619937660168),
    4: (0.0502468803787881, 0.0737324447820363),
    5: (0.0958408589530149, 0.0458734037749728),
}
CASTLE_BEFORE = {  # the same with pretrends=-5:-1, errors with fixest's factor
    -5: (0.0518532263567638, 0.0527597514184655),
    -4: (0.0234851141438988, 0.0690975666006815),
    -3: (0.076529395369903, 0.0597931945586673),
    -2: (0.0814287103315375, 0.0775229971437821),
    -1: (0.0192326199515226, 0.0700160009956706),
}
CASTLE_WEIGHTED = 0.0659367864755155  # did2s(weights="popwt"), point estimate


def design(frame, unit, period, first, outcome, **options):
    cluster, weight = options.pop("cluster", None), options.pop("weight", None)
    starts = frame[first].astype("Int64")
    frame = frame.assign(_first=starts.mask(starts == 0))
    panel = Panel.from_frame(
        frame,
        unit=unit,
        period=period,
        outcomes=[Outcome(outcome, scale="logged")],
        cluster=cluster,
        weight=weight,
    )
    support = Assignment.from_first_period(frame, unit=unit, first_period="_first")
    return Design(panel, support, outcome=outcome, **options)


@pytest.fixture(scope="module")
def castle():
    causaldata = pytest.importorskip("causaldata")
    frame = causaldata.castle.load_pandas().data[["sid", "year", "post", "l_homicide", "popwt"]]
    law = frame[frame["post"] > 0].groupby("sid")["year"].min() - 1
    return frame.assign(G=frame["sid"].map(law).fillna(0))


@pytest.fixture(scope="module")
def castle_result(castle):
    return Imputation(leads=5).estimate(design(castle, "sid", "year", "G", "l_homicide"))


@pytest.fixture(scope="module", params=["df_het", "df_hom"])
def simulated(request, reference):
    """The simulated panels of didimputation: 1,000 firms, 31 years, cohorts 2000 and 2010."""
    name = {"df_het": "data.csv", "df_hom": "data_df_hom.csv"}[request.param]
    return request.param, pd.read_csv(reference("bjs_did2s") / name)


def fixed(result, event_time=None):
    """Mean of the cells, weighted by their supported firms as if known, and its influence."""
    e = result.cells.index.event_time
    chosen = e >= 0 if event_time is None else e == event_time
    weights = np.where(chosen, result.cells.observed_sizes.value, 0.0)
    weights /= weights.sum()
    return weights @ result.cells.estimate, result.influence @ weights, weights


def error(psi, clusters=None):
    sums = psi if clusters is None else np.bincount(clusters, psi)
    return np.sqrt((sums**2).sum()) / psi.size


@pytest.mark.golden("Imputation")
@pytest.mark.parametrize("event_time", CASTLE)
def test_castle(event_time, castle_result, golden):
    estimate, psi, weights = fixed(castle_result, event_time)
    golden(estimate, CASTLE[event_time][0], rtol=TIGHT)
    golden(error(psi), CASTLE[event_time][1], rtol=TIGHT)
    np.testing.assert_allclose(
        error(psi) ** 2, weights @ castle_result.covariance() @ weights, rtol=1e-10
    )


@pytest.mark.golden("Imputation")
def test_castle_before_support(castle, castle_result, golden):
    table = castle_result.exhibits[0].table.set_index("event_time")
    assert table.index.tolist() == sorted(CASTLE_BEFORE)
    firms = castle["sid"].nunique()
    untreated = int(((castle["G"] == 0) | (castle["year"] < castle["G"])).sum())
    k = len(CASTLE_BEFORE) + castle["year"].nunique()
    factor = np.sqrt(firms / (firms - 1) * (untreated - 1) / (untreated - k))
    expected = np.array([CASTLE_BEFORE[e] for e in table.index])
    golden(table["estimate"], expected[:, 0], rtol=TIGHT)
    golden(table["std_error"] * factor, expected[:, 1], rtol=TIGHT)


@pytest.mark.golden("Imputation")
def test_castle_weighted(castle, golden):
    """Only the point estimate: did2s's errors are those of a two-step GMM."""
    result = Imputation().estimate(design(castle, "sid", "year", "G", "l_homicide", weight="popwt"))
    golden(result.overall().estimate, CASTLE_WEIGHTED, rtol=TIGHT)


@pytest.mark.golden("Imputation")
def test_castle_is_what_did2s_finds(castle_result, records, golden):
    expected = records("castle_staggered")
    golden(fixed(castle_result)[0], expected.table("castle/did2s_static")["estimate"], rtol=TIGHT)
    table = expected.table("castle/did2s_es").set_index("term")["estimate"]
    for e in range(6):
        golden(fixed(castle_result, e)[0], table[f"rel::{e}"], rtol=TIGHT)


@pytest.mark.golden("Imputation")
@pytest.mark.parametrize("cluster", [None, "state"])
def test_simulated(cluster, simulated, records, golden):
    name, frame = simulated
    one = design(frame, "unit", "year", "g", "dep_var", cluster=cluster)
    result, expected = Imputation(leads=0).estimate(one), records("bjs_did2s")
    estimate, psi, _ = fixed(result)
    suffix = "" if cluster is None else f"_cluster_{cluster}"
    row = expected.table(f"{name}/did_imputation_static{suffix}").iloc[0]
    golden(estimate, row["estimate"], rtol=TIGHT)
    golden(error(psi, one.cluster_codes), row["std_error"], rtol=TIGHT)
    if cluster is not None:
        did2s = expected.table(f"{name}/did2s_static_cluster_state").iloc[0]
        golden(estimate, did2s["estimate"], rtol=TIGHT)
        return
    rows = expected.table(f"{name}/did_imputation_es").set_index("term")
    did2s = expected.table(f"{name}/did2s_es_cluster_state").set_index("term")["estimate"]
    for e in range(21):
        estimate, psi, _ = fixed(result, e)
        golden(estimate, rows.loc[str(e), "estimate"], rtol=TIGHT)
        golden(error(psi), rows.loc[str(e), "std_error"], rtol=TIGHT)
        golden(estimate, did2s[f"rel_year::{e}"], rtol=TIGHT)


@pytest.mark.golden("Imputation")
def test_simulated_before_support(simulated, records, golden):
    """didimputation's pretrends=TRUE: all years before support but the last, held against it.

    The exhibit holds them against the oldest year instead: the same model, so that its estimates
    are R's up to that choice. R's errors are compared on its own choice, through the numerics.
    """
    name, frame = simulated
    expected = records("bjs_did2s").table(f"{name}/did_imputation_es").set_index("term")
    times = list(range(-20, -1))
    rows = expected.loc[[str(e) for e in times]]
    one = design(frame, "unit", "year", "g", "dep_var")
    table = Imputation(leads=20).estimate(one).exhibits[0].table.set_index("event_time")
    ours = table["estimate"].reindex(times, fill_value=0.0) - table["estimate"][-1]
    golden(ours, rows["estimate"], rtol=1e-6, atol=1e-10)
    history = one.history()
    fit = two_way(history.outcome, history.untreated, history.weight)
    first = {g: np.flatnonzero(history.start == g - 1990) for g in (2000, 2010)}
    cells = [(g, own, g - 1990 + e) for g, own in first.items() for e in times if g + e >= 1990]
    columns = np.array([[t - (g - 1990) == e for e in times] for g, _, t in cells], dtype=float)
    found = with_dummies(fit, cells, columns)
    firms, untreated, k = one.units.size, int(history.untreated.sum()), len(times) + 31
    factor = np.sqrt(firms / (firms - 1) * (untreated - 1) / (untreated - k))
    golden(found.coefficients, rows["estimate"], rtol=1e-6, atol=1e-10)
    golden(np.sqrt((found.influence**2).sum(axis=0)) * factor, rows["std_error"], rtol=TIGHT)


@pytest.mark.golden("Imputation")
def test_mpdta_is_the_saturated_model(mpdta, records, golden):
    """Every cell of etwfe without covariates; the cohort of 2004 with its one year is among them.

    fixest's default drops that cohort, since each of its firms has a single untreated observation;
    didimputation then gives -0.0337159.
    """
    result = Imputation().estimate(mpdta.design())
    table = result.table()
    after = table[table["event_time"] >= 0]
    expected = records("etwfe_mpdta")
    cells = expected.table("nocov_notyet/model")
    keys = cells["term"].str.extract(r"first.treat::(\d+):year::(\d+)").astype(int)
    cells = cells.assign(cohort=keys[0], period=keys[1]).sort_values(["cohort", "period"])
    assert after["cohort"].tolist() == cells["cohort"].tolist()
    assert after["period"].tolist() == cells["period"].tolist()
    golden(after["estimate"], cells["estimate"], rtol=TIGHT)
    golden(result.overall().estimate, -0.0477099182784597, rtol=TIGHT)
    for kind, by in (("group", "cohort"), ("calendar", "calendar"), ("event", "event_time")):
        rows = expected.table(f"nocov_notyet/emfx_{kind}")
        own = result.aggregate(by, min=0).table()
        golden(own["estimate"], rows["estimate"], rtol=TIGHT)


def test_aggregates_add_the_error_of_cohort_sizes(mpdta):
    """`overall` is the row with fixed weights plus d(row)/d(size) times the sizes' influence.

    With N firms since support, weighted, and n_g of them in cells of cohort g, the row moves by
    (m_g - row) n_cells(g) / N for each firm of cohort g, m_g the mean of the cohort's cells.
    """
    result = Imputation().estimate(mpdta.design())
    index = result.cells.index
    estimate, psi, weights = fixed(result)
    after = index.event_time >= 0
    total = (result.cells.observed_sizes.value * result.units.size)[after].sum()
    extra = np.zeros(psi.size)
    for cohort in np.unique(index.cohort):
        own = after & (index.cohort == cohort)
        gap = (result.cells.estimate[own] - estimate).sum() / total
        extra[result.design.members(int(cohort))] = gap * psi.size
    row = result.overall()
    assert row.std_error == pytest.approx(error(psi + extra), rel=1e-10)
    assert row.std_error != pytest.approx(error(psi), rel=1e-3)
    assert weights @ result.cells.estimate == pytest.approx(row.estimate, rel=1e-12)
