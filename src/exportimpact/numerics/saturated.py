"""A model of outcomes without support, saturated by group and period, on arrays firms x periods.

The mean without support of firm i of group g in period t, with z_i = (1, x_i), is

    m_it = f(z_i'(alpha_g + lambda_t))        effects of groups
    m_it = f(a_i + z_i'lambda_t)              effects of firms, concentrated out

with f the identity or, for Poisson, the exponential. It is fitted to the observations that support
cannot have touched. Every other group x period cell has coefficients of its own on z in the
saturated regression, so that it is fitted without residual mean and drops out of the fit: its
average effect is the mean of Y - m over its supported firms. Normal equations are accumulated over
chunks of firms; no matrix of dummies is built.

References
----------
Wooldridge (2021), SSRN 3906345, published as doi:10.1007/s00181-025-02807-z; Wooldridge (2023),
doi:10.1093/ectj/utad016.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from exportimpact._typing import BoolArray, FloatArray, IntArray

_CHUNK = 65_536
_DEPENDENT = 1e-11
_OUTSIDE = 1e-6


@dataclass(frozen=True, eq=False)
class Part:
    """Some firms of one group.

    Attributes
    ----------
    group : int
    rows : (m,) row indices
    y, used : (m, n_periods)
        Outcome, 0 where not used; 1 where the observation is used, else 0.
    weight : (m, 1) or (m, n_periods)
    z : (m, k)
    """

    group: int
    rows: IntArray
    y: FloatArray
    used: FloatArray
    weight: FloatArray
    z: FloatArray

    @cached_property
    def squares(self) -> FloatArray:
        """Products z z', (m, k k)."""
        k = self.z.shape[1]
        return (self.z[:, :, None] * self.z[:, None, :]).reshape(-1, k * k)


