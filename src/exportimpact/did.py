"""Difference-in-differences estimators."""

from exportimpact.estimators.did import (
    GroupTime,
    Imputation,
    Intertemporal,
    PoissonSaturated,
    Saturated,
    Stacked,
    TripleDifference,
    TwoPeriod,
    TwoWayFixedEffects,
    event_study,
)

__all__ = [
    "GroupTime",
    "Imputation",
    "Intertemporal",
    "PoissonSaturated",
    "Saturated",
    "Stacked",
    "TripleDifference",
    "TwoPeriod",
    "TwoWayFixedEffects",
    "event_study",
]
