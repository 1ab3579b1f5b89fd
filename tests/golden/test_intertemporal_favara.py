"""Intertemporal against R's DIDmultiplegtDYN 2.1.2 on the banking deregulation of Favara and Imbs.

Numbers: EXPORTIMPACT_REFERENCE/dcdh_favara_imbs (R 4.2.2; each record names its command). Their
l-th effect is ours at event time l - 1, their l-th placebo ours at -1 - l, `effects=8` is
`horizon=7`, and the weights of cohorts are those observed. Conventions that differ:

- Errors. `errors="paths"` has theirs as its influence, so that without clusters our table shows
  their numbers. With 8 states ours takes variances within (cohort, arm) strata of cluster sums, and
  shows none where a cohort lies in one state; theirs follow from the same influence, summed within
  states, whose squares they add up.
- Normalised placebos. Version 2.1.2 counts the dose of a period F + k only where the outcome of
  2 l periods before is observed, so that early cohorts are divided by a part of their dose (later
  versions count all of it, as ours). `test_normalized_placebos` divides by that part.
- The joint test of placebos inverts a singular covariance (8 states, in three cohorts) with a
  pseudo-inverse. Ours has no test there, and says why.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from exportimpact import Assignment, Design, Outcome, Panel
from exportimpact.did import Intertemporal

pytestmark = pytest.mark.golden("Intertemporal")
FOLDER = "dcdh_favara_imbs"
CASES = {
    "favara_imbs": ({"horizon": 7}, "state_n"),
    "favara_imbs_normalized": ({"horizon": 7, "normalized": True}, "state_n"),
    "favara_imbs_effects2": ({"horizon": 1}, None),
}
CLUSTERED = [case for case, (_, cluster) in CASES.items() if cluster]


@pytest.fixture(scope="module")
def frame(reference):
    return pd.read_csv(reference(FOLDER) / "data.csv")


@pytest.fixture(scope="module")
def estimate(frame):
    def run(case, errors="paths"):
        options, cluster = CASES[case]
        panel = Panel.from_frame(
            frame,
            unit="county",
            period="year",
            outcomes=[Outcome("loans", column="Dl_vloans_b")],
            cluster=cluster,
        )
        support = Assignment.from_doses(frame, unit="county", period="year", dose="inter_bra")
        design = Design(panel, support, outcome="loans", comparison="not_yet")
        return Intertemporal(errors=errors, **options).estimate(design)

    return run


def event_time(term):
    """Their name of an effect or placebo as our event time."""
    kind, number = term.split("_")
    return int(number) - 1 if kind == "Effect" else -1 - int(number)


def their_rows(records, name):
    rows = pd.DataFrame(records(FOLDER).by_id[name]["table"])
    return rows.assign(event_time=rows["term"].map(event_time)).set_index("event_time")


def by_event_time(result, like):
    """Estimates and cluster sums of psi / n of our rows, in the order of theirs."""
    rows = result.aggregate("event_time", weights="observed")
    psi = rows.influence / result.units.size
    codes = result.design.cluster_codes
    sums = psi if codes is None else np.stack([psi[codes == c].sum(axis=0) for c in set(codes)])
    place = [list(rows.rows.keys).index(e) for e in like]
    return rows.table()["estimate"].to_numpy()[place], sums[:, place]


@pytest.mark.parametrize("case", CASES)
def test_effects_and_errors(case, estimate, records, golden):
    theirs = their_rows(records, f"{case}/full_precision")
    if case == "favara_imbs_normalized":
        theirs = theirs.drop([-3, -4])  # see test_normalized_placebos
    effects, sums = by_event_time(estimate(case), theirs.index)
    golden(effects, theirs["estimate"], rtol=1e-9, what="estimate")
    golden(np.sqrt((sums**2).sum(axis=0)), theirs["std_error"], rtol=1e-9, what="standard error")


def test_table_shows_their_errors_without_clusters(estimate, records, golden):
    theirs = their_rows(records, "favara_imbs_effects2/full_precision")
    ours = estimate("favara_imbs_effects2").aggregate("event_time", weights="observed").table()
    ours = ours.set_index("event_time").loc[theirs.index]
    golden(ours["std_error"], theirs["std_error"], rtol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_counts(case, estimate, records, golden):
    cells = estimate(case).table()
    cells["N"] = cells["n_supported"] + cells["n_comparison"]
    ours = cells.groupby("event_time")[["N", "n_supported"]].sum()
    for kind in ("effects", "placebos"):
        theirs = their_rows(records, f"{case}/{kind}")
        golden(ours.loc[theirs.index], theirs[["N", "Switchers"]], rtol=0)


@pytest.mark.parametrize("case", CASES)
def test_total_effect(case, estimate, records, golden):
    theirs = records(FOLDER).by_id[f"{case}/ate"]["table"][0]
    result = estimate(case)
    ours = next(e for e in result.exhibits if e.id == "total_effect").table.iloc[0]
    golden(ours["estimate"], theirs["estimate"], rtol=1e-9)
    golden(ours["n_supported"], theirs["Switchers"], rtol=0)
    golden(ours["n_supported"] + ours["n_comparison"], theirs["N"], rtol=0)
    if case not in CLUSTERED:
        golden(ours["std_error"], theirs["std_error"], rtol=1e-9)
        return
    cells, codes = result.cells, result.design.cluster_codes
    since = cells.index.event_time >= 0
    weights = np.where(since, cells.observed_sizes.value, 0.0)
    weights /= weights @ cells.estimate / ours["estimate"]  # per unit of support
    psi = result.influence @ weights / result.units.size
    golden(np.sqrt((np.bincount(codes, psi) ** 2).sum()), theirs["std_error"], rtol=1e-9)


def partial_share(frame, placebo):
    """Dose of the placebo's switchers that version 2.1.2 counts, over all of it."""
    dose, loans = (
        frame.pivot(index="county", columns="year", values=v) for v in ("inter_bra", "Dl_vloans_b")
    )
    counted = whole = 0.0
    for county, path in dose.iterrows():
        changed = path[path > 0].index
        needed = [] if changed.empty else [changed[0] - 1 + k for k in (-placebo, 0, placebo)]
        if not needed or needed[0] < 1994 or loans.loc[county].reindex(needed).isna().any():
            continue
        for year in range(changed[0], changed[0] + placebo):
            past = [year - 2 * placebo, year - placebo]
            whole += path[year]
            counted += path[year] * bool(loans.loc[county].reindex(past).notna().all())
    return counted / whole


