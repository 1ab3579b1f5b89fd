"""The page: what stands in it, section by section, and the template that lays it out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import pandas as pd

from exportimpact.evaluation import Evaluation
from exportimpact.language import message
from exportimpact.report import judgement, matched, sections, shown
from exportimpact.report.sections import Section

GENERATOR = "exportimpact report"
_DOI = re.compile(r"doi:(10\.\d{4,9}/[^\s;,]+[^\s;,.])")


@dataclass(frozen=True)
class Piece:
    """A piece of a sentence: plain, or the address that it links to."""

    text: str
    address: str = ""


def page(
    evaluation: Evaluation,
    tables: Mapping[str, pd.DataFrame],
    figures: Mapping[str, str],
    record: Mapping[str, Any],
) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    evaluation : Evaluation
    tables : mapping of name to DataFrame
        What `report_tables` returns; every number of the page stands in one of them.
    figures : mapping of name to SVG
    record : mapping
        The run record.
    """
    from markupsafe import Markup

    content = Section(evaluation, tables)
    inline = {name: Markup(_without_prolog(svg)) for name, svg in figures.items()}
    rendered: str = _template().render(
        generator=GENERATOR,
        style=Markup(_asset("style.css")),
        plan=evaluation.plan,
        title=evaluation.plan.title or evaluation.primary,
        exploratory=any(r.provenance.exploratory for r in evaluation.results),
        synthetic=evaluation.known is not None,
        sealed_hash=evaluation.sealed.hash,
        cards=judgement.cards(evaluation),
        trust=judgement.trust(evaluation),
        checks=judgement.checks(evaluation),
        outcomes=sections.outcomes(content, inline),
        matched=matched.parts(evaluation, inline),
        exhibits=shown.parts(evaluation, inline),
        objectives=sections.objectives(content),
        power=sections.power(content),
        power_notes=sections.power_notes(content),
        support=sections.support(content),
        not_identified=sections.not_identified(content),
        notes=sections.notes(content),
        methods=sections.methods(content),
        record=sections.record(record),
        pieces=linked,
    )
    return rendered


def linked(text: str) -> list[Piece]:
    """Return a reference in pieces, its DOIs linked."""
    pieces, at = [], 0
    for found in _DOI.finditer(text):
        pieces.append(Piece(text[at : found.start()]))
        pieces.append(Piece(found.group(), f"https://doi.org/{found.group(1)}"))
        at = found.end()
    pieces.append(Piece(text[at:]))
    return [piece for piece in pieces if piece.text]


@cache
def _template() -> Any:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["say"] = lambda id: str(message(id))
    return environment.get_template("page.html")


@cache
def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _without_prolog(svg: str) -> str:
    return svg[svg.index("<svg") :]
