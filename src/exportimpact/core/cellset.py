"""Estimated cells with the moments of their influence functions; the arithmetic of every error.

Columns of the influence functions: effects of the cells, supported means of the cells, observed
supported sizes of the cells, sizes of the cohorts. Every row of every table is a smooth function of
these; its error needs the gradient and the moments only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from exportimpact._typing import BoolArray, Common, FloatArray, IntArray
from exportimpact.core.aggregation import CellIndex, Rows, Sizes, identity
from exportimpact.numerics.influence import Influence, Moments

THIN, NO_ERROR = "EI-I09", "EI-I10"
"""Codes of the reasons why a row has no interval."""
FEW_CLUSTERS = 50
FEW_CLUSTERS_PER_SIDE = 20


def clusters_of(codes: IntArray | None, rows: IntArray) -> int:
    """Return how many clusters some firms are in; each firm is one where there are no codes."""
    return int(rows.size) if codes is None else int(np.unique(codes[rows]).size)


@dataclass(frozen=True, eq=False, repr=False)
class Counts:
    """Firms and clusters on both sides of each cell, each (n_cells,)."""

    supported: IntArray
    comparison: IntArray
    supported_clusters: IntArray
    comparison_clusters: IntArray


@dataclass(frozen=True, eq=False, repr=False)
class Errors:
    """Errors of rows.

    Attributes
    ----------
    std_error, df : (n_rows,)
        NaN where there is none.
    thin : (n_rows,) bool
        Whether the row gives weight to a cohort with fewer than two clusters (firms) on a side.
    covariance : (n_rows, n_rows)
    """

    std_error: FloatArray
    df: FloatArray
    thin: BoolArray
    covariance: FloatArray


@dataclass(frozen=True, eq=False, repr=False)
class CellSet:
    """All cells of one estimation.

    Attributes
    ----------
    index : CellIndex
    estimate, mean : (n_cells,)
        Effect, and mean outcome of supported firms in the period.
    base : (n_cells,) ordinals of base periods
    design_sizes, observed_sizes : Sizes
        Per cell: supported weight of its cohort in the design, and of those observed in the cell.
    counts : Counts
    moments : Moments
    influence : Influence or None
        None in a result read from JSON.
    clustered : bool
        Whether clusters are above the firm.
    no_error : bool
        Whether weights were estimated in a way whose error is not known, so that no row has one.
    common : {"none", "all", "event_time"}
        Which cells' effects the method holds equal.
    """

    index: CellIndex
    estimate: FloatArray
    mean: FloatArray
    base: IntArray
    design_sizes: Sizes
    observed_sizes: Sizes
    counts: Counts
    moments: Moments
    influence: Influence | None
    clustered: bool
    no_error: bool = False
    common: Common = "none"

    def sizes(self, weights: Literal["design", "observed"]) -> Sizes:
        """Return the sizes that weigh the cells."""
        return self.design_sizes if weights == "design" else self.observed_sizes

    @property
    def few_clusters(self) -> bool:
        """Whether errors are computed within (cohort, arm) strata of cluster sums."""
        if not self.clustered:
            return False
        smallest = min(self.counts.supported_clusters.min(), self.counts.comparison_clusters.min())
        total = self.moments.n_members
        return total < FEW_CLUSTERS or bool(smallest < FEW_CLUSTERS_PER_SIDE)

    @property
    def thin(self) -> BoolArray:
        """Which cells have fewer than two firms (clusters) on a side, (n_cells,)."""
        counts = self.counts
        supported = counts.supported_clusters
        if self.common != "none":  # every cohort takes part in every cell
            supported = np.full(supported.size, self._supported_in_all)
        return np.minimum(supported, counts.comparison_clusters) < 2

    @property
    def _supported_in_all(self) -> int:
        """Supported firms (clusters) of all cohorts, each at its best observed cell."""
        size, cohort = self.counts.supported_clusters, self.index.cohort
        return sum(int(size[cohort == g].max()) for g in np.unique(cohort))

    def gradient(self, rows: Rows) -> FloatArray:
        """Return d(row)/d(columns), (n_rows, n_columns)."""
        n_columns = self.moments.total.shape[1]
        gradient = rows.size_gradient(self.estimate, n_columns)
        gradient[:, : len(self.index)] += rows.weights
        return gradient

    def mean_gradient(self, rows: Rows) -> FloatArray:
        """Return d(mean of the row)/d(columns), (n_rows, n_columns)."""
        n, n_columns = len(self.index), self.moments.total.shape[1]
        gradient = rows.size_gradient(self.mean, n_columns)
        gradient[:, n : 2 * n] += rows.weights
        return gradient

    def errors_of_one(
        self,
        influence: Influence,
        entering: BoolArray,
        strata: IntArray,
        clusters: IntArray | None,
    ) -> Errors:
        """Return the errors of one number made of cells, from its own influence.

        Parameters
        ----------
        influence : Influence of one column
        entering : (n_cells,) bool
            Which cells enter.
        strata, clusters : (n_firms,) codes, as those of the design
        """
        one = np.zeros(1, dtype=np.int64)
        counts = {k: v[entering].min(keepdims=True) for k, v in vars(self.counts).items()}
        cells = replace(
            self,
            index=CellIndex(one, one, one),
            counts=Counts(**counts),
            moments=influence.moments(strata, clusters),
        )
        return cells.errors(np.ones((1, 1)), identity(cells.index))

    def errors(self, gradient: FloatArray, rows: Rows) -> Errors:
        """Return the errors of functions of `rows` with this gradient."""
        used = rows.used(gradient.shape[1])
        return self._errors(self.moments, gradient, used, self._thin_rows(rows))

    def errors_beside(self, moments: Moments, row: Rows) -> Errors:
        """Return the errors of other estimates from the same firms as a single row's.

        Parameters
        ----------
        moments : Moments
            Of the estimates' influence functions, each a column.
        row : Rows
        """
        n = moments.total.shape[1]
        inside = self.moments.size(row.used(self.moments.total.shape[1]))
        beside = replace(moments, members=np.repeat(inside, n, axis=1).astype(np.int64))
        thin = np.repeat(self._thin_rows(row), n)
        return self._errors(beside, np.eye(n), np.eye(n, dtype=bool), thin)

    def _thin_rows(self, rows: Rows) -> BoolArray:
        thin: BoolArray = ((rows.weights != 0) & self.thin).any(axis=1)
        return thin

    def _errors(
        self, moments: Moments, gradient: FloatArray, used: BoolArray, thin: BoolArray
    ) -> Errors:
        return errors_of(
            moments,
            gradient,
            used,
            np.ones_like(thin) if self.no_error else thin,
            within=self.few_clusters,
            silent=self.clustered or self.no_error,
        )


def errors_of(
    moments: Moments,
    gradient: FloatArray,
    used: BoolArray,
    thin: BoolArray,
    *,
    within: bool,
    silent: bool,
) -> Errors:
    """Return the errors of functions of the columns of `moments`.

    Parameters
    ----------
    moments : Moments
    gradient : (n_rows, n_columns)
    used : (n_rows, n_columns) bool
        Which columns each row depends on.
    thin : (n_rows,) bool
        Which rows have no interval.
    within : bool
        Whether covariances are computed within (cohort, arm) strata.
    silent : bool
        Whether rows without an interval have no standard error either.
    """
    covariance = moments.within(gradient, used) if within else moments.pooled(gradient)
    std_error = np.sqrt(np.clip(np.diagonal(covariance), 0.0, None))
    if silent:
        std_error = np.where(thin, np.nan, std_error)
    df = np.where(thin, np.nan, moments.satterthwaite(gradient, used))
    return Errors(std_error, df, thin, covariance)
