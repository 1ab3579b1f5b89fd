"""The effect by periods since first support, pointwise intervals inside simultaneous bands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from exportimpact.core.result import EstimationResult
from exportimpact.errors import InputError
from exportimpact.evaluation.paths import event_study_table
from exportimpact.language import message
from exportimpact.plots import _style as house

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def event_study(result: EstimationResult, *, ax: Axes | None = None) -> Axes:
    """Draw effects by periods since first support.

    Thick lines are 95 % intervals point by point, thin lines the band that holds for all points at
    once. The base period and the start of support are marked.

    Parameters
    ----------
    result : EstimationResult
        Cells, which are aggregated by event time here, or such an aggregate.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when not given.

    Returns
    -------
    matplotlib Axes
        ``ax.figure.savefig(...)`` writes it.

    Raises
    ------
    InputError
        EI-R05 when the rows are not by event time.
    """
    if result.rows is not None and result.estimand.aggregation != "event_time":
        raise InputError(
            "EI-R05",
            f"The result holds rows aggregated by {result.estimand.aggregation}, not by periods "
            "since first support, so that there is no path to draw. Pass the result of the "
            'estimator, or result.aggregate("event_time").',
            aggregation=result.estimand.aggregation,
        )
    return draw_event_study(event_study_table(result), ax=ax)


def draw_event_study(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the table of `evaluation.event_study_table`."""
    axes = house.new_axes(ax, 4.1)
    first = table.iloc[0]
    factor, step = float(first["factor"]), int(first["step"])
    at = table["event_time"].to_numpy(dtype=float)
    shown = {
        name: factor * table[name].to_numpy(dtype=float)
        for name in ("estimate", "ci_low", "ci_high", "band_low", "band_high")
    }
    house.quiet(axes, grid="y")
    axes.axhline(0, color=house.MUTED, linewidth=0.9)
    axes.axvline(-step / 2, color=house.MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.vlines(at, shown["band_low"], shown["band_high"], color=house.CAUSAL, linewidth=0.9)
    axes.vlines(
        at, shown["ci_low"], shown["ci_high"], color=house.CAUSAL, linewidth=3.2, alpha=0.45
    )
    for inside, face in ((at < 0, "white"), (at >= 0, house.CAUSAL)):
        axes.plot(at[inside], shown["estimate"][inside], "o", ms=4.6, mec=house.CAUSAL, mfc=face)
    handles = _key()
    if pd.notna(first["reference"]):
        axes.plot([int(first["reference"])], [0], "D", ms=4.6, mec=house.MUTED, mfc="white")
        handles.append(_mark("D", house.MUTED, "plot.base_period", "white"))
    if "known" in table and table["known"].notna().any():
        known = factor * table["known"].to_numpy(dtype=float)
        axes.plot(at, known, "x", ms=5.5, mew=1.6, color=house.KNOWN, zorder=4)
        handles.append(_mark("x", house.KNOWN, "plot.known"))
    _labels(axes, table, step)
    house.key(axes, handles)
    return axes


def _labels(axes: Axes, table: pd.DataFrame, step: int) -> None:
    from matplotlib.ticker import MaxNLocator

    first = table.iloc[0]
    low, high = int(table["n_supported"].min()), int(table["n_supported"].max())
    supported = f"{low:,}" if low == high else f"{low:,}–{high:,}"
    comparison = f"{int(table['n_comparison'].max()):,}"
    firms = message("plot.firms", supported=supported, comparison=comparison)
    house.headings(
        axes,
        str(message("plot.effect_on", outcome=str(first["outcome"]))),
        f"{message('plot.in_unit', unit=str(first['unit']))}\n{firms}",
    )
    axes.set_xlabel(
        str(message("plot.since_support", periods=str(first["periods"]).capitalize())),
        **house.words(house.SMALL),
    )
    axes.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True, steps=[1, 2, 5, 10]))
    axes.annotate(
        str(message("plot.support_starts")),
        (-step / 2, 1),
        xytext=(3, -2),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        va="top",
        **house.words(house.SMALL, house.MUTED),
    )
    axes.margins(x=0.04)
    low_at, high_at = axes.get_ylim()
    axes.set_ylim(low_at, high_at + 0.06 * (high_at - low_at))


def _key() -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=house.CAUSAL, linewidth=3.2, alpha=0.45, label=_say("plot.pointwise")),
        Line2D([], [], color=house.CAUSAL, linewidth=0.9, label=_say("plot.simultaneous")),
    ]


def _mark(marker: str, color: str, id: str, face: str | None = None) -> Any:
    from matplotlib.lines import Line2D

    return Line2D(
        [],
        [],
        linestyle="none",
        marker=marker,
        color=color,
        markersize=5,
        markerfacecolor=face or color,
        label=_say(id),
    )


def _say(id: str) -> str:
    return str(message(id))
