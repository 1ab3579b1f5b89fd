"""What a study file may say (`schema = 1`): tables, keys, types, and which keys belong together."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt

from exportimpact._typing import AfterExit, Base, Comparison, Scale, Unbalanced

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
    """`[support]`: awards as spells (`start`), or one first period per firm (`first_period`)."""

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
    encoding: Encoding | None = None


SPELL_KEYS = ("end", "programme", "amount", "applied", "score", "awarded", "focus", "others")
"""Keys of `[support]` that need spells."""


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
    """`[[estimators]]`: the name under which a method is registered, and its parameters."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    id: str
    matching: str | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """Every key beside `id` and `matching`."""
        return dict(self.model_extra or {})


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
    objectives: tuple[Objective, ...] = ()
    output: Output = Output()

    @property
    def evaluated(self) -> tuple[str, ...]:
        """Outcomes that are evaluated, the primary one first."""
        left = (o.name for o in self.outcomes if o.name not in self.design.placebo)
        return self.design.outcomes or tuple(left)

    @property
    def methods(self) -> tuple[EstimatorEntry, ...]:
        """Estimators as written; when none is, steps IV and V-b, and of each match V-a and V-b."""
        if self.estimators:
            return self.estimators
        adjust = "doubly_robust" if self.design.covariates else "none"
        matched: list[dict[str, Any]] = [
            {"id": "matched_difference", "matching": entry.name, "change": change}
            for entry in self.matching
            for change in (False, True)
        ]
        rest = [{"id": "group_time", "adjust": adjust}, *matched]
        return (EstimatorEntry(id="benchmark"), *map(EstimatorEntry.model_validate, rest))
