"""Difference-in-differences estimators."""

from exportimpact.estimators.did import (
    GroupTime,
    Stacked,
    TwoPeriod,
    TwoWayFixedEffects,
    event_study,
)

__all__ = ["GroupTime", "Stacked", "TwoPeriod", "TwoWayFixedEffects", "event_study"]
