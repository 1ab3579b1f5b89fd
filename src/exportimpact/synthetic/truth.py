"""Truth: an oracle over both potential outcomes of one draw.

It answers any estimand that the scenario can answer. Its arithmetic is its own, written plainly
and cell by cell, so that an error in the estimators' aggregation cannot hide in the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from exportimpact._typing import AnyArray, BoolArray, FloatArray, IntArray, Scale
from exportimpact.core.estimand import Estimand
from exportimpact.data import NEVER
from exportimpact.data.cards import html_card, text_card
from exportimpact.errors import InputError, did_you_mean


@dataclass(frozen=True, eq=False)
class PotentialOutcomes:
    """What each firm's outcome is without and with the support that it gets.

    Attributes
    ----------
    without_support, with_support : (n_firms, n_periods)
        NaN where the outcome is not defined, such as the log of zero exports.
    scale
        Scale of the outcome.
    """

    without_support: FloatArray
    with_support: FloatArray
    scale: Scale

    def __post_init__(self) -> None:
        for array in (self.without_support, self.with_support):
            array.setflags(write=False)


@dataclass(frozen=True, eq=False)
class SuperPopulation:
    """What holds over all firms that the scenario could have drawn.

    Attributes
    ----------
    shares
        Probability of each cohort.
    effects
        Expected effect by cohort and period; 0 where it is not given.
    without
        Expected outcome without support, where it is known.
    segments
        The same among the firms of a segment (column, value), for columns on which cohort or effect
        depend. On the other columns that make segments they do not depend.
    """

    shares: Mapping[int, float]
    effects: Mapping[tuple[int, int], float]
    without: Mapping[tuple[int, int], float] = field(default_factory=dict)
    segments: Mapping[tuple[str, str], SuperPopulation] = field(default_factory=dict)

    def among(self, segment: tuple[str, str] | None) -> SuperPopulation:
        """Return the law among the firms of a segment."""
        return self if segment is None else self.segments.get(segment, self)


@dataclass(frozen=True)
class _Cell:
    effect: float
    without_support: float
    size: float


_Pair: TypeAlias = tuple[int, int]


@dataclass(frozen=True, eq=False, repr=False)
class Truth:
    """The true effects of one draw.

    The effect of a cell is the mean of the outcome with support less the outcome without it over
    the firms of the cohort for which both are defined; for a log of exports these are the firms
    that export in that period with and without support (always-exporters).

    Attributes
    ----------
    scenario : str
        Name of the scenario.
    outcomes : Mapping of str to PotentialOutcomes
        Both potential outcomes, by outcome.
    cohort : (n_firms,)
        First supported period of each firm.
    periods : (n_periods,)
        Calendar ordinals.
    segments : Mapping of str to (n_firms,) array
        Categorical columns that do not change over time.
    complete : bool
        Whether every outcome of every firm is observed in every period.
    laws : Mapping of str to SuperPopulation
        The law of the draw by outcome, where it is known in closed form.
    """

    scenario: str
    outcomes: Mapping[str, PotentialOutcomes]
    cohort: IntArray
    periods: IntArray
    segments: Mapping[str, AnyArray]
    complete: bool
    laws: Mapping[str, SuperPopulation] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for array in (self.cohort, self.periods, *self.segments.values()):
            array.setflags(write=False)

    def value(
        self, estimand: Estimand, *, percent: bool = False, among: BoolArray | None = None
    ) -> float:
        """Return the true value of an estimand.

        Parameters
        ----------
        estimand : Estimand
            A row (`key`) or the `overall` of an aggregation over exactly its cells.
        percent : bool
            Whether to return percent: 100 (exp(effect) - 1) of a log, otherwise 100 times the
            effect over the mean without support, both averaged with the same weights. NaN when
            that mean is 0 or not known. Of a level it is the ratio of means that a Poisson model
            estimates.
        among : (n_firms,), optional
            The firms that remain, in the order of `bench.panel.units`: the effect on the supported
            firms of a matched or trimmed sample. Answered for the sample only.

        Returns
        -------
        float
            In the outcome's unit, or in percent.

        Raises
        ------
        InputError
            EI-X04 for an outcome or scale that the scenario does not have, EI-X05 for an estimand
            that is a whole table or an empty row, EI-X06 for a cell or segment without firms,
            EI-X07 where the super-population is not known, EI-X08 for observed cohort sizes where
            reports are missing, EI-X09 for `among` that does not fit.
        """
        potential = self._potential(estimand)
        members = self._segment(estimand) & self._among(among, estimand)
        if estimand.weights == "observed" and not self.complete:
            raise InputError(
                "EI-X08",
                f"Scenario {self.scenario!r} has missing reports, and truth does not weight by the "
                "cohort sizes that happened to be observed: the answer would depend on who "
                'reported. Ask for weights="design".',
                scenario=self.scenario,
            )
        if estimand.population == "super":
            rows = [[self._in_super(pair, estimand) for pair in row] for row in _rows(estimand)]
        else:
            rows = [
                [self._in_sample(pair, potential, members) for pair in row]
                for row in _rows(estimand)
            ]
        effect = _average(rows, estimand, lambda cell: cell.effect)
        if not percent:
            return effect
        if potential.scale in {"log", "logged"}:
            return 100 * math.expm1(effect)
        without = _average(rows, estimand, lambda cell: cell.without_support)
        return 100 * effect / without if without else math.nan

    def spillover(self, outcome: str, period: int) -> float:
        """Return the mean effect that the programme has on never supported firms of this draw.

        Parameters
        ----------
        outcome : str
        period : int
            One of `periods`.

        Returns
        -------
        float
            0 where support does not reach others; what other programmes do is in it too.

        Raises
        ------
        InputError
            EI-X04 for an unknown outcome, EI-X06 when no never supported firm has it then.
        """
        both = self._outcome(outcome)
        change = both.with_support - both.without_support
        firms = change[self.cohort == NEVER][:, self.periods == period]
        if not np.isfinite(firms).any():
            raise InputError(
                "EI-X06",
                f"No never supported firm of this draw of {self.scenario!r} has {outcome!r} in "
                f"period {period}, so that there is no spillover to know. Periods: "
                f"{int(self.periods[0])} to {int(self.periods[-1])}.",
                outcome=outcome,
                period=period,
            )
        return float(np.nanmean(firms))

    def _outcome(self, name: str) -> PotentialOutcomes:
        found = self.outcomes.get(name)
        if found is None:
            raise InputError(
                "EI-X04",
                f"Scenario {self.scenario!r} has no outcome {name!r}, so that its true effect is "
                f"not known. {did_you_mean(name, self.outcomes)}",
                outcome=name,
            )
        return found

    def _among(self, among: BoolArray | None, estimand: Estimand) -> BoolArray:
        """Firms that remain, (n_firms,)."""
        if among is None:
            return np.ones(self.cohort.size, dtype=bool)
        kept = np.asarray(among)
        if kept.dtype != bool or kept.shape != self.cohort.shape or estimand.population == "super":
            raise InputError(
                "EI-X09",
                f"among has shape {kept.shape} and type {kept.dtype}, and the estimand is about "
                f'the "{estimand.population}"; the effect on firms that remain is known for these '
                f"{self.cohort.size:,} firms only. Pass one True or False per firm, in the order "
                'of bench.panel.units, and estimand.in_population("sample").',
                shape=kept.shape,
            )
        return kept

    def _potential(self, estimand: Estimand) -> PotentialOutcomes:
        found = self._outcome(estimand.outcome)
        if estimand.per_unit:
            raise InputError(
                "EI-X04",
                f"The truth of {estimand.outcome!r} is known as an effect on a firm, not per unit "
                "of support received. Estimate with normalized=False.",
                outcome=estimand.outcome,
            )
        logs = {"log", "logged"}
        if found.scale != estimand.scale and not {found.scale, estimand.scale} <= logs:
            raise InputError(
                "EI-X04",
                f"The truth of {estimand.outcome!r} is known on the scale {found.scale!r}, not "
                f"{estimand.scale!r}: an effect in other units would not be comparable. Declare "
                f"the outcome with scale={found.scale!r}.",
                outcome=estimand.outcome,
                scale=estimand.scale,
            )
        return found

    def _segment(self, estimand: Estimand) -> BoolArray:
        """Firms of the estimand's segment, (n_firms,)."""
        if estimand.segment is None:
            return np.ones(self.cohort.size, dtype=bool)
        column, value = estimand.segment
        if column not in self.segments:
            raise InputError(
                "EI-X06",
                f"{column!r} does not make segments in scenario {self.scenario!r}; the effect "
                f"among its firms is not known. {did_you_mean(column, self.segments)}",
                segment=estimand.segment,
            )
        members: BoolArray = self.segments[column] == value
        if not members.any():
            raise InputError(
                "EI-X06",
                f"No firm of this draw has {column} = {value!r}, so that there is no effect to "
                f"know. {did_you_mean(value, np.unique(self.segments[column]))}",
                segment=estimand.segment,
            )
        return members

    def _in_sample(self, pair: _Pair, potential: PotentialOutcomes, members: BoolArray) -> _Cell:
        """The cell among the firms of this draw."""
        cohort, period = pair
        firms = members & (self.cohort == cohort)
        column = self.periods == period
        without = potential.without_support[firms][:, column].ravel()
        effect = potential.with_support[firms][:, column].ravel() - without
        defined = np.isfinite(effect)
        if not defined.any():
            raise self._no_firms(pair)
        return _Cell(
            float(effect[defined].mean()), float(without[defined].mean()), float(firms.sum())
        )

    def _in_super(self, pair: _Pair, estimand: Estimand) -> _Cell:
        """The cell among all firms that could have been drawn."""
        cohort, period = pair
        law = self.laws.get(estimand.outcome)
        if law is None:
            raise InputError(
                "EI-X07",
                f"Scenario {self.scenario!r} has no closed form for the effect on "
                f"{estimand.outcome!r} in the population that firms are drawn from; only the "
                "effect on the firms of this draw is known. "
                'Ask for truth.value(estimand.in_population("sample")).',
                scenario=self.scenario,
                outcome=estimand.outcome,
            )
        law = law.among(estimand.segment)
        if cohort not in law.shares or period not in self.periods:
            raise self._no_firms(pair)
        without = law.without.get(pair, math.nan)
        return _Cell(law.effects.get(pair, 0.0), without, law.shares[cohort])

    def _no_firms(self, pair: _Pair) -> InputError:
        cohorts = [int(c) for c in np.unique(self.cohort) if c != NEVER]
        return InputError(
            "EI-X06",
            f"Scenario {self.scenario!r} has no effect to know for cohort {pair[0]} in period "
            f"{pair[1]}: no firm of that cohort has the outcome then. Cohorts: {cohorts}; periods: "
            f"{int(self.periods[0])} to {int(self.periods[-1])}. Use the periods of bench.panel.",
            cohort=pair[0],
            period=pair[1],
        )

    def __repr__(self) -> str:
        return text_card(*self._card())

    def _repr_html_(self) -> str:
        return html_card(*self._card())

    def _card(self) -> tuple[str, list[tuple[str, str]]]:
        supported = int((self.cohort != NEVER).sum())
        return f"Truth of {self.scenario!r}", [
            ("firms", f"{self.cohort.size:,}, {supported:,} supported"),
            ("outcomes", ", ".join(self.outcomes)),
            ("populations", "sample and super" if self.laws else "sample"),
            ("segments", ", ".join(self.segments)),
        ]


