"""E-values of VanderWeele & Ding (2017) and of the documentation and tests of R's EValue 4.1.3."""

from __future__ import annotations

import pytest

from exportimpact.numerics.evalue import risk_difference_e_values, risk_ratio_e_values

# Estimate and interval, and the two E-values as printed.
RATIOS = {
    "breastfeeding and respiratory death": ((3.9, 1.8, 8.7), (7.26, 3.0), 0.005),
    "the same, protective": ((1 / 3.9, 1 / 8.7, 1 / 1.8), (7.26, 3.0), 0.005),
    "breastfeeding and leukaemia": ((0.80, 0.71, 0.91), (1.81, 1.43), 0.005),
    "smoking and lung cancer": ((10.73, 8.02, 14.36), (20.94777, 15.52336), 5e-6),
}


@pytest.mark.parametrize("name", RATIOS)
def test_risk_ratio(name, golden):
    (estimate, lower, upper), (point, limit), atol = RATIOS[name]
    ours = risk_ratio_e_values(estimate, lower, upper)
    golden(ours.estimate, point, rtol=0, atol=atol, what="estimate")
    golden(ours.limit, limit, rtol=0, atol=atol, what="limit")


def test_risk_difference(golden):
    """evalues.RD(397, 78557, 51, 108778): the limit from a grid of bias factors of 0.0001."""
    ours = risk_difference_e_values(397, 397 + 78557, 51, 51 + 108778)
    golden(ours.estimate, 20.94777, rtol=1e-4, what="estimate")
    golden(ours.limit, 15.95703, rtol=0, atol=2.1e-4, what="limit")
