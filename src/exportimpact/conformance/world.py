"""Small worlds for exact checks: a draw of a scenario that can be changed, and panels of twins.

A world is the frame and the awards that an evaluator would have. Each change returns a new world of
which theory says exactly what has to happen to the estimates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from exportimpact._typing import FloatArray, IntArray
from exportimpact.core.estimator import Estimator
from exportimpact.core.outcome import Outcome
from exportimpact.core.result import EstimationResult
from exportimpact.data import Assignment, Panel
from exportimpact.design import Design, SealedDesign
from exportimpact.synthetic import Bench

UNIT, PERIOD = "firm_id", "year"
_IN_PERIODS = ("award_year", "applied", "end_year")
RNG = 20_101
"""Seed that every exact check passes, so that random estimators repeat."""


@dataclass(frozen=True, eq=False, kw_only=True)
class World:
    """Frame, awards and design options, ready to be estimated.

    Attributes
    ----------
    frame : DataFrame
        One row per firm and year.
    support : callable
        From the awards to the `Assignment`.
    spells : DataFrame
        One row per award.
    outcomes, baseline, exit, cluster, weight
        How the panel reads the frame.
    options : dict
        Keyword arguments of `Design`.
    """

    frame: pd.DataFrame
    spells: pd.DataFrame
    support: Callable[[pd.DataFrame], Assignment]
    outcomes: tuple[Outcome, ...]
    options: dict[str, Any]
    baseline: tuple[str, ...] = ()
    exit: str | None = None
    cluster: str | None = None
    weight: str | None = None

    @classmethod
    def of(cls, bench: Bench) -> World:
        """Return the world of a draw."""
        drawn = bench.drawn

        def support(spells: pd.DataFrame) -> Assignment:
            return replace(bench, drawn=replace(drawn, spells=spells)).support

        return cls(
            frame=bench.frame,
            spells=bench.spells,
            support=support,
            outcomes=drawn.outcomes,
            options=dict(bench.scenario.design_options),
            baseline=drawn.baseline,
            exit=drawn.exit,
            cluster=getattr(drawn, "cluster", None),
        )

    @cached_property
    def design(self) -> Design:
        """The design, not sealed."""
        panel = Panel.from_frame(
            self.frame,
            unit=UNIT,
            period=PERIOD,
            outcomes=list(self.outcomes),
            baseline=list(self.baseline),
            exit=self.exit,
            cluster=self.cluster,
            weight=self.weight,
        )
        return Design(panel, self.support(self.spells), **self.options)

    def sealed(self) -> SealedDesign:
        """Return the sealed design."""
        return self.design.seal()

    def estimate(self, estimator: Estimator) -> EstimationResult:
        """Return what `estimator` finds."""
        return estimator.estimate(self.sealed(), rng=RNG)

    @property
    def outcome(self) -> Outcome:
        """The outcome of the design."""
        return next(o for o in self.outcomes if o.name == self.options["outcome"])

    # Changes -----------------------------------------------------------------------------------

    def shuffled(self) -> World:
        """Return the world with rows in another order."""
        rng = np.random.default_rng(1)
        return replace(
            self,
            frame=self.frame.iloc[rng.permutation(len(self.frame))],
            spells=self.spells.iloc[rng.permutation(len(self.spells))],
        )

    def relabelled(self) -> World:
        """Return the world with other firm ids, in another order."""
        ids = self.frame[UNIT].unique()
        new = np.random.default_rng(2).permutation(ids.size) + 500_001
        names = pd.Series(new, index=ids)
        frame = self.frame.assign(**{UNIT: self.frame[UNIT].map(names)})
        outside = pd.Series(self.spells[UNIT].to_numpy(), index=self.spells.index) + 1_000_000
        mapped = self.spells[UNIT].map(names).fillna(outside).astype(np.int64)
        return replace(self, frame=frame, spells=self.spells.assign(**{UNIT: mapped}))

    def shifted(self, years: int) -> World:
        """Return the world some years later."""
        moved = {c: self.spells[c] + years for c in _IN_PERIODS if c in self.spells}
        frame = self.frame.assign(**{PERIOD: self.frame[PERIOD] + years})
        return replace(self, frame=frame, spells=self.spells.assign(**moved))

    def with_outcome(self, change: Callable[[pd.Series[float]], Any]) -> World:
        """Return the world with the design's outcome column changed."""
        column = self.outcome.source
        values = change(self.frame[column].astype(float))
        return replace(self, frame=self.frame.assign(**{column: values}))

    def copied(self, copies: IntArray) -> World:
        """Return the world with ``copies[i]`` firms in place of the i-th; copies share a cluster.

        Parameters
        ----------
        copies : (n_firms,)
            In the order of increasing ids.
        """
        ids = np.sort(self.frame[UNIT].unique())
        frames, spells = [self.frame.assign(_origin=self.frame[UNIT])], [self.spells]
        for k in range(1, int(copies.max())):
            chosen = ids[copies > k]
            step = k * 10_000_000
            more = self.frame[self.frame[UNIT].isin(chosen)]
            frames.append(more.assign(**{UNIT: more[UNIT] + step}, _origin=more[UNIT]))
            awards = self.spells[self.spells[UNIT].isin(chosen)]
            spells.append(awards.assign(**{UNIT: awards[UNIT] + step}))
        return replace(
            self,
            frame=pd.concat(frames, ignore_index=True),
            spells=pd.concat(spells, ignore_index=True),
        )

    def weighted(self, weights: IntArray) -> World:
        """Return the world with a probability weight for each firm, in the order of ids."""
        ids = np.sort(self.frame[UNIT].unique())
        column = self.frame[UNIT].map(pd.Series(weights.astype(float), index=ids))
        return replace(self, frame=self.frame.assign(_weight=column), weight="_weight")

    def without(self, firm: Any) -> World:
        """Return the world without one firm."""
        frame = self.frame[self.frame[UNIT] != firm]
        spells = self.spells[self.spells[UNIT] != firm]
        return replace(self, frame=frame, spells=spells)

    def with_early_starters(self, firms: int) -> World:
        """Return the world with firms that were supported before its first period as well."""
        ids = np.sort(self.frame[UNIT].unique())[:firms]
        step, first = 90_000_000, int(self.frame[PERIOD].min())
        more = self.frame[self.frame[UNIT].isin(ids)].copy()
        column = self.outcome.source
        wild = 1.5 * more[column].astype(float) + 0.3 * (more[PERIOD] - first)
        more = more.assign(**{UNIT: more[UNIT] + step, column: wild})
        awards = self.spells.iloc[np.zeros(firms, dtype=int)].assign(**{UNIT: ids + step})
        dates = {c: first for c in _IN_PERIODS if c in awards}
        if "awarded" in awards:
            dates["awarded"] = True
        return replace(
            self,
            frame=pd.concat([self.frame, more], ignore_index=True),
            spells=pd.concat([self.spells, awards.assign(**dates)], ignore_index=True),
        )


