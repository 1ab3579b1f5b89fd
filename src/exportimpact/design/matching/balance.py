"""Are supported and comparison firms alike, before and after matching.

All cohorts are stacked: each supported firm stands at its own base period, and before matching the
comparison firms of a cohort together weigh what its supported firms weigh. Differences are
standardised by the standard deviation of all supported firms before matching, so that dropping
firms cannot make a difference look smaller; it is the root of p (1 - p) for a truth value.

References
----------
Stuart (2010), doi:10.1214/09-STS313; Austin (2009), doi:10.1002/sim.3697.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from exportimpact._typing import BoolArray, FloatArray
from exportimpact.design.matching.matched import CohortMatch
from exportimpact.design.matching.options import positive
from exportimpact.design.matching.riskset import RiskSet, risk_sets, time_name
from exportimpact.errors import InputError
from exportimpact.language import Message, message

if TYPE_CHECKING:
    from exportimpact.design.design import Design

DENOMINATOR = "standard deviation of all supported firms before matching"
COVARIATE, SCORE, PATH = "covariate", "score", "path"


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Limits that a matched design has to keep; conventions of this package, not laws.

    Parameters
    ----------
    smd : float
        Largest standardised mean difference of a covariate, in absolute value.
    variance_ratio : (float, float)
        Range of the variance ratio of a covariate that is not a truth value.
    kept : float
        Least share of supported firms that keep a match, among those observed at their base
        period.
    """

    smd: float = 0.10
    variance_ratio: tuple[float, float] = (0.5, 2.0)
    kept: float = 0.95

    def __post_init__(self) -> None:
        positive("smd", self.smd)
        low, high = (float(v) for v in self.variance_ratio)
        if not 0 <= low <= 1 <= high or not 0 <= self.kept <= 1:
            raise InputError(
                "EI-M02",
                f"variance_ratio={self.variance_ratio!r} has to enclose 1, and kept={self.kept!r} "
                "to lie between 0 and 1; otherwise no design could keep the limits.",
                option="thresholds",
            )
        object.__setattr__(self, "variance_ratio", (low, high))


@dataclass(frozen=True, eq=False)
class Stacked:
    """Values of all cohorts under one another.

    Attributes
    ----------
    value : (n,)
    d : (n,)
    before, after : (n,)
        Weights; `after` is None in a design that is not matched.
    """

    value: FloatArray
    d: FloatArray
    before: FloatArray
    after: FloatArray | None

    def known(self) -> Stacked:
        """Return the part where the value is known."""
        keep = np.isfinite(self.value)
        after = None if self.after is None else self.after[keep]
        return Stacked(self.value[keep], self.d[keep], self.before[keep], after)


def balance_table(
    design: Design,
    *,
    squares: bool = False,
    interactions: bool = False,
    cohort: int | None = None,
) -> pd.DataFrame:
    """Return one row per covariate, the score, and the outcome's path before support.

    Parameters
    ----------
    design : Design
    squares, interactions : bool
        Rows for squares of covariates that are no truth values, and for products of two.
    cohort : int, optional
        Ordinal; only this cohort.

    Returns
    -------
    DataFrame
        covariate, kind ("covariate", "score", "path"), and for before and after matching
        mean_supported, mean_comparison, smd, variance_ratio (missing for truth values), ks.
    """
    cells = [c for c in _cohorts(design) if cohort in (None, c[0].cohort)]
    if not cells:
        return pd.DataFrame(columns=["covariate", "kind", *_columns()])
    rows = [
        {"covariate": name, "kind": kind, **_compared(stacked)}
        for name, kind, stacked in _quantities(design, cells, squares, interactions)
        if stacked.known().value.size
    ]
    frame = pd.DataFrame(rows)
    frame.attrs["denominator"] = DENOMINATOR
    return frame


