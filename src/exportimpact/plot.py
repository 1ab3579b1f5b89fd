"""Figures: each takes what it draws and ``ax=``, and returns the axes."""

from exportimpact.plots import comparison, draw, event_study, forest, ladder, love, overlap, paths

__all__ = ["comparison", "draw", "event_study", "forest", "ladder", "love", "overlap", "paths"]
