"""What an evaluator sees of the clean world: closures, silence, lost links, and stretched reports.

Each report takes a draw and returns it as it is recorded. None of them moves the truth, except that
closing takes away the outcomes of firms that closed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import expit

from exportimpact._typing import BoolArray, FloatArray
from exportimpact.core.outcome import Outcome
from exportimpact.data import NEVER
from exportimpact.synthetic.draw import Drawn
from exportimpact.synthetic.linear import Story
from exportimpact.synthetic.truth import PotentialOutcomes, SuperPopulation


def _supported(story: Story) -> BoolArray:
    """Firms by year since their start, (n_firms, n_periods)."""
    since: BoolArray = story.years >= story.cohort[:, None]
    return since


@dataclass(frozen=True, kw_only=True)
class WeakFirmsClose:
    """Slowly growing firms close, from the first awards on; supported firms are kept alive.

    Attributes
    ----------
    hazard : float
        Yearly chance that a firm of a growth type below `weak` closes.
    kept : float
        Share of the hazard that support takes away.
    weak : float
    """

    hazard: float = 0.5
    kept: float = 0.9
    weak: float = 0.0

    def apply(self, drawn: Drawn, story: Story, rng: np.random.Generator) -> Drawn:
        """Return the draw with closures, and survival as a second outcome."""
        supported = _supported(story)
        luck = rng.random(supported.shape)
        first = story.cohort.min()
        hazard = np.where((story.firms.growth < self.weak)[:, None], self.hazard, 0.0)
        hazard = np.where(story.years > first, hazard, 0.0)
        alive = np.logical_and.accumulate(luck >= hazard, axis=1)
        kept = hazard * np.where(supported, 1 - self.kept, 1.0)
        alive_with = np.logical_and.accumulate(luck >= kept, axis=1)
        old = drawn.truth.outcomes["ln_exports"]
        outcomes = {
            "ln_exports": PotentialOutcomes(
                np.where(alive, old.without_support, np.nan),
                np.where(alive_with, old.with_support, np.nan),
                "logged",
            ),
            "operating": PotentialOutcomes(alive * 1.0, alive_with * 1.0, "binary"),
        }
        last = alive_with & ~np.column_stack([alive_with[:, 1:], alive_with[:, -1]])
        frame = drawn.frame.assign(operating=1.0, closed=last.ravel())
        return replace(
            drawn,
            frame=frame[alive_with.ravel()].reset_index(drop=True),
            outcomes=(*drawn.outcomes, Outcome("operating", scale="binary")),
            exit="closed",
            truth=replace(drawn.truth, outcomes=outcomes, complete=False),
        )


@dataclass(frozen=True, kw_only=True)
class DisappointedLeave:
    """Supported firms whose own effect is below the mean stop reporting, and never come back.

    Attributes
    ----------
    chance : float
        Yearly, from the year of the start on.
    """

    chance: float = 0.8

    def apply(self, drawn: Drawn, story: Story, rng: np.random.Generator) -> Drawn:
        """Return the draw without the reports of firms that left."""
        supported = _supported(story)
        leaves = supported & (story.own < 0)[:, None] & (rng.random(supported.shape) < self.chance)
        reports = ~np.logical_or.accumulate(leaves, axis=1)
        frame = drawn.frame[reports.ravel()].reset_index(drop=True)
        return replace(drawn, frame=frame, truth=replace(drawn.truth, complete=False))


@dataclass(frozen=True, kw_only=True)
class LostLinks:
    """Awards that carry an identifier which the panel does not have, most of small firms.

    Attributes
    ----------
    odds, slope : float
        Log odds of being linked: at average employees, and per standard deviation of them.
    """

    odds: float = 0.0
    slope: float = 1.5

    def apply(self, drawn: Drawn, story: Story, rng: np.random.Generator) -> Drawn:
        """Return the draw with awards of unlinked firms under another identifier."""
        firms = story.firms
        linked = rng.random(firms.z.size) < expit(self.odds + self.slope * firms.z)
        lost = pd.Series(~linked, index=firms.ids)
        ids = drawn.spells["firm_id"]
        # Tax numbers in place of business numbers: far from any identifier of the panel.
        spells = drawn.spells.assign(
            firm_id=np.where(ids.map(lost), 900_000_000 + 37 * ids, ids).astype(np.int64)
        )
        return replace(drawn, spells=spells)


@dataclass(frozen=True, kw_only=True)
class Boasting:
    """Firms report exports with an error; supported firms add what they think is expected.

    Attributes
    ----------
    inflation : float
        Log points that supported firms add from their start on.
    error : float
        Standard deviation of the error of any report.
    """

    inflation: float = 0.25
    error: float = 0.1

    def apply(self, drawn: Drawn, story: Story, rng: np.random.Generator) -> Drawn:
        """Return the draw with reported exports beside those of the customs office."""
        supported = _supported(story)
        noise = rng.normal(0.0, self.error, supported.shape)
        customs = drawn.truth.outcomes["ln_exports"]
        reported = customs.with_support + noise + self.inflation * supported
        name = "ln_exports_reported"
        outcomes = {**drawn.truth.outcomes, name: customs}
        laws = {**drawn.truth.laws, name: drawn.truth.laws["ln_exports"]}
        return replace(
            drawn,
            frame=drawn.frame.assign(**{name: reported.ravel()}),
            outcomes=(*drawn.outcomes, Outcome(name, unit="log KRW m", scale="logged")),
            truth=replace(drawn.truth, outcomes=outcomes, laws=laws),
        )


@dataclass(frozen=True, kw_only=True)
class Relabelling:
    """Supported firms sell in their own name what a trading house sold for them before.

    Attributes
    ----------
    jump : float
        Log points by which direct exports rise when nothing more is sold.
    """

    jump: float = 0.4

    def apply(self, drawn: Drawn, story: Story, rng: np.random.Generator) -> Drawn:
        """Return the draw with direct exports beside all exports."""
        direct = np.log(rng.uniform(0.2, 0.6, story.cohort.size))[:, None]
        total = drawn.truth.outcomes["ln_exports"]
        without = total.without_support + direct
        observed = total.with_support + direct + self.jump * _supported(story)
        name, law = "ln_direct_exports", drawn.truth.laws["ln_exports"]
        outcomes = {
            **drawn.truth.outcomes,
            name: PotentialOutcomes(without, observed, "logged"),
        }
        laws = {**drawn.truth.laws, name: self._law(law)}
        return replace(
            drawn,
            frame=drawn.frame.assign(**{name: observed.ravel()}),
            outcomes=(*drawn.outcomes, Outcome(name, unit="log KRW m", scale="logged")),
            truth=replace(drawn.truth, outcomes=outcomes, laws=laws),
        )

    def _law(self, law: SuperPopulation) -> SuperPopulation:
        effects = {(g, t): e + self.jump * (t >= g) for (g, t), e in law.effects.items()}
        segments = {key: self._law(inner) for key, inner in law.segments.items()}
        return SuperPopulation(law.shares, effects, segments=segments)


@dataclass(frozen=True, kw_only=True)
class GlowingSurvey:
    """Supported firms are asked; four in five are very satisfied and credit the programme.

    Attributes
    ----------
    answer_rate : float
    """

    answer_rate: float = 0.6

    def apply(self, drawn: Drawn, story: Story, rng: np.random.Generator) -> Drawn:
        """Return the draw with a survey of supported firms in the year after their start."""
        asked = np.flatnonzero(story.cohort != NEVER)
        answers = asked[rng.random(asked.size) < self.answer_rate]
        n = answers.size
        grade = 1 + np.searchsorted([0.02, 0.05, 0.2, 0.45], rng.random(n), side="right")
        survey = pd.DataFrame(
            {
                "firm_id": story.firms.ids[answers],
                "year": story.cohort[answers] + 1,
                "satisfaction": grade,
                "helped": rng.random(n) < 0.8,
                "self_assessed_growth_percent": np.round(_stated(rng, n), 0),
            }
        )
        return replace(drawn, survey=survey)


def _stated(rng: np.random.Generator, n: int) -> FloatArray:
    # Round numbers around 41 %, what Scottish firms attributed to support.
    stated: FloatArray = 5.0 * np.round(np.clip(rng.normal(41.0, 20.0, n), 0.0, 100.0) / 5.0)
    return stated


@dataclass(frozen=True)
class PastExports:
    """The panel carries the outcome as a covariate, so that past exports can be matched on."""

    def apply(self, drawn: Drawn, story: Story, rng: np.random.Generator) -> Drawn:
        """Return the draw with the covariate `past_exports`."""
        frame = drawn.frame.assign(past_exports=drawn.frame["ln_exports"])
        return replace(drawn, frame=frame, baseline=(*drawn.baseline, "past_exports"))
