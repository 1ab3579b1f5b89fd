"""What the terminal shows: progress while it works, and a short table when a run is done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from exportimpact.evaluation.ladder import method_text
from exportimpact.evaluation.quantities import (
    MISSING,
    EffectText,
    decimals,
    number,
    own_factor,
    own_text,
    percent_text,
)

if TYPE_CHECKING:
    from exportimpact.study import StudyRun

_PIPE_WIDTH = 200


def console() -> Console:
    """Return the console for results; in a pipe lines are long enough for every column."""
    stream = sys.stdout
    return Console(file=stream, width=None if stream.isatty() else _PIPE_WIDTH, highlight=False)


@contextmanager
def progress() -> Iterator[Callable[[str], None] | None]:
    """Yield a callback that shows the stage on a terminal, and None in a pipe."""
    stream = sys.stderr
    if not stream.isatty():
        yield None
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def say(stage: str) -> None:
            bar.update(task, description=stage)

        yield say


def show_run(run: StudyRun) -> None:
    """Print effects with interval and firms by outcome and step, and where the report is."""
    ladder = run.evaluation.ladder()
    known = "known" in ladder
    table = Table(box=None, pad_edge=False)
    for name in ("outcome", "step", "method", "effect", "95 % interval", "in percent"):
        table.add_column(name)
    for name in ("supported", "compared", *(("known",) if known else ())):
        table.add_column(name, justify="right")
    for rung, (_, row) in zip(run.evaluation.rungs, ladder.iterrows(), strict=True):
        estimand = rung.result.estimand
        own = own_text(rung.row, estimand.scale, estimand.unit)
        relative = percent_text(rung.row)
        method = ", ".join(filter(None, (method_text(row.to_dict()), rung.variant)))
        cells = [rung.outcome, str(row["step"]), method, own.text, f"{own.low} to {own.high}"]
        cells.append(MISSING if relative.effect == MISSING else _with_limits(relative))
        cells += [f"{int(row['n_supported']):,}", f"{int(row['n_comparison']):,}"]
        if known:
            factor = own_factor(estimand.scale)
            places = decimals(factor * float(row["std_error"]))
            cells.append(number(factor * float(row["known"]), places, sign=True))
        table.add_row(*map(escape, cells))
    out = console()
    out.print(run.evaluation.plan.title, style="bold", soft_wrap=True, markup=False)
    out.print(table)
    for line in (f"Report: {run.report}", f"Verify: exportimpact verify {run.out}"):
        out.print(line, soft_wrap=True, markup=False)


def _with_limits(effect: EffectText) -> str:
    limits = MISSING if effect.low == MISSING else f"{effect.low} to {effect.high}"
    return f"{effect.text} ({limits})"
