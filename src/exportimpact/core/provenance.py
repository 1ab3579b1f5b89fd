"""Which estimator, with which parameters, on which sealed design, made a result."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from exportimpact._typing import Rng
from exportimpact.core.assumption import TRENDS, Requirement, all_of
from exportimpact.core.protocols import DesignLike
from exportimpact.core.step import Step
from exportimpact.core.terms import Terms

if TYPE_CHECKING:
    from exportimpact.core.spec import EstimatorSpec


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The record that every result carries.

    Attributes
    ----------
    estimator, title, reference : str
    parameters : dict of the estimator's configuration
    step : Step
    requires : Requirement
        Assumptions of method and design together.
    conservative : bool
    seal : str
        Hash of the design.
    exploratory : bool
        Whether the design was sealed only when it was estimated.
    settings : dict of the design's options
    max_step : Step
        The highest rung that the design allows.
    blind_to : dict of assumption to reason
        Required assumptions whose failure the estimator declares that it cannot see.
    """

    estimator: str
    title: str
    reference: str
    parameters: dict[str, Any]
    step: Step
    requires: Requirement
    conservative: bool
    seal: str
    exploratory: bool
    settings: dict[str, Any]
    max_step: Step = Step.VI
    blind_to: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, estimator: Any, design: DesignLike) -> Provenance:
        """Return the record of `estimator` on `design`."""
        spec: EstimatorSpec = estimator.spec
        own = getattr(estimator, "requirement", None)
        method = own(design) if callable(own) else spec.requires
        method = _on_matched(method, design.terms)
        reached: Step = getattr(estimator, "reached", spec.step)
        most = design.terms.max_step
        requires = all_of(method, *design.assumes) if spec.step.is_causal else method
        return cls(
            estimator=spec.id,
            title=spec.title,
            reference=spec.reference,
            parameters=parameters_of(estimator),
            step=min(reached, most, key=lambda step: step.rank),
            max_step=most,
            requires=requires,
            conservative=spec.conservative,
            seal=str(getattr(design, "hash", "")),
            exploratory=bool(getattr(design, "exploratory", True)),
            settings=dict(design.settings),
            blind_to={a: why for a, why in spec.blind_to.items() if a in requires.names()},
        )

    @property
    def anticipation(self) -> int:
        """Periods before support in which firms may already react."""
        return int(self.settings.get("anticipation", 0)) * self.step_length

    @property
    def lags(self) -> int:
        """Outcomes up to the base period that firms were matched on."""
        return int(self.settings.get("matching", {}).get("lags", 0))

    @property
    def step_length(self) -> int:
        """Distance between two periods of the panel, in ordinals."""
        return int(self.settings.get("step", 1))

    @property
    def programme(self) -> str:
        """The programme in focus, or "any"."""
        return str(self.settings.get("programme") or "any")

    def generator(self, rng: Rng) -> np.random.Generator:
        """Return a generator from a seed, a generator, or, for None, the seal."""
        return seeded(rng, self.seal)


def _on_matched(method: Requirement, terms: Terms) -> Requirement:
    """Return what a method requires on a matched design: of firms alike in what was matched on."""
    if terms.models is None or not method.names() & (TRENDS | {"unconfoundedness"}):
        return method
    if terms.lags:
        # Firms alike in past outcomes are compared (Ding & Li 2019, doi:10.1017/pan.2019.25).
        method = method.replaced(TRENDS, "unconfoundedness")
    method = method.replaced(frozenset({"parallel_trends"}), "parallel_trends_given_x")
    corrected = "outcome_model" in method.names()
    models = () if corrected or not terms.models.parts else (terms.models,)
    return all_of(method, "overlap", *models)


def parameters_of(estimator: object) -> dict[str, Any]:
    """Return an estimator's configuration as plain values, for the manifest."""
    if not is_dataclass(estimator):
        return {}
    return {f.name: getattr(estimator, f.name) for f in fields(estimator)}


def seeded(rng: Rng, seal: str) -> np.random.Generator:
    """Return a generator from a seed, a generator, or, for None, the seal."""
    if isinstance(rng, np.random.Generator):
        return rng
    return np.random.default_rng(int(seal[:16] or "0", 16) if rng is None else rng)
