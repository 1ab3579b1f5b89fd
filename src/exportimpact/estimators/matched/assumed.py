"""What comparisons of matched firms assume, by how firms were matched and what is compared."""

from __future__ import annotations

from exportimpact.core.assumption import Requirement, all_of, any_of
from exportimpact.core.protocols import DesignLike
from exportimpact.core.step import Step
from exportimpact.errors import CapabilityError


def required(design: DesignLike, *, change: bool, regression: bool) -> Requirement:
    """Return what is assumed of the weights of a design, with or without a regression."""
    alike = "parallel_trends_given_x" if change else "unconfoundedness"
    always = all_of(alike, "no_anticipation", "overlap")
    models = design.terms.models
    if models is None or not regression or not models.parts:
        return always  # what the weights need without a regression is the design's to say
    weights_too = "close_matches" not in models.names()
    either = any_of("outcome_model", "propensity_model") if weights_too else "outcome_model"
    return all_of(*always.parts, either)


def rung(*, change: bool) -> Step:
    """Return the rung that levels (V-a) or changes since the base period (V-b) can reach."""
    return Step.V_B if change else Step.V_A


def require_match(design: DesignLike, title: str) -> None:
    """Refuse a design that has not been matched.

    Raises
    ------
    CapabilityError
        EI-E11.
    """
    if not design.settings["asks"]["matched"]:
        raise CapabilityError(
            "EI-E11",
            f"{title} compares matched firms, and this design has not been matched: every "
            "comparison firm would count alike, whatever it is. Match first, such as "
            "design.match(ei.matching.Nearest(caliper=0.2)), or weight with "
            "design.match(ei.matching.InverseProbability()).",
            estimator=title,
        )
