"""A test of the violation of a scenario by someone who knows the truth.

A violation that not even this test finds is too small to ask any diagnostic for. Scenarios are
sized so that it rejects at 5 % in at least 95 of 100 draws with `scenario.size` firms and 8 years.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from scipy.special import fdtrc, ndtr

from exportimpact._typing import BoolArray, FloatArray, IntArray
from exportimpact.data import NEVER
from exportimpact.errors import InputError
from exportimpact.synthetic.bench import Bench

_MIN_SPREAD, _FEW = 0.1, 0.1


def violation_p_value(bench: Bench) -> float:
    """Return the p-value of the hypothesis that the scenario's violation is absent from a draw.

    Parameters
    ----------
    bench : Bench

    Returns
    -------
    float
        0 or 1 where the truth leaves nothing to chance (overlap, equal effects, dominant firms).

    Raises
    ------
    InputError
        EI-X10 for a scenario without a violation.
    """
    violation = bench.scenario.violation
    if violation is None:
        raise InputError(
            "EI-X10",
            f"Scenario {bench.scenario.name!r} breaks no assumption on purpose, so that there is "
            "nothing to test for. Scenarios with a violation name it in scenario.violation.",
            scenario=bench.scenario.name,
        )
    return _TESTS[violation](bench)


def _outcome(bench: Bench) -> str:
    return str(bench.scenario.design_options["outcome"])


def _gap(bench: Bench, *, given_past: bool = False) -> float:
    """Whether supported firms, less the true effect, changed as comparison firms did."""
    name = _outcome(bench)
    observed, aligned = bench.panel.wide(name), bench.support.align(bench.panel)
    law, periods = bench.truth.laws[name], bench.truth.periods
    total, psi, weight = 0.0, np.zeros(aligned.first.size), 0
    for cohort in (int(g) for g in np.unique(aligned.first) if g != NEVER):
        base = observed[:, periods == cohort - 1][:, 0]
        after = np.flatnonzero(periods >= cohort)
        if not bench.truth.complete:
            after = after[-1:]  # who is missing has had most time to matter
        effect = np.array([law.effects.get((cohort, int(t)), 0.0) for t in periods[after]])
        supported = aligned.first == cohort
        late = observed[:, after] - np.where(supported[:, None], effect, 0.0)
        change = late.mean(axis=1) - base
        others = aligned.first == NEVER
        if bench.scenario.design_options.get("comparison") == "rejected":
            others = np.isin(np.arange(others.size), (aligned.rejected or {})[cohort])
        if given_past:
            change = change - _slope(base, change, others) * base
        size = int(supported.sum())
        for side, sign in ((supported, 1.0), (others, -1.0)):
            here = side & np.isfinite(change)
            total += sign * size * change[here].mean()
            psi[here] += sign * size * (change[here] - change[here].mean()) / here.sum()
        weight += size
    return _two_sided(total / float(np.sqrt((psi**2).sum()))) if weight else 1.0


def _slope(x: FloatArray, y: FloatArray, rows: BoolArray) -> float:
    return float(np.polyfit(x[rows], y[rows], 1)[0])


def _levels(bench: Bench) -> float:
    """Whether supported firms have other levels than never supported ones, without support."""
    level = np.nanmean(bench.truth.outcomes[_outcome(bench)].without_support, axis=1)
    never = bench.truth.cohort == NEVER
    sides = (level[~never], level[never])
    error = np.sqrt(sum(side.var(ddof=1) / side.size for side in sides))
    return _two_sided(float((sides[0].mean() - sides[1].mean()) / error))


def _overlap(bench: Bench) -> float:
    """Whether some comparison firm is in the range of the supported ones."""
    employees = bench.panel.baseline("employees").values[:, 0]
    supported = bench.truth.cohort != NEVER
    return float(employees[~supported].min() <= employees[supported].max())


def _equal_effects(bench: Bench) -> float:
    """Whether true effects differ among firm-years by less than a tenth of their mean."""
    both, truth = bench.truth.outcomes[_outcome(bench)], bench.truth
    after = truth.periods >= truth.cohort[:, None]
    effect = (both.with_support - both.without_support)[after]
    return float(np.std(effect) < _MIN_SPREAD * abs(np.mean(effect)))


def _few_firms(bench: Bench) -> float:
    """Whether a total rests on at least a tenth of the firms."""
    value = bench.truth.outcomes[_outcome(bench)].with_support[:, -1]
    return float(value.sum() ** 2 / (value**2).sum() >= _FEW * value.size)


def _stationary(bench: Bench) -> float:
    """Pitman and Morgan's test that the first and the last year have equal variance."""
    y = bench.truth.outcomes[_outcome(bench)].without_support
    change, total = y[:, -1] - y[:, 0], y[:, -1] + y[:, 0]
    correlation = float(np.corrcoef(change, total)[0, 1])
    return _two_sided(correlation * np.sqrt(y.shape[0] - 2) / np.sqrt(1 - correlation**2))


def _regions_alike(bench: Bench) -> float:
    """F test that regions changed alike without support."""
    y = bench.truth.outcomes[_outcome(bench)].without_support
    change = y[:, -1] - y[:, 0]
    region: IntArray
    names, region = np.unique(bench.truth.segments["region"], return_inverse=True)
    count = np.bincount(region)
    mean = np.bincount(region, change) / count
    between = float((count * (mean - change.mean()) ** 2).sum()) / (names.size - 1)
    within = float(((change - mean[region]) ** 2).sum()) / (change.size - names.size)
    return float(fdtrc(names.size - 1, change.size - names.size, between / within))


def _two_sided(z: float) -> float:
    return float(2 * ndtr(-abs(z)))


_TESTS: Mapping[str, Callable[[Bench], float]] = MappingProxyType(
    {
        "parallel_trends": _gap,
        "parallel_trends_given_x": lambda bench: _gap(bench, given_past=True),
        "no_interference": _gap,
        "same_measurement": _gap,
        "no_anticipation": _gap,
        "missing_at_random": _gap,
        "unconfoundedness": _levels,
        "typical_firms_comparable": _levels,
        "overlap": _overlap,
        "homogeneous_effects": _equal_effects,
        "no_dominant_firm": _few_firms,
        "mean_stationarity": _stationary,
        "independent_clusters": _regions_alike,
    }
)
