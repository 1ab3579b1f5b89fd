"""Power of a pre-trend test against pretrends 0.1.0 (R 4.2.2) on He & Wang (2017).

Numbers: EXPORTIMPACT_REFERENCE/pretrends_power. The reference period is -1, the test looks at each
lead with the normal critical value 1.96, and its probabilities come from mvtnorm, good to 1e-3: the
slope that is said to be found with 50 % has power 0.4997 in R as well. What rests on no
probability (the likelihood ratio) is closed form.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import ndtri

from exportimpact.numerics import pretrends

SIMULATED, CLOSED = 1e-3, 1e-8


@pytest.fixture(scope="module")
def study(reference):
    text = (reference("pretrends_power") / "input.json").read_text(encoding="utf-8")
    given = json.loads(text)
    return np.array(given["betahat"]), np.array(given["sigma"]), np.array(given["tVec"])


@pytest.mark.golden
def test_slopes_that_are_found(study, records, golden):
    _, sigma, time = study
    pre, critical = time < 0, np.full(3, ndtri(0.975))
    for power in (50, 80):
        slope = pretrends.slope_each(
            power / 100, time[pre] + 1.0, sigma[np.ix_(pre, pre)], critical
        )
        wanted = records("pretrends_power").scalar(
            "heandwang_slope_for_power", f"slope_power{power}"
        )
        golden(slope, wanted, rtol=SIMULATED)


@pytest.mark.golden
def test_what_a_quiet_test_does(study, records, golden):
    b, sigma, time = study
    expected = records("pretrends_power")
    slope = expected.scalar("heandwang_slope_for_power", "slope_power50")
    record = expected.by_id["heandwang_power_at_slope50"]["table"][0]
    path = expected.table("heandwang_eventplot").set_index("t")
    path = path.drop(index=-1)  # the reference period
    pre, critical = time < 0, np.full(3, ndtri(0.975))
    before, cross = sigma[np.ix_(pre, pre)], sigma[np.ix_(~pre, pre)]
    delta = slope * (time + 1.0)
    golden(delta, path["deltatrue"], rtol=CLOSED)
    quiet = pretrends.quiet_each(delta[pre], before, critical)
    without = pretrends.quiet_each(0 * delta[pre], before, critical)
    golden(1 - quiet.chance, record["Power"], rtol=SIMULATED)
    golden(quiet.chance / without.chance, record["Bayes.Factor"], rtol=SIMULATED)
    ratio = pretrends.likelihood_ratio(b[pre], delta[pre], before)
    golden(ratio, record["Likelihood.Ratio"], rtol=CLOSED)
    later = delta[~pre] + pretrends.shift_if_quiet(delta[pre], quiet, before, cross)
    means = path["meanAfterPretesting"]
    golden(quiet.mean, means[pre], rtol=SIMULATED, what="before support")
    golden(later, means[~pre], rtol=SIMULATED, what="since support")
