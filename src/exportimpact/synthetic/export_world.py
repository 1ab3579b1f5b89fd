"""The export world: Korean firms, half of them exporting, and the programmes that support them.

Two histories are lived with the same luck: with all programmes, and without the one that is
evaluated. Support by others happens in both. Truth compares them for these very firms; it has no
closed form in the population that they are drawn from.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from exportimpact._typing import BoolArray, FloatArray, IntArray
from exportimpact.core.outcome import Outcome
from exportimpact.data import NEVER
from exportimpact.synthetic.draw import Drawn, DrawSettings
from exportimpact.synthetic.enterprises import (
    Enterprises,
    Structure,
    Weather,
    draw_enterprises,
    size_classes,
)
from exportimpact.synthetic.exporting import Dynamics, Push, State
from exportimpact.synthetic.firms import Category, firm_ids
from exportimpact.synthetic.presets import Preset
from exportimpact.synthetic.programmes import Call, LastYear, Programme, Version, hold_call
from exportimpact.synthetic.truth import PotentialOutcomes, Truth

FIRST_YEAR = 2013
BURN_IN = 14
OUTCOMES = (
    Outcome("exports", unit="KRW m"),
    Outcome("exporting", column="exports", scale="binary"),
    Outcome("ln_exports", column="exports", scale="log", unit="KRW m"),
    Outcome("destinations", scale="count"),
    Outcome("products", scale="count"),
    Outcome("sales", unit="KRW m"),
    Outcome("employees", unit="persons"),
    Outcome("operating", scale="binary"),
)
BASELINE = ("size_class", "stage", "sector", "region", "age", "first_employees")
STAGES = ("domestic", "beginner", "promising", "leading")

_STAGE_FROM = np.array([1.13, 113.0, 1130.0])
_PERSISTENCE = 0.45
"""Of a push to the chance of exporting: what is left of it a year later is not added twice."""

VOUCHER = Programme(
    name="voucher",
    rule="score",
    apply=-2.4,
    versions=(
        Version(first=4, caps=(30.0, 50.0, 80.0, 100.0)),
        Version(first=6, caps=(30.0, 50.0, 70.0, 100.0), rates=(0.7, 0.5), awarded=0.4),
    ),
    last=7,
)
NEIGHBOURS = (
    Programme(
        name="trade_fair",
        rule="chance",
        apply=-3.6,
        versions=(Version(first=2, awarded=0.6, caps=(5.3,) * 4, rates=(0.5, 0.3)),),
        last=8,
        most=9,
        strength=0.0,
    ),
    Programme(
        name="start_exporting",
        rule="threshold",
        apply=-4.0,
        versions=(Version(first=3, awarded=0.5, caps=(13.6,) * 4, rates=(0.9, 0.5)),),
        last=8,
        strength=0.0,
    ),
)


@dataclass(frozen=True, eq=False)
class History:
    """What happened, (n_firms, n_periods) each, and the calls by programme and year."""

    states: list[State]
    calls: dict[tuple[str, int], Call]
    share: FloatArray
    employment: FloatArray
    productivity: FloatArray


@dataclass(frozen=True, kw_only=True)
class ExportWorld:
    """Firms, shocks, dynamics and programmes.

    Attributes
    ----------
    structure : Structure
    weather : Weather
    dynamics : Dynamics
    evaluated : Programme
        The programme whose effect is asked for.
    others : tuple of Programme
        Programmes that run beside it.
    """

    structure: Structure = field(default_factory=Structure)
    weather: Weather = field(default_factory=Weather)
    dynamics: Dynamics = field(default_factory=Dynamics)
    evaluated: Programme = VOUCHER
    others: tuple[Programme, ...] = NEIGHBOURS

    def generate(self, settings: DrawSettings) -> Drawn:
        """Return one draw."""
        rng, shape = settings.streams(), (settings.n_firms, settings.n_periods)
        firms = draw_enterprises(rng, self.structure, self.weather, shape, BURN_IN)
        state = self.dynamics.first(firms)
        for year in range(BURN_IN):
            state = self.dynamics.next(firms, state, year, None)
            # Firms that close before the panel begins are replaced by the like, without exports.
            state = replace(state, operating=np.ones(shape[0], dtype=bool))
        luck = rng["support"].random((1 + len(self.others), 3, *shape))
        live = _Living(self, firms, settings.preset, luck)
        with_it = live.through(state, (self.evaluated, *self.others))
        without = live.through(state, self.others)
        return self._drawn(settings, rng["reports"], firms, (without, with_it), state)

    def _drawn(
        self,
        settings: DrawSettings,
        rng: np.random.Generator,
        firms: Enterprises,
        histories: tuple[History, History],
        start: State,
    ) -> Drawn:
        ids = firm_ids(settings.n_firms)
        years = FIRST_YEAR + np.arange(settings.n_periods, dtype=np.int64)
        without, with_it = (_outcomes(firms, history) for history in histories)
        first = _first_award(histories[1], self.evaluated.name, settings)
        categories = {
            "size_class": size_classes(firms.employees),
            "stage": Category(np.searchsorted(_STAGE_FROM, start.exports, side="right"), STAGES),
            "sector": firms.sector,
            "region": firms.region,
        }
        truth = Truth(
            scenario=settings.scenario,
            outcomes={
                o.name: PotentialOutcomes(without[o.name], with_it[o.name], o.scale)
                for o in OUTCOMES
            },
            cohort=np.where(first < settings.n_periods, FIRST_YEAR + first, NEVER),
            periods=years,
            segments={name: column.values for name, column in categories.items()},
            complete=False,
        )
        return Drawn(
            frame=_frame(rng, ids, years, firms, categories, with_it),
            spells=_spells(ids, histories[1]),
            outcomes=OUTCOMES,
            baseline=BASELINE,
            exit="closed",
            focus=self.evaluated.name,
            truth=truth,
        )


@dataclass(frozen=True, eq=False)
class _Living:
    """Firms, ready to live through the years of the panel."""

    world: ExportWorld
    firms: Enterprises
    preset: Preset
    luck: FloatArray

    def through(self, state: State, programmes: tuple[Programme, ...]) -> History:
        """Return the history under `programmes`, from the state before the panel."""
        n_periods, n = self.luck.shape[-1], self.firms.z.size
        names = [self.world.evaluated.name, *(p.name for p in self.world.others)]
        first = {p.name: np.full(n, 99, dtype=np.int64) for p in programmes}
        count = {p.name: np.zeros(n) for p in programmes}
        last = {p.name: np.zeros(n, dtype=bool) for p in programmes}
        history = History([], {}, *(np.zeros((n, n_periods)) for _ in range(3)))
        before = state
        for t in range(n_periods):
            known = LastYear(state.exports, _growth(before, state), state.operating)
            for programme in programmes:
                name, version = programme.name, programme.version(t)
                if version is None:
                    last[name] = np.zeros(n, dtype=bool)
                    continue
                own = self.luck[names.index(name), :, :, t]
                call = hold_call(
                    programme, version, self.firms, known, count[name], last[name], own
                )
                history.calls[name, t] = call
                first[name] = np.where(call.awarded & (first[name] == 99), t, first[name])
                count[name] = count[name] + call.awarded
                last[name] = call.awarded
            since = [(t - first[p.name], p.strength) for p in programmes if p.strength]
            push = self._push(since, t, history)
            before, state = state, self.world.dynamics.next(self.firms, state, BURN_IN + t, push)
            history.states.append(state)
        return history

    def _push(self, since: list[tuple[IntArray, float]], t: int, history: History) -> Push | None:
        """What support adds in period t; notes what it does to jobs and productivity."""
        preset, n = self.preset, self.firms.z.size
        share, before, reach, closing = np.zeros((4, n))
        for event_time, strength in since:
            share += strength * preset.share(event_time)
            before += strength * preset.share(event_time - 1)
            reach += strength * preset.reach_share(event_time)
            closing += strength * preset.closing_share(event_time)
        if preset.shock_only:
            crisis = self.world.weather.crisis
            there = float(crisis is not None and t - crisis in (0, 1))
            share, closing = share * there, closing * there
        history.share[:, t] = share
        history.employment[:, t] = preset.employment * share
        history.productivity[:, t] = preset.productivity * share
        size = np.full(n, preset.exports)
        classes = size_classes(self.firms.employees).values
        for name, value in preset.by_size:
            size[classes == name] = value
        fresh = preset.participation * (share - _PERSISTENCE * before)
        return Push(
            size * share,
            fresh,
            preset.destinations * reach,
            preset.products * reach,
            preset.closing * closing,
        )


def _growth(before: State, state: State) -> FloatArray:
    both = (before.exports > 0) & (state.exports > 0)
    ratio = np.where(both, state.exports, 1.0) / np.where(both, before.exports, 1.0)
    entered = (state.exports > 0).astype(np.float64) - (before.exports > 0)
    return np.where(both, np.log(ratio), entered)


def _first_award(history: History, name: str, settings: DrawSettings) -> IntArray:
    first = np.full(settings.n_firms, settings.n_periods, dtype=np.int64)
    for (programme, t), call in sorted(history.calls.items(), reverse=True):
        if programme == name:
            first[call.awarded] = t
    return first


def _outcomes(firms: Enterprises, history: History) -> dict[str, FloatArray]:
    def wide(name: str) -> FloatArray:
        columns = [getattr(state, name) for state in history.states]
        return np.column_stack(columns).astype(np.float64)

    exports, operating = wide("exports"), wide("operating")
    n_periods = exports.shape[1]
    jobs = firms.jobs[:, BURN_IN:] - firms.jobs[:, [BURN_IN]]
    growth = (0.01 + 0.004 * firms.z)[:, None] * np.arange(n_periods)
    log_jobs = np.log(firms.employees)[:, None] + growth + jobs + history.employment
    per_head = 3.9 + firms.productivity[:, None] + history.productivity + firms.home[:, BURN_IN:]
    home = np.round(np.exp(np.log(firms.employees)[:, None] + per_head), 6)
    return {
        "exports": exports,
        "exporting": (exports > 0).astype(np.float64),
        "ln_exports": np.log(np.where(exports > 0, exports, np.nan)),
        "destinations": wide("destinations"),
        "products": wide("products"),
        "sales": operating * (home + exports),
        "employees": operating * np.round(np.exp(log_jobs), 1),
        "operating": operating,
    }


def _frame(
    rng: np.random.Generator,
    ids: IntArray,
    years: IntArray,
    firms: Enterprises,
    categories: dict[str, Category],
    outcomes: dict[str, FloatArray],
) -> pd.DataFrame:
    """Rows up to the year before closing; small firms fail to report more often."""
    operating: BoolArray = outcomes["operating"] > 0
    n, n_periods = operating.shape
    silent = rng.random(operating.shape) < 0.03 * np.exp(-0.3 * firms.z)[:, None]
    silent[:, 0] = False
    names = [o.name for o in OUTCOMES if o.column is None and o.name != "operating"]
    later = np.column_stack([operating[:, 1:], np.ones(n, dtype=bool)])
    frame = pd.DataFrame(
        {
            "firm_id": np.repeat(ids, n_periods),
            "year": np.tile(years, n),
            **{name: np.where(silent, np.nan, outcomes[name]).ravel() for name in names},
            "operating": 1.0,
            **{name: column.repeated(n_periods) for name, column in categories.items()},
            "age": (firms.age[:, None] + np.arange(n_periods)).ravel(),
            "first_employees": np.repeat(firms.employees, n_periods),
            "closed": (operating & ~later).ravel(),
        }
    )
    return frame[operating.ravel()].reset_index(drop=True)


def _spells(ids: IntArray, history: History) -> pd.DataFrame:
    """Applications and awards, by programme and year."""
    found = []
    for (programme, t), call in sorted(history.calls.items()):
        rows = np.flatnonzero(call.applied)
        found.append(
            pd.DataFrame(
                {
                    "firm_id": ids[rows],
                    "award_year": FIRST_YEAR + t,
                    "programme": programme,
                    "amount": call.amount[rows],
                    "applied": FIRST_YEAR + t,
                    "score": call.score[rows],
                    "awarded": call.awarded[rows],
                }
            )
        )
    return pd.concat(found, ignore_index=True)
