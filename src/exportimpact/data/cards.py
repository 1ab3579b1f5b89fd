"""How data objects show themselves: a title and a few labelled lines, as text or HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

MOST_LINES = 20


def text_card(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """Return at most 20 lines, each cut to 100 characters."""
    lines = [title] + [f"  {label:<12} {value}" for label, value in rows]
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], f"  ... {len(lines) - MOST_LINES + 1} more lines"]
    return "\n".join(line if len(line) <= 100 else line[:97] + "..." for line in lines)


def html_card(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """Return a small table for notebooks."""
    body = "".join(
        f"<tr><th style='text-align:left'>{escape(label)}</th>"
        f"<td style='text-align:left'>{escape(value)}</td></tr>"
        for label, value in rows
    )
    return f"<table><caption>{escape(title)}</caption>{body}</table>"


def listed(names: Sequence[object], most: int = 6) -> str:
    """Return names with commas, the rest counted."""
    shown = ", ".join(str(n) for n in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
