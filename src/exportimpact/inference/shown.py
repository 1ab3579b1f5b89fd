"""How a test shows itself: at most twenty lines."""

from __future__ import annotations

import math
from typing import Any

from exportimpact.language import Message, message

_MOST = 20


def lines_of(title: Message, test: Any) -> str:
    """Return the text of a test with an estimate, an interval, draws, assumptions and notes."""
    interval = message("inference.without_interval")
    if not math.isnan(test.ci_low):
        percent = f"{100 * test.level:g}"
        low, high = f"{test.ci_low:.4g}", f"{test.ci_high:.4g}"
        interval = message("inference.interval", percent=percent, low=low, high=high)
    every = "every" if test.enumerated else "random"
    draws = message(f"inference.draws_{every}", draws=f"{test.draws:,}")
    lines = [
        str(title),
        f"  {message('inference.estimate')} {test.estimate:.4g} {interval}",
        f"  {message('inference.statistic')} {test.statistic:.3g}, p = {test.p_value:.3g}; {draws}",
        *(f"  {message('inference.assumed')} {text}" for text in test.assumed),
        *(f"  {message('inference.note')} {text}" for text in test.notes),
    ]
    return "\n".join(lines[:_MOST])
