"""Tables as a reader sees them: few columns, numbers with their units, the CSV beside them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pandas as pd

from exportimpact._typing import Scale
from exportimpact.evaluation.quantities import (
    MISSING,
    decimals,
    number,
    own_factor,
    own_unit,
    p_text,
    significant,
)
from exportimpact.language import message

Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Grid:
    """A table to be shown.

    Attributes
    ----------
    caption, source : str
        What it shows, and the CSV file with every digit.
    headers : tuple of (text, class)
        Class "n" for numbers, "wide" for sentences, "" for short text.
    rows : tuple of tuples of cell texts
    """

    caption: str
    source: str
    headers: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def broad(self) -> bool:
        """Whether it needs more than the width of the text."""
        return len(self.headers) > 7


@dataclass(frozen=True)
class Column:
    """A column of a grid: header and how a row's cell is shown."""

    header: str
    show: Callable[[Row], str]
    look: str = "n"


def grid(frame: pd.DataFrame, caption: str, source: str, columns: Sequence[Column]) -> Grid:
    """Return the rows of `frame` as shown by `columns`."""
    rows = [{str(k): v for k, v in row.items()} for _, row in frame.iterrows()]
    return Grid(
        caption,
        f"tables/{source}.csv",
        tuple((c.header, c.look) for c in columns),
        tuple(tuple(c.show(row) for c in columns) for row in rows),
    )


def words(name: str, *, wide: bool = False) -> Column:
    """Return a column of text; `wide` for sentences."""
    return Column(_header(name), lambda row: text(row[name]), "wide" if wide else "")


def counts(name: str) -> Column:
    """Return a column of whole numbers with separators."""
    return Column(_header(name), lambda row: count(row[name]))


def share(name: str) -> Column:
    """Return a column of shares, shown in percent."""
    return Column(_header(name), lambda row: percent_of(row[name]))


def labels(name: str) -> Column:
    """Return a column of periods: years without separators, quarters and months as text."""
    return Column(_header(name), lambda row: text(row[name]))


def numbers(name: str, digits: int = 3) -> Column:
    """Return a column of numbers to so many significant digits."""
    return Column(_header(name), lambda row: significant(real(row[name]), digits))


def places(name: str, decimals: int) -> Column:
    """Return a column of numbers with so many decimals, so that a reader can run down it."""
    return Column(_header(name), lambda row: number(real(row[name]), decimals))


def effects(frame: pd.DataFrame, scale: Scale, unit: str | None) -> list[Column]:
    """Return the columns of estimates: effect, interval, band, percent, p-value, firms, known.

    One number of decimals per column, from the median standard error, so that a reader can run
    down it.
    """
    factor, shown_unit = own_factor(scale), own_unit(scale, unit)
    places = decimals(factor * float(frame["std_error"].median()))
    columns = [
        _signed("estimate", factor, places, f"{_header('estimate')}, {shown_unit}"),
        _range("ci_low", "ci_high", factor, places, _header("interval")),
    ]
    if "band_low" in frame:
        columns.append(_range("band_low", "band_high", factor, places, _header("band")))
    relative = scale != "binary" and "percent" in frame
    if relative:
        spread = float((frame["percent_high"] - frame["percent_low"]).median()) / 4
        tenths = min(decimals(spread), 2)
        columns.append(_signed("percent", 1.0, tenths, _header("percent")))
        columns.append(_range("percent_low", "percent_high", 1.0, tenths, _header("interval")))
    if "mde" in frame:
        columns.append(
            Column(_header("detectable"), lambda r: number(factor * real(r["mde"]), places))
        )
    columns.append(Column(_header("p_value"), lambda row: p_text(real(row["p_value"]))))
    clusters = ["n_supported_clusters", "n_comparison_clusters"]
    columns += [counts(c) for c in ["n_supported", "n_comparison", *clusters] if c in frame]
    if "known" in frame:
        columns.append(_signed("known", factor, places, _header("known")))
    return columns


def text(value: Any) -> str:
    """Return a value as text; missing is a dash."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    return str(value)


def count(value: Any) -> str:
    """Return a whole number with separators."""
    shown = text(value)
    return shown if shown == MISSING else number(float(value), 0)


def percent_of(value: Any) -> str:
    """Return a share in percent, to one decimal."""
    shown = real(value)
    return MISSING if math.isnan(shown) else f"{number(100 * shown, 1)}\N{NO-BREAK SPACE}%"


def real(value: Any) -> float:
    """Return a number; missing of any kind is NaN."""
    return math.nan if value is None or value is pd.NA else float(value)


def _signed(name: str, factor: float, places: int, header: str) -> Column:
    return Column(header, lambda row: number(factor * real(row[name]), places, sign=True))


def _range(low: str, high: str, factor: float, places: int, header: str) -> Column:
    def show(row: Row) -> str:
        ends = [number(factor * real(row[name]), places) for name in (low, high)]
        return MISSING if MISSING in ends else " to ".join(ends)

    return Column(header, show)


def _header(name: str) -> str:
    return str(message(f"column.{name}"))
