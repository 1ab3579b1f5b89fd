"""Effect presets: sizes of effects that the literature finds, each with its source.

Effects are those of published evaluations; each names its source. The clean world uses the effect
on log exports (and, in the scenarios about time, its path); the export world uses all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from exportimpact._typing import FloatArray, IntArray

_FLAT = (1.0,)


@dataclass(frozen=True, kw_only=True)
class Preset:
    """True effects of support.

    Attributes
    ----------
    exports : float
        Effect on log exports of firms that export, in log points.
    participation : float
        Effect on the probability of exporting, in probability points.
    employment, productivity : float
        Effects on log employment and on log domestic sales per employee, in log points.
    destinations, products : float
        Added to the mean numbers of destinations and products.
    closing : float
        Effect on the log of the yearly chance that the firm closes.
    path, reach_path, closing_path : tuple of float
        Share of the effect that is there 0, 1, ... periods after the start; the last share stays.
        `reach_path` is that of destinations and products, `path` that of the rest.
    by_size : tuple of (str, float)
        Effect on log exports by class of size, where it differs from `exports`.
    shock_only : bool
        Whether exports and survival gain in years of a common shock alone.
    source : str
        Where the sizes come from.
    """

    exports: float
    participation: float = 0.0
    employment: float = 0.0
    productivity: float = 0.0
    destinations: float = 0.0
    products: float = 0.0
    closing: float = 0.0
    path: tuple[float, ...] = _FLAT
    reach_path: tuple[float, ...] = _FLAT
    closing_path: tuple[float, ...] = _FLAT
    by_size: tuple[tuple[str, float], ...] = ()
    shock_only: bool = False
    source: str

    def share(self, event_time: IntArray) -> FloatArray:
        """Return the share of the effect at each event time, 0 before the start."""
        return _along(self.path, event_time)

    def reach_share(self, event_time: IntArray) -> FloatArray:
        """Return the share of the effect on destinations and products at each event time."""
        return _along(self.reach_path, event_time)

    def closing_share(self, event_time: IntArray) -> FloatArray:
        """Return the share of the effect on closing at each event time."""
        return _along(self.closing_path, event_time)


def _along(path: tuple[float, ...], event_time: IntArray) -> FloatArray:
    reached = np.asarray(path)[np.clip(event_time, 0, len(path) - 1)]
    return np.where(event_time >= 0, reached, 0.0)


_META = "meta-analyses of export promotion (1,869, 951 and 479 estimates): 0.069, between 1 and 9 %"

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "null": Preset(exports=0.0, source="no effect at all"),
        "meta_low": Preset(
            exports=0.03,
            participation=0.005,
            destinations=0.05,
            products=0.05,
            source=f"lower end of the {_META}",
        ),
        "meta_mid": Preset(
            exports=0.07,
            participation=0.01,
            employment=0.005,
            destinations=0.1,
            products=0.1,
            path=(0.5, 1.0),
            source=f"middle of the {_META}; ramps up over one year",
        ),
        "korea_kita": Preset(
            exports=0.106,
            destinations=0.45,
            products=0.68,
            source="KITA (2025), 2,040 Korean firms 2018-22, exports +11.2 %",
        ),
        "famex_fade": Preset(
            exports=0.15,
            destinations=0.5,
            products=0.4,
            path=(0.5, 1.0, 0.5, 0.0),
            source="Cadot, Fernandes, Gourdon & Mattoo (2015), Tunisia; level "
            "effect gone after three years, diversification lasts (shape; size derived)",
        ),
        "portugal": Preset(
            exports=0.122,
            by_size=(("micro", 0.166), ("small", 0.166)),
            source="AICEP Portugal (2026), grants +13 %, micro and small 18 %, "
            "no fade-out within three years",
        ),
        "crisis": Preset(
            exports=0.14,
            closing=-0.08,
            shock_only=True,
            source="Van Biesebroeck, Konings & Volpe Martincus (2016), Belgium "
            "and Peru 2009: exports +10 to 20 %, survival +6 to 11 %",
        ),
        "zombie": Preset(
            exports=0.0,
            productivity=-0.03,
            closing=-1.0,
            source="KDI Focus 63 (Chang 2016), recipients less productive, weak "
            "firms survive (pattern; sizes are conventions of the bench)",
        ),
        "sleeper": Preset(
            exports=0.10,
            path=(0.0, 0.0, 1 / 3, 2 / 3, 1.0),
            source="Allerup (2010), Sweden, effect from year 2, growing to year "
            "4 (pattern; size is a convention of the bench)",
        ),
        "late_harm": Preset(
            exports=0.10,
            closing=0.7,
            path=(1.0, 1.0, 0.5, 0.0),
            closing_path=(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
            source="Korean R&D subsidies 2018, lower survival after year 6 "
            "(pattern; sizes are conventions of the bench)",
        ),
    }
)
"""Effect presets by name."""
