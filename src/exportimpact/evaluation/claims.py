"""What may be said of an estimate: the words follow the rung and the findings, never hope.

Step IV describes. Steps V and VI allow a causal sentence under its condition, unless a finding
contradicts what the estimate rests on; a check that was not run never counts in favour. The rungs
are the OECD's (2007 and 2023 frameworks); that a contradiction withholds the claim is a package
convention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from exportimpact.core.assumption import GROWTH
from exportimpact.core.finding import Finding
from exportimpact.core.step import Step
from exportimpact.evaluation.assumptions import short_name
from exportimpact.evaluation.ladder import Rung
from exportimpact.evaluation.quantities import MISSING, EffectText, best_text
from exportimpact.language import Message, message

_CONDITIONS = {
    Step.V_A: "claim.if_matched",
    Step.V_B: "claim.if_parallel",
    Step.VI: "claim.if_selection",
}


@dataclass(frozen=True)
class Claim:
    """One sentence that may be used, what it rests on, and whether it is causal.

    Attributes
    ----------
    status : {"describes", "conditional", "withheld"}
    """

    outcome: str
    step: Step
    status: str
    sentence: Message
    caveats: tuple[Message, ...]

    def record(self) -> dict[str, object]:
        """Return the claim as a row."""
        return {
            "outcome": self.outcome,
            "step": str(self.step),
            "status": self.status,
            "causal": self.status == "conditional",
            "claim": str(self.sentence),
            "caveats": " ".join(map(str, self.caveats)),
        }


def claim(rung: Rung, assumptions: pd.DataFrame, findings: Sequence[Finding]) -> Claim:
    """Return what may be claimed of the average effect of a rung.

    Parameters
    ----------
    rung : Rung
    assumptions : DataFrame
        What `Evaluation.assumptions` returns for the outcome.
    findings : sequence of Finding
        Of the outcome; one that contradicts withholds the claim, whatever it speaks to.
    """
    step, estimand = rung.result.step, rung.result.estimand
    shown = best_text(rung.row, estimand.scale, estimand.unit)
    values = {"outcome": rung.outcome, "effect": shown.text, "interval": shown.interval}
    if rung.missed is not None:
        sentence = message("claim.not_alike", **values)
        return Claim(rung.outcome, step, "describes", sentence, (rung.missed,))
    if not step.is_causal:
        return Claim(rung.outcome, step, "describes", message("claim.typical", **values), ())
    caveats = _caveats(assumptions)
    against = (f.assumption or f.id for f in findings if f.verdict == "CONTRADICTS")
    contradicted = ", ".join(dict.fromkeys(short_name(name) for name in against))
    if contradicted:
        caveat = message("claim.withheld", assumptions=contradicted)
        sentence = message("claim.difference", **values)
        return Claim(rung.outcome, step, "withheld", sentence, (caveat, *caveats))
    condition = message(_condition(rung, set(assumptions["assumption"])), outcome=rung.outcome)
    sentence = _causal(rung, shown, condition)
    if rung.result.provenance.exploratory:
        caveats = (*caveats, message("claim.exploratory"))
    return Claim(rung.outcome, step, "conditional", sentence, caveats)


def _condition(rung: Rung, assumed: set[str]) -> str:
    step = rung.result.step
    if rung.lags:
        return "claim.if_same_past"
    if step is not Step.V_B:
        return _CONDITIONS[step]
    words = "claim.if_parallel_growth" if assumed & GROWTH else _CONDITIONS[step]
    given = bool(assumed & {"parallel_trends_given_x", "parallel_growth_given_x"})
    return f"{words}_given_x" if given else words


def _causal(rung: Rung, shown: EffectText, condition: Message) -> Message:
    low, high = float(rung.row["ci_low"]), float(rung.row["ci_high"])
    firms = rung.result.estimand.whose
    values = {"outcome": rung.outcome, "condition": condition, "firms": firms}
    if MISSING in (shown.low, shown.high):
        return message("claim.no_error", effect=shown.text, **values)
    if low <= 0 <= high:
        return message("claim.open", effect=shown.text, interval=shown.interval, **values)
    ends = (shown.low, shown.high) if low > 0 else (shown.high, shown.low)
    plain = EffectText(_unsigned(shown.effect), _unsigned(ends[0]), _unsigned(ends[1]), shown.unit)
    verb = "claim.raised" if low > 0 else "claim.lowered"
    return message(verb, effect=plain.text, interval=plain.interval, **values)


def _caveats(assumptions: pd.DataFrame) -> tuple[Message, ...]:
    concern = _named(assumptions, {"CONCERN"})
    unchecked = _named(assumptions, {"NOT_CHECKED", "NOT_RUN", "NOT_APPLICABLE"})
    found = []
    if concern:
        found.append(message("claim.concern", assumptions=concern))
    if unchecked:
        found.append(message("claim.on_trust", assumptions=unchecked))
    return tuple(found)


def _named(assumptions: pd.DataFrame, statuses: set[str]) -> str:
    names = assumptions.loc[assumptions["status"].isin(statuses), "assumption"]
    return ", ".join(short_name(str(name)) for name in names)


def _unsigned(text: str) -> str:
    return text.lstrip("+\N{MINUS SIGN}")
