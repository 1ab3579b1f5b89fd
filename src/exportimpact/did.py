"""Difference-in-differences estimators."""

from exportimpact.estimators.did import GroupTime, Intertemporal, TwoPeriod

__all__ = ["GroupTime", "Intertemporal", "TwoPeriod"]
