"""Two assumptions, two estimates: parallel trends, and firms with the same past being alike.

Difference-in-differences takes the gap between supported and comparison firms as lasting; matching
on past outcomes takes it as closed once the past is the same. The two assumptions do not contain
one another, and data before support cannot tell which one holds. Where comparison firms' outcomes
drift back towards their mean, and the supported firms start below the others throughout the
distribution, difference-in-differences gives the larger effect; where they start above, the
smaller (Ding & Li 2019, doi:10.1017/pan.2019.25). If either assumption holds the effect is at one
of the two ends, apart from sampling error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from exportimpact.core.assumption import TRENDS
from exportimpact.evaluation.ladder import Rung
from exportimpact.evaluation.quantities import best_text
from exportimpact.language import message

COLUMNS = (
    "outcome",
    "assumption",
    "step",
    "estimator",
    "method",
    "variant",
    "estimate",
    "std_error",
    "ci_low",
    "ci_high",
    "p_value",
    "percent",
    "percent_low",
    "percent_high",
    "percent_unit",
    "n_supported",
    "n_comparison",
    "sentence",
)


def table(rungs: Sequence[Rung]) -> pd.DataFrame:
    """Return two rows, trends first, for every outcome that was estimated both ways."""
    outcomes = dict.fromkeys(rung.outcome for rung in rungs)
    rows = [row for name in outcomes for row in _bracket([r for r in rungs if r.outcome == name])]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _bracket(rungs: Sequence[Rung]) -> Iterator[dict[str, object]]:
    causal = [rung for rung in rungs if rung.result.step.is_causal]
    trends = [rung for rung in causal if not rung.lags and _assumes_trends(rung)]
    past = [rung for rung in causal if rung.lags]
    if not trends or not past:
        return
    # As for the headline: the highest rung, among equals the one that was given first.
    ends = [max(found, key=lambda rung: rung.result.step.rank) for found in (trends, past)]
    sentence = _sentence(*ends)
    for rung, assumption in zip(ends, ("parallel_trends", "unconfoundedness"), strict=True):
        record = rung.record(None)
        kept = {name: record[name] for name in COLUMNS if name in record}
        yield {**kept, "assumption": assumption, "sentence": sentence}


def _assumes_trends(rung: Rung) -> bool:
    return bool(TRENDS & set(rung.result.provenance.requires.names()))


def _sentence(trends: Rung, past: Rung) -> str:
    texts = []
    for rung in (trends, past):
        estimand = rung.result.estimand
        texts.append(best_text(rung.row, estimand.scale, estimand.unit).text)
    return str(message("report.bracket", outcome=trends.outcome, trends=texts[0], past=texts[1]))
