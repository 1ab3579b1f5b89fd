"""Nearest-neighbour and optimal matching.

References
----------
Rosenbaum & Rubin (1985), doi:10.1080/00031305.1985.10479383; Ho, Imai, King & Stuart (2007),
doi:10.1093/pan/mpl013; Hansen & Klopfer (2006), doi:10.1198/106186006X137047 (optimal).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from exportimpact._typing import FloatArray, IntArray
from exportimpact.design.matching import options
from exportimpact.design.matching.distance import KINDS, Measure, measure
from exportimpact.design.matching.forms import Paired
from exportimpact.design.matching.matched import CohortMatch
from exportimpact.design.matching.riskset import RiskSet
from exportimpact.errors import NotIdentifiedError
from exportimpact.language import Message, message
from exportimpact.numerics import pairing
from exportimpact.numerics.pairing import PairingProblem, Pairs, Window

Order: TypeAlias = Literal["largest", "smallest", "closest", "random", "id"]
Ties: TypeAlias = Literal["average", "id"]
CaliperIn: TypeAlias = Literal["sd", "unit"]
_ROUNDING = 1e-9
_FIRMS_PER_STRATUM = 20


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """Each supported firm with its nearest comparison firms.

    Parameters
    ----------
    distance : str
        ``"propensity"`` (a logit of support on the covariates), ``"linear"`` (its log odds),
        ``"mahalanobis"`` (pooled within-side covariance), ``"scaled_euclidean"``, or a numeric
        baseline column.
    ratio : int
        Comparison firms for each supported firm.
    replace : bool
        Whether a comparison firm may serve several supported firms of a cohort.
    order : {"largest", "smallest", "closest", "random", "id"}, optional
        Who chooses first without replacement: largest or smallest score, the closest pair of all,
        a random order (`seed`), or firm ids. By default "largest" for a score, else "id".
    caliper : float, optional
        Largest distance, in standard deviations of the distance over all firms at risk or in its
        own unit (`caliper_in`); the Mahalanobis distance has one unit only.
    caliper_in : {"sd", "unit"}
    calipers : mapping of baseline column to number
        Largest difference of each column, in its own unit.
    propensity_caliper : float, optional
        Largest difference of the propensity, in its standard deviations, when the distance is
        another.
    exact, antiexact : names of baseline columns
        Columns that must agree, and columns that must differ, between matched firms.
    ties : {"average", "id"}, optional
        Equally near firms share the place ("average", the default with replacement, and possible
        only there) or the smallest firm id gets it.
    classifier : scikit-learn classifier, optional
        Makes the propensity, cross-fitted in `folds` parts; then there is no standard error.
    folds, seed : int

    Notes
    -----
    The order of rows never matters: whatever is equal is decided by firm id.

    Raises
    ------
    InputError
        EI-M01 to EI-M03 for options, EI-M10 for a classifier.

    Examples
    --------
    >>> Nearest(distance="propensity", caliper=0.2, exact=["industry"]).ratio
    1
    """

    distance: str = "propensity"
    ratio: int = 1
    replace: bool = False
    order: Order | None = None
    caliper: float | None = None
    caliper_in: CaliperIn = "sd"
    calipers: Mapping[str, float] = field(default_factory=dict)
    propensity_caliper: float | None = None
    exact: tuple[str, ...] | list[str] | str = ()
    antiexact: tuple[str, ...] | list[str] | str = ()
    ties: Ties | None = None
    classifier: Any = None
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        options.whole("ratio", self.ratio)
        options.whole("folds", self.folds, 2)
        options.choice("order", self.order or "id", Order.__args__)  # type: ignore[attr-defined]
        options.choice("caliper_in", self.caliper_in, ("sd", "unit"))
        options.choice("ties", self.ties or "id", ("id", "average") if self.replace else ("id",))
        options.positive("caliper", self.caliper)
        options.positive("propensity_caliper", self.propensity_caliper)
        object.__setattr__(self, "exact", options.names(self.exact))
        object.__setattr__(self, "antiexact", options.names(self.antiexact))
        object.__setattr__(self, "calipers", options.mapping("calipers", self.calipers))
        for column, width in self.calipers.items():
            options.positive(f"calipers[{column!r}]", width)

    @property
    def needs(self) -> tuple[str, ...]:
        """Baseline columns that have to be known, beside the covariates."""
        own = () if self.distance in KINDS else (self.distance,)
        return tuple(dict.fromkeys((*own, *self.exact, *self.antiexact, *self.calipers)))

    @property
    def uses_covariates(self) -> bool:
        """Whether the covariates of the design decide who is matched."""
        return self.distance in KINDS or self.propensity_caliper is not None

    def match(
        self, risk: RiskSet, *, tie_order: np.random.Generator | None = None
    ) -> CohortMatch | Message:
        """Return the cohort's match, or why there is none."""
        if not self.replace:
            enough(risk, self.ratio)
        made = measured(risk, self)
        if isinstance(made, Message):
            return made
        problem = problem_of(risk, made, self)
        order = self._order(risk, made, tie_order)
        found = shuffled(problem, order, tie_order, self._pairs)
        return paired(risk, made, found, problem)

    def _pairs(self, problem: PairingProblem, order: IntArray) -> Pairs:
        if self.replace:
            ties: Literal["average", "first"] = "first" if self.ties == "id" else "average"
            return pairing.nearest_with_replacement(problem, ratio=self.ratio, ties=ties)
        if self.order == "closest":
            return pairing.closest_without_replacement(problem, ratio=self.ratio)
        return pairing.nearest_without_replacement(problem, ratio=self.ratio, order=order)

    def _order(
        self, risk: RiskSet, made: Measure, tie_order: np.random.Generator | None
    ) -> IntArray:
        n = risk.n_supported
        kind = self.order or ("id" if made.score is None else "largest")
        if kind == "random":
            return np.random.default_rng(self.seed).permutation(n).astype(np.int64)
        if kind in {"largest", "smallest"} and made.score is not None:
            value = made.score.value[:n]
            first = np.arange(n) if tie_order is None else tie_order.permutation(n)
            return first[_ranked((-value if kind == "largest" else value)[first])]
        return np.arange(n, dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Optimal:
    """Pairs with the smallest total distance, without replacement.

    Parameters
    ----------
    distance, ratio, caliper, caliper_in, calipers, propensity_caliper, exact, antiexact
        As in `Nearest`.
    classifier, folds
        As in `Nearest`.

    Raises
    ------
    InputError
        EI-M01 to EI-M03 for options, EI-M10 for a classifier.
    """

    distance: str = "propensity"
    ratio: int = 1
    caliper: float | None = None
    caliper_in: CaliperIn = "sd"
    calipers: Mapping[str, float] = field(default_factory=dict)
    propensity_caliper: float | None = None
    exact: tuple[str, ...] | list[str] | str = ()
    antiexact: tuple[str, ...] | list[str] | str = ()
    classifier: Any = None
    folds: int = 5

    def __post_init__(self) -> None:
        for option, value in vars(self._nearest()).items():
            if hasattr(self, option):
                object.__setattr__(self, option, value)

    @property
    def needs(self) -> tuple[str, ...]:
        """Baseline columns that have to be known, beside the covariates."""
        return self._nearest().needs

    @property
    def uses_covariates(self) -> bool:
        """Whether the covariates of the design decide who is matched."""
        return self._nearest().uses_covariates

    def match(
        self, risk: RiskSet, *, tie_order: np.random.Generator | None = None
    ) -> CohortMatch | Message:
        """Return the cohort's match, or why there is none."""
        enough(risk, self.ratio)
        made = measured(risk, self)
        if isinstance(made, Message):
            return made
        problem = problem_of(risk, made, self)

        def best(problem: PairingProblem, order: IntArray) -> Pairs:
            return pairing.optimal(problem, ratio=self.ratio)

        order = np.arange(risk.n_supported, dtype=np.int64)
        return paired(risk, made, shuffled(problem, order, tie_order, best), problem)

    def _nearest(self) -> Nearest:
        return Nearest(**{name: getattr(self, name) for name in self.__dataclass_fields__})


def _ranked(value: FloatArray) -> IntArray:
    """Return the order of values; those that differ by rounding alone stay in the order of ids."""
    order = np.argsort(value, kind="stable")
    steps = np.diff(value[order])
    scale = float(np.abs(value).max(initial=0.0))
    group = np.empty(value.size, dtype=np.int64)
    group[order] = np.concatenate([[0], np.cumsum(steps > _ROUNDING * scale)])
    return np.argsort(group, kind="stable").astype(np.int64)


def measured(risk: RiskSet, matcher: Nearest | Optimal) -> Measure | Message:
    """Return the distances that a matcher asks for, or why there are none."""
    within = matcher.propensity_caliper is not None
    return measure(risk, matcher.distance, matcher.classifier, matcher.folds, within=within)


def enough(risk: RiskSet, ratio: int) -> None:
    """Refuse a cohort with more places than comparison firms."""
    wanted, there = risk.n_supported * ratio, int(risk.comparison.size)
    if risk.n_supported and there and wanted > there:
        raise NotIdentifiedError(
            "EI-M07",
            f"Cohort {risk.label} has {risk.n_supported:,} supported firms and {there:,} "
            f"comparison firms, fewer than the {wanted:,} that ratio={ratio} without replacement "
            "needs; which supported firms went without would depend on the order of matching. "
            "Pass replace=True, a smaller ratio, or weight with EntropyBalancing or "
            "InverseProbability.",
            cohort=risk.label,
            supported=risk.n_supported,
            comparison=there,
        )


def problem_of(risk: RiskSet, made: Measure, matcher: Nearest | Optimal) -> PairingProblem:
    """Return distances and limits as the pairing functions take them."""
    limits = [(risk.column(name), float(width)) for name, width in matcher.calipers.items()]
    if matcher.propensity_caliper is not None and made.propensity is not None:
        p = made.propensity.probability
        limits.append((p, matcher.propensity_caliper * float(p.std(ddof=1))))
    sides = [(risk.split(value), width) for value, width in limits]
    stratum = risk.codes(options.names(matcher.exact)) if matcher.exact else None
    caliper = np.inf if matcher.caliper is None else matcher.caliper
    if matcher.caliper is not None and matcher.caliper_in == "sd" and made.score is not None:
        caliper = matcher.caliper * float(made.score.value.std(ddof=1))
    treated, comparison = risk.split(made.coordinates)
    return PairingProblem(
        treated=treated,
        comparison=comparison,
        caliper=caliper,
        stratum_treated=None if stratum is None else stratum[: risk.n_supported],
        stratum_comparison=None if stratum is None else stratum[risk.n_supported :],
        windows=tuple(Window(treated=a, comparison=b, width=width) for (a, b), width in sides),
        different=tuple(_codes(risk, name) for name in matcher.antiexact),
    )


def shuffled(
    problem: PairingProblem, order: IntArray, tie_order: np.random.Generator | None, pairs: Any
) -> Pairs:
    """Return the pairs; with `tie_order`, equally near firms are taken in a random order."""
    if tie_order is None:
        found: Pairs = pairs(problem, order)
        return found
    mixed = tie_order.permutation(problem.comparison.shape[0])
    found = pairs(_permuted(problem, mixed), order)
    return replace(found, comparison=mixed[found.comparison])


def _permuted(problem: PairingProblem, order: IntArray) -> PairingProblem:
    """Return the problem with its comparison units in another order."""
    stratum = problem.stratum_comparison
    return replace(
        problem,
        comparison=problem.comparison[order],
        stratum_comparison=None if stratum is None else stratum[order],
        windows=tuple(replace(w, comparison=w.comparison[order]) for w in problem.windows),
        different=tuple((own, others[order]) for own, others in problem.different),
    )


def paired(
    risk: RiskSet, made: Measure, pairs: Pairs, problem: PairingProblem
) -> CohortMatch | Message:
    """Return the match that pairs make, with the supported firms that found nobody."""
    n = risk.n_supported
    if not pairs.treated.size:
        return _nobody(risk, problem)
    alone = np.setdiff1d(np.arange(n), pairs.treated)
    left: tuple[tuple[Message, IntArray], ...] = ()
    if alone.size:
        left = ((message("match.no_near_firm"), risk.supported[alone]),)
    return CohortMatch(
        risk=risk,
        form=Paired(pairs.treated, n + pairs.comparison, pairs.distance, pairs.share, risk.weights),
        score=made.score,
        estimated=made.moved,
        on=made.on,
        strata=_large(problem),
        tied=pairs.tied,
        left=left,
        no_error=made.no_error,
    )


def _nobody(risk: RiskSet, problem: PairingProblem) -> Message:
    own, others = problem.stratum_treated, problem.stratum_comparison
    if own is not None and others is not None and not np.isin(own, others).any():
        return message("match.no_shared_stratum", cohort=risk.label)
    return message("match.nobody_near", cohort=risk.label, firms=risk.n_supported)


def _large(problem: PairingProblem) -> IntArray | None:
    """Return the codes of exact strata where these hold twenty firms on average."""
    own, others = problem.stratum_treated, problem.stratum_comparison
    if own is None or others is None:
        return None
    codes = np.concatenate([own, others])
    return codes if np.unique(codes).size <= codes.size / _FIRMS_PER_STRATUM else None


def _codes(risk: RiskSet, name: str) -> tuple[IntArray, IntArray]:
    codes = risk.codes((name,))
    return codes[: risk.n_supported], codes[risk.n_supported :]
