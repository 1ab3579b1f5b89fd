"""Difference-in-differences estimators."""

from exportimpact.estimators.did import GroupTime, TwoPeriod

__all__ = ["GroupTime", "TwoPeriod"]
