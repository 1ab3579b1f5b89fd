"""What a method has to show beside its estimates, as a tidy table that a plot can draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

import pandas as pd

from exportimpact.language import Message


@dataclass(frozen=True, eq=False)
class Exhibit:
    """A table with a kind: `kind` chooses the drawing, `units` names the unit of its columns."""

    id: str
    kind: str
    table: pd.DataFrame
    units: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Message, ...] = ()

    def _repr_html_(self) -> str:
        return f"<h4>{escape(self.id)}</h4>{self.table.to_html(index=False)}"