def test_normalized_placebos(frame, estimate, records, golden):
    theirs = their_rows(records, "favara_imbs_normalized/full_precision").loc[[-2, -3, -4]]
    share = np.array([partial_share(frame, placebo) for placebo in (1, 2, 3)])
    assert share[0] == 1
    assert (share[1:] < 1).all()
    effects, sums = by_event_time(estimate("favara_imbs_normalized"), theirs.index)
    golden(effects / share, theirs["estimate"], rtol=1e-9)
    golden(np.sqrt((sums**2).sum(axis=0)) / share, theirs["std_error"], rtol=1e-9)


@pytest.mark.parametrize("case", CLUSTERED)
def test_joint_test_of_placebos(case, frame, estimate, records, golden):
    result = estimate(case)
    effects, sums = by_event_time(result, [-2, -3, -4])
    if case == "favara_imbs_normalized":
        share = np.array([partial_share(frame, placebo) for placebo in (1, 2, 3)])
        effects, sums = effects / share, sums / share
    covariance = sums.T @ sums
    assert np.linalg.matrix_rank(covariance) < 3
    wald = effects @ np.linalg.pinv(covariance) @ effects
    p_value = records(FOLDER).scalar(f"{case}/effects", "p_joint_placebo")
    golden(stats.chi2.sf(wald, 3), p_value, rtol=1e-6)
    ours = next(e for e in result.exhibits if e.id == "joint_tests").table.set_index("test")
    assert np.isnan(ours.loc["placebos", "p_value"])
    assert ours.loc["placebos", "reason"]
