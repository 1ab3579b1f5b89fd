"""Options of a panel that contradict one another or do not exist, before any data are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from exportimpact.data.calendar import DECLARABLE
from exportimpact.errors import Problem, did_you_mean, raise_problems

if TYPE_CHECKING:
    from exportimpact.data.building import PanelSpec

_ALLOWED = {
    "duplicates": (("error", "sum", "first", "last"), "which of two rows of a firm counts"),
    "missing_baseline": (("error", "drop"), "which firms stay in"),
}


def check_spec(spec: PanelSpec) -> None:
    """Raise EI-P28, EI-P34 and EI-P10 together."""
    raise_problems([*_unknown_options(spec), *_outcome_names(spec), *_clashes(spec)])


def _unknown_options(spec: PanelSpec) -> Iterator[Problem]:
    for option, (allowed, why) in _ALLOWED.items():
        value = getattr(spec, option)
        if value not in allowed:
            yield Problem(
                "EI-P28",
                f"{option}={value!r} is not an option; it decides {why}. "
                + did_you_mean(str(value), allowed),
                {"option": option, "value": value},
            )
    if spec.frequency is not None and spec.frequency not in DECLARABLE:
        yield Problem(
            "EI-P28",
            f"frequency={spec.frequency!r} is not an option; it decides which period comes before "
            f"another. {did_you_mean(str(spec.frequency), DECLARABLE)}",
            {"option": "frequency", "value": spec.frequency},
        )


def _outcome_names(spec: PanelSpec) -> Iterator[Problem]:
    if not spec.outcomes:
        yield Problem(
            "EI-P34",
            "No outcome is named, so there is nothing whose change could be measured. Pass "
            'outcomes=["exports"].',
        )
    for name, n in Counter(o.name for o in spec.outcomes).items():
        if n > 1:
            yield _clash(
                name,
                f"{n} outcomes are named {name!r}; results could not be told apart. Give each its "
                f'own name and point to the column: Outcome("{name}_2", column="{name}").',
            )
    for name, n in Counter(spec.baseline).items():
        if n > 1:
            yield _clash(
                name,
                f"The baseline covariate {name!r} is named {n} times, which would make the "
                "adjustment singular. Name it once.",
            )


def _clashes(spec: PanelSpec) -> Iterator[Problem]:
    """A column cannot be id and period, or either of them and a variable."""
    keys = {spec.unit: "firm id", spec.period: "period"}
    if len(keys) < 2:
        yield _clash(
            spec.unit, f"Column {spec.unit!r} is named as firm id and as period. Name two columns."
        )
    parts: list[tuple[str | None, str]] = []
    parts += [(o.source, f"outcome {o.name!r}") for o in spec.outcomes]
    parts += [(name, "baseline covariate") for name in spec.baseline]
    parts += [(spec.weight, "weight"), (spec.exit, "exit mark")]
    for column, part in parts:
        if column in keys:
            yield _clash(
                str(column),
                f"Column {column!r} is the {keys[column]} and also the {part}; an effect on it has "
                "no meaning. Name another column.",
            )
    derived = {o.name: o.source for o in spec.outcomes if o.name != o.source}
    for name in spec.baseline:
        if name in derived:
            yield _clash(
                name,
                f"{name!r} is the baseline column of that name and the outcome made from column "
                f"{derived[name]!r}; tables could not tell them apart. Rename the outcome.",
            )


def _clash(column: str, text: str) -> Problem:
    return Problem("EI-P10", text, {"column": column})
