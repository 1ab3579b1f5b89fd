"""Difference-in-differences estimators."""

from exportimpact.estimators.did import GroupTime, Imputation, TwoPeriod

__all__ = ["GroupTime", "Imputation", "TwoPeriod"]
