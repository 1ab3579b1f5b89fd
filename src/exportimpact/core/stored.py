"""Results as JSON: settings, cells, moments, exhibits and the account, no firm-level data."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from exportimpact.core.account import AccountEntry, SampleAccount
from exportimpact.core.aggregation import CellIndex, Pooled, Rows, Sizes
from exportimpact.core.assumption import Requirement
from exportimpact.core.cellset import CellSet, Counts
from exportimpact.core.estimand import Estimand
from exportimpact.core.exhibit import Exhibit
from exportimpact.core.provenance import Provenance
from exportimpact.core.step import Step
from exportimpact.errors import InputError
from exportimpact.language import Message, message
from exportimpact.numerics.influence import Moments

if TYPE_CHECKING:
    from exportimpact.core.result import EstimationResult

SCHEMA = 1


def dump(result: EstimationResult) -> str:
    """Return `result` as JSON text."""
    cells = result.cells
    payload = {
        "schema": SCHEMA,
        "provenance": {
            **{f.name: getattr(result.provenance, f.name) for f in fields(Provenance)},
            "step": str(result.provenance.step),
            "max_step": str(result.provenance.max_step),
            "requires": _requirement(result.provenance.requires),
        },
        "estimand": asdict(result.estimand),
        "cells": {
            "index": _arrays(cells.index),
            "estimate": cells.estimate.tolist(),
            "mean": cells.mean.tolist(),
            "base": cells.base.tolist(),
            "design_sizes": _arrays(cells.design_sizes),
            "observed_sizes": _arrays(cells.observed_sizes),
            "counts": _arrays(cells.counts),
            "moments": {**_arrays(cells.moments), "n_firms": cells.moments.n_firms},
            "clustered": cells.clustered,
            "no_error": cells.no_error,
            "common": cells.common,
        },
        "sample": {
            "firms": result.sample.firms,
            "firm_periods": result.sample.firm_periods,
            "entries": [
                [e.stage, _words(e.reason), e.firms, e.firm_periods] for e in result.sample.entries
            ],
        },
        "exhibits": [_exhibit(e) for e in result.exhibits],
        "notes": [_words(n) for n in result.notes],
        "not_identified": [[g, t, _words(r)] for g, t, r in result.not_identified],
        "labels": [[k, v] for k, v in result.labels.items()],
        "rows": None if result.rows is None else _rows(result.rows),
    }
    return json.dumps(payload, ensure_ascii=False, default=_plain)


def load(text: str) -> EstimationResult:
    """Return the result that `dump` wrote.

    Raises
    ------
    InputError
        EI-I07 for text that is not a stored result, or one of another schema.
    """
    try:
        payload = json.loads(text)
        known = payload["schema"] == SCHEMA
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable("it is not JSON with a schema") from error
    if not known:
        raise _unreadable(f"its schema is {payload['schema']!r}, not {SCHEMA}")
    try:
        return _result(payload)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise _unreadable(f"a part is missing or malformed ({error!r})") from error


def _result(payload: dict[str, Any]) -> EstimationResult:
    from exportimpact.core.result import EstimationResult

    sample = payload["sample"]
    entries = tuple(AccountEntry(s, _message(r), f, p) for s, r, f, p in sample["entries"])
    return EstimationResult(
        provenance=_read_provenance(payload["provenance"]),
        estimand=_read_estimand(payload["estimand"]),
        cells=_read_cells(payload["cells"]),
        design=None,
        sample=SampleAccount(sample["firms"], sample["firm_periods"], entries),
        own_exhibits=tuple(_read_exhibit(e) for e in payload["exhibits"]),
        notes=tuple(_message(n) for n in payload["notes"]),
        not_identified=tuple((g, t, _message(r)) for g, t, r in payload["not_identified"]),
        labels={int(k): v for k, v in payload["labels"]},
        rows=None if payload["rows"] is None else _read_rows(payload["rows"]),
    )


def _unreadable(why: str) -> InputError:
    return InputError(
        "EI-I07",
        f"The text is not a stored result: {why}. Its numbers cannot be trusted to mean what they "
        "did. Pass what result.to_json() returned, from the same version of the package.",
    )


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return str(value)


def _arrays(holder: Any) -> dict[str, Any]:
    return {
        f.name: getattr(holder, f.name).tolist()
        for f in fields(holder)
        if isinstance(getattr(holder, f.name), np.ndarray)
    }


def _words(note: Message) -> list[Any]:
    values = {k: {"id": _words(v)} if isinstance(v, Message) else v for k, v in note.values.items()}
    return [note.id, values]


def _message(stored: list[Any]) -> Message:
    values = {k: _message(v["id"]) if isinstance(v, dict) else v for k, v in stored[1].items()}
    return message(stored[0], **values)


def _requirement(part: Requirement | str) -> Any:
    return part if isinstance(part, str) else [part.kind, [_requirement(p) for p in part.parts]]


def _read_requirement(stored: Any) -> Any:
    if isinstance(stored, str):
        return stored
    return Requirement(stored[0], tuple(_read_requirement(p) for p in stored[1]))


def _exhibit(exhibit: Exhibit) -> dict[str, Any]:
    table = exhibit.table.to_json(orient="table", index=False, double_precision=15)
    return {
        "id": exhibit.id,
        "kind": exhibit.kind,
        "table": table,
        "units": dict(exhibit.units),
        "notes": [_words(n) for n in exhibit.notes],
    }


def _read_exhibit(stored: dict[str, Any]) -> Exhibit:
    table = pd.read_json(StringIO(stored["table"]), orient="table", precise_float=True)
    notes = tuple(_message(n) for n in stored["notes"])
    return Exhibit(stored["id"], stored["kind"], table, stored["units"], notes)


def _rows(rows: Rows) -> dict[str, Any]:
    parts = [[{"share": p.share, **_arrays(p)} for p in row] for row in rows.parts]
    return {"weights": rows.weights.tolist(), "parts": parts, "keys": list(rows.keys)}


def _read_rows(stored: dict[str, Any]) -> Rows:
    parts = tuple(
        tuple(
            Pooled(
                p["share"],
                np.asarray(p["means"], dtype=float),
                np.asarray(p["size"], dtype=float),
                np.asarray(p["size_column"], dtype=np.int64),
            )
            for p in row
        )
        for row in stored["parts"]
    )
    return Rows(np.asarray(stored["weights"], dtype=float), parts, tuple(stored["keys"]))


def _read_provenance(stored: dict[str, Any]) -> Provenance:
    requires = _read_requirement(stored["requires"])
    steps = {name: Step(stored[name]) for name in ("step", "max_step")}
    return Provenance(**{**stored, **steps, "requires": requires})


def _read_estimand(stored: dict[str, Any]) -> Estimand:
    segment, key = stored["segment"], stored["key"]
    return Estimand(
        **{
            **stored,
            "cells": tuple((g, t) for g, t in stored["cells"]),
            "segment": None if segment is None else tuple(segment),
            "key": tuple(key) if isinstance(key, list) else key,
        }
    )


def _read_cells(stored: dict[str, Any]) -> CellSet:
    def whole(values: Any) -> Any:
        return np.asarray(values, dtype=np.int64)

    def real(values: Any) -> Any:
        return np.asarray(values, dtype=float)

    moments, counts = stored["moments"], stored["counts"]
    return CellSet(
        index=CellIndex(**{k: whole(v) for k, v in stored["index"].items()}),
        estimate=real(stored["estimate"]),
        mean=real(stored["mean"]),
        base=whole(stored["base"]),
        design_sizes=_read_sizes(stored["design_sizes"]),
        observed_sizes=_read_sizes(stored["observed_sizes"]),
        counts=Counts(**{k: whole(v) for k, v in counts.items()}),
        moments=Moments(
            moments["n_firms"],
            whole(moments["members"]),
            real(moments["total"]),
            real(moments["cross"]),
        ),
        influence=None,
        clustered=stored["clustered"],
        no_error=stored["no_error"],
        common=stored.get("common", "none"),
    )


def _read_sizes(stored: dict[str, Any]) -> Sizes:
    return Sizes(
        np.asarray(stored["value"], dtype=float), np.asarray(stored["column"], dtype=np.int64)
    )
