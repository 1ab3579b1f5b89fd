"""An estimator of your own, in a file of your own, put through the conformance suite.

    exportimpact bench 03_own_estimator:OutcomeRegression --tier quick --jobs 2

docs/how-to/add-an-estimator.md walks through it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import exportimpact as ei
from exportimpact.language import message


@ei.estimator(
    id="outcome_regression",
    title="Outcome-regression difference-in-differences",
    reference="Heckman, Ichimura & Todd (1997), doi:10.2307/2971733",
    step="V-b",
    requires={"parallel_trends_given_x", "no_anticipation", "outcome_model"},
    blind_to={
        "parallel_trends_given_x": "trends that part after support only leave no trace",
        "same_measurement": "reports that support inflates look like an effect",
    },
    accepts={"weights", "covariates", "not_yet", "rejected"},
)
@dataclass(frozen=True, kw_only=True)
class OutcomeRegression:
    """ATT(g, t) against the growth that comparison firms' regression on covariates predicts.

    Parameters
    ----------
    min_comparison : int
        Cells with fewer comparison firms are left out, with a reason.
    """

    spec: ClassVar[ei.EstimatorSpec]
    min_comparison: int = 20

    def estimate(self, design: ei.SealedDesign, *, rng: object = None) -> ei.EstimationResult:
        """Return one effect for each cohort and period."""
        wide, cells = design.wide(), ei.CellBuilder(design, self)
        for cell in design.cells():
            x, dy = wide.covariates(cell), wide.change(cell)  # rows: supported, then comparison
            if cell.comparison.size < max(self.min_comparison, x.shape[1] + 1):
                few = {"firms": cell.comparison.size, "columns": x.shape[1]}
                cells.not_identified(cell, message("cell.too_few_comparison", **few))
                continue
            supported = cell.is_supported * cell.weights
            comparison = (1 - cell.is_supported) * cell.weights
            bread = np.linalg.pinv((x * comparison[:, None]).T @ x)
            residual = dy - x @ (bread @ (x.T @ (comparison * dy)))
            effect = supported @ residual / supported.sum()
            # The second line is the first step's part: the regression was estimated as well.
            psi = supported * (residual - effect) / supported.sum()
            psi -= comparison * residual * (x @ (bread @ (supported @ x / supported.sum())))
            cells.add(cell, estimate=effect, influence=psi, sampled=True)
        return cells.result()


if __name__ == "__main__":
    from exportimpact.conformance import certify

    print(certify(OutcomeRegression(), tier="quick"))
