"""SHA-256 of firm data over canonical bytes.

Columns by name, rows by firm and period, little-endian float64, ids and names as NFC UTF-8. Row
order, dtypes and the make of the frame do not matter; neither does whether ids are integers or
the same digits as text.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping

import numpy as np

from exportimpact._typing import AnyArray, BoolArray, FloatArray, IntArray

VERSION = b"exportimpact-firm-data-1"


def fingerprint(
    units: AnyArray,
    ordinals: IntArray,
    used: BoolArray,
    columns: Mapping[str, FloatArray],
    labels: Mapping[str, tuple[str, ...]] | None = None,
) -> str:
    """Return the hexadecimal digest of the cells where `used` is true.

    Parameters
    ----------
    units : array of shape (n_firms,)
        Firm ids.
    ordinals : IntArray of shape (n_periods,)
        Period ordinals.
    used : BoolArray of shape (n_firms, n_periods)
        Cells that enter.
    columns : mapping of name to FloatArray of shape (n_firms, n_periods)
        Values. NaN has one form, and so has zero.
    labels : mapping of name to tuple of str, optional
        Names of the codes of categorical columns; the order of categories does not matter.
    """
    labels = labels or {}
    digest = hashlib.sha256(VERSION)
    encoded, order = _sorted_ids(units)
    _add_texts(digest, encoded)
    in_order = bool((order[1:] > order[:-1]).all())
    used = used if in_order else used[order]
    digest.update(used.sum(axis=1).astype("<i8").tobytes())
    periods = np.broadcast_to(ordinals.astype("<f8"), used.shape)
    digest.update(periods[used].tobytes())
    for name in sorted(columns, key=_nfc):
        values = columns[name] if in_order else columns[name][order]
        values = values[used]
        names = [_nfc(label) for label in labels.get(name, ())]
        if names:
            values = _by_name(values, names)
        _add_texts(digest, [_nfc(name).encode(), *(n.encode() for n in sorted(names))])
        digest.update(_canonical(values).data)
    return digest.hexdigest()


def _sorted_ids(units: AnyArray) -> tuple[list[bytes], IntArray]:
    """Ids in byte order, which for text is the order of code points."""
    if units.dtype == object:
        names = [_nfc(str(name)).encode() for name in units]
        order = np.array(sorted(range(len(names)), key=names.__getitem__), dtype=np.int64)
        return [names[i] for i in order], order
    packed = units.astype("S21")
    order = np.argsort(packed, kind="stable").astype(np.int64)
    return packed[order].tolist(), order


def _add_texts(digest: hashlib._Hash, texts: list[bytes]) -> None:
    digest.update(np.array([len(texts), *map(len, texts)], dtype="<i8").tobytes())
    digest.update(b"".join(texts))


def _by_name(codes: FloatArray, names: list[str]) -> FloatArray:
    rank = np.argsort(np.argsort(np.array(names, dtype=object))).astype(np.float64)
    known = ~np.isnan(codes)
    ranked = np.full(codes.shape, np.nan)
    ranked[known] = rank[codes[known].astype(np.int64)]
    return ranked


def _canonical(values: FloatArray) -> AnyArray:
    same: AnyArray = values.astype("<f8", copy=False) + 0.0  # -0.0 becomes 0.0
    same[np.isnan(same)] = np.nan
    return same


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
