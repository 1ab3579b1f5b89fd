"""How large something has to be to matter for an estimate."""

from __future__ import annotations

import numpy as np

from exportimpact.core.result import EstimationResult

OF_ERROR, OF_EFFECT = 0.25, 0.10


def least_that_matters(result: EstimationResult) -> float:
    """Return the size below which a shift does not matter for the overall effect.

    A quarter of the standard error (coverage then falls to 94.3 %) or a tenth of the effect,
    whichever is more: in a panel of a million firms a tiny shift is significant and harmless.
    """
    overall = result.overall("simple").table().iloc[0]
    error = np.nan_to_num(float(overall["std_error"]))
    return float(max(OF_ERROR * error, OF_EFFECT * abs(float(overall["estimate"]))))
