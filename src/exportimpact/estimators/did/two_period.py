"""The difference in mean changes between two periods: the estimator to read first.

For every cohort it takes one period after the start of support and the base period, and subtracts
the mean change of the comparison firms from the mean change of the supported firms:

    effect = mean(Y_post - Y_base | supported) - mean(Y_post - Y_base | comparison)

It is right when, without support, both groups' means would have moved in parallel, and when nobody
reacted before the base period. Its influence function is that of a difference of two means, so that
its error is Welch's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from exportimpact.core.builder import CellBuilder
from exportimpact.core.estimator import estimator
from exportimpact.core.protocols import DesignLike
from exportimpact.core.result import EstimationResult
from exportimpact.core.spec import EstimatorSpec
from exportimpact.language import message


@estimator(
    id="two_period",
    title="Two-period difference-in-differences",
    reference="Ashenfelter & Card (1985), doi:10.2307/1924810",
    step="V-b",
    requires={"parallel_trends", "no_anticipation"},
    blind_to={
        "parallel_trends": "two periods say nothing about trends before support",
        "parallel_trends_given_x": "two periods say nothing about trends before support",
        "no_anticipation": "a single period says nothing about reactions before it",
        "same_measurement": "reports that support inflates look like an effect",
    },
    accepts={"weights", "matched", "not_yet", "rejected"},
)
@dataclass(frozen=True, kw_only=True)
class TwoPeriod:
    """Difference in mean changes from the base period to one period after the start.

    Parameters
    ----------
    event_time : int
        As in the table's column: 0 for the first supported period, later ones in the calendar's
        unit (years in a yearly panel).

    Notes
    -----
    Requires parallel trends and no anticipation. Covariates of the design are not used.

    References
    ----------
    Ashenfelter & Card (1985), doi:10.2307/1924810
    """

    spec: ClassVar[EstimatorSpec]
    event_time: int = 0

    def estimate(self, design: DesignLike) -> EstimationResult:
        """Return one cell for each cohort.

        Parameters
        ----------
        design : Design or SealedDesign

        Returns
        -------
        EstimationResult

        Raises
        ------
        NotIdentifiedError
            EI-E06 when no cohort is observed at both periods on both sides.
        """
        wide = design.wide()
        cells = CellBuilder(design, self, event_time=self.event_time)
        for cell in design.cells():
            if cell.event_time != self.event_time:
                continue
            change, weight = wide.change(cell), cell.weights
            supported = cell.is_supported * weight
            comparison = (1 - cell.is_supported) * weight
            mean_supported = supported @ change / supported.sum()
            mean_comparison = comparison @ change / comparison.sum()
            influence = (
                supported * (change - mean_supported) / supported.sum()
                - comparison * (change - mean_comparison) / comparison.sum()
            )
            effect = float(mean_supported - mean_comparison)
            cells.add(cell, estimate=effect, influence=influence, sampled=True)
        if design.settings["covariates"]:
            cells.note(message("note.covariates_unused", estimator=self.spec.title))
        return cells.result()
