"""How objects show themselves in a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import pandas as pd


class Shown:
    """Gives a class an HTML form: its text, escaped."""

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def tables_html(
    title: object, tables: Iterable[pd.DataFrame], notes: Iterable[object], verdict: object = None
) -> str:
    """Return a title, tables one after the other, a verdict where there is one, and notes."""
    shown = "".join(table.to_html(index=False) for table in tables)
    said = "" if verdict is None else f"<p>{escape(str(verdict))}</p>"
    listed = "".join(f"<li>{escape(str(note))}</li>" for note in notes)
    return f"<p>{escape(str(title))}</p>{shown}{said}<ul>{listed}</ul>"
