"""Difference-in-differences on panels (steps V-b of the ladder)."""

from exportimpact.estimators.did.group_time import GroupTime
from exportimpact.estimators.did.imputation import Imputation
from exportimpact.estimators.did.poisson_saturated import PoissonSaturated
from exportimpact.estimators.did.saturated import Saturated
from exportimpact.estimators.did.two_period import TwoPeriod

__all__ = ["GroupTime", "Imputation", "PoissonSaturated", "Saturated", "TwoPeriod"]
