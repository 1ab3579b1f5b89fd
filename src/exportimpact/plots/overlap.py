"""Overlap: the propensity of supported firms above, of comparison firms mirrored below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from exportimpact.language import known_ids, message
from exportimpact.plots import _style as house
from exportimpact.plots.matched import exhibit_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from exportimpact.design import Design


def overlap(design: Design, *, ax: Axes | None = None) -> Axes:
    """Draw the distribution of the propensity on both sides, before and after matching.

    Parameters
    ----------
    design : Design
        Matched, on covariates.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when not given.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        EI-R07 for a design that is not matched, or whose match knows no propensity.
    """
    return draw_overlap(exhibit_of(design, "overlap"), ax=ax)


def draw_overlap(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw a table with low, high and the shares of either side before and after matching."""
    axes = house.new_axes(ax, 3.7)
    house.quiet(axes, grid="y")
    low, width = table["low"], table["high"] - table["low"]
    for side, sign, color in (
        ("supported", 1.0, house.CAUSAL),
        ("comparison", -1.0, house.COMPARISON),
    ):
        before, after = (sign * table[f"{side}_{when}"] for when in ("before", "after"))
        axes.bar(low, before, width, align="edge", color=color, alpha=0.22)
        edges = [*table["low"], float(table["high"].iloc[-1])]
        axes.stairs(after, edges, color=color, linewidth=1.7)
    axes.axhline(0, color=house.INK, linewidth=0.9)
    up, down = (_reach(table, side) for side in ("supported", "comparison"))
    # Room for the words on either side, however flat it is.
    axes.set_ylim(-max(down, 0.35 * up), max(up, 0.35 * down))
    axes.set_xlim(float(table["low"].iloc[0]), float(table["high"].iloc[-1]))
    _labels(axes, str(table["score"].iloc[0]))
    return axes


def _reach(table: pd.DataFrame, side: str) -> float:
    return 1.25 * float(max(table[f"{side}_before"].max(), table[f"{side}_after"].max()))


def _labels(axes: Axes, score: str) -> None:
    from matplotlib.ticker import FuncFormatter

    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * abs(y):.0f} %"))
    id = f"score.{score}"
    named = str(message(id)) if id in known_ids() else score
    axes.set_xlabel(named, **house.words(house.SMALL))
    house.headings(axes, str(message("plot.overlap")), str(message("plot.overlap_told")))
    for side, place, align in (("supported", 0.98, "top"), ("comparison", 0.02, "bottom")):
        axes.annotate(
            str(message(f"plot.{side}_firms")),
            (0.99, place),
            xycoords="axes fraction",
            va=align,
            ha="right",
            **house.words(house.SMALL),
        )
    house.key(axes, [_patch("plot.before"), _step("plot.after")], inches=0.5)


def _patch(id: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(color=house.MUTED, alpha=0.3, label=str(message(id)))


def _step(id: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=house.MUTED, linewidth=1.7, label=str(message(id)))
