"""Public names of the matchers: ``ei.matching.Nearest`` and its siblings."""

from exportimpact.design.matching import (
    Coarsened,
    EntropyBalancing,
    Exact,
    InverseProbability,
    Matcher,
    Nearest,
    Optimal,
    Overlap,
    Subclass,
    Thresholds,
)

__all__ = [
    "Coarsened",
    "EntropyBalancing",
    "Exact",
    "InverseProbability",
    "Matcher",
    "Nearest",
    "Optimal",
    "Overlap",
    "Subclass",
    "Thresholds",
]
