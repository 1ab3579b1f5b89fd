"""Effects as outcomes less imputed untreated outcomes, from one model of all untreated outcomes.

Firm and period effects are fitted to every observation that support cannot have touched. What they
say about a supported firm in a supported period is its imputed untreated outcome; the effect of a
cohort in a period is the mean of what is left. Under parallel trends over the whole panel and equal
error variances no other linear unbiased estimator is more precise.

References
----------
Borusyak, Jaravel & Spiess (2024), doi:10.1093/restud/rdae007
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

import numpy as np

from exportimpact._typing import BoolArray, FloatArray, IntArray
from exportimpact.core.assumption import Requirement, all_of, any_of
from exportimpact.core.builder import CellBuilder
from exportimpact.core.cell import Cell
from exportimpact.core.estimator import estimator
from exportimpact.core.protocols import DesignLike
from exportimpact.core.result import EstimationResult
from exportimpact.core.spec import EstimatorSpec
from exportimpact.errors import InputError
from exportimpact.estimators.did.leads import Leads
from exportimpact.estimators.did.untreated import UntreatedModel
from exportimpact.language import message

_UNCONDITIONAL = all_of("parallel_trends")
_CONDITIONAL = all_of("parallel_trends_given_x", "outcome_model")


@estimator(
    id="imputation",
    title="Imputation difference-in-differences",
    reference="Borusyak, Jaravel & Spiess (2024), doi:10.1093/restud/rdae007",
    step="V-b",
    requires=all_of("no_anticipation", any_of(*_UNCONDITIONAL.parts, _CONDITIONAL)),
    blind_to={"same_measurement": "reports that support inflates look like an effect"},
    accepts={"weights", "not_yet", "covariates"},
)
@dataclass(frozen=True, kw_only=True)
class Imputation:
    """Effects by cohort and period against imputed untreated outcomes.

    Parameters
    ----------
    effects : str, optional
        A baseline column, such as the sector, whose categories get period effects of their own.
    leads : int
        Number of periods directly before support (and its anticipation window) whose effects are
        estimated for the test of trends; at most one fewer than the cohort's untreated periods, and
        none for a cohort that has only one. A note says where fewer were left.
    leave_out : bool
        Hold each supported firm's effect against the mean of the other firms (clusters) of its
        cohort and period when errors are computed: the leave-out refinement of the paper's
        appendix, which is larger by n / (n - 1) within a cell of n equally weighted firms. A firm
        (cluster) that is alone in its cell keeps the plain form.

    Notes
    -----
    Requires no anticipation beyond the design's window, and parallel trends over all untreated
    periods and cohorts; given covariates or `effects`, with a right linear model of untreated
    outcomes, where the design has covariates or `effects` is set. Covariates are read once for each
    firm, at its cohort's base period, and have a coefficient in every period: without that the firm
    effects would absorb them. All untreated observations are used, those of firms supported later
    among them, whatever the design's comparison; base periods play no part.

    *Errors.* A firm's influence on a cell is its untreated residuals times the weights that they
    have in the imputed outcomes, plus, for the cell's own firms, their effects centred on the
    mean of the cohort and period. These are the paper's conservative errors with averages by cohort
    and event time: conservative for the effect on the very firms of the sample, whose effects may
    differ within a cell, and exact in large samples for the population that they come from. For an
    aggregate whose weights are fixed, errors equal those of R's didimputation; those of
    `EstimationResult.overall` and `.aggregate` also count that cohort sizes are estimated, as for
    every estimator here. With probability weights the centring mean is weighted by w and not by
    w^2, so that a weight of 2 counts as the firm twice.

    *Cells before support* come from a separate regression on the untreated observations with a
    dummy for every cohort in each of its last `leads` periods before support, the base period
    included: effects are relative to older periods, and the base period is an estimate here. The
    exhibit "pretrends" has the paper's own coefficients, pooled over cohorts, with their joint
    test.

    *Not identified* are cells of firms without an untreated observation, periods without one, and
    parts of the panel that untreated observations do not connect.

    References
    ----------
    Borusyak, Jaravel & Spiess (2024), doi:10.1093/restud/rdae007

    Examples
    --------
    >>> import exportimpact as ei
    >>> bench = ei.synthetic.scenario("staggered_dynamic").draw(n_firms=300, n_periods=8, seed=1)
    >>> design = ei.Design(bench.panel, bench.support, outcome=bench.panel.outcomes[0].name)
    >>> result = ei.did.Imputation(leads=2).estimate(design)
    >>> set(result.exhibits[0].table["event_time"])
    {-2, -1}
    """

    spec: ClassVar[EstimatorSpec]
    effects: str | None = None
    leads: int = 3
    leave_out: bool = False

    def __post_init__(self) -> None:
        value: object = self.leads
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InputError(
                "EI-E30",
                f"leads={self.leads!r} must be a whole number of at least 0; it decides how many "
                "periods before support are held against older ones. Use 3, or 0 for no test of "
                "trends.",
                leads=self.leads,
            )

    def requirement(self, design: DesignLike) -> Requirement:
        """Return what this configuration assumes on this design."""
        given = bool(design.settings["covariates"]) or self.effects is not None
        return all_of("no_anticipation", *(_CONDITIONAL if given else _UNCONDITIONAL).parts)

    def estimate(self, design: DesignLike) -> EstimationResult:
        """Return every cohort x period cell that can be imputed, and the leads before support.

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
        ColumnError
            EI-P33 for `effects` that are not a baseline column.
        InputError
            EI-E31 when `effects` has so many categories that the period effects fill the memory.
        """
        model = UntreatedModel.of(design, self.effects)
        cells = CellBuilder(design, self, pool="all_untreated")
        supported = (c for c in design.cells("all_untreated") if model.is_touched(c))
        dropped = 0
        for _, own in groupby(supported, key=lambda c: c.cohort):
            imputed = []
            for cell in own:
                known = model.known[cell.supported]
                kept = known & model.fit.estimable(cell.supported, cell.period_index)
                dropped += int((known & ~kept).sum())
                if kept.any():
                    everyone = np.ones(cell.comparison.size, dtype=bool)
                    imputed.append(cell.among(np.concatenate([kept, everyone])))
                else:
                    cells.not_identified(cell, message("cell.not_connected"))
            self._add(cells, model, imputed)
        leads = Leads.of(design, model, self.leads)
        leads.add_to(cells)
        for note in (*model.notes(dropped), *leads.notes()):
            cells.note(note)
        return cells.result()

    def _add(self, builder: CellBuilder, model: UntreatedModel, cells: list[Cell]) -> None:
        """Add the cells of one cohort."""
        if not cells:
            return
        fit, regressors = model.fit, model.fit.regressors
        share = [c.weights[: c.supported.size] for c in cells]
        share = [u / u.sum() for u in share]
        contrasts = [
            regressors.contrast(c.supported, c.period_index, u)
            for c, u in zip(cells, share, strict=True)
        ]
        psi = fit.influence(np.stack(contrasts, axis=1))
        members = _flags([c.supported for c in cells], psi.shape[0])
        rows = np.flatnonzero(model.informative | members)
        for at, (cell, u) in enumerate(zip(cells, share, strict=True)):
            effect = fit.gap[cell.supported, cell.period_index]
            mean = float(u @ effect)
            own = psi[:, at]
            own[cell.supported] += u * self._centred(effect, u, model, cell.supported)
            builder.add(cell, estimate=mean, influence=own[rows], sampled=True, rows=rows)

    def _centred(
        self, effect: FloatArray, u: FloatArray, model: UntreatedModel, rows: IntArray
    ) -> FloatArray:
        """Return effects less the mean of the cell, or of the cell's other firms (clusters)."""
        mean = u @ effect
        if not self.leave_out:
            return effect - mean
        codes = np.arange(rows.size) if model.clusters is None else model.clusters[rows]
        together = np.unique(codes, return_inverse=True)[1]
        own, own_sum = np.bincount(together, u), np.bincount(together, u * effect)
        rest = 1.0 - own
        alone = rest < 1e-12
        others = np.where(alone, mean, (mean - own_sum) / np.where(alone, 1.0, rest))
        return effect - others[together]


def _flags(parts: list[IntArray], n: int) -> BoolArray:
    flag = np.zeros(n, dtype=bool)
    for rows in parts:
        flag[rows] = True
    return flag
