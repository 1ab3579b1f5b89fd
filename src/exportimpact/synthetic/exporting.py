"""A year of the export world: who exports, how much, where to, with whom, and who closes.

Exporting is a chain of spells. The chance that a spell ends falls with its length and with the
number of destinations; the chance that one begins rises with the firm's quality and is higher for a
while after an earlier spell. Log exports are the firm's rank in a lognormal with a Pareto tail,
lower in the first years of a spell, plus shared demand and the firm's own yearly shock.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_ndtr

from exportimpact._typing import BoolArray, FloatArray, IntArray
from exportimpact.synthetic.enterprises import Enterprises

USD = 1130.0
"""KRW per US$; exports are in KRW m."""

_MOST = 18.0  # US$ 58 bn: no firm exports more


@dataclass(frozen=True, kw_only=True)
class Spells:
    """How spells of exporting begin and end.

    Attributes
    ----------
    ending : tuple of float
        Chance that a spell with one destination ends after its year 1, 2, ...; the last stays.
    fewer : tuple of float
        Factor on it with 1, 2 and 3 or more destinations.
    steady : float
        Fall of its log per unit of quality above 0.
    beginning, by_quality, back : float
        Log odds that a spell begins; per unit of quality; and within three years of an earlier one.
    """

    ending: tuple[float, ...] = (0.565, 0.345, 0.335, 0.225, 0.225, 0.225)
    fewer: tuple[float, float, float] = (1.0, 0.58, 0.42)
    steady: float = 0.17
    beginning: float = -1.37
    by_quality: float = 0.35
    back: float = 0.8


@dataclass(frozen=True, kw_only=True)
class Money:
    """How much exporters export.

    Attributes
    ----------
    log_median, log_sd : float
        Of exports of a firm of average quality in a long spell, KRW m.
    tail_from, tail : float
        Quality from which on exports have a Pareto tail, and its exponent.
    early : tuple of float
        What log exports lack in year 1, 2, ... of a spell.
    """

    log_median: float = 4.32
    log_sd: float = 2.4
    tail_from: float = 2.0
    tail: float = 1.2
    early: tuple[float, ...] = (2.6, 1.0, 0.4, 0.1, 0.0)


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Mean numbers of destinations and products beyond the first, and how they rise.

    Attributes
    ----------
    destinations, products : float
        Log of the mean beyond the first at average exports.
    by_exports : float
        Rise of that log per log point of exports.
    """

    destinations: float = -0.6
    products: float = -0.1
    by_exports: float = 0.22


@dataclass(frozen=True, kw_only=True)
class Closing:
    """The yearly chance that a firm closes.

    Attributes
    ----------
    hazard : float
        At average size and quality.
    by_size, by_quality : float
        Change of its log per standard deviation of log size and of quality.
    """

    hazard: float = 0.03
    by_size: float = -0.4
    by_quality: float = -0.2


@dataclass(frozen=True, eq=False)
class State:
    """Firms at the end of a year, (n_firms,) each.

    Attributes
    ----------
    spell : IntArray
        Years that the present spell of exporting has lasted, 0 outside one.
    since : IntArray
        Years since the last spell; 99 for a firm without one.
    destinations, products, exports : FloatArray
    operating : BoolArray
    """

    spell: IntArray
    since: IntArray
    destinations: FloatArray
    products: FloatArray
    exports: FloatArray
    operating: BoolArray


@dataclass(frozen=True, eq=False)
class Push:
    """What support adds in a year, (n_firms,) each, in the units of `Preset`."""

    exports: FloatArray
    participation: FloatArray
    destinations: FloatArray
    products: FloatArray
    closing: FloatArray


@dataclass(frozen=True, kw_only=True)
class Dynamics:
    """Everything that moves a firm from one year to the next."""

    spells: Spells = Spells()
    money: Money = Money()
    reach: Reach = Reach()
    closing: Closing = Closing()

    def first(self, firms: Enterprises) -> State:
        """Return firms that have never exported."""
        n = firms.z.size
        zero, none = np.zeros(n), np.zeros(n, dtype=np.int64)
        return State(none, none + 99, zero, zero, zero, np.ones(n, dtype=bool))

    def chance(self, firms: Enterprises, state: State) -> FloatArray:
        """Return the chance to export next year, (n_firms,)."""
        spells = self.spells
        ending = np.array(spells.ending)[np.clip(state.spell - 1, 0, len(spells.ending) - 1)]
        factor = np.array((1.0, *spells.fewer))[np.minimum(state.destinations, 3).astype(np.int64)]
        factor = factor * np.exp(-spells.steady * np.maximum(firms.quality, 0.0))
        recent = (state.since <= 3) * spells.back
        begins = expit(spells.beginning + spells.by_quality * firms.quality + recent)
        return np.where(state.spell > 0, 1 - ending * factor, begins)

    def next(self, firms: Enterprises, state: State, year: int, push: Push | None) -> State:
        """Return the firms a year later; `year` counts from the start of the burn-in."""
        exporting_luck, closing_luck = firms.luck[0, :, year], firms.luck[1, :, year]
        chance, hazard = self.chance(firms, state), self._hazard(firms)
        gain = np.zeros((3, firms.z.size))
        if push is not None:
            chance, hazard = chance + push.participation, hazard * np.exp(push.closing)
            gain = np.stack([push.exports, push.destinations, push.products])
        operating = state.operating & (closing_luck >= hazard)
        exporting = operating & (exporting_luck < chance)
        spell = np.where(exporting, state.spell + 1, 0)
        log_exports = self._log_exports(firms, spell) + firms.demand[:, year]
        log_exports = log_exports + firms.yearly[:, year] + gain[0]
        worth = np.round(np.exp(np.minimum(log_exports, _MOST)), 6)
        scale = np.exp(self.reach.by_exports * (log_exports - self.money.log_median))
        return State(
            spell,
            np.where(state.spell > 0, 1, np.minimum(state.since + 1, 99)),
            exporting * _count(np.exp(self.reach.destinations) * scale + gain[1], firms.reach[0]),
            exporting * _count(np.exp(self.reach.products) * scale + gain[2], firms.reach[1]),
            exporting * np.maximum(worth, 1e-6),
            operating,
        )

    def _hazard(self, firms: Enterprises) -> FloatArray:
        closing = self.closing
        log_hazard = closing.by_size * firms.z + closing.by_quality * firms.quality
        return np.minimum(closing.hazard * np.exp(log_hazard), 0.15)

    def _log_exports(self, firms: Enterprises, spell: IntArray) -> FloatArray:
        money, quality = self.money, firms.quality
        beyond = np.maximum(quality, money.tail_from)
        # Log survival of the normal turns into an exponential, and that into a Pareto tail.
        tail = (log_ndtr(-money.tail_from) - log_ndtr(-beyond)) / money.tail
        level = money.log_median + money.log_sd * np.minimum(quality, money.tail_from) + tail
        early = np.array(money.early)[np.clip(spell - 1, 0, len(money.early) - 1)]
        reached: FloatArray = level - early
        return reached


def _count(beyond: FloatArray, rank: FloatArray) -> FloatArray:
    """Return 1 plus a geometric number of mean `beyond`, at the quantile `rank`."""
    number: FloatArray = 1.0 + np.floor(np.log1p(-rank) / np.log(beyond / (1 + beyond)))
    return number
