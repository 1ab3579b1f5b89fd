"""Which designs the package's own estimators are certified on, where they need or take a match.

What is not listed here has not been run, and is not certified.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from exportimpact.conformance.arranged import Arranged


@cache
def arrangements() -> tuple[Arranged, ...]:
    """Return the estimators of matched designs, each with its matcher, the staples first."""
    from exportimpact.design import matching
    from exportimpact.estimators import did, matched

    def on(estimator: Any, matcher: Any) -> Arranged:
        return Arranged(estimator=estimator, matcher=matcher)

    corrected = matched.MatchedDifference(tie_orders=0)
    uncorrected = matched.MatchedDifference(tie_orders=0, correct="none")
    reused: Callable[..., Any] = lambda **k: matching.Nearest(replace=True, **k)  # noqa: E731
    return (
        on(corrected, reused()),
        on(matched.Weighting(), matching.EntropyBalancing()),
        on(matched.DoublyRobust(), matching.InverseProbability()),
        on(corrected, matching.Nearest()),
        on(corrected, reused(ratio=3)),
        on(corrected, reused(distance="mahalanobis")),
        on(corrected, matching.Optimal()),
        on(corrected, matching.Coarsened()),
        on(corrected, matching.Subclass()),
        on(uncorrected, reused()),
        on(uncorrected, matching.Nearest()),
        on(matched.MatchedDifference(tie_orders=0, change=False), reused()),
        on(matched.Weighting(), matching.InverseProbability()),
        on(matched.Weighting(), matching.Overlap()),
        on(matched.DoublyRobust(), matching.EntropyBalancing()),
        on(did.GroupTime(adjust="regression"), reused()),
        on(did.GroupTime(adjust="none"), matching.EntropyBalancing()),
        on(did.TwoPeriod(), matching.EntropyBalancing()),
    )


def matched_only() -> frozenset[type]:
    """Return the estimators that refuse a design without a match."""
    from exportimpact.estimators import matched

    return frozenset({matched.MatchedDifference, matched.Weighting, matched.DoublyRobust})
