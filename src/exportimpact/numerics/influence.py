"""Influence functions in blocks, and the moments from which every error is computed.

An influence function psi of an estimate satisfies: estimate - truth is about the mean of psi over
firms. Blocks keep psi only for the firms that take part. All errors of linear combinations of cells
need nothing but per-stratum sums and cross-products of psi (`Moments`), which do not grow with the
number of firms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy

from exportimpact._typing import BoolArray, FloatArray, IntArray

Places: TypeAlias = npt.NDArray[np.signedinteger[Any]]
_CHUNK = 16_384


@dataclass(frozen=True, eq=False, repr=False)
class Block:
    """Influence of the firms `rows` on the columns `cols`.

    Attributes
    ----------
    rows : (n_rows,) firm indices, increasing
    cols : (n_cols,) column indices
    values : (n_rows, n_cols)
    present : (n_rows, n_cols) bool, optional
        Whether the firm takes part in the column, for degrees of freedom; all of them when None.
    """

    rows: IntArray
    cols: IntArray
    values: FloatArray
    present: BoolArray | None = None

    @property
    def taking_part(self) -> BoolArray:
        """`present`, in full."""
        whole = np.ones(self.values.shape, dtype=bool)
        return whole if self.present is None else self.present


@dataclass(frozen=True, eq=False, repr=False)
class Influence:
    """Influence functions of estimates over firms; zero outside the blocks."""

    n_firms: int
    n_columns: int
    blocks: tuple[Block, ...]

    def combine(self, weights: FloatArray) -> Influence:
        """Return the influence of linear combinations of the columns.

        Parameters
        ----------
        weights : (n_columns, n_out)
        """
        out = np.zeros((self.n_firms, weights.shape[1]))
        for block in self.blocks:
            out[block.rows] += block.values @ weights[block.cols]
        taking_part = np.flatnonzero(out.any(axis=1)).astype(np.int64)
        columns = np.arange(weights.shape[1], dtype=np.int64)
        return Influence(
            self.n_firms, weights.shape[1], (Block(taking_part, columns, out[taking_part]),)
        )

    def cluster_sums(self, ids: IntArray) -> FloatArray:
        """Return sums of psi within clusters, (n_clusters, n_columns); `ids` are codes from 0."""
        sums = np.zeros((_n_codes(ids), self.n_columns))
        for block in self.blocks:
            sums[:, block.cols] += _within_clusters(ids, block.rows) @ block.values
        return sums

    def dense(self, columns: IntArray | None = None) -> FloatArray:
        """Return psi in full, (n_firms, n_columns)."""
        wanted = np.arange(self.n_columns) if columns is None else columns
        place = np.full(self.n_columns, -1)
        place[wanted] = np.arange(len(wanted))
        out = np.zeros((self.n_firms, len(wanted)))
        for block in self.blocks:
            at = place[block.cols]
            keep = at >= 0
            out[np.ix_(block.rows, at[keep])] += block.values[:, keep]
        return out

    def moments(self, strata: IntArray, clusters: IntArray | None = None) -> Moments:
        """Return per-stratum moments of psi, summed within clusters first when these are given.

        Parameters
        ----------
        strata : (n_firms,) codes from 0
            A cluster that spans several strata is counted in one further stratum of its own kind.
        clusters : (n_firms,) codes from 0, optional
        """
        if clusters is None:
            return self._firm_moments(strata)
        sums = self.cluster_sums(clusters)
        present = np.zeros(sums.shape)
        inside = np.zeros(self.n_firms, dtype=bool)
        for block in self.blocks:
            counts = _within_clusters(clusters, block.rows) @ block.taking_part.astype(float)
            present[:, block.cols] += counts
            inside[block.rows] = True
        stratum = _stratum_of_clusters(strata[inside], clusters[inside], sums.shape[0])
        return _moments_of(sums, present > 0, stratum, self.n_firms)

    def _firm_moments(self, strata: IntArray) -> Moments:
        m, n_strata = self.n_columns, int(strata.max()) + 1
        members = np.zeros((n_strata, m), dtype=np.int64)
        total, cross = np.zeros((n_strata, m)), np.zeros((n_strata, m, m))
        place = [np.full(self.n_firms, -1, dtype=np.int32) for _ in self.blocks]
        for at, block in zip(place, self.blocks, strict=True):
            at[block.rows] = np.arange(block.rows.size)
        for s in range(n_strata):
            inside = np.flatnonzero(strata == s)
            for start in range(0, inside.size, _CHUNK):
                touched, dense, present = self._slice(inside[start : start + _CHUNK], place)
                members[s, touched] += present
                total[s, touched] += dense.sum(axis=0)
                cross[s][np.ix_(touched, touched)] += dense.T @ dense
        return Moments(self.n_firms, members, total, cross)

    def _slice(
        self, firms: IntArray, place: Sequence[Places]
    ) -> tuple[IntArray, FloatArray, IntArray]:
        """Return the columns that `firms` touch, their psi on them, and how many take part."""
        parts: list[tuple[Places, Places, Block]] = []
        for at, block in zip(place, self.blocks, strict=True):
            row = at[firms]
            inside = np.flatnonzero(row >= 0)
            if inside.size:
                parts.append((inside, row[inside], block))
        touched = np.unique(np.concatenate([b.cols for _, _, b in parts] or [firms[:0]]))
        dense = np.zeros((firms.size, touched.size), order="F")
        present = np.zeros(touched.size, dtype=np.int64)
        for inside, row, block in parts:
            cols = np.searchsorted(touched, block.cols)
            for column, values in zip(cols, block.values.T, strict=True):
                dense[inside, column] += values[row]
            present[cols] += row.size if block.present is None else block.present[row].sum(axis=0)
        return touched, dense, present


def _freedom(members: FloatArray, n_single: int) -> int:
    """Return a stratum's degrees of freedom from how many of it take part in each row.

    The fewest of any row count; strata with one member share those of the single members.
    """
    taking_part = members[members > 0]
    if not taking_part.size:
        return 0
    fewest = int(taking_part.min())
    return fewest - 1 if fewest > 1 else max(n_single - 1, 1)


def _n_codes(ids: IntArray) -> int:
    return int(ids.max()) + 1 if ids.size else 0


def _within_clusters(ids: IntArray, rows: IntArray) -> Any:
    """Return the (n_clusters, n_rows) matrix that sums rows within clusters."""
    ones, place = np.ones(rows.size), np.arange(rows.size)
    return scipy.sparse.csr_array((ones, (ids[rows], place)), shape=(_n_codes(ids), rows.size))


def _stratum_of_clusters(strata: IntArray, clusters: IntArray, n_clusters: int) -> IntArray:
    low = np.full(n_clusters, np.iinfo(np.int64).max)
    high = np.full(n_clusters, -1)
    np.minimum.at(low, clusters, strata)
    np.maximum.at(high, clusters, strata)
    mixed = _n_codes(strata)
    return np.where(low == high, low, np.where(high < 0, 0, mixed)).astype(np.int64)


def _moments_of(sums: FloatArray, present: BoolArray, stratum: IntArray, n_firms: int) -> Moments:
    n_strata, m = _n_codes(stratum), sums.shape[1]
    members = np.zeros((n_strata, m), dtype=np.int64)
    total, cross = np.zeros((n_strata, m)), np.zeros((n_strata, m, m))
    for s in range(n_strata):
        inside = sums[stratum == s]
        members[s] = present[stratum == s].sum(axis=0)
        total[s], cross[s] = inside.sum(axis=0), inside.T @ inside
    return Moments(n_firms, members, total, cross)


@dataclass(frozen=True, eq=False, repr=False)
class Moments:
    """Sums and cross-products of (cluster sums of) psi within strata.

    Attributes
    ----------
    n_firms : int
    members : (n_strata, m)
        Firms, or clusters, of each stratum that take part in each column.
    total : (n_strata, m)
    cross : (n_strata, m, m)
    """

    n_firms: int
    members: IntArray
    total: FloatArray
    cross: FloatArray

    @property
    def n_members(self) -> int:
        """Firms, or clusters, that take part in some column."""
        return int(self.members.max(axis=1).sum())

    def size(self, used: BoolArray) -> FloatArray:
        """Return how many members of each stratum take part in each row, (n_strata, n_out).

        Parameters
        ----------
        used : (n_out, m) bool
            Which columns each row depends on.
        """
        return np.stack(
            [np.where(row, self.members, 0).max(axis=1) for row in used], axis=1
        ).astype(float)

    def pooled(self, gradient: FloatArray) -> FloatArray:
        """Return sum psi psi' / n^2 of the rows of `gradient`, (n_out, n_out)."""
        covariance: FloatArray = gradient @ self.cross.sum(axis=0) @ gradient.T / self.n_firms**2
        return covariance

    def within(self, gradient: FloatArray, used: BoolArray) -> FloatArray:
        """Return the sum over strata of the within-stratum covariance with k/(k-1).

        Strata with one member in a row have no spread of their own: for that row they form one
        stratum of single members, whose mean is zero.
        """
        spreads = self._spreads(gradient, self.size(used))
        covariance: FloatArray = np.sum(spreads, axis=0) / self.n_firms**2
        return covariance

    def satterthwaite(self, gradient: FloatArray, used: BoolArray) -> FloatArray:
        """Return Welch-Satterthwaite degrees of freedom of each row of `gradient`, (n_out,)."""
        k = self.size(used)
        centre, factor = self._corrections(k)
        mean = self.total @ gradient.T * centre
        square = np.einsum("oi,sij,oj->so", gradient, self.cross, gradient, optimize=True)
        spread = np.clip((square - mean**2) * factor, 0.0, None)
        # Rounding leaves spread of order 1e-16 where a stratum has no part in the row.
        spread[spread < 1e-12 * spread.sum(axis=0, keepdims=True)] = 0.0
        single = np.where(k == 1, spread, 0.0).sum(axis=0)
        freedom = np.maximum((k == 1).sum(axis=0) - 1, 1)
        several = np.where(k >= 2, spread**2 / np.maximum(k - 1, 1), 0.0).sum(axis=0)
        denominator = several + single**2 / freedom
        with np.errstate(divide="ignore", invalid="ignore"):
            df = spread.sum(axis=0) ** 2 / denominator
        return np.where(denominator > 0, df, np.nan)

    def joint_freedom(self, gradient: FloatArray, used: BoolArray) -> float:
        """Return the degrees of freedom of the joint covariance of the rows of `gradient`.

        With V = sum_s V_s over strata of nu_s + 1 members and p rows,
        nu = (p + p^2) / sum_s [tr((V_s V^-1)^2) + tr(V_s V^-1)^2] / nu_s: Welch and Satterthwaite's
        for one row, and Hotelling's n - 1 for one stratum. V must not be singular.

        References
        ----------
        Nel & van der Merwe (1986), doi:10.1080/03610928608829342, in the invariant form of
        Krishnamoorthy & Yu (2004), doi:10.1016/j.spl.2003.10.012
        """
        k = self.size(used)
        spreads = self._spreads(gradient, k)
        scale = np.sqrt(np.sum(spreads, axis=0).diagonal())
        scaled = [s / np.outer(scale, scale) for s in spreads]
        inverse = np.linalg.inv(np.sum(scaled, axis=0))
        n_single, lost, p = int((k == 1).any(axis=1).sum()), 0.0, scale.size
        for s, row in zip(scaled, k, strict=True):
            share, freedom = s @ inverse, _freedom(row, n_single)
            if freedom:
                lost += float(np.trace(share @ share) + np.trace(share) ** 2) / freedom
        return float((p + p**2) / lost)

    def _spreads(self, gradient: FloatArray, k: FloatArray) -> list[FloatArray]:
        """Return each stratum's sum of centred squares, with k/(k-1), of the rows."""
        centre, factor = self._corrections(k)
        spreads = []
        for s, (total, cross) in enumerate(zip(self.total, self.cross, strict=True)):
            mean = gradient @ total * centre[s]
            spread = gradient @ cross @ gradient.T - np.outer(mean, mean)
            spreads.append(spread * np.sqrt(np.outer(factor[s], factor[s])))
        return spreads

    def _corrections(self, k: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what totals are scaled by to centre, and the factor of the spread, like `k`."""
        singles = (k == 1).sum(axis=0)
        lone = singles / np.maximum(singles - 1, 1)
        centre = np.where(k >= 2, 1 / np.sqrt(np.maximum(k, 1)), 0.0)
        factor = np.where(k >= 2, k / np.maximum(k - 1, 1), np.where(k == 1, lone, 0.0))
        return centre, factor
