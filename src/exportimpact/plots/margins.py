"""Margins: the total effect, what adds up to it, and the bounds for those who export anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from exportimpact.language import message
from exportimpact.plots import _style as house

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from exportimpact.estimators.matched import Margins

_ROWS = ("total", "extensive_part", "intensive_part")
_STEP = 0.8


def margins(found: Margins, *, ax: Axes | None = None) -> Axes:
    """Draw what `ei.margins` returns, in the outcome's unit.

    Parameters
    ----------
    found : Margins
    ax : matplotlib Axes, optional
        Where to draw; a new figure when not given.

    Returns
    -------
    matplotlib Axes
    """
    return draw_margins(found.exhibit.table, ax=ax)


def draw_margins(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw a table with outcome, quantity, label, unit, estimate, ci_low and ci_high."""
    axes = house.new_axes(ax, 1.9 + _STEP * (len(_ROWS) + 1))
    house.quiet(axes, grid="x")
    axes.axvline(0, color=house.MUTED, linewidth=0.9)
    numbers = _numbers(table)
    labels = dict(zip(table["quantity"], table["label"].astype(str), strict=True))
    for place, name in enumerate(_ROWS):
        estimate, low, high = numbers[name]
        axes.hlines(-place, low, high, color=house.CAUSAL, lw=3.2, alpha=0.5)
        axes.plot([estimate], [-place], "o", ms=6, mec=house.CAUSAL, mfc=house.CAUSAL)
        _words(axes, -place, labels[name], _with_interval(*numbers[name]))
    _bounds(axes, -len(_ROWS), numbers)
    axes.set_yticks([])
    axes.set_ylim(-len(_ROWS) - 0.45, 0.85)
    axes.margins(x=0.06)
    unit, outcome = (str(table[name].iloc[0]) for name in ("unit", "outcome"))
    axes.set_xlabel(str(message("plot.in_unit", unit=unit)), **house.words(house.SMALL))
    told = message("plot.margins_told", change=_with_interval(*numbers["extensive"], "+.1f"))
    house.headings(axes, str(message("plot.effect_on", outcome=outcome)), str(told))
    house.key(axes, _handles(), inches=0.5)
    return axes


def _numbers(table: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
    """Return estimate and interval of every quantity."""
    columns = (table[name].astype(float) for name in ("estimate", "ci_low", "ci_high"))
    return dict(zip(table["quantity"], zip(*columns, strict=True), strict=True))


def _bounds(axes: Axes, at: float, numbers: dict[str, tuple[float, float, float]]) -> None:
    """Draw the bounds as a bar, the interval for the effect, and the raw difference."""
    low, high = numbers["intensive_low"][0], numbers["intensive_high"][0]
    _, reach_low, reach_high = numbers["intensive_effect"]
    axes.hlines(at, reach_low, reach_high, color=house.COMPARISON, lw=3.2, alpha=0.5)
    axes.hlines(at, low, high, color=house.COMPARISON, lw=8)
    look: dict[str, Any] = {"mec": house.DESCRIPTIVE, "mfc": "white"}
    axes.plot([numbers["intensive_raw"][0]], [at], "s", ms=6, **look)
    shown = message("plot.margins_bounds", low=f"{low:,.4g}", high=f"{high:,.4g}")
    _words(axes, at, str(message("plot.margins_intensive")), str(shown))


def _with_interval(estimate: float, low: float, high: float, form: str = ",.4g") -> str:
    text = f"{estimate:{form}}"
    return text if np.isnan(low) else f"{text}  ({low:{form}} to {high:{form}})"


def _words(axes: Axes, at: float, label: str, shown: str) -> None:
    options: dict[str, Any] = {
        "xycoords": ("axes fraction", "data"),
        "textcoords": "offset points",
        "va": "bottom",
        "ha": "left",
        "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1.0},
    }
    ink, muted = house.words(house.SMALL + 0.5), house.words(house.SMALL, house.MUTED)
    axes.annotate(label, (0, at), xytext=(0, 21.5), **options, **ink)
    axes.annotate(shown, (0, at), xytext=(0, 8.5), **options, **muted)


def _handles() -> list[Any]:
    from matplotlib.lines import Line2D

    def line(color: str, width: float, alpha: float, id: str) -> Line2D:
        return Line2D([], [], color=color, lw=width, alpha=alpha, label=str(message(id)))

    raw = Line2D(
        [], [], linestyle="none", marker="s", color=house.DESCRIPTIVE, markerfacecolor="white"
    )
    raw.set_label(str(message("plot.margins_raw")))
    return [
        line(house.CAUSAL, 3.2, 0.5, "plot.pointwise_rows"),
        line(house.COMPARISON, 8, 1.0, "plot.margins_bar"),
        line(house.COMPARISON, 3.2, 0.5, "plot.margins_interval"),
        raw,
    ]
