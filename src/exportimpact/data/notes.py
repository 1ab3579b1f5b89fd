"""What a reader of results should know about a panel: gaps, entry, attrition, exits, zeros."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from exportimpact._typing import BoolArray, FloatArray
from exportimpact.data.cards import listed
from exportimpact.data.validation import Rows
from exportimpact.language import Message, message

if TYPE_CHECKING:
    from exportimpact.data.building import PanelSpec


def panel_notes(
    rows: Rows,
    observed: BoolArray,
    exits: FloatArray,
    spec: PanelSpec,
    sources: Mapping[str, FloatArray],
    recomposed: int,
) -> tuple[Message, ...]:
    """Return the notes of a panel, in reading order."""
    calendar = rows.calendar
    assert calendar is not None
    notes: list[Message] = []
    if calendar.step > 1:
        notes.append(message("data.step", step=calendar.step, noun=calendar.noun))
    empty = [calendar.label(int(o)) for o in calendar.ordinals[~observed.any(axis=0)]]
    if empty:
        notes.append(message("data.gap", n=len(empty), noun=calendar.noun, periods=listed(empty)))
    if recomposed:
        notes.append(message("data.recomposed_ids", n=recomposed))
    notes += _presence(observed, exits, rows)
    for outcome in spec.outcomes:
        values = sources[outcome.source]
        missing = int((np.isnan(values) & observed).sum())
        if missing:
            notes.append(
                message("data.missing_outcome", n=missing, noun=rows.noun, outcome=outcome.name)
            )
        not_positive = int((values <= 0).sum()) if outcome.scale == "log" else 0
        if not_positive:
            notes.append(
                message("data.not_positive", n=not_positive, noun=rows.noun, outcome=outcome.name)
            )
    return tuple(notes)


def _presence(observed: BoolArray, exits: FloatArray, rows: Rows) -> list[Message]:
    """Entry, interruption, exit, and firms that are simply not observed later."""
    n_periods = observed.shape[1]
    first = observed.argmax(axis=1)
    last = n_periods - 1 - observed[:, ::-1].argmax(axis=1)
    exited = ~np.isnan(exits)
    holes = (last - first + 1) > observed.sum(axis=1)
    counts = {
        "data.entered_later": int((first > 0).sum()),
        "data.interrupted": int(holes.sum()),
        "data.exited": int(exited.sum()),
        "data.not_observed_later": int(((last < n_periods - 1) & ~exited).sum()),
    }
    return [message(id, n=n, of=len(rows.units)) for id, n in counts.items() if n]
