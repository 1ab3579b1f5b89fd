"""Intervals of an effect by how far trends may differ, beside that under parallel trends."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pandas as pd

from exportimpact.evaluation.quantities import own_factor, own_unit
from exportimpact.inference import Sensitivity
from exportimpact.language import message
from exportimpact.plots import _style as house

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TOLD_WIDTH = 66
_MOST_LABELS = 8


def sensitivity(found: Sensitivity, *, ax: Axes | None = None) -> Axes:
    """Draw the intervals of an effect by how far trends may differ.

    The interval under parallel trends stands first. Intervals that hold zero are open; an arrow
    marks an end that is the end of the grid.

    Parameters
    ----------
    found : Sensitivity
        From `exportimpact.sensitivity`.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when not given.

    Returns
    -------
    matplotlib Axes
    """
    return draw_sensitivity(found.exhibit.table, ax=ax)


def draw_sensitivity(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the table of `Sensitivity.exhibit`: one interval for each of its rows."""
    axes = house.new_axes(ax, 4.1)
    first, restriction = table.iloc[0], str(table["restriction"].iloc[-1])
    factor = own_factor(first["scale"])
    house.quiet(axes, grid="y")
    axes.axhline(0, color=house.MUTED, linewidth=0.9)
    n = len(table)
    places = [-0.12 * n, *range(1, n)]
    for place, (_, row) in zip(places, table.iterrows(), strict=True):
        _interval(axes, place, row, factor)
    axes.axvline((places[0] + 1) / 2, color=house.RULE, linewidth=0.9)
    labels = [str(message("plot.sensitivity_parallel"))]
    labels += [f"{value:.3g}" for value in table["value"].iloc[1:]]
    shown = [0, *range(1, n, -(-n // _MOST_LABELS))]
    axes.set_xticks([places[at] for at in shown], [labels[at] for at in shown])
    axes.set_xlim(places[0] - 0.07 * n, n - 0.9 + 0.07 * n)
    named = message(f"plot.sensitivity_{restriction}", unit=_unit(first))
    axes.set_xlabel(str(named), **house.words(house.SMALL))
    title = message("plot.effect_on", outcome=str(first["outcome"]))
    told = message("plot.sensitivity_told", unit=_unit(first), effect=str(first["effect"]))
    said = textwrap.wrap(f"{told}. {first['said']}", _TOLD_WIDTH)
    house.headings(axes, str(title), "\n".join(said))
    house.key(axes, _key(float(first["level"]), bool(table["at_grid_end"].any())), inches=0.62)
    return axes


def _unit(first: pd.Series) -> str:
    unit = first["unit"]
    return own_unit(first["scale"], None if pd.isna(unit) else str(unit))


def _interval(axes: Axes, at: float, row: pd.Series, factor: float) -> None:
    low, high = factor * float(row["ci_low"]), factor * float(row["ci_high"])
    color = house.DESCRIPTIVE if row["restriction"] == "parallel_trends" else house.CAUSAL
    axes.vlines(at, low, high, color=color, linewidth=3.2, alpha=0.5)
    face = color if row["excludes_zero"] else "white"
    axes.plot([at], [factor * float(row["estimate"])], "o", ms=6, mec=color, mfc=face)
    for open_end, end, marker in (("low_open", low, "v"), ("high_open", high, "^")):
        if row[open_end]:
            axes.plot([at], [end], marker, ms=6, mec=color, mfc=color)


def _key(level: float, any_open: bool) -> list[Any]:
    from matplotlib.lines import Line2D

    def mark(marker: str, face: str, id: str) -> Line2D:
        label = str(message(id, percent=f"{100 * level:g}"))
        look: dict[str, Any] = {"color": house.CAUSAL, "markerfacecolor": face, "linewidth": 3.2}
        return Line2D([], [], marker=marker, markersize=6, alpha=0.8, label=label, **look)

    handles = [
        mark("o", house.CAUSAL, "plot.sensitivity_excludes"),
        mark("o", "white", "plot.sensitivity_holds"),
    ]
    return [*handles, mark("^", house.CAUSAL, "plot.sensitivity_open")] if any_open else handles
