"""What would it take to overturn the effect of a matched design, if matching missed something.

Each finding says how strong something unseen would have to be. That is no evidence that it is
there, nor that it is not, so that no finding here speaks to an assumption: a large effect would
otherwise pass for a check of unconfoundedness, and every small true effect for a sign against it.
CONCERN means that something weak, or no stronger than what was observed, would do; where the effect
cannot be told from zero anyway there is nothing to overturn.

Thresholds are conventions of this package, except that of Oster's delta.

References
----------
Rosenbaum (2002), doi:10.1007/978-1-4757-3692-2; Cinelli & Hazlett (2020), doi:10.1111/rssb.12348;
Oster (2019), doi:10.1080/07350015.2016.1227711; VanderWeele & Ding (2017), doi:10.7326/M16-2607.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from exportimpact._typing import FloatArray
from exportimpact.core.diagnostic import diagnostic
from exportimpact.core.finding import Finding, judged
from exportimpact.core.result import EstimationResult
from exportimpact.diagnostics.averages import Averages, Sets, averages_of, sets_of
from exportimpact.errors import InputError
from exportimpact.language import Message, message
from exportimpact.numerics import evalue, omitted, oster, rosenbaum
from exportimpact.numerics.distributions import f_upper

MIN_GAMMA = 1.5
MIN_DELTA = 1.0
MIN_E_VALUE = 1.5
LITTLE = 0.01
"""Share of the outcome's variance below which covariates explain too little to be a yardstick."""

_LEVEL = 0.05
_ABOUT = ("unconfoundedness", "parallel_trends_given_x")
_ROSENBAUM = "package convention; Rosenbaum (2002), doi:10.1007/978-1-4757-3692-2"
_CINELLI = "Cinelli & Hazlett (2020), doi:10.1111/rssb.12348"
_OSTER = "Oster (2019), doi:10.1080/07350015.2016.1227711"
_VANDERWEELE = "package convention; VanderWeele & Ding (2017), doi:10.7326/M16-2607"


@diagnostic(id="rosenbaum_bounds", assumption=None, needs="result", threshold_source=_ROSENBAUM)
def rosenbaum_bounds(design: Any, result: EstimationResult) -> Iterator[Finding]:
    """Return how far the odds of support of matched firms may differ before the test gives way.

    One difference for each supported firm: the mean over its periods since support of its outcome
    less that of its matches, both less what the estimator's regression explains (Rosenbaum 2002,
    doi:10.1214/ss/1042727942). Signed-rank test; for a binary outcome the sign test.
    """
    if not _asked(result):
        return
    sets = _pairs(design, result)
    if isinstance(sets, Message):
        yield _silent("rosenbaum_bounds", sets, _ROSENBAUM)
        return
    found = _breakdown(sets.difference, result)
    if found.status == "too_few":
        yield _silent("rosenbaum_bounds", message("finding.rosenbaum_too_few"), _ROSENBAUM)
        return
    firm, words = found.gamma >= MIN_GAMMA, "weak"
    if firm or found.status == "not_rejected":
        words = "firm" if firm else "not_rejected"
    beyond = found.status == "beyond_ceiling"
    text = message(
        f"finding.rosenbaum_{words}",
        gamma=message("finding.beyond", gamma=found.gamma) if beyond else found.gamma,
        pairs=found.n_pairs,
        p=found.p_value,
        limit=MIN_GAMMA,
        range="" if result.estimand.scale == "binary" else _range(sets.difference, found.gamma),
        sharing=message("finding.sharing") if sets.shared else "",
    )
    yield Finding("rosenbaum_bounds", judged(firm), text, None, found.gamma, MIN_GAMMA, _ROSENBAUM)


def _range(difference: FloatArray, gamma: float) -> Message:
    """Return, in words, which estimates are possible under a bias of that size."""
    ends = rosenbaum.hodges_lehmann_bounds(difference, np.array([gamma]))
    low, high = float(ends.lower[0]), float(ends.upper[0])
    return message("finding.hodges_lehmann", low=low, high=high)


