"""What a matcher is: options, and one method from a risk set to a match."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from exportimpact.design.matching.matched import CohortMatch
from exportimpact.design.matching.riskset import RiskSet
from exportimpact.language import Message


@runtime_checkable
class Matcher(Protocol):
    """Anything that matches a risk set; a frozen dataclass, since its options are sealed."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Baseline columns that have to be known, beside the covariates."""
        ...

    @property
    def uses_covariates(self) -> bool:
        """Whether the covariates of the design decide who is matched."""
        ...

    def match(
        self, risk: RiskSet, *, tie_order: np.random.Generator | None = None
    ) -> CohortMatch | Message:
        """Return the cohort's match, or why there is none.

        Parameters
        ----------
        risk : RiskSet
        tie_order : Generator, optional
            Takes equally near firms in a random order instead of by firm id.
        """
        ...


class ByCovariates:
    """A matcher that needs the covariates of the design and nothing else."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Baseline columns that have to be known, beside the covariates."""
        return ()

    @property
    def uses_covariates(self) -> bool:
        """Whether the covariates of the design decide who is matched."""
        return True
