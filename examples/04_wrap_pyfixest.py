"""An estimator of another package in the suite: pyfixest's regression, cell by cell.

    pip install pyfixest
    exportimpact bench 04_wrap_pyfixest:FixestANCOVA --tier quick --jobs 2

docs/how-to/wrap-another-package.md walks through it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

import exportimpact as ei


@ei.estimator(
    id="fixest_ancova",
    title="Regression of growth on support and covariates (pyfixest)",
    reference="pyfixest, https://github.com/py-econometrics/pyfixest",
    step="V-b",
    requires={
        "parallel_trends_given_x",
        "no_anticipation",
        "outcome_model",
        "homogeneous_effects",
    },
    blind_to={
        "parallel_trends_given_x": "trends that part after support only leave no trace",
        "same_measurement": "reports that support inflates look like an effect",
    },
    accepts={"weights", "covariates", "not_yet", "rejected"},
)
@dataclass(frozen=True, kw_only=True)
class FixestANCOVA:
    """Coefficient of support in a regression of growth since the base period, in each cell."""

    spec: ClassVar[ei.EstimatorSpec]

    def estimate(self, design: ei.SealedDesign, *, rng: object = None) -> ei.EstimationResult:
        """Return one coefficient for each cohort and period."""
        import pyfixest  # an optional dependency: imported where it is used

        wide, cells = design.wide(), ei.CellBuilder(design, self)
        for cell in design.cells():
            x = np.column_stack([cell.is_supported, wide.covariates(cell)[:, 1:]])
            names = [f"x{k}" for k in range(x.shape[1])]
            data = pd.DataFrame(x, columns=names).assign(dy=wide.change(cell), w=cell.weights)
            fit = pyfixest.feols(f"dy ~ {' + '.join(names)}", data, weights="w")
            # Influence of a regression coefficient: the bread's row times each firm's score.
            full = np.column_stack([np.ones(len(x)), x])
            residual = data["dy"].to_numpy() - full @ fit.coef().to_numpy()
            bread = np.linalg.inv((full * cell.weights[:, None]).T @ full)
            psi = (full * (cell.weights * residual)[:, None]) @ bread[1]
            cells.add(cell, estimate=float(fit.coef()["x0"]), influence=psi, sampled=True)
        return cells.result()
