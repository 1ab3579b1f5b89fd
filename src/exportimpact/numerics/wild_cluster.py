"""The wild cluster bootstrap: signs of whole clusters' residuals are drawn anew.

A draw changes an estimate by a linear form in the clusters' weights v, and re-estimates the model:
with a the clusters' parts of the estimate under the null hypothesis, the numerator is a'v and the
parts of the variance are a_g v_g - (L R'v)_g, where R'v is how far the rest of the model moves and
L what that takes away from each cluster. Parts under a hypothesis are linear in the hypothesised
value, so that the p-value of any value needs five numbers of every draw, and a cost that does not
grow with the number of rows.

References
----------
Cameron, Gelbach & Miller (2008), doi:10.1162/rest.90.3.414; Roodman, MacKinnon, Nielsen & Webb
(2019), doi:10.1177/1536867X19830877. Six-point weights: Webb (2023), doi:10.1111/caje.12661
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal, TypeAlias, get_args

import numpy as np

from exportimpact._typing import FloatArray
from exportimpact.numerics.checks import require
from exportimpact.numerics.cluster_robust import Clustered
from exportimpact.numerics.inversion import invert

Weights: TypeAlias = Literal["auto", "rademacher", "webb"]
WEBB_BELOW = 12
"""Number of clusters below which random weights are Webb's."""

_TIE = 1e-9
_BATCH = 8_000_000
_WEBB: FloatArray = np.sqrt(np.array([0.5, 1.0, 1.5]))


@dataclass(frozen=True, eq=False, repr=False)
class Parts:
    """The clusters' parts of an estimate, as functions of the value r under the null hypothesis.

    Attributes
    ----------
    estimate : float
    value, slope : (n_clusters,)
        a = value + r slope, with sum(a) = estimate - r.
    loss : (n_clusters, m)
    moved, moved_slope : (n_clusters, m)
        R = moved + r moved_slope.
    factor : (n_clusters,)
        What squares of parts are multiplied with in the variance.
    """

    estimate: float
    value: FloatArray
    slope: FloatArray
    loss: FloatArray
    moved: FloatArray
    moved_slope: FloatArray
    factor: FloatArray

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return int(self.value.size)

    def at(self, r: float) -> Parts:
        """Return the parts with residuals held at the hypothesis r (no restriction: r estimate)."""
        return Parts(
            self.estimate,
            self.value + r * self.slope,
            np.zeros_like(self.slope),
            self.loss,
            self.moved + r * self.moved_slope,
            np.zeros_like(self.moved_slope),
            self.factor,
        )


@dataclass(frozen=True, eq=False, repr=False)
class Draws:
    """What the draws say about every value under the null hypothesis.

    Attributes
    ----------
    estimate, std_error : float
    restricted : bool
        Whether residuals are those under the null hypothesis.
    weights : {"rademacher", "webb"}
    enumerated : bool
        Whether the draws are all sign patterns.
    top, top_slope : (n_draws,)
        Numerators are top + r top_slope.
    square, mixed, square_slope : (n_draws,)
        Squared denominators are square + 2 r mixed + r^2 square_slope.
    """

    estimate: float
    std_error: float
    restricted: bool
    weights: Literal["rademacher", "webb"]
    enumerated: bool
    top: FloatArray
    top_slope: FloatArray
    square: FloatArray
    mixed: FloatArray
    square_slope: FloatArray

    @property
    def n_draws(self) -> int:
        """Number of draws."""
        return int(self.top.size)

    def statistic(self, r: float = 0.0) -> float:
        """Return (estimate - r) / std_error."""
        return (self.estimate - r) / self.std_error

    def drawn(self, r: float = 0.0) -> FloatArray:
        """Return the statistics of the draws under the null hypothesis r, (n_draws,)."""
        top = self.top + r * self.top_slope
        square = self.square + 2 * r * self.mixed + r**2 * self.square_slope
        with np.errstate(divide="ignore", invalid="ignore"):
            found: FloatArray = top / np.sqrt(np.clip(square, 0.0, None))
        return np.where(np.isnan(found), np.inf, found)

    def p_value(self, r: float = 0.0, *, ties: bool = True) -> float:
        """Return the share of draws that are at least as far from zero as the statistic.

        Draws taken at random count the statistic itself among them, so that the p-value is never
        zero. Enumerated ones hold it and its mirror image; without `ties` these do not count.
        """
        own, drawn = abs(self.statistic(r)), np.abs(self.drawn(r))
        if not ties:
            return float(np.mean(drawn > own * (1 + _TIE)))
        extreme = int(np.sum(drawn >= own * (1 - _TIE)))
        return extreme / self.n_draws if self.enumerated else (1 + extreme) / (1 + self.n_draws)

    def interval(self, level: float) -> tuple[float, float]:
        """Return the values that are not rejected at 1 - level."""
        return invert(self.p_value, self.estimate, self.std_error, level)