@dataclass(frozen=True, kw_only=True)
class Twins:
    """A panel in which every supported firm has an unsupported twin, so that effects are exact.

    Supported firms start in one year. A twin has the same size and, without support, the
    same sales in every year. Support adds `effect` to whoever is active.

    Attributes
    ----------
    idle : "zero", "exit" or None
        What half of the firms do: sell nothing throughout, or close two years after support.
    """

    idle: str | None
    effect: float = 10.0
    start: int = 2014
    years: tuple[int, ...] = field(default=tuple(range(2010, 2019)))

    def world(self) -> World:
        """Return the world."""
        rng = np.random.default_rng(3)
        n, years = 160, np.array(self.years)
        start = np.full(n, self.start)
        active = self._active(n, start, years)
        size = rng.integers(10, 200, n)
        sales = 200 + size[:, None] + rng.normal(0.0, 8.0, (n, years.size)).cumsum(axis=1)
        added = self.effect * (years >= start[:, None])
        values = np.where(active, np.concatenate([sales + added, sales]).reshape(2, n, -1), 0.0)
        exits = self._exits(n, start, years)
        frame = pd.DataFrame(
            {
                UNIT: np.repeat(np.arange(1, 2 * n + 1), years.size),
                PERIOD: np.tile(years, 2 * n),
                "sales": values.ravel(),
                "employees": np.tile(np.repeat(size, years.size), 2),
                "closed": np.tile(exits.ravel(), 2),
            }
        )
        if self.idle == "exit":
            frame = frame[np.tile(active.ravel(), 2)]
        spells = pd.DataFrame({UNIT: np.arange(1, n + 1), "award_year": start})
        return World(
            frame=frame,
            spells=spells,
            support=_by_year,
            outcomes=(Outcome("sales", unit="KRW m"),),
            options={"outcome": "sales"},
            baseline=("employees",),
            exit="closed" if self.idle == "exit" else None,
        )

    def truth(self, cohort: int, period: int) -> float:
        """Return the exact effect of a cell."""
        if period < cohort:
            return 0.0
        half = self.idle == "zero" or (self.idle == "exit" and period > cohort + 1)
        return self.effect * (0.5 if half else 1.0)

    def _active(self, n: int, start: IntArray, years: IntArray) -> Any:
        idle = np.arange(n) % 2 == 1
        if self.idle == "zero":
            return np.broadcast_to(~idle[:, None], (n, years.size))
        if self.idle == "exit":
            return ~(idle[:, None] & (years > start[:, None] + 1))
        return np.ones((n, years.size), dtype=bool)

    def _exits(self, n: int, start: IntArray, years: IntArray) -> Any:
        idle = np.arange(n) % 2 == 1
        last: Any = idle[:, None] & (years == start[:, None] + 1)
        return last


def _by_year(spells: pd.DataFrame) -> Assignment:
    return Assignment.from_spells(spells, unit=UNIT, start="award_year")


def differences(
    changed: EstimationResult,
    original: EstimationResult,
    *,
    factor: float = 1.0,
    periods: int = 0,
    errors: bool = True,
    tolerance: float = 1e-7,
) -> str:
    """Return how two results differ that should agree, in words; empty when they do.

    Parameters
    ----------
    changed, original : EstimationResult
    factor : float
        What the changed estimates should be, in units of the original ones.
    periods : int
        By how many periods the changed cells should be later.
    errors : bool
        Whether standard errors have to agree as well.
    tolerance : float
        Relative to the largest estimate or error.
    """
    cells = tuple((g + periods, t + periods) for g, t in original.estimand.cells)
    if changed.estimand.cells != cells:
        return f"{len(changed.estimand.cells)} cells, not the same {len(cells)} as before"
    for name in ("estimate", "std_error") if errors else ("estimate",):
        new, old = _column(changed, name), factor * _column(original, name)
        gap = np.abs(new - old)
        limit = tolerance * max(float(np.nanmax(np.abs(old))), 1e-12)
        if not np.array_equal(np.isnan(new), np.isnan(old)) or np.nanmax(gap) > limit:
            worst = int(np.nanargmax(gap))
            return (
                f"{name} of cell {original.estimand.cells[worst]} is {new[worst]:.6g}, "
                f"{old[worst]:.6g} was expected"
            )
    return ""


def _column(result: EstimationResult, name: str) -> FloatArray:
    values: FloatArray = result.table()[name].to_numpy(dtype=float)
    return values
