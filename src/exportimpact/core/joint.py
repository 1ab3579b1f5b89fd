"""One row of each of several results on one panel, with the covariance that they share.

The influence functions of all results stand side by side, so that every difference between
estimators, designs or subgroups has an error that counts firms which serve in several of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from exportimpact._typing import BoolArray, FloatArray, IntArray
from exportimpact.core.aggregation import Rows
from exportimpact.core.cellset import CellSet, Errors, errors_of
from exportimpact.core.result import EstimationResult
from exportimpact.core.wald import WaldTest, joint_test, not_applicable
from exportimpact.errors import StoredResultError
from exportimpact.language import Message, message
from exportimpact.numerics.influence import Block, Influence, Moments

_ROUNDING = 1e-12
"""Share of the variances of its parts below which the variance of a difference is rounding."""
_RANK = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class Joint:
    """Rows of several results, one each, and functions of them.

    Attributes
    ----------
    estimate : (n,)
        The row of each result.
    size : (n,)
        Weight of the supported firms of each row's cohorts, as a share of all firms.
    gradient, size_gradient : (n, n_columns)
        How they move with the columns of all results, side by side.
    used : (n, n_columns) bool
        Which columns each row depends on.
    thin : (n,) bool
        Which rows have no interval.
    moments : Moments
    within, silent : bool
        As in `errors_of`: errors follow the rule for few clusters where any result's do.
    """

    estimate: FloatArray
    size: FloatArray
    gradient: FloatArray
    size_gradient: FloatArray
    used: BoolArray
    thin: BoolArray
    moments: Moments
    within: bool
    silent: bool

    @classmethod
    def of(cls, results: Sequence[EstimationResult], strata: IntArray | None = None) -> Joint:
        """Return the joint rows of one-row results.

        Parameters
        ----------
        results : sequence of EstimationResult
            As `overall` returns them, on the same panel.
        strata : (n_firms,) codes from 0, optional
            Groups of firms for degrees of freedom; the cohorts when not given.

        Raises
        ------
        StoredResultError
            EI-I04 for a result read from JSON.
        """
        parts = [_part(result) for result in results]
        n_columns = sum(part.columns.size for part in parts)
        gradient = np.zeros((len(parts), n_columns))
        sizes, used = np.zeros_like(gradient), np.zeros(gradient.shape, dtype=bool)
        blocks: list[Block] = []
        start = 0
        for row, part in enumerate(parts):
            place = slice(start, start + part.columns.size)
            gradient[row, place], sizes[row, place] = part.gradient, part.size_gradient
            used[row, place] = part.used
            blocks += part.blocks(start)
            start += part.columns.size
        cells = [part.cells for part in parts]
        design = results[0].design
        influence = Influence(design.units.size, n_columns, tuple(blocks))
        groups = cohorts_of(results) if strata is None else strata
        return cls(
            estimate=np.array([part.estimate for part in parts]),
            size=np.array([part.size for part in parts]),
            gradient=gradient,
            size_gradient=sizes,
            used=used,
            thin=np.array([part.thin for part in parts]),
            moments=influence.moments(groups, design.cluster_codes),
            within=any(c.few_clusters for c in cells),
            silent=any(c.clustered or c.no_error for c in cells),
        )

    def errors(self, weights: FloatArray, size_weights: FloatArray | None = None) -> Errors:
        """Return the errors of functions of the rows.

        Parameters
        ----------
        weights : (n_out, n)
            How each function moves with the rows' estimates.
        size_weights : (n_out, n), optional
            How it moves with their sizes.

        Returns
        -------
        Errors
            With 0 as the error of what is the same but for rounding.
        """
        gradient, used = self._moved(weights, size_weights)
        thin = ((weights != 0) & self.thin).any(axis=1)
        options = {"within": self.within, "silent": self.silent}
        found = errors_of(self.moments, gradient, used, thin, **options)
        rows = errors_of(self.moments, self.gradient, self.used, self.thin, **options)
        parts = weights**2 @ np.diagonal(rows.covariance)
        moving = np.diagonal(found.covariance) > _ROUNDING * parts
        return replace(
            found,
            std_error=np.where(moving | np.isnan(found.std_error), found.std_error, 0.0),
            df=np.where(moving, found.df, np.nan),
            covariance=np.where(np.outer(moving, moving), found.covariance, 0.0),
        )

    def test(self, null: Message, weights: FloatArray) -> WaldTest:
        """Test that linear combinations of the rows are zero, as many as are independent.

        Parameters
        ----------
        null : Message
        weights : (n_out, n)
        """
        if ((weights != 0) & self.thin).any():
            n = weights.shape[0]
            return not_applicable(null, n, self.moments.n_members, message("test.no_row_error"))
        found = self.errors(weights)
        live = found.std_error > 0
        if not live.any():
            return not_applicable(null, 0, self.moments.n_members, message("test.same"))
        scaled = weights[live] / found.std_error[live][:, None]
        gradient, used = self._moved(scaled)
        values, vectors = np.linalg.eigh(self.moments.within(gradient, used))
        kept = vectors[:, values > _RANK * values.max()]
        chosen = kept.T @ scaled
        gradient, used = self._moved(chosen)
        used[:] = used.any(axis=0)
        covariance = errors_of(
            self.moments,
            gradient,
            used,
            np.zeros(len(used), dtype=bool),
            within=self.within,
            silent=False,
        ).covariance
        return joint_test(null, chosen @ self.estimate, covariance, self.moments, gradient, used)

    def _moved(
        self, weights: FloatArray, size_weights: FloatArray | None = None
    ) -> tuple[FloatArray, BoolArray]:
        gradient = weights @ self.gradient
        used = (weights != 0) @ self.used
        if size_weights is not None:
            gradient = gradient + size_weights @ self.size_gradient
            used = used | ((size_weights != 0) @ (self.size_gradient != 0))
        return gradient, used


def cohorts_of(results: Sequence[EstimationResult]) -> IntArray:
    """Return the cohort of each firm as a code, 0 for firms without, (n_firms,).

    A firm that has left some of the designs keeps the cohort that it has in the others.
    """
    first = np.max([first_periods(result.design) for result in results], axis=0)
    return np.unique(np.append(first, 0), return_inverse=True)[1][:-1].astype(np.int64)


def first_periods(design: Any) -> IntArray:
    """Return the first supported period of each firm, 0 for firms without, (n_firms,)."""
    codes: IntArray = np.array([0, *design.cohorts], dtype=np.int64)[design.cohort_codes]
    return codes


@dataclass(frozen=True, eq=False)
class _Part:
    """The columns of one result that its row depends on."""

    cells: CellSet
    columns: IntArray
    estimate: float
    size: float
    gradient: FloatArray
    size_gradient: FloatArray
    used: BoolArray
    thin: bool

    def blocks(self, start: int) -> list[Block]:
        """Return the influence of the columns, numbered from `start`."""
        assert self.cells.influence is not None
        made = []
        for block in self.cells.influence.blocks:
            keep = np.isin(block.cols, self.columns)
            if not keep.any():
                continue
            place = start + np.searchsorted(self.columns, block.cols[keep])
            whole = bool(keep.all())
            present = None if block.present is None else block.present[:, keep]
            values = block.values if whole else block.values[:, keep]
            made.append(Block(block.rows, place.astype(np.int64), values, present))
        return made


def _part(result: EstimationResult) -> _Part:
    cells, rows = result.cells, result.rows
    if cells.influence is None:
        raise StoredResultError(
            "EI-I04",
            "A result read from JSON holds no influence functions, so that what it shares with "
            "other results is not known. Estimate again from the data, or keep results with "
            "pickle.",
            what="influence",
        )
    assert rows is not None
    gradient = cells.gradient(rows)[0]
    used = rows.used(gradient.size)[0]
    size, size_gradient = _size(cells, rows, gradient.size)
    columns = np.flatnonzero(used | (size_gradient != 0)).astype(np.int64)
    thin = cells.no_error or bool(((rows.weights[0] != 0) & cells.thin).any())
    return _Part(
        cells=cells,
        columns=columns,
        estimate=float(rows.weights[0] @ cells.estimate),
        size=size,
        gradient=gradient[columns],
        size_gradient=size_gradient[columns],
        used=used[columns],
        thin=thin,
    )


def _size(cells: CellSet, rows: Rows, n_columns: int) -> tuple[float, FloatArray]:
    """Return the weight of the supported firms of a row's cohorts, and how it moves."""
    there = rows.weights[0] != 0
    columns, first = np.unique(cells.design_sizes.column[there], return_index=True)
    gradient = np.zeros(n_columns)
    gradient[columns] = 1.0
    return float(cells.design_sizes.value[there][first].sum()), gradient