def _pairs(design: Any, result: EstimationResult) -> Sets | Message:
    reason = _nothing_to_overturn(design, result)
    if reason is not None:
        return reason
    sets = sets_of(design, result)
    if sets is None:
        return message("finding.no_pairs")
    if not sets.difference.any():
        return message("finding.pairs_do_not_differ")
    if result.estimand.scale == "binary" and sets.several:
        # The mean of several zeros and ones is not symmetric about one of them.
        return message("finding.several_for_one")
    return sets


def _breakdown(difference: FloatArray, result: EstimationResult) -> rosenbaum.Breakdown:
    """Return the breakdown of the one-sided test, on the side of the effect, at half its level."""
    above = result.overall("simple").estimate > 0
    if result.estimand.scale != "binary":
        side: rosenbaum.Direction = "greater" if above else "less"
        return rosenbaum.breakdown(difference, _LEVEL / 2, side)
    counts = int((difference > 0).sum()), int((difference < 0).sum())
    favourable, unfavourable = counts if above else counts[::-1]
    return rosenbaum.sign_test_breakdown(favourable, unfavourable, _LEVEL / 2)


@diagnostic(id="robustness_value", assumption=None, needs="result", threshold_source=_CINELLI)
def robustness_value(design: Any, result: EstimationResult) -> Iterator[Finding]:
    """Return how much a confounder would have to explain, beside the strongest covariate.

    Of the matched sample's weighted regression of mean outcomes since support on support and
    covariates. The yardstick is a covariate's strength before matching: afterwards, covariates
    explain nothing of support by construction, while something unseen was not matched on.
    """
    if not _asked(result):
        return
    sample = _sample(design, result)
    if isinstance(sample, Message):
        yield _silent("robustness_value", sample, _CINELLI)
        return
    try:
        fit = omitted.treatment_fit(sample.y, sample.d, sample.X, sample.after)
        value, partial = omitted.robustness_value(fit), omitted.partial_r2(fit)
        strongest, name = _strongest(sample)
    except InputError as error:
        text = message("finding.cannot_fit", why=error.message)
        yield _silent("robustness_value", text, _CINELLI)
        return
    firm = value > strongest
    text = message(
        "finding.robust" if firm else "finding.not_robust",
        percent=100 * value,
        partial=100 * partial,
        covariate=name,
        strongest=100 * strongest,
    )
    yield Finding("robustness_value", judged(firm), text, None, value, strongest, _CINELLI)


def _strongest(sample: Averages) -> tuple[float, str]:
    """Return the covariate that would take most from the estimate, on the robustness value's scale.

    A confounder takes away sqrt(x) in units of the error, x = r_y r_d / (1 - r_d); one with the
    same partial R2 on both sides, r, has x = r^2 / (1 - r).
    """
    groups = list(sample.groups.values())
    seen = omitted.benchmark_r2(sample.y, sample.d, sample.X, sample.before, groups)
    bound = omitted.benchmark_bounds(seen, np.array(1.0))
    x = bound.outcome * bound.treatment / (1 - bound.treatment)
    equal = (np.sqrt(x**2 + 4 * x) - x) / 2
    # Where a covariate leaves no room for a second one like it, there is no such confounder.
    equal = np.where(np.isfinite(equal), equal, 0.0)
    return float(equal.max()), list(sample.groups)[int(equal.argmax())]


