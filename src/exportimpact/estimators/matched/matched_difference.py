"""Supported firms against matched firms: step V of the ladder.

For every cohort and period, the mean outcome (or its change since the base period) of matched
supported firms less that of the firms matched to them. What is left of differences in covariates is
taken out by a regression among the matched comparison firms (Abadie & Imbens 2011): pairs that are
not exactly alike leave a bias that does not vanish at the rate at which errors do.

Errors follow from the linear representation of the matching estimator: see
`exportimpact.design.matching.matched`.

References
----------
Abadie & Imbens (2006), doi:10.1111/j.1468-0262.2006.00655.x; Abadie & Imbens (2011),
doi:10.1198/jbes.2009.07333; Heckman, Ichimura & Todd (1997), doi:10.2307/2971733.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd

from exportimpact.core.assumption import Requirement
from exportimpact.core.builder import CellBuilder
from exportimpact.core.estimator import estimator
from exportimpact.core.exhibit import Exhibit
from exportimpact.core.protocols import DesignLike
from exportimpact.core.result import EstimationResult
from exportimpact.core.spec import EstimatorSpec
from exportimpact.core.step import Step
from exportimpact.design import in_tie_order
from exportimpact.errors import InputError, did_you_mean
from exportimpact.estimators.matched.assumed import require_match, required, rung
from exportimpact.estimators.matched.cells import Sample, sample_of
from exportimpact.language import message
from exportimpact.numerics import two_by_two
from exportimpact.numerics.regression import least_squares

Correct: TypeAlias = Literal["regression", "none"]


@estimator(
    id="matched_difference",
    title="Matched difference",
    reference="Abadie & Imbens (2006), doi:10.1111/j.1468-0262.2006.00655.x; Abadie & Imbens "
    "(2011), doi:10.1198/jbes.2009.07333",
    step="V-b",
    requires={"parallel_trends_given_x", "no_anticipation", "overlap", "outcome_model"},
    blind_to={"same_measurement": "reports that support inflates look like an effect"},
    accepts={"weights", "matched", "not_yet", "rejected", "covariates"},
)
@dataclass(frozen=True, kw_only=True)
class MatchedDifference:
    """Mean difference between supported firms and the firms matched to them.

    Parameters
    ----------
    change : bool
        Whether the outcome is its change since the base period (step V-b) or its level (V-a).
    correct : {"regression", "none"}
        Whether differences in covariates that matching left are taken out by a weighted regression
        among matched comparison firms. Without it pairs are biased by imbalance times slope.
    tie_orders : int
        Where equally near firms were chosen by firm id, over how many random orders of them the
        effect is looked at; 0 for none.
    errors : {"influence"}
        The bootstrap of matched pairs is not valid and is refused.

    Notes
    -----
    Requires overlap, no anticipation, and unconfoundedness given covariates for levels, parallel
    trends given covariates for changes; with ``correct="regression"`` a right model of comparison
    firms' outcomes, else close matches.

    References
    ----------
    Abadie & Imbens (2006), doi:10.1111/j.1468-0262.2006.00655.x; Abadie & Imbens (2008),
    doi:10.3982/ECTA6474; Abadie & Imbens (2011), doi:10.1198/jbes.2009.07333
    """

    spec: ClassVar[EstimatorSpec]
    needs_match: ClassVar[bool] = True
    change: bool = True
    correct: Correct = "regression"
    tie_orders: int = 10
    errors: str = "influence"

    def __post_init__(self) -> None:
        if self.correct not in get_args(Correct):
            raise InputError(
                "EI-E08",
                f"correct={self.correct!r} is unknown; it decides what is assumed of covariates. "
                f"{did_you_mean(str(self.correct), get_args(Correct))}",
                correct=self.correct,
            )
        if self.errors != "influence":
            raise InputError(
                "EI-E12",
                f"errors={self.errors!r}: resampling firms and matching again does not give the "
                "variance of a matching estimator, however many draws (Abadie & Imbens 2008, "
                "doi:10.3982/ECTA6474), so that its intervals would not cover. Leave it out: "
                "errors come from the linear representation.",
                errors=self.errors,
            )

    @property
    def reached(self) -> Step:
        """The rung that this configuration can reach."""
        return rung(change=self.change)

    def requirement(self, design: DesignLike) -> Requirement:
        """Return what this configuration assumes on this design."""
        return required(design, change=self.change, regression=self.correct == "regression")

    def estimate(self, design: Any) -> EstimationResult:
        """Return every identified cohort x period cell.

        Parameters
        ----------
        design : Design or SealedDesign
            Matched, with `Design.match`.

        Returns
        -------
        EstimationResult

        Raises
        ------
        CapabilityError
            EI-E11 for a design that is not matched.
        NotIdentifiedError
            EI-E06 when no cell is identified.
        """
        require_match(design, self.spec.title)
        cells = CellBuilder(design, self)
        for cell in design.cells():
            sample = sample_of(design, cell, change=self.change)
            if self.correct == "none":
                effect, psi = two_by_two.difference(sample.y, sample.d, sample.w)
            elif sample.reason is not None:
                cells.not_identified(cell, sample.reason)
                continue
            else:
                effect, psi = _corrected(sample)
            cells.add(cell, estimate=effect, influence=psi, sampled=True)
        if self.tie_orders and design.matching.tied and not design.matching.shares_ties:
            spread = self._over_tie_orders(design)
            cells.show(Exhibit("tie_orders", "tie_orders", spread))
            low, high = float(spread["estimate"].min()), float(spread["estimate"].max())
            cells.note(message("note.tie_orders", orders=len(spread), low=low, high=high))
        return cells.result()

    def _over_tie_orders(self, design: Any) -> pd.DataFrame:
        """Return the average effect when equally near firms are taken in random orders."""
        once = replace(self, tie_orders=0)
        rows = [
            once.estimate(in_tie_order(design, order)).overall("simple").estimate
            for order in range(1, self.tie_orders + 1)
        ]
        return pd.DataFrame({"order": np.arange(1, len(rows) + 1), "estimate": rows})


def _corrected(sample: Sample) -> tuple[float, Any]:
    other = sample.d == 0
    fit = least_squares(sample.X[other], sample.y[other], sample.w[other])
    return two_by_two.regression(sample.y, sample.d, sample.w, sample.X, fit)
