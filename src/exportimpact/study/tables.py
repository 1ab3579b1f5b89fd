"""Data files as frames: encodings, ids with leading zeros, dates; nothing is guessed silently.

Ids are read as text. When every id of both files is a plain whole number they become integers;
one id such as "007" keeps all of them text.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import pandas as pd

from exportimpact.errors import InputError, Problem, did_you_mean

_EXTRA = {".parquet": "pyarrow", ".pq": "pyarrow", ".xlsx": "openpyxl"}
_TYPES = (".csv", *_EXTRA)
_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]00:00:00(?:\.0+)?)?")
_MONTH = re.compile(r"(\d{4})-(\d{2})")
_QUARTER = re.compile(r"(\d{4})-?[Qq]([1-4])")
# From 3.1 on pandas reads every decimal exactly and no longer wants to be asked to.
_EXACT: dict[str, Any] = (
    {}
    if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1)
    else {"float_precision": "round_trip"}
)
# What counts as missing in a column of numbers or dates; in text only the empty field does.
_MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "<NA>", "#N/A"]


@dataclass(frozen=True, eq=False)
class Table:
    """A data file that was read.

    Attributes
    ----------
    name : str
        As the study names it.
    sha256 : str
    frame : DataFrame
    """

    name: str
    sha256: str
    frame: pd.DataFrame


def check_file(name: str, path: Path) -> Problem | None:
    """Return what is wrong with a data file before it is opened."""
    suffix = path.suffix.lower()
    if suffix not in _TYPES:
        return Problem(
            "EI-S06",
            f"{name!r} is not of a type that can be read ({', '.join(_TYPES)}); its firms would be "
            "left out. Save it as CSV or Parquet.",
        )
    if not path.is_file():
        folder_there = path.parent.is_dir()
        there = sorted(p.name for p in path.parent.iterdir()) if folder_there else []
        hint = did_you_mean(path.name, there) if there else "Its folder does not exist or is empty."
        return Problem(
            "EI-S05",
            f"the file {name!r} was not found; without it there is nothing to estimate from. Paths "
            f"are relative to the study file. {hint}",
        )
    engine = _EXTRA.get(suffix)
    if engine is not None and find_spec(engine) is None:
        return Problem(
            "EI-S06",
            f"{name!r} needs the package {engine}, which is not installed, so that the file cannot "
            'be read. Run: pip install "exportimpact[io]".',
        )
    return None


def read_table(name: str, path: Path, *, text: frozenset[str], encoding: str) -> Table:
    """Return a data file as a frame.

    Parameters
    ----------
    name : str
        As the study names it.
    path : Path
    text : frozenset of str
        Columns that are read as text: ids and codes.
    encoding : {"utf-8", "cp949"}
        Of a CSV file; a byte-order mark is allowed.

    Raises
    ------
    InputError
        EI-S07 for another encoding, EI-S11 for a file that is no table.
    """
    suffix = path.suffix.lower()
    content = _content(name, path)
    decoded = _decoded(name, content, encoding) if suffix == ".csv" else ""
    try:
        if suffix == ".csv":
            frame = _parsed(decoded, text)
        elif suffix == ".xlsx":
            frame = pd.read_excel(io.BytesIO(content), dtype=dict.fromkeys(text, str))
        else:
            frame = pd.read_parquet(io.BytesIO(content))
    except (ValueError, KeyError, BadZipFile, pd.errors.ParserWarning) as error:
        raise _unreadable(name, error) from None
    return Table(name, hashlib.sha256(content).hexdigest(), frame)


def _content(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            "EI-S05",
            f"{name} cannot be opened ({error.strerror}); without it there is nothing to estimate "
            "from. Check its permissions, and close programs that hold it open.",
            file=name,
        ) from None


def _parsed(decoded: str, text: frozenset[str]) -> pd.DataFrame:
    header = pd.read_csv(io.StringIO(decoded), nrows=0, index_col=False)
    written = pd.read_csv(io.StringIO(decoded), nrows=1, header=None, dtype=str).iloc[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        frame: pd.DataFrame = pd.read_csv(
            io.StringIO(decoded),
            dtype={c: str for c in header.columns if c in text},
            na_values={c: [""] if c in text else _MISSING for c in header.columns},
            keep_default_na=False,
            index_col=False,
            low_memory=False,
            **_EXACT,
        )
    # pandas renames what stands twice; the panel has to see that it does.
    twice = written.duplicated(keep=False) & written.notna()
    frame.columns = pd.Index(written.where(twice, pd.Series(list(frame.columns))))
    return frame


def _decoded(name: str, content: bytes, encoding: str) -> str:
    try:
        return content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
    other = "cp949" if encoding == "utf-8" else "utf-8"
    try:
        content.decode(other)
        fix = f'It reads as {other.upper()}: write encoding = "{other}" beside the file.'
    except UnicodeDecodeError:
        fix = "Save it as UTF-8."
    raise InputError(
        "EI-S07",
        f"{name}, line {line}: the file is not {encoding.upper()}; firms and columns with other "
        f"letters than a-z could not be matched. {fix}",
        file=name,
        line=line,
    )


def _unreadable(name: str, error: Exception) -> InputError:
    reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
    if isinstance(error, pd.errors.EmptyDataError):
        reason = "it is empty"
    return InputError(
        "EI-S11",
        f"{name} cannot be read as a table: {reason}. Rows that shift columns would put numbers "
        "under the wrong name. Open the file at that line, or export it again.",
        file=name,
    )


def same_ids(left: pd.DataFrame, right: pd.DataFrame, columns: tuple[str, str]) -> None:
    """Make the ids of both frames integers when all are, and text otherwise, in place."""
    both = zip((left, right), columns, strict=True)
    pairs = [(frame, column) for frame, column in both if _has_one(frame, column)]
    if all(_is_whole(frame[column]) for frame, column in pairs):
        for frame, column in pairs:
            frame[column] = frame[column].astype("Int64")
        return
    for frame, column in pairs:
        if pd.api.types.is_integer_dtype(frame[column]):
            frame[column] = frame[column].astype("string").astype(object)


def _is_whole(ids: pd.Series[Any]) -> bool:
    if pd.api.types.is_integer_dtype(ids):
        return True
    there = ids.dropna()
    return bool(there.map(lambda i: isinstance(i, str) and bool(_WHOLE.fullmatch(i))).all())


def with_dates(frame: pd.DataFrame, column: str | None, frequency: str | None) -> None:
    """Make a text column of dates, quarters or months dates, in place; leave all else alone."""
    if column is None or not _has_one(frame, column) or not _is_text(frame[column]):
        return
    stripped = frame[column].str.strip()
    there = stripped.dropna()
    if there.empty:
        return
    if frequency == "quarter" and there.str.fullmatch(_QUARTER.pattern).all():
        parts = stripped.str.extract(_QUARTER.pattern)
        month = (parts[1].astype(float) * 3 - 2).map("{:02.0f}".format, na_action="ignore")
        stripped = parts[0] + "-" + month + "-01"
    elif frequency == "month" and there.str.fullmatch(_MONTH.pattern).all():
        stripped = stripped + "-01"
    elif not there.str.fullmatch(_DATE.pattern).all():
        return
    try:
        frame[column] = pd.to_datetime(stripped.str[:10], format="%Y-%m-%d")
    except ValueError:  # 30 February: left as text, which is refused with a code
        return


def _has_one(frame: pd.DataFrame, column: str) -> bool:
    return list(frame.columns).count(column) == 1


def _is_text(column: pd.Series[Any]) -> bool:
    if column.dtype.kind in "iufbM":
        return False
    return bool(column.dropna().map(lambda value: isinstance(value, str)).all())
