"""Where an assumption fails, is it seen; where it holds, is there no false alarm.

A scenario that breaks one requirement must be refused, or a registered diagnostic about that
assumption must report CONCERN or CONTRADICTS, in at least 80 % of draws, unless the estimator
declares itself blind to it. Where the assumption holds the same diagnostics may do so in at most
10 % of draws. Both shares are held to an exact one-sided 99.9 % binomial band.
"""

from __future__ import annotations

from functools import partial

import pandas as pd

from exportimpact.conformance import bands
from exportimpact.conformance.check import (
    Check,
    Ruling,
    expected_fail,
    failed,
    passed,
    skipped,
)
from exportimpact.conformance.replications import Cell, Order
from exportimpact.conformance.standing import PARALLEL, Standing
from exportimpact.conformance.statistics import chosen
from exportimpact.conformance.subject import Subject
from exportimpact.core.diagnostic import registered
from exportimpact.synthetic import scenario, scenarios


def checks(name: str) -> list[Check]:
    """Return the checks of one scenario."""
    caught = (
        f"refused or flagged in {bands.FOUND:.0%} of draws where a requirement fails, unless the "
        "estimator declares itself blind to it"
    )
    quiet = f"no assumption that holds is flagged in more than {bands.FALSE_ALARM:.0%} of draws"
    return [
        Check(f"honesty.caught[{name}]", "honesty", caught, partial(_caught, name)),
        Check(f"honesty.false_alarm[{name}]", "honesty", quiet, partial(_quiet, name)),
    ]


def orders(subject: Subject) -> list[Order]:
    """Return what the honesty checks of the tier need beyond the statistics."""
    broken = [n for n in scenarios() if subject.standing(n).kind == "broken"]
    return [_order(subject, n) for n in broken if not _left(subject, n) and not _blind(subject, n)]


def has_diagnostic(assumptions: tuple[str, ...]) -> bool:
    """Return whether some registered diagnostic speaks to any of the assumptions."""
    from exportimpact import diagnostics  # noqa: F401 - the built-in ones register on import

    known = {spec.assumption for spec in registered()}
    return bool(known & _about(assumptions))


def flagged(rows: pd.DataFrame, assumptions: tuple[str, ...]) -> float:
    """Return the share of diagnosed rows in which any of the assumptions is called in question."""
    about = _about(assumptions)
    hits = [bool(about & set(text.split())) for text in rows["flags"].dropna()]
    return sum(hits) / len(hits) if hits else float("nan")


def refused(rows: pd.DataFrame) -> float:
    """Return the share of rows in which the estimator refused with a code."""
    codes = rows["code"].fillna("")
    return float(((codes != "") & ~codes.str.startswith("crash")).mean())


def _about(assumptions: tuple[str, ...]) -> frozenset[str]:
    """Return the assumptions, all of parallel trends where any is among them."""
    about = frozenset(assumptions)
    return about | PARALLEL if about & PARALLEL else about


def _order(subject: Subject, name: str) -> Order:
    draws = subject.tier.honest_draws
    return Order(Cell(name, None, scenario(name).size), draws, draws)


def _left(subject: Subject, name: str) -> bool:
    limit = subject.tier.most_firms
    return limit is not None and scenario(name).size > limit


def _blind(subject: Subject, name: str) -> str:
    """Return the declared reasons when the estimator is blind to all that fails, else nothing."""
    blind = subject.estimator.spec.blind_to
    broken = subject.standing(name).broken
    return "; ".join(blind[a] for a in broken) if all(a in blind for a in broken) else ""


def _caught(name: str, subject: Subject) -> Ruling:
    found: Standing = subject.standing(name)
    if found.kind == "right":
        return skipped("everything that is required holds here: see statistics")
    if found.kind == "unclear":
        return skipped(found.reason)
    if _left(subject, name):
        return skipped(f"{subject.tier.name} tier: left to a higher tier")
    blind = _blind(subject, name)
    if blind:
        return passed(f"declared blind to {', '.join(found.broken)}: {blind}")
    rows = subject.bank.rows(subject.runner, _order(subject, name))
    shares = {"refused": refused(rows), "flagged": flagged(rows, found.broken)}
    crashed = rows["code"].fillna("").str.startswith("crash")
    if crashed.any():
        return failed(str(rows.loc[crashed, "code"].iloc[0]), shares)
    seen = shares["refused"] + (1 - shares["refused"]) * (shares["flagged"] or 0.0)
    needed = bands.least(bands.FOUND, len(rows))
    if seen >= needed:
        return passed("", shares)
    if not has_diagnostic(found.broken):
        return expected_fail(f"no diagnostic registered for {', '.join(found.broken)}", shares)
    text = f"{', '.join(found.broken)} fails, but was seen in {seen:.0%} of {len(rows)} draws only"
    return failed(text, shares)


def _quiet(name: str, subject: Subject) -> Ruling:
    found = subject.standing(name)
    if found.kind != "right":
        return skipped("not everything that is required holds here")
    if name not in chosen(subject):
        return skipped(f"{subject.tier.name} tier: left to a higher tier")
    order = Order(
        Cell(name, None, scenario(name).size), subject.tier.honest_draws, subject.tier.honest_draws
    )
    rows = subject.bank.rows(subject.runner, order)
    rows = rows[rows["code"].fillna("") == ""]
    if rows.empty:
        return skipped("every draw was refused")
    holds = sorted(found.required & scenario(name).holds)
    shares = {a: flagged_exactly(rows, a) for a in holds}
    limit = bands.most(bands.FALSE_ALARM, len(rows))
    loud = [f"{a} in {share:.0%}" for a, share in shares.items() if share > limit]
    if loud:
        return failed(f"holds but is flagged: {', '.join(loud)} of {len(rows)} draws", shares)
    return passed("", shares)


def flagged_exactly(rows: pd.DataFrame, assumption: str) -> float:
    """Return the share of diagnosed rows in which this very assumption is called in question."""
    hits = [assumption in text.split() for text in rows["flags"].dropna()]
    return sum(hits) / len(hits) if hits else 0.0
