"""Paths: mean outcomes of both sides before support, before and after matching."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from exportimpact.language import message
from exportimpact.plots import _style as house
from exportimpact.plots.matched import exhibit_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from exportimpact.design import Design


def paths(design: Design, *, ax: Axes | None = None) -> Axes:
    """Draw mean outcomes of supported and comparison firms before support.

    Outcomes after support are not looked at: what is drawn is what the match was made from, or
    could have been.

    Parameters
    ----------
    design : Design
        Matched.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when not given.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        EI-R07 for a design that is not matched, or whose outcome is not known before support.
    """
    return draw_paths(exhibit_of(design, "paths"), ax=ax)


def draw_paths(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw a table with outcome, event_time and the mean of either side before and after."""
    from matplotlib.ticker import MaxNLocator

    axes = house.new_axes(ax, 3.7)
    house.quiet(axes, grid="y")
    at = table["event_time"].to_numpy(dtype=float)
    for side, color, marker in _SIDES:
        faint, solid = (table[f"mean_{side}_{when}"] for when in ("before", "after"))
        axes.plot(at, faint, color=color, lw=1.2, ls=(0, (3, 2)), marker=marker, ms=3.5, alpha=0.5)
        axes.plot(at, solid, color=color, lw=1.8, marker=marker, ms=4.6)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True, steps=[1, 2, 5, 10]))
    axes.margins(x=0.06, y=0.12)
    outcome = str(table["outcome"].iloc[0])
    house.headings(axes, str(message("plot.paths", outcome=outcome)), str(message("plot.mean")))
    axes.set_xlabel(str(message("plot.before_support")), **house.words(house.SMALL))
    house.key(axes, _key(), inches=0.5)
    return axes


_SIDES = (("supported", house.CAUSAL, "o"), ("comparison", house.COMPARISON, "s"))


def _key() -> list[Any]:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=color,
            marker=marker,
            markersize=4.6,
            linewidth=1.8,
            label=str(message(f"plot.{side}_firms")),
        )
        for side, color, marker in _SIDES
    ]
    look: dict[str, Any] = {"color": house.MUTED, "linewidth": 1.2, "linestyle": (0, (3, 2))}
    return [*handles, Line2D([], [], label=str(message("plot.before")), **look)]
