"""What a study file may say (`schema = 1`): tables, keys, types, and which keys belong together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt

from exportimpact._typing import AfterExit, Already, Base, Comparison, Scale, Unbalanced

SCHEMA = 1
"""Version of the study file that this release reads."""

Encoding = Literal["utf-8", "cp949"]
MatcherName = Literal[
    "nearest",
    "optimal",
    "exact",
    "coarsened",
    "subclass",
    "entropy_balancing",
    "inverse_probability",
    "overlap",
]


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
"""One name, or a list of names."""


class Entry(BaseModel):
    """A table of the study file; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class About(Entry):
    """`[study]`: what is asked."""

    title: str
    question: str


class Data(Entry):
    """`[data]`: the firm panel; files are relative to the study file."""

    panel: Annotated[Names, Field(min_length=1)]
    unit: str
    period: str
    frequency: Literal["year", "quarter", "month"] | None = None
    baseline: Names = ()
    categorical: Names = ()
    """Columns that hold codes, not amounts: read as text, so that "01" stays "01"."""
    cluster: str | None = None
    weight: str | None = None
    exit: str | None = None
    duplicates: Literal["error", "sum", "first", "last"] = "error"
    missing_baseline: Literal["error", "drop"] = "error"
    encoding: Encoding = "utf-8"


class Support(Entry):
    """`[support]`: awards (`start`), one period per firm (`first_period`), or `dose` by `period`.

    With `dose` the file has a row for each firm and period, and may be the panel's.
    """

    file: str
    unit: str | None = None
    start: str | None = None
    end: str | None = None
    programme: str | None = None
    amount: str | None = None
    applied: str | None = None
    score: str | None = None
    awarded: str | None = None
    first_period: str | None = None
    focus: str | None = None
    others: Literal["drop_comparison", "ignore", "censor"] = "drop_comparison"
    dose: str | None = None
    period: str | None = None
    already: Already = "drop"
    encoding: Encoding | None = None


SUPPORT_KEYS: dict[str, tuple[str, ...]] = {
    "start": ("end", "programme", "amount", "applied", "score", "awarded", "focus", "others"),
    "first_period": (),
    "dose": ("period", "already"),
}
"""What says when support began, each with the keys of `[support]` that have an effect with it."""


class OutcomeEntry(Entry):
    """`[[outcomes]]`: what is measured."""

    name: str
    column: str | None = None
    unit: str | None = None
    scale: Scale = "level"
    after_exit: AfterExit | None = None


class DesignEntry(Entry):
    """`[design]`: who is compared with whom; `outcomes` are evaluated, the first is the primary.

    `placebo` are outcomes that support cannot move: not evaluated, but tested for an effect.
    """

    outcomes: Names = ()
    placebo: Names = ()
    comparison: Comparison = "never"
    covariates: tuple[str, ...] | str = ()
    anticipation: Annotated[int, Field(ge=0)] = 0
    base: Base = "universal"
    unbalanced: Unbalanced = "pairwise"
    assigned_at: str | None = None
    never: Literal["loosely", "strictly"] = "loosely"
    min_supported: PositiveInt = 1


class ThresholdsEntry(Entry):
    """`thresholds` of `[[matching]]`: limits of balance; what is left out keeps its default."""

    smd: Annotated[float, Field(gt=0)] | None = None
    variance_ratio: tuple[float, float] | None = None
    kept: Annotated[float, Field(ge=0, le=1)] | None = None


class MatchingEntry(Entry):
    """`[[matching]]`: a matcher with its options, applied to the design of every outcome."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    name: str = "matched"
    matcher: MatcherName
    horizon: Annotated[int, Field(ge=0)] | None = None
    lags: Annotated[int, Field(ge=0)] = 0
    thresholds: ThresholdsEntry = ThresholdsEntry()

    @property
    def options(self) -> dict[str, Any]:
        """Every key that is the matcher's."""
        return dict(self.model_extra or {})


class EstimatorEntry(Entry):
    """`[[estimators]]`: the name under which a method is registered, and its parameters.

    `outcomes` are those that it estimates, all that are evaluated when left out.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    id: str
    matching: str | None = None
    outcomes: Names = ()

    @property
    def parameters(self) -> dict[str, Any]:
        """Every key that is the method's."""
        return dict(self.model_extra or {})


class SubgroupsEntry(Entry):
    """`[[subgroups]]`: the effect by category of a baseline column, as the headline is estimated.

    A column of numbers needs cut points: `bins` in its own unit, or `quantiles` of supported firms.
    """

    column: str
    bins: tuple[float, ...] | None = None
    quantiles: tuple[float, ...] | None = None
    adjust: Literal["holm", "sup_t", "none"] = "holm"
    aggregation: Literal["simple", "event_time", "cohort", "calendar"] = "simple"


