"""Matching within strata: exact, coarsened exact, and subclasses of the propensity.

References
----------
Iacus, King & Porro (2012), doi:10.1093/pan/mpr013 (coarsened exact); Rosenbaum & Rubin (1984),
doi:10.1080/01621459.1984.10478078 (subclasses).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from exportimpact._typing import FloatArray, IntArray
from exportimpact.design.matching import options
from exportimpact.design.matching.forms import Stratified
from exportimpact.design.matching.matched import CohortMatch, Estimated, Score
from exportimpact.design.matching.matcher import ByCovariates
from exportimpact.design.matching.propensity import fitted
from exportimpact.design.matching.riskset import RiskSet
from exportimpact.language import Message, message


@dataclass(frozen=True, kw_only=True)
class Exact:
    """Firms that agree in every column.

    Parameters
    ----------
    on : names of baseline columns
        The covariates of the design when not given.

    Notes
    -----
    Comparison firms of a stratum share the weight of its supported firms. Columns with many values
    leave most firms alone: see `Coarsened`.
    """

    on: tuple[str, ...] | list[str] | str = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "on", options.names(self.on))

    @property
    def needs(self) -> tuple[str, ...]:
        """Baseline columns that have to be known, beside the covariates."""
        return options.names(self.on)

    @property
    def uses_covariates(self) -> bool:
        """Whether the covariates of the design decide who is matched."""
        return not self.on

    def match(
        self, risk: RiskSet, *, tie_order: np.random.Generator | None = None
    ) -> CohortMatch | Message:
        """Return the cohort's match, or why there is none."""
        code = risk.codes(options.names(self.on)) if self.on else _combined(list(risk.X.T), risk)
        return stratified(risk, code)


@dataclass(frozen=True, kw_only=True)
class Coarsened(ByCovariates):
    """Firms that agree in every covariate once numbers are cut into bins.

    Parameters
    ----------
    cutpoints : mapping of covariate to number of bins, or to cut points
        A number makes bins of equal width; a list cuts at its values, a value on a cut point
        belonging to the bin above. By default Sturges' number of bins of equal width.

    Notes
    -----
    Categories and truth values are not cut.
    """

    cutpoints: Mapping[str, int | Sequence[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cutpoints", options.mapping("cutpoints", self.cutpoints))
        for column, cuts in self.cutpoints.items():
            if not isinstance(cuts, (tuple, list)):
                options.whole(f"cutpoints[{column!r}]", cuts)

    @property
    def needs(self) -> tuple[str, ...]:
        """Baseline columns that have to be known, beside the covariates."""
        return tuple(self.cutpoints)

    def match(
        self, risk: RiskSet, *, tie_order: np.random.Generator | None = None
    ) -> CohortMatch | Message:
        """Return the cohort's match, or why there is none."""
        named = dict(zip(risk.names, risk.X.T, strict=True))
        named |= {name: risk.column(name) for name in self.cutpoints if name not in named}
        binned = [self._bins(name, values) for name, values in named.items()]
        return stratified(risk, _combined(binned, risk))

    def _bins(self, name: str, values: FloatArray) -> FloatArray:
        asked: Any = self.cutpoints.get(name)
        if asked is None and np.unique(values).size <= 2:
            return values
        if asked is not None and not isinstance(asked, int):
            return _bin(np.sort(np.asarray(asked, dtype=float)), values)
        bins = asked if asked is not None else math.ceil(math.log2(values.size) + 1)
        return _bin(np.linspace(values.min(), values.max(), bins + 1)[1:-1], values)


@dataclass(frozen=True, kw_only=True)
class Subclass(ByCovariates):
    """Classes of the propensity that hold equal numbers of supported firms.

    Parameters
    ----------
    classes : int
    classifier : scikit-learn classifier, optional
        Makes the propensity, cross-fitted in `folds` parts; then there is no standard error.
    folds : int
    """

    classes: int = 6
    classifier: Any = None
    folds: int = 5

    def __post_init__(self) -> None:
        options.whole("classes", self.classes, 2)
        options.whole("folds", self.folds, 2)

    def match(
        self, risk: RiskSet, *, tie_order: np.random.Generator | None = None
    ) -> CohortMatch | Message:
        """Return the cohort's match, or why there is none."""
        made = fitted(risk, self.classifier, self.folds)
        if isinstance(made, Message):
            return made
        own, _ = risk.split(made.probability)
        cuts = np.quantile(own, np.linspace(0, 1, self.classes + 1)[1:-1])
        code = np.searchsorted(cuts, made.probability, "right").astype(np.int64)
        return stratified(
            risk,
            code,
            score=Score("propensity", made.probability),
            on=made.curve,
            estimated=made.matched_on(),
            no_error=self.classifier is not None,
        )


def stratified(
    risk: RiskSet,
    code: IntArray,
    *,
    score: Score | None = None,
    on: FloatArray | None = None,
    estimated: Estimated | None = None,
    no_error: bool = False,
) -> CohortMatch | Message:
    """Return the match that strata make, with the supported firms of strata without others."""
    own, others = code[: risk.n_supported], code[risk.n_supported :]
    shared = np.intersect1d(own, others)
    if not shared.size:
        return message("match.no_shared_stratum", cohort=risk.label)
    code = np.where(np.isin(code, shared), code, -1)
    alone = risk.supported[code[: risk.n_supported] < 0]
    left = ((message("match.no_firm_in_stratum"), alone),) if alone.size else ()
    return CohortMatch(
        risk=risk,
        form=Stratified(code, risk.is_supported, risk.weights),
        score=score,
        on=np.column_stack([np.ones(risk.rows.size), risk.X]) if on is None else on,
        estimated=estimated,
        left=left,
        no_error=no_error,
    )


def _bin(cuts: FloatArray, values: FloatArray) -> FloatArray:
    return np.searchsorted(cuts, values, "right").astype(np.float64)


def _combined(columns: list[FloatArray], risk: RiskSet) -> IntArray:
    """Return one code for each combination of values, (n,)."""
    code = np.zeros(risk.rows.size, dtype=np.int64)
    for values in columns:
        own = np.unique(values, return_inverse=True)[1].reshape(-1)
        code = np.unique(code * (int(own.max()) + 1) + own, return_inverse=True)[1].reshape(-1)
    return code.astype(np.int64)
