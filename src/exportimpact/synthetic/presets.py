"""Effect presets: sizes of effects that the literature finds, each with its source.

The table copies the rows of the evidence base (section 8.2) that scenarios use now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from exportimpact._typing import FloatArray, IntArray


@dataclass(frozen=True, kw_only=True)
class Preset:
    """True effects of support.

    Attributes
    ----------
    exports : float
        Effect on log exports of firms that export, in log points.
    participation : float
        Effect on the probability of exporting, in probability points.
    employment : float
        Effect on log employment, in log points.
    path : tuple of float
        Share of the effect that is there 0, 1, ... periods after the start; the last share stays.
    source : str
        Where the sizes come from.
    """

    exports: float
    participation: float = 0.0
    employment: float = 0.0
    path: tuple[float, ...] = (1.0,)
    source: str

    def share(self, event_time: IntArray) -> FloatArray:
        """Return the share of the effect at each event time, 0 before the start."""
        reached = np.asarray(self.path)[np.clip(event_time, 0, len(self.path) - 1)]
        return np.where(event_time >= 0, reached, 0.0)


_META = "meta-analyses of export promotion (1,869, 951 and 479 estimates): 0.069, between 1 and 9 %"

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "null": Preset(exports=0.0, source="no effect at all"),
        "meta_low": Preset(
            exports=0.03, participation=0.005, source=f"evidence base 8.2, lower end of the {_META}"
        ),
        "meta_mid": Preset(
            exports=0.07,
            participation=0.01,
            employment=0.005,
            path=(0.5, 1.0),
            source=f"evidence base 8.2, middle of the {_META}; ramps up over one year",
        ),
        "korea_kita": Preset(
            exports=0.106,
            source="evidence base 8.2: KITA (2025), 2,040 Korean firms 2018-22, exports +11.2 %",
        ),
    }
)
"""Effect presets by name."""