@dataclass(frozen=True, eq=False)
class Reference:
    """Observations that a model of outcomes without support is fitted to.

    Attributes
    ----------
    y : (n, n_periods)
    used : (n, n_periods) bool
    weight : (n, 1) or (n, n_periods)
    group : (n,) codes from 0
    z : (n, k)
        A constant and covariates, of order one.
    firm_effects : bool
    """

    y: FloatArray
    used: BoolArray
    weight: FloatArray
    group: IntArray
    z: FloatArray
    firm_effects: bool

    @classmethod
    def of(
        cls,
        y: FloatArray,
        used: BoolArray,
        weight: FloatArray,
        group: IntArray,
        covariates: FloatArray,
        *,
        firm_effects: bool,
    ) -> Reference:
        """Return the reference with standardised covariates and weights of mean 1.

        Parameters
        ----------
        y : (n, n_periods)
            Anything where not used.
        used : (n, n_periods) bool
        weight : (n,)
            Firms that are not used may have none.
        group : (n,) codes from 0
        covariates : (n, k - 1)
        firm_effects : bool
        """
        inside = used.any(axis=1) & (weight > 0)
        mean = float(weight[inside].mean()) if inside.any() else 1.0
        w = np.where(np.isfinite(weight), weight, 0.0) / mean
        x = np.where(np.isfinite(covariates), covariates, 0.0)
        z = np.ones((y.shape[0], 1 + x.shape[1]))
        if x.shape[1] and inside.any():
            centre, spread = x[inside].mean(axis=0), x[inside].std(axis=0)
            z[:, 1:] = (x - centre) / np.where(spread > 0, spread, 1.0)
        used = used & inside[:, None]
        return cls(np.where(used, y, 0.0), used, w[:, None], group, z, firm_effects)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Groups, periods, and columns of z."""
        return self._n_groups, self.y.shape[1], self.z.shape[1]

    @property
    def n_parameters(self) -> int:
        """Coefficients of groups (unless firms have effects), then of periods."""
        groups, periods, k = self.shape
        return (periods + (0 if self.firm_effects else groups)) * k

    def parts(self) -> Iterator[Part]:
        """Yield the firms that have an observation, group by group."""
        for group, rows in self._rows:
            yield self.part(group, rows)

    def part(self, group: int, rows: IntArray) -> Part:
        """Return these firms of a group."""
        used = self.used[rows].astype(float)
        return Part(group, rows, self.y[rows], used, self.weight[rows], self.z[rows])

    def local(self, theta: FloatArray, group: int) -> FloatArray:
        """Return the coefficients of a group by period, (n_periods, k, ...).

        Parameters
        ----------
        theta : (n_parameters, ...)
        group : int
        """
        _, periods, k = self.shape
        rest = theta.shape[1:]
        of_periods: FloatArray = theta[-periods * k :].reshape(periods, k, *rest)
        if self.firm_effects:
            return of_periods
        return of_periods + theta[group * k : (group + 1) * k].reshape(1, k, *rest)

    def spread(self, local: FloatArray, group: int) -> FloatArray:
        """Return the gradient in all parameters, (n_parameters,), from a group's (n_periods, k)."""
        gradient = np.zeros(self.n_parameters)
        gradient[-local.size :] = local.ravel()
        if not self.firm_effects:
            k = self.z.shape[1]
            gradient[group * k : (group + 1) * k] = local.sum(axis=0)
        return gradient

    def normal(self, terms: Callable[[Part], tuple[FloatArray, FloatArray]]) -> Normal:
        """Return score and information, summed over firms.

        Parameters
        ----------
        terms : callable
            From a part to residuals and variances, (m, n_periods) each, 0 where not used.
        """
        n, (_, periods, k) = self.n_parameters, self.shape
        score, information = np.zeros(n), np.zeros((n, n))
        first, each = n - periods * k, np.arange(periods)
        by_period = information[first:, first:].reshape(periods, k, periods, k)
        for part in self.parts():
            residual, variance = terms(part)
            score += self.spread((residual * part.weight).T @ part.z, part.group)
            own = ((variance * part.weight).T @ part.squares).reshape(periods, k, k)
            by_period[each, :, each, :] += own
            if self.firm_effects:
                information -= _between(part, variance)
            else:
                place = slice(part.group * k, (part.group + 1) * k)
                information[place, place] += own.sum(axis=0)
                cross = own.transpose(1, 0, 2).reshape(k, -1)
                information[place, first:] += cross
                information[first:, place] += cross.T
        return Normal(score, information)

    def collapsed(self) -> Reference:
        """Return means by group and period, which say as much without covariates."""
        groups, periods, _ = self.shape
        total, weight = np.zeros((groups, periods)), np.zeros((groups, periods))
        for part in self.parts():
            total[part.group] += (part.y * part.weight).sum(axis=0)
            weight[part.group] += (part.used * part.weight).sum(axis=0)
        used = weight > 0
        mean = np.divide(total, weight, out=np.zeros_like(total), where=used)
        codes = np.arange(groups, dtype=np.int64)
        return Reference(mean, used, weight, codes, np.ones((groups, 1)), firm_effects=False)

    @cached_property
    def _n_groups(self) -> int:
        return int(self.group.max()) + 1

    @cached_property
    def _rows(self) -> list[tuple[int, IntArray]]:
        inside = np.flatnonzero(self.used.any(axis=1))
        found = []
        for group in range(self._n_groups):
            rows = inside[self.group[inside] == group]
            found += [(group, rows[i : i + _CHUNK]) for i in range(0, rows.size, _CHUNK)]
        return found


@dataclass(frozen=True, eq=False)
class Normal:
    """Score, (p,), and information, (p, p), of a fit."""

    score: FloatArray
    information: FloatArray


