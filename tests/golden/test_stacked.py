"""Stacked on castle-doctrine laws and homicide, against a regression on the stacks in R.

Numbers: stacked_castle.csv, made by stacked_castle.R beside it (R 4.2.2, base R, the castle data of
causaldata 0.1.5; the command stands in the script). It builds the stacks, weights them as Wing,
Freedman & Hollingsworth (2024) do, and regresses; Stacked never builds a stack.

Errors: with the cohorts' shares as known ours are those of the regression in which every stack has
its own effects. The paper's regression has common ones; its residuals contain what stacks' changes
differ by, on both sides. Ours count instead that shares are estimated (on the supported side, where
they are), so that the two differ by some per cent here; both estimate the same coefficient.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from exportimpact import Assignment, Design, Outcome, Panel
from exportimpact.did import Stacked

CLOSED = 1e-8
EXPECTED = pd.read_csv(Path(__file__).with_name("stacked_castle.csv"))
CASES = EXPECTED[["before", "after", "pool", "weighted"]].drop_duplicates()


@pytest.fixture(scope="module")
def frame():
    causaldata = pytest.importorskip("causaldata")
    found = causaldata.castle.load_pandas().data[["sid", "year", "post", "l_homicide", "popwt"]]
    law = found[found["post"] > 0].groupby("sid")["year"].min() - 1
    return found.assign(first=found["sid"].map(law).astype("Int64"))


def with_fixed_shares(result):
    """Errors of the rows of an aggregate that takes the cohorts' shares as known."""
    weights = result.rows.weights
    columns = np.zeros((result.cells.influence.n_columns, len(weights)))
    columns[: weights.shape[1]] = weights.T
    psi = result.cells.influence.combine(columns).dense()
    return np.sqrt((psi**2).sum(axis=0)) / len(psi)


@pytest.mark.golden("Stacked")
@pytest.mark.parametrize(
    ("before", "after", "pool", "weighted"), list(CASES.itertuples(index=False))
)
def test_regression_on_the_stacks(before, after, pool, weighted, frame, golden):
    panel = Panel.from_frame(
        frame,
        unit="sid",
        period="year",
        outcomes=[Outcome("l_homicide", scale="logged")],
        weight="popwt" if weighted else None,
    )
    support = Assignment.from_first_period(frame, unit="sid", first_period="first")
    design = Design(panel, support, outcome="l_homicide", comparison=pool)
    result = Stacked(window=(before, after)).estimate(design)
    own = (EXPECTED[CASES.columns] == [before, after, pool, weighted]).all(axis=1)
    expected = EXPECTED[own]
    path, overall = result.aggregate("event_time"), result.overall("simple")
    rows, last = expected[:-1], expected.iloc[-1]
    assert path.table()["event_time"].tolist() == rows["event_time"].tolist()
    golden(path.table()["estimate"], rows["estimate"], rtol=CLOSED)
    golden(with_fixed_shares(path), rows["std_error_by_stack"], rtol=CLOSED)
    golden(overall.estimate, last["estimate"], rtol=CLOSED)
    golden(with_fixed_shares(overall), last["std_error_by_stack"], rtol=CLOSED)
