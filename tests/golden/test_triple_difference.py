"""TripleDifference against R (stacked estimating equations) and moderndid 0.2.0, cell by cell.

`triple_difference/` holds the panel, the scripts with their commands, and what they said. A panel
of 500 firms in three periods: cohorts 2 and 3 and firms never supported, each with affected
(partition 1) and unaffected firms. Differences of convention:

- moderndid ignores `weightsname` with several periods (its weighted rows equal the others), so that
  weights are compared with R only.
- R's influence functions come from moments with numerical derivatives: about 1e-7 of agreement.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import exportimpact as ei

HERE = Path(__file__).parent / "triple_difference"
METHODS = {"dr": "doubly_robust", "reg": "regression", "ipw": "weighting"}
CASES = [
    (source, (method, covariates, weight))
    for source, weights in {"r": ("unweighted", "w"), "moderndid": ("unweighted",)}.items()
    for method in METHODS
    for covariates in ("none", "covariates")
    for weight in weights
]


def design(covariates, weight):
    frame = pd.read_csv(HERE / "data.csv")
    panel = ei.Panel.from_frame(
        frame,
        unit="id",
        period="time",
        outcomes=["y"],
        baseline=["partition", "cov1", "cov2"],
        weight=weight,
    )
    first = frame.drop_duplicates("id")[["id", "group"]].astype({"group": "Int64"})
    first["group"] = first["group"].mask(first["group"] == 0)
    support = ei.Assignment.from_first_period(first, unit="id", first_period="group")
    return ei.Design(panel, support, outcome="y", covariates=covariates)


@pytest.mark.golden("TripleDifference")
@pytest.mark.parametrize(("source", "case"), CASES)
def test_cells(source, case, golden):
    method, covariates, weight = case
    text = (HERE / f"{source}.json").read_text(encoding="utf-8")
    expected = pd.DataFrame(json.loads(text)["cells"]["/".join(case)])
    expected = expected.sort_values(["cohort", "period"]).reset_index(drop=True)
    given = ["cov1", "cov2"] if covariates == "covariates" else []
    result = ei.did.TripleDifference(by="partition", adjust=METHODS[method]).estimate(
        design(given, None if weight == "unweighted" else weight)
    )
    ours = result.table()
    assert ours[["cohort", "period"]].to_numpy().tolist() == (
        expected[["cohort", "period"]].to_numpy().tolist()
    )
    golden(ours["estimate"], expected["estimate"], rtol=1e-6, what="estimate")
    golden(ours["std_error"], expected["std_error"], rtol=1e-6, what="standard error")