@dataclass(frozen=True, eq=False)
class Space:
    """Which coefficients the observations determine.

    Attributes
    ----------
    basis : (p, r)
        Directions that are determined.
    null : (p, p - r)
        Directions that are not; a gradient c is determined where scaled c is orthogonal to them.
    scale : (p,)
    """

    basis: FloatArray
    null: FloatArray
    scale: FloatArray

    @classmethod
    def of(cls, information: FloatArray) -> Space:
        """Return the space from an information matrix that weighs observations alike."""
        diagonal = np.diagonal(information)
        scale = np.where(diagonal > 0, 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0)), 1.0)
        values, vectors = np.linalg.eigh(information * np.outer(scale, scale))
        known = values > _DEPENDENT * max(float(values[-1]), 1e-300) if values.size else values > 0
        return cls(scale[:, None] * vectors[:, known], scale[:, None] * vectors[:, ~known], scale)

    def inverse(self, information: FloatArray) -> FloatArray:
        """Return the inverse of an information matrix on this space, (p, p)."""
        inner = self.basis.T @ information @ self.basis
        root = np.sqrt(np.diagonal(inner))
        inverse: FloatArray = np.linalg.inv(inner / np.outer(root, root)) / np.outer(root, root)
        return self.basis @ inverse @ self.basis.T


@dataclass(frozen=True, eq=False)
class Effect:
    """The average effect on the supported firms of a cell.

    Attributes
    ----------
    estimate : float
    direct : (n_rows,)
        Influence of the cell's own firms at known coefficients, to be summed.
    gradient : (p,)
        Of the estimate in the coefficients.
    unknown : int
        Supported firms whose outcome without support the reference does not determine.
    """

    estimate: float
    direct: FloatArray
    gradient: FloatArray
    unknown: int


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted model of outcomes without support.

    Attributes
    ----------
    reference : Reference
    poisson : bool
    theta : (p,)
    bread : (p, p)
        Inverse of the information.
    space : Space
    """

    reference: Reference
    poisson: bool
    theta: FloatArray
    bread: FloatArray
    space: Space

    def effect(
        self, group: int, period: int, rows: IntArray, weight: FloatArray, outcome: FloatArray
    ) -> Effect:
        """Return the average effect on the firms `rows` of a group in a period.

        Parameters
        ----------
        group, period : int
        rows : (n_rows,)
            With firm effects they need an observation in the reference.
        weight, outcome : (n_rows,)
        """
        reference, share = self.reference, weight / weight.sum()
        local = reference.local(self.theta, group)
        z = reference.z[rows]
        unsupported, pull = self._unsupported(group, period, rows, local)
        gap = outcome - unsupported
        estimate = float(share @ gap)
        reach = np.zeros(local.shape)
        slope = share * (unsupported if self.poisson else 1.0)
        reach[period] -= slope @ z
        if pull is not None:
            reach += (pull * slope[:, None]).T @ z
        gradient = reference.spread(reach, group)
        unknown = self._unknown(group, period, z, pull)
        if self.poisson:
            unknown = unknown & (unsupported > 0)
        return Effect(estimate, share * (gap - estimate), gradient, int(unknown.sum()))

    def influence(self, gradients: FloatArray) -> FloatArray:
        """Return what the fit adds to the influence of effects, (n, n_effects), to be summed.

        Parameters
        ----------
        gradients : (p, n_effects)
        """
        reference = self.reference
        _, periods, k = reference.shape
        pulled = self.bread @ gradients
        out = np.zeros((reference.y.shape[0], gradients.shape[1]), order="F")
        for part in reference.parts():
            local = reference.local(self.theta, part.group)
            residual, _ = terms(part, local, poisson=self.poisson, firm=reference.firm_effects)
            scores = ((residual * part.weight)[:, :, None] * part.z[:, None, :]).reshape(
                -1, periods * k
            )
            out[part.rows] = scores @ reference.local(pulled, part.group).reshape(periods * k, -1)
        return out

    def _unsupported(
        self, group: int, period: int, rows: IntArray, local: FloatArray
    ) -> tuple[FloatArray, FloatArray | None]:
        """Return outcomes without support, and with firm effects how these rest on each period."""
        reference = self.reference
        link = reference.z[rows] @ local[period]
        if not reference.firm_effects:
            return (np.exp(link) if self.poisson else link), None
        part = reference.part(group, rows)
        fitted = part.z @ local.T
        if not self.poisson:
            pull = part.used / part.used.sum(axis=1, keepdims=True)
            return link + (pull * (part.y - fitted)).sum(axis=1), pull
        mean = np.exp(fitted) * part.used
        total = mean.sum(axis=1)
        return part.y.sum(axis=1) / total * np.exp(link), mean / total[:, None]

    def _unknown(
        self, group: int, period: int, z: FloatArray, pull: FloatArray | None
    ) -> BoolArray:
        """Return which firms' outcomes without support are not determined, (n_rows,)."""
        reference, space = self.reference, self.space
        free = reference.local(space.null, group)
        projected = z @ free[period]
        if pull is not None:
            projected -= np.einsum("is,ik,skm->im", pull, z, free, optimize=True)
        # The length of the gradient on the scale on which directions have length one.
        _, periods, k = reference.shape
        own = space.scale[-periods * k :].reshape(periods, k)[period]
        if not reference.firm_effects:
            own = np.hypot(own, space.scale[group * k : (group + 1) * k])
        length = np.sqrt((z**2) @ own**2)
        return np.asarray((projected**2).sum(axis=1) > (_OUTSIDE * length) ** 2, dtype=bool)


