"""Saturated Poisson model: effects on outcomes in levels, zeros included.

Without support the mean outcome of firm i of cohort g in period t is exp(z_i'(alpha_g + lambda_t)),
and every cell with support has coefficients of its own. Only the mean has to be right: outcomes
need not be counts, and their variance may be anything (PPML). The effect of a cell in money is the
mean over its supported firms of outcome less counterfactual mean; in percent of the counterfactual
(`EstimationResult.percent`) it is the sum of outcomes over the sum of counterfactuals, less one.
It is right when, given the covariates, cohorts' mean outcomes would have grown by the same ratio in
all periods, and when nobody reacted before the base period.

References
----------
Wooldridge (2023), doi:10.1093/ectj/utad016
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from exportimpact._typing import FixedEffects, FloatArray
from exportimpact.core.assumption import Requirement, all_of, any_of
from exportimpact.core.builder import CellBuilder
from exportimpact.core.estimator import estimator
from exportimpact.core.protocols import DesignLike
from exportimpact.core.result import EstimationResult
from exportimpact.core.spec import EstimatorSpec
from exportimpact.errors import CapabilityError, InputError
from exportimpact.estimators.did.beside import beside_the_headline
from exportimpact.estimators.did.saturation import LEADS, Saturation, check_effects
from exportimpact.language import message
from exportimpact.numerics.poisson import fit_poisson

_PLAIN = all_of("parallel_growth")
_GIVEN = all_of("parallel_growth_given_x", "outcome_model")
_WHY = {
    "log": "a ratio of logarithms means nothing, and zeros were left out already. Declare the "
    "column with scale='level', or use Saturated",
    "logged": "a ratio of logarithms means nothing. Declare the column in levels, or use Saturated",
    "binary": "effects would be ratios of probabilities, which may pass one. Use Saturated, a "
    "linear probability",
    "share": "a share has a ceiling that growth ratios do not know. Use Saturated",
}


@estimator(
    id="poisson_saturated",
    title="Saturated Poisson difference-in-differences",
    reference="Wooldridge (2023), doi:10.1093/ectj/utad016",
    step="V-b",
    requires=all_of("no_anticipation", any_of(_PLAIN, _GIVEN)),
    blind_to={
        "parallel_growth": LEADS,
        "parallel_growth_given_x": LEADS,
        "no_anticipation": LEADS,
        "same_measurement": "reports that support inflates look like an effect",
    },
    accepts={"weights", "not_yet", "covariates"},
    scales={"level", "count"},
)
@dataclass(frozen=True, kw_only=True)
class PoissonSaturated:
    """Effects by cohort and period on a level or count, from one Poisson model.

    Parameters
    ----------
    leads : bool
        False: cells from support on have an effect, and all observations before support identify
        the rest. True: cells before support have one too, against the base period, and firms never
        supported are the only comparison.
    effects : {"cohort", "firm"}
        Factors of cohorts, or of firms, which are concentrated out. Firms without a positive
        outcome before support then say nothing of growth; they are counted in a note, and stay in
        the mean with a counterfactual of zero.

    Notes
    -----
    Requires no anticipation beyond the design's window, and parallel growth ratios of mean outcomes
    in all periods: of cohorts, or given covariates, with a right exponential mean. That is another
    assumption than parallel trends in levels or in logs: where levels differ, at most one of them
    holds, unless nothing changes without support. On balanced panels without covariates both kinds
    of effects give the same estimates.

    Beside the headline, the exhibit ``"beside_the_headline"`` has the effect on participation, the
    effective number of firms, and the estimate without the largest one percent.

    References
    ----------
    Wooldridge (2023), doi:10.1093/ectj/utad016; Santos Silva & Tenreyro (2006),
    doi:10.1162/rest.88.4.641

    Examples
    --------
    >>> import exportimpact as ei
    >>> bench = ei.synthetic.scenario("heavy_tails_sme").draw(n_firms=400, n_periods=8, seed=1)
    >>> design = ei.Design(bench.panel, bench.support, outcome="exports")
    >>> result = ei.did.PoissonSaturated().estimate(design)
    >>> result.exhibits[0].table["measure"].tolist()[:3]
    ['headline', 'headline_percent', 'participation']
    """

    spec: ClassVar[EstimatorSpec]
    leads: bool = False
    effects: FixedEffects = "cohort"

    def __post_init__(self) -> None:
        check_effects(self.effects)

    def requirement(self, design: DesignLike) -> Requirement:
        """Return what this configuration assumes on this design."""
        growth = _GIVEN if design.settings["covariates"] else _PLAIN
        return all_of("no_anticipation", *growth.parts)

    def estimate(self, design: DesignLike) -> EstimationResult:
        """Return every identified cohort x period cell, in the outcome's unit.

        Parameters
        ----------
        design : Design or SealedDesign

        Returns
        -------
        EstimationResult

        Raises
        ------
        CapabilityError
            EI-E35 for an outcome that is no level or count.
        InputError
            EI-E36 for negative outcomes.
        NotIdentifiedError
            EI-E06 when no cell is identified; EI-E38 when the fit does not converge.
        """
        outcome = _checked(design)
        model = Saturation(design, self.leads, self.effects == "firm")
        cells = CellBuilder(design, self, pool=model.pool)
        found = fit_poisson(model.reference(outcome))
        model.add(cells, found.fit, outcome)
        model.tell(cells)
        if found.idle.any():
            cells.note(message("note.idle_firms", firms=int(found.idle.sum())))
        if found.separated.any():
            cells.note(message("note.separated", observations=int(found.separated.sum())))
        result = cells.result()
        beside = beside_the_headline(model, outcome, result, lambda given: fit_poisson(given).fit)
        return replace(result, own_exhibits=beside)


def _checked(design: DesignLike) -> FloatArray:
    """Return the outcome, (n_firms, n_periods)."""
    spec, history = design.outcome_spec, design.history()
    if spec.scale in _WHY:
        raise CapabilityError(
            "EI-E35",
            f"Outcome {spec.name!r} has the scale {spec.scale!r}, and a Poisson model compares "
            f"growth ratios of mean levels: {_WHY[spec.scale]}.",
            outcome=spec.name,
            scale=spec.scale,
        )
    negative = history.usable & (np.nan_to_num(history.outcome) < 0)
    if negative.any():
        firms = int(negative.any(axis=1).sum())
        raise InputError(
            "EI-E36",
            f"Outcome {spec.name!r} is negative in {int(negative.sum())} observations of {firms} "
            f"firms, such as firm {design.units[np.flatnonzero(negative.any(axis=1))[0]]!r}; an "
            "exponential mean cannot be negative, so that the growth ratio is not defined. Use an "
            "outcome that is zero or more (sales instead of profits), or Saturated.",
            outcome=spec.name,
            observations=int(negative.sum()),
        )
    return history.outcome
