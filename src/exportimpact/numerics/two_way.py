"""Firm and period effects fitted on firms x periods, with missing observations and firm weights.

The model of an observation of firm i in period t is

    Y_it = alpha_i + z_i' theta_t + e_it,    z_i = (dummies of the firm's group, x_i),

so that every group has its own period effects and every covariate a coefficient in each period.
Firm effects are concentrated out exactly: what is left is one small linear system for theta, built
and used at a cost linear in firms. Effects that the observations do not determine (a period without
observations, components of the panel that are not connected) are told by the system's null space.

References
----------
Borusyak, Jaravel & Spiess (2024), doi:10.1093/restud/rdae007: what is imputed, and the weights of
observations in it, here as the adjoint of the same system.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exportimpact._typing import BoolArray, FloatArray, IntArray

_SINGULAR = 1e-10
_ESTIMABLE = 1e-6


@dataclass(frozen=True, eq=False)
class Solved:
    """A generalised inverse of a positive semidefinite matrix.

    Attributes
    ----------
    inverse : (m, m)
    null : (m, r)
        Basis of the directions that the matrix does not determine, in units of the largest `scale`.
    """

    inverse: FloatArray
    null: FloatArray

    def determined(self, combinations: FloatArray) -> BoolArray:
        """Return which linear combinations, (m, c), of a solution do not move along `null`."""
        size = np.abs(combinations).max(axis=0, initial=0.0)
        moved = np.abs(self.null.T @ combinations).max(axis=0, initial=0.0)
        return np.asarray(moved <= _ESTIMABLE * np.maximum(size, 1e-300), dtype=bool)


@dataclass(frozen=True, eq=False)
class Regressors:
    """What is observed, and the regressors of each firm.

    Attributes
    ----------
    share : (n, T)
        1 / (number of observations of the firm) where it is observed, else 0.
    weight : (n,)
        Weight of each firm; 0 without an observation.
    X : (n, k)
        Covariates, standardised over the observed firms.
    groups : tuple of row indices, one per group
        Which firms share period effects.
    """

    share: FloatArray
    weight: FloatArray
    X: FloatArray
    groups: tuple[IntArray | slice, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of groups, covariates and periods; theta is laid out in this order."""
        return len(self.groups), self.X.shape[1], self.share.shape[1]

    @property
    def n_coefficients(self) -> int:
        """Length of theta."""
        g, k, periods = self.shape
        return (g + k) * periods

    def within(self, values: FloatArray) -> FloatArray:
        """Return deviations from the firm's mean over its observations, 0 elsewhere, (n, T)."""
        mean = np.einsum("it,it->i", self.share, values)
        return np.where(self.share > 0, values - mean[:, None], 0.0)

    def normal(self) -> tuple[FloatArray, FloatArray]:
        """Return the normal matrix of theta without firm effects, and its diagonal with them."""
        g, k, periods = self.shape
        A = np.zeros((g + k, periods, g + k, periods))
        scale = np.zeros((g + k, periods))
        with np.errstate(divide="ignore"):
            count = np.where(self.weight > 0, 1.0 / self.share.max(axis=1), 0.0)
        for at, rows in enumerate(self.groups):
            share, X = self.share[rows], self.X[rows]
            mass = (self.weight * count)[rows]
            columns = [at, *range(g, g + k)]
            z = [mass, *(mass * x for x in X.T)]
            for a, own in zip(columns, z, strict=True):
                for b, factor in zip(columns, [None, *X.T], strict=True):
                    if b < a:
                        continue
                    both = own if factor is None else own * factor
                    block = -share.T @ (share * both[:, None])
                    block[np.diag_indices(periods)] += both @ share
                    A[a, :, b] += block
                    if a != b:
                        A[b, :, a] += block.T
                    else:
                        scale[a] += both @ share
        m = self.n_coefficients
        return A.reshape(m, m), scale.reshape(m)

    def scores(self, values: FloatArray) -> FloatArray:
        """Return sum over firms of values_it z_i, (m,), for values (n, T)."""
        by_group = [values[rows].sum(axis=0) for rows in self.groups]
        return np.concatenate([*by_group, *(values.T @ x for x in self.X.T)])

    def predicted(self, theta: FloatArray) -> FloatArray:
        """Return z_i' theta_t, (n, T)."""
        g, k, periods = self.shape
        by_group, slopes = theta[: g * periods].reshape(g, periods), theta[g * periods :]
        out = self.X @ slopes.reshape(k, periods)
        for at, rows in enumerate(self.groups):
            out[rows] += by_group[at]
        return out

    def combined(self, values: FloatArray, H: FloatArray) -> FloatArray:
        """Return sum_t values_it z_i' H_t, (n, c), for values (n, T) and H (m, c)."""
        g, k, periods = self.shape
        parts = H.reshape(g + k, periods, H.shape[1])
        out = np.empty((values.shape[0], H.shape[1]))
        for at, rows in enumerate(self.groups):
            out[rows] = values[rows] @ parts[at]
        for x, part in zip(self.X.T, parts[g:], strict=True):
            out += (values * x[:, None]) @ part
        return out

    def contrast(self, rows: IntArray, t: int, u: FloatArray) -> FloatArray:
        """Return sum over `rows` of u_i z_i at t less its mean over the firm's observations, (m,).

        Against theta it is what period effects add, in the mean, to an outcome of period t beyond
        what they add to the firm's own mean.
        """
        values = np.zeros_like(self.share[rows])
        values -= self.share[rows] * u[:, None]
        values[:, t] += u
        g, _, periods = self.shape
        by_group = np.zeros((g, periods))
        if g == 1:
            by_group[0] = values.sum(axis=0)
        else:
            np.add.at(by_group, self.codes()[rows], values)
        return np.concatenate([by_group.ravel(), *(values.T @ x for x in self.X[rows].T)])

    def codes(self) -> IntArray:
        """Return the group of each firm, (n,); 0 for firms without one."""
        codes = np.zeros(self.weight.size, dtype=np.int64)
        for at, rows in enumerate(self.groups):
            codes[rows] = at
        return codes


