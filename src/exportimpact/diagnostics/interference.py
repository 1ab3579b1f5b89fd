"""Does support reach firms without it: rivals who lose, and other programmes that step in.

Rivals are firms of the same market, a pair of categories that the panel has (industry and region).
Between markets the share of supported firms differs by chance; whether firms without support did
worse where more of their rivals were supported is a regression among untouched observations alone,
with each category's own growth taken out. It is the contrast between degrees of exposure of
Vazquez-Bare (2023, doi:10.1016/j.jeconom.2021.10.014), for firms that are not supported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy.special import stdtr

from exportimpact._typing import BoolArray, FloatArray, IntArray
from exportimpact.core.diagnostic import diagnostic
from exportimpact.core.finding import Finding, judged
from exportimpact.core.result import EstimationResult
from exportimpact.diagnostics.matter import least_that_matters
from exportimpact.language import message
from exportimpact.numerics.regression import dependent_columns, least_squares

LEVEL = 0.05
FREE_MARKETS = 20
MOST_OTHERS = 0.05
_ABOUT = "no_interference"
_SOURCE = (
    "package convention: Bonferroni-adjusted p below 0.05, and an effect on comparison firms above "
    "a quarter of the standard error and a tenth of the effect"
)
_SHARE_SOURCE = "package convention: more than 5 % of comparison firms"


@dataclass(frozen=True)
class _Contrast:
    """What the exposure of comparison firms predicts for them, by one division into markets."""

    market: str
    size: float
    p_value: float


@diagnostic(id="spillover", assumption=_ABOUT, needs="result", threshold_source=_SOURCE)
def spillover(design: Any, result: EstimationResult) -> Finding:
    """Return whether comparison firms did differently where more of their rivals were supported.

    A quiet answer is about these markets only, so that it speaks to no assumption.
    """
    found = [c for pair in _pairs(design) if (c := _contrast(design, *pair)) is not None]
    if not found:
        text = message("finding.no_markets", needed=FREE_MARKETS)
        return Finding("spillover", "NOT_APPLICABLE", text, threshold_source=_SOURCE)
    worst = min(found, key=lambda c: c.p_value)
    p_value = min(1.0, worst.p_value * len(found))
    least = least_that_matters(result)
    bad = p_value < LEVEL and abs(worst.size) > least
    text = message(
        "finding.rivals_move" if bad else "finding.rivals_still",
        market=worst.market,
        size=worst.size,
        p=p_value,
    )
    about = _ABOUT if bad else None
    return Finding("spillover", judged(not bad), text, about, worst.size, least, _SOURCE)


@diagnostic(id="other_support", assumption=_ABOUT, needs="result", threshold_source=_SHARE_SOURCE)
def other_support(design: Any, result: EstimationResult) -> Finding:
    """Return whether comparison firms are supported by other programmes."""
    aligned = design.aligned
    compared = design.history().untreated.any(axis=1) & ~np.isin(aligned.first, design.cohorts)
    if aligned.others == "drop_comparison":
        compared &= ~aligned.other_supported
    count, total = int((compared & aligned.other_supported).sum()), int(compared.sum())
    share = count / total if total else 0.0
    bad = share > MOST_OTHERS
    text = message(
        "finding.others_support" if bad else "finding.others_absent",
        firms=count,
        total=total,
        percent=100 * share,
    )
    about = _ABOUT if bad else None
    return Finding("other_support", judged(not bad), text, about, share, MOST_OTHERS, _SHARE_SOURCE)


def _pairs(design: Any) -> Iterator[tuple[str, str]]:
    """Yield the pairs of categories that the panel has, without the level of assignment."""
    panel = design.panel
    names = [n for n in panel.baseline_names if panel.baseline(n).categories is not None]
    return combinations((n for n in names if n != design.assigned_at), 2)


def _contrast(design: Any, one: str, other: str) -> _Contrast | None:
    """Return the effect of the mean exposure on comparison firms; None with too few markets."""
    history = design.history()
    left, right = history.groups(one), history.groups(other)
    market = np.where((left >= 0) & (right >= 0), left * (right.max() + 1) + right, -1)
    share = _exposure(design, market)
    change, exposure, rows = _long_differences(design, market, share)
    if not rows.size or not np.ptp(exposure):
        return None
    kinds, markets, count = np.unique(market[rows], return_inverse=True, return_counts=True)
    change, exposure = (np.bincount(markets, v) / count for v in (change, exposure))
    first = rows[np.unique(markets, return_index=True)[1]]
    x = np.column_stack([exposure, _dummies(left[first], 0), _dummies(right[first], 1)])
    kept = ~dependent_columns(x)
    free = kinds.size - int(kept.sum())
    if not kept[0] or free < FREE_MARKETS:
        return None
    size, error = _slope(x[:, kept], change, count.astype(np.float64))
    p_value = 2 * float(stdtr(free, -abs(size) / error)) if error else 1.0
    later = history.untreated[rows] & (design.calendar.ordinals >= min(design.cohorts))
    return _Contrast(f"{one} x {other}", size * float(share[rows][later].mean()), p_value)


def _slope(x: FloatArray, y: FloatArray, w: FloatArray) -> tuple[float, float]:
    """Return the first coefficient and its HC3 error (MacKinnon & White 1985)."""
    fit = least_squares(x, y, w)
    leverage = w * np.einsum("ij,jk,ik->i", x, fit.bread, x)
    residual = (y - x @ fit.coefficients) / np.maximum(1 - leverage, 1e-8)
    score = x @ fit.bread[0] * w * residual
    return float(fit.coefficients[0]), float(np.sqrt(score @ score))


def _long_differences(
    design: Any, market: IntArray, share: FloatArray
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return change and exposure of firms untouched by support before and after its start.

    Both are means of the firm's later observations less means of its earlier ones, from which the
    period's mean over such firms has been taken.
    """
    history, ordinals = design.history(), design.calendar.ordinals
    seen = history.untreated & (market >= 0)[:, None]
    later = ordinals >= min(design.cohorts)
    rows = np.flatnonzero(seen[:, later].any(axis=1) & seen[:, ~later].any(axis=1))
    seen = seen[rows]
    y = _from_period_means(history.outcome[rows], seen)
    shares = _from_period_means(share[rows], seen)
    change, exposure = (_difference(values, seen, later) for values in (y, shares))
    return change, exposure, rows


