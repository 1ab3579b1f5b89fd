"""Figures: each takes what it draws and ``ax=``, and returns the axes."""

from exportimpact.plots import draw, event_study, ladder

__all__ = ["draw", "event_study", "ladder"]
