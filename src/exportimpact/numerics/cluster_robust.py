"""Least squares with errors that are robust to dependence within clusters, few ones too.

Everything is computed from sums over the rows of each cluster, so that nothing grows with the
number of rows once these are made. With weights the working model is that of weighted least
squares: variances are proportional to 1 / w, and rows multiplied by the root of their weight are
independent with equal variances.

References
----------
CR2 and its degrees of freedom: Bell & McCaffrey (2002), Survey Methodology 28, 169-181; Imbens &
Kolesar (2016), doi:10.1162/REST_a_00552; with dummies, and tests of several restrictions:
Pustejovsky & Tipton (2018), doi:10.1080/07350015.2016.1247004. Two ways: Cameron, Gelbach & Miller
(2011), doi:10.1198/jbes.2010.07136.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from exportimpact._typing import FloatArray, IntArray
from exportimpact.numerics.checks import require
from exportimpact.numerics.distributions import f_upper, t_two_sided

Kind: TypeAlias = Literal["CR0", "CR1", "CR1S", "CR2", "CR3"]
KINDS: tuple[Kind, ...] = ("CR0", "CR1", "CR1S", "CR2", "CR3")

_ABSORBED = 1e-10
_CHUNK = 4_000_000


@dataclass(frozen=True, eq=False)
class ClusterTest:
    """A test of one coefficient, or of one combination of coefficients.

    Attributes
    ----------
    estimate, std_error, statistic : float
    df : float
        Satterthwaite degrees of freedom of the variance under the working model.
    p_value : float
    """

    estimate: float
    std_error: float
    statistic: float
    df: float
    p_value: float


@dataclass(frozen=True, eq=False)
class HotellingTest:
    """A test of several restrictions: F with an approximate Hotelling reference.

    Attributes
    ----------
    statistic : float
        (eta - q + 1) / (eta q) times the Wald statistic, with eta + 1 - q and q degrees of freedom.
    scale : float
        That factor times q.
    df_numerator, df_denominator, p_value : float
    """

    statistic: float
    scale: float
    df_numerator: int
    df_denominator: float
    p_value: float


@dataclass(frozen=True, eq=False, repr=False)
class Clustered:
    """A least-squares fit, from sums within clusters.

    Attributes
    ----------
    cross : (n_clusters, k, k)
        Sum of w x x' over the rows of each cluster.
    moment : (n_clusters, k)
        Sum of w x y.
    n_rows : int
    absorbed : int
        Columns that were swept out beforehand, which CR1S counts among the regressors.
    """

    cross: FloatArray
    moment: FloatArray
    n_rows: int
    absorbed: int = 0

    @classmethod
    def of(
        cls, X: FloatArray, y: FloatArray, clusters: IntArray, weights: FloatArray | None = None
    ) -> Clustered:
        """Return the fit of y, (n,), on X, (n, k), with codes of clusters from 0, (n,).

        Raises
        ------
        InputError
            EI-N01 when there are fewer than two clusters, or columns are linearly dependent.
        """
        n, k = X.shape
        n_clusters = int(clusters.max()) + 1 if clusters.size else 0
        w = np.ones(n) if weights is None else weights
        cross = np.zeros((n_clusters, k, k))
        moment = np.zeros((n_clusters, k))
        order = np.argsort(clusters, kind="stable")
        ends = np.searchsorted(clusters[order], np.arange(n_clusters + 1))
        for g in range(n_clusters):
            rows = order[ends[g] : ends[g + 1]]
            weighted = X[rows] * w[rows, None]
            cross[g], moment[g] = weighted.T @ X[rows], weighted.T @ y[rows]
        fit = cls(cross, moment, n)
        fit.bread  # noqa: B018 - columns that are dependent are refused here
        return fit

    @cached_property
    def bread(self) -> FloatArray:
        """Inverse of sum w x x', (k, k)."""
        root = self._root[0]
        bread: FloatArray = root @ root.T
        return bread

    @cached_property
    def coefficients(self) -> FloatArray:
        """Coefficients, (k,)."""
        found: FloatArray = self.bread @ self.moment.sum(axis=0)
        # One step of refinement takes back what the inverse of the normal matrix loses.
        found += self.bread @ self._scores(found).sum(axis=0)
        return found

    @cached_property
    def scores(self) -> FloatArray:
        """Sum of w x residual of each cluster, (n_clusters, k)."""
        return self._scores(self.coefficients)

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return int(self.moment.shape[0])

    def covariance(self, kind: Kind = "CR2") -> FloatArray:
        """Return the covariance of the coefficients, (k, k).

        Parameters
        ----------
        kind : {"CR0", "CR1", "CR1S", "CR2", "CR3"}
            Without a correction; with G / (G - 1); with that times (n - 1) / (n - k), as Stata;
            unbiased under the working model; residuals as if from a fit without the cluster, whose
            (G - 1) / G is the jackknife.
        """
        moves = self._moves(kind)
        covariance: FloatArray = moves.T @ moves * self._factor(kind)
        return covariance

    def test(self, contrast: FloatArray, *, kind: Kind = "CR2", null: float = 0.0) -> ClusterTest:
        """Test that contrast' coefficients equal `null`, by t with Satterthwaite's freedom.

        Parameters
        ----------
        contrast : (k,)
        kind : str
            As in `covariance`.
        null : float
        """
        estimate = float(contrast @ self.coefficients)
        error = float(np.sqrt(contrast @ self.covariance(kind) @ contrast))
        df = self.freedom(contrast, kind)
        statistic = (estimate - null) / error
        p = float(t_two_sided(np.array([statistic]), np.array([df]))[0])
        return ClusterTest(estimate, error, statistic, df, p)

    def freedom(self, contrast: FloatArray, kind: Kind = "CR2") -> float:
        """Return Satterthwaite degrees of freedom of the variance of contrast' coefficients.

        With p_g the linear form of the errors whose square is cluster g's part of the variance,
        (sum p_g'p_g)^2 / sum (p_g'p_h)^2 under the working model.
        """
        own, a = self._forms(contrast[None, :], kind)
        own, a = own[:, 0, 0], a[:, 0]
        half = a @ self._root[0]
        trace = own.sum() - np.sum(half**2)
        # sum_gh (d_gh own_g - a_g'M a_h)^2, without the G x G matrix
        gram = half.T @ half
        square = np.sum(own**2) - 2 * own @ np.sum(half**2, axis=1) + np.sum(gram**2)
        return float(trace**2 / square)

    def hotelling(self, contrasts: FloatArray, kind: Kind = "CR2") -> HotellingTest:
        """Test that contrasts' coefficients, (q, k), are all zero (the HTZ test).

        References
        ----------
        Pustejovsky & Tipton (2018), doi:10.1080/07350015.2016.1247004, section 3.2
        """
        q = contrasts.shape[0]
        own, a = self._forms(contrasts, kind)
        half = a @ self._root[0]
        expected = own.sum(axis=0) - np.einsum("gsk,gtk->st", half, half)
        values, vectors = np.linalg.eigh(expected)
        root = vectors / np.sqrt(values) @ vectors.T
        own = np.einsum("as,gst,bt->gab", root, own, root)
        half = np.einsum("as,gsk->gak", root, half)
        spread = 0.0
        for rows in _chunks(self.n_clusters, self.n_clusters * q * q):
            inner = -np.einsum("gak,hbk->ghab", half[rows], half)
            inner[np.arange(len(inner)), rows] += own[rows]
            diagonal = np.einsum("ghaa->gha", inner)
            spread += float(np.einsum("gha,ghb->", diagonal, diagonal))
            spread += float(np.einsum("ghab,ghba->", inner, inner))
        eta = q * (q + 1) / spread
        theta = contrasts @ self.coefficients
        covariance = contrasts @ self.covariance(kind) @ contrasts.T
        wald = float(theta @ np.linalg.solve(covariance, theta))
        scale, df = (eta - q + 1) / eta, eta - q + 1
        statistic = scale * wald / q
        return HotellingTest(statistic, scale, q, df, f_upper(statistic, q, df))

    @cached_property
    def _root(self) -> tuple[FloatArray, FloatArray]:
        """A with A A' = bread, and its inverse, from columns of like size."""
        require(self.n_clusters > 1, "One cluster has no spread: errors need two or more.")
        total = self.cross.sum(axis=0)
        scale = np.sqrt(np.diagonal(total))
        require(bool((scale > 0).all()), "A column of the regressors is zero throughout.")
        values, vectors = np.linalg.eigh(total / np.outer(scale, scale))
        dependent = values[0] <= 1e-12 * values[-1]
        require(not dependent, "Columns of the regressors are linearly dependent: drop some.")
        half = np.sqrt(values)
        root = vectors / half @ vectors.T / scale[:, None]
        return root, vectors * half @ vectors.T * scale

    def _scores(self, coefficients: FloatArray) -> FloatArray:
        scores: FloatArray = self.moment - np.einsum("gij,j->gi", self.cross, coefficients)
        return scores

    def _factor(self, kind: Kind) -> float:
        g, n, k = self.n_clusters, self.n_rows, int(self.moment.shape[1]) + self.absorbed
        if kind == "CR1S":
            return g / (g - 1) * (n - 1) / (n - k)
        return g / (g - 1) if kind == "CR1" else 1.0

    def _moves(self, kind: Kind) -> FloatArray:
        """Return what each cluster adds to the coefficients, adjusted, (n_clusters, k)."""
        adjusted = np.einsum("gij,gi->gj", self._adjustment(kind), self.scores)
        moves: FloatArray = adjusted @ self.bread
        return moves

    def _forms(self, contrasts: FloatArray, kind: Kind) -> tuple[FloatArray, FloatArray]:
        """Return s_g's_g, (n_clusters, q, q), and X_g's_g, (n_clusters, q, k).

        s_g holds how cluster g's residuals enter its part of the contrast.
        """
        inside = np.einsum("gij,qj->gqi", self._adjustment(kind), contrasts @ self.bread)
        a = np.einsum("gij,gqj->gqi", self.cross, inside)
        return np.einsum("gqi,gri->gqr", inside, a), a

    def _adjustment(self, kind: Kind) -> FloatArray:
        """Return R_g with (adjusted X_g) = X_g R_g, (n_clusters, k, k).

        With Z = X_g A, where bread = A A', (I - ZZ')^-1/2 Z = Z (I - Z'Z)^-1/2: no matrix of the
        size of the cluster. Directions that the cluster alone determines (its dummy) get zero.
        """
        k = self.moment.shape[1]
        if kind not in ("CR2", "CR3"):
            return np.broadcast_to(np.eye(k), self.cross.shape)
        root, inverse = self._root
        power = -0.5 if kind == "CR2" else -1.0
        out = np.empty_like(self.cross)
        for rows in _chunks(self.n_clusters, k * k):
            values, vectors = np.linalg.eigh(root.T @ self.cross[rows] @ root)
            rest = 1 - values
            scaled = np.where(rest > _ABSORBED, np.maximum(rest, _ABSORBED) ** power, 0.0)
            inside = np.einsum("gij,gj,gkj->gik", vectors, scaled, vectors)
            out[rows] = root @ inside @ inverse
        return out


