"""Every reported number with its place, for the manifest and its verification."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from exportimpact.evaluation import Evaluation
from exportimpact.report.tables import report_tables

_NORMAL = 1.96
_PERCENT = ("percent", "percent_low", "percent_high", "known_percent", "mde_percent", "ratio")


def numbers(evaluation: Evaluation) -> pd.DataFrame:
    """Return every value of every table of the report.

    Returns
    -------
    DataFrame
        place (``"tables/ladder.csv:2:estimate"``: file, row from 1 without the header, column),
        table, row, column, value (None when missing), std_error (of the row, on the column's scale;
        missing where there is none) and kind: "estimate", "p_value", "count" or "text".
    """
    parts = [_of_table(name, frame) for name, frame in report_tables(evaluation).items()]
    return pd.concat(parts, ignore_index=True)


def _of_table(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    rows = []
    kinds = {column: _kind(str(column), frame[column]) for column in frame.columns}
    for number, (_, row) in enumerate(frame.iterrows(), start=1):
        for column, kind in kinds.items():
            value = _plain(row[column], kind)
            error = _error(row, str(column)) if kind == "estimate" else math.nan
            place = f"tables/{name}.csv:{number}:{column}"
            rows.append((place, name, number, str(column), value, error, kind))
    columns = ["place", "table", "row", "column", "value", "std_error", "kind"]
    made = pd.DataFrame(rows, columns=columns)
    made["value"] = pd.Series([r[4] for r in rows], dtype=object)
    return made


def _kind(name: str, values: pd.Series) -> str:
    if name == "p_value":
        return "p_value"
    if pd.api.types.is_bool_dtype(values.dtype):
        return "text"
    if pd.api.types.is_integer_dtype(values.dtype):
        return "count"
    return "estimate" if pd.api.types.is_float_dtype(values.dtype) else "text"


def _plain(value: Any, kind: str) -> Any:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if kind == "text":
        return str(value)
    return int(value) if kind == "count" else float(value)


def _error(row: pd.Series, column: str) -> float:
    """Return the row's standard error on the scale of the column."""
    if column in _PERCENT:
        width = _float(row, "percent_high") - _float(row, "percent_low")
        return width / (2 * _NORMAL) / (100 if column == "ratio" else 1)
    if "std_error" in row.index:
        return _float(row, "std_error")
    return (_float(row, "effect_high") - _float(row, "effect_low")) / (2 * _NORMAL)


def _float(row: pd.Series, column: str) -> float:
    value = row.get(column)
    return math.nan if value is None or value is pd.NA else float(value)
