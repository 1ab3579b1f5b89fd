"""Monte Carlo where everything required holds: bias, errors, coverage, size and power.

Bands are those of `exportimpact.conformance.bands`, fixed by the number of draws. Where the truth
is known only among the firms drawn (no closed form), or where the estimator's errors are too wide
by theory, coverage and errors are held to the band from below and size from above.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from exportimpact.conformance import bands
from exportimpact.conformance.check import Check, Ruling, failed, passed, skipped
from exportimpact.conformance.replications import Cell, Order
from exportimpact.conformance.subject import Subject
from exportimpact.synthetic import scenario, scenarios

STAPLES = ("selection_on_trends", "staggered_dynamic", "random_rollout")
"""Tried first in the quick tier: covariates matter, effects differ, nothing matters."""

NULL, SEVEN = "null", "meta_mid"
MAX_REFUSED = 0.02
"""Share of draws in which an estimator may find the panel too thin."""


def checks(name: str) -> list[Check]:
    """Return the checks of one scenario."""
    demands: list[tuple[str, Callable[[Subject, str, pd.DataFrame], Ruling], str]] = [
        ("bias", _bias, "|bias| at most 0.10 SD plus three Monte Carlo errors"),
        ("std_error", _std_error, "root mean squared SE over SD within 3.29/sqrt(2 draws) of 1"),
        ("coverage", _coverage, "95 % interval covers in the exact binomial 99.9 % band"),
        ("power", _power, "a 7 % effect is found as often as the estimate's SD allows"),
    ]
    made = [
        Check(f"statistics.{what}[{name}]", "statistics", text, partial(_examine, name, judge))
        for what, judge, text in demands
    ]
    text = "without an effect 5 % of tests reject, in the exact binomial 99.9 % band"
    return [
        *made,
        Check(f"statistics.size[{name}]", "statistics", text, partial(_examine_null, name)),
    ]


def chosen(subject: Subject) -> tuple[str, ...]:
    """Return the scenarios whose statistics the tier has time for, staples first."""
    tier = subject.tier
    right = [n for n in scenarios() if subject.standing(n).kind == "right"]
    if tier.most_firms is not None:
        right = [n for n in right if scenario(n).size <= tier.most_firms]
    first = [n for n in STAPLES if n in right]
    ranked = first + [n for n in right if n not in first]
    return tuple(ranked if tier.scenarios is None else ranked[: tier.scenarios])


def orders(subject: Subject) -> list[Order]:
    """Return what the statistics of the tier need."""
    tier, names = subject.tier, chosen(subject)
    wanted = [_order(subject, name, None) for name in names]
    without = [n for n in names if NULL in scenario(n).presets][: tier.null_scenarios]
    return wanted + [_order(subject, name, NULL) for name in without]


def _order(subject: Subject, name: str, preset: str | None) -> Order:
    cell = Cell(name, preset, scenario(name).size)
    return Order(cell, subject.tier.draws, 0 if preset else subject.tier.honest_draws)


def _examine(
    name: str, judge: Callable[[Subject, str, pd.DataFrame], Ruling], subject: Subject
) -> Ruling:
    why = _why_not(subject, name)
    if why:
        return skipped(why)
    return _judged(subject, name, None, judge)


def _examine_null(name: str, subject: Subject) -> Ruling:
    why = _why_not(subject, name)
    if why:
        return skipped(why)
    if NULL not in scenario(name).presets:
        return skipped("the scenario has no preset without an effect")
    if _order(subject, name, NULL) not in orders(subject):
        return skipped(f"{subject.tier.name} tier: left to a higher tier")
    return _judged(subject, name, NULL, _size)


def _judged(
    subject: Subject,
    name: str,
    preset: str | None,
    judge: Callable[[Subject, str, pd.DataFrame], Ruling],
) -> Ruling:
    rows = subject.bank.rows(subject.runner, _order(subject, name, preset))
    refused = rows["code"].fillna("") != ""
    if refused.mean() > MAX_REFUSED:
        code = rows.loc[refused, "code"].mode().iloc[0]
        if refused.all() and not code.startswith("crash"):
            return skipped(f"refused with {code}")
        return failed(f"{100 * refused.mean():.0f} % of draws gave no estimate, mostly {code}")
    rows = rows[~refused]
    if rows["truth"].isna().any():
        return skipped("the truth of this estimand is not known in the scenario")
    return judge(subject, name, rows)


def _why_not(subject: Subject, name: str) -> str:
    found = subject.standing(name)
    if found.kind == "broken":
        return f"{', '.join(found.broken)} fails here: see honesty"
    if found.kind == "unclear":
        return found.reason
    if name not in chosen(subject):
        return f"{subject.tier.name} tier: left to a higher tier"
    return ""


def numbers(rows: pd.DataFrame) -> dict[str, float]:
    """Return what a set of rows shows: bias, sd, errors, coverage, rejection.

    Parameters
    ----------
    rows : DataFrame
        Rows with an estimate and a truth.
    """
    value = {c: rows[c].to_numpy(dtype=float) for c in ("estimate", "std_error", "truth")}
    deviation = value["estimate"] - value["truth"]
    low, high = rows["ci_low"].to_numpy(dtype=float), rows["ci_high"].to_numpy(dtype=float)
    covered = (low <= value["truth"]) & (value["truth"] <= high)
    p_value = rows["p_value"].to_numpy(dtype=float)
    sd = float(np.std(deviation, ddof=1))
    return {
        "draws": float(len(rows)),
        "bias": float(deviation.mean()),
        "sd": sd,
        "bias_in_sd": float(deviation.mean() / sd) if sd > 0 else float("nan"),
        "ratio": bands.std_error_ratio(value["std_error"], deviation),
        "coverage": float(covered.mean()),
        "rejected": float((p_value < bands.SIZE).mean()),
        "truth": float(value["truth"].mean()),
        "rmse": float(np.sqrt(np.mean(deviation**2))),
    }


def one_sided(estimator: Any, rows: pd.DataFrame) -> bool:
    """Return whether errors may be too wide: by theory, or because the truth is the sample's."""
    return bool(estimator.spec.conservative or (rows["population"] == "sample").any())


