"""From a frame of any make (pandas, polars, Arrow) to NumPy columns, converted once.

pandas columns are read by pandas, everything else through narwhals. polars needs no pyarrow.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from exportimpact._typing import AnyArray, BoolArray, FloatArray, IntArray
from exportimpact.errors import InputError, Problem, did_you_mean

if TYPE_CHECKING:
    import narwhals as nw

Kind: TypeAlias = Literal["integer", "float", "boolean", "text", "date", "empty", "other"]

LARGEST_EXACT = 2.0**53


@dataclass(frozen=True, eq=False)
class Column:
    """One column of a frame.

    Attributes
    ----------
    name : str
        As the user wrote it.
    kind : {"integer", "float", "boolean", "text", "date", "empty", "other"}
        ``"other"`` are mixtures and types that are not used here.
    values : array of shape (n_rows,)
        int64, float64, bool, str objects or datetime64[D].
    missing : BoolArray of shape (n_rows,)
        Where `values` means nothing.
    categorical : bool
        Whether the frame declares categories, even of numbers.
    """

    name: str
    kind: Kind
    values: AnyArray
    missing: BoolArray
    categorical: bool = False

    @property
    def is_numeric(self) -> bool:
        """Whether the column can be used as numbers; one that is all missing can."""
        return self.kind in ("integer", "float", "boolean", "empty")

    def numbers(self) -> FloatArray:
        """Return float64 values, NaN where missing."""
        if self.kind == "empty":
            return np.full(len(self.values), np.nan)
        values = self.values.astype(np.float64)
        if self.missing.any():
            values[self.missing] = np.nan
        return values

    def whole(self) -> IntArray | None:
        """Return int64 values (0 where missing), or None when some are not whole numbers."""
        if self.kind == "integer":
            return self.values
        if self.kind != "float":
            return None
        filled = np.where(self.missing, 0.0, self.values)
        if not np.all(np.abs(filled) <= LARGEST_EXACT) or np.any(filled != np.floor(filled)):
            return None
        return filled.astype(np.int64)

    def take(self, rows: AnyArray) -> Column:
        """Return the column at some rows (indices or a mask)."""
        return Column(self.name, self.kind, self.values[rows], self.missing[rows], self.categorical)

    def example(self) -> object:
        """Return the first value that is there, for messages."""
        there = np.flatnonzero(~self.missing)
        if not len(there):
            return None
        value = self.values[there[0]]
        return value.item() if isinstance(value, np.generic) else value


@dataclass(frozen=True)
class FrameCodes:
    """Codes for what can be wrong with a frame itself."""

    not_a_frame: str
    no_column: str
    repeated_column: str


def read_columns(
    frame: Any, names: Iterable[str], what: str, codes: FrameCodes
) -> tuple[dict[str, Column], int, list[Problem]]:
    """Return the named columns, the number of rows, and what is wrong with the frame.

    Raises
    ------
    InputError
        At once, when `frame` is not an eager data frame.
    """
    import narwhals as nw

    native = nw.to_native(frame, pass_through=True)
    wanted = list(dict.fromkeys(names))
    if not isinstance(native, pd.DataFrame):
        native = _opened(frame, what, codes)
    held: list[Any] = list(native.columns)
    problems: list[Problem] = []
    columns: dict[str, Column] = {}
    for name in wanted:
        actual = _actual_name(name, held)
        if actual is None:
            problems.append(_no_column(name, native, held, what, codes))
        elif held.count(actual) > 1:
            problems.append(
                Problem(
                    codes.repeated_column,
                    f"The {what} has {held.count(actual)} columns named {name!r}; which one is "
                    "meant would change the estimate. Rename or drop all but one.",
                    {"column": name, "count": held.count(actual)},
                )
            )
        elif isinstance(native, pd.DataFrame):
            columns[name] = _from_pandas(name, native[actual])
        else:
            columns[name] = _from_narwhals(name, native[actual])
    return columns, len(native), problems


def _opened(frame: Any, what: str, codes: FrameCodes) -> nw.DataFrame[Any]:
    import narwhals as nw

    try:
        return nw.from_native(frame, eager_only=True)
    except TypeError:
        lazy = hasattr(frame, "collect") or "Lazy" in type(frame).__name__
        fix = "Call .collect() first." if lazy else "Pass pandas.DataFrame(...) of it."
        raise InputError(
            codes.not_a_frame,
            f"The {what} is a {type(frame).__name__}, not a pandas, polars or Arrow data frame; "
            f"its rows cannot be told apart. {fix}",
            type=type(frame).__name__,
        ) from None


def _actual_name(name: str, held: Sequence[Any]) -> Any:
    """The column itself, or one whose name differs only in how its Hangul is composed."""
    if name in held:
        return name
    wanted = unicodedata.normalize("NFC", str(name))
    for other in held:
        if isinstance(other, str) and unicodedata.normalize("NFC", other) == wanted:
            return other
    return None


def _no_column(name: str, native: Any, held: list[Any], what: str, codes: FrameCodes) -> Problem:
    hint = did_you_mean(name, held)
    if isinstance(native, pd.DataFrame) and name in native.index.names:
        hint = "It is in the index: pass frame.reset_index()."
    return Problem(
        codes.no_column,
        f"The {what} has no column {name!r}, so nothing can be estimated from it. {hint}",
        {"column": name},
    )


def _from_pandas(name: str, series: pd.Series[Any]) -> Column:
    missing = series.isna().to_numpy(dtype=bool)
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        inner = _from_pandas(name, pd.Series(dtype.categories))
        if inner.kind in ("empty", "other") or not len(inner.values):
            return Column(name, inner.kind, series.to_numpy(dtype=object), missing, True)
        values = inner.values.take(series.cat.codes.to_numpy())
        return _blanked(Column(name, inner.kind, values, missing, True))
    if isinstance(dtype, pd.PeriodDtype):
        return _from_pandas(name, series.dt.to_timestamp())
    if pd.api.types.is_bool_dtype(dtype):
        return Column(name, "boolean", series.to_numpy(dtype=bool, na_value=False), missing)
    if pd.api.types.is_integer_dtype(dtype):
        return Column(name, "integer", series.to_numpy(dtype=np.int64, na_value=0), missing)
    if pd.api.types.is_float_dtype(dtype):
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return Column(name, "float", values, missing | np.isnan(values))
    if pd.api.types.is_datetime64_any_dtype(dtype):
        plain = series.dt.tz_localize(None) if series.dt.tz is not None else series
        return Column(name, "date", np.asarray(plain.to_numpy(), dtype="datetime64[D]"), missing)
    return _from_objects(name, series.to_numpy(dtype=object), missing)


def _from_narwhals(name: str, series: nw.Series[Any]) -> Column:
    import narwhals as nw

    dtype = series.dtype
    missing = series.is_null().to_numpy().astype(bool)
    if dtype == nw.Boolean:
        return Column(name, "boolean", series.fill_null(False).to_numpy().astype(bool), missing)
    if dtype.is_integer():
        whole = series.fill_null(0).cast(nw.Int64).to_numpy()
        return Column(name, "integer", np.array(whole, dtype=np.int64), missing)
    if dtype.is_float() or dtype.is_decimal():
        values = np.array(series.cast(nw.Float64).to_numpy(), dtype=np.float64)
        return Column(name, "float", values, missing | np.isnan(values))
    if dtype == nw.Date or dtype == nw.Datetime:
        local = series
        if isinstance(dtype, nw.Datetime) and dtype.time_zone is not None:
            local = series.dt.replace_time_zone(None)
        return Column(name, "date", np.asarray(local.to_numpy(), dtype="datetime64[D]"), missing)
    declared = dtype == nw.Categorical or dtype == nw.Enum
    values = np.empty(len(series), dtype=object)
    values[:] = (series.cast(nw.String) if declared else series).to_list()
    column = _from_objects(name, values, missing)
    return Column(name, column.kind, column.values, column.missing, declared)


def _from_objects(name: str, values: AnyArray, missing: BoolArray) -> Column:
    """Read Python objects by what they are; a mixture is of no use."""
    inferred = pd.api.types.infer_dtype(values, skipna=True)
    there = ~missing
    if inferred == "string":
        return _blanked(Column(name, "text", values, missing))
    if inferred == "empty":
        return Column(name, "empty", values, missing)
    if inferred in ("integer", "boolean"):
        kind: Kind = "integer" if inferred == "integer" else "boolean"
        read = np.zeros(len(values), dtype=np.int64 if kind == "integer" else bool)
        read[there] = values[there]
        return Column(name, kind, read, missing)
    if inferred in ("floating", "mixed-integer-float", "decimal"):
        numbers = np.full(len(values), np.nan)
        numbers[there] = values[there].astype(np.float64)
        return Column(name, "float", numbers, missing | np.isnan(numbers))
    if inferred in ("date", "datetime", "datetime64", "period"):
        dates = np.full(len(values), np.datetime64("NaT"), dtype="datetime64[D]")
        dates[there] = [f"{v.year:04d}-{v.month:02d}-{v.day:02d}" for v in values[there]]
        return Column(name, "date", dates, missing)
    return Column(name, "other", values, missing)


def _blanked(column: Column) -> Column:
    """Put None, NaN or NaT where text, float or date is missing."""
    blank = {"text": None, "float": np.nan, "date": np.datetime64("NaT")}
    if column.kind not in blank or not column.missing.any():
        return column
    values = column.values.copy()
    values[column.missing] = blank[column.kind]
    return Column(column.name, column.kind, values, column.missing, column.categorical)
