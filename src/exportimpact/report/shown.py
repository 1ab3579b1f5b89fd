"""What methods show beside their estimates: each exhibit as a figure, a table, or both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pandas.api import types

from exportimpact.core.exhibit import Exhibit
from exportimpact.evaluation import Evaluation
from exportimpact.evaluation.quantities import POINTS, p_text, significant
from exportimpact.language import known_ids, message
from exportimpact.plots import DRAWINGS, figure_svg
from exportimpact.report import grids
from exportimpact.report.grids import Column, Grid
from exportimpact.report.tables import Shown, shown_exhibits

MOST_ROWS = 30
"""Longer tables are files beside the page."""
_FOR_DRAWING: Mapping[str, frozenset[str]] = {
    "comparison": frozenset({"outcome", "shown", "causal", "unit", "factor", "estimand", "test"}),
    "bacon": frozenset({"outcome", "scale", "unit"}),
    "forest": frozenset(
        {"outcome", "whole", "shown", "causal", "unit", "factor", "estimand", "test", "column"}
    ),
    "interactions": frozenset({"outcome", "column"}),
    "differences": frozenset({"outcome"}),
    "margins": frozenset({"outcome", "quantity"}),
    "tests": frozenset({"outcome"}),
    "equivalence": frozenset({"outcome"}),
    "sensitivity": frozenset(
        {"outcome", "target", "breakdown", "level", "scale", "unit", "effect", "said"}
        | {"low_open", "high_open"}
    ),
}
"""Columns that figures need and readers of a table do not."""
_LABELS = frozenset({"cohort", "period", "event_time", "treated", "untreated"})


@dataclass(frozen=True)
class ExhibitPart:
    """One exhibit on the page."""

    outcome: str
    method: str
    title: str
    figure: Any
    grid: Grid | None
    source: str
    notes: tuple[str, ...]


def figures(evaluation: Evaluation) -> dict[str, str]:
    """Return every exhibit that has a drawing as SVG, by the name of its table."""
    found: dict[str, str] = {}
    for shown in _all(evaluation):
        exhibit = shown.exhibit
        if exhibit.kind in DRAWINGS:
            found[shown.name] = figure_svg(
                exhibit.kind,
                exhibit.table,
                name=f"exhibit-{len(found) + 1}",
                title=_title(exhibit),
                description=" ".join(map(str, exhibit.notes)) or _title(exhibit),
            )
    return found


def parts(evaluation: Evaluation, inline: Mapping[str, Any]) -> list[ExhibitPart]:
    """Return what the page shows of each exhibit, outcome by outcome."""
    return [_part(shown, inline) for shown in _all(evaluation)]


def _all(evaluation: Evaluation) -> Iterator[Shown]:
    for outcome in evaluation.outcomes:
        yield from shown_exhibits(evaluation, outcome)


def _part(shown: Shown, inline: Mapping[str, Any]) -> ExhibitPart:
    exhibit, rung = shown.exhibit, shown.rung
    short = len(exhibit.table) <= MOST_ROWS
    return ExhibitPart(
        outcome=shown.outcome,
        method="" if rung is None else ", ".join(filter(None, (rung.label, rung.variant))),
        title=_title(exhibit),
        figure=inline.get(shown.name),
        grid=_grid(exhibit, shown.name) if short else None,
        source=f"tables/{shown.name}.csv",
        notes=tuple(map(str, exhibit.notes)),
    )


def _title(exhibit: Exhibit) -> str:
    id = f"exhibit.{exhibit.kind}"
    if id not in known_ids():
        return exhibit.id.replace("_", " ").capitalize()
    by = exhibit.table.get("column")
    return str(message(id) if by is None else message(id, column=by.iloc[0]))


def _grid(exhibit: Exhibit, name: str) -> Grid:
    hidden = _FOR_DRAWING.get(exhibit.kind, frozenset())
    columns = [
        _column(str(column), values, exhibit.units.get(str(column), ""))
        for column, values in exhibit.table.items()
        if column not in hidden
    ]
    return grids.grid(exhibit.table, _title(exhibit), name, columns)


def _column(name: str, values: pd.Series, unit: str) -> Column:
    """Return a column shown by what it holds; the unit of an estimate is that of its errors."""
    factor = 100.0 if unit == POINTS else 1.0
    id = "column.method" if name == "estimator" else f"column.{name}"
    header = str(message(id)) if id in known_ids() else name.replace("_", " ").capitalize()
    header = f"{header}, {unit}" if unit and name == "estimate" else header
    if types.is_bool_dtype(values):
        return Column(header, lambda row: "yes" if row[name] else "no", "")
    if name in _LABELS:
        return Column(header, lambda row: _label(row[name]))
    if name in {"p_value", "p_adjusted"}:
        return Column(header, lambda row: p_text(grids.real(row[name])))
    if types.is_integer_dtype(values):
        return Column(header, lambda row: grids.count(row[name]))
    if types.is_numeric_dtype(values):
        return Column(header, lambda row: significant(factor * grids.real(row[name])))
    longest = max((len(str(v)) for v in values), default=0)
    look = "wide" if longest > 40 else ""
    return Column(header, lambda row: grids.text(row[name]).replace("_", " "), look)


def _label(value: Any) -> str:
    """Return a period or event time; a row of mixed columns has made it a float."""
    whole = isinstance(value, float) and value.is_integer()
    return grids.text(int(value) if whole else value)
