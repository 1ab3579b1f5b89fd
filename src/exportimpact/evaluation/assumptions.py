"""What the headline's estimate rests on, assumption by assumption, and what was checked of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from exportimpact.core.assumption import Requirement
from exportimpact.core.finding import Finding
from exportimpact.language import known_ids, message

NOT_CHECKED = "NOT_CHECKED"

# Worst first: a single contradiction outweighs any number of checks in favour.
_ORDER = ("CONTRADICTS", "CONCERN", "SUPPORTS", "NOT_APPLICABLE", "NOT_RUN")


def short_name(assumption: str) -> str:
    """Return what a reader calls the assumption (or the diagnostic) in a list."""
    id = f"assumption.{assumption}"
    return str(message(id)) if id in known_ids() else assumption.replace("_", " ")


def required(requirement: Requirement) -> Iterator[tuple[str, str]]:
    """Yield each assumption with its alternatives in words, empty where it has none."""
    for part in requirement.parts:
        if isinstance(part, str):
            others = [p for p in requirement.parts if p != part]
            yield part, _alternatives(others) if requirement.kind == "any" else ""
        elif part.kind == requirement.kind or len(part.parts) == 1:
            yield from required(part)
        else:
            others = [p for p in requirement.parts if p is not part]
            for name, alternatives in required(part):
                mixed = _alternatives(others) if requirement.kind == "any" else ""
                yield name, "; ".join(filter(None, (alternatives, mixed)))


def table(outcome: str, requirement: Requirement, findings: Sequence[Finding]) -> pd.DataFrame:
    """Return one row per assumption: status, whether it was checked, and what was found."""
    rows = []
    for name, alternatives in required(requirement):
        own = [f for f in findings if f.assumption == name]
        status = verdict(own)
        rows.append(
            {
                "outcome": outcome,
                "assumption": name,
                "meaning": in_words(name),
                "alternatives": alternatives,
                "status": status,
                "checked": status in {"SUPPORTS", "CONCERN", "CONTRADICTS"},
                "findings": " ".join(str(f.message) for f in own),
            }
        )
    columns = ["outcome", "assumption", "meaning", "alternatives", "status", "checked", "findings"]
    return pd.DataFrame(rows, columns=columns)


def verdict(findings: Sequence[Finding]) -> str:
    """Return the worst verdict, or that nothing was checked."""
    given = {f.verdict for f in findings}
    return next((v for v in _ORDER if v in given), NOT_CHECKED)


def in_words(assumption: str) -> str:
    """Return the sentence of an assumption."""
    id = f"assumes.{assumption}"
    return str(message(id)) if id in known_ids() else assumption.replace("_", " ")


def _alternatives(others: Sequence[Any]) -> str:
    if not others:
        return ""
    return str(message("report.or_instead", others=", ".join(short_name(str(o)) for o in others)))