def terms(
    part: Part, local: FloatArray, *, poisson: bool, firm: bool
) -> tuple[FloatArray, FloatArray]:
    """Return residuals and variances of a part at a group's coefficients, (m, n_periods) each."""
    link = part.z @ local.T
    if poisson:
        with np.errstate(over="ignore"):
            mean = np.exp(np.where(part.used > 0, link, -np.inf))
        if firm:
            mean *= (part.y.sum(axis=1) / mean.sum(axis=1))[:, None]
        return part.y - mean, mean
    if firm:
        count = part.used.sum(axis=1, keepdims=True)
        link = link + ((part.y - link) * part.used).sum(axis=1, keepdims=True) / count
    return (part.y - link) * part.used, part.used


def fit_linear(reference: Reference) -> Fit:
    """Fit by least squares; a second step takes out the rounding of the first.

    Examples
    --------
    >>> y = np.array([[1.0, 2.0, 9.0], [3.0, 4.0, 5.0]])
    >>> used = np.array([[True, True, False], [True, True, True]])
    >>> group, none = np.array([1, 0]), np.zeros((2, 0))
    >>> reference = Reference.of(y, used, np.ones(2), group, none, firm_effects=False)
    >>> cell = fit_linear(reference).effect(1, 2, np.array([0]), np.ones(1), y[:1, 2])
    >>> round(cell.estimate, 10), cell.unknown
    (6.0, 0)
    """
    firm = reference.firm_effects
    theta = np.zeros(reference.n_parameters)
    normal = _at(reference, theta, firm=firm)
    space = Space.of(normal.information)
    bread = space.inverse(normal.information)
    theta = bread @ normal.score
    theta = theta + bread @ _at(reference, theta, firm=firm).score
    return Fit(reference, False, theta, bread, space)


def _at(reference: Reference, theta: FloatArray, *, firm: bool) -> Normal:
    return reference.normal(
        lambda part: terms(part, reference.local(theta, part.group), poisson=False, firm=firm)
    )


def _between(part: Part, variance: FloatArray) -> FloatArray:
    """Return what the effects of firms take out of the information, (n_periods k, n_periods k)."""
    total = variance.sum(axis=1)
    root = np.sqrt(part.weight[:, 0] / np.where(total > 0, total, 1.0))
    spread = ((variance * root[:, None])[:, :, None] * part.z[:, None, :]).reshape(total.size, -1)
    between: FloatArray = spread.T @ spread
    return between
