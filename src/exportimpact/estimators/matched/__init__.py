"""Comparison with other firms: typical firms (step IV) and matched firms (step V)."""

from exportimpact.estimators.matched.benchmark import Benchmark
from exportimpact.estimators.matched.doubly_robust import DoublyRobust
from exportimpact.estimators.matched.matched_difference import MatchedDifference
from exportimpact.estimators.matched.weighting import Weighting

__all__ = ["Benchmark", "DoublyRobust", "MatchedDifference", "Weighting"]