def two_way(
    X: FloatArray,
    y: FloatArray,
    first: IntArray,
    second: IntArray,
    *,
    weights: FloatArray | None = None,
    kind: Literal["CR0", "CR1", "CR1S"] = "CR1S",
) -> FloatArray:
    """Return the covariance of least squares that is robust to clusters in two ways, (k, k).

    The sum of both ways' covariances less that of their intersection, each with its own factor.
    Where that is not positive semi-definite, negative eigenvalues are set to zero.

    Parameters
    ----------
    X : (n, k)
    y : (n,)
    first, second : (n,) codes from 0
    weights : (n,), optional
    kind : {"CR0", "CR1", "CR1S"}
        As in `Clustered.covariance`.

    References
    ----------
    Cameron, Gelbach & Miller (2011), doi:10.1198/jbes.2010.07136, section 2.3
    """
    pairs = np.stack([first, second], axis=1)
    both = np.unique(pairs, axis=0, return_inverse=True)[1].ravel().astype(np.int64)
    ways = [Clustered.of(X, y, codes, weights).covariance(kind) for codes in (first, second, both)]
    total = ways[0] + ways[1] - ways[2]
    values, vectors = np.linalg.eigh(total)
    if values[0] >= 0:
        return total
    kept: FloatArray = vectors * np.maximum(values, 0.0) @ vectors.T
    return kept


def _chunks(n: int, width: int) -> Iterator[IntArray]:
    """Yield ranges of clusters whose arrays of `width` values each are small enough."""
    size = max(1, _CHUNK // max(1, width))
    for start in range(0, n, size):
        yield np.arange(start, min(start + size, n))
