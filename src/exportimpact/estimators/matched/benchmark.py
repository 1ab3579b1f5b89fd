"""Supported firms against typical firms: step IV of the ladder, not causal.

The mean change of supported firms less the mean change of all other firms of the design's sample,
for every cohort and period. With `strata`, other firms are standardised to the supported firms' mix
of strata (direct standardisation), so that a different mix of sizes or industries does not pass for
a difference. Nothing makes the two groups comparable: the result describes, it does not attribute.

References
----------
OECD (2023), Framework for the Evaluation of SME and Entrepreneurship Policies and Programmes,
doi:10.1787/a4c818d1-en
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from exportimpact._typing import AnyArray, BoolArray, FloatArray
from exportimpact.core.builder import CellBuilder
from exportimpact.core.cell import Cell
from exportimpact.core.estimator import estimator
from exportimpact.core.result import EstimationResult
from exportimpact.core.spec import EstimatorSpec
from exportimpact.errors import ColumnError, did_you_mean
from exportimpact.language import message
from exportimpact.numerics import two_by_two


@estimator(
    id="benchmark",
    title="Benchmark against typical firms (not causal)",
    reference="OECD (2023), doi:10.1787/a4c818d1-en, step IV",
    step="IV",
    requires={"typical_firms_comparable"},
    blind_to={
        "typical_firms_comparable": "nothing in the method looks for differences",
        "same_measurement": "reports that support inflates look like an effect",
    },
    accepts={"weights", "not_yet", "rejected"},
)
@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Mean change of supported firms less mean change of all other firms; not causal.

    Parameters
    ----------
    strata : sequence of str
        Categorical baseline columns, read at the base period, to standardise by.

    Notes
    -----
    Requires, for a causal reading that it does not claim, that typical firms are comparable.

    References
    ----------
    OECD (2023), doi:10.1787/a4c818d1-en
    """

    spec: ClassVar[EstimatorSpec]
    strata: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "strata", tuple(self.strata))

    def estimate(self, design: Any) -> EstimationResult:
        """Return every cohort x period cell against all other firms.

        Parameters
        ----------
        design : Design or SealedDesign

        Returns
        -------
        EstimationResult

        Raises
        ------
        ColumnError
            EI-E09 for strata that are not baseline columns.
        NotIdentifiedError
            EI-E06 when no cell is identified.
        """
        wide, cells = design.wide(), CellBuilder(design, self, pool="others")
        columns = [self._column(design, name) for name in self.strata]
        outside = 0
        for cell in design.cells(pool="others"):
            if columns:
                shared = _in_shared_strata(_strata(columns, cell), cell.is_supported)
                outside = max(outside, int((~shared[: cell.supported.size]).sum()))
                if not shared.any():
                    cells.not_identified(cell, message("cell.no_shared_stratum"))
                    continue
                cell = _restricted(cell, shared)
            dy, d, w = wide.change(cell), cell.is_supported, cell.weights
            if columns:
                effect, psi = _standardised(dy, d, w, _strata(columns, cell))
            else:
                effect, psi = two_by_two.difference(dy, d, w)
            cells.add(cell, estimate=effect, influence=psi, sampled=True)
        if outside:
            cells.note(message("note.outside_strata", firms=outside))
        return cells.result()

    def _column(self, design: Any, name: str) -> FloatArray:
        if name not in design.panel.baseline_names:
            raise ColumnError(
                "EI-E09",
                f"Stratum {name!r} is not a baseline column of the panel, so that firms cannot be "
                f"standardised by it. {did_you_mean(name, design.panel.baseline_names)}",
                stratum=name,
            )
        values: FloatArray = design.panel.baseline(name).values
        return values


def _strata(columns: list[FloatArray], cell: Cell) -> AnyArray:
    """Return the stratum code of each of the cell's rows."""
    values = np.column_stack([c[cell.rows, cell.base_index] for c in columns])
    return np.unique(values, axis=0, return_inverse=True)[1].reshape(-1)


def _in_shared_strata(stratum: AnyArray, d: FloatArray) -> BoolArray:
    """Return which rows are in a stratum that has firms on both sides."""
    n = int(stratum.max()) + 1
    both = (np.bincount(stratum, d, n) > 0) & (np.bincount(stratum, 1 - d, n) > 0)
    shared: BoolArray = both[stratum]
    return shared


def _restricted(cell: Cell, kept: BoolArray) -> Cell:
    split = cell.supported.size
    return replace(
        cell,
        supported=cell.supported[kept[:split]],
        comparison=cell.comparison[kept[split:]],
        weights=cell.weights[kept] / cell.weights[kept].mean(),
    )


def _standardised(
    dy: FloatArray, d: FloatArray, w: FloatArray, stratum: AnyArray
) -> tuple[float, FloatArray]:
    """Return the effect against other firms weighted to the supported mix, and its influence."""
    n = int(stratum.max()) + 1
    supported = np.bincount(stratum, w * d, n)
    others = np.bincount(stratum, w * (1 - d), n)
    mean = np.bincount(stratum, w * (1 - d) * dy, n) / others
    factor = supported / others
    total = supported.sum()
    gap = dy - mean[stratum]
    effect = float((w * d) @ gap / total)
    psi = w * d * (gap - effect) / total - w * (1 - d) * factor[stratum] * gap / total
    return effect, psi
