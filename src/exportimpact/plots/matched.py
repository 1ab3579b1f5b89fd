"""What a matched design has to draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from exportimpact.errors import InputError

if TYPE_CHECKING:
    from exportimpact.design import Design


def exhibit_of(design: Design, kind: str) -> pd.DataFrame:
    """Return the table of a design's exhibit.

    Raises
    ------
    InputError
        EI-R07 when the design has none of this kind.
    """
    for exhibit in design.exhibits:
        if exhibit.kind == kind:
            return exhibit.table
    if design.matching is None:
        why = "the design is not matched, so that there is no before and after. Match it first, "
        why += "such as design.match(ei.matching.Nearest(caliper=0.2)); ei.plot.love("
        why += "design.balance()) draws how far an unmatched design is from balance."
    else:
        why = "the match rests on no propensity, or no outcome is known before support. "
        why += "design.balance() has what is known."
    raise InputError("EI-R07", f"There is nothing to draw as {kind!r}: {why}", kind=kind)
