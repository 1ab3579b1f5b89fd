"""Difference-in-differences on panels (steps V-b of the ladder)."""

from exportimpact.estimators.did.group_time import GroupTime
from exportimpact.estimators.did.stacked import Stacked
from exportimpact.estimators.did.two_period import TwoPeriod
from exportimpact.estimators.did.two_way_fixed_effects import TwoWayFixedEffects, event_study

__all__ = ["GroupTime", "Stacked", "TwoPeriod", "TwoWayFixedEffects", "event_study"]