@dataclass(frozen=True, eq=False)
class TwoWay:
    """A fit.

    Attributes
    ----------
    regressors : Regressors
    solved : Solved
        Of the normal matrix.
    outcome : (n, T)
        0 where there is none.
    moments : (m,)
        The right-hand side.
    theta : (m,)
    gap : (n, T)
        Outcome less the fitted untreated outcome, in every period where there is an outcome.
    """

    regressors: Regressors
    solved: Solved
    outcome: FloatArray
    moments: FloatArray
    theta: FloatArray
    gap: FloatArray

    def estimable(self, rows: IntArray, t: int) -> BoolArray:
        """Return for which of the firms `rows` the untreated outcome of period t is determined."""
        g, k, periods = self.regressors.shape
        null = self.solved.null
        if null.shape[1] == g + k:  # Only shifts that the firm effects undo.
            return np.ones(rows.size, dtype=bool)
        directions = null.reshape(g + k, periods, -1)
        share, moved = self.regressors.share[rows], np.zeros(rows.size, dtype=bool)
        own = self.regressors.codes()[rows]
        for direction in np.moveaxis(directions, 2, 0):
            path = direction[own] + self.regressors.X[rows] @ direction[g:]
            change = path[:, t] - np.einsum("it,it->i", share, path)
            moved |= np.abs(change) > _ESTIMABLE
        return ~moved

    def influence(self, contrasts: FloatArray) -> FloatArray:
        """Return the influence of -contrasts' theta, (n, c), for contrasts (m, c).

        Estimate less truth is about its sum over firms.
        """
        residual = np.where(self.regressors.share > 0, self.gap, 0.0)
        scores = residual * self.regressors.weight[:, None]
        return self.regressors.combined(scores, -self.solved.inverse @ contrasts)


@dataclass(frozen=True, eq=False)
class Dummies:
    """Coefficients of dummies that are added to a fit.

    Attributes
    ----------
    coefficients : (c,)
        NaN where not determined.
    influence : (n, c)
        Estimate less truth is about its sum over firms.
    """

    coefficients: FloatArray
    influence: FloatArray


def two_way(
    outcome: FloatArray,
    observed: BoolArray,
    weight: FloatArray,
    X: FloatArray | None = None,
    group: IntArray | None = None,
) -> TwoWay:
    """Fit firm effects and period effects by weighted least squares.

    Parameters
    ----------
    outcome : (n, T)
        NaN where there is none.
    observed : (n, T) bool
        The observations that are fitted.
    weight : (n,)
    X : (n, k), optional
        Covariates of firms; each has a coefficient in each period.
    group : (n,) codes from 0, optional
        Firms with the same code share period effects.

    Returns
    -------
    TwoWay
    """
    n = outcome.shape[0]
    inside = observed.any(axis=1)
    count = np.maximum(observed.sum(axis=1), 1)
    regressors = Regressors(
        share=observed / count[:, None],
        weight=np.where(inside, weight, 0.0),
        X=_standardised(np.zeros((n, 0)) if X is None else X, np.where(inside, weight, 0.0)),
        groups=_rows_by(group),
    )
    y = np.where(np.isfinite(outcome), outcome, 0.0)
    solved = solve(*regressors.normal())
    moments = regressors.scores(regressors.within(y) * regressors.weight[:, None])
    theta = solved.inverse @ moments
    rest = y - regressors.predicted(theta)
    gap = rest - np.einsum("it,it->i", regressors.share, rest)[:, None]
    return TwoWay(regressors, solved, y, moments, theta, gap)


