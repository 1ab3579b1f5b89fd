"""Variances of a matching estimator of the effect on the treated, with replacement.

A comparison unit that stands in for K treated units counts K times in the estimate, so that its own
noise does too: beside the spread of the matched differences, the variance has a term in K^2. The
variance of outcomes given covariates that this needs is taken either from the matched differences
(homoskedastic: half their variance) or, unit by unit, from the nearest units of the same side.

Assumptions: matches are made with replacement on continuous covariates, by a distance that was not
estimated. Without replacement, and on an estimated propensity, these are not the errors. Nor
do they say how estimates of several cells move together. Errors of results come from influence
functions instead; these are what the influence functions are held against.

References
----------
Abadie & Imbens (2006), doi:10.1111/j.1468-0262.2006.00655.x, theorem 5 and section 4 for effects on
the treated; bias correction: Abadie & Imbens (2011), doi:10.1198/jbes.2009.07333.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exportimpact._typing import FloatArray
from exportimpact.numerics.checks import require
from exportimpact.numerics.pairing import PairingProblem, Pairs, nearest_with_replacement
from exportimpact.numerics.regression import least_squares


@dataclass(frozen=True, eq=False)
class Gaps:
    """What is compared: for each pair and each matched treated unit.

    Attributes
    ----------
    pairs : Pairs
        With shares that sum to 1 within the match of a treated unit.
    pair : (m,)
        Treated minus comparison outcome.
    unit : (n1,)
        Treated minus mean matched outcome; NaN for treated units without a match.
    """

    pairs: Pairs
    pair: FloatArray
    unit: FloatArray

    @property
    def n_matched(self) -> int:
        """Treated units with a match."""
        return int(np.isfinite(self.unit).sum())

    @property
    def estimate(self) -> float:
        """The average effect on the treated units that were matched."""
        return float(self.pairs.share @ self.pair) / self.n_matched


@dataclass(frozen=True)
class Errors:
    """Standard errors of the effect on the treated.

    Attributes
    ----------
    population : float
        For the effect in the population that the sample comes from.
    sample : float
        For the effect in the sample, given covariates and treatments.
    """

    population: float
    sample: float

    @property
    def conditional(self) -> float:
        """Root of what the population's variance exceeds the sample's by; 0 when it does not."""
        return float(np.sqrt(max(self.population**2 - self.sample**2, 0.0)))


def gaps(treated: FloatArray, comparison: FloatArray, pairs: Pairs) -> Gaps:
    """Return differences in outcomes, without bias correction.

    Parameters
    ----------
    treated : (n1,) outcomes
    comparison : (n0,) outcomes
    pairs : Pairs

    Raises
    ------
    InputError
        EI-N01: no pair.
    """
    return _gaps(treated[pairs.treated] - comparison[pairs.comparison], pairs, treated.size)


def corrected_gaps(
    treated: FloatArray,
    comparison: FloatArray,
    pairs: Pairs,
    X_treated: FloatArray,
    X_comparison: FloatArray,
) -> Gaps:
    """Return differences less what a regression among matched comparison units says of covariates.

    Parameters
    ----------
    treated, comparison, pairs
        As in `gaps`.
    X_treated, X_comparison : (n1, k), (n0, k)
        Covariates without a constant. Comparison units weigh what they are used.

    Raises
    ------
    InputError
        EI-N01: no pair.
    """
    used, _ = uses(pairs, comparison.size)
    Z = np.column_stack([np.ones(comparison.size), X_comparison])[used > 0]
    slope = least_squares(Z, comparison[used > 0], used[used > 0]).coefficients[1:]
    apart = (X_treated[pairs.treated] - X_comparison[pairs.comparison]) @ slope
    raw = treated[pairs.treated] - comparison[pairs.comparison]
    return _gaps(raw - apart, pairs, treated.size)


def uses(pairs: Pairs, n_comparison: int) -> tuple[FloatArray, FloatArray]:
    """Return how often each comparison unit is used, and the sum of its squared shares, (n0,)."""
    once: FloatArray = np.bincount(pairs.comparison, pairs.share, n_comparison).astype(float)
    squared: FloatArray = np.bincount(pairs.comparison, pairs.share**2, n_comparison).astype(float)
    return once, squared


def pair_variance(found: Gaps) -> float:
    """Return the variance of outcomes given covariates, the same for all: half that of the gaps."""
    spread = (found.pair - found.estimate) ** 2
    return float(found.pairs.share @ spread) / found.n_matched / 2


def neighbour_variances(
    y: FloatArray, coordinates: FloatArray, *, neighbours: int, squared_tolerance: float = 0.0
) -> FloatArray:
    """Return each unit's variance of outcomes given covariates, from its own side.

    Parameters
    ----------
    y : (n,)
        Outcomes of one side.
    coordinates : (n, k)
        The distance is Euclidean in these.
    neighbours : int
        Nearest other units; all that are as near as the last of them count.
    squared_tolerance : float
        As in `nearest_with_replacement`.

    Returns
    -------
    (n,) sample variance among each unit and its neighbours; NaN on a side with one unit

    Raises
    ------
    InputError
        EI-N01: fewer than one neighbour.
    """
    require(neighbours >= 1, f"A variance needs at least one neighbour, not {neighbours}.")
    # Its own nearest unit is the unit itself, so that one more is asked for.
    near = nearest_with_replacement(
        PairingProblem(treated=coordinates, comparison=coordinates),
        ratio=neighbours + 1,
        ties="average",
        squared_tolerance=squared_tolerance,
    )
    count = np.bincount(near.treated, minlength=y.size)
    mean = np.bincount(near.treated, y[near.comparison], y.size) / count
    square = (y[near.comparison] - mean[near.treated]) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        variance: FloatArray = np.bincount(near.treated, square, y.size) / (count - 1)
    return variance


def errors(found: Gaps, treated: FloatArray | float, comparison: FloatArray | float) -> Errors:
    """Return the standard errors.

    Parameters
    ----------
    found : Gaps
    treated, comparison : float, or (n1,), (n0,)
        Variances of outcomes given covariates: `pair_variance` for both, or `neighbour_variances`
        of each side.
    """
    matched, n1 = np.isfinite(found.unit), found.n_matched
    variances = np.broadcast_to(treated, matched.shape)[matched]
    n0 = int(found.pairs.comparison.max()) + 1 if np.ndim(comparison) == 0 else np.size(comparison)
    used, squares = uses(found.pairs, n0)
    given = np.where(used > 0, comparison, 0.0)
    spread = (found.unit[matched] - found.estimate) ** 2
    population = spread.sum() + given @ (used**2 - squares)
    sample = variances.sum() + given @ used**2
    return Errors(float(np.sqrt(population)) / n1, float(np.sqrt(sample)) / n1)


def _gaps(pair: FloatArray, pairs: Pairs, n_treated: int) -> Gaps:
    require(pairs.treated.size > 0, "There is no pair, so that nothing is compared.")
    total = np.bincount(pairs.treated, pairs.share * pair, n_treated)
    matched = np.bincount(pairs.treated, minlength=n_treated) > 0
    return Gaps(pairs, pair, np.where(matched, total, np.nan))
