"""From a frame to a panel: read once, check all, place rows on the grid, account for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from exportimpact._typing import AnyArray, BoolArray, FloatArray, IntArray
from exportimpact.core.account import SampleAccount
from exportimpact.core.outcome import Outcome
from exportimpact.data import validation as check
from exportimpact.data.calendar import Calendar, Frequency
from exportimpact.data.duplicates import Duplicates, resolve_duplicates
from exportimpact.data.fingerprint import fingerprint
from exportimpact.data.identifiers import Identifiers, identify
from exportimpact.data.notes import panel_notes
from exportimpact.data.periods import read_periods
from exportimpact.data.reading import Column, FrameCodes, read_columns
from exportimpact.data.validation import Rows
from exportimpact.errors import ColumnError, InputError, Problem, raise_problems
from exportimpact.language import Message, message

CODES = FrameCodes("EI-P01", "EI-P03", "EI-P04")
OnDuplicates: TypeAlias = Literal["error", "sum", "first", "last"]
OnMissingBaseline: TypeAlias = Literal["error", "drop"]


@dataclass(frozen=True, kw_only=True)
class PanelSpec:
    """Which columns play which part, and the rules for what needs a decision."""

    unit: str
    period: str
    outcomes: tuple[Outcome, ...]
    baseline: tuple[str, ...] = ()
    cluster: str | None = None
    weight: str | None = None
    exit: str | None = None
    frequency: Frequency | None = None
    duplicates: OnDuplicates = "error"
    missing_baseline: OnMissingBaseline = "error"

    @property
    def sources(self) -> tuple[str, ...]:
        """Columns that hold outcomes, each once."""
        return tuple(dict.fromkeys(o.source for o in self.outcomes))

    @property
    def columns(self) -> list[str]:
        """Every column that is read."""
        rest = [c for c in (self.cluster, self.weight, self.exit) if c is not None]
        return [self.unit, self.period, *self.sources, *self.baseline, *rest]


@dataclass(frozen=True, eq=False)
class BaselineColumn:
    """A covariate on the grid.

    Attributes
    ----------
    name : str
    values : FloatArray of shape (n_firms, n_periods)
        Numbers, 0 and 1 for truth values, or codes of `categories`; NaN where not reported.
    categories : tuple of str or None
        Sorted category names when the covariate is text or categorical.
    """

    name: str
    values: FloatArray
    categories: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class Parts:
    """What a panel is made of; `Panel` documents each."""

    spec: PanelSpec
    units: AnyArray
    calendar: Calendar
    observed: BoolArray
    wide: Mapping[str, FloatArray]
    sources: Mapping[str, FloatArray]
    not_positive: Mapping[str, BoolArray]
    baseline: Mapping[str, BaselineColumn]
    weight: FloatArray | None
    cluster_codes: IntArray
    cluster_labels: AnyArray
    exit_ordinal: FloatArray
    account: SampleAccount
    notes: tuple[Message, ...]
    fingerprint: str
    dropped: AnyArray

    def __post_init__(self) -> None:
        for array in self._arrays():
            array.flags.writeable = False

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()  # unpickled arrays can be written to

    def _arrays(self) -> Iterator[AnyArray]:
        yield from (self.units, self.observed, self.cluster_codes, self.cluster_labels)
        yield from (self.exit_ordinal, self.dropped)
        yield from self.wide.values()
        yield from self.sources.values()
        yield from self.not_positive.values()
        yield from (column.values for column in self.baseline.values())
        yield from () if self.weight is None else (self.weight,)


@dataclass(eq=False)
class _Draft:
    """The input while it is being checked."""

    table: dict[str, Column]
    rows: Rows
    account: SampleAccount
    problems: list[Problem] = field(default_factory=list)
    recomposed: int = 0
    dropped: AnyArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def only(self, keep: BoolArray) -> None:
        """Keep some rows; firms without a row leave."""
        rows = self.rows
        known = rows.firm[keep & (rows.firm >= 0)]
        firms = np.unique(known)
        place = np.full(len(rows.units) + 1, -1, dtype=np.int64)  # the last is for missing ids
        place[firms] = np.arange(len(firms))
        self.table = {name: column.take(keep) for name, column in self.table.items()}
        self.rows = Rows(
            rows.unit,
            rows.period,
            rows.units[firms],
            place[rows.firm[keep]],
            rows.ordinal[keep],
            rows.dated[keep],
            rows.calendar,
        )


def build_parts(frame: Any, spec: PanelSpec) -> Parts:
    """Return the parts of a panel, or raise everything that is wrong with the input together."""
    draft = _read(frame, spec)
    if spec.missing_baseline == "drop":
        _drop_incomplete_firms(draft, spec)
    _check_columns(draft, spec)
    rows, calendar = draft.rows, draft.rows.calendar
    if calendar is None or (rows.firm < 0).any() or not rows.dated.all():
        _raise(draft.problems)
    assert calendar is not None
    merged, found = resolve_duplicates(rows, draft.table, spec.outcomes, spec.duplicates)
    draft.problems += found
    exits = _exit_ordinals(draft, spec)
    covariates = {name: _covariate(draft.table[name], merged) for name in _known(draft, spec)}
    for name, covariate in covariates.items():
        draft.problems += check.check_varies(name, covariate.values)
    _raise(draft.problems)
    sources = {name: merged.outcome(draft.table[name]) for name in spec.sources}
    weight = merged.numbers(draft.table[spec.weight]) if spec.weight else None
    codes, labels = _clusters(draft, spec)
    wide = {o.name: _on_scale(o, sources[o.source], calendar, exits) for o in spec.outcomes}
    account = draft.account
    if merged.extra:
        account = account.drop(
            "data", message(f"data.duplicates_{spec.duplicates}"), firm_periods=merged.extra
        )
    return Parts(
        spec=spec,
        units=rows.units,
        calendar=calendar,
        observed=merged.observed,
        wide=wide,
        sources=sources,
        not_positive=_not_positive(spec.outcomes, sources),
        baseline=covariates,
        weight=weight,
        cluster_codes=codes,
        cluster_labels=labels,
        exit_ordinal=exits,
        account=account,
        notes=panel_notes(rows, merged.observed, exits, spec, sources, draft.recomposed),
        fingerprint=_fingerprint(rows, merged, sources, covariates, weight, codes, labels, exits),
        dropped=draft.dropped,
    )


def _raise(problems: Sequence[Problem]) -> None:
    """Raise; a missing column alone is a ColumnError (a KeyError), as for a mapping."""
    if len(problems) == 1 and problems[0].code == CODES.no_column:
        raise ColumnError(problems[0].code, problems[0].message, **problems[0].details)
    raise_problems(problems)


def _read(frame: Any, spec: PanelSpec) -> _Draft:
    table, n_rows, problems = read_columns(frame, spec.columns, "panel frame", CODES)
    if n_rows == 0:
        raise InputError(
            "EI-P02",
            "The panel frame has no rows, so there is nothing to estimate from. Check the filter "
            "or the file that it came from.",
            count=0,
        )
    unread = np.zeros(n_rows, dtype=np.int64)
    ids: Identifiers | None = None
    if (column := table.get(spec.unit)) is not None:
        ids = identify(column) if column.kind != "empty" else None
        if ids is None and column.kind != "empty":
            problems.append(check.unusable_ids(column))
    placed = ids or Identifiers(np.empty(0, dtype=np.int64), unread - 1)
    ordinal, dated, calendar = unread, np.zeros(n_rows, dtype=bool), None
    if (column := table.get(spec.period)) is not None:
        periods, found = read_periods(column, spec.frequency)
        problems += found
        ordinal, dated, calendar = periods.ordinals, ~periods.missing, periods.calendar
    rows = Rows(spec.unit, spec.period, placed.units, placed.codes, ordinal, dated, calendar)
    if (column := table.get(spec.unit)) is not None and (ids or column.kind == "empty"):
        problems += check.check_ids(column, rows)
    if (column := table.get(spec.period)) is not None:
        problems += check.check_periods(column, rows)
    account = SampleAccount(len(placed.units), n_rows)
    return _Draft(table, rows, account, problems, placed.recomposed)


def _known(draft: _Draft, spec: PanelSpec) -> list[str]:
    """Baseline covariates that were found and have a usable type."""
    usable = ("integer", "float", "boolean", "text", "empty")
    return [n for n in spec.baseline if n in draft.table and draft.table[n].kind in usable]


def _drop_incomplete_firms(draft: _Draft, spec: PanelSpec) -> None:
    lacking = np.zeros(len(draft.rows.firm), dtype=bool)
    for name in _known(draft, spec):
        lacking |= draft.table[name].missing
    lacking &= draft.rows.firm >= 0
    if not lacking.any():
        return
    firms = np.unique(draft.rows.firm[lacking])
    leaves = np.isin(draft.rows.firm, firms)
    if leaves.all():
        raise InputError(
            "EI-P32",
            f"Every one of {len(draft.rows.units):,} firms lacks a baseline covariate somewhere, "
            'so missing_baseline="drop" leaves no firm. Leave out of baseline= what is rarely '
            f"reported among {', '.join(spec.baseline)}.",
            count=len(draft.rows.units),
        )
    reason = message("data.missing_baseline", names=", ".join(spec.baseline))
    draft.account = draft.account.drop(
        "data", reason, firms=len(firms), firm_periods=int(leaves.sum())
    )
    draft.dropped = draft.rows.units[firms]
    draft.only(~leaves)


def _check_columns(draft: _Draft, spec: PanelSpec) -> None:
    """Every check that looks at one column and needs no grid."""
    table, rows, problems = draft.table, draft.rows, draft.problems
    for outcome in spec.outcomes:
        if outcome.source in table:
            found = check.check_outcome(outcome, table[outcome.source], rows)
            known = {(p.code, p.details.get("column")) for p in problems}
            # Outcomes that share a column share its problems.
            problems += [p for p in found if (p.code, p.details.get("column")) not in known]
    for name in spec.baseline:
        if name in table:
            errs = spec.missing_baseline == "error"
            problems += check.check_covariate(table[name], rows, errs)
    if spec.weight in table:
        problems += check.check_weight(table[spec.weight], rows)
    if spec.cluster in table and spec.cluster != spec.unit:
        problems += check.check_cluster(
            table[spec.cluster], rows, _cluster_codes(table[spec.cluster])[0]
        )
    if spec.exit in table:
        problems += check.check_exit(table[spec.exit], rows)


def _exit_ordinals(draft: _Draft, spec: PanelSpec) -> FloatArray:
    exits = np.full(len(draft.rows.units), np.inf)
    column = draft.table.get(spec.exit) if spec.exit else None
    if column is not None and column.is_numeric:
        marked = column.numbers() == 1.0
        np.minimum.at(exits, draft.rows.firm[marked], draft.rows.ordinal[marked])
        draft.problems += check.check_life(draft.rows, exits, column.name)
    exits[np.isinf(exits)] = np.nan
    return exits


def _covariate(column: Column, merged: Duplicates) -> BaselineColumn:
    if column.kind != "text" and not column.categorical:
        return BaselineColumn(column.name, merged.numbers(column))
    codes, names = _sorted_categories(column)
    values = codes.astype(np.float64)
    values[codes < 0] = np.nan
    return BaselineColumn(column.name, merged.spread(values), tuple(str(n) for n in names))


def _sorted_categories(column: Column) -> tuple[IntArray, AnyArray]:
    there = ~column.missing
    codes = np.full(len(column.values), -1, dtype=np.int64)
    found, names = pd.factorize(column.values[there], sort=True)
    codes[there] = found
    return codes, np.asarray(names)


def _cluster_codes(column: Column) -> tuple[IntArray, AnyArray]:
    if column.kind == "other":
        return np.full(len(column.values), -1, dtype=np.int64), np.empty(0, dtype=object)
    return _sorted_categories(column)


def _clusters(draft: _Draft, spec: PanelSpec) -> tuple[IntArray, AnyArray]:
    rows = draft.rows
    if spec.cluster is None or spec.cluster == spec.unit:
        return np.arange(len(rows.units), dtype=np.int64), rows.units
    codes, names = _cluster_codes(draft.table[spec.cluster])
    by_firm = np.zeros(len(rows.units), dtype=np.int64)
    by_firm[rows.firm] = codes
    return by_firm, names


def _on_scale(
    outcome: Outcome, source: FloatArray, calendar: Calendar, exits: FloatArray
) -> FloatArray:
    """The outcome on its own scale, with the time after an exit filled as declared."""
    if outcome.scale == "log":
        values = np.full(source.shape, np.nan)
        np.log(source, out=values, where=source > 0)
    elif outcome.scale == "binary":
        values = np.where(np.isnan(source), np.nan, source > 0)
    else:
        values = source
    if outcome.after_exit == "zero" and not np.isnan(exits).all():
        values = values.copy() if values is source else values
        values[calendar.ordinals[None, :] > exits[:, None]] = 0.0
    return values


def _not_positive(
    outcomes: Sequence[Outcome], sources: Mapping[str, FloatArray]
) -> dict[str, BoolArray]:
    return {o.name: sources[o.source] <= 0 for o in outcomes if o.scale == "log"}


def _fingerprint(
    rows: Rows,
    merged: Duplicates,
    sources: Mapping[str, FloatArray],
    covariates: Mapping[str, BaselineColumn],
    weight: FloatArray | None,
    codes: IntArray,
    labels: AnyArray,
    exits: FloatArray,
) -> str:
    assert rows.calendar is not None
    shape = merged.observed.shape
    columns = {f"outcome:{name}": values for name, values in sources.items()}
    columns |= {f"baseline:{name}": c.values for name, c in covariates.items()}
    named = {f"baseline:{name}": c.categories for name, c in covariates.items() if c.categories}
    if weight is not None:
        columns["weight"] = weight
    if len(labels) != len(rows.units) or not np.array_equal(codes, np.arange(len(codes))):
        columns["cluster"] = np.broadcast_to(codes[:, None].astype(np.float64), shape)
        named["cluster"] = tuple(str(label) for label in labels.tolist())
    if not np.isnan(exits).all():
        columns["exit"] = np.broadcast_to(exits[:, None], shape)
    if rows.calendar.frequency in ("quarter", "month"):  # a year is the integer that it is
        columns[rows.calendar.frequency] = np.zeros(shape)
    return fingerprint(rows.units, rows.calendar.ordinals, merged.observed, columns, named)
