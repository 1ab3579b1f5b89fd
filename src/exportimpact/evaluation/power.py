"""Power and exaggeration of an estimate at an effect from outside the data.

Gelman & Carlin (2014, doi:10.1177/1745691614551642): had the true effect been d, how often would
an estimate with this error be significant (power), by how much would significant estimates exceed
d on average (exaggeration, type M), and how often would they have the wrong sign (type S)? Their
estimate is d plus its standard error times Student's t; the integrals are closed, so that nothing
is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from exportimpact.numerics.distributions import t_quantile


@dataclass(frozen=True)
class DesignPower:
    """What a significant estimate would mean if the true effect were the declared one.

    Attributes
    ----------
    power : float
        Probability of |t| beyond the critical value of a two-sided test.
    exaggeration : float
        Mean absolute significant estimate over the absolute true effect; at least 1, missing
        where the reference distribution has no mean (one degree of freedom or less).
    sign_error : float
        Probability that a significant estimate has the wrong sign.
    """

    power: float
    exaggeration: float
    sign_error: float


def design_power(effect: float, std_error: float, df: float, *, level: float = 0.05) -> DesignPower:
    """Return power, exaggeration and sign error at `effect`.

    Parameters
    ----------
    effect : float
        The true effect that is assumed, from outside the data, not zero.
    std_error, df : float
        Of the estimate; infinite `df` is the normal.
    level : float
        Of the two-sided test.

    Examples
    --------
    With a true effect of 0.3 and a standard error of 3.3 power is 5 %, and a significant estimate
    has the wrong sign in 40 % of cases and is 26 times too large on average.

    >>> found = design_power(0.3, 3.3, float("inf"))
    >>> round(found.power, 2), round(found.exaggeration), round(found.sign_error, 2)
    (0.05, 26, 0.4)
    """
    if not (std_error > 0 and df > 0 and math.isfinite(effect)) or effect == 0:
        return DesignPower(math.nan, math.nan, math.nan)
    critical = float(t_quantile(1 - level / 2, np.asarray(float(df))))
    shift = abs(effect) / std_error
    right = _tail(critical - shift, df)
    wrong = _tail(critical + shift, df)
    power = right + wrong
    if df <= 1:
        return DesignPower(power, math.nan, wrong / power)
    beyond = shift * (right - wrong) + _moment(critical - shift, df) + _moment(critical + shift, df)
    return DesignPower(power, beyond / power / shift, wrong / power)


def _tail(at: float, df: float) -> float:
    """P(T > at)."""
    return float(special.ndtr(-at) if math.isinf(df) else special.stdtr(df, -at))


def _moment(at: float, df: float) -> float:
    """E[T; T > at], which is symmetric in `at`."""
    if math.isinf(df):
        return math.exp(-at * at / 2) / math.sqrt(2 * math.pi)
    log_density = (
        special.gammaln((df + 1) / 2)
        - special.gammaln(df / 2)
        - 0.5 * math.log(df * math.pi)
        - (df + 1) / 2 * math.log1p(at * at / df)
    )
    return float(df / (df - 1) * (1 + at * at / df) * math.exp(log_density))
