"""Saturated and PoissonSaturated against R's etwfe, did2s, did and fixest, and statsmodels.

Numbers: EXPORTIMPACT_REFERENCE/etwfe_mpdta (R 4.2.2, etwfe 0.6.2, fixest 0.14.2), castle_staggered,
ppml_separation; those of `NEVER` and `POISSON` stand in etwfe's own tests
(inst/tinytest/test_emfx.R, on the same data with emp = exp(lemp)). Conventions:

- emfx takes aggregation weights and covariates of supported firms as given, ours count both as
  sampled. With covariates the influence of a cell's own firms is then a residual from the cell's
  own regression on the covariates (`as_given`), and weights are fixed.
- fixest scales clustered variances by G/(G-1) (N-1)/(N-K), with K the coefficients and the levels
  of fixed effects that are not nested in the cluster; ours have no such factor.
- emfx differentiates numerically: its errors agree to 2e-6, those of the Poisson model to
  1e-5, and those of the cells in the table of the regression itself to 1e-8.
- did2s counts weights as sampled and has no factor: its errors are ours.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from exportimpact import Assignment, Design, Outcome, Panel
from exportimpact.did import PoissonSaturated, Saturated
from exportimpact.estimators.did.saturation import Saturation
from exportimpact.numerics.poisson import fit_poisson, separated
from exportimpact.numerics.saturated import Reference, fit_linear

COUNTIES, ROWS = 500, 2500
KEYS = {"simple": None, "group": "first.treat", "calendar": "year", "event": "event"}
BY = {"group": "cohort", "calendar": "period", "event": "event_time"}
CASES = {  # covariates, effects, coefficients that fixest counts
    "nocov_notyet": ((), "cohort", 15),
    "nocov_notyet_unitfe": ((), "firm", 12),
    "lpop_notyet": (("lpop",), "cohort", 30),
}
NEVER = {  # event time: estimate, error; cgroup="never"
    -2: (0.0234649547538384, 0.0145314904277398),
    0: (-0.0211467366918433, 0.0113935648352396),
    1: (-0.0533558653415615, 0.0157744281621729),
    2: (-0.141080104628566, 0.0322891808795742),
    3: (-0.107544274673025, 0.0329231688783015),
}
POISSON = {  # family="poisson", emp ~ lpop
    0: (-25.3497484355494, 15.8862762958862),
    1: (1.09175116997388, 40.2952222352926),
    2: (-75.1246321552693, 23.1541376499351),
    3: (-101.823979344829, 27.0877431076141),
}


@pytest.fixture(scope="module")
def minimum_wage(reference):
    """A function from outcome and covariates to a design on R's panel."""
    frame = pd.read_csv(reference("etwfe_mpdta") / "data.csv")
    first = frame["first.treat"].astype("Int64")
    frame = frame.assign(first=first.mask(first == 0), emp=np.exp(frame["lemp"]))

    def design(outcome, covariates=()):
        panel = Panel.from_frame(
            frame,
            unit="countyreal",
            period="year",
            outcomes=[Outcome("lemp", scale="logged"), Outcome("emp", unit="thousand")],
            baseline=["lpop"],
        )
        support = Assignment.from_first_period(frame, unit="countyreal", first_period="first")
        return Design(panel, support, outcome=outcome, covariates=covariates).seal()

    return design


def as_given(design, result, model, fit, *, poisson):
    """Influence of the cells, (n, n_cells), to be summed, with covariates taken as given."""
    y, x = design.history().outcome, design.history().covariates
    psi = result.influence / COUNTIES
    for c, cell in enumerate(model.cells):
        rows = cell.supported
        outcome, z = y[rows, cell.period_index], np.column_stack([np.ones(rows.size), x[rows]])
        group, ones = int(design.cohort_codes[rows[0]]), np.ones(rows.size)
        direct = fit.effect(group, cell.period_index, rows, ones, outcome).direct
        if poisson:
            residual = outcome - sm.GLM(outcome, z, sm.families.Poisson()).fit(tol=1e-14).mu
        else:
            gap = rows.size * direct
            residual = gap - z @ np.linalg.lstsq(z, gap, rcond=None)[0]
        psi[rows, c] += residual / rows.size - direct
    return psi


def rows_of(result, kind):
    """Fixed weights of the cells by key of a row, {key: (n_cells,)}."""
    index, size = result.cells.index, result.cells.design_sizes.value
    label = {
        "simple": np.zeros(len(index)),
        "group": index.cohort,
        "calendar": index.period,
        "event": index.event_time,
    }[kind]
    kept = (index.event_time >= 0) | (kind == "event")
    keys = np.unique(label[kept])
    weights = {int(k): np.where((label == k) & kept, size, 0.0) for k in keys}
    return {k: w / w.sum() for k, w in weights.items()}


