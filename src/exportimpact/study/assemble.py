"""From a validated study to the objects that the evaluation works on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import pandas as pd

from exportimpact.core.outcome import Outcome
from exportimpact.data import Assignment, Panel
from exportimpact.design import Design, SealedDesign
from exportimpact.errors import ExportImpactError, InputError, Problem, raise_problems
from exportimpact.evaluation.plan import Objective, Plan
from exportimpact.study import schema
from exportimpact.study.tables import Table, read_table, same_ids, with_dates

if TYPE_CHECKING:
    from pathlib import Path

    from exportimpact.study.file import StudyFile

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Inputs:
    """What the data files hold.

    Attributes
    ----------
    tables : tuple of Table
        Each file once, in the order of the study.
    panel : Panel
    support : Assignment
    """

    tables: tuple[Table, ...]
    panel: Panel
    support: Assignment


def load(file: StudyFile) -> Inputs:
    """Read the data files and return panel and support; all their problems are raised together."""
    study, locate = file.study, file.locate
    panels = [_read(name, locate, study) for name in study.data.panel]
    frame = _stacked(panels)
    given, unit = study.support, study.support.unit or study.data.unit
    awards = read_table(
        given.file,
        locate(given.file),
        text=frozenset({unit, given.programme or unit}),
        encoding=given.encoding or study.data.encoding,
    )
    tables = {table.name: table for table in [*panels, awards]}
    spells = awards.frame.copy()
    same_ids(frame, spells, (study.data.unit, unit))
    with_dates(frame, study.data.period, study.data.frequency)
    for column in (given.start, given.end, given.applied, given.first_period, _dosed(study)):
        with_dates(spells, column, study.data.frequency)
    problems: list[Problem] = []
    panel = _collected(problems, lambda: _panel(study, frame))
    support = _collected(problems, lambda: _support(study, spells))
    raise_problems([_located(problem, file) for problem in problems])
    assert panel is not None
    assert support is not None
    return Inputs(tuple(tables.values()), panel, support)


def _located(problem: Problem, file: StudyFile) -> Problem:
    """Return the problem with line and key of the study file that name its column."""
    column = problem.details.get("column")
    for number, line in enumerate(file.content.decode("utf-8-sig").split("\n"), start=1):
        key, _, value = line.partition("=")
        if column is not None and f'"{column}"' in value:
            where = f"{file.path.name}, line {number}, {key.strip()}"
            return replace(problem, message=f"{where}: {problem.message}")
    return problem


def designs(study: schema.Study, inputs: Inputs) -> tuple[SealedDesign, ...]:
    """Return the sealed design of every evaluated outcome, before any of them is estimated."""
    return tuple(_sealed(name, study.design, inputs) for name in study.evaluated)


def matched(file: StudyFile, sealed: Sequence[SealedDesign]) -> dict[tuple[str, str], SealedDesign]:
    """Return every matched design that an estimator uses, by outcome and name, sealed."""
    found = {}
    for design in sealed:
        for match in file.matches:
            if match.name in file.used:
                with about(f"Outcome {design.outcome!r}, matching {match.name!r}"):
                    found[design.outcome, match.name] = match.of(design).seal()
    return found


def placebo_designs(study: schema.Study, inputs: Inputs) -> tuple[SealedDesign, ...]:
    """Return the sealed designs of the outcomes that support cannot move, of the same kind."""
    return tuple(_sealed(name, study.design, inputs) for name in study.design.placebo)


def plan(study: schema.Study) -> Plan:
    """Return the plan: question, objectives, and the effects at which power is stated."""
    output = study.output
    made = Plan(
        title=study.study.title,
        question=study.study.question,
        programme=study.support.focus or "",
        objectives=tuple(map(objective, study.objectives)),
        declared_effects=dict(output.declared_effects),
    )
    if output.external_effect is not None:
        made = replace(made, external_effect=output.external_effect)
    if output.external_source is not None:
        made = replace(made, external_source=output.external_source)
    return made


def objective(entry: schema.Objective) -> Objective:
    """Return the objective of an entry of `[[objectives]]`."""
    return Objective(
        outcome=entry.outcome,
        direction=entry.direction,
        target=entry.target,
        unit=entry.unit,
        horizon=entry.horizon,
        text=entry.text,
    )


def outcome(entry: schema.OutcomeEntry) -> Outcome:
    """Return the outcome of an entry of `[[outcomes]]`."""
    return Outcome(
        entry.name,
        unit=entry.unit,
        column=entry.column,
        scale=entry.scale,
        after_exit=entry.after_exit,
    )


def _sealed(name: str, options: schema.DesignEntry, inputs: Inputs) -> SealedDesign:
    with about(f"Outcome {name!r}"):
        return Design(
            inputs.panel,
            inputs.support,
            outcome=name,
            comparison=options.comparison,
            covariates=options.covariates,
            anticipation=options.anticipation,
            base=options.base,
            unbalanced=options.unbalanced,
            assigned_at=options.assigned_at,
            never=options.never,
            min_supported=options.min_supported,
        ).seal()


@contextmanager
def about(what: str) -> Iterator[None]:
    """Say at the start of a coded error which outcome or method it is about."""
    try:
        yield
    except ExportImpactError as error:
        message = f"{what}: {error.message}"
        raise type(error)(error.code, message, **error.details) from error


def _read(name: str, locate: Callable[[str], Path], study: schema.Study) -> Table:
    data = study.data
    text = frozenset({data.unit, *data.categorical})
    return read_table(name, locate(name), text=text, encoding=data.encoding)


def _stacked(tables: list[Table]) -> pd.DataFrame:
    """Return the panel files under one another; each has the columns of the first."""
    first = tables[0]
    for table in tables[1:]:
        lacking = [str(c) for c in first.frame.columns if c not in table.frame]
        if lacking:
            raise InputError(
                "EI-S13",
                f"{table.name} lacks {len(lacking)} of the columns of {first.name}, such as "
                f"{lacking[0]!r}; its firms would count as not reporting. Give all panel files the "
                "same columns.",
                file=table.name,
                column=lacking[0],
            )
    if len(tables) == 1:
        return first.frame.copy()
    columns = list(first.frame.columns)
    return pd.concat([table.frame[columns] for table in tables], ignore_index=True)


def _panel(study: schema.Study, frame: pd.DataFrame) -> Panel:
    data = study.data
    return Panel.from_frame(
        frame,
        unit=data.unit,
        period=data.period,
        outcomes=[outcome(entry) for entry in study.outcomes],
        baseline=data.baseline,
        cluster=data.cluster,
        weight=data.weight,
        frequency=data.frequency,
        duplicates=data.duplicates,
        exit=data.exit,
        missing_baseline=data.missing_baseline,
    )


def _dosed(study: schema.Study) -> str | None:
    """Return the column of periods in a table of doses; None where support is told otherwise."""
    given = study.support
    return None if given.dose is None else given.period or study.data.period


def _support(study: schema.Study, spells: pd.DataFrame) -> Assignment:
    given, unit = study.support, study.support.unit or study.data.unit
    if given.first_period is not None:
        return Assignment.from_first_period(spells, unit=unit, first_period=given.first_period)
    period = _dosed(study)
    if given.dose is not None and period is not None:
        return Assignment.from_doses(
            spells, unit=unit, period=period, dose=given.dose, already=given.already
        )
    assert given.start is not None
    support = Assignment.from_spells(
        spells,
        unit=unit,
        start=given.start,
        programme=given.programme,
        amount=given.amount,
        end=given.end,
        applied=given.applied,
        score=given.score,
        awarded=given.awarded,
    )
    return support if given.focus is None else support.focus(given.focus, others=given.others)


def _collected(problems: list[Problem], make: Callable[[], T]) -> T | None:
    try:
        return make()
    except ExportImpactError as error:
        several = getattr(error, "problems", ())
        problems += several or [Problem(error.code, error.message, error.details)]
        return None