class MarginsEntry(Entry):
    """`[[margins]]`: whether more firms export, and how much exporters export, with bounds.

    Firms are those of a match; where support was drawn by lot, `randomised` says so instead.
    """

    outcome: str
    matching: str | None = None
    event_time: int | None = None
    tighten: str | None = None
    randomised: bool = False


class SensitivityEntry(Entry):
    """`[[sensitivity]]`: intervals of the headline effect when trends may differ.

    `values` are multiples of the largest change before support (relative_magnitudes), or changes
    of slope in the outcome's unit (smoothness); usual ones when left out.
    """

    restriction: Literal["relative_magnitudes", "smoothness"] = "relative_magnitudes"
    values: tuple[float, ...] | None = None
    target: Literal["first", "average"] | int = "first"


class TestEntry(Entry):
    """`[[tests]]`: tests of the headline effect that hold with few clusters or supported firms.

    `within` and `unit` are those of randomisation: strata, and what was assigned to support.
    """

    test: Literal["wild_cluster", "randomisation"]
    draws: PositiveInt = 999
    within: str | None = None
    unit: Literal["cluster", "firm"] | None = None


class FamilyEntry(Entry):
    """`[[families]]`: outcomes that answer one question, whose p-values are adjusted together."""

    name: str = "all"
    outcomes: Annotated[Names, Field(min_length=2)]
    method: Literal["romano_wolf", "holm", "benjamini_hochberg"] = "romano_wolf"


class EquivalenceEntry(Entry):
    """`[[equivalence]]`: whether effects before support are shown to be small.

    `margin` is the smallest difference that would matter, in the unit of the estimates.
    """

    outcome: str
    margin: Annotated[float, Field(gt=0)]


class Objective(Entry):
    """`[[objectives]]`: what the programme was meant to reach, fixed before the results."""

    outcome: str
    direction: Literal["increase", "decrease"] = "increase"
    target: float | None = None
    unit: Literal["%", "pp"] | None = None
    horizon: int | None = None
    text: str = ""


class Output(Entry):
    """`[output]`: the effects, from outside the data, at which power is stated."""

    external_effect: float | None = None
    external_source: str | None = None
    declared_effects: dict[str, float] = {}


class Study(Entry):
    """The whole file."""

    version: Annotated[Literal[1], Field(alias="schema")]
    study: About
    data: Data
    support: Support
    outcomes: Annotated[tuple[OutcomeEntry, ...], Field(min_length=1)]
    design: DesignEntry = DesignEntry()
    matching: tuple[MatchingEntry, ...] = ()
    estimators: tuple[EstimatorEntry, ...] = ()
    subgroups: tuple[SubgroupsEntry, ...] = ()
    margins: tuple[MarginsEntry, ...] = ()
    sensitivity: tuple[SensitivityEntry, ...] = ()
    tests: tuple[TestEntry, ...] = ()
    families: tuple[FamilyEntry, ...] = ()
    equivalence: tuple[EquivalenceEntry, ...] = ()
    objectives: tuple[Objective, ...] = ()
    output: Output = Output()

    @property
    def evaluated(self) -> tuple[str, ...]:
        """Outcomes that are evaluated, the primary one first."""
        left = (o.name for o in self.outcomes if o.name not in self.design.placebo)
        return self.design.outcomes or tuple(left)

    @property
    def looks_behind(self) -> bool:
        """Whether anything is asked that takes time beside the estimates."""
        return bool(self.subgroups or self.margins or self.sensitivity or self.tests)

    @property
    def methods(self) -> tuple[EstimatorEntry, ...]:
        """Estimators as written; when none is, those of steps IV and V that the study allows.

        These are the benchmark, a Poisson model of amounts that are zero after exit, `GroupTime`,
        and of each match the comparison in levels (V-a) and in changes (V-b).
        """
        if self.estimators:
            return self.estimators
        return tuple(map(EstimatorEntry.model_validate, self._usual()))

    def _usual(self) -> Iterator[dict[str, Any]]:
        yield {"id": "benchmark"}
        with_zeros = (o.name for o in self.outcomes if (o.scale, o.after_exit) == ("level", "zero"))
        amounts = tuple(name for name in with_zeros if name in self.evaluated)
        if amounts:
            yield {"id": "poisson_saturated", "outcomes": amounts}
        adjust = "doubly_robust" if self.design.covariates else "none"
        yield {"id": "group_time", "adjust": adjust}
        for entry in self.matching:
            for change in (False, True):
                yield {"id": "matched_difference", "matching": entry.name, "change": change}