def factor(coefficients):
    return np.sqrt(COUNTIES / (COUNTIES - 1) * (ROWS - 1) / (ROWS - coefficients))


@pytest.mark.golden("Saturated")
@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("case", CASES)
def test_etwfe_on_the_minimum_wage_panel(case, kind, minimum_wage, records, golden):
    covariates, effects, coefficients = CASES[case]
    design = minimum_wage("lemp", covariates)
    result = Saturated(effects=effects).estimate(design)
    model = Saturation(design, leads=False, firm_effects=effects == "firm")
    fit = fit_linear(model.reference(design.history().outcome))
    psi = as_given(design, result, model, fit, poisson=False)
    expected = records("etwfe_mpdta").table(f"{case}/emfx_{kind}")
    weights = rows_of(result, kind)
    assert len(expected) == len(weights)
    for _, row in expected.iterrows():
        w = weights[int(row[KEYS[kind]]) if KEYS[kind] else 0]
        estimate = result.table()["estimate"].to_numpy() @ w
        golden(estimate, row["estimate"], rtol=1e-9, what=f"{case} {kind}")
        error = np.sqrt(((psi @ w) ** 2).sum()) * factor(coefficients)
        golden(error, row["std_error"], rtol=2e-6, what=f"{case} {kind} error")
    if kind != "simple":
        ours = result.aggregate(
            {"event": "event_time"}.get(kind, BY[kind].replace("period", "calendar"))
        )
        by = expected.set_index(KEYS[kind])["estimate"]
        golden(ours.table().set_index(BY[kind])["estimate"].loc[by.index], by, rtol=1e-9)
    else:
        golden(result.overall("simple").estimate, expected["estimate"][0], rtol=1e-9)


@pytest.mark.golden("Saturated")
@pytest.mark.parametrize("case", CASES)
def test_etwfe_cells(case, minimum_wage, records, golden):
    covariates, effects, coefficients = CASES[case]
    design = minimum_wage("lemp", covariates)
    result = Saturated(effects=effects).estimate(design)
    model = Saturation(design, leads=False, firm_effects=effects == "firm")
    fit = fit_linear(model.reference(design.history().outcome))
    psi = as_given(design, result, model, fit, poisson=False)
    expected = records("etwfe_mpdta").table(f"{case}/model").set_index("term")
    terms = [f".Dtreat:first.treat::{c.cohort}:year::{c.period}" for c in model.cells]
    golden(result.table()["estimate"], expected["estimate"].loc[terms], rtol=1e-9)
    errors = np.sqrt((psi**2).sum(axis=0)) * factor(coefficients)
    golden(errors, expected["std_error"].loc[terms], rtol=1e-8)


@pytest.mark.golden("Saturated")
def test_etwfe_with_leads(minimum_wage, golden):
    design = minimum_wage("lemp", ("lpop",))
    result = Saturated(leads=True).estimate(design)
    model = Saturation(design, leads=True, firm_effects=False)
    fit = fit_linear(model.reference(design.history().outcome))
    psi = as_given(design, result, model, fit, poisson=False)
    weights = rows_of(result, "event")
    # 8 cohorts and years, 8 slopes on lpop, 12 cells with a slope each
    for e, (estimate, error) in NEVER.items():
        golden(result.table()["estimate"].to_numpy() @ weights[e], estimate, rtol=1e-9)
        found = np.sqrt(((psi @ weights[e]) ** 2).sum()) * factor(40)
        golden(found, error, rtol=2e-6, what="error with covariates as given")


@pytest.mark.golden("PoissonSaturated")
def test_etwfe_poisson(minimum_wage, golden):
    design = minimum_wage("emp", ("lpop",))
    result = PoissonSaturated().estimate(design)
    model = Saturation(design, leads=False, firm_effects=False)
    fit = fit_poisson(model.reference(design.history().outcome)).fit
    psi = as_given(design, result, model, fit, poisson=True)
    weights = rows_of(result, "event")
    ours = result.aggregate("event_time").table().set_index("event_time")["estimate"]
    for e, (estimate, error) in POISSON.items():
        # fixest stops at a relative change of the deviance of 1e-8; the mean outcome is 1,400
        golden(ours[e], estimate, rtol=0, atol=1e-7)
        found = np.sqrt(((psi @ weights[e]) ** 2).sum()) * factor(30)
        golden(found, error, rtol=1e-5, what="error with covariates as given")


