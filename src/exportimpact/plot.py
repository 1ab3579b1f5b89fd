"""Figures: each takes what it draws and ``ax=``, and returns the axes."""

from exportimpact.plots import (
    bacon,
    comparison,
    draw,
    event_study,
    forest,
    ladder,
    love,
    margins,
    overlap,
    paths,
    pretrend_power,
    sensitivity,
)

__all__ = [
    "bacon",
    "comparison",
    "draw",
    "event_study",
    "forest",
    "ladder",
    "love",
    "margins",
    "overlap",
    "paths",
    "pretrend_power",
    "sensitivity",
]
