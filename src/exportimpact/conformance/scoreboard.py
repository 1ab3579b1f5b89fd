"""The scoreboard: every estimator in every scenario, and what came of it.

Outcomes of a cell, best first:

right
    No check of bias, errors, coverage or size is outside its band, at 2,000 draws.
right so far
    The same with fewer draws.
refused
    The estimator raised a coded error in at least 80 % of draws.
flagged
    A diagnostic registered for what fails fired in at least 80 % of draws.
declared blind
    The estimator says on its card that it cannot see this failure, and reports print it.
WRONG
    None of these: a user would be misled. Listed first.
unclear
    Something required holds only about, or the truth is not known.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from exportimpact.conformance import bands, honesty, statistics
from exportimpact.conformance.arranged import Arranged
from exportimpact.conformance.digests import digest, versions
from exportimpact.conformance.replications import Bank, Cell, Order, Say
from exportimpact.conformance.standing import Standing
from exportimpact.conformance.subject import Subject
from exportimpact.conformance.tier import Tier, tier_of
from exportimpact.core.provenance import parameters_of
from exportimpact.synthetic import scenario, scenarios

ENOUGH = 2000
OUTCOMES = (
    "WRONG",
    "right",
    "right so far",
    "refused",
    "flagged",
    "declared blind",
    "unclear",
)


@dataclass(frozen=True, kw_only=True)
class Score:
    """One estimator in one scenario.

    Attributes
    ----------
    estimator, scenario : str
    outcome : str
        One of `OUTCOMES`.
    reason : str
        What is outside its band, what failed, or why it is unclear.
    draws, null_draws : int
    bias_in_sd, ratio, coverage, power, size : float
        Bias over the standard deviation of the estimate, SE/SD, share of 95 % intervals that
        cover, share of tests that reject at the scenario's first preset (`effect` is its size),
        and without an effect. NaN where there is none.
    effect : float
        Mean truth.
    conditional_coverage : float
        Coverage among the draws that pass the pre-trend test at 5 %.
    refused, flagged : float
        Shares of draws.
    false_alarms : Mapping of str to float
        Share of diagnosed draws in which an assumption that holds is called into question.
    """

    estimator: str
    scenario: str
    outcome: str
    reason: str = ""
    draws: int = 0
    null_draws: int = 0
    bias_in_sd: float = float("nan")
    ratio: float = float("nan")
    coverage: float = float("nan")
    conditional_coverage: float = float("nan")
    power: float = float("nan")
    size: float = float("nan")
    effect: float = float("nan")
    refused: float = 0.0
    flagged: float = float("nan")
    false_alarms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Board:
    """All scores of a run, with what is needed to repeat it."""

    scores: tuple[Score, ...]
    date: str
    versions: dict[str, str]
    digest: str

    @property
    def wrong(self) -> tuple[Score, ...]:
        """The cells in which a user would be misled."""
        return tuple(s for s in self.scores if s.outcome == "WRONG")

    @property
    def false_alarm_rate(self) -> float:
        """Mean share of draws with a false alarm, over estimators, scenarios and assumptions."""
        shares = [v for s in self.scores for v in s.false_alarms.values()]
        return float(np.mean(shares)) if shares else float("nan")

    def frame(self) -> pd.DataFrame:
        """Return one row per cell."""
        return pd.DataFrame([asdict(s) for s in self.scores])

    def summary(self) -> str:
        """Return the number of cells by outcome, in one line."""
        counts = self.frame()["outcome"].value_counts()
        told = ", ".join(f"{counts[o]} {o}" for o in OUTCOMES if o in counts)
        return f"{len(self.scores)} cells: {told}"


def score(
    estimators: Sequence[Any],
    *,
    names: Sequence[str] | None = None,
    jobs: int = 1,
    cache: Path | None = None,
    seconds: float = 10.0,
    progress: Say | None = None,
) -> Board:
    """Return the scoreboard of estimators in scenarios.

    Parameters
    ----------
    estimators : sequence of Estimator
    names : sequence of str, optional
        Scenarios; all when not given.
    jobs : int
        Processes.
    cache : Path, optional
        Folder where replications are kept; only changed cells run again.
    seconds : float
        Core-seconds for a cell, whatever its draws. An estimator as it comes, with its defaults and
        without a match, that has to be right there is drawn 2,000 times all the same, since less
        cannot tell right from slightly wrong.
    progress : callable, optional
    """
    bank = Bank(jobs=jobs, folder=cache, say=progress)
    tier = tier_of("calibration")
    subjects = [Subject.of(e, tier, bank) for e in estimators]
    scores: list[Score] = []
    for name in scenarios() if names is None else names:
        fill(subjects, name, seconds)
        scores += [_score(s, name) for s in subjects]
    keys = [s.key for s in subjects]
    return Board(
        scores=tuple(scores),
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        versions=versions(),
        digest=digest(*keys, json.dumps([asdict(s) for s in scores], sort_keys=True)),
    )


def fill(subjects: Sequence[Subject], name: str, seconds: float) -> None:
    """Make the replications of one scenario: all for `seconds`, who has to be right until 2,000.

    Options and matchers are many: they get what fits into `seconds`, as does the size of tests.
    What lies outside a band with few draws is drawn until 2,000 before it is called WRONG.
    """
    tier, bank = subjects[0].tier, subjects[0].bank
    right = [s for s in subjects if s.standing(name).kind == "right"]
    own, null = _orders(name, tier)
    bank.fill([(s.runner, own) for s in subjects], seconds=seconds)
    bank.fill([(s.runner, own) for s in right if _as_it_comes(s)])
    if null is not None:
        bank.fill([(s.runner, null) for s in right], seconds=seconds)
    for subject in right:
        if _score(subject, name).outcome == "WRONG":
            bank.fill([(subject.runner, order) for order in (own, null) if order is not None])


def _as_it_comes(subject: Subject) -> bool:
    if subject.arranged is not None:
        return False
    try:
        return bool(subject.estimator == type(subject.estimator)())
    except TypeError:  # it cannot be made without arguments
        return True


def _orders(name: str, tier: Tier) -> tuple[Order, Order | None]:
    n_firms = scenario(name).size
    own = Order(Cell(name, None, n_firms), tier.draws, tier.honest_draws)
    has_null = statistics.NULL in scenario(name).presets
    null = Order(Cell(name, statistics.NULL, n_firms), tier.draws)
    return own, null if has_null else None


def _score(subject: Subject, name: str) -> Score:
    own, null = _orders(name, subject.tier)
    rows = subject.bank.kept(subject.runner, own.cell)
    found = subject.standing(name)
    refused = honesty.refused(rows)
    facts: dict[str, Any] = {
        "estimator": label(subject.runner),
        "scenario": name,
        "draws": len(rows),
        "refused": refused,
        "flagged": honesty.flagged(rows, found.broken) if found.broken else float("nan"),
    }
    answered = rows[rows["code"].fillna("") == ""]
    facts["false_alarms"] = _false_alarms(answered, found, name)
    known = answered[answered["truth"].notna()]
    if len(known) > 1:
        facts |= _statistics(known)
    if null is not None and found.kind == "right":
        without = subject.bank.kept(subject.runner, null.cell)
        without = without[(without["code"].fillna("") == "") & (without["truth"].abs() <= 1e-12)]
        if len(without):
            facts["size"] = float((without["p_value"] < bands.SIZE).mean())
            facts["null_draws"] = len(without)
    outcome, reason = _outcome(subject, name, known, facts)
    return Score(outcome=outcome, reason=reason, **facts)


def _statistics(known: pd.DataFrame) -> dict[str, float]:
    shown = statistics.numbers(known)
    passing = known[~(known["pretrend_p"].astype(float) < bands.SIZE)]
    conditional = statistics.numbers(passing)["coverage"] if len(passing) > 1 else float("nan")
    return {
        "bias_in_sd": shown["bias_in_sd"],
        "ratio": shown["ratio"],
        "coverage": shown["coverage"],
        "conditional_coverage": conditional,
        "power": shown["rejected"],
        "effect": shown["truth"],
    }


def _false_alarms(rows: pd.DataFrame, found: Standing, name: str) -> dict[str, float]:
    if found.kind != "right":  # where something fails, what a diagnostic sees may be just that
        return {}
    judged = {a for text in rows["asked"].dropna() for a in text.split()}
    holds = sorted(scenario(name).holds & judged)
    return {a: honesty.flagged_exactly(rows, a) for a in holds}


def _outcome(
    subject: Subject, name: str, known: pd.DataFrame, facts: dict[str, Any]
) -> tuple[str, str]:
    found = subject.standing(name)
    if facts["refused"] >= bands.FOUND:
        return "refused", "raises a coded error"
    if found.kind == "unclear":
        return "unclear", found.reason
    if len(known) < 2:
        return "unclear", "the truth is not known, or no draw was answered"
    outside = _outside(subject, known, facts)
    if not outside:
        return ("right" if facts["draws"] >= ENOUGH else "right so far"), ""
    if found.kind == "right":
        return "WRONG", "; ".join(outside)
    broken = ", ".join(found.broken)
    seen = facts["refused"] + (1 - facts["refused"]) * facts["flagged"]
    if seen >= bands.FOUND:
        return "flagged", broken
    blind = subject.estimator.spec.blind_to
    if all(a in blind for a in found.broken):
        return "declared blind", broken
    missing = "" if honesty.has_diagnostic(found.broken) else "; no diagnostic registered"
    return (
        "WRONG",
        f"{broken} fails, seen in {100 * seen:.0f} % of draws{missing}; {'; '.join(outside)}",
    )


def _outside(subject: Subject, known: pd.DataFrame, facts: dict[str, Any]) -> list[str]:
    """Return which numbers lie outside their bands."""
    wide, draws = statistics.one_sided(subject.estimator, known), len(known)
    shown = statistics.numbers(known)
    low, high = bands.binomial(bands.LEVEL, draws)
    width = bands.ratio(draws)
    told = []
    if abs(shown["bias"]) > bands.bias(shown["sd"], draws):
        told.append(f"bias {shown['bias_in_sd']:+.2f} SD")
    if shown["coverage"] < low or (shown["coverage"] > high and not wide):
        told.append(f"coverage {shown['coverage']:.3f}")
    if shown["ratio"] < 1 - width or (shown["ratio"] > 1 + width and not wide):
        told.append(f"SE/SD {shown['ratio']:.3f}")
    if facts.get("null_draws"):
        low, high = bands.binomial(bands.SIZE, facts["null_draws"])
        if facts["size"] > high or (facts["size"] < low and not wide):
            told.append(f"size {facts['size']:.3f}")
    return told


def label(estimator: Any) -> str:
    """Return an estimator's id with its options, and how its designs are matched.

    Options are words, and what is switched on or off unlike the default.
    """
    if isinstance(estimator, Arranged):
        return f"{label(estimator.estimator)} on {estimator.name}"
    given = parameters_of(estimator)
    words = [value for value in given.values() if isinstance(value, str)]
    usual = {f.name: f.default for f in fields(estimator)} if is_dataclass(estimator) else {}
    for name, value in given.items():
        if isinstance(value, bool) and value != usual.get(name):
            words.append(name if value else f"no {name}")
    name = str(estimator.spec.id)
    return f"{name} ({', '.join(words)})" if words else name


def _plain(score: Score) -> dict[str, Any]:
    """Return a score for JSON, which has no NaN."""
    values = asdict(score).items()
    return {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in values}


def write_scoreboard(board: Board, folder: Path) -> Path:
    """Write ``scoreboard.md``, ``scoreboard.svg`` and ``scoreboard.json``; return the folder."""
    from exportimpact.conformance.page import figure, page

    folder.mkdir(parents=True, exist_ok=True)
    stored = asdict(board) | {"scores": [_plain(s) for s in board.scores]}
    texts = {
        "scoreboard.md": page(board),
        "scoreboard.svg": figure(board),
        "scoreboard.json": json.dumps(stored, indent=1, default=str) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
