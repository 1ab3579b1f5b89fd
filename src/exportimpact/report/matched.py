"""The matched designs of an evaluation: who was kept, balance, overlap, each design once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from exportimpact.core.exhibit import Exhibit
from exportimpact.evaluation import Evaluation, Rung
from exportimpact.language import message
from exportimpact.plots import DRAWINGS, figure_svg
from exportimpact.report import grids
from exportimpact.report.grids import Column, Grid
from exportimpact.report.tables import MatchedDesign, listed, matched_designs

_SHARED = ("match_sizes", "love", "overlap")
_UNSAID = frozenset({"matcher", "thresholds", "seed", "folds"})


@dataclass(frozen=True)
class MatchedPart:
    """What the page shows of one matched design."""

    title: str
    options: str
    used_by: str
    missed: str
    like: str
    grids: tuple[Grid, ...]
    figures: tuple[Any, ...]
    sources: tuple[str, ...]


def figures(evaluation: Evaluation) -> dict[str, str]:
    """Return love plot, overlap and paths of each matched design as SVG, none of them twice."""
    found: dict[str, str] = {}
    designs = matched_designs(evaluation)
    for number, design in enumerate(designs, start=1):
        for kind, exhibit in _drawn(design, _twin(design, designs)):
            found[f"{design.name}_{kind}"] = figure_svg(
                kind,
                exhibit.table,
                name=f"match-{number}-{kind}",
                title=str(message(f"report.{kind}_title", design=_title(design))),
                description=str(message(f"report.{kind}_told")),
            )
    return found


def parts(evaluation: Evaluation, inline: Mapping[str, Any]) -> list[MatchedPart]:
    """Return what the page shows of each matched design."""
    designs = matched_designs(evaluation)
    return [_part(design, _twin(design, designs), inline) for design in designs]


def missed(rungs: Sequence[Rung]) -> list[str]:
    """Return which limits the matches of some rungs missed, each once."""
    found = (
        message("report.missed", design=rung.matcher, missed=rung.missed.values["missed"])
        for rung in rungs
        if rung.missed is not None
    )
    return list(dict.fromkeys(map(str, found)))


def _part(
    design: MatchedDesign, twin: MatchedDesign | None, inline: Mapping[str, Any]
) -> MatchedPart:
    note = design.rungs[0].missed
    return MatchedPart(
        title=_title(design),
        options=listed(_options(design)),
        used_by="; ".join(_used_by(rung) for rung in design.rungs),
        missed="" if note is None else str(note),
        like="" if twin is None else str(message("report.match_like", outcome=twin.outcome)),
        grids=() if twin is not None else tuple(_grids(design)),
        figures=tuple(inline[f"{design.name}_{kind}"] for kind, _ in _drawn(design, twin)),
        sources=tuple(
            f"tables/{design.name}_{kind}.csv"
            for kind in design.exhibits
            if twin is not None or kind in DRAWINGS
        ),
    )


def _options(design: MatchedDesign) -> dict[str, Any]:
    covariates = design.rungs[0].result.provenance.settings.get("covariates")
    given = {"covariates": covariates, **design.options}
    return {name: value for name, value in given.items() if name not in _UNSAID and value}


def _title(design: MatchedDesign) -> str:
    return str(message("report.match_title", outcome=design.outcome, matcher=design.label))


def _used_by(rung: Rung) -> str:
    words = message("plot.step", step=str(rung.result.step), method=rung.label)
    own = [part for part in rung.variant.split("; ") if part not in (rung.matcher, "")]
    return ", ".join([str(words), *own])


def _twin(design: MatchedDesign, designs: Sequence[MatchedDesign]) -> MatchedDesign | None:
    """Return an earlier design with the same firms and weights: that of another outcome."""
    for other in designs[: designs.index(design)]:
        if other.options == design.options and all(
            kind in other.exhibits and other.exhibits[kind].table.equals(exhibit.table)
            for kind, exhibit in design.exhibits.items()
            if kind in _SHARED
        ):
            return other
    return None


def _drawn(design: MatchedDesign, twin: MatchedDesign | None) -> Iterator[tuple[str, Exhibit]]:
    for kind, exhibit in design.exhibits.items():
        if kind in DRAWINGS and (twin is None or kind not in _SHARED):
            yield kind, exhibit


def _grids(design: MatchedDesign) -> Iterator[Grid]:
    for kind, exhibit in design.exhibits.items():
        columns = _columns(kind, exhibit.table)
        if columns:
            caption = str(message(f"report.{kind}_caption"))
            yield grids.grid(exhibit.table, caption, f"{design.name}_{kind}", columns)


def _columns(kind: str, table: pd.DataFrame) -> list[Column]:
    if kind == "match_sizes":
        whole = ("comparison_at_risk", "comparison_used")
        return [
            grids.labels("cohort"),
            *map(grids.counts, ("supported", "kept")),
            grids.share("share_kept"),
            *map(grids.counts, whole),
            grids.numbers("effective_comparison"),
            grids.share("largest_weight"),
            grids.counts("tied"),
        ]
    if kind == "match_left":
        return [grids.words("reason", wide=True), grids.counts("firms")]
    if kind == "match_left_means":
        means = [grids.numbers(name) for name in ("mean_kept", "mean_left_out")]
        return [grids.words("covariate"), *means, grids.places("smd", 2)]
    if kind == "balance":
        shown = ("mean_supported_after", "mean_comparison_before", "mean_comparison_after")
        gaps = ("smd_before", "smd_after", "variance_ratio_before", "variance_ratio_after")
        return [
            grids.words("covariate"),
            *(grids.numbers(name) for name in shown),
            *(grids.places(name, 2) for name in (*gaps, "ks_after")),
        ]
    return []
