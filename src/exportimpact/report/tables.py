"""Every table of a report, by name: what the page shows and what stands beside it as CSV."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from exportimpact.core.exhibit import Exhibit
from exportimpact.design.matching.exhibits import KINDS
from exportimpact.evaluation import Evaluation, Rung
from exportimpact.evaluation.known import known_rows
from exportimpact.evaluation.quantities import own_unit
from exportimpact.language import Message, message

_DRAWING_ONLY = ["factor", "periods", "step", "reference"]
_NOT_OPTIONS = frozenset({"asks", "panel", "outcome"})
_LONGEST_NAME = 60
_ON_MATCHES = frozenset(
    {"fact.capped", "fact.kept", "fact.overlap", "fact.horizon", "fact.lags", "fact.tied"}
)


@dataclass(frozen=True, eq=False)
class MatchedDesign:
    """A matched design, with the rungs that rest on it.

    Attributes
    ----------
    outcome : str
    name : str
        Prefix of the files of its exhibits.
    label : str
        How its firms were matched, in words.
    options : dict
    rungs : tuple of Rung
    exhibits : dict of kind to Exhibit
    """

    outcome: str
    name: str
    label: str
    options: dict[str, Any]
    rungs: tuple[Rung, ...]
    exhibits: dict[str, Exhibit]


def matched_designs(evaluation: Evaluation) -> list[MatchedDesign]:
    """Return every matched design once, in the order of the rungs."""
    by_seal: dict[tuple[str, str], list[Rung]] = {}
    for rung in evaluation.rungs:
        if rung.matched:
            by_seal.setdefault((rung.outcome, rung.result.provenance.seal), []).append(rung)
    parts = file_names(evaluation)
    found: list[MatchedDesign] = []
    for (outcome, _), rungs in by_seal.items():
        options = dict(rungs[0].result.provenance.settings["matching"])
        taken = [design.name for design in found]
        exhibits = {e.kind: e for e in rungs[0].result.exhibits if e.kind in KINDS}
        found.append(
            MatchedDesign(
                outcome,
                _unique(f"match_{parts[outcome]}_{slug(options['matcher'])}", taken),
                rungs[0].matcher,
                options,
                tuple(rungs),
                {kind: exhibits[kind] for kind in KINDS if kind in exhibits},
            )
        )
    return found


def report_tables(evaluation: Evaluation) -> dict[str, pd.DataFrame]:
    """Return the tables in the order of the page; names are those of the CSV files.

    Per-outcome tables carry the outcome in their name (`file_names`), tables of cells the method
    too. Empty tables are left out.
    """
    ladder = evaluation.ladder()
    ladder.insert(1, "unit", [_unit(rung) for rung in evaluation.rungs])
    found = {
        "headline": ladder[ladder["headline"]].drop(columns="headline").reset_index(drop=True),
        "claims": evaluation.claims(),
        "assumptions": evaluation.assumptions(),
        "findings": evaluation.checks(),
        "objectives": evaluation.objectives(),
        "ladder": ladder,
        "brackets": evaluation.brackets(),
        "power": evaluation.power(),
        "support": evaluation.support(),
        "linkage": evaluation.linkage(),
        "not_reported": _not_reported(evaluation),
        "not_identified": _not_identified(evaluation),
        "notes": _notes(evaluation),
        "methods": methods_table(evaluation),
    }
    found |= dict(_by_outcome(evaluation))
    for design in matched_designs(evaluation):
        found |= {
            f"{design.name}_{kind}": exhibit.table.reset_index(drop=True)
            for kind, exhibit in design.exhibits.items()
        }
    return {name: frame for name, frame in found.items() if len(frame)}


def file_names(evaluation: Evaluation) -> dict[str, str]:
    """Return a file name part for each outcome, unique whatever the file system's case rule."""
    names: dict[str, str] = {}
    for outcome in evaluation.outcomes:
        names[outcome] = _unique(slug(outcome), names.values())
    return names


def slug(text: str) -> str:
    """Return `text` as part of a file name: letters of any script, digits and underscores.

    Examples
    --------
    >>> slug("<script> ln exports")
    'script_ln_exports'
    """
    plain = re.sub(r"\W+", "_", unicodedata.normalize("NFC", text)).strip("_").lower()
    return plain[:_LONGEST_NAME] or "outcome"


def cells_name(evaluation: Evaluation, rung: Rung) -> str:
    """Return the name of the table of a rung's cells."""
    return f"cells_{file_names(evaluation)[rung.outcome]}_{slug(rung.key)}"


