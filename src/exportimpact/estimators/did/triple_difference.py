"""The effect on affected firms, net of what happened to unaffected firms of the same programme.

Where a programme reaches a region or sector and only some of its firms can gain from it, the others
tell what else happened there. With S = g the firms whose region (sector) is supported from g on,
and Q whether a firm is affected, a cell is

    [(S=g, Q=1) - (S=g, Q=0)] - [(never, Q=1) - (never, Q=0)]

in mean changes since the base period. Trends of supported and other regions may differ, and so may
those of affected and unaffected firms: what has to be parallel is the gap between the two.

Given covariates this is *not* the difference of two adjusted difference-in-differences: each of
those would average over the covariates of its own supported firms, and the difference would compare
firms of different kinds. Three comparisons share the covariates of the affected supported firms
instead: with (S=g, Q=0), plus with (never, Q=1), less with (never, Q=0).

References
----------
Ortiz-Villavicencio & Sant'Anna (2025), doi:10.48550/arXiv.2505.09942; Olden & Moen (2022),
doi:10.1093/ectj/utac010
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from exportimpact._typing import Adjust, FloatArray, IntArray
from exportimpact.core.assumption import Requirement, all_of, any_of
from exportimpact.core.builder import CellBuilder
from exportimpact.core.cell import Cell
from exportimpact.core.estimator import estimator
from exportimpact.core.many import Shared
from exportimpact.core.protocols import DesignLike, WideLike
from exportimpact.core.result import EstimationResult
from exportimpact.core.spec import EstimatorSpec
from exportimpact.errors import InputError
from exportimpact.estimators.did.two_groups import NEEDS, Models, check_adjust
from exportimpact.language import Message, message
from exportimpact.numerics.two_by_two import MAX_PROPENSITY

_SIGNS = (1.0, 1.0, -1.0)
_LEAST = 2
_NO_SEGMENT = "EI-I12"


@estimator(
    id="triple_difference",
    title="Triple difference",
    reference="Ortiz-Villavicencio & Sant'Anna (2025), doi:10.48550/arXiv.2505.09942",
    step="V-b",
    requires=all_of("no_anticipation", any_of(*NEEDS.values())),
    blind_to={"same_measurement": "reports that support inflates look like an effect"},
    accepts={"weights", "covariates"},
)
@dataclass(frozen=True, kw_only=True)
class TripleDifference:
    """Effects on affected firms by cohort and period, net of the change of unaffected firms.

    Parameters
    ----------
    by : str
        Baseline column with 1 (yes) for firms that support can affect and 0 for firms of the same
        programme regions or sectors that it cannot. The design's support starts for both: give the
        assignment of the region or sector, not that of the firm.
    adjust : {"doubly_robust", "regression", "weighting", "none"}
        How covariates of the design are used. Without covariates all four are the difference of the
        difference in mean changes.

    Notes
    -----
    Requires no anticipation, that unaffected firms are untouched, and that the gap between affected
    and unaffected firms would have moved in parallel without support: this is what
    "parallel_trends" stands for in its results. Given covariates, the four groups need overlap and
    right models as for `GroupTime`. A firm counts by its value at the cohort's base period.

    Firms not yet supported are refused as comparison firms: pooled over cohorts with other shares
    of affected firms their gap moves by composition alone (Ortiz-Villavicencio & Sant'Anna 2025,
    section 5), and so are matched designs, whose weights balance two groups instead of four.

    The estimand is the effect on affected supported firms: `Estimand.segment` is (by, "1").

    References
    ----------
    Ortiz-Villavicencio & Sant'Anna (2025), doi:10.48550/arXiv.2505.09942; Olden & Moen (2022),
    doi:10.1093/ectj/utac010
    """

    spec: ClassVar[EstimatorSpec]
    by: str
    adjust: Adjust = "doubly_robust"

    def __post_init__(self) -> None:
        check_adjust(self.adjust)

    def requirement(self, design: DesignLike) -> Requirement:
        """Return what this configuration assumes on this design."""
        return all_of("no_anticipation", *NEEDS[self._used(design)].parts)

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
        InputError
            EI-E54 when `by` is no yes/no column, or is a covariate as well.
        NotIdentifiedError
            EI-D07, EI-D08 when supported or comparison firms are all affected or all unaffected;
            EI-E06 when no cell is identified.
        """
        affected, unaffected = self._sides(design)
        groups = _Groups(design.wide(), Shared() if shared is None else shared, self._used(design))
        others = {(cell.cohort, cell.period): cell for cell in unaffected.cells()}
        weights = np.zeros(design.units.size)
        whole = {(cell.cohort, cell.period): cell for cell in design.cells()}
        cells = CellBuilder(affected, self, whole=design, strata=_strata(design, affected))
        for cell in affected.cells():
            place = (cell.cohort, cell.period)
            other, every = others.get(place), whole[place]
            weights[every.rows] = every.weights
            found = groups.compare(cell, other, weights)
            if isinstance(found, Message):
                cells.not_identified(cell, found)
                continue
            joined, effect, psi = found
            cells.add(joined, estimate=effect, influence=psi, sampled=True)
        cells.note(message("note.triple", by=self.by))
        if self.adjust == "none" and design.settings["covariates"]:
            cells.note(message("note.covariates_unused", estimator=self.spec.title))
        if groups.trimmed:
            cells.note(message("note.trimmed", firms=groups.trimmed, limit=MAX_PROPENSITY))
        return cells.result()

    def _used(self, design: DesignLike) -> Adjust:
        return self.adjust if design.settings["covariates"] else "none"

    def _sides(self, design: DesignLike) -> tuple[DesignLike, DesignLike]:
        """Return the design among affected and among unaffected firms."""
        if self.by in design.wide().names:
            raise _refused(self.by, "it is a covariate as well. Leave it out of covariates=")
        values = int(design.history().groups(self.by).max()) + 1
        if values > len(("no", "yes")):
            raise _refused(self.by, f"it has {values:,} different values")
        try:
            return design.within(self.by, 1), design.within(self.by, 0)
        except InputError as error:
            if error.code != _NO_SEGMENT:
                raise
            raise _refused(self.by, "it holds words instead of 0 and 1") from error


