"""Facts about support: linkage, cohorts, firms supported once or in several programmes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from exportimpact.core.protocols import SealedLike
from exportimpact.language import message


def support_table(sealed: SealedLike) -> pd.DataFrame:
    """Return counts of supported firms: columns fact, firms."""
    rows: list[tuple[str, int]] = []
    aligned: Any = getattr(sealed, "aligned", None)
    if aligned is not None:
        # All firms of the panel, whether or not an outcome is known for them.
        inside = aligned.first[~aligned.before_panel & ~aligned.after_panel]
        for cohort in np.intersect1d(inside, sealed.calendar.ordinals):
            fact = message("report.fact_cohort", period=sealed.calendar.label(int(cohort)))
            rows.append((str(fact), int((inside == cohort).sum())))
        periods = np.asarray(aligned.periods_supported)
        for count in np.unique(periods[periods > 0]):
            once = "report.fact_one_period" if count == 1 else "report.fact_periods"
            rows.append((str(message(once, periods=int(count))), int((periods == count).sum())))
        programmes = np.asarray(aligned.n_programmes)
        rows.append((str(message("report.fact_overlap")), int((programmes > 1).sum())))
        rows.append((str(message("report.fact_before")), int(aligned.before_panel.sum())))
        rows.append((str(message("report.fact_after")), int(aligned.after_panel.sum())))
    return pd.DataFrame(rows, columns=["fact", "firms"])


def linkage_table(sealed: SealedLike) -> pd.DataFrame:
    """Return awarded and linked firms by programme: programme, awarded_firms, linked, share."""
    aligned: Any = getattr(sealed, "aligned", None)
    if aligned is None or aligned.linkage is None:
        return pd.DataFrame(columns=["programme", "awarded_firms", "linked", "share"])
    frame: pd.DataFrame = aligned.linkage.copy()
    return frame
