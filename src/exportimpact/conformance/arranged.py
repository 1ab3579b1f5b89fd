"""An estimator together with the matching of its designs: what the suite certifies as one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exportimpact._typing import Rng
from exportimpact.core.result import EstimationResult
from exportimpact.core.spec import EstimatorSpec


@dataclass(frozen=True, kw_only=True)
class Arranged:
    """An estimator on designs that are matched in one way.

    Parameters
    ----------
    estimator : Estimator
        An instance.
    matcher : Matcher
        As in `Design.match`.
    lags : int

    Examples
    --------
    >>> from exportimpact import matched, matching
    >>> pair = Arranged(estimator=matched.MatchedDifference(), matcher=matching.Nearest())
    >>> pair.name
    'Nearest'
    """

    estimator: Any
    matcher: Any
    lags: int = 0

    @property
    def spec(self) -> EstimatorSpec:
        """What the estimator declares."""
        spec: EstimatorSpec = self.estimator.spec
        return spec

    @property
    def options(self) -> Mapping[str, Any]:
        """Options of the designs."""
        return {"matcher": self.matcher, "lags": self.lags}

    @property
    def name(self) -> str:
        """The matcher with the options that are not its defaults."""
        default = type(self.matcher)()
        changed = [
            f"{option}={value}" if not isinstance(value, str) else value
            for option, value in vars(self.matcher).items()
            if value != getattr(default, option)
        ]
        told = ", ".join([type(self.matcher).__name__, *changed])
        return f"{told}, lags={self.lags}" if self.lags else told

    def estimate(self, design: Any, *, rng: Rng = None) -> EstimationResult:
        """Match the design, seal it and estimate.

        Parameters
        ----------
        design : Design
        rng : int or Generator, optional
        """
        matched = design.match(self.matcher, lags=self.lags).seal()
        result: EstimationResult = self.estimator.estimate(matched, rng=rng)
        return result
