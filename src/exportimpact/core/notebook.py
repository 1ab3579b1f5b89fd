"""How small objects show themselves in a notebook."""

from __future__ import annotations

from html import escape


class Shown:
    """Gives a class an HTML form: its text, escaped."""

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"
