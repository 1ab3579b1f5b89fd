"""The wild cluster bootstrap of an estimated effect.

Regressions are drawn as the literature defines it: with the null hypothesis imposed, and fitted
again in every draw. Estimators that are no regressions are drawn by their influence functions, as
the score bootstrap does; what of the estimate is estimated again is stated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from exportimpact._typing import FloatArray, IntArray, Rng
from exportimpact.core.notebook import Shown
from exportimpact.core.result import EstimationResult, check_level, check_option
from exportimpact.errors import CapabilityError, InputError, StoredResultError
from exportimpact.estimators.did.two_way_fixed_effects import clustered_fit
from exportimpact.inference.score import score_parts
from exportimpact.inference.shown import lines_of
from exportimpact.language import Message, message
from exportimpact.numerics.wild_cluster import Draws, Parts, Weights, draw, regression_parts

FEWEST_SUPPORTED, FEWEST_COMPARISON = 3, 2
WEIGHTS = ("auto", "rademacher", "webb")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class WildClusterTest(Shown):
    """A wild cluster bootstrap of one number.

    Attributes
    ----------
    estimate, std_error, statistic : float
        The estimate, the cluster-robust error that is bootstrapped, and their ratio. For
        regressions the error has no correction for few clusters, which the bootstrap replaces.
    p_value : float
        Two-sided, of a zero effect.
    ci_low, ci_high : float
        Effects that are not rejected; infinite where no value is.
    level : float
    draws : int
    enumerated : bool
        Whether the draws are all sign patterns.
    weights : {"rademacher", "webb"}
    method : {"regression", "score"}
        Whether a regression was fitted again, or influence functions were drawn.
    clusters, supported : int
        Clusters that take part, and those with supported firms.
    assumed, notes : tuple of Message
        What the test assumes; what a reader must know.
    """

    estimate: float
    std_error: float
    statistic: float
    p_value: float
    ci_low: float
    ci_high: float
    level: float
    draws: int
    enumerated: bool
    weights: Literal["rademacher", "webb"]
    method: Literal["regression", "score"]
    clusters: int
    supported: int
    assumed: tuple[Message, ...]
    notes: tuple[Message, ...]

    def __repr__(self) -> str:
        counts = {"clusters": self.clusters, "supported": self.supported}
        return lines_of(
            message(f"inference.wild_{self.method}", weights=self.weights, **counts), self
        )


def wild_cluster_test(
    result: EstimationResult,
    *,
    draws: int = 999,
    weights: Weights = "auto",
    level: float = 0.95,
    rng: Rng = None,
) -> WildClusterTest:
    """Test one estimated number by the wild cluster bootstrap, with the null hypothesis imposed.

    Parameters
    ----------
    result : EstimationResult
        Of any estimator. The overall ("simple") effect is tested, or the row of a result of one
        row, such as ``result.overall("event_time")``.
    draws : int
        Random draws; all 2^G sign patterns are taken instead when they are at most so many.
    weights : {"auto", "rademacher", "webb"}
        "auto": signs where all patterns are taken; else Webb's six points below 12 clusters, and
        random signs from there on.
    level : float
        Coverage of the interval.
    rng : int, Generator, or None
        None takes the design's seal.

    Returns
    -------
    WildClusterTest

    Raises
    ------
    InputError
        EI-I08 for an unknown option.
    CapabilityError
        EI-I30 with one or two clusters of supported firms, or one of comparison firms (by influence
        functions, one of some cohort); EI-I31 for a result whose error is not known; EI-I06 when
        the result has several rows.
    StoredResultError
        EI-I04 for a result read from JSON.

    Notes
    -----
    `TwoWayFixedEffects` is a regression: residuals are those of a fit with the effect fixed at the
    hypothesis, signs of whole clusters are drawn, and coefficients and errors are fitted again
    (Cameron, Gelbach & Miller 2008; by cluster sums, Roodman et al. 2019). It assumes independent
    clusters that are not too unlike in size and support, and errors about as likely to be positive
    as negative; the number of clusters may be small, that of supported clusters may not.

    All other estimators are drawn by their influence functions, summed within clusters (the score
    bootstrap of Kline & Santos 2012). Imposing the hypothesis shifts the mean of each cohort, and
    of comparison firms, in proportion to its part of the estimate's variance at firm level; in
    every draw these means, and errors within cohorts and comparison firms, are estimated again.
    First steps (propensities, models of untreated outcomes) and how cohorts weigh in the average
    are not: with covariates the test holds for many clusters, and for few only as far as these are
    known well. For a difference in means with one cohort and clusters of one size the two ways
    differ in the error that is bootstrapped alone.

    Intervals are the effects that the test does not reject.

    References
    ----------
    Cameron, Gelbach & Miller (2008), doi:10.1162/rest.90.3.414; Roodman, MacKinnon, Nielsen & Webb
    (2019), doi:10.1177/1536867X19830877; Kline & Santos (2012), doi:10.1515/2156-6674.1006;
    MacKinnon & Webb (2017), doi:10.1002/jae.2508

    Examples
    --------
    >>> import exportimpact as ei
    >>> bench = ei.synthetic.scenario("staggered_dynamic").draw(n_firms=300, n_periods=8, seed=1)
    >>> design = ei.Design(bench.panel, bench.support, outcome="ln_exports")
    >>> test = ei.wild_cluster_test(ei.did.GroupTime().estimate(design))
    >>> test.method, test.clusters, test.p_value
    ('score', 300, 0.001)
    """
    check_level(level)
    _check(draws, weights)
    row = _one_row(result)
    codes = _codes(row)
    regression = row.provenance.estimator == "two_way_fixed_effects"
    supported = _enough(row, codes, regression=regression)
    parts = _regression(row, codes) if regression else score_parts(row, codes)
    generator = row.provenance.generator(rng)
    drawn = draw(parts, draws=draws, rng=generator, weights=weights)
    low, high = drawn.interval(level)
    return WildClusterTest(
        estimate=drawn.estimate,
        std_error=drawn.std_error,
        statistic=drawn.statistic(),
        p_value=drawn.p_value(),
        ci_low=low,
        ci_high=high,
        level=level,
        draws=drawn.n_draws,
        enumerated=drawn.enumerated,
        weights=drawn.weights,
        method="regression" if regression else "score",
        clusters=parts.n_clusters,
        supported=supported,
        assumed=_assumed(regression=regression),
        notes=_notes(drawn, level),
    )


def _enough(row: EstimationResult, codes: IntArray, *, regression: bool) -> int:
    """Return how many clusters hold supported firms.

    Raises
    ------
    CapabilityError
        EI-I30 when they are too few, or those of the other side.
    """
    supported, comparison = _sides(row, codes)
    if supported < FEWEST_SUPPORTED or comparison < FEWEST_COMPARISON:
        what = (
            f"Supported firms lie in {supported} cluster(s) and comparison firms in {comparison}; "
            f"{FEWEST_SUPPORTED} and {FEWEST_COMPARISON} are needed"
        )
        raise _too_few(what, supported, comparison)
    if not regression and not np.isfinite(row.ci_low):
        what = "Some cohort has one supported cluster, whose influence is zero whatever happened"
        raise _too_few(what, supported, comparison)
    return supported


def _too_few(what: str, supported: int, comparison: int) -> CapabilityError:
    return CapabilityError(
        "EI-I30",
        f"{what}: the wild cluster bootstrap would reject almost never or far too often. Use "
        "ei.randomisation_test(estimator, design), which gives a p-value however few are "
        "supported; cohorts may also be put together, or left out by Design(min_supported=...).",
        supported=supported,
        comparison=comparison,
    )


def _check(draws: int, weights: str) -> None:
    if draws < 1:
        raise InputError(
            "EI-I08",
            f"draws={draws}: a bootstrap needs at least one draw, and 999 or more for an interval.",
            draws=draws,
        )
    check_option("weights", weights, WEIGHTS)


def _one_row(result: EstimationResult) -> EstimationResult:
    row = result.overall("simple") if result.rows is None else result
    row.estimate  # noqa: B018 - several rows are refused here
    if row.cells.influence is None or row.design is None:
        raise StoredResultError(
            "EI-I04",
            "A result read from JSON holds no influence functions, from which draws are made. "
            "Estimate again from the data, or keep results with pickle.",
            what="influence",
        )
    if row.cells.no_error:
        raise CapabilityError(
            "EI-I31",
            "The result has no standard error, because its weights were estimated in a way whose "
            "error is not known; a bootstrap of the rest would be too narrow. Use a matcher whose "
            "error is known, or DoublyRobust.",
            reason="no_error",
        )
    return row


def _codes(row: EstimationResult) -> IntArray:
    given = row.design.cluster_codes
    codes: IntArray = np.arange(row.design.units.size) if given is None else given
    return codes


def _sides(row: EstimationResult, codes: IntArray) -> tuple[int, int]:
    """Return clusters with supported firms of the row's cohorts, and the fewest to compare with."""
    assert row.rows is not None
    entering = row.rows.weights[0] != 0
    cohorts = np.unique(row.cells.index.cohort[entering])
    firms = np.concatenate([row.design.members(int(g)) for g in cohorts])
    comparison = int(row.cells.counts.comparison_clusters[entering].min())
    return int(np.unique(codes[firms]).size), comparison


def _regression(row: EstimationResult, codes: IntArray) -> Parts:
    assert row.rows is not None
    fit, places = clustered_fit(row.design, row.provenance.parameters, codes)
    contrast: FloatArray = np.zeros(fit.moment.shape[1])
    for weight, event_time in zip(row.rows.weights[0], row.cells.index.event_time, strict=True):
        if weight:
            contrast[places(int(event_time))] += weight
    return regression_parts(fit, contrast)


def _assumed(*, regression: bool) -> tuple[Message, ...]:
    found = ["independent", "symmetric", *([] if regression else ["linearised"])]
    return tuple(message(f"inference.{name}") for name in found)


def _notes(drawn: Draws, level: float) -> tuple[Message, ...]:
    # Enumerated draws hold the sample and its mirror image.
    smallest = 2 / drawn.n_draws if drawn.enumerated else 1 / (1 + drawn.n_draws)
    if smallest > 1 - level:
        return (message("inference.too_few_draws", smallest=smallest, draws=drawn.n_draws),)
    return ()
