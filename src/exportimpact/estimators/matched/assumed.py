"""What comparisons of matched firms assume, by how firms were matched and what is compared."""

from __future__ import annotations

from exportimpact.core.assumption import Requirement, all_of, any_of
from exportimpact.core.protocols import DesignLike
from exportimpact.core.step import Step
from exportimpact.errors import CapabilityError

_BY_PROPENSITY = frozenset({"InverseProbability", "Overlap"})


def required(design: DesignLike, *, change: bool, regression: bool) -> Requirement:
    """Return what is assumed of the weights of a design, with or without a regression."""
    alike = "parallel_trends_given_x" if change else "unconfoundedness"
    matcher = str(design.settings.get("matching", {}).get("matcher", ""))
    models: tuple[Requirement | str, ...]
    if matcher == "Exact":
        models = ()
    elif matcher == "EntropyBalancing" or (regression and matcher in _BY_PROPENSITY):
        models = (any_of("outcome_model", "propensity_model"),)
    elif matcher in _BY_PROPENSITY:
        models = ("propensity_model",)
    else:
        models = ("outcome_model" if regression else "close_matches",)
    return all_of(alike, "no_anticipation", "overlap", *models)


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
