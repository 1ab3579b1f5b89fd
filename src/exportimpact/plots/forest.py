"""A forest: the effect of every subgroup with its interval, and of all firms below."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pandas as pd

from exportimpact.evaluation import Subgroups
from exportimpact.language import message
from exportimpact.plots import _style as house

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABEL_WIDTH, _TITLE_WIDTH = 60, 70


def forest(subgroups: Subgroups, *, ax: Axes | None = None) -> Axes:
    """Draw the effect of every subgroup with its 95 % interval, all supported firms last.

    Parameters
    ----------
    subgroups : Subgroups
        From `exportimpact.subgroups`.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when not given.

    Returns
    -------
    matplotlib Axes
    """
    return draw_forest(subgroups.exhibit.table, ax=ax)


def draw_forest(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the table of `Subgroups.exhibit`: one row of the figure for each of its rows."""
    axes = house.new_axes(ax, 2.0 + 0.62 * len(table))
    first = table.iloc[0]
    factor, whole = float(first["factor"]), table["whole"].to_numpy(dtype=bool)
    house.quiet(axes, grid="x")
    axes.axvline(0, color=house.MUTED, linewidth=0.9)
    for estimate in table["estimate"][whole]:
        at = factor * float(estimate)
        axes.axvline(at, color=house.CAUSAL, linestyle=(0, (4, 3)), linewidth=0.9, zorder=0.5)
    for place, (_, row) in enumerate(table.iterrows()):
        at = -float(place) - (0.25 if row["whole"] else 0.0)
        color = house.CAUSAL if row["causal"] else house.DESCRIPTIVE
        house.interval_row(axes, at, row, factor, color, filled=not row["whole"])
        name = str(row["subgroup"]) if row["whole"] else f"{row['column']} {row['subgroup']}"
        told = message("plot.forest_firms", name=name, firms=f"{int(row['n_supported']):,}")
        label = textwrap.shorten(str(told), _LABEL_WIDTH, placeholder=" …")
        house.row_label(axes, at, label, str(row["shown"]), bold=bool(row["whole"]))
    axes.set_yticks([])
    axes.set_ylim(-len(table) + 0.3, 0.85)
    axes.margins(x=0.06)
    unit = str(message("plot.effect_in", unit=str(first["unit"])))
    axes.set_xlabel(unit, **house.words(house.SMALL))
    title = message("plot.forest", outcome=str(first["outcome"]), column=str(first["column"]))
    said = [str(message("plot.forest_line")), *textwrap.wrap(str(first["test"]), _TITLE_WIDTH)]
    house.headings(axes, str(title), "\n".join(said))
    return axes
