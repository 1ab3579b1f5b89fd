"""Difference-in-differences estimators."""

from exportimpact.estimators.did import GroupTime, PoissonSaturated, Saturated, TwoPeriod

__all__ = ["GroupTime", "PoissonSaturated", "Saturated", "TwoPeriod"]
