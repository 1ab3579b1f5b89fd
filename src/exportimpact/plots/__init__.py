"""Exhibits as figures; the only package that imports matplotlib, inside functions."""

from exportimpact.plots.bacon import bacon
from exportimpact.plots.comparison import comparison
from exportimpact.plots.event_study import event_study
from exportimpact.plots.forest import forest
from exportimpact.plots.ladder import ladder, ladder_table
from exportimpact.plots.love import love
from exportimpact.plots.margins import margins
from exportimpact.plots.overlap import overlap
from exportimpact.plots.paths import paths
from exportimpact.plots.pretrend_power import pretrend_power
from exportimpact.plots.registry import DRAWINGS, draw, figure_svg
from exportimpact.plots.sensitivity import sensitivity

__all__ = [
    "DRAWINGS",
    "bacon",
    "comparison",
    "draw",
    "event_study",
    "figure_svg",
    "forest",
    "ladder",
    "ladder_table",
    "love",
    "margins",
    "overlap",
    "paths",
    "pretrend_power",
    "sensitivity",
]
