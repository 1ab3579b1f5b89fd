"""Effects by cohort and period, each from its own clean comparison.

For cohort g in period t the change since the base period is compared with that of firms never or
not yet supported, with or without adjustment for covariates at the base period. Cells are not
averaged here: aggregation, clustering and bands are written once, in the result.

References
----------
Callaway & Sant'Anna (2021), doi:10.1016/j.jeconom.2020.12.001; adjustments as in
`exportimpact.numerics.two_by_two`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from exportimpact._typing import Adjust
from exportimpact.core.assumption import Requirement, all_of, any_of
from exportimpact.core.builder import CellBuilder
from exportimpact.core.estimator import estimator
from exportimpact.core.many import Shared
from exportimpact.core.protocols import DesignLike
from exportimpact.core.result import EstimationResult
from exportimpact.core.spec import EstimatorSpec
from exportimpact.estimators.did.two_groups import NEEDS, Models, check_adjust
from exportimpact.language import message
from exportimpact.numerics import two_by_two


@estimator(
    id="group_time",
    title="Group-time difference-in-differences",
    reference="Callaway & Sant'Anna (2021), doi:10.1016/j.jeconom.2020.12.001; "
    "Sant'Anna & Zhao (2020), doi:10.1016/j.jeconom.2020.06.003",
    step="V-b",
    requires=all_of(
        "no_anticipation",
        any_of(*NEEDS.values()),
    ),
    blind_to={"same_measurement": "reports that support inflates look like an effect"},
    accepts={"weights", "matched", "not_yet", "rejected", "covariates"},
)
@dataclass(frozen=True, kw_only=True)
class GroupTime:
    """Effects by cohort and period.

    Parameters
    ----------
    adjust : {"doubly_robust", "regression", "weighting", "none"}
        How covariates of the design are used. Without covariates all four are the difference in
        mean changes.

    Notes
    -----
    Requires no anticipation beyond the design's window, and parallel trends: unconditional for
    ``"none"``; given covariates, with a right model of comparison firms' changes for
    ``"regression"``, of support for ``"weighting"``, of either for ``"doubly_robust"``. Comparison
    firms whose propensity is 0.995 or more get no weight.

    References
    ----------
    Callaway & Sant'Anna (2021), doi:10.1016/j.jeconom.2020.12.001; Sant'Anna & Zhao (2020),
    doi:10.1016/j.jeconom.2020.06.003
    """

    spec: ClassVar[EstimatorSpec]
    adjust: Adjust = "doubly_robust"

    def __post_init__(self) -> None:
        check_adjust(self.adjust)

    def requirement(self, design: DesignLike) -> Requirement:
        """Return what this configuration assumes on this design."""
        return all_of("no_anticipation", *NEEDS[self.as_used(design).adjust].parts)

    def as_used(self, design: DesignLike) -> GroupTime:
        """Return the configuration that gives the same on this design: none without covariates."""
        return self if design.settings["covariates"] else replace(self, adjust="none")

    def estimate(self, design: DesignLike, *, shared: Shared | None = None) -> EstimationResult:
        """Return every identified cohort x period cell.

        Parameters
        ----------
        design : Design or SealedDesign
        shared : Shared, optional
            Propensity fits that other designs may have made already; `estimate_many` passes it.

        Returns
        -------
        EstimationResult

        Raises
        ------
        NotIdentifiedError
            EI-E06 when no cell is identified.
        """
        cells = CellBuilder(design, self)
        trimmed = self._add_cells(design, cells, shared)
        if self.adjust == "none" and design.settings["covariates"]:
            cells.note(message("note.covariates_unused", estimator=self.spec.title))
        if trimmed:
            cells.note(message("note.trimmed", firms=trimmed, limit=two_by_two.MAX_PROPENSITY))
        return cells.result()

    def _add_cells(self, design: DesignLike, cells: CellBuilder, shared: Shared | None) -> int:
        """Add every cell; return how many comparison firms were left out for their propensity."""
        wide, adjust = design.wide(), self.as_used(design).adjust
        models = Models(wide, shared)
        for cell in design.cells():
            reason = models.prepare(cell, adjust)
            if reason is not None:
                cells.not_identified(cell, reason)
                continue
            dy, d, w = wide.change(cell), cell.is_supported, cell.weights
            effect, psi = models.estimate(adjust, dy, d, w)
            cells.add(cell, estimate=effect, influence=psi, sampled=True)
        return models.trimmed
