"""Matchers: comparison firms chosen or weighted by what was known before support."""

from exportimpact.design.matching.balance import Thresholds
from exportimpact.design.matching.matcher import Matcher
from exportimpact.design.matching.matching import Matching
from exportimpact.design.matching.nearest import Nearest, Optimal
from exportimpact.design.matching.strata import Coarsened, Exact, Subclass
from exportimpact.design.matching.weighting import EntropyBalancing, InverseProbability, Overlap

__all__ = [
    "Coarsened",
    "EntropyBalancing",
    "Exact",
    "InverseProbability",
    "Matcher",
    "Matching",
    "Nearest",
    "Optimal",
    "Overlap",
    "Subclass",
    "Thresholds",
]