def failures(design: Design) -> tuple[Message, ...]:
    """Return which limits a matched design misses, in words; none for a design without matching."""
    if design.matching is None:
        return ()
    limits, table = design.thresholds, design.balance()
    own = table[table["kind"] == COVARIATE]
    found = []
    gap = own["smd_after"].abs()
    if len(own) and float(gap.max()) > limits.smd:
        worst = own.iloc[int(np.nanargmax(gap.to_numpy()))]
        found.append(
            message(
                "match.smd_missed",
                covariate=worst["covariate"],
                smd=float(worst["smd_after"]),
                limit=limits.smd,
                count=int((gap > limits.smd).sum()),
            )
        )
    low, high = limits.variance_ratio
    ratio = own["variance_ratio_after"]
    outside = own[(ratio < low) | (ratio > high)]
    if len(outside):
        found.append(
            message(
                "match.ratio_missed",
                covariate=outside["covariate"].iloc[0],
                ratio=float(outside["variance_ratio_after"].iloc[0]),
                low=low,
                high=high,
                count=len(outside),
            )
        )
    kept, supported = design.matching.kept, design.matching.at_risk
    if kept < limits.kept * supported:
        found.append(
            message("match.kept_missed", kept=kept, supported=supported, limit=100 * limits.kept)
        )
    return tuple(found)


def left_out(design: Design) -> pd.DataFrame:
    """Return how the supported firms that were left out differ from those that were kept.

    Returns
    -------
    DataFrame
        covariate, mean_kept, mean_left_out, smd; empty when nobody was left out.
    """
    rows = []
    cells = [c for c in _cohorts(design) if c[1] is not None]
    names = cells[0][0].names if cells else ()
    for place, name in enumerate(names):
        value = np.concatenate([r.split(r.X[:, place])[0] for r, _ in cells])
        kept = np.concatenate([r.split(m.weights)[0] > 0 for r, m in cells if m is not None])
        if kept.all():
            break
        spread = _spread(value, np.ones(value.size))
        inside, outside = float(value[kept].mean()), float(value[~kept].mean())
        rows.append((name, inside, outside, (outside - inside) / spread if spread else np.nan))
    return pd.DataFrame(rows, columns=["covariate", "mean_kept", "mean_left_out", "smd"])


def _cohorts(design: Design) -> list[tuple[RiskSet, CohortMatch | None]]:
    if design.matching is not None:
        return [(match.risk, match) for match in design.matching.cohorts.values()]
    sets = risk_sets(design, ())
    return [(r, None) for r in sets if r.n_supported and r.comparison.size]


def _quantities(
    design: Design,
    cells: list[tuple[RiskSet, CohortMatch | None]],
    squares: bool,
    interactions: bool,
) -> Iterator[tuple[str, str, Stacked]]:
    scores = [m.score for _, m in cells if m is not None and m.score is not None]
    if len(scores) == len(cells):
        yield scores[0].name, SCORE, _stacked(cells, [s.value for s in scores])
    names = cells[0][0].names
    for place, name in enumerate(names):
        yield name, COVARIATE, _stacked(cells, [r.X[:, place] for r, _ in cells])
    yield from _beside(design, cells)
    for place, name in enumerate(names):
        values = [r.X[:, place] for r, _ in cells]
        if squares and np.unique(np.concatenate(values)).size > 2:
            yield f"{name} squared", COVARIATE, _stacked(cells, [v**2 for v in values])
    for a, b in combinations(range(len(names)), 2) if interactions else ():
        product = [r.X[:, a] * r.X[:, b] for r, _ in cells]
        yield f"{names[a]} x {names[b]}", COVARIATE, _stacked(cells, product)
    yield from _path(design, cells)


def _beside(
    design: Design, cells: list[tuple[RiskSet, CohortMatch | None]]
) -> Iterator[tuple[str, str, Stacked]]:
    """Yield columns that were matched on beside the covariates, categories level by level."""
    needs = () if design.matcher is None else design.matcher.needs
    for name in needs:
        if name in design.covariate_names:
            continue
        values = [r.column(name) for r, _ in cells]
        categories = design.panel.baseline(name).categories
        if categories is None:
            yield name, COVARIATE, _stacked(cells, values)
            continue
        for code, level in enumerate(categories):
            flags = [(v == code).astype(float) for v in values]
            yield f"{name}={level}", COVARIATE, _stacked(cells, flags)


