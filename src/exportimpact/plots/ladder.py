"""The ladder: one outcome estimated rung by rung, so that a reader sees how far it moves."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pandas as pd

from exportimpact.evaluation import Evaluation
from exportimpact.evaluation.ladder import method_text
from exportimpact.evaluation.quantities import best_text, own_factor, own_unit
from exportimpact.language import message
from exportimpact.plots import _style as house

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABEL_WIDTH = 58
_SHOWN_WIDTH = 66


def ladder(evaluation: Evaluation, *, outcome: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the average effect of every rung with its 95 % interval, the lowest rung on top.

    Parameters
    ----------
    evaluation : Evaluation
    outcome : str, optional
        The primary outcome when not given.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when not given.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        EI-E23 for an outcome without a result.
    """
    return draw_ladder(ladder_table(evaluation, outcome), ax=ax)


def ladder_table(evaluation: Evaluation, outcome: str | None = None) -> pd.DataFrame:
    """Return the ladder of one outcome with what a figure has to say: unit, factor, shown."""
    head = evaluation.headline(outcome)
    scale, unit = head.result.estimand.scale, head.result.estimand.unit
    frame = evaluation.ladder(head.outcome)
    frame["unit"] = own_unit(scale, unit)
    frame["factor"] = own_factor(scale)
    texts = [
        best_text({str(k): v for k, v in row.items()}, scale, unit) for _, row in frame.iterrows()
    ]
    frame["shown"] = [f"{t.text}  ({t.interval})" for t in texts]
    return frame


def draw_ladder(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the table of `ladder_table`: one row of the figure for each of its rows."""
    axes = house.new_axes(ax, 1.55 + 0.8 * len(table))
    factor = float(table["factor"].iloc[0])
    house.quiet(axes, grid="x")
    axes.axvline(0, color=house.MUTED, linewidth=0.9)
    for place, (_, row) in enumerate(table.iterrows()):
        _rung(axes, -float(place), row, factor)
    axes.set_yticks([])
    axes.set_ylim(-len(table) + 0.55, 0.85)
    axes.margins(x=0.06)
    axes.set_xlabel(
        str(message("plot.effect_in", unit=str(table["unit"].iloc[0]))), **house.words(house.SMALL)
    )
    house.headings(
        axes,
        str(message("plot.effect_on", outcome=str(table["outcome"].iloc[0]))),
        str(message("plot.rung_by_rung")),
    )
    if "known" in table and table["known"].notna().any():
        house.key(axes, [_known_key()], below=0.5 / (0.8 * len(table)))
    return axes


def _rung(axes: Axes, at: float, row: pd.Series, factor: float) -> None:
    color = house.CAUSAL if row["causal"] else house.DESCRIPTIVE
    low, high = factor * float(row["ci_low"]), factor * float(row["ci_high"])
    axes.hlines(at, low, high, color=color, linewidth=3.2, alpha=0.5)
    axes.plot(
        [factor * float(row["estimate"])],
        [at],
        "o" if row["causal"] else "s",
        ms=6,
        mec=color,
        mfc=color if row["causal"] else "white",
    )
    if "known" in row and pd.notna(row["known"]):
        axes.plot([factor * float(row["known"])], [at], "x", ms=6, mew=1.7, color=house.KNOWN)
    label = str(message("plot.step", step=str(row["step"]), method=method_text(row.to_dict())))
    shown = " · ".join(filter(None, (str(row["shown"]), str(row["variant"]))))
    options: dict[str, Any] = {
        "xycoords": ("axes fraction", "data"),
        "textcoords": "offset points",
        "va": "bottom",
        "ha": "left",
        "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1.0},
    }
    axes.annotate(
        textwrap.shorten(label, _LABEL_WIDTH, placeholder=" …"),
        (0, at),
        xytext=(0, 21.5),
        fontweight="bold" if row["headline"] else "normal",
        **options,
        **house.words(house.SMALL + 0.5),
    )
    axes.annotate(
        textwrap.shorten(shown, _SHOWN_WIDTH, placeholder=" …"),
        (0, at),
        xytext=(0, 8.5),
        **options,
        **house.words(house.SMALL, house.MUTED),
    )


def _known_key() -> Any:
    from matplotlib.lines import Line2D

    return Line2D(
        [], [], linestyle="none", marker="x", color=house.KNOWN, label=str(message("plot.known"))
    )
