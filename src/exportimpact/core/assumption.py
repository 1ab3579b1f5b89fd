"""The assumption lattice: what an estimator requires, with alternatives where theory has them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from exportimpact.errors import InputError, did_you_mean

ASSUMPTIONS: frozenset[str] = frozenset(
    {
        "parallel_trends",
        "parallel_trends_given_x",
        "parallel_growth",
        "parallel_growth_given_x",
        "no_anticipation",
        "overlap",
        "close_matches",
        "outcome_model",
        "propensity_model",
        "unconfoundedness",
        "typical_firms_comparable",
        "no_interference",
        "same_measurement",
        "homogeneous_effects",
        "strict_exogeneity",
        "mean_stationarity",
        "no_dominant_firm",
        "missing_at_random",
        "independent_clusters",
    }
)
"""Names that requirements and scenarios may use; each has a sentence in the catalogue."""

TRENDS = frozenset({"parallel_trends", "parallel_trends_given_x"})
"""Parallel on the outcome's own scale: differences of levels, or of logs of an outcome in logs."""

GROWTH = frozenset({"parallel_growth", "parallel_growth_given_x"})
"""Parallel in the growth ratios of mean levels: where levels differ, another assumption."""

OF_MATCHES = frozenset({"close_matches"})
"""Assumptions about what a matcher did, on which a scenario has no say."""


@dataclass(frozen=True)
class Requirement:
    """`kind` of the `parts`: every one ("all") or at least one ("any") must hold."""

    kind: Literal["all", "any"]
    parts: tuple[Requirement | str, ...]

    def holds(self, held: Iterable[str]) -> bool:
        """Return whether the requirement is met where the assumptions `held` hold."""
        known = frozenset(held)
        met = [p.holds(known) if isinstance(p, Requirement) else p in known for p in self.parts]
        return all(met) if self.kind == "all" else any(met)

    def names(self) -> frozenset[str]:
        """Return every assumption that is named, alternatives included."""
        found: set[str] = set()
        for part in self.parts:
            found |= part.names() if isinstance(part, Requirement) else {part}
        return frozenset(found)

    def listed(self) -> tuple[str, ...]:
        """Return `names` in the order in which they are named."""
        found: list[str] = []
        for part in self.parts:
            found += part.listed() if isinstance(part, Requirement) else [part]
        return tuple(dict.fromkeys(found))

    def replaced(self, named: frozenset[str], by: str) -> Requirement:
        """Return the requirement with one assumption in the place of others."""
        parts: list[Requirement | str] = []
        for part in self.parts:
            if isinstance(part, Requirement):
                new: Requirement | str = part.replaced(named, by)
            else:
                new = by if part in named else part
            if new not in parts:
                parts.append(new)
        return Requirement(self.kind, tuple(parts))

    def __str__(self) -> str:
        shown = [f"({p})" if isinstance(p, Requirement) else p for p in self.parts]
        return (" and " if self.kind == "all" else " or ").join(shown)


Required: TypeAlias = Requirement | str | Iterable["Requirement | str"]


def all_of(*parts: Requirement | str) -> Requirement:
    """Return the requirement that every part holds.

    Examples
    --------
    >>> need = all_of("overlap", any_of("outcome_model", "propensity_model"))
    >>> need.holds({"overlap", "outcome_model"}), need.holds({"overlap"})
    (True, False)
    """
    return Requirement("all", _checked(parts))


def any_of(*parts: Requirement | str) -> Requirement:
    """Return the requirement that at least one part holds."""
    return Requirement("any", _checked(parts))


def as_requirement(required: Required) -> Requirement:
    """Return a requirement from a requirement, a name, or a set of either (all must hold)."""
    if isinstance(required, Requirement):
        return required
    if isinstance(required, str):
        return all_of(required)
    parts = sorted(required, key=str)
    return all_of(*parts)


def _checked(parts: tuple[Requirement | str, ...]) -> tuple[Requirement | str, ...]:
    for part in parts:
        if isinstance(part, str) and part not in ASSUMPTIONS:
            raise InputError(
                "EI-E01",
                f"Unknown assumption {part!r}: a check registered for it could never be found. "
                + did_you_mean(part, sorted(ASSUMPTIONS)),
                assumption=part,
            )
    return parts
