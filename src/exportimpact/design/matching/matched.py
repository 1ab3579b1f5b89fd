"""What a matcher returns for one cohort, and what it does to the influence of an estimate.

Two things are estimated before an outcome is looked at, and both move the error of what follows.

*Weights that were estimated.* Of any estimate that is smooth in the weights, the influence psi_j of
a firm is w_j d(estimate)/d(w_j). With log-weights that depend on parameters theta, the estimate
moves by sum_j psi_j d(log w_j)/d(theta) times the influence of theta, whatever the estimator. For
matching on an estimated logit d(log w)/d(theta) is x - E[x | p] (Abadie & Imbens 2016).

*Firms that were matched.* Matched firms share what they were matched on, so that this part of their
outcomes cancels between the two sides. The linear representation of the matching estimator (Abadie
& Imbens 2012; Otsu & Rai 2017) is in residuals: (dY - m0 - tau) of supported firms and K (dY - m0)
of comparison firms. m0 is fitted by weighted least squares to the comparison firms' influence,
which holds their outcomes up to a factor, so that this too is written once for all estimators.

References
----------
Abadie & Imbens (2012), doi:10.1198/jbes.2009.07333; Abadie & Imbens (2016),
doi:10.3982/ECTA11293; Otsu & Rai (2017), doi:10.1080/01621459.2016.1231613.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from exportimpact._typing import BoolArray, FloatArray, IntArray
from exportimpact.design.matching.forms import Form
from exportimpact.design.matching.riskset import RiskSet
from exportimpact.language import Message
from exportimpact.numerics.regression import dependent_columns

Target: TypeAlias = Literal["supported", "overlap"]


@dataclass(frozen=True, eq=False)
class Score:
    """The measure that firms were matched on or weighted by, for figures and balance.

    Attributes
    ----------
    name : str
    value : (n,)
    """

    name: str
    value: FloatArray


@dataclass(frozen=True, eq=False)
class Estimated:
    """Parameters behind the weights.

    Attributes
    ----------
    influence : (n, k)
        Estimate of theta less theta is about the sum over units.
    slope : (n, k)
        d(log weight)/d(theta).
    """

    influence: FloatArray
    slope: FloatArray


@dataclass(frozen=True, eq=False, kw_only=True)
class CohortMatch:
    """One cohort, matched.

    Attributes
    ----------
    risk : RiskSet
    form : Form
    score : Score or None
    estimated : Estimated or None
        None when nothing was estimated, or when its error is not known (`no_error`).
    on : (n, q) or None
        What was matched on, with a constant; None when weights are smooth in their parameters.
    strata : (n,) or None
        Codes of exact strata, where these are large enough for means of their own.
    tied : (n_tied,) units
        Supported firms for which several comparison firms were equally near.
    left : tuple of (reason, (n,) rows)
        Supported firms that were not matched.
    target : {"supported", "overlap"}
    no_error : bool
        Whether the error of the weights is not known.
    """

    risk: RiskSet
    form: Form
    score: Score | None = None
    estimated: Estimated | None = None
    on: FloatArray | None = None
    strata: IntArray | None = None
    tied: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    left: tuple[tuple[Message, IntArray], ...] = ()
    target: Target = "supported"
    no_error: bool = False

    @cached_property
    def weights(self) -> FloatArray:
        """Weight of every unit of the risk set, (n,); 0 for those that were left out."""
        return self.form.weights(np.ones(self.risk.rows.size, dtype=bool))

    @cached_property
    def kept(self) -> IntArray:
        """Rows of the supported firms that were matched, increasing."""
        own, _ = self.risk.split(self.weights)
        return self.risk.supported[own > 0]

    @cached_property
    def kept_weights(self) -> FloatArray:
        """Weights of the supported firms that were matched."""
        own, _ = self.risk.split(self.weights)
        return own[own > 0]

    @cached_property
    def used(self) -> IntArray:
        """Rows of the comparison firms with a weight, increasing."""
        return self.risk.comparison[self.risk.split(self.weights)[1] > 0]

    def among(
        self, supported: BoolArray, comparison: BoolArray
    ) -> tuple[IntArray, IntArray, FloatArray] | None:
        """Return units and weights of a comparison in which only some firms are observed.

        Parameters
        ----------
        supported, comparison : (n_firms,) bool
            Who is observed and may serve, over rows of the panel.

        Returns
        -------
        (supported rows, comparison rows, weights), or None when nobody is left
        """
        seen = np.concatenate([supported[self.risk.supported], comparison[self.risk.comparison]])
        weights = self.weights if seen.all() else self.form.weights(seen)
        own, others = self.risk.split(weights)
        if not (own > 0).any() or not (others > 0).any():
            return None
        return self.risk.supported[own > 0], self.risk.comparison[others > 0], weights[weights > 0]

    def propagated(
        self, psi: FloatArray, units: IntArray, weights: FloatArray
    ) -> tuple[IntArray, FloatArray]:
        """Return rows and influence of an estimate, with that of matching and of weights.

        Parameters
        ----------
        psi : (n_rows,)
            Influence at fixed weights; estimate - truth is about its sum.
        units : (n_rows,) units of the risk set
        weights : (n_rows,)
        """
        own = self.risk.is_supported[units]
        whole = np.zeros(self.risk.rows.size)
        inside = np.zeros(self.risk.rows.size, dtype=bool)
        inside[units] = True
        strata = None if self.strata is None else self.strata[units]
        changed = psi
        if self.on is not None:
            changed = _in_residuals(psi, own, weights, self.on[units], strata)
        whole[units] = changed
        if self.estimated is not None:
            whole += self.estimated.influence @ (changed @ self.estimated.slope[units])
            inside |= self.estimated.influence.any(axis=1)
        order = np.argsort(self.risk.rows[inside])
        return self.risk.rows[inside][order], whole[inside][order]


def _in_residuals(
    psi: FloatArray, d: FloatArray, w: FloatArray, M: FloatArray, strata: IntArray | None
) -> FloatArray:
    """Return psi without what matched firms share: a line in M and a mean for each stratum."""
    other = d == 0
    code = np.zeros(d.size, dtype=np.int64) if strata is None else strata
    M = M[:, 1:] - _stratum_means(M[:, 1:], w * other, code)[code]
    keep = ~dependent_columns(M[other] * np.sqrt(w[other])[:, None])
    M = M[:, keep]
    if other.sum() <= 1 + M.shape[1] or (strata is None and not M.shape[1]):
        return psi
    outcome = np.where(other, -psi / w, 0.0)
    mean = _stratum_means(outcome[:, None], w * other, code)[code, 0]
    root = np.sqrt(w[other])
    gap = (outcome - mean)[other]
    slope = np.linalg.lstsq(M[other] * root[:, None], gap * root, rcond=None)[0]
    fitted = mean + M @ slope
    out = psi.copy()
    out[other] += w[other] * fitted[other]
    own = d == 1
    total, others = w[own].sum(), w[other].sum()
    out[own] -= w[own] * (fitted[own] - w[own] @ fitted[own] / total) * others / total
    return out


def _stratum_means(values: FloatArray, w: FloatArray, code: IntArray) -> FloatArray:
    """Return weighted means by stratum, (n_strata, k); 0 where a stratum weighs nothing."""
    n = int(code.max(initial=0)) + 1
    total = np.bincount(code, w, n)
    means = np.zeros((n, values.shape[1]))
    for place, x in enumerate(values.T):
        means[:, place] = np.bincount(code, w * x, n) / np.where(total > 0, total, 1.0)
    return means