def _exposure(design: Any, market: IntArray) -> FloatArray:
    """Return the share of supported firms among the others of the market, (n_firms, n_periods)."""
    first, ordinals = design.aligned.first, design.calendar.ordinals
    known = np.flatnonzero(market >= 0)
    supported = first[known, None] <= ordinals[None, :]
    count = np.zeros((int(market.max()) + 1, ordinals.size))
    np.add.at(count, market[known], supported)
    others = np.bincount(market[known], minlength=count.shape[0]) - 1
    share = np.zeros((market.size, ordinals.size))
    at = market[known]
    share[known] = (count[at] - supported) / np.maximum(others, 1)[at, None]
    return share


def _from_period_means(values: FloatArray, seen: BoolArray) -> FloatArray:
    filled = np.where(seen, values, 0.0)
    centred: FloatArray = filled - filled.sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    return np.where(seen, centred, 0.0)


def _difference(values: FloatArray, seen: BoolArray, later: BoolArray) -> FloatArray:
    after = values[:, later].sum(axis=1) / seen[:, later].sum(axis=1)
    before = values[:, ~later].sum(axis=1) / seen[:, ~later].sum(axis=1)
    return np.asarray(after - before, dtype=np.float64)


def _dummies(codes: IntArray, skip: int) -> FloatArray:
    kinds = np.unique(codes)[skip:]
    return np.asarray(codes[:, None] == kinds[None, :], dtype=np.float64)