def _bias(subject: Subject, name: str, rows: pd.DataFrame) -> Ruling:
    found = numbers(rows)
    limit = bands.bias(found["sd"], len(rows))
    text = f"bias {found['bias']:.4g} beyond {limit:.3g} ({found['bias_in_sd']:.2f} SD)"
    return _ruled(abs(found["bias"]) > limit, text, found | {"limit": limit})


def _std_error(subject: Subject, name: str, rows: pd.DataFrame) -> Ruling:
    found, width = numbers(rows), bands.ratio(len(rows))
    low = found["ratio"] < 1 - width
    high = found["ratio"] > 1 + width and not one_sided(subject.estimator, rows)
    text = f"SE/SD {found['ratio']:.3f} outside 1 -/+ {width:.3f}"
    return _ruled(low or high, text, found | {"width": width})


def _coverage(subject: Subject, name: str, rows: pd.DataFrame) -> Ruling:
    found, (low, high) = numbers(rows), bands.binomial(bands.LEVEL, len(rows))
    above = found["coverage"] > high and not one_sided(subject.estimator, rows)
    text = f"coverage {found['coverage']:.3f} outside {low:.3f} to {high:.3f}"
    return _ruled(found["coverage"] < low or above, text, found | {"low": low, "high": high})


def _power(subject: Subject, name: str, rows: pd.DataFrame) -> Ruling:
    if scenario(name).presets[0] != SEVEN:
        return skipped(f"the effect of the scenario is not the 7 % of {SEVEN}")
    found = numbers(rows)
    # A t reference with few degrees of freedom costs power, whatever the method: the middle one is
    # that of most draws. What is left of errors that are estimated costs up to 0.05.
    width = (rows["ci_high"] - rows["ci_low"]).astype(float)
    critical = float((width / (2 * rows["std_error"].astype(float))).median())
    expected = bands.power(found["truth"], found["sd"], critical) - 0.05
    low = bands.least(max(expected, 0.0), len(rows))
    text = f"power {found['rejected']:.3f} below {low:.3f}"
    wide = one_sided(subject.estimator, rows)
    return _ruled(found["rejected"] < low and not wide, text, found | {"low": low})


def _size(subject: Subject, name: str, rows: pd.DataFrame) -> Ruling:
    if (rows["truth"].abs() > 1e-12).any():
        return skipped("the preset without an effect leaves one on this outcome")
    found, (low, high) = numbers(rows), bands.binomial(bands.SIZE, len(rows))
    below = found["rejected"] < low and not one_sided(subject.estimator, rows)
    text = f"{found['rejected']:.3f} of tests reject, outside {low:.3f} to {high:.3f}"
    return _ruled(below or found["rejected"] > high, text, found | {"low": low, "high": high})


def _ruled(wrong: bool, text: str, found: dict[str, float]) -> Ruling:
    return failed(text, found) if wrong else passed("", found)
