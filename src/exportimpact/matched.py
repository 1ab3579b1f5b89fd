"""Public names of the matched family: ``ei.matched.MatchedDifference`` and its siblings."""

from exportimpact.estimators.matched import (
    Benchmark,
    DoublyRobust,
    MarginRow,
    Margins,
    MatchedDifference,
    Weighting,
)

__all__ = ["Benchmark", "DoublyRobust", "MarginRow", "Margins", "MatchedDifference", "Weighting"]