@diagnostic(id="oster_delta", assumption=None, needs="result", threshold_source=_OSTER)
def oster_delta(design: Any, result: EstimationResult) -> Iterator[Finding]:
    """Return how strong selection on what is not seen would have to be beside that on covariates.

    From the firms that could have been matched, as they were before matching: afterwards the
    difference no longer moves when covariates are added, which says nothing.
    """
    if not _asked(result):
        return
    sample = _sample(design, result)
    if isinstance(sample, Message):
        yield _silent("oster_delta", sample, _OSTER)
        return
    try:
        moved = oster.coefficient_movement(
            sample.y, sample.d, sample.X, sample.before, sample.is_fixed
        )
        delta = oster.proportionality(moved)
    except InputError as error:
        yield _silent("oster_delta", message("finding.cannot_fit", why=error.message), _OSTER)
        return
    if _explain_little(sample, moved) or not np.isfinite(delta):
        percent = 100 * (moved.r2_full - moved.r2_short)
        yield _silent("oster_delta", message("finding.little_explained", percent=percent), _OSTER)
        return
    firm = delta >= MIN_DELTA or delta < 0
    words = "finding.delta_against" if delta < 0 else "finding.delta_firm"
    text = message(
        words if firm else "finding.delta_weak",
        delta=delta,
        short=moved.beta_short,
        full=moved.beta_full,
        r2=moved.r2_full,
        r2_max=oster.r2_of_everything(moved),
    )
    yield Finding("oster_delta", judged(firm), text, None, delta, MIN_DELTA, _OSTER)


def _explain_little(sample: Averages, moved: oster.CoefficientMovement) -> bool:
    """Return whether covariates explain next to nothing of the outcome, or no more than chance."""
    gained = moved.r2_full - moved.r2_short
    columns = int((~sample.is_fixed).sum())
    left = sample.y.size - sample.X.shape[1] - 1
    if gained < LITTLE or left < 1:
        return True
    statistic = (gained / columns) / (max(1 - moved.r2_full, 1e-300) / left)
    return f_upper(statistic, columns, left) >= _LEVEL


@diagnostic(id="e_value", assumption=None, needs="result", threshold_source=_VANDERWEELE)
def e_value(design: Any, result: EstimationResult) -> Iterator[Finding]:
    """Return the risk ratio that a confounder of a binary outcome would have to have, both ways."""
    if not _asked(result) or result.estimand.scale != "binary":
        return
    reason = _nothing_to_overturn(design, result)
    if reason is not None:
        yield _silent("e_value", reason, _VANDERWEELE)
        return
    one = result.overall("simple")
    share = float(one.percent()["counterfactual"].iloc[0])
    try:
        found = evalue.difference_e_values(one.estimate, one.ci_low, one.ci_high, share)
    except InputError:
        text = message("finding.no_e_value", percent=100 * share)
        yield _silent("e_value", text, _VANDERWEELE)
        return
    firm = found.limit >= MIN_E_VALUE
    text = message(
        "finding.e_value_firm" if firm else "finding.e_value_weak",
        estimate=found.estimate,
        limit=found.limit,
        threshold=MIN_E_VALUE,
    )
    yield Finding("e_value", judged(firm), text, None, found.limit, MIN_E_VALUE, _VANDERWEELE)


def _asked(result: EstimationResult) -> bool:
    """Return whether the result rests on firms with the same covariates being alike."""
    return bool(result.provenance.requires.names() & set(_ABOUT))


def _nothing_to_overturn(design: Any, result: EstimationResult) -> Message | None:
    """Return why there is no effect of a matched design that could be overturned."""
    if design.matching is None:
        return message("finding.not_matched")
    if not (result.cells.index.event_time >= 0).any():
        return message("finding.no_effect_since")
    p_value = result.overall("simple").p_value
    if not np.isfinite(p_value):
        return message("finding.no_error_to_overturn")
    return None if p_value < _LEVEL else message("finding.nothing_to_overturn", p=p_value)


def _sample(design: Any, result: EstimationResult) -> Averages | Message:
    reason = _nothing_to_overturn(design, result)
    if reason is not None:
        return reason
    sample = averages_of(design, result)
    return sample if sample.groups else message("finding.no_yardstick")


def _silent(id: str, reason: Message, source: str) -> Finding:
    return Finding(id, "NOT_APPLICABLE", reason, threshold_source=source)
