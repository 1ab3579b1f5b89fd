"""What each section of the page shows, as plain values for the template."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from exportimpact.evaluation import Evaluation, Rung
from exportimpact.evaluation.ladder import method_text
from exportimpact.evaluation.quantities import (
    EffectText,
    decimals,
    number,
    own_factor,
    own_unit,
    significant,
    with_unit,
)
from exportimpact.language import message
from exportimpact.report import grids, matched
from exportimpact.report.grids import Column, Grid
from exportimpact.report.tables import cells_name, file_names


@dataclass(frozen=True)
class Section:
    """The evaluation and its tables; what every section is made from."""

    evaluation: Evaluation
    tables: Mapping[str, pd.DataFrame]

    def grid(self, name: str, caption: str, columns: list[Column]) -> Grid | None:
        """Return the table `name` to be shown, or None where it is empty."""
        if name not in self.tables:
            return None
        return grids.grid(self.tables[name], caption, name, columns)


@dataclass(frozen=True)
class OutcomePart:
    """Figures and tables of one outcome."""

    name: str
    anchor: str
    ladder_figure: Any
    path_figure: Any
    ladder: Grid
    missed: tuple[str, ...]
    bracket: str
    brackets: Grid | None
    path: Grid
    cells: Grid
    cells_method: str
    other_cells: tuple[str, ...]
    account: Grid


def outcomes(section: Section, figures: Mapping[str, Any]) -> list[OutcomePart]:
    """Return figures and tables of every outcome."""
    parts = file_names(section.evaluation)
    return [
        _outcome(section, figures, name, part, number)
        for number, (name, part) in enumerate(parts.items(), start=1)
    ]


def _outcome(
    section: Section, figures: Mapping[str, Any], outcome: str, part: str, number: int
) -> OutcomePart:
    evaluation = section.evaluation
    head = evaluation.headline(outcome)
    rungs = [rung for rung in evaluation.rungs if rung.outcome == outcome]
    return OutcomePart(
        name=outcome,
        anchor=f"outcome-{number}",
        ladder_figure=figures[f"ladder_{part}"],
        path_figure=figures[f"event_study_{part}"],
        ladder=_ladder(section, head),
        missed=tuple(matched.missed(rungs)),
        bracket=_bracket(section, outcome),
        brackets=_brackets(section, head),
        path=_effects(section, head, f"event_study_{part}", "report.path_caption", ["event_time"]),
        cells=_effects(
            section,
            head,
            cells_name(evaluation, head),
            "report.cells_caption",
            ["cohort", "period"],
        ),
        cells_method=head.label,
        other_cells=tuple(
            f"tables/{cells_name(evaluation, rung)}.csv" for rung in rungs if rung is not head
        ),
        account=_account(section, f"sample_account_{part}", outcome),
    )


def _ladder(section: Section, head: Rung) -> Grid:
    table, estimand = section.tables["ladder"], head.result.estimand
    own = table[table["outcome"] == head.outcome]
    columns = [
        grids.words("step"),
        Column(str(message("column.method")), _method, "wide"),
        *grids.effects(own, estimand.scale, estimand.unit),
    ]
    caption = str(message("report.ladder_caption", outcome=head.outcome))
    return grids.grid(own, caption, "ladder", columns)


def _bracket(section: Section, outcome: str) -> str:
    table = section.tables.get("brackets")
    said = [] if table is None else table.loc[table["outcome"] == outcome, "sentence"].tolist()
    return str(said[0]) if said else ""


def _brackets(section: Section, head: Rung) -> Grid | None:
    table, estimand = section.tables.get("brackets"), head.result.estimand
    own = pd.DataFrame() if table is None else table[table["outcome"] == head.outcome]
    if not len(own):
        return None
    columns = [
        Column(str(message("column.assumption")), lambda row: _end(str(row["assumption"])), "wide"),
        Column(str(message("column.method")), _method, "wide"),
        *grids.effects(own, estimand.scale, estimand.unit),
    ]
    caption = str(message("report.bracket_caption", outcome=head.outcome))
    return grids.grid(own, caption, "brackets", columns)


def _end(assumption: str) -> str:
    past = assumption == "unconfoundedness"
    return str(message("report.same_past" if past else "report.parallel"))


def _method(row: Mapping[str, Any]) -> str:
    return ", ".join(filter(None, (method_text(row), str(row["variant"]))))


def _effects(section: Section, head: Rung, name: str, caption: str, leading: list[str]) -> Grid:
    table, estimand = section.tables[name], head.result.estimand
    columns = [grids.counts(c) if c == "event_time" else grids.labels(c) for c in leading]
    columns += grids.effects(table, estimand.scale, estimand.unit)
    words = message(caption, outcome=head.outcome, method=head.label)
    return grids.grid(table, str(words), name, columns)


def _account(section: Section, name: str, outcome: str) -> Grid:
    caption = str(message("report.account_caption", outcome=outcome))
    columns = [
        grids.words("stage"),
        grids.words("reason", wide=True),
        grids.counts("firms"),
        grids.counts("firm_periods"),
    ]
    return grids.grid(section.tables[name], caption, name, columns)


def objectives(section: Section) -> Grid | None:
    """Return objectives beside estimated effects."""
    columns = [
        grids.words("objective", wide=True),
        grids.words("outcome"),
        *([grids.counts("horizon")] if _any_due(section) else []),
        Column(str(message("column.target")), _target),
        Column(str(message("column.effect")), lambda row: _achieved(row).text),
        Column(str(message("column.interval")), lambda row: _achieved(row).interval),
        grids.words("status"),
    ]
    return section.grid("objectives", str(message("report.objectives_caption")), columns)


def _any_due(section: Section) -> bool:
    return bool(section.evaluation.objectives()["horizon"].notna().any())


def _target(row: Mapping[str, Any]) -> str:
    target = grids.real(row["target"])
    if math.isnan(target):
        return str(row["direction"])
    places = 0 if target.is_integer() else decimals(abs(target))
    return with_unit(number(target, places, sign=True), str(row["unit"]))


def _achieved(row: Mapping[str, Any]) -> EffectText:
    low, high = grids.real(row["effect_low"]), grids.real(row["effect_high"])
    places = decimals((high - low) / 4)
    ends = [number(value, places, sign=True) for value in (grids.real(row["effect"]), low, high)]
    return EffectText(ends[0], ends[1], ends[2], str(row["unit"]))


def power(section: Section) -> Grid | None:
    """Return what could have been found."""
    columns = [
        grids.words("outcome"),
        _in_unit("mde", section.evaluation),
        _in_percent("mde_percent"),
        _in_unit("external_effect", section.evaluation),
        _in_percent("external_percent"),
        grids.share("power"),
        grids.numbers("exaggeration", 2),
        grids.share("sign_error"),
    ]
    return section.grid("power", str(message("report.power_caption")), columns)


def power_notes(section: Section) -> list[str]:
    """Return why an outcome has no power, outcome by outcome."""
    table = section.tables["power"]
    return [f"{row['outcome']}: {row['note']}" for _, row in table.iterrows() if row["note"]]


def _in_unit(name: str, evaluation: Evaluation) -> Column:
    def show(row: Mapping[str, Any]) -> str:
        estimand = evaluation.headline(str(row["outcome"])).result.estimand
        value = own_factor(estimand.scale) * grids.real(row[name])
        return with_unit(significant(value), own_unit(estimand.scale, estimand.unit))

    return Column(str(message(f"column.{name}")), show)


def _in_percent(name: str) -> Column:
    def show(row: Mapping[str, Any]) -> str:
        return with_unit(number(grids.real(row[name]), 1), str(row["percent_unit"]))

    return Column(str(message(f"column.{name}")), show)


def support(section: Section) -> list[Grid]:
    """Return linkage, support facts and missing reports."""
    linkage = [grids.words("programme"), grids.counts("awarded_firms"), grids.counts("linked")]
    found = [
        section.grid(
            "support",
            str(message("report.support_caption")),
            [grids.words("fact", wide=True), grids.counts("firms")],
        ),
        section.grid(
            "linkage", str(message("report.linkage_caption")), [*linkage, grids.share("share")]
        ),
        _not_reported(section),
    ]
    return [grid for grid in found if grid is not None]


def _not_reported(section: Section) -> Grid | None:
    if "not_reported" not in section.tables:
        return None
    table = section.tables["not_reported"]
    lacking = table[(table["missing"] > 0) | (table["not_positive"] > 0)]
    columns = [grids.words("outcome"), grids.labels("period")]
    columns += map(grids.counts, ("firms_observed", "missing", "not_positive"))
    caption = str(message("report.not_reported_caption"))
    return grids.grid(lacking, caption, "not_reported", columns) if len(lacking) else None


def not_identified(section: Section) -> Grid | None:
    """Return cells that are not identified, those of one cohort and reason in one row."""
    if "not_identified" not in section.tables:
        return None
    by = ["outcome", "estimator", "variant", "cohort", "reason"]
    groups = section.tables["not_identified"].groupby(by, sort=False)["period"]
    frame = groups.agg(lambda periods: ", ".join(map(str, periods))).reset_index()
    columns = [
        grids.words("outcome"),
        Column(str(message("column.estimator")), _estimator, ""),
        grids.labels("cohort"),
        grids.words("period", wide=True),
        grids.words("reason", wide=True),
    ]
    caption = str(message("report.not_identified_caption"))
    return grids.grid(frame, caption, "not_identified", columns)


def _estimator(row: Mapping[str, Any]) -> str:
    return ", ".join(filter(None, (str(row["estimator"]), str(row["variant"]))))


def notes(section: Section) -> list[tuple[str, str]]:
    """Return (note, outcomes that it is about; empty for all)."""
    if "notes" not in section.tables:
        return []
    table = section.tables["notes"]
    return [
        (str(note), "" if of == "all" else str(of))
        for of, note in zip(table["outcomes"], table["note"], strict=True)
    ]


def methods(section: Section) -> list[dict[str, str]]:
    """Return each method once: title, step, reference, options, and the estimands in words."""
    table = section.tables["methods"]
    found = []
    for _, group in table.groupby(["method", "parameters", "settings"], sort=False):
        first = {str(k): str(v) for k, v in group.iloc[0].items()}
        first["estimands"] = "\n".join(dict.fromkeys(group["estimand"].astype(str)))
        found.append(first)
    return found


def record(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the run record as lines; mappings inside it are flattened."""
    return list(_flat("", values))


def _flat(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = f"{prefix} \N{MIDDLE DOT} {key}" if prefix else str(key)
        if isinstance(value, Mapping):
            yield from _flat(name, value)
        elif isinstance(value, (list, tuple)):
            yield name, ", ".join(map(str, value))
        else:
            yield name, str(value)
