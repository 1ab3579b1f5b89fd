"""Comparison with other firms: typical firms (step IV) and matched firms (step V)."""

from exportimpact.estimators.matched.benchmark import Benchmark
from exportimpact.estimators.matched.doubly_robust import DoublyRobust
from exportimpact.estimators.matched.margin_estimates import margins
from exportimpact.estimators.matched.margin_rows import MarginRow, Margins
from exportimpact.estimators.matched.matched_difference import MatchedDifference
from exportimpact.estimators.matched.weighting import Weighting

__all__ = [
    "Benchmark",
    "DoublyRobust",
    "MarginRow",
    "Margins",
    "MatchedDifference",
    "Weighting",
    "margins",
]
