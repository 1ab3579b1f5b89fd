"""What a data-generating process is asked for, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from exportimpact.core.outcome import Outcome
from exportimpact.data.assignment import Others
from exportimpact.synthetic.presets import Preset
from exportimpact.synthetic.truth import Truth

_PARTS = ("firms", "support", "outcomes", "effects", "reports")


@dataclass(frozen=True, kw_only=True)
class DrawSettings:
    """What a data-generating process is asked for."""

    scenario: str
    n_firms: int
    n_periods: int
    seed: int
    preset: Preset

    def streams(self) -> dict[str, np.random.Generator]:
        """Return one generator per part, so that a change in one part leaves the others alone."""
        children = np.random.SeedSequence(self.seed).spawn(len(_PARTS))
        generators = (np.random.Generator(np.random.PCG64(child)) for child in children)
        return dict(zip(_PARTS, generators, strict=True))


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """What a data-generating process returns.

    Attributes
    ----------
    frame : DataFrame
        One row per firm and year: what is observed, and nothing else.
    spells : DataFrame
        One row per award or application: firm_id, award_year, programme, and more.
    outcomes, baseline, exit
        How `Panel.from_frame` reads the frame.
    focus : str
        The programme whose effect is asked for.
    truth : Truth
    others : {"drop_comparison", "ignore", "censor"}
        How `Assignment.focus` treats firms with support by other programmes.
    cluster : str or None
        Column of the cluster that the panel declares.
    survey : DataFrame or None
        Answers of supported firms, where they were asked.
    """

    frame: pd.DataFrame
    spells: pd.DataFrame
    outcomes: tuple[Outcome, ...]
    baseline: tuple[str, ...]
    focus: str
    truth: Truth
    exit: str | None = None
    others: Others = "drop_comparison"
    cluster: str | None = None
    survey: pd.DataFrame | None = None
