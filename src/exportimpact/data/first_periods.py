"""A table of first supported periods, one row per firm or one per firm and period."""

from __future__ import annotations

from typing import Any

import numpy as np

from exportimpact.data.identifiers import plain
from exportimpact.data.reading import Column, read_columns
from exportimpact.data.spells import (
    ANY_PROGRAMME,
    CODES,
    RowNames,
    Spells,
    nobody_supported,
    raise_found,
    read_ids,
    read_when,
)
from exportimpact.errors import Problem


def read_first_periods(frame: Any, *, unit: str, first_period: str) -> Spells:
    """Return spells that start in each firm's first period and last; a missing one is never."""
    table, _, problems = read_columns(frame, [unit, first_period], "table of support", CODES)
    ids = read_ids(table.get(unit), problems)
    raise_found(problems, only_if_missing=True)
    when = read_when(table[first_period], RowNames(unit, ids), problems, "it means never supported")
    raise_found(problems)
    assert ids is not None
    assert when is not None
    rows = np.empty(len(ids.units), dtype=np.int64)
    rows[ids.codes[::-1]] = np.arange(len(ids.codes))[::-1]  # written last: a firm's first row
    start = when.take(rows)
    changes = when.missing != start.missing[ids.codes]
    there = ~when.missing & ~start.missing[ids.codes]
    changes[there] = when.values[there] != start.values[ids.codes[there]]
    if changes.any():
        firm = plain(ids.units[ids.codes[changes].min()])
        n = len(np.unique(ids.codes[changes]))
        problems.append(
            Problem(
                "EI-A14",
                f"{n:,} of {len(ids.units):,} firms have more than one value of {first_period!r}, "
                f"the first is firm {firm}; which cohort they belong to cannot be told. A firm's "
                "first supported period is the same in all its rows; pass a table of awards to "
                "Assignment.from_spells otherwise.",
                {"column": first_period, "count": n, "firm": firm},
            )
        )
    elif start.missing.all():
        problems.append(nobody_supported(first_period))
    raise_found(problems)
    n_firms = len(ids.units)
    ongoing = Column("end", "integer", np.zeros(n_firms, dtype=np.int64), np.ones(n_firms, bool))
    return Spells(
        unit=unit,
        units=ids.units,
        firm=np.arange(n_firms, dtype=np.int64),
        start=start,
        end=ongoing,
        applied=None,
        programme=np.zeros(n_firms, dtype=np.int64),
        programmes=(ANY_PROGRAMME,),
        amount=None,
        score=None,
        awarded=~start.missing,
        has_applications=False,
        lasting=True,
    )
