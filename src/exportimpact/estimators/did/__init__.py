"""Difference-in-differences on panels (steps V-b of the ladder)."""

from exportimpact.estimators.did.group_time import GroupTime
from exportimpact.estimators.did.triple_difference import TripleDifference
from exportimpact.estimators.did.two_period import TwoPeriod

__all__ = ["GroupTime", "TripleDifference", "TwoPeriod"]
