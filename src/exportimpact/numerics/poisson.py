"""Poisson (PPML) fits of a model of outcomes without support, and whether they exist.

The likelihood has no maximum where a direction of the coefficients lowers the fitted mean of some
zeros and moves no other: these observations are separated. They are found by a linear programme on
the directions that positive outcomes leave free, and left out, which changes no other fitted mean;
coefficients that nothing else determines are not identified.

References
----------
Correia, Guimaraes & Zylkin (2019), arXiv:1903.01633; Santos Silva & Tenreyro (2010),
doi:10.1016/j.econlet.2010.02.020; Wooldridge (2023), doi:10.1093/ectj/utad016.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy

from exportimpact._typing import BoolArray, FloatArray, IntArray
from exportimpact.errors import NotIdentifiedError
from exportimpact.numerics.saturated import Fit, Normal, Part, Reference, Space, terms

_MAX_ITERATIONS = 200
_TOLERANCE = 1e-20
_STALLED = 1e-12
_ZERO = 1e-7


@dataclass(frozen=True, eq=False)
class PoissonFit:
    """A fit, and which observations were separated.

    Attributes
    ----------
    fit : Fit
    separated : (n, n_periods) bool
        Zeros whose fitted mean is zero; left out.
    idle : (n,) bool
        With firm effects: firms without a positive outcome, whose fitted means are zero.
    """

    fit: Fit
    separated: BoolArray
    idle: BoolArray


def fit_poisson(reference: Reference) -> PoissonFit:
    """Fit by Newton steps with halving on the observations that are not separated.

    Raises
    ------
    NotIdentifiedError
        EI-E38 when the steps do not converge.

    Examples
    --------
    >>> y = np.array([[1.0, 2.0, 9.0], [3.0, 4.0, 6.0], [0.0, 0.0, 0.0]])
    >>> used = np.array([[True, True, False], [True] * 3, [True] * 3])
    >>> group, none = np.array([1, 0, 0]), np.zeros((3, 0))
    >>> reference = Reference.of(y, used, np.ones(3), group, none, firm_effects=True)
    >>> found = fit_poisson(reference)
    >>> cell = found.fit.effect(1, 2, np.array([0]), np.ones(1), y[:1, 2])
    >>> round(9.0 - cell.estimate, 10), found.idle.tolist()
    (2.5714285714, [False, False, True])
    """
    idle = np.zeros(reference.y.shape[0], dtype=bool)
    if reference.firm_effects:
        idle[:] = reference.used.any(axis=1) & ~(reference.y > 0).any(axis=1)
    simple = reference.z.shape[1] == 1 and not reference.firm_effects
    small = reference.collapsed() if simple else reference
    found = separated(small)
    if simple:
        found = found[reference.group] & reference.used
    if found.any():
        reference = replace(reference, used=reference.used & ~found)
        small = reference.collapsed() if simple else reference
    space = _space(small)
    theta, bread = _newton(small, space)
    return PoissonFit(Fit(reference, True, theta, bread, space), found, idle)


def separated(reference: Reference) -> BoolArray:
    """Return which zeros have no positive fitted mean at the maximum, (n, n_periods)."""
    found = np.zeros(reference.used.shape, dtype=bool)
    space = _space(reference)
    positive = reference.normal(lambda part: (part.y * 0, _active(part, reference) * (part.y > 0)))
    inner = space.basis.T @ positive.information @ space.basis
    values, vectors = np.linalg.eigh(inner)
    free = space.basis @ vectors[:, values <= 1e-11 * max(float(values.max(initial=0.0)), 1.0)]
    if not free.shape[1]:
        return found
    place, moves = _zeros(reference, free)
    for firm, period in place[_all_down(moves)]:
        found[firm, period] = True
    return found


def _space(reference: Reference) -> Space:
    alike = reference.normal(lambda part: (part.y * 0, _active(part, reference)))
    return Space.of(alike.information)


def _active(part: Part, reference: Reference) -> FloatArray:
    """Return used observations, with firm effects those of firms with a positive outcome."""
    if not reference.firm_effects:
        return part.used
    return part.used * (part.y > 0).any(axis=1, keepdims=True)


def _zeros(reference: Reference, free: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the zeros that free directions move, (m, 2), and by how much, (m, n_free)."""
    places, moves = [], []
    for part in reference.parts():
        local = reference.local(free, part.group)
        zero = (_active(part, reference) > 0) & (part.y == 0)
        firm, period = np.nonzero(zero)
        move = np.einsum("ik,ikm->im", part.z[firm], local[period])
        if reference.firm_effects:
            # A direction moves all positive outcomes of a firm alike: its effect takes that up.
            first = (part.y > 0).argmax(axis=1)[firm]
            move -= np.einsum("ik,ikm->im", part.z[firm], local[first])
        moved = np.abs(move).max(axis=1) > _ZERO
        places.append(np.column_stack([part.rows[firm], period])[moved])
        moves.append(move[moved])
    return np.concatenate(places), np.concatenate(moves)


