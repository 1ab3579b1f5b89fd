"""Difference-in-differences estimators."""

from exportimpact.estimators.did import GroupTime, TripleDifference, TwoPeriod

__all__ = ["GroupTime", "TripleDifference", "TwoPeriod"]
