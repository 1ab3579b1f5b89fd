"""Simultaneous critical values against mvtnorm 1.1.3 (R 4.2.2) on published event studies.

Numbers: EXPORTIMPACT_REFERENCE/supt_bands; covariances of honestdid (Benzarti & Carloni 2019,
Lovenheim & Willen 2019). Both sides compute probabilities on quasi-random points, to 1e-3.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from exportimpact.numerics.bands import sup_t
from exportimpact.numerics.pretrends import noncentrality


@pytest.fixture(scope="module")
def studies(reference):
    """Estimates and covariance by the name of the study."""
    folder, found = reference("honestdid"), {}
    for name in ("BC", "LW"):
        text = (folder / f"input_{name}.json").read_text(encoding="utf-8")
        given = json.loads(text)
        found[name] = np.array(given["betahat"]).ravel(), np.array(given["sigma"])
    return found


@pytest.mark.golden
@pytest.mark.parametrize("name", ["BC", "LW"])
def test_critical_values(name, studies, records, golden):
    expected, (b, sigma) = records("supt_bands"), studies[name]
    leads = int(expected.scalar(f"{name}/supt", "df"))
    rows = {"all": slice(None), "pre": slice(leads), "post": slice(leads, None)}
    for kind, at in rows.items():
        part = sigma[at, at]
        critical = sup_t(part, np.full(len(part), np.inf), 0.95)
        assert np.ptp(critical) == 0
        wanted = expected.scalar(f"{name}/supt", f"crit_{kind}")
        golden(critical[0], wanted, rtol=1e-3, what=kind)
    wald = noncentrality(b[:leads], sigma[:leads, :leads])
    golden(wald, expected.scalar(f"{name}/supt", "wald_pre"), rtol=1e-8, what="Wald")