@dataclass(eq=False)
class _Groups:
    """The three comparisons of a cell, each with the affected supported firms."""

    wide: WideLike
    shared: Shared
    adjust: Adjust
    models: tuple[Models, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.models = tuple(Models(self.wide, self.shared) for _ in _SIGNS)

    @property
    def trimmed(self) -> int:
        """The most comparison firms that have no weight in a comparison."""
        return max(models.trimmed for models in self.models)

    def compare(
        self, cell: Cell, other: Cell | None, weights: FloatArray
    ) -> tuple[Cell, float, FloatArray] | Message:
        """Return the cell with all comparison firms, effect and influence, or why there is none.

        Parameters
        ----------
        cell, other : Cell
            Among affected and among unaffected firms.
        weights : (n_firms,)
            On one scale for all four groups.
        """
        if other is None:
            return message("cell.no_unaffected")
        groups = (other.supported, cell.comparison, other.comparison)
        fewest = min(rows.size for rows in groups)
        if fewest < _LEAST:
            return message("cell.small_group", firms=int(fewest))
        total, effect = np.zeros(weights.size), 0.0
        for sign, models, rows in zip(_SIGNS, self.models, groups, strict=True):
            pair = _against(cell, rows, weights)
            reason = models.prepare(pair, self.adjust)
            if reason is not None:
                return reason
            dy, d, w = self.wide.change(pair), pair.is_supported, pair.weights
            part, psi = models.estimate(self.adjust, dy, d, w)
            effect += sign * part
            total[pair.rows] += sign * psi
        joined = _against(cell, np.sort(np.concatenate(groups)), weights)
        return joined, effect, total[joined.rows]


def _against(cell: Cell, comparison: IntArray, weights: FloatArray) -> Cell:
    """Return the cell's supported firms against other comparison firms."""
    own = weights[np.concatenate([cell.supported, comparison])]
    return replace(cell, comparison=comparison, weights=own / own.mean())


def _strata(design: DesignLike, affected: DesignLike) -> IntArray:
    """Return a code for each cohort's affected and unaffected firms, (n_firms,)."""
    flag = affected.history().usable.any(axis=1)
    return (2 * design.cohort_codes + flag).astype(np.int64)


def _refused(by: str, why: str) -> InputError:
    return InputError(
        "EI-E54",
        f"{by!r} does not tell affected from unaffected firms, so that there is no third "
        f"difference: {why}. Name a baseline column with 1 for firms that support can affect and 0 "
        "for firms of the same regions or sectors that it cannot.",
        column=by,
    )
