"""What an estimator declares about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exportimpact.core.assumption import Requirement
from exportimpact.core.notebook import Shown
from exportimpact.core.step import Step


@dataclass(frozen=True, kw_only=True)
class EstimatorSpec(Shown):
    """What an estimator declares about itself.

    Attributes
    ----------
    id, title, reference : str
    step : Step
        The highest rung that it can reach.
    requires : Requirement
        Assumptions, with alternatives.
    blind_to : Mapping
        Assumption -> why its failure cannot be seen by this method.
    accepts : frozenset of {"weights", "matched", "not_yet", "rejected", "covariates"}
        What a design may ask of it.
    conservative : bool
        Whether errors are too wide by theory.
    scales : frozenset of str, or None
        Scales of outcomes that it takes; None for all.
    """

    id: str
    title: str
    reference: str
    step: Step
    requires: Requirement
    blind_to: Mapping[str, str]
    accepts: frozenset[str]
    estimands: tuple[str, ...] = ("att",)
    conservative: bool = False
    scales: frozenset[str] | None = None
