"""What a design may be asked for: options, names, and whether anybody is left to compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from exportimpact._typing import Base, Comparison, Unbalanced
from exportimpact.data import Assignment, Panel
from exportimpact.design.matching import Matcher
from exportimpact.design.matching.options import described
from exportimpact.errors import ColumnError, InputError, NotIdentifiedError, did_you_mean

if TYPE_CHECKING:
    from exportimpact.design.design import Design

_OPTIONS: dict[str, tuple[str, ...]] = {
    "comparison": get_args(Comparison),
    "base": get_args(Base),
    "unbalanced": get_args(Unbalanced),
    "never": ("loosely", "strictly"),
}


def check_options(design: Design) -> None:
    """Raise a coded error for an option or a name that does not exist."""
    _check_parts(design.panel, design.support)
    names = [o.name for o in design.panel.outcomes]
    if design.outcome not in names:
        raise ColumnError(
            "EI-D01",
            f"The panel has no outcome {design.outcome!r}; a design needs exactly one outcome of "
            f"its panel. {did_you_mean(design.outcome, names)}",
            outcome=design.outcome,
        )
    for option, allowed in _OPTIONS.items():
        value = getattr(design, option)
        if value not in allowed:
            raise InputError(
                "EI-D02",
                f"{option}={value!r} is unknown; it decides which firms are compared. "
                f"{did_you_mean(str(value), allowed)}",
                option=option,
                value=value,
            )
    for option, least in (("anticipation", 0), ("min_supported", 1)):
        value = getattr(design, option)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InputError(
                "EI-D03",
                f"{option}={value!r} must be a whole number of at least {least}; it decides which "
                "periods and firms enter.",
                option=option,
                value=value,
            )
    known = (
        *design.panel.baseline_names,
        *([design.panel.cluster] if design.panel.cluster else []),
        design.panel.unit,
    )
    if design.assigned_at is not None and design.assigned_at not in known:
        raise ColumnError(
            "EI-D06",
            f"assigned_at={design.assigned_at!r} is not a baseline or cluster column of the "
            "panel, so that the level of assignment cannot be cross-checked. "
            f"{did_you_mean(design.assigned_at, known)}",
            column=design.assigned_at,
        )


def _check_parts(panel: object, support: object) -> None:
    if not isinstance(panel, Panel) or not isinstance(support, Assignment):
        raise InputError(
            "EI-D13",
            f"A design takes a Panel and an Assignment, not a {type(panel).__name__} and a "
            f"{type(support).__name__}; data frames have not been checked. Make them with "
            "Panel.from_frame and Assignment.from_spells or from_first_period.",
        )


def check_support(design: Design) -> None:
    """Raise a coded error when nobody is supported, or nobody is left to compare with."""
    if design.comparison == "rejected" and not design.aligned.rejected:
        raise InputError(
            "EI-D05",
            "comparison='rejected' needs applications that were not awarded, and the support data "
            "hold none; without them the comparison firms would be chosen by the analyst. Pass "
            'Assignment.from_spells(..., awarded="column"), or compare with "never" or "not_yet".',
        )
    sample = design._sample
    if not sample.cohorts.size:
        raise NotIdentifiedError(
            "EI-D07",
            f"No firm of the design{_only(design)} is first supported inside the panel: "
            f"{int(design.aligned.before_panel.sum())} were supported at or before its first "
            f"period, {int(design.aligned.after_panel.sum())} after its last. There is no change "
            "to measure. Check the award years against the panel's periods, and which outcome "
            "values are missing.",
        )
    if design.comparison == "never" and not sample.in_never_pool.any():
        raise NotIdentifiedError(
            "EI-D08",
            f"No firm of the design{_only(design)} was never supported, so that there is "
            "nothing to compare with. "
            'Use comparison="not_yet" (firms supported later), or add firms without support.',
        )


def _only(design: Design) -> str:
    only = design.segment
    return "" if only is None else f" (only {only.column} = {only.label} at the base period)"


def check_matching(design: Design) -> None:
    """Raise a coded error for matching that cannot mean anything."""
    matcher: object = design.matcher
    if isinstance(matcher, type) or not isinstance(matcher, Matcher):
        raise InputError(
            "EI-D14",
            f"{matcher!r} is not a matcher, so that it is not known who is to be compared. "
            "Pass an instance such as ei.matching.Nearest(caliper=0.2).",
        )
    for option in ("horizon", "lags"):
        value = getattr(design, option)
        wrong = isinstance(value, bool) or not isinstance(value, int) or value < 0
        if wrong and not (option == "horizon" and value is None):
            raise InputError(
                "EI-D03",
                f"{option}={value!r} must be a whole number of at least 0; it decides which "
                "periods and firms enter.",
                option=option,
                value=value,
            )


def settings_of(design: Design) -> dict[str, Any]:
    """Return the options of a design as plain values."""
    panel, calendar = design.panel, design.panel.calendar
    covariates = design.covariates
    return {
        "outcome": design.outcome,
        "comparison": design.comparison,
        "covariates": covariates if isinstance(covariates, str) else list(covariates),
        "anticipation": design.anticipation,
        "base": design.base,
        "unbalanced": design.unbalanced,
        "assigned_at": design.assigned_at,
        "never": design.never,
        "min_supported": design.min_supported,
        "programme": design.support.programme,
        "others": design.support.others,
        "cluster": panel.cluster,
        "weighted": panel.weight is not None,
        "frequency": calendar.frequency,
        "step": int(calendar.step),
        "first_period": int(calendar.ordinals[0]),
        "last_period": int(calendar.ordinals[-1]),
        "panel": panel.fingerprint,
        **_matching_of(design),
        **({} if design.segment is None else {"segment": design.segment.described()}),
        "asks": {
            "weights": panel.weight is not None,
            "matched": design.matcher is not None,
            "not_yet": design.comparison == "not_yet",
            "rejected": design.comparison == "rejected",
            "covariates": bool(covariates),
            **({"supported_before": True} if design.aligned.supported_before else {}),
        },
    }


def _matching_of(design: Design) -> dict[str, Any]:
    """Return the options of matching; none where there is no matching, as seals before it had."""
    if design.matcher is None:
        return {}
    matching = {
        **described(design.matcher),
        "horizon": design.horizon,
        "lags": design.lags,
        "thresholds": {k: v for k, v in described(design.thresholds).items() if k != "matcher"},
    }
    return {"matching": matching}
