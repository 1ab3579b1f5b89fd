"""The matches of a study file, and which estimator uses which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from exportimpact.core.estimator import Estimator
from exportimpact.design import Design, matching
from exportimpact.design.matching import Matcher, Thresholds
from exportimpact.errors import ExportImpactError, Problem, did_you_mean
from exportimpact.study.methods import built
from exportimpact.study.schema import EstimatorEntry, MarginsEntry, MatchingEntry, Study

MATCHERS: Mapping[str, type[Any]] = MappingProxyType(
    {
        "nearest": matching.Nearest,
        "optimal": matching.Optimal,
        "exact": matching.Exact,
        "coarsened": matching.Coarsened,
        "subclass": matching.Subclass,
        "entropy_balancing": matching.EntropyBalancing,
        "inverse_probability": matching.InverseProbability,
        "overlap": matching.Overlap,
    }
)
"""Matchers by the name that a study file gives them."""

_OBJECTS = ("classifier",)
_ONLY = "A study with one [[matching]] needs no more; with several every estimator that compares "
_ONLY += "matched firms says which."

Wrong = tuple[str, Problem]
"""The offending key with its problem."""


@dataclass(frozen=True)
class Match:
    """A matcher and the terms on which it is applied.

    Attributes
    ----------
    name : str
    matcher : Matcher
    horizon : int or None
    lags : int
    thresholds : Thresholds
    """

    name: str
    matcher: Matcher
    horizon: int | None
    lags: int
    thresholds: Thresholds

    def of(self, design: Design) -> Design:
        """Return the design, matched."""
        return design.match(
            self.matcher, horizon=self.horizon, lags=self.lags, thresholds=self.thresholds
        )


def make_match(entry: MatchingEntry, study: Study) -> Match | list[Wrong]:
    """Return the match of an entry of `[[matching]]`, or what is wrong: key and problem."""
    cls = MATCHERS[entry.matcher]
    made: Matcher | list[Wrong]
    made = built(entry.matcher, cls, entry.options, "matcher", without=_OBJECTS)
    if isinstance(made, list):
        return made
    given = entry.thresholds.model_dump(exclude_none=True)
    try:
        limits = Thresholds(**given)
    except ExportImpactError as error:
        return [("thresholds", Problem(error.code, error.message, error.details))]
    if wrong := list(_not_declared(entry, made, study.data.baseline)):
        return wrong
    return Match(entry.name, made, entry.horizon, entry.lags, limits)


def of_margins(entry: MarginsEntry, study: Study) -> str | None:
    """Return the name of the match whose margins are asked for; None where lots were drawn."""
    if entry.matching is None and not entry.randomised:
        return study.matching[0].name
    return entry.matching


def used_matches(study: Study, uses: Sequence[str | None]) -> frozenset[str]:
    """Return the names of the matches that estimators (`uses`) and margins need."""
    names = {*uses, *(of_margins(entry, study) for entry in study.margins)}
    return frozenset(name for name in names if name is not None)


def wrong_names(
    entries: Sequence[MatchingEntry], used: frozenset[str]
) -> Iterator[tuple[int, Problem]]:
    """Yield the place of each match whose name stands twice, or that nothing uses."""
    names = [entry.name for entry in entries]
    for place, name in enumerate(names):
        if name in names[:place]:
            text = f"two matches are called {name!r}, so that an estimator could not say which it "
            yield place, Problem("EI-S14", f"{text}uses. Give each [[matching]] a name of its own.")
        elif name not in used:
            yield (
                place,
                Problem(
                    "EI-S14",
                    f"nothing uses the match {name!r}, so that it would have no effect. Write "
                    f'matching = "{name}" in the [[estimators]] that compare matched firms, or '
                    "leave the match out.",
                ),
            )


def match_of(
    entry: EstimatorEntry, estimator: Estimator, entries: Sequence[MatchingEntry]
) -> str | Problem | None:
    """Return the name of the match that an estimator uses, None without one, or what is wrong."""
    names = [match.name for match in entries]
    if entry.matching is None:
        return _only(entry.id, names) if getattr(estimator, "needs_match", False) else None
    if entry.matching not in names:
        hint = did_you_mean(entry.matching, names) if names else "There is no [[matching]]."
        text = f"{entry.matching!r} is not declared in [[matching]], so that no firms are matched."
        return Problem("EI-S12", f"{text} {hint}")
    if "matched" not in estimator.spec.accepts:
        return Problem(
            "EI-S14",
            f"{entry.id!r} does not compare matched firms, so that the match would have no effect. "
            "Leave out matching here.",
        )
    return entry.matching


def _only(id: str, names: Sequence[str]) -> str | Problem:
    if len(set(names)) == 1:
        return names[0]
    if not names:
        return Problem(
            "EI-S14",
            f"{id!r} compares matched firms, and the file has no [[matching]], so that nobody is "
            'matched. Add one, such as [[matching]] with matcher = "nearest" and caliper = 0.2.',
        )
    return Problem(
        "EI-S14",
        f"{id!r} compares matched firms, and the file has {len(names)} matches, so that it is not "
        f"known which firms it should compare. Write matching = one of {', '.join(names)}. {_ONLY}",
    )


def _not_declared(entry: MatchingEntry, matcher: Matcher, known: Sequence[str]) -> Iterator[Wrong]:
    for column in matcher.needs:
        if column in known:
            continue
        hint = did_you_mean(column, known) if known else "[data] baseline is empty."
        text = f"{column!r} is not declared in [data] baseline, so that it has no column. {hint}"
        named = (key for key, value in entry.options.items() if _names(column, value))
        yield next(named, "matcher"), Problem("EI-S12", text)


def _names(column: str, value: Any) -> bool:
    return column == value if isinstance(value, str) else column in _held(value)


def _held(value: Any) -> Sequence[Any]:
    return list(value) if isinstance(value, (Mapping, tuple, list)) else []