def _rows(estimand: Estimand) -> list[list[_Pair]]:
    """Cells to average: one list per row, more than one only for an overall of rows."""
    kind, key = estimand.aggregation, estimand.key
    cells = list(estimand.cells)
    after = [(g, t) for g, t in cells if t >= g]
    if kind == "simple" or (kind == "cell" and estimand.overall):
        rows = [after]
    elif estimand.overall:
        label = _LABEL[kind]
        rows = [[c for c in after if label(c) == k] for k in sorted({label(c) for c in after})]
    elif kind == "cell":
        rows = [[c for c in cells if c == key or key is None]]
    else:
        rows = [[c for c in _pool(kind, cells, after) if _LABEL[kind](c) == key]]
    if not rows or not rows[0] or (kind == "cell" and not estimand.overall and len(rows[0]) > 1):
        raise InputError(
            "EI-X05",
            f"This estimand of {len(cells)} cells (aggregation {kind!r}, key {key!r}) is no single "
            "number: it is a whole table, or no cell belongs to its row. Use result.overall(...)"
            ".estimand, or choose a row with estimand.at(key).",
            aggregation=kind,
            key=key,
        )
    return rows


def _pool(kind: str, cells: list[_Pair], after: list[_Pair]) -> list[_Pair]:
    # Event times before the start are rows too; cohorts and periods count from the start on.
    return cells if kind == "event_time" else after


def _average(
    rows: list[list[_Cell]], estimand: Estimand, number: Callable[[_Cell], float]
) -> float:
    if estimand.aggregation == "cohort":
        means = [sum(map(number, row)) / len(row) for row in rows]
        sizes = [row[0].size for row in rows]
        return sum(m * s for m, s in zip(means, sizes, strict=True)) / sum(sizes)
    means = [sum(number(c) * c.size for c in row) / sum(c.size for c in row) for row in rows]
    return sum(means) / len(means)


_LABEL: Mapping[str, Callable[[_Pair], int]] = MappingProxyType(
    {
        "event_time": lambda cell: cell[1] - cell[0],
        "cohort": lambda cell: cell[0],
        "calendar": lambda cell: cell[1],
    }
)
