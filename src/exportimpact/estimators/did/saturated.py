"""Extended two-way fixed effects: a dummy of its own for every cohort x period cell.

    Y_it = z_i'(alpha_g + lambda_t) + sum over supported cells of 1[cell] (tau_gt + xc_i'rho_gt)

with z_i = (1, x_i) and xc_i the covariates less their mean in the cohort, so that tau_gt is the
cell's average effect. Because cells with an effect are saturated, they are fitted without residual
mean, and tau_gt is the mean over the cell's supported firms of their outcome less what the model
of outcomes without support gives them. It is right when, given the covariates, cohorts' outcomes
would have moved in parallel in all periods, and when nobody reacted before the base period.

References
----------
Wooldridge (2021), SSRN 3906345, published as doi:10.1007/s00181-025-02807-z
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from exportimpact._typing import FixedEffects
from exportimpact.core.assumption import Requirement, all_of, any_of
from exportimpact.core.builder import CellBuilder
from exportimpact.core.estimator import estimator
from exportimpact.core.protocols import DesignLike
from exportimpact.core.result import EstimationResult
from exportimpact.core.spec import EstimatorSpec
from exportimpact.estimators.did.saturation import LEADS, Saturation, check_effects
from exportimpact.numerics.saturated import fit_linear

_PLAIN = all_of("parallel_trends")
_GIVEN = all_of("parallel_trends_given_x", "outcome_model")


@estimator(
    id="saturated",
    title="Saturated difference-in-differences",
    reference="Wooldridge (2021), doi:10.1007/s00181-025-02807-z",
    step="V-b",
    requires=all_of("no_anticipation", any_of(_PLAIN, _GIVEN)),
    blind_to={
        "parallel_trends": LEADS,
        "parallel_trends_given_x": LEADS,
        "no_anticipation": LEADS,
        "same_measurement": "reports that support inflates look like an effect",
    },
    accepts={"weights", "not_yet", "covariates"},
)
@dataclass(frozen=True, kw_only=True)
class Saturated:
    """Effects by cohort and period from one regression with a dummy for every cell.

    Parameters
    ----------
    leads : bool
        False: cells from support on have an effect, and all observations before support identify
        the rest. True: cells before support have one too, against the base period, and firms never
        supported are the only comparison.
    effects : {"cohort", "firm"}
        Intercepts of cohorts, or of firms, which are concentrated out.

    Notes
    -----
    Requires no anticipation beyond the design's window, and parallel trends in all periods: of
    cohorts, or given covariates, with a right linear model of outcomes. On balanced panels without
    covariates both kinds of intercepts give the same estimates, and without leads those of
    imputation. Firms' intercepts come from observations without support alone, so that effects
    that differ among firms do no harm in unbalanced panels, where R's etwfe lets supported
    observations speak as well.

    Errors count the covariates of supported firms as sampled; R's emfx takes them as given.

    References
    ----------
    Wooldridge (2021), SSRN 3906345, published as doi:10.1007/s00181-025-02807-z

    Examples
    --------
    >>> import exportimpact as ei
    >>> bench = ei.synthetic.scenario("random_rollout").draw(n_firms=400, n_periods=8, seed=1)
    >>> design = ei.Design(bench.panel, bench.support, outcome="ln_exports")
    >>> result = ei.did.Saturated(leads=True).estimate(design)
    >>> result.pretrend_test().df_numerator
    11
    """

    spec: ClassVar[EstimatorSpec]
    leads: bool = False
    effects: FixedEffects = "cohort"

    def __post_init__(self) -> None:
        check_effects(self.effects)

    def requirement(self, design: DesignLike) -> Requirement:
        """Return what this configuration assumes on this design."""
        trends = _GIVEN if design.settings["covariates"] else _PLAIN
        return all_of("no_anticipation", *trends.parts)

    def estimate(self, design: DesignLike) -> EstimationResult:
        """Return every identified cohort x period cell.

        Parameters
        ----------
        design : Design or SealedDesign

        Returns
        -------
        EstimationResult

        Raises
        ------
        NotIdentifiedError
            EI-E06 when no cell is identified.
        """
        model = Saturation(design, self.leads, self.effects == "firm")
        cells = CellBuilder(design, self, pool=model.pool)
        outcome = design.history().outcome
        model.add(cells, fit_linear(model.reference(outcome)), outcome)
        model.tell(cells)
        return cells.result()
