"""Supported firms against weighted comparison firms, without a model of outcomes.

The weights are the design's: entropy balancing, odds of support, overlap weights, or those that
matching gives. Errors include the step in which the weights were estimated.

References
----------
Hirano, Imbens & Ridder (2003), doi:10.1111/1468-0262.00442; Li, Morgan & Zaslavsky (2018),
doi:10.1080/01621459.2016.1260466; Hainmueller (2012), doi:10.1093/pan/mpr025.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from exportimpact.core.assumption import Requirement, all_of
from exportimpact.core.builder import CellBuilder
from exportimpact.core.estimator import estimator
from exportimpact.core.protocols import DesignLike
from exportimpact.core.result import EstimationResult
from exportimpact.core.spec import EstimatorSpec
from exportimpact.core.step import Step
from exportimpact.estimators.matched.assumed import require_match, required, rung
from exportimpact.estimators.matched.cells import sample_of
from exportimpact.numerics import two_by_two


@estimator(
    id="weighting",
    title="Weighted difference",
    reference="Hirano, Imbens & Ridder (2003), doi:10.1111/1468-0262.00442; Li, Morgan & "
    "Zaslavsky (2018), doi:10.1080/01621459.2016.1260466",
    step="V-b",
    requires=all_of("parallel_trends_given_x", "no_anticipation", "overlap", "propensity_model"),
    blind_to={"same_measurement": "reports that support inflates look like an effect"},
    accepts={"weights", "matched", "not_yet", "rejected", "covariates"},
)
@dataclass(frozen=True, kw_only=True)
class Weighting:
    """Difference in weighted means, by the weights of a matched design.

    Parameters
    ----------
    change : bool
        Whether the outcome is its change since the base period (step V-b) or its level (V-a).

    Notes
    -----
    Requires overlap, no anticipation, and unconfoundedness given covariates for levels, parallel
    trends given covariates for changes; a right model of support, for entropy balancing one of
    support or of outcomes. With overlap weights the effect is that of firms that could as well not
    have been supported.

    References
    ----------
    Hirano, Imbens & Ridder (2003), doi:10.1111/1468-0262.00442; Li, Morgan & Zaslavsky (2018),
    doi:10.1080/01621459.2016.1260466
    """

    spec: ClassVar[EstimatorSpec]
    needs_match: ClassVar[bool] = True
    change: bool = True

    @property
    def reached(self) -> Step:
        """The rung that this configuration can reach."""
        return rung(change=self.change)

    def requirement(self, design: DesignLike) -> Requirement:
        """Return what this configuration assumes on this design."""
        return required(design, change=self.change, regression=False)

    def estimate(self, design: Any) -> EstimationResult:
        """Return every identified cohort x period cell.

        Parameters
        ----------
        design : Design or SealedDesign
            Matched or weighted, with `Design.match`.

        Returns
        -------
        EstimationResult

        Raises
        ------
        CapabilityError
            EI-E11 for a design that is not matched.
        NotIdentifiedError
            EI-E06 when no cell is identified.
        """
        require_match(design, self.spec.title)
        cells = CellBuilder(design, self)
        for cell in design.cells():
            sample = sample_of(design, cell, change=self.change)
            effect, psi = two_by_two.difference(sample.y, sample.d, sample.w)
            cells.add(cell, estimate=effect, influence=psi, sampled=True)
        return cells.result()
