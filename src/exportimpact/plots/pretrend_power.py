"""Effects by time since support, beside a difference in trends that the test would have missed."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pandas as pd

from exportimpact.evaluation.quantities import own_factor, own_unit, significant
from exportimpact.inference.power import PretrendPower
from exportimpact.language import message
from exportimpact.plots import _style as house

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH = 60


def pretrend_power(power: PretrendPower, *, ax: Axes | None = None) -> Axes:
    """Draw effects with their 95 % intervals, a trend, and what a quiet test makes of it.

    Parameters
    ----------
    power : PretrendPower
        From `exportimpact.pretrend_power`; its last trend is drawn.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when not given.

    Returns
    -------
    matplotlib Axes
    """
    return draw_pretrend_power(power.exhibit.table, ax=ax)


def draw_pretrend_power(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the table of `PretrendPower.exhibit`."""
    from matplotlib.ticker import MaxNLocator

    axes = house.new_axes(ax, 4.3)
    first = table.iloc[0]
    factor = own_factor(first["scale"])
    at, step = table["event_time"].to_numpy(dtype=float), int(first["step"])
    shown = {
        name: factor * table[name].to_numpy(dtype=float)
        for name in ("estimate", "ci_low", "ci_high", "trend", "mean_if_quiet")
    }
    house.quiet(axes, grid="y")
    axes.axhline(0, color=house.MUTED, linewidth=0.9)
    axes.axvline(-step / 2, color=house.MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.vlines(
        at, shown["ci_low"], shown["ci_high"], color=house.CAUSAL, linewidth=3.2, alpha=0.45
    )
    for inside, face in ((at < 0, "white"), (at >= 0, house.CAUSAL)):
        axes.plot(at[inside], shown["estimate"][inside], "o", ms=4.6, mec=house.CAUSAL, mfc=face)
        axes.plot(at[inside], shown["trend"][inside], color=house.KNOWN, linewidth=1.6)
        axes.plot(
            at[inside], shown["mean_if_quiet"][inside], color=house.KNOWN, linewidth=1.3, ls=":"
        )
    axes.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True, steps=[1, 2, 5, 10]))
    axes.margins(x=0.04)
    axes.set_xlabel(str(message("plot.before_support")), **house.words(house.SMALL))
    unit = None if pd.isna(first["unit"]) else str(first["unit"])
    told = message(
        "plot.missed_trend",
        slope=significant(factor * float(first["slope"])),
        unit=own_unit(first["scale"], unit),
        percent=significant(100 * (1 - float(first["power"]))),
    )
    title = message("plot.effect_on", outcome=str(first["outcome"]))
    house.headings(axes, str(title), "\n".join(textwrap.wrap(str(told), _WIDTH)))
    house.key(axes, _key(), inches=0.5)
    return axes


def _key() -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=house.KNOWN, label=str(message("plot.trend"))),
        Line2D([], [], color=house.KNOWN, ls=":", label=str(message("plot.mean_if_quiet"))),
    ]
