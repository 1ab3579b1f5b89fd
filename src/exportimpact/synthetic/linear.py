"""The clean world: firms with log exports, from which scenarios depart in one respect each.

Log exports without support are

    y0[i, t] = 5 + 0.5 z[i] + a[i] + 0.03 t + drift z[i] t + growth u[i] t + e[i, t]

with z the standardised number of employees, normal firm effects a (sd 1), normal growth types u
(sd 1, not observed) and e a stationary AR(1) (sd 0.5, persistence 0.5 unless the trend says
otherwise). Support adds an effect from its first year on. Firms are independent draws unless the
scenario says otherwise. Employees are discrete, so that expectations over firms are finite sums.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd

from exportimpact._typing import FloatArray, IntArray
from exportimpact.core.outcome import Outcome
from exportimpact.data import NEVER
from exportimpact.synthetic.draw import Drawn, DrawSettings
from exportimpact.synthetic.effects import Effect
from exportimpact.synthetic.firms import (
    INDUSTRIES,
    REGIONS,
    draw_category,
    firm_ids,
    persistent_noise,
)
from exportimpact.synthetic.interference import NO_INTERFERENCE, Interference
from exportimpact.synthetic.population import MASS, SIZES, Population, size_class, standardised
from exportimpact.synthetic.selection import Selected, Selection
from exportimpact.synthetic.truth import PotentialOutcomes, SuperPopulation, Truth

FIRST_YEAR = 2010
SHOCK_SD = 0.5
PROGRAMME = "export_support"
BASELINE = ("employees", "industry", "region", "size_class")
OUTCOME = Outcome("ln_exports", unit="log KRW m", scale="logged")


@dataclass(frozen=True, kw_only=True)
class Trend:
    """How log exports move without support.

    Attributes
    ----------
    drift : float
        Yearly growth per standard deviation of employees.
    growth : float
        Yearly growth per standard deviation of the growth type, which nobody observes.
    persistence : float
        Of the yearly shocks.
    shock : float
        Lasting change per standard deviation of employees that comes with the first awards.
    regional : float
        Standard deviation of the yearly steps of a random walk that firms of a region share.
    gap : float
        Share of the firm effect by which a firm starts below its own long-run level; it closes at
        the speed of `persistence`.
    """

    drift: float = 0.0
    growth: float = 0.0
    persistence: float = 0.5
    shock: float = 0.0
    regional: float = 0.0
    gap: float = 0.0

    def without_support(
        self, rng: np.random.Generator, firms: Population, shocks: FloatArray, first: int
    ) -> FloatArray:
        """Return log exports without support, (n_firms, n_periods), when awards start at `first`.

        `shocks` : (n_firms, n_periods) are the firms' own; shocks of regions are drawn here.
        """
        n_periods = shocks.shape[1]
        t = np.arange(n_periods)
        level = 5.0 + 0.5 * firms.z + firms.level
        pace = 0.03 + self.drift * firms.z + self.growth * firms.growth
        without: FloatArray = level[:, None] + pace[:, None] * t + shocks
        if self.shock:
            without = without + self.shock * firms.z[:, None] * (t >= first)
        if self.gap:
            without = without - self.gap * firms.level[:, None] * self.persistence**t
        if self.regional:
            walk = self.regional * rng.normal(size=(len(firms.region.names), n_periods))
            without = without + walk.cumsum(axis=1)[firms.region.codes]
        return without


@dataclass(frozen=True, eq=False)
class Story:
    """All that happened in a draw, for what is reported of it.

    Attributes
    ----------
    firms : Population
    settings : DrawSettings
    cohort, years : IntArray
        First supported year by firm, (n_firms,), and the years of the panel.
    own : (n_firms,)
        What a firm's effect adds to the mean effect.
    """

    firms: Population
    settings: DrawSettings
    cohort: IntArray
    years: IntArray
    own: FloatArray


class Report(Protocol):
    """What changes between what happens and what an evaluator sees."""

    def apply(self, drawn: Drawn, story: Story, rng: np.random.Generator) -> Drawn:
        """Return the draw as it is reported."""


@dataclass(frozen=True, kw_only=True)
class LinearWorld:
    """A clean world, or one that departs from it in one respect.

    Attributes
    ----------
    selection : Selection
        Who is supported, and when.
    effect : Effect
    trend : Trend
    interference : Interference
        What support does to firms without it.
    reports : tuple of Report
        What is seen of it, in order.
    even_regions : bool
        Whether regions have equally many firms on average.
    clustered : bool
        Whether the panel declares the region as cluster.
    """

    selection: Selection
    effect: Effect = field(default_factory=Effect)
    trend: Trend = field(default_factory=Trend)
    interference: Interference = NO_INTERFERENCE
    reports: tuple[Report, ...] = ()
    even_regions: bool = False
    clustered: bool = False

    def generate(self, settings: DrawSettings) -> Drawn:
        """Return one draw."""
        rng, n_periods = settings.streams(), settings.n_periods
        starts = self.selection.starts(n_periods)
        shocks = persistent_noise(
            rng["outcomes"],
            settings.n_firms,
            n_periods,
            sd=SHOCK_SD,
            persistence=self.trend.persistence,
        )
        firms = self._draw_firms(rng, settings.n_firms)
        without = self.trend.without_support(rng["outcomes"], firms, shocks, int(starts[0]))
        chosen = self.selection.select(rng["support"], firms, shocks, starts)
        start = np.append(starts, n_periods)[chosen.group]
        effect, own = self.effect.draw(
            rng["effects"], settings.preset, firms.z, chosen.group, start, n_periods
        )
        side = self.interference.draw(rng["effects"], firms, start, n_periods)
        years = FIRST_YEAR + np.arange(n_periods, dtype=np.int64)
        supported = start < n_periods
        cohort = np.where(supported, FIRST_YEAR + start, NEVER)
        observed = without + effect + side.effect
        truth = Truth(
            scenario=settings.scenario,
            outcomes={"ln_exports": PotentialOutcomes(without, observed, "logged")},
            cohort=cohort,
            periods=years,
            segments={name: column.values for name, column in firms.categories.items()},
            complete=True,
            laws={"ln_exports": self._law(settings, starts)},
        )
        drawn = Drawn(
            frame=_frame(firms, years, observed),
            spells=pd.concat(
                [self._spells(firms, chosen, start, n_periods), *side.spells], ignore_index=True
            ),
            outcomes=(OUTCOME,),
            baseline=_baseline(firms),
            focus=PROGRAMME,
            others=side.others,
            cluster="region" if self.clustered else None,
            truth=truth,
        )
        story = Story(firms, settings, cohort, years, own)
        for report in self.reports:
            drawn = report.apply(drawn, story, rng["reports"])
        return drawn

    def _draw_firms(self, rng: dict[str, np.random.Generator], n: int) -> Population:
        size = np.searchsorted(np.cumsum(MASS)[:-1], rng["firms"].random(n), side="right")
        industry = draw_category(rng["firms"], INDUSTRIES, n)
        even = dict.fromkeys(REGIONS, 1 / len(REGIONS))
        region = draw_category(rng["firms"], even if self.even_regions else REGIONS, n)
        return Population(
            ids=firm_ids(n),
            employees=SIZES[size],
            z=standardised(SIZES[size]),
            size=size,
            industry=industry,
            region=region,
            growth=rng["firms"].normal(0.0, 1.0, n),
            level=rng["outcomes"].normal(0.0, 1.0, n),
        )

    def _spells(
        self, firms: Population, chosen: Selected, start: IntArray, n_periods: int
    ) -> pd.DataFrame:
        """Awards in every year of support, and applications where there are any."""
        supported = np.flatnonzero(start < n_periods)
        after = [e for e in self.effect.years_of_support if e < n_periods]
        firm = np.repeat(supported, len(after))
        year = (start[supported][:, None] + np.array(after)).ravel()
        inside = year < n_periods
        spells = pd.DataFrame(
            {
                "firm_id": firms.ids[firm[inside]],
                "award_year": FIRST_YEAR + year[inside],
                "programme": PROGRAMME,
            }
        )
        if chosen.round is None or chosen.score is None:
            return spells
        applied = np.flatnonzero(chosen.round < n_periods)
        when = FIRST_YEAR + chosen.round[applied]
        return pd.DataFrame(
            {
                "firm_id": firms.ids[applied],
                "award_year": when,
                "programme": PROGRAMME,
                "applied": when,
                "score": np.round(chosen.score[applied], 2),
                "awarded": start[applied] < n_periods,
            }
        )

    def _law(self, settings: DrawSettings, starts: IntArray) -> SuperPopulation:
        """The law of the draw, for all firms and for each class of size."""
        classes = size_class(SIZES)
        everyone = np.ones(SIZES.size, dtype=bool)
        by_class = {
            ("size_class", name): self._law_among(settings, starts, classes.values == name)
            for name in classes.names
        }
        whole = self._law_among(settings, starts, everyone)
        return SuperPopulation(whole.shares, whole.effects, segments=by_class)

    def _law_among(
        self, settings: DrawSettings, starts: IntArray, sizes: FloatArray
    ) -> SuperPopulation:
        chances = self.selection.chances(settings.n_firms) * (MASS * sizes)[:, None]
        chances = chances / (MASS * sizes).sum()
        shares = chances.sum(axis=0)
        side = self.interference.expected(shares[:-1], starts, settings)
        effects = {}
        for k, start in enumerate(starts):
            of_size = chances[:, k] / shares[k]
            for t in range(settings.n_periods):
                pair = (FIRST_YEAR + int(start), FIRST_YEAR + t)
                direct = self.effect.expected(settings.preset, k, t - int(start))
                mean = direct * float(of_size @ (1 + self.effect.by_size * standardised(SIZES)))
                mean += self.effect.before(t - int(start))
                effects[pair] = mean + (float(side[t]) if t < start else 0.0)
        cohorts = [FIRST_YEAR + int(start) for start in starts]
        return SuperPopulation(dict(zip(cohorts, map(float, shares), strict=False)), effects)


def _baseline(firms: Population) -> tuple[str, ...]:
    """Columns that a panel can take: one class of size tells nobody apart, as in tiny draws."""
    varied = np.unique(firms.categories["size_class"].codes).size > 1
    return BASELINE if varied else BASELINE[:-1]


def _frame(firms: Population, years: IntArray, observed: FloatArray) -> pd.DataFrame:
    n, n_periods = observed.shape
    categories = firms.categories
    return pd.DataFrame(
        {
            "firm_id": np.repeat(firms.ids, n_periods),
            "year": np.tile(years, n),
            "ln_exports": observed.ravel(),
            "employees": np.repeat(firms.employees, n_periods),
            **{name: categories[name].repeated(n_periods) for name in BASELINE[1:]},
        }
    )
