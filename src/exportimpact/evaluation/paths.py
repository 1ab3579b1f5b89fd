"""The effect by periods since first support, as the table that a figure draws."""

from __future__ import annotations

import pandas as pd

from exportimpact.core.result import EstimationResult
from exportimpact.evaluation.quantities import own_factor, own_unit
from exportimpact.language import message


def event_study_table(result: EstimationResult) -> pd.DataFrame:
    """Return effects by event time with pointwise intervals and simultaneous bands.

    Parameters
    ----------
    result : EstimationResult
        Cells, or an aggregate by event time.

    Returns
    -------
    DataFrame
        Columns of `EstimationResult.bands` over all event times, mde, and what a figure has to say:
        unit, factor (from estimate to unit), periods (what event time counts), step, reference (the
        base period, missing with a varying base and where it is estimated itself).
    """
    path = result if result.rows is not None else result.aggregate("event_time")
    frame = path.bands(family="all")
    frame["mde"] = path.table(detail=True)["mde"]
    estimand, settings = result.estimand, result.provenance.settings
    frame["unit"] = own_unit(estimand.scale, estimand.unit)
    frame["factor"] = own_factor(estimand.scale)
    frame["periods"] = periods_word(result)
    frame["step"] = result.provenance.step_length
    universal = settings.get("base", "universal") == "universal"
    step = result.provenance.step_length
    reference = -step * (1 + int(settings.get("anticipation", 0)))
    held = universal and not bool((frame["event_time"] == reference).any())
    frame["reference"] = pd.array([reference if held else pd.NA] * len(frame), dtype="Int64")
    return frame


def periods_word(result: EstimationResult) -> str:
    """Return what the calendar counts in: years, quarters, months or periods."""
    frequency = str(result.provenance.settings.get("frequency", "step"))
    if frequency == "step" and result.design is not None:
        # Whole numbers are years when their column says so.
        named = str(getattr(result.design.panel, "period", "")).lower()
        frequency = named if named in {"year", "quarter", "month"} else frequency
    return str(message(f"report.periods_{frequency}"))
