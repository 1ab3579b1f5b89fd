"""How a result shows itself: at most twenty lines of text, and a table for notebooks."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exportimpact.core.result import EstimationResult

_MAX_ROWS = 10


def text(result: EstimationResult) -> str:
    """Return what a user should see at once."""
    lines = [_title(result), *_headline(result), *_table(result).splitlines()]
    assumed = ", ".join(result.provenance.requires.listed()) or "nothing"
    lines.append(f"Assumed: {assumed}. Checked: nothing yet; see ei.diagnose(design, result).")
    if result.not_identified:
        lines.append(f"Not identified: {len(result.not_identified)} cells, see .not_identified.")
    room = 20 - len(lines)
    lines += [f"Note: {note}" for note in result.notes[: max(room, 0)]]
    return "\n".join(lines[:20])


def html(result: EstimationResult) -> str:
    """Return the result as HTML for notebooks."""
    head = "<br>".join(escape(line) for line in [_title(result), *_headline(result)])
    notes = "".join(f"<li>{escape(str(n))}</li>" for n in result.notes)
    return f"<p>{head}</p>{result.table().to_html(index=False)}<ul>{notes}</ul>"


def _title(result: EstimationResult) -> str:
    causal = "" if result.step.is_causal else ", not causal"
    seal = "exploratory" if result.provenance.exploratory else "sealed"
    return f"{result.provenance.title} (step {result.step}{causal}; {seal}): {result.estimand}"


def _headline(result: EstimationResult) -> list[str]:
    if result.rows is None:
        if not (result.cells.index.event_time >= 0).any():
            return []
        result = result.overall("simple")
    if not result.estimand.overall:
        return []
    row = result.table(detail=True).iloc[0]
    unit = result.estimand.unit or ""
    shown = f"{row.estimate:.4g} {unit}".strip()
    interval = _interval(row.ci_low, row.ci_high)
    percent = "percent not defined"
    if not math.isnan(row.percent):
        low_high = _interval(row.percent_low, row.percent_high)
        percent = f"{row.percent:+.3g} {row.percent_unit} {low_high}"
    sides = f"{row.n_supported:,} supported, {row.n_comparison:,} comparison firms"
    return [f"Overall: {shown} {interval}; {percent}; {sides}"]


def _interval(low: float, high: float) -> str:
    return "(no interval)" if math.isnan(low) else f"[{low:.4g}, {high:.4g}]"


def _table(result: EstimationResult) -> str:
    frame = result.table()
    keep = [
        "cohort",
        "period",
        "event_time",
        "estimate",
        "std_error",
        "ci_low",
        "ci_high",
        "n_supported",
        "n_comparison",
    ]
    keep = [c for c in keep if not frame[c].isna().all()]
    shown = frame[keep].head(_MAX_ROWS).to_string(index=False, float_format=lambda v: f"{v:.4g}")
    if len(frame) > _MAX_ROWS:
        shown += f"\n... {len(frame) - _MAX_ROWS} more rows"
    return shown
