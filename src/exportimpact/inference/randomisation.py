"""Randomisation tests of an estimated effect: other draws of who was supported, same outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from exportimpact._typing import Rng
from exportimpact.core.estimator import as_sealed
from exportimpact.core.notebook import Shown
from exportimpact.core.provenance import seeded
from exportimpact.core.result import EstimationResult, check_level
from exportimpact.design import SealedDesign
from exportimpact.errors import CapabilityError, InputError, did_you_mean
from exportimpact.inference.mechanism import Mechanism, Unit
from exportimpact.inference.redraws import redraw_of
from exportimpact.inference.shown import lines_of
from exportimpact.language import Message, message
from exportimpact.numerics.randomisation import Randomised

FEWEST = 3
"""Supported units from which on there is an interval."""
NO_INTERVAL = "EI-I33"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class RandomisationTest(Shown):
    """A randomisation test of an overall effect.

    Attributes
    ----------
    estimate : float
    statistic : float
        The estimate over its standard error; the estimate where there is none.
    p_value : float
        Two-sided, of no effect on any supported firm.
    ci_low, ci_high : float
        Constant effects that are not rejected; missing with fewer than three supported units, and
        where the estimate is not linear in the outcome. Infinite where nothing is rejected.
    level : float
    draws : int
        Arrangements of support that were looked at.
    enumerated : bool
        Whether these are all there are.
    failed : int
        Arrangements under which nothing could be estimated; they count as more extreme.
    studentised : bool
    unit : {"cluster", "firm"}
    within : str or None
    units, supported : int
        Units that could be supported, and those that are.
    assumed, notes : tuple of Message
        What the test assumes; what a reader must know.
    result : EstimationResult
        The estimates on the observed support.
    """

    estimate: float
    statistic: float
    p_value: float
    ci_low: float
    ci_high: float
    level: float
    draws: int
    enumerated: bool
    failed: int
    studentised: bool
    unit: Unit
    within: str | None
    units: int
    supported: int
    assumed: tuple[Message, ...]
    notes: tuple[Message, ...]
    result: EstimationResult

    def __repr__(self) -> str:
        title = message(
            "inference.randomisation_title",
            units=self.units,
            unit=message(f"inference.{self.unit}s"),
            supported=self.supported,
        )
        return lines_of(title, self)


def randomisation_test(
    estimator: Any,
    design: Any,
    *,
    draws: int = 999,
    within: str | None = None,
    unit: Unit | None = None,
    level: float = 0.95,
    rng: Rng = None,
) -> RandomisationTest:
    """Test the overall effect against what other assignments of support would have given.

    Whole histories of support (when it starts, and how it goes on) are exchanged between units, and
    the overall ("simple") effect is estimated again on the same outcomes. If support did nothing to
    any firm, and units were as likely to get one another's histories, the observed estimate is a
    draw from these, whatever the number of clusters and however few are supported.

    Parameters
    ----------
    estimator : estimator
        Such as ``ei.did.GroupTime()``.
    design : Design or SealedDesign
    draws : int
        Random arrangements; all arrangements are looked at when they are at most so many.
    within : str, optional
        Baseline column whose categories are strata (read where a firm is first reported, and the
        same for all firms of a cluster): support is exchanged within them only. For firms, the
        cluster column too.
    unit : {"cluster", "firm"}, optional
        What was assigned to support: the panel's clusters where it has any, else the firm.
    level : float
        Coverage of the interval.
    rng : int, Generator, or None
        None takes the design's seal.

    Returns
    -------
    RandomisationTest

    Raises
    ------
    CapabilityError
        EI-I31 for designs that are matched, of one segment, or compare with rejected firms; EI-E10
        for what is no design; whatever the estimator raises.
    InputError
        EI-I08 for an unknown option, EI-I32 when firms of a cluster have different histories.
    NotIdentifiedError
        EI-I34 when support could have been arranged in one way only.

    Notes
    -----
    Exact for the hypothesis of no effect on any firm, under the declared mechanism. The statistic
    is divided by its standard error, so that the test also holds, in large samples, for a mean
    effect of zero when effects differ (Chung & Romano 2013, doi:10.1214/13-AOS1090). The interval
    inverts the test and assumes that the effect is the same constant for every supported firm and
    period. With one or two supported units there is no interval (EI-I33), and where some cohort or
    the comparison has one cluster only, estimates are compared as they are.

    `GroupTime` without covariates and weights needs sums alone; other estimators are run twice for
    each arrangement.

    References
    ----------
    MacKinnon & Webb (2020), doi:10.1016/j.jeconom.2020.04.024

    Examples
    --------
    >>> import exportimpact as ei
    >>> bench = ei.synthetic.scenario("staggered_dynamic").draw(n_firms=300, n_periods=8, seed=1)
    >>> design = ei.Design(bench.panel, bench.support, outcome="ln_exports")
    >>> test = ei.randomisation_test(ei.did.GroupTime(), design, draws=199)
    >>> test.p_value, test.unit, test.enumerated
    (0.005, 'firm', False)
    """
    check_level(level)
    sealed = _sealed(estimator, design)
    _check(draws, unit, sealed)
    clustered = sealed.cluster_codes is not None
    mechanism = Mechanism.of(sealed, unit or ("cluster" if clustered else "firm"), within)
    result = estimator.estimate(sealed)
    found, linear = _drawn(estimator, sealed, mechanism, result, draws, rng)
    enough = mechanism.supported >= FEWEST
    low, high = found.interval(level) if enough and linear else (np.nan, np.nan)
    return RandomisationTest(
        estimate=float(found.estimate[0]),
        statistic=found.statistic(),
        p_value=found.p_value(),
        ci_low=low,
        ci_high=high,
        level=level,
        draws=found.n_draws,
        enumerated=found.enumerated,
        failed=found.failed,
        studentised=found.studentised,
        unit=mechanism.unit,
        within=within,
        units=int(mechanism.labels.size),
        supported=mechanism.supported,
        assumed=_assumed(mechanism, interval=enough and linear),
        notes=_notes(found, mechanism, level, linear=linear),
        result=result,
    )


def _sealed(estimator: Any, design: Any) -> SealedDesign:
    title = getattr(getattr(estimator, "spec", None), "title", type(estimator).__name__)
    sealed: Any = as_sealed(design, title)
    reasons = {
        "is matched": sealed.matcher is not None,
        "is among the firms of one segment": sealed.segment is not None,
        "compares with rejected firms": sealed.comparison == "rejected",
    }
    for reason, holds in reasons.items():
        if holds:
            raise CapabilityError(
                "EI-I31",
                f"The design {reason}. Dealing support out anew would change who is in it, and the "
                "arrangements would not be draws of one mechanism. Test on the design of all "
                "firms, with within= for the categories in which firms are alike.",
                reason=reason,
            )
    found: SealedDesign = sealed
    return found


def _check(draws: int, unit: str | None, design: SealedDesign) -> None:
    if draws < 1:
        raise InputError(
            "EI-I08",
            f"draws={draws}: a randomisation test needs at least one draw, and 999 or more for an "
            "interval.",
            draws=draws,
        )
    if unit not in (None, "cluster", "firm"):
        raise InputError(
            "EI-I08",
            f"unit={unit!r} is unknown; it decides who could have been supported instead. "
            f"{did_you_mean(str(unit), ('cluster', 'firm'))}",
            option="unit",
        )
    if unit == "cluster" and design.cluster_codes is None:
        raise InputError(
            "EI-I08",
            'unit="cluster" needs clusters above the firm, and the panel has none. Name the column '
            'at which support was assigned: Panel.from_frame(..., cluster=...), or unit="firm".',
            option="unit",
        )


def _drawn(
    estimator: Any,
    design: SealedDesign,
    mechanism: Mechanism,
    result: EstimationResult,
    draws: int,
    rng: Rng,
) -> tuple[Randomised, bool]:
    redraw = redraw_of(estimator, design, mechanism, result)
    sources, count, enumerated = mechanism.sources(draws, seeded(rng, design.hash))
    theta, covariance = redraw.at(np.arange(mechanism.labels.size))
    drawn, drawn_covariance = np.empty((count, 2)), np.empty((count, 2, 2))
    for b, source in enumerate(sources):
        drawn[b], drawn_covariance[b] = redraw.at(source)
    found = Randomised(
        estimate=theta,
        covariance=covariance,
        drawn=drawn,
        drawn_covariance=drawn_covariance,
        studentised=bool(np.isfinite(result.overall("simple").ci_low)),
        enumerated=enumerated,
    )
    return found, redraw.linear


def _assumed(mechanism: Mechanism, *, interval: bool) -> tuple[Message, ...]:
    unit = message(f"inference.{mechanism.unit}s")
    alike = "exchangeable_within" if mechanism.within else "exchangeable"
    found = [message(f"inference.{alike}", unit=unit, within=mechanism.within)]
    if interval:
        found.append(message("inference.constant_effect"))
    return tuple(found)


def _notes(
    found: Randomised, mechanism: Mechanism, level: float, *, linear: bool
) -> tuple[Message, ...]:
    notes = []
    if mechanism.supported < FEWEST:
        unit = message(f"inference.{mechanism.unit}s")
        text = {"code": NO_INTERVAL, "supported": mechanism.supported, "unit": unit}
        notes.append(message("inference.no_interval", **text))
    if not found.studentised:
        notes.append(message("inference.not_studentised"))
    if not linear:
        notes.append(message("inference.not_linear"))
    smallest = 1 / found.n_draws if found.enumerated else 1 / (1 + found.n_draws)
    if smallest > 1 - level:
        notes.append(message("inference.too_few_draws", smallest=smallest, draws=found.n_draws))
    if found.failed:
        notes.append(message("inference.failed", failed=found.failed, draws=found.n_draws))
    return tuple(notes)
