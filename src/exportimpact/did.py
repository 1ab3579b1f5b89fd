"""Difference-in-differences estimators."""

from exportimpact.estimators.did import (GroupTime, Imputation, PoissonSaturated, Saturated, TwoPeriod)

__all__ = ["GroupTime", "Imputation", "PoissonSaturated", "Saturated", "TwoPeriod"]
