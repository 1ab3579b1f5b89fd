"""Figures: each takes what it draws and ``ax=``, and returns the axes."""

from exportimpact.plots import bacon, draw, event_study, ladder, love, overlap, paths

__all__ = ["bacon", "draw", "event_study", "ladder", "love", "overlap", "paths"]
