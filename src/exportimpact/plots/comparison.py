"""Several estimators of one effect: a row for each, with its interval, on one scale."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pandas as pd

from exportimpact.evaluation import Comparison
from exportimpact.language import message
from exportimpact.plots import _style as house

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABEL_WIDTH, _TITLE_WIDTH = 60, 70


def comparison(compared: Comparison, *, ax: Axes | None = None) -> Axes:
    """Draw every estimate of a comparison with its 95 % interval, in the order given.

    Parameters
    ----------
    compared : Comparison
        From `exportimpact.compare`.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when not given.

    Returns
    -------
    matplotlib Axes
    """
    return draw_comparison(compared.exhibit.table, ax=ax)


def draw_comparison(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the table of `Comparison.exhibit`: one row of the figure for each of its rows."""
    axes = house.new_axes(ax, 1.9 + 0.62 * len(table))
    first = table.iloc[0]
    factor = float(first["factor"])
    house.quiet(axes, grid="x")
    axes.axvline(0, color=house.MUTED, linewidth=0.9)
    for place, (_, row) in enumerate(table.iterrows()):
        color = house.CAUSAL if row["causal"] else house.DESCRIPTIVE
        house.interval_row(axes, -float(place), row, factor, color, filled=bool(row["causal"]))
        label = textwrap.shorten(str(row["estimator"]), _LABEL_WIDTH, placeholder=" …")
        house.row_label(axes, -float(place), label, str(row["shown"]))
    axes.set_yticks([])
    axes.set_ylim(-len(table) + 0.55, 0.85)
    axes.margins(x=0.06)
    unit = str(message("plot.effect_in", unit=str(first["unit"])))
    axes.set_xlabel(unit, **house.words(house.SMALL))
    said: list[Any] = textwrap.wrap(str(first["estimand"]), _TITLE_WIDTH)
    said += textwrap.wrap(str(first["test"]), _TITLE_WIDTH)
    house.headings(
        axes,
        str(message("plot.effect_on", outcome=str(first["outcome"]))),
        "\n".join(said),
    )
    return axes
