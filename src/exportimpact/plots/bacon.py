"""What a two-way fixed effects coefficient averages: every comparison of two groups of firms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from exportimpact.core.result import EstimationResult
from exportimpact.errors import InputError
from exportimpact.evaluation.quantities import own_factor, own_unit
from exportimpact.language import message
from exportimpact.plots import _style as house

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOOKS = {
    "never": ("o", house.CAUSAL, house.CAUSAL),
    "later": ("^", house.COMPARISON, "white"),
    "earlier": ("X", house.KNOWN, house.KNOWN),
}


def bacon(result: EstimationResult, *, ax: Axes | None = None) -> Axes:
    """Draw Goodman-Bacon's decomposition of a two-way fixed effects coefficient.

    Every point is the difference-in-differences of two groups of firms: its weight to the right,
    its estimate upwards. Comparisons with firms that are supported already are marked by a cross.

    Parameters
    ----------
    result : EstimationResult
        Of `did.TwoWayFixedEffects`.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when not given.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        EI-E44 when the result has no decomposition; its notes say why.

    References
    ----------
    Goodman-Bacon (2021), doi:10.1016/j.jeconom.2021.03.014
    """
    for exhibit in result.exhibits:
        if exhibit.kind == "bacon":
            return draw_bacon(exhibit.table, ax=ax)
    why = " ".join(str(n) for n in result.notes if n.id.startswith("note.bacon_"))
    raise InputError(
        "EI-E44",
        f"The result of {result.provenance.estimator!r} has no decomposition into comparisons of "
        f"pairs of cohorts to draw. {why or 'Only TwoWayFixedEffects() has one.'} Pass the result "
        "of did.TwoWayFixedEffects() on a balanced panel, without controls.",
        estimator=result.provenance.estimator,
    )


def draw_bacon(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw a table with kind, weight and estimate of every comparison of two groups."""
    axes = house.new_axes(ax, 4.3)
    first = table.iloc[0]
    scale = str(first["scale"])
    unit = None if pd.isna(first["unit"]) else str(first["unit"])
    factor = own_factor(scale)  # type: ignore[arg-type]
    house.quiet(axes, grid="y")
    axes.axhline(0, color=house.MUTED, linewidth=0.9)
    coefficient = factor * float((table["weight"] * table["estimate"]).sum())
    axes.axhline(coefficient, color=house.INK, linewidth=1.2, linestyle=(0, (5, 3)))
    handles = []
    for kind, (marker, edge, face) in _LOOKS.items():
        rows = table[table["kind"] == kind]
        if rows.empty:
            continue
        weight, estimate = 100 * rows["weight"], factor * rows["estimate"]
        look: dict[str, Any] = {
            "marker": marker,
            "mec": edge,
            "mfc": face,
            "ms": 6.0,
            "linestyle": "none",
        }
        axes.plot(weight, estimate, **look)
        handles.append(_key(f"plot.bacon_{kind}", look, float(weight.sum())))
    handles.append(_line())
    axes.margins(x=0.06, y=0.12)
    # Marks of comparisons without weight stand on the edge in full.
    axes.set_xlim(left=-0.02 * axes.get_xlim()[1])
    axes.set_xlabel(str(message("plot.bacon_weight")), **house.words(house.SMALL))
    told = message("plot.bacon_told", unit=own_unit(scale, unit))  # type: ignore[arg-type]
    title = message("plot.bacon", outcome=str(first["outcome"]))
    house.headings(axes, str(title), str(told))
    house.key(axes, handles, inches=0.5)
    return axes


def _key(id: str, look: dict[str, Any], percent: float) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], label=str(message(id, percent=round(percent))), **look)


def _line() -> Any:
    from matplotlib.lines import Line2D

    label = str(message("plot.bacon_coefficient"))
    return Line2D([], [], color=house.INK, linewidth=1.2, linestyle=(0, (5, 3)), label=label)
