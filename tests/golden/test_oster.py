"""Proportional selection against Stata's psacalc and R's robomit and bate, from published logs.

The data are not ours to ship, so that the two regressions enter with the numbers shown here.
"""

from __future__ import annotations

import pytest

from exportimpact.numerics.oster import CoefficientMovement, bias_adjusted, proportionality

# bate 0.1.0, vignette: NLSY, IQ score on months of breastfeeding (Oster 2019, table 3, row 1);
# collect_par prints standard deviations of y and d, osterdelstar and osterbds are at Rmax = 0.61.
BREASTFEEDING = CoefficientMovement(
    beta_short=0.04447926,
    r2_short=0.04465201,
    beta_full=0.01740748,
    r2_full=0.255621,
    var_y=0.9900242**2,
    var_d=4.629618**2,
    var_d_residual=18.99883,
)

# Ecdat's Housing (Windsor, 1987): log price on log lot size; controls are bedrooms, bathrooms,
# driveway. Regressions computed in numpy from the copy of the data in pydataset 0.2.0. Results:
# Schaub's paper on robomit, which shows that psacalc prints the same ("0.27", "1.99", "from 3.83 to
# 1.005").
HOUSING = CoefficientMovement(
    beta_short=0.5421789737922211,
    r2_short=0.3363833150969542,
    beta_full=0.4002067080353431,
    r2_full=0.531571269873966,
    var_y=0.13837278816107487,
    var_d=0.15834333791524646,
    var_d_residual=0.13399848153259059,
)


def test_bate_on_breastfeeding(golden):
    delta = proportionality(BREASTFEEDING, r2_max=0.61)
    golden(delta, 0.366194618840608, rtol=1e-6, what="deltastar")
    at_one = bias_adjusted(BREASTFEEDING, r2_max=0.61)
    golden(at_one.beta, -0.0337, rtol=0, atol=5.1e-5, what="beta of psacalc's rule")
    golden(at_one.others, [0.3752], rtol=0, atol=5.1e-5, what="other solution")


@pytest.mark.parametrize(
    ("r2_max", "expected", "atol"),
    [(0.5316 * 1.3, 1.99, 0.005), (0.54, 3.83, 0.005), (1.0, 1.005, 0.0005)],
)
def test_psacalc_delta_on_house_prices(r2_max, expected, atol, golden):
    golden(proportionality(HOUSING, r2_max=r2_max), expected, rtol=0, atol=atol)


def test_psacalc_beta_on_house_prices(golden):
    golden(bias_adjusted(HOUSING, r2_max=0.5316 * 1.3).beta, 0.27, rtol=0, atol=0.005)