def _all_down(moves: FloatArray) -> BoolArray:
    """Return which rows can fall while none rises, by one linear programme, (m,)."""
    if not moves.size:
        return np.zeros(moves.shape[0], dtype=bool)
    unit = moves / np.sqrt((moves**2).sum(axis=1, keepdims=True))
    _, index, inverse = np.unique(np.round(unit, 9), axis=0, return_index=True, return_inverse=True)
    unique = unit[index]  # not the rounded ones: what has to be zero would be a little more
    m, free = unique.shape
    limits: Any = scipy.sparse.hstack([scipy.sparse.csr_array(unique), scipy.sparse.identity(m)])
    # Directions can be scaled and added, so that every row that can fall can fall by one.
    solved = scipy.optimize.linprog(
        np.concatenate([np.zeros(free), -np.ones(m)]),
        A_ub=limits,
        b_ub=np.zeros(m),
        bounds=[(None, None)] * free + [(0, 1)] * m,
        method="highs",
    )
    fallen: BoolArray = np.asarray(solved.x)[free:] > 0.5
    return fallen[inverse.ravel()]


def _newton(reference: Reference, space: Space) -> tuple[FloatArray, FloatArray]:
    """Return the coefficients at the maximum and the inverse of the information there."""
    theta = space.basis @ np.linalg.lstsq(space.basis, _start(reference), rcond=None)[0]
    size = max(_size(reference), 1e-300)
    loss, normal = _evaluate(reference, theta)
    for _ in range(_MAX_ITERATIONS):
        bread = space.inverse(normal.information)
        step = bread @ normal.score
        decrement = float(normal.score @ step)
        if decrement <= _TOLERANCE * size:
            return theta + step, bread
        for halving in range(40):
            candidate = theta + step / 2**halving
            new, at = _evaluate(reference, candidate)
            if new <= loss + 1e-13 * abs(loss):
                break
        else:
            if decrement <= _STALLED * size:
                return theta, bread
            break
        theta, loss, normal = candidate, new, at
    raise NotIdentifiedError(
        "EI-E38",
        f"The Poisson fit did not converge in {_MAX_ITERATIONS} steps although its maximum exists, "
        "so that there is no counterfactual to compare with. Usually a covariate has a few values "
        "far from all others: take its logarithm, or leave it out.",
    )


def _start(reference: Reference) -> FloatArray:
    """Return coefficients with each group at its mean outcome."""
    theta = np.zeros(reference.n_parameters)
    if reference.firm_effects:
        return theta
    total, weight = np.zeros(reference.shape[0]), np.zeros(reference.shape[0])
    for part in reference.parts():
        total[part.group] += (part.y * part.weight).sum()
        weight[part.group] += (part.used * part.weight).sum()
    k = reference.z.shape[1]
    known = total > 0
    theta[np.flatnonzero(known) * k] = np.log(total[known] / weight[known])
    return theta


def _size(reference: Reference) -> float:
    return sum(float((part.y * part.weight).sum()) for part in reference.parts())


def _evaluate(reference: Reference, theta: FloatArray) -> tuple[float, Normal]:
    """Return minus the log-likelihood, its score and its information."""
    loss, firm = 0.0, reference.firm_effects

    def at(part: Part) -> tuple[FloatArray, FloatArray]:
        nonlocal loss
        local = reference.local(theta, part.group)
        residual, mean = terms(part, local, poisson=True, firm=firm)
        gain = np.where(part.y > 0, part.y * np.log(mean), 0.0)
        loss += float(((mean - gain) * part.weight).sum())
        return residual, mean

    # A step that goes too far overflows, has no finite loss, and is halved.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        normal = reference.normal(at)
    return (loss if np.isfinite(loss) else np.inf), normal
