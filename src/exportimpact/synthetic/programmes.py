"""Programmes of the export world: who applies, whom the agency awards, and how much it pays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np
from scipy.special import expit

from exportimpact._typing import BoolArray, FloatArray
from exportimpact.synthetic.enterprises import Enterprises

Rule: TypeAlias = Literal["score", "need", "threshold", "rating", "sector", "region", "chance"]
_TARGETS = MappingProxyType(
    {"sector": ("machinery", "chemicals"), "region": ("Gwangju", "Jeonnam")}
)
_TIERS_FROM = np.array([1.13, 113.0, 1130.0])
"""Exports of US$ 1k, 100k and 1 m, at 1,130 KRW: where the stages begin."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """Rules of one or more years.

    Attributes
    ----------
    first : int
        Place of the first year of these rules in the panel.
    awarded : float
        Share of applicants that are awarded.
    caps : tuple of float
        Most that a firm of each export stage gets, KRW m.
    rates : tuple of float
        Share of a project that is paid for firms below 300 employees, and for others.
    """

    first: int
    awarded: float = 0.377
    caps: tuple[float, float, float, float] = (30.0, 50.0, 80.0, 100.0)
    rates: tuple[float, float] = (0.7, 0.5)


@dataclass(frozen=True, kw_only=True)
class Programme:
    """A programme with yearly calls.

    Attributes
    ----------
    name : str
    rule : {"score", "need", "threshold", "rating", "sector", "region", "chance"}
        "score": points for size, stage and past growth; "need": the worse last year was;
        "threshold": exports below US$ 100k; "rating": the agency's view of quality, which nobody
        else sees; "sector", "region": firms of chosen ones first; "chance": by lot.
    apply : float
        Log odds that an eligible firm of average size applies.
    versions : tuple of Version
        In order of their first year; before the first there are no calls.
    last : int
        Place of the last call.
    most : int
        Number of awards that a firm can have.
    again : float
        Chance that a firm awarded last year applies again.
    strength : float
        Its effect, in units of the preset.
    """

    name: str
    rule: Rule
    apply: float
    versions: tuple[Version, ...]
    last: int
    most: int = 2
    again: float = 0.45
    strength: float = 1.0

    def version(self, place: int) -> Version | None:
        """Return the rules of a year, or None when there is no call."""
        current = [v for v in self.versions if v.first <= place]
        return current[-1] if current and place <= self.last else None


@dataclass(frozen=True, eq=False)
class LastYear:
    """What the agency can know of each firm, (n_firms,) each: last year's exports, and growth."""

    exports: FloatArray
    growth: FloatArray
    operating: BoolArray


@dataclass(frozen=True, eq=False)
class Call:
    """Outcome of one call, (n_firms,) each."""

    applied: BoolArray
    score: FloatArray
    awarded: BoolArray
    amount: FloatArray


def hold_call(
    programme: Programme,
    version: Version,
    firms: Enterprises,
    known: LastYear,
    awards: FloatArray,
    awarded_last: BoolArray,
    luck: FloatArray,
) -> Call:
    """Return one call; `luck` : (3, n_firms), uniform: applying, the agency's view, the project."""
    eligible = known.operating & (awards < programme.most)
    if programme.rule == "threshold":
        eligible &= known.exports < _TIERS_FROM[1]
    chance = expit(programme.apply + 0.35 * firms.z + 0.4 * (known.exports > 0))
    applied = eligible & (luck[0] < np.where(awarded_last, programme.again, chance))
    points = _POINTS[programme.rule](firms, known)
    score = np.clip(55.0 + 5.0 * points + 25.0 * (luck[1] - 0.5), 0.0, 100.0)
    places = round(version.awarded * int(applied.sum()))
    ranked = np.argsort(np.where(applied, -score, np.inf), kind="stable")
    awarded = np.zeros(applied.size, dtype=bool)
    awarded[ranked[:places]] = True
    stage = np.searchsorted(_TIERS_FROM, known.exports, side="right")
    rate = np.array(version.rates)[(firms.employees >= 300).astype(np.int64)]
    project = 40.0 + 160.0 * luck[2]
    amount: FloatArray = np.minimum(rate * project, np.array(version.caps)[stage]) * awarded
    return Call(applied, np.round(score, 2), awarded, np.round(amount, 1))


def _by_score(firms: Enterprises, known: LastYear) -> FloatArray:
    stage = np.searchsorted(_TIERS_FROM, known.exports, side="right")
    return 0.8 * firms.z + 0.5 * stage + 0.3 * np.clip(known.growth, -2, 2)


def _by_need(firms: Enterprises, known: LastYear) -> FloatArray:
    return -1.5 * np.clip(known.growth, -2, 2)


def _by_rating(firms: Enterprises, known: LastYear) -> FloatArray:
    return 1.5 * firms.quality


def _by_sector(firms: Enterprises, known: LastYear) -> FloatArray:
    return np.where(np.isin(firms.sector.values, _TARGETS["sector"]), 6.0, 0.0)


def _by_region(firms: Enterprises, known: LastYear) -> FloatArray:
    return np.where(np.isin(firms.region.values, _TARGETS["region"]), 6.0, 0.0)


def _by_lot(firms: Enterprises, known: LastYear) -> FloatArray:
    return np.zeros(firms.z.size)


_POINTS: Mapping[str, Callable[[Enterprises, LastYear], FloatArray]] = MappingProxyType(
    {
        "score": _by_score,
        "need": _by_need,
        "threshold": _by_lot,
        "rating": _by_rating,
        "sector": _by_sector,
        "region": _by_region,
        "chance": _by_lot,
    }
)
