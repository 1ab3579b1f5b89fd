"""How every figure looks: readable at phone width, safe for colour-blind readers, quiet.

Only the Figure API is used: no pyplot, no window, and no setting that outlives a call.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.ticker import Formatter

# Okabe & Ito's palette, told apart in all common forms of colour blindness; markers differ as well.
INK, MUTED, RULE = "#1f2a37", "#5b6573", "#dfe3e8"
CAUSAL, DESCRIPTIVE, KNOWN = "#0072b2", "#7a7a7a", "#d55e00"
COMPARISON = "#b26a00"
WIDTH = 4.8
"""Inches: at this width, text of 9 points stays readable on a phone."""
TEXT, SMALL = 10.0, 9.0
FAMILY = "system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','Noto Sans KR',sans-serif"


def new_axes(ax: Axes | None, height: float) -> Axes:
    """Return `ax`, or the axes of a new figure of the house's width."""
    if ax is not None:
        return ax
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure.subplots()


def words(size: float = TEXT, color: str = INK) -> dict[str, Any]:
    """Return text options; a dollar sign in a name of the user's is a dollar sign."""
    return {"fontsize": size, "color": color, "parse_math": False}


def headings(ax: Axes, title: str, subtitle: str) -> None:
    """Set a title with a line of explanation below it, flush left."""
    lines = subtitle.count("\n") + 1
    ax.set_title(title, loc="left", fontweight="bold", pad=10 + 13.5 * lines, **words(TEXT + 1))
    ax.annotate(
        subtitle,
        (0, 1),
        xytext=(0, 7),
        xycoords="axes fraction",
        textcoords="offset points",
        va="bottom",
        ha="left",
        annotation_clip=False,
        linespacing=1.3,
        **words(SMALL, MUTED),
    )


def interval_row(
    ax: Axes, at: float, row: pd.Series, factor: float, color: str, *, filled: bool = True
) -> None:
    """Draw a point with its interval at height `at`, from estimate, ci_low and ci_high."""
    low, high = factor * float(row["ci_low"]), factor * float(row["ci_high"])
    ax.hlines(at, low, high, color=color, linewidth=3.2, alpha=0.5)
    face, marker = (color, "o") if filled else ("white", "s")
    ax.plot([factor * float(row["estimate"])], [at], marker, ms=6, mec=color, mfc=face)


def row_label(ax: Axes, at: float, label: str, shown: str, *, bold: bool = False) -> None:
    """Write what a row is, and its numbers below, flush left above the row's interval."""
    options: dict[str, Any] = {
        "xycoords": ("axes fraction", "data"),
        "textcoords": "offset points",
        "va": "bottom",
        "ha": "left",
        "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1.0},
    }
    weight = "bold" if bold else "normal"
    above = {"xytext": (0, 18.5), "fontweight": weight, **words(SMALL + 0.5)}
    ax.annotate(label, (0, at), **above, **options)
    ax.annotate(shown, (0, at), xytext=(0, 6.5), **options, **words(SMALL, MUTED))


def quiet(ax: Axes, *, grid: str) -> None:
    """Leave only what carries information: light rules along `grid`, and readable numbers."""
    from matplotlib.ticker import MaxNLocator

    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.tick_params(length=0, labelsize=SMALL, labelcolor=MUTED)
    ax.grid(axis="y" if grid == "y" else "x", color=RULE, linewidth=0.7)
    ax.set_axisbelow(True)
    axis = ax.yaxis if grid == "y" else ax.xaxis
    axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(_ticks())


def _ticks() -> Formatter:
    from matplotlib.ticker import Formatter

    class Ticks(Formatter):
        """Numbers with thousands separators, as many decimals as the ticks need together."""

        def __call__(self, x: float, pos: int | None = None) -> str:
            return self.format_ticks([x])[0]

        def format_ticks(self, values: Sequence[float]) -> list[str]:
            places = next((p for p in range(10) if _exact(values, p)), 10)
            texts = [f"{value + 0.0:,.{places}f}" for value in values]
            return [text.replace("-", "\N{MINUS SIGN}") for text in texts]

    return Ticks()


def _exact(values: Sequence[float], places: int) -> bool:
    reach = max(map(abs, values), default=0.0)
    return all(abs(round(v, places) - v) <= 1e-9 * reach for v in values)


def key(ax: Axes, handles: list[Any], *, below: float = 0.16, inches: float | None = None) -> None:
    """Put the key so far below the axes (in heights of them, or inches) that it hides nothing."""
    from matplotlib.transforms import ScaledTranslation

    placed: dict[str, Any] = {"bbox_to_anchor": (-0.02, -below)}
    if inches is not None:
        figure: Any = ax.figure
        down = ScaledTranslation(0, -inches, figure.dpi_scale_trans)
        placed = {"bbox_to_anchor": (-0.02, 0), "bbox_transform": ax.transAxes + down}
    ax.legend(
        handles=handles,
        loc="upper left",
        **placed,
        borderaxespad=0,
        frameon=False,
        fontsize=SMALL,
        labelcolor=MUTED,
        handlelength=2.2,
        labelspacing=0.4,
    )


def svg(draw: Callable[[], Axes], *, name: str, title: str, description: str) -> str:
    """Return the drawing as SVG with text as text, the same bytes at every call.

    Parameters
    ----------
    draw : callable
        Makes the axes.
    name : str
        Prefix of every id, so that several figures can stand in one page.
    title, description : str
        What a reader who cannot see the figure is told.
    """
    with _house():
        figure: Any = draw().figure
        target = StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return _named(target.getvalue(), name, title, description)


@contextmanager
def _house() -> Iterator[None]:
    from matplotlib import style

    settings = {"svg.hashsalt": "exportimpact", "svg.fonttype": "none"}
    with style.context(["default", settings]), warnings.catch_warnings():
        # Text stays text, so that the reader's fonts draw the letters that ours lacks (Hangul).
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from")
        yield


def _named(text: str, name: str, title: str, description: str) -> str:
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    told = (
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(description)}</desc>'
        f'<style type="text/css">text{{font-family:{FAMILY} !important}}</style>'
    )
    opening = re.search(r"<svg[^>]*>", text)
    assert opening is not None
    labelled = opening.group()[:-1] + f' role="img" aria-labelledby="{name}-title {name}-desc">'
    return text[: opening.start()] + labelled + told + text[opening.end() :]