def regression_parts(fit: Clustered, contrast: FloatArray) -> Parts:
    """Return the parts of contrast' coefficients of a regression.

    Under the null hypothesis the regression is fitted with the restriction imposed.

    Parameters
    ----------
    fit : Clustered
    contrast : (k,)
    """
    c, bread = contrast, fit.bread
    estimate, variance = float(c @ fit.coefficients), float(c @ bread @ c)
    towards = bread @ c / variance
    # Scores of restricted residuals: those of the fit plus X'X towards (estimate - r).
    pull = np.einsum("gij,j->gi", fit.cross, towards)
    scores = fit.scores + estimate * pull
    return Parts(
        estimate=estimate,
        value=scores @ bread @ c,
        slope=-pull @ bread @ c,
        loss=np.einsum("gij,j->gi", fit.cross, bread @ c) @ bread,
        moved=scores,
        moved_slope=-pull,
        factor=np.ones(fit.n_clusters),
    )


def draw(
    parts: Parts,
    *,
    draws: int,
    rng: np.random.Generator,
    weights: Weights = "auto",
    restricted: bool = True,
) -> Draws:
    """Draw the bootstrap.

    Parameters
    ----------
    parts : Parts
    draws : int
    rng : Generator
    weights : {"auto", "rademacher", "webb"}
        "auto": signs, all 2^G patterns of them when these are at most `draws`; else Webb's six
        points below 12 clusters, and random signs above.
    restricted : bool
        Whether residuals are those under the null hypothesis.

    Raises
    ------
    InputError
        EI-N01 for fewer than two clusters or one draw, and unknown weights.
    """
    require(weights in get_args(Weights), f"Weights {weights!r} are none of {get_args(Weights)}.")
    require(draws >= 1, f"{draws} draws are too few for a p-value.", {"draws": draws})
    require(parts.n_clusters > 1, "One cluster has no spread: the bootstrap needs two or more.")
    used = parts if restricted else parts.at(parts.estimate)
    enumerated = weights != "webb" and 2.0**parts.n_clusters <= draws
    webb = weights == "webb" or (
        weights == "auto" and not enumerated and parts.n_clusters < WEBB_BELOW
    )
    total = 2**parts.n_clusters if enumerated else draws
    columns: list[list[FloatArray]] = []
    batch = max(1, _BATCH // parts.n_clusters)
    signs = product((1.0, -1.0), repeat=parts.n_clusters)
    for start in range(0, total, batch):
        size = min(batch, total - start)
        if enumerated:
            v = np.array([next(signs) for _ in range(size)]).T
        else:
            v = _random(rng, (parts.n_clusters, size), webb=webb)
        columns.append(_numbers(used, v))
    top, top_slope, square, mixed, square_slope = map(np.concatenate, zip(*columns, strict=True))
    own = parts.at(parts.estimate)
    variance = float(_numbers(own, np.ones((parts.n_clusters, 1)))[2][0])
    return Draws(
        estimate=parts.estimate,
        std_error=float(np.sqrt(variance)),
        restricted=restricted,
        weights="webb" if webb else "rademacher",
        enumerated=enumerated,
        top=top,
        top_slope=top_slope,
        square=square,
        mixed=mixed,
        square_slope=square_slope,
    )


def _random(rng: np.random.Generator, shape: tuple[int, int], *, webb: bool) -> FloatArray:
    signs = 1.0 - 2.0 * rng.integers(0, 2, shape).astype(np.float64)
    return signs * _WEBB[rng.integers(0, 3, shape)] if webb else signs


def _numbers(parts: Parts, v: FloatArray) -> list[FloatArray]:
    """Return top, top_slope, square, mixed and square_slope of draws v, (n_clusters, n_draws)."""
    constant = parts.value[:, None] * v - parts.loss @ (parts.moved.T @ v)
    slope = parts.slope[:, None] * v - parts.loss @ (parts.moved_slope.T @ v)
    f = parts.factor
    return [
        parts.value @ v,
        parts.slope @ v,
        f @ constant**2,
        f @ (constant * slope),
        f @ slope**2,
    ]
