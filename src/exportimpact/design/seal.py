"""The seal: SHA-256 over canonical settings and the data up to each firm's base period.

Settings are canonical JSON with floats at 12 significant digits. Data are columns by name and rows
by firm and period as little-endian float64, ids as NFC UTF-8 text. A firm of a cohort counts up to
its cohort's base period, a firm without a cohort up to the latest base period of any cohort. Row
order, dtypes, versions, and every outcome or its presence after the base period do not enter.
Doses of support are no outcomes and enter over all periods. Outcomes enter as they were read,
because the last digit of a logarithm depends on the version of NumPy.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from exportimpact._typing import AnyArray, BoolArray, FloatArray
from exportimpact.data import NEVER

if TYPE_CHECKING:
    from exportimpact.design.design import Design

VERSION = 1
_AT_ONCE = 100_000
_NOT_DESIGN = frozenset({"panel", "asks", "last_period"})


def seal_hash(design: Design) -> str:
    """Return the hash of a design, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    settings = {k: v for k, v in design.settings.items() if k not in _NOT_DESIGN}
    digest.update(canonical_json({"seal": VERSION, **settings}).encode("utf-8"))
    panel = design.panel
    _add_firms(digest, design)
    _add_pools(digest, design)
    before = _before_support(design)
    outcome = design.outcome_spec
    _add_column(digest, f"outcome:{outcome.scale}", panel.source(outcome.name), before)
    for name in sorted(panel.baseline_names):
        column = panel.baseline(name)
        if column.categories is not None:
            digest.update("\x1f".join(column.categories).encode("utf-8"))
        _add_column(digest, f"baseline:{name}", column.values, before)
    if panel.weight is not None:
        _add_column(digest, "weight", panel.weight, before)
    _add_match(digest, design)
    return digest.hexdigest()


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys, no spaces, and floats at 12 significant digits."""
    return json.dumps(_rounded(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(v) for v in value]
    return f"{value:.12g}" if isinstance(value, float) else value


def _add_firms(digest: Any, design: Design) -> None:
    """Add each firm's id and when it is first supported."""
    place, starts = pd.factorize(design.aligned.first)
    ends = [f"\x1f{'' if start == NEVER else int(start)}\x1e" for start in starts]
    units = design.panel.units
    for low in range(0, len(units), _AT_ONCE):
        part = slice(low, low + _AT_ONCE)
        texts: Iterable[str] = map(str, units[part].tolist())
        if units.dtype == object:
            texts = (unicodedata.normalize("NFC", text) for text in texts)
        rows = zip(texts, place[part].tolist(), strict=True)
        digest.update("".join([text + ends[start] for text, start in rows]).encode())


def _add_pools(digest: Any, design: Design) -> None:
    """Add what decides, besides first support, who is compared and which firms move together."""
    aligned = design.aligned
    clusters = design.cluster_codes
    flags = [aligned.other_supported, aligned.censor_from, aligned.rounds]
    for values in [*flags, *([] if clusters is None else [clusters])]:
        digest.update(b"\x1d")
        _add(digest, values, "<i8")
    if aligned.dose is not None:
        path = np.where(np.isfinite(aligned.dose), aligned.dose, -1.0)
        digest.update(b"\x1ddose\x1d" + (path + 0.0).astype("<f8").tobytes())
    rejected = aligned.rejected if design.comparison == "rejected" else None
    for ordinal, firms in sorted((rejected or {}).items()):
        digest.update(f"\x1d{ordinal}\x1d".encode() + firms.astype("<i8").tobytes())


def _add_match(digest: Any, design: Design) -> None:
    """Add the weights that matching gave, so that a design cannot be matched again unnoticed."""
    cohorts = {} if design.matching is None else design.matching.cohorts
    for cohort, match in sorted(cohorts.items()):
        digest.update(f"\x1dmatch:{cohort}\x1d".encode())
        digest.update(match.risk.rows.astype("<i8").tobytes())
        # Twelve significant digits, as in the settings: the rest depends on the machine.
        digest.update(",".join(f"{w:.12g}" for w in match.weights).encode())


def _before_support(design: Design) -> BoolArray:
    # From support alone: who is in the sample depends on reports after the base period.
    first = design.aligned.first
    lead = design.calendar.step * (1 + design.anticipation)
    starts = (first > design.calendar.first) & (first <= design.calendar.last)
    latest = first[starts].max(initial=design.calendar.first) - lead
    limit = np.where(starts, first, latest + lead) - lead
    within: BoolArray = design.calendar.ordinals[None, :] <= limit[:, None]
    return within


def _add_column(digest: Any, name: str, values: FloatArray, before: BoolArray) -> None:
    digest.update(f"\x1d{name}\x1d".encode())
    there = np.flatnonzero(before & np.isfinite(values))
    row = there // values.shape[1]
    _add(digest, row, "<i8")
    _add(digest, there - row * values.shape[1], "<i8")
    _add(digest, values.ravel()[there] + 0.0, "<f8")


def _add(digest: Any, values: AnyArray, dtype: str) -> None:
    digest.update(np.ascontiguousarray(values, dtype=dtype).data)
