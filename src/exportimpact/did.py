"""Difference-in-differences estimators."""

from exportimpact.estimators.did import GroupTime, TwoPeriod, TwoWayFixedEffects, event_study

__all__ = ["GroupTime", "TwoPeriod", "TwoWayFixedEffects", "event_study"]
