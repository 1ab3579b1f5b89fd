"""Love plot: how far supported and comparison firms differ, before and after matching.

Named after Thomas Love; in the form of Austin & Stuart (2015), doi:10.1002/sim.6607.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from exportimpact._typing import FloatArray
from exportimpact.errors import InputError
from exportimpact.language import message
from exportimpact.plots import _style as house

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LONGEST = 24
_LIMIT = 0.10
_BELOW = 0.5


def love(balance: pd.DataFrame, *, threshold: float = _LIMIT, ax: Axes | None = None) -> Axes:
    """Draw standardised mean differences before and after matching, largest before on top.

    Parameters
    ----------
    balance : DataFrame
        What `Design.balance` returns, or the exhibit "love" of a matched design. Rows of the
        outcome's path before support are left to `paths`.
    threshold : float
        The limit that is drawn where the table does not name its own.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when not given.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        EI-R07 for a design without covariates.
    """
    shown = balance[balance["kind"] != "path"]
    if not len(shown):
        raise InputError(
            "EI-R07",
            "There is nothing to draw as 'love': the design has no covariates, so that it is not "
            "known in what firms should be alike. Pass Design(..., covariates=[...]).",
            kind="love",
        )
    if "threshold" not in shown:
        shown = shown.assign(threshold=threshold)
    return draw_love(shown, ax=ax)


def draw_love(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw a table with covariate, smd_before, smd_after (missing where unmatched), threshold."""
    order = table["smd_before"].abs().sort_values(ascending=False, kind="stable").index
    rows = table.loc[order].reset_index(drop=True)
    n = len(rows)
    axes = house.new_axes(ax, 2.1 + 0.21 * max(n, 5))
    before, after = (rows[f"smd_{when}"].abs().to_numpy(float) for when in ("before", "after"))
    limit = float(rows["threshold"].iloc[0])
    edge = 1.12 * max([limit, *before[np.isfinite(before)], *after[np.isfinite(after)]])
    matched = bool(np.isfinite(after).any())
    at = -np.arange(n, dtype=float)
    house.quiet(axes, grid="x")
    axes.hlines(at, np.minimum(after, edge), np.minimum(before, edge), color=house.RULE, lw=1.6)
    axes.axvline(limit, color=house.MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    _points(axes, before, at, edge, mec=house.DESCRIPTIVE, mfc="white")
    _points(axes, after, at, edge, mec=house.CAUSAL, mfc=house.CAUSAL)
    axes.set_xlim(-0.02 * edge, 1.04 * edge)
    axes.set_ylim(-n + 0.4, 0.6)
    axes.set_yticks(at, [_short(str(name)) for name in rows["covariate"]])
    for label in axes.get_yticklabels():
        label.set(color=house.INK, parse_math=False)
    _labels(axes, limit, matched)
    return axes


def _points(axes: Axes, value: FloatArray, at: FloatArray, edge: float, **look: Any) -> None:
    """Draw points; a difference beyond measure (no spread on the supported side) at the edge."""
    known, endless = np.isfinite(value), np.isinf(value)
    axes.plot(value[known], at[known], "o", ms=5, **look)
    axes.plot(np.full(int(endless.sum()), edge), at[endless], ">", ms=5.5, **look)


def _labels(axes: Axes, limit: float, matched: bool) -> None:
    house.headings(
        axes,
        str(message("plot.love")),
        str(message("plot.love_matched" if matched else "plot.love_unmatched")),
    )
    axes.set_xlabel(str(message("plot.smd")), **house.words(house.SMALL))
    handles = [_dot(house.DESCRIPTIVE, "white", "plot.before")]
    if matched:
        handles.append(_dot(house.CAUSAL, house.CAUSAL, "plot.after"))
    handles.append(_line(str(message("plot.limit", limit=limit))))
    house.key(axes, handles, inches=_BELOW)


def _dot(color: str, face: str, id: str) -> Any:
    from matplotlib.lines import Line2D

    look: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 5}
    return Line2D([], [], color=color, markerfacecolor=face, label=str(message(id)), **look)


def _line(label: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=house.MUTED, linewidth=0.9, linestyle=(0, (4, 3)), label=label)


def _short(name: str) -> str:
    """Return a name that leaves room for the points: its middle gives way, not its end."""
    if len(name) <= _LONGEST:
        return name
    half = (_LONGEST - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
