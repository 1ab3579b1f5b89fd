"""Difference-in-differences on panels (steps V-b of the ladder)."""

from exportimpact.estimators.did.group_time import GroupTime
from exportimpact.estimators.did.imputation import Imputation
from exportimpact.estimators.did.intertemporal import Intertemporal
from exportimpact.estimators.did.poisson_saturated import PoissonSaturated
from exportimpact.estimators.did.saturated import Saturated
from exportimpact.estimators.did.stacked import Stacked
from exportimpact.estimators.did.triple_difference import TripleDifference
from exportimpact.estimators.did.two_period import TwoPeriod
from exportimpact.estimators.did.two_way_fixed_effects import TwoWayFixedEffects, event_study

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
