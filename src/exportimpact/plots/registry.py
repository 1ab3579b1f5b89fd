"""Which function draws which kind of exhibit: every one takes a tidy table and returns axes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from exportimpact.core.exhibit import Exhibit
from exportimpact.errors import InputError, did_you_mean
from exportimpact.plots import _style
from exportimpact.plots.bacon import draw_bacon
from exportimpact.plots.comparison import draw_comparison
from exportimpact.plots.event_study import draw_event_study
from exportimpact.plots.forest import draw_forest
from exportimpact.plots.ladder import draw_ladder
from exportimpact.plots.love import draw_love
from exportimpact.plots.margins import draw_margins
from exportimpact.plots.overlap import draw_overlap
from exportimpact.plots.paths import draw_paths
from exportimpact.plots.pretrend_power import draw_pretrend_power
from exportimpact.plots.sensitivity import draw_sensitivity

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Drawing(Protocol):
    """A function that draws one kind of table."""

    def __call__(self, table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
        """Draw `table` on `ax`, or on a new figure."""
        ...


DRAWINGS: Mapping[str, Drawing] = MappingProxyType(
    {
        "bacon": draw_bacon,
        "comparison": draw_comparison,
        "event_study": draw_event_study,
        "forest": draw_forest,
        "ladder": draw_ladder,
        "love": draw_love,
        "margins": draw_margins,
        "overlap": draw_overlap,
        "paths": draw_paths,
        "pretrend_power": draw_pretrend_power,
        "sensitivity": draw_sensitivity,
    }
)
"""Drawing function by kind of exhibit."""


def draw(exhibit: Exhibit, *, ax: Axes | None = None) -> Axes:
    """Draw an exhibit by its kind.

    Raises
    ------
    InputError
        EI-R06 for a kind that has no drawing; its table can still be read.
    """
    return _drawing(exhibit.kind)(exhibit.table, ax=ax)


def figure_svg(kind: str, table: pd.DataFrame, *, name: str, title: str, description: str) -> str:
    """Return the drawing of a table as an SVG document, the same bytes at every call.

    Parameters
    ----------
    kind : str
        Kind of exhibit.
    table : DataFrame
    name : str
        Letters, digits, ``-`` and ``_``: the prefix of every id inside the document.
    title, description : str
        What a reader who cannot see the figure is told.

    Raises
    ------
    InputError
        EI-R06 for a kind that has no drawing.
    """
    drawing = _drawing(kind)
    return _style.svg(lambda: drawing(table), name=name, title=title, description=description)


def _drawing(kind: str) -> Drawing:
    if kind not in DRAWINGS:
        raise InputError(
            "EI-R06",
            f"There is no drawing for exhibits of the kind {kind!r}; the report shows their table "
            f"alone. {did_you_mean(kind, DRAWINGS)}",
            kind=kind,
        )
    return DRAWINGS[kind]
