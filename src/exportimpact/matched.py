"""Public names of the matched family: ``ei.matched.MatchedDifference`` and its siblings."""

from exportimpact.estimators.matched import Benchmark, DoublyRobust, MatchedDifference, Weighting

__all__ = ["Benchmark", "DoublyRobust", "MatchedDifference", "Weighting"]