def _path(
    design: Design, cells: list[tuple[RiskSet, CohortMatch | None]]
) -> Iterator[tuple[str, str, Stacked]]:
    y = design.wide().outcome
    longest = max(r.base_index for r, _ in cells)
    for back in range(longest + 1):
        # A matched lag is a covariate already.
        if back < design.lags:
            continue
        values = [
            y[r.rows, r.base_index - back] if r.base_index >= back else np.full(r.rows.size, np.nan)
            for r, _ in cells
        ]
        yield time_name(design, back), PATH, _stacked(cells, values)


def _stacked(cells: list[tuple[RiskSet, CohortMatch | None]], values: list[FloatArray]) -> Stacked:
    d = np.concatenate([r.is_supported for r, _ in cells])
    before = np.concatenate([_pool_weights(r) for r, _ in cells])
    matched = [m.weights for _, m in cells if m is not None]
    after = np.concatenate(matched) if len(matched) == len(cells) else None
    return Stacked(np.concatenate(values), d, before, after)


def _pool_weights(risk: RiskSet) -> FloatArray:
    """Weights before matching: a cohort's pool weighs what its supported firms weigh."""
    own, others = risk.split(risk.weights)
    return np.concatenate([own, others * own.sum() / others.sum()])


def _columns() -> list[str]:
    shown = ("mean_supported", "mean_comparison", "smd", "variance_ratio", "ks")
    return [f"{name}_{when}" for when in ("before", "after") for name in shown]


def _compared(stacked: Stacked) -> dict[str, float]:
    known = stacked.known()
    own = known.d > 0
    binary = np.unique(known.value).size <= 2
    spread = _spread(known.value[own], known.before[own])
    out: dict[str, float] = {}
    for when, weights in (("before", known.before), ("after", known.after)):
        numbers = (np.nan,) * 5
        if weights is not None and weights[own].any() and weights[~own].any():
            numbers = _numbers(known.value, own, weights, spread, binary)
        out |= dict(zip([c for c in _columns() if c.endswith(when)], numbers, strict=True))
    return out


def _numbers(
    value: FloatArray, own: BoolArray, w: FloatArray, spread: float, binary: bool
) -> tuple[float, float, float, float, float]:
    mean1 = float(w[own] @ value[own] / w[own].sum())
    mean0 = float(w[~own] @ value[~own] / w[~own].sum())
    smd = (mean1 - mean0) / spread if spread > 0 else (0.0 if mean1 == mean0 else np.inf)
    ratio = np.nan
    if not binary:
        below = _variance(value[~own], w[~own])
        ratio = _variance(value[own], w[own]) / below if below > 0 else np.inf
    return mean1, mean0, smd, ratio, _kolmogorov_smirnov(value, own, w)


def _variance(x: FloatArray, w: FloatArray) -> float:
    """Return the weighted variance with the correction for reliability weights."""
    share = w / w.sum()
    free = 1.0 - float(share @ share)
    return float(share @ (x - share @ x) ** 2) / free if free > 0 else 0.0


def _spread(x: FloatArray, w: FloatArray) -> float:
    """Return the standard deviation; of a truth value the root of p (1 - p)."""
    levels = np.unique(x)
    if levels.size <= 2:
        share = float(w[x == levels[-1]].sum() / w.sum())
        return float(np.ptp(levels)) * float(np.sqrt(share * (1 - share)))
    return float(np.sqrt(_variance(x, w)))


def _kolmogorov_smirnov(value: FloatArray, own: BoolArray, w: FloatArray) -> float:
    """Return the largest distance between the weighted distributions of the two sides."""
    order = np.argsort(value, kind="stable")
    signed = np.where(own, w / w[own].sum(), -w / w[~own].sum())[order]
    distance = np.cumsum(signed)
    last = np.append(np.flatnonzero(np.diff(value[order]) != 0), value.size - 1)
    return float(np.abs(distance[last]).max())