@pytest.fixture(scope="module")
def castle():
    """The frame of castle-doctrine laws that ships with causaldata, and a function to a design."""
    data = pytest.importorskip("causaldata").castle.load_pandas().data
    first = data[data["post"] > 0].groupby("sid")["year"].min() - 1
    data = data.assign(first=data["sid"].map(first).astype("Int64"))

    def design(outcome, weight=None):
        panel = Panel.from_frame(
            data,
            unit="sid",
            period="year",
            outcomes=[
                Outcome("l_homicide", scale="logged"),
                Outcome("homicide", unit="per 100,000"),
            ],
            weight=weight,
        )
        support = Assignment.from_first_period(data, unit="sid", first_period="first")
        return Design(panel, support, outcome=outcome).seal()

    return data, design


@pytest.mark.golden("Saturated")
@pytest.mark.parametrize("effects", ["cohort", "firm"])
def test_castle(effects, castle, golden):
    _, design = castle
    # did 2.5.1, aggte(type="simple") of never-treated, universal base
    one = Saturated(leads=True, effects=effects).estimate(design("l_homicide"))
    golden(one.overall("simple").estimate, 0.110383035457556, rtol=1e-10)
    golden(one.overall("simple").std_error, 0.0387242395021773, rtol=1e-8)
    # did2s(first_stage=~0|sid+year, second_stage=~i(gpost))
    two = Saturated(effects=effects).estimate(design("l_homicide")).overall("simple")
    golden(two.estimate, 0.0798015471729075, rtol=1e-10)
    golden(two.std_error, 0.0609789881435319, rtol=1e-2 if effects == "cohort" else 1e-6)


@pytest.mark.golden("PoissonSaturated")
@pytest.mark.parametrize("leads", [False, True])
def test_poisson_with_dummies(leads, castle, golden):
    """statsmodels' GLM with a dummy for every cohort, year and cell: the saturated model itself."""
    data, design = castle
    result = PoissonSaturated(leads=leads).estimate(design("homicide")).table()
    first = data["first"].fillna(0).astype(int)
    cell = [
        f"{g}:{t}" if g and (t >= g or (leads and t != g - 1)) else "none"
        for g, t in zip(first, data["year"], strict=True)
    ]
    parts = [pd.get_dummies(v, drop_first=True) for v in (first, data["year"])]
    cells = pd.get_dummies(pd.Series(cell, index=data.index)).drop(columns="none")
    X = sm.add_constant(pd.concat([*parts, cells], axis=1).astype(float).to_numpy())
    fit = sm.GLM(data["homicide"].to_numpy(), X, sm.families.Poisson()).fit(tol=1e-13)
    without = X.copy()
    without[:, -cells.shape[1] :] = 0.0
    gap = pd.Series(fit.mu - np.exp(without @ fit.params), index=data.index)
    expected = gap.groupby([first, data["year"]]).mean()
    keys = list(zip(result["cohort"], result["period"], strict=True))
    assert len(keys) == cells.shape[1]
    golden(result["estimate"], expected.loc[keys].to_numpy(), rtol=1e-8)


@pytest.mark.golden("PoissonSaturated")
@pytest.mark.parametrize("case", range(1, 10))
def test_separated_observations(case, reference, records, golden):
    """Zeros that have no positive mean, as ppmlhdfe's authors know them; deviance of the rest."""
    frame = pd.read_csv(reference("ppml_separation") / f"data_{case:02d}.csv")
    ids = [c for c in frame if c.startswith("id")]
    x = frame[[c for c in frame if c.startswith("x")]].to_numpy(float)
    x = np.hstack([x, *(pd.get_dummies(frame[c]).to_numpy(float) for c in ids)])
    n, y = len(frame), frame[["y"]].to_numpy(float)
    used, codes = np.ones((n, 1), dtype=bool), np.zeros(n, dtype=np.int64)
    given = Reference.of(y, used, np.ones(n), codes, x, firm_effects=False)
    lost = separated(given)[:, 0]
    golden(lost.astype(int), frame["separated"], rtol=0)
    deviance = records("ppml_separation").by_id[f"separation_{case:02d}"]["scalars"]["deviance"]
    if deviance is not None:
        fit = fit_poisson(given).fit
        mean = np.exp(fit.reference.z @ fit.reference.local(fit.theta, 0)[0])[~lost]
        left = y[~lost, 0]
        part = (
            np.where(left > 0, left * np.log(np.where(left > 0, left, 1) / mean), 0) - left + mean
        )
        golden(2 * part.sum(), deviance, rtol=1e-10)