def methods_table(evaluation: Evaluation) -> pd.DataFrame:
    """Return how each result was made: method, options, reference, estimand, seal."""
    rows = []
    for rung in evaluation.rungs:
        provenance, estimand = rung.result.provenance, rung.overall.estimand
        settings = {k: v for k, v in provenance.settings.items() if k not in _NOT_OPTIONS}
        rows.append(
            {
                "outcome": rung.outcome,
                "step": str(provenance.step),
                "estimator": provenance.estimator,
                "method": rung.label,
                "variant": rung.variant,
                "reference": provenance.reference,
                "estimand": str(estimand.words),
                "requires": str(provenance.requires),
                "parameters": listed(provenance.parameters),
                "settings": listed(settings),
                "seal": provenance.seal,
                "exploratory": provenance.exploratory,
            }
        )
    return pd.DataFrame(rows)


def _by_outcome(evaluation: Evaluation) -> Iterator[tuple[str, pd.DataFrame]]:
    names = file_names(evaluation)
    for outcome in evaluation.outcomes:
        part, head = names[outcome], evaluation.headline(outcome)
        yield f"sample_account_{part}", head.result.sample.table()
        path = evaluation.event_study(outcome)
        yield f"event_study_{part}", path.drop(columns=_DRAWING_ONLY)
        for rung in evaluation.rungs:
            if rung.outcome == outcome:
                yield cells_name(evaluation, rung), _cells(evaluation, rung)
        for shown in shown_exhibits(evaluation, outcome):
            yield shown.name, shown.exhibit.table.reset_index(drop=True)


def _cells(evaluation: Evaluation, rung: Rung) -> pd.DataFrame:
    frame = rung.result.table(detail=True)
    if evaluation.known is not None:
        frame["known"] = list(known_rows(evaluation.known, rung.result))
    return frame


@dataclass(frozen=True, eq=False)
class Shown:
    """An exhibit with the outcome and the rung that it belongs to; no rung where it is all's.

    Attributes
    ----------
    outcome, name : str
        `name` is that of its table and figure.
    rung : Rung or None
    exhibit : Exhibit
    """

    outcome: str
    name: str
    rung: Rung | None
    exhibit: Exhibit


def shown_exhibits(evaluation: Evaluation, outcome: str) -> Iterator[Shown]:
    """Yield what belongs to the outcome, then what each rung's method shows.

    What its match shows is no part of it and has a section of its own.
    """
    part = file_names(evaluation)[outcome]
    for exhibit in evaluation.exhibits.get(outcome, ()):
        yield Shown(outcome, f"exhibit_{part}_{slug(exhibit.id)}", None, exhibit)
    for rung in evaluation.rungs:
        for exhibit in rung.result.exhibits if rung.outcome == outcome else ():
            if exhibit.kind not in KINDS:
                name = f"exhibit_{part}_{slug(rung.key)}_{slug(exhibit.id)}"
                yield Shown(outcome, name, rung, exhibit)


def _not_identified(evaluation: Evaluation) -> pd.DataFrame:
    rows = [
        (
            rung.outcome,
            rung.result.provenance.estimator,
            rung.variant,
            cohort,
            period,
            str(reason),
        )
        for rung in evaluation.rungs
        for cohort, period, reason in rung.result.not_identified
    ]
    columns = ["outcome", "estimator", "variant", "cohort", "period", "reason"]
    return pd.DataFrame(rows, columns=columns)


def _notes(evaluation: Evaluation) -> pd.DataFrame:
    """Return notes once, with the outcomes that they are about."""
    about: dict[str, list[str]] = {}
    for rung in evaluation.rungs:
        for note in rung.result.notes:
            outcomes = about.setdefault(_said(note, rung), [])
            if rung.outcome not in outcomes:
                outcomes.append(rung.outcome)
    everywhere = len(evaluation.outcomes)
    rows = [("all" if len(of) == everywhere else ", ".join(of), note) for note, of in about.items()]
    return pd.DataFrame(rows, columns=["outcomes", "note"])


def _said(note: Message, rung: Rung) -> str:
    """Return a note; one on a match names it, since other rungs have another match or none."""
    if rung.matched and note.id in _ON_MATCHES:
        return str(message("report.match_note", matcher=rung.matcher, note=note))
    return str(note)


def _not_reported(evaluation: Evaluation) -> pd.DataFrame:
    panel: Any = getattr(evaluation.sealed, "panel", None)
    if panel is None:
        return pd.DataFrame()
    frame: pd.DataFrame = panel.missing()
    return frame[frame["outcome"].isin(evaluation.outcomes)].reset_index(drop=True)


def _unit(rung: Rung) -> str:
    return own_unit(rung.result.estimand.scale, rung.result.estimand.unit)


def _unique(name: str, taken: Any) -> str:
    used = {str(t) for t in taken}
    number = 2
    made = name
    while made in used:
        made, number = f"{name}_{number}", number + 1
    return made


def listed(options: dict[str, Any]) -> str:
    """Return options as a line of text."""
    named = sorted(options.items())
    return "; ".join(f"{name.replace('_', ' ')}: {_plain(value)}" for name, value in named)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items() if v) or "none"
    if isinstance(value, (list, tuple)):
        return "+".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