def with_dummies(
    fit: TwoWay, cells: Sequence[tuple[int, IntArray, int]], columns: FloatArray
) -> Dummies:
    """Return the coefficients of dummies of observations, added to the model of `fit`.

    Parameters
    ----------
    fit : TwoWay
    cells : sequence of (key, rows, t)
        Observations of the firms `rows` in period t, all fitted; cells of different keys have no
        firm in common.
    columns : (n_cells, c)
        Which cells make up each dummy, 0 or 1.
    """
    regressors, w = fit.regressors, fit.regressors.weight
    B = np.stack([regressors.contrast(rows, t, w[rows]) for _, rows, t in cells], axis=1) @ columns
    inner = regressors.within(fit.outcome)
    moments = np.array([w[rows] @ inner[rows, t] for _, rows, t in cells])
    D = columns.T @ _overlap(regressors, cells) @ columns
    solved = solve(D - B.T @ fit.solved.inverse @ B, np.diagonal(D))
    delta = solved.inverse @ (columns.T @ moments - B.T @ fit.theta)
    theta = fit.theta - fit.solved.inverse @ (B @ delta)
    rest = fit.outcome - regressors.predicted(theta)
    for (_, rows, t), value in zip(cells, columns @ delta, strict=True):
        rest[rows, t] -= value
    scores = regressors.within(rest) * w[:, None]
    influence = regressors.combined(scores, -fit.solved.inverse @ B @ solved.inverse)
    for (_, rows, t), loading in zip(cells, columns @ solved.inverse, strict=True):
        influence[rows] += scores[rows, t][:, None] * loading
    determined = solved.determined(np.eye(delta.size))
    return Dummies(np.where(determined, delta, np.nan), influence)


def solve(A: FloatArray, scale: FloatArray) -> Solved:
    """Return a generalised inverse of A, (m, m), whose eigenvalues in units of `scale` are <= 1.

    Parameters
    ----------
    A : (m, m) positive semidefinite
    scale : (m,)
        A diagonal that A would have if nothing was concentrated out of it.
    """
    root = np.sqrt(np.where(scale > 0, scale, 1.0))
    values, vectors = np.linalg.eigh(A / np.outer(root, root))
    kept = values > _SINGULAR
    half = vectors[:, kept] / root[:, None] / np.sqrt(values[kept])
    return Solved(half @ half.T, vectors[:, ~kept] / root[:, None] * root.max(initial=0.0))


def _overlap(regressors: Regressors, cells: Sequence[tuple[int, IntArray, int]]) -> FloatArray:
    """Return the cross-products of the cells' dummies within firms, (n_cells, n_cells)."""
    out = np.zeros((len(cells), len(cells)))
    for a, (key, rows, _) in enumerate(cells):
        means = regressors.weight[rows] @ regressors.share[rows]
        for b, (other, _, t) in enumerate(cells):
            if other == key:
                out[a, b] = -means[t]
        out[a, a] += regressors.weight[rows].sum()
    return out


def _standardised(X: FloatArray, weight: FloatArray) -> FloatArray:
    inside = weight > 0
    if not inside.any() or not X.shape[1]:
        return np.zeros(X.shape)
    mean = np.average(X[inside], axis=0, weights=weight[inside])
    spread = np.sqrt(np.average((X[inside] - mean) ** 2, axis=0, weights=weight[inside]))
    scaled = (X - mean) / np.where(spread > 0, spread, 1.0)
    return np.where(np.isfinite(scaled), scaled, 0.0)


def _rows_by(group: IntArray | None) -> tuple[IntArray | slice, ...]:
    if group is None:
        return (slice(None),)
    order = np.argsort(group, kind="stable")
    cuts = np.searchsorted(group[order], np.arange(1, int(group.max()) + 1))
    return tuple(np.split(order, cuts))
