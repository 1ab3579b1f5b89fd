"""A scenario, and one draw of it: the data that an evaluator would see, apart from the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from exportimpact.core.assumption import ASSUMPTIONS, OF_MATCHES
from exportimpact.data import NEVER, Assignment, Panel
from exportimpact.data.cards import html_card, text_card
from exportimpact.errors import InputError, did_you_mean
from exportimpact.synthetic.draw import Drawn, DrawSettings
from exportimpact.synthetic.presets import PRESETS
from exportimpact.synthetic.truth import Truth

MIN_FIRMS, MIN_PERIODS = 10, 6


@dataclass(frozen=True, kw_only=True, repr=False)
class Scenario:
    """A world in which the effect of support is known.

    Attributes
    ----------
    name, title : str
    story : str
        What happens, in three lines.
    holds, fails : frozenset of str
        Assumptions that hold, and that fail, by construction. What is in neither holds only about.
    presets : tuple of str
        Effect presets that may be asked for; the first is the default.
    sources : tuple of str
        Where sizes come from.
    n_firms, n_periods : int
        Default numbers of firms and years.
    size : int
        Number of firms at which the quick tier of conformance draws it: an oracle test sees the
        violation in at least 95 % of such draws.
    violation : str or None
        The one assumption that the scenario is there to break.
    options : tuple of (str, object)
        What `design_options` says beyond the outcome ``"ln_exports"``.
    generate : callable
        The data-generating process.
    """

    name: str
    title: str
    story: str
    holds: frozenset[str]
    presets: tuple[str, ...]
    sources: tuple[str, ...]
    generate: Callable[[DrawSettings], Drawn]
    fails: frozenset[str] = frozenset()
    n_firms: int = 2000
    n_periods: int = 10
    size: int = 600
    violation: str | None = None
    options: tuple[tuple[str, Any], ...] = ()

    def draw(
        self,
        *,
        n_firms: int | None = None,
        n_periods: int | None = None,
        seed: int = 1,
        preset: str | None = None,
    ) -> Bench:
        """Return one draw; the same arguments give the same bytes.

        Parameters
        ----------
        n_firms : int, optional
            Number of firms, at least 10; the scenario's default when not given.
        n_periods : int, optional
            Number of years, at least 6; the scenario's default when not given.
        seed : int
            Not negative. Firms, awards, outcomes and effects are drawn from independent streams.
        preset : str, optional
            Size of the effect, one of `presets`; the first when not given.

        Raises
        ------
        InputError
            EI-X02 for a size or seed that cannot be drawn, EI-X03 for an unknown preset.
        """
        size = self.n_firms if n_firms is None else n_firms
        length = self.n_periods if n_periods is None else n_periods
        for label, value, least in (
            ("n_firms", size, MIN_FIRMS),
            ("n_periods", length, MIN_PERIODS),
            ("seed", seed, 0),
        ):
            _check_integer(label, value, least)
        chosen = self.presets[0] if preset is None else preset
        if chosen not in self.presets:
            raise InputError(
                "EI-X03",
                f"Scenario {self.name!r} has no effect preset {chosen!r}; its effect would have no "
                f"stated size or source. {did_you_mean(chosen, self.presets)}",
                scenario=self.name,
                preset=chosen,
            )
        settings = DrawSettings(
            scenario=self.name,
            n_firms=int(size),
            n_periods=int(length),
            seed=int(seed),
            preset=PRESETS[chosen],
        )
        return Bench(scenario=self, preset=chosen, seed=int(seed), drawn=self.generate(settings))

    @property
    def design_options(self) -> dict[str, Any]:
        """Keyword arguments of `Design` that suit the scenario; `outcome` is always there."""
        return {"outcome": "ln_exports", **dict(self.options)}

    @property
    def approximate(self) -> frozenset[str]:
        """Assumptions that hold only about: neither promised nor broken on purpose."""
        return ASSUMPTIONS - OF_MATCHES - self.holds - self.fails

    def __repr__(self) -> str:
        return text_card(*self._card())

    def _repr_html_(self) -> str:
        return html_card(*self._card())

    def _card(self) -> tuple[str, list[tuple[str, str]]]:
        story = self.story.splitlines()
        labels = ["story", *[""] * (len(story) - 1)]
        return f"Scenario {self.name!r}: {self.title}", [
            *zip(labels, story, strict=True),
            ("fails", ", ".join(sorted(self.fails)) or "nothing"),
            ("presets", ", ".join(self.presets)),
        ]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Bench:
    """A synthetic panel with its awards and its truth.

    Attributes
    ----------
    scenario : Scenario
    preset : str
        Name of the effect preset.
    seed : int
    drawn : Drawn
        What the scenario's data-generating process returned.
    """

    scenario: Scenario
    preset: str
    seed: int
    drawn: Drawn = field(repr=False)

    @property
    def frame(self) -> pd.DataFrame:
        """A copy of the observed data, one row per firm_id and year."""
        return self.drawn.frame.copy()

    @property
    def spells(self) -> pd.DataFrame:
        """A copy of the awards, and of the applications where the scenario has them."""
        return self.drawn.spells.copy()

    @property
    def survey(self) -> pd.DataFrame | None:
        """A copy of the answers of supported firms, where the scenario asks them."""
        return None if self.drawn.survey is None else self.drawn.survey.copy()

    @property
    def truth(self) -> Truth:
        """The oracle over both potential outcomes of this draw."""
        return self.drawn.truth

    @cached_property
    def panel(self) -> Panel:
        """The observed data as a `Panel`, made when first asked for."""
        return Panel.from_frame(
            self.drawn.frame,
            unit="firm_id",
            period="year",
            outcomes=list(self.drawn.outcomes),
            baseline=list(self.drawn.baseline),
            exit=self.drawn.exit,
            cluster=self.drawn.cluster,
        )

    @cached_property
    def support(self) -> Assignment:
        """The awards as an `Assignment`, focused on the programme that is evaluated."""
        recorded = {name: name for name in ("amount", "applied", "score", "awarded")}
        present = {k: k if k in self.drawn.spells else None for k in recorded}
        support = Assignment.from_spells(
            self.drawn.spells,
            unit="firm_id",
            start="award_year",
            programme="programme",
            amount=present["amount"],
            applied=present["applied"],
            score=present["score"],
            awarded=present["awarded"],
        )
        return support.focus(self.drawn.focus, others=self.drawn.others)

    def __repr__(self) -> str:
        return text_card(*self._card())

    def _repr_html_(self) -> str:
        return html_card(*self._card())

    def _card(self) -> tuple[str, list[tuple[str, str]]]:
        cohort, periods = self.truth.cohort, self.truth.periods
        starts, firms = np.unique(cohort[cohort != NEVER], return_counts=True)
        cohorts = ", ".join(f"{g} ({n:,} firms)" for g, n in zip(starts, firms, strict=True))
        rows = f"{len(self.drawn.frame):,} rows"
        return f"Bench of {self.scenario.name!r}, preset {self.preset!r}, seed {self.seed}", [
            ("firms", f"{cohort.size:,}, {periods[0]} to {periods[-1]}, {rows}"),
            ("supported", cohorts or "none"),
            ("outcomes", ", ".join(o.name for o in self.drawn.outcomes)),
            ("baseline", ", ".join(self.drawn.baseline)),
        ]


def _check_integer(label: str, value: object, least: int) -> None:
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= least:
        return
    raise InputError(
        "EI-X02",
        f"{label}={value!r} cannot be drawn: a whole number of at least {least} is needed, so that "
        f"there are periods before and after every start and the draw can be repeated. Pass "
        f"{label}={least} or more.",
        **{label: value},
    )
