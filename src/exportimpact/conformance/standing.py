"""Where an estimator stands in a scenario: what it requires holds, fails, or holds only about."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias

from exportimpact.conformance.arranged import Arranged
from exportimpact.conformance.tier import N_PERIODS
from exportimpact.core.assumption import GROWTH, TRENDS, Requirement
from exportimpact.core.provenance import Provenance
from exportimpact.design import Design, SealedDesign
from exportimpact.errors import ExportImpactError
from exportimpact.synthetic import scenario

Kind: TypeAlias = Literal["right", "broken", "unclear"]

BACKGROUND = frozenset(
    {"no_interference", "same_measurement", "independent_clusters", "missing_at_random"}
)
"""What any comparison of firms needs, whether or not its method says so."""

IN_MEANS = frozenset({"level", "count", "share"})
"""Scales on which a handful of firms can carry a mean: they need `no_dominant_firm` as well."""

PARALLEL = TRENDS | GROWTH
"""Whoever breaks one of these on purpose has broken all that do not hold, on every scale."""


@dataclass(frozen=True, eq=False)
class Standing:
    """Where an estimator stands in a scenario.

    Attributes
    ----------
    kind : {"right", "broken", "unclear"}
        Everything required holds; one required assumption fails; anything else.
    required : frozenset of str
        What method and design require.
    broken : tuple of str
        Required assumptions that do not hold.
    reason : str
        Why it is unclear.
    design : SealedDesign
        The scenario's design on its first draw.
    """

    kind: Kind
    required: frozenset[str]
    broken: tuple[str, ...]
    reason: str
    design: SealedDesign


def standing(estimator: Any, name: str) -> Standing:
    """Return where `estimator` stands in the scenario `name`."""
    world, design = scenario(name), _first_design(name)
    try:
        design = _matched(estimator, design)
    except ExportImpactError as error:
        reason = f"its design is refused: {error.code}"
        return Standing("unclear", frozenset(), (), reason, design)
    scale, scales = design.outcome_spec.scale, estimator.spec.scales
    if scales is not None and scale not in scales:
        reason = f"does not take an outcome of scale {scale!r}"
        return Standing("unclear", frozenset(), (), reason, design)
    method = getattr(estimator, "estimator", estimator)
    requires = Provenance.of(method, design).requires
    background = set(BACKGROUND)
    if design.outcome_spec.scale in IN_MEANS:
        background.add("no_dominant_firm")
    required = requires.names() | background
    unmet = _unmet(requires, world.holds) | (background - world.holds)
    if not unmet:
        return Standing("right", required, (), "", design)
    about = sorted(unmet - world.fails)
    if about:
        reason = f"holds only about: {', '.join(about)}"
        return Standing("unclear", required, tuple(sorted(unmet)), reason, design)
    aimed = _family(world.violation) & unmet
    # What a scenario does not break on purpose has not been sized so that it can be seen.
    sized = world.violation is not None or unmet <= set(estimator.spec.blind_to)
    if aimed or (len(unmet) == 1 and sized):
        return Standing("broken", required, tuple(sorted(aimed or unmet)), "", design)
    why = "breaks more than one requirement" if sized else "not broken on purpose, nor sized to see"
    reason = f"{why}: {', '.join(sorted(unmet))}"
    return Standing("unclear", required, tuple(sorted(unmet)), reason, design)


def _matched(estimator: Any, design: SealedDesign) -> SealedDesign:
    """Return the design as the estimator gets it."""
    if not isinstance(estimator, Arranged):
        return design
    return design.match(estimator.matcher, lags=estimator.lags).seal()


def draw_design(name: str, *, n_firms: int, seed: int, preset: str | None = None) -> Any:
    """Return a draw of a scenario and its design, as (bench, design)."""
    world = scenario(name)
    bench = world.draw(n_firms=n_firms, n_periods=N_PERIODS, seed=seed, preset=preset)
    return bench, Design(bench.panel, bench.support, **world.design_options)


@cache
def _first_design(name: str) -> SealedDesign:
    _, design = draw_design(name, n_firms=scenario(name).size, seed=1)
    sealed: SealedDesign = design.seal()
    return sealed


def _unmet(requires: Requirement, holds: frozenset[str]) -> frozenset[str]:
    """Return the assumptions that stand between the requirement and what holds."""
    if requires.holds(holds):
        return frozenset()
    found: set[str] = set()
    for part in requires.parts:
        if isinstance(part, Requirement):
            found |= _unmet(part, holds)
        elif part not in holds:
            found.add(part)
    return frozenset(found)


def _family(assumption: str | None) -> frozenset[str]:
    if assumption is None:
        return frozenset()
    return PARALLEL if assumption in PARALLEL else frozenset({assumption})
