"""Firm identifiers: integers or text (NFC), sorted, and pairs that look like one firm twice."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from exportimpact._typing import AnyArray, IntArray
from exportimpact.data.reading import Column

_COMPACT = 4
"""Whole numbers that span less than this many times the rows are looked up in a table."""


@dataclass(frozen=True, eq=False)
class Identifiers:
    """Sorted distinct ids and the place of each row's id among them.

    Attributes
    ----------
    units : array of shape (n_firms,)
        int64, or str objects in NFC, increasing.
    codes : IntArray of shape (n_rows,)
        Place in `units`, -1 where the id is missing.
    recomposed : int
        Ids that were not in NFC form and were made so.
    """

    units: AnyArray
    codes: IntArray
    recomposed: int = 0


def identify(column: Column) -> Identifiers | None:
    """Return the identifiers of a column, or None when its type cannot identify firms."""
    whole = column.whole()
    if whole is not None:
        return _ranked(whole, column, 0)
    if column.kind != "text":
        return None
    codes, seen = pd.factorize(column.values, use_na_sentinel=True)
    composed = [unicodedata.normalize("NFC", name) for name in seen]
    names = np.array([*composed, ""], dtype=object)[:-1]
    changed = sum(a != b for a, b in zip(composed, seen, strict=True))
    firsts, place = np.unique(names, return_inverse=True) if len(names) else (names, codes[:0])
    if len(firsts) and not firsts[0].strip():  # a blank id is a missing one
        return _without_blanks(firsts, place[codes], codes, changed)
    ranked = np.where(codes < 0, -1, place[codes]) if len(names) else codes
    return Identifiers(firsts, ranked.astype(np.int64), changed)


def _without_blanks(
    units: AnyArray, ranked: IntArray, codes: IntArray, changed: int
) -> Identifiers:
    blank = np.array([not name.strip() for name in units])
    new = np.where(blank, -1, np.cumsum(~blank) - 1)
    return Identifiers(units[~blank], np.where(codes < 0, -1, new[ranked]), changed)


def _ranked(values: IntArray, column: Column, changed: int) -> Identifiers:
    there = ~column.missing
    whole = bool(there.all())
    units, codes = _places(values if whole else values[there])
    if whole:
        return Identifiers(units, codes, changed)
    placed = np.full(len(values), -1, dtype=np.int64)
    placed[there] = codes
    return Identifiers(units, placed, changed)


def _places(values: IntArray) -> tuple[IntArray, IntArray]:
    """Return the distinct values, increasing, and the place of each value among them."""
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    if high - low < _COMPACT * len(values):  # numbered through: a table is faster than hashing
        used = np.zeros(high - low + 1, dtype=bool)
        used[values - low] = True
        rank = np.cumsum(used) - 1
        return np.flatnonzero(used) + low, rank[values - low]
    codes, seen = pd.factorize(values)
    order = np.argsort(seen)
    rank = np.empty(len(seen), dtype=np.int64)
    rank[order] = np.arange(len(seen))
    return np.asarray(seen, dtype=np.int64)[order], rank[codes]


def locate(units: AnyArray, wanted: AnyArray) -> IntArray:
    """Return the place of each wanted id in `units`, -1 where absent or of the other type."""
    if (units.dtype == object) != (wanted.dtype == object):
        return np.full(len(wanted), -1, dtype=np.int64)
    return np.asarray(pd.Index(units).get_indexer(pd.Index(wanted)), dtype=np.int64)


def confusable(units: AnyArray) -> list[tuple[object, object]]:
    """Return pairs of ids that differ only by leading zeros, case, spaces or letter width."""
    if units.dtype != object:
        return []
    codes, _ = pd.factorize(_keys(units))
    first = np.full(int(codes.max(initial=-1)) + 1, -1)
    _, where = np.unique(codes, return_index=True)
    first[codes[where]] = where
    later = np.flatnonzero(first[codes] != np.arange(len(codes)))
    return [(units[first[codes[i]]], units[i]) for i in later]


def near_matches(units: AnyArray, strangers: AnyArray) -> list[tuple[object, object]]:
    """Return (panel id, stranger) pairs equal but for type, zeros, case or spaces."""
    known = pd.Index(_keys(units))
    keys = _keys(strangers)
    known_first = known[~known.duplicated()]
    places = np.flatnonzero(~known.duplicated())
    found = known_first.get_indexer(pd.Index(keys))
    return [(units[places[f]], strangers[i]) for i, f in enumerate(found) if f >= 0]


def _keys(ids: AnyArray) -> AnyArray:
    if ids.dtype != object:
        return np.array([*map(str, ids.tolist()), ""], dtype=object)[:-1]
    return np.array([*map(_key, ids), ""], dtype=object)[:-1]


def _key(name: str) -> str:
    if not name.isascii():
        name = unicodedata.normalize("NFKC", name)
    key = "".join(name.casefold().split())
    if key.endswith(".0") and key[:-2].isdigit():  # an integer that was read as a float
        key = key[:-2]
    return key.lstrip("0") or "0"


def shown(pairs: Iterable[tuple[object, object]], most: int = 1) -> str:
    """Return pairs as ``'007' and '7'`` for messages."""
    some = list(pairs)[:most]
    return "; ".join(f"{plain(a)!r} and {plain(b)!r}" for a, b in some)


def plain(value: object) -> object:
    """Return a Python value for a NumPy scalar."""
    return value.item() if isinstance(value, np.generic) else value
