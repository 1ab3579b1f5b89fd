"""Two periods against R's DRDID on randomised-out NSW controls and CPS firms (here: persons).

Numbers: EXPORTIMPACT_REFERENCE/drdid_nsw_2x2 (R 4.2.2, DRDID 1.2.3; each record names its command).
The true effect is 0: the estimates show evaluation bias. Errors are sqrt(mean(psi^2) / n) in both.
Conventions that differ and are not compared:

- `drdid(estMethod="imp")`, the default of DRDID: propensity by inverse probability tilting. Ours is
  the default of did ("trad": logit and least squares). Without covariates both are one number.
- `ipwdid(normalized=FALSE)`: Horvitz-Thompson weights. Ours are normalised (Hajek).
- The error of `twfe_did`: from the pooled regression in levels. The estimate is the same.
- `data_rc.csv`: repeated cross-sections, not a panel.
"""

from __future__ import annotations

import pandas as pd
import pytest

from exportimpact import Assignment, Design, Panel
from exportimpact.did import GroupTime, TwoPeriod
from exportimpact.matched import DoublyRobust, Weighting
from exportimpact.matching import InverseProbability

COVARIATES = ("age", "educ", "black", "married", "nodegree", "hisp", "re74")
ADJUSTED = {
    "panel/ordid": ("regression", 1e-8),
    "panel/ipwdid_normalized_TRUE": ("weighting", 1e-6),
    "panel/drdid_trad": ("doubly_robust", 1e-6),
    "panel/drdid_trad_trim95": ("doubly_robust", 1e-6),  # no propensity is above 0.95
}


@pytest.fixture(scope="module")
def nsw(reference):
    """Return a function from covariates to a design; the panel has periods 1975 and 1978."""
    frame = pd.read_csv(reference("drdid_nsw_2x2") / "data.csv")
    first = frame["experimental"].map({1: 1978}).astype("Int64")
    frame = frame.assign(first=first)
    panel = Panel.from_frame(
        frame, unit="id", period="year", outcomes=["re"], baseline=list(COVARIATES)
    )
    support = Assignment.from_first_period(frame, unit="id", first_period="first")
    return lambda covariates=(): Design(panel, support, outcome="re", covariates=covariates)


@pytest.mark.golden("GroupTime")
@pytest.mark.parametrize("formula", [False, True], ids=["names", "formula"])
@pytest.mark.parametrize("name", ADJUSTED)
def test_adjusted(name, formula, nsw, records, golden):
    adjust, rtol = ADJUSTED[name]
    covariates = "~ " + " + ".join(COVARIATES) if formula else COVARIATES
    row = GroupTime(adjust=adjust).estimate(nsw(covariates))
    expected = records("drdid_nsw_2x2")
    golden(row.estimate, expected.scalar(name, "att"), rtol=rtol)
    golden(row.std_error, expected.scalar(name, "se"), rtol=rtol)


@pytest.mark.golden("DoublyRobust", "Weighting")
@pytest.mark.parametrize(
    ("name", "estimator"),
    [("panel/drdid_trad", DoublyRobust()), ("panel/ipwdid_normalized_TRUE", Weighting())],
)
def test_weights_of_the_design(name, estimator, nsw, records, golden):
    """The same numbers where the weights are the design's, with the step that estimated them."""
    row = estimator.estimate(nsw(COVARIATES).match(InverseProbability()))
    expected = records("drdid_nsw_2x2")
    golden(row.estimate, expected.scalar(name, "att"), rtol=1e-6)
    golden(row.std_error, expected.scalar(name, "se"), rtol=1e-6)


@pytest.mark.golden("GroupTime", "TwoPeriod")
@pytest.mark.parametrize(
    "estimator", [TwoPeriod(), *(GroupTime(adjust=a) for a in ("none", "doubly_robust"))], ids=repr
)
def test_without_covariates(estimator, nsw, records, golden):
    row, expected = estimator.estimate(nsw()), records("drdid_nsw_2x2")
    golden(row.estimate, expected.scalar("panel/drdid_imp_nocov", "att"), rtol=1e-8)
    golden(row.std_error, expected.scalar("panel/drdid_imp_nocov", "se"), rtol=1e-8)
    golden(row.estimate, expected.scalar("panel/twfe_did", "att"), rtol=1e-8)
