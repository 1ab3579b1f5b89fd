"""The scoreboard as a page for readers and as a figure."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from exportimpact.conformance import bands
from exportimpact.conformance.tier import tier_of

if TYPE_CHECKING:
    from exportimpact.conformance.scoreboard import Board, Score

# Colours that stay apart in print and for colour-blind readers; the letter says it as well.
COLOURS = {
    "right": ("#1b7837", "R"),
    "right so far": ("#7fbf7b", "r"),
    "refused": ("#4393c3", "x"),
    "flagged": ("#f6c85f", "F"),
    "declared blind": ("#bdbdbd", "b"),
    "unclear": ("#f7f7f7", "?"),
    "WRONG": ("#b2182b", "W"),
}
MEANING = {
    "right": "bias, errors, coverage and size inside their bands at 2,000 draws",
    "right so far": "the same with fewer draws",
    "refused": "raises a coded error in at least 80 % of draws",
    "flagged": "a diagnostic of what fails fires in at least 80 % of draws",
    "declared blind": "the method's card says that it cannot see this failure",
    "unclear": "something required holds only about, or the truth is not known",
    "WRONG": "a user would be misled",
}
_SIDE, _LEFT, _TOP = 26, 176, 180


def page(board: Board) -> str:
    """Return the scoreboard as Markdown."""
    lines = [
        "# Scoreboard",
        "",
        "Every registered estimator on every synthetic scenario, from a real run of",
        "`exportimpact bench --all --tier calibration`. Cells that would mislead come first.",
        "",
        f"{board.summary()}.",
        "",
        "![Estimators by scenarios, coloured by outcome](scoreboard.svg)",
        "",
        *_wrong(board),
        *_false_alarms(board),
        *_cells(board),
        *_how(board),
    ]
    return "\n".join(lines) + "\n"


def _wrong(board: Board) -> list[str]:
    if not board.wrong:
        return ["## Wrong cells", "", "None.", ""]
    alike: dict[tuple[str, int, str], list[str]] = {}
    for s in board.wrong:
        alike.setdefault((s.scenario, s.draws, s.reason), []).append(s.estimator)
    rows = [
        f"- **{name}**, {', '.join(who)} ({draws:,} draws): {reason}."
        for (name, draws, reason), who in sorted(alike.items())
    ]
    return ["## Wrong cells", "", *rows, ""]


def _false_alarms(board: Board) -> list[str]:
    by_assumption: dict[str, list[tuple[float, str]]] = {}
    draws = tier_of("calibration").honest_draws
    limit = bands.most(bands.FALSE_ALARM, draws)
    for s in board.scores:
        for assumption, share in s.false_alarms.items():
            by_assumption.setdefault(assumption, []).append((share, f"{s.estimator}, {s.scenario}"))
    lines = [
        "## False alarms",
        "",
        "How often diagnostics question an assumption that holds, over all cells where everything "
        f"required holds: **{_percent(board.false_alarm_rate)}** of draws on average. The test of "
        "trends before support is meant to do so in one of ten draws. With "
        f"{draws} diagnosed draws a share above {_percent(limit)} is more than chance.",
        "",
        f"| assumption | mean | cells above {_percent(limit)} | worst |",
        "|---|---:|---:|---|",
    ]
    for assumption, found in sorted(by_assumption.items()):
        shares = [share for share, _ in found]
        worst, where = max(found)
        above = sum(share > limit for share in shares)
        mean = sum(shares) / len(shares)
        told = f"{_percent(worst)} ({where})"
        lines.append(f"| {assumption} | {_percent(mean)} | {above} of {len(shares)} | {told} |")
    return [*lines, ""]


def _cells(board: Board) -> list[str]:
    head = [
        "## Cells",
        "",
        "Bias in standard deviations of the estimate; SE/SD; coverage of 95 % intervals, and among "
        "draws that pass the pre-trend test at 5 %; size without an effect; power at the "
        "scenario's effect (7 % unless the column says otherwise).",
        "",
    ]
    lines = []
    for name in dict.fromkeys(s.estimator for s in board.scores):
        own = [s for s in board.scores if s.estimator == name]
        lines += [
            f"### {name}",
            "",
            "| scenario | outcome | draws | bias/SD | SE/SD | coverage | passing | size | power "
            "| effect | refused | flagged | |",
            "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|",
            *[_line(s) for s in own],
            "",
        ]
    return head + lines


def _line(s: Score) -> str:
    shown = f"**{s.outcome}**" if s.outcome == "WRONG" else s.outcome
    values = [
        s.scenario,
        shown,
        f"{s.draws:,}",
        _number(s.bias_in_sd, 2, sign=True),
        _number(s.ratio, 3),
        _number(s.coverage, 3),
        _number(s.conditional_coverage, 3),
        _number(s.size, 3),
        _number(s.power, 3),
        _number(s.effect, 3),
        _percent(s.refused, 0),
        _percent(s.flagged, 0),
        s.reason,
    ]
    return "| " + " | ".join(values) + " |"


def _how(board: Board) -> list[str]:
    named = ", ".join(f"{k} {v}" for k, v in board.versions.items())
    meanings = [f"- {name}: {text}." for name, text in MEANING.items()]
    return [
        "## How it was made",
        "",
        *meanings,
        "",
        "Bands: coverage and size inside the exact binomial 99.9 % band for the number of draws "
        "(0.9335 to 0.9655 at 2,000), SE/SD within 3.29/sqrt(2 draws) of 1, bias at most 0.10 SD "
        "plus three Monte Carlo errors. Where only the truth among the firms drawn is known, or "
        "errors are conservative by theory, coverage and SE/SD are held from below.",
        "",
        f"Run on {board.date} with seeds 1 to the number of draws; {named}. Digest "
        f"`{board.digest}`.",
    ]


def figure(board: Board) -> str:
    """Return the scoreboard as SVG: estimators in columns, scenarios in rows.

    Narrow enough for a phone: names of estimators stand upright, the legend is below.
    """
    estimators = list(dict.fromkeys(s.estimator for s in board.scores))
    names = list(dict.fromkeys(s.scenario for s in board.scores))
    width = max(_LEFT + _SIDE * len(estimators) + 8, _LEFT + 150)
    below = _TOP + _SIDE * len(names) + 16
    height = below + _SIDE * math.ceil(len(COLOURS) / 2) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
        "<title>Estimators by scenarios, coloured by outcome</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for i, name in enumerate(estimators):
        at = f"{_LEFT + _SIDE * i + _SIDE / 2 + 3},{_TOP - 6}"
        parts.append(f'<text transform="translate({at}) rotate(-90)">{escape(name)}</text>')
    for j, name in enumerate(names):
        parts.append(_text(_LEFT - 8, _TOP + _SIDE * j, name, 'text-anchor="end"'))
    for s in board.scores:
        x = _LEFT + _SIDE * estimators.index(s.estimator)
        y = _TOP + _SIDE * names.index(s.scenario)
        told = f"{s.estimator}, {s.scenario}: {s.outcome}. {s.reason}"
        parts.append(_box(x, y, s.outcome, told))
    for k, name in enumerate(COLOURS):
        x, y = 12 + (k % 2) * (width // 2), below + _SIDE * (k // 2)
        parts.append(_box(x, y, name, MEANING[name]))
        parts.append(_text(x + _SIDE + 6, y, name))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x}" y="{y + _SIDE * 0.65}" {style}>{escape(text)}</text>'


def _box(x: float, y: float, outcome: str, told: str) -> str:
    colour, letter = COLOURS[outcome]
    ink = "white" if outcome in {"right", "WRONG", "refused"} else "black"
    size = _SIDE - 2
    return (
        f'<g><title>{escape(told)}</title><rect x="{x}" y="{y}" width="{size}" height="{size}" '
        f'fill="{colour}" stroke="#888888" stroke-width="0.5"/><text x="{x + size / 2}" '
        f'y="{y + size * 0.68}" text-anchor="middle" fill="{ink}">{letter}</text></g>'
    )


def _number(value: float, places: int, *, sign: bool = False) -> str:
    if math.isnan(value):
        return ""
    return f"{value:+.{places}f}" if sign else f"{value:.{places}f}"


def _percent(share: float, places: int = 1) -> str:
    return "" if math.isnan(share) else f"{100 * share:.{places}f} %"
