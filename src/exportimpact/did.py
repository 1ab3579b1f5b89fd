"""Difference-in-differences estimators."""

from exportimpact.estimators.did import GroupTime, Saturated, TwoPeriod

__all__ = ["GroupTime", "Saturated", "TwoPeriod"]
