"""`exportimpact bench MODULE:CLASS --tier quick|full|calibration`, and `--all`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from exportimpact.conformance import Receipt

_TIERS = click.Choice(["quick", "full", "calibration"])
_CACHE = Path(".exportimpact_bench")
_BOARD = Path("docs/calibration")


@click.command("bench")
@click.argument("named", metavar="[MODULE:CLASS]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All registered estimators.")
@click.option("--tier", type=_TIERS, default="quick", show_default=True)
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--out", type=click.Path(path_type=Path), help="File for receipts (JSON), or folder.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    default=_CACHE,
    show_default=True,
    help="Where replications are kept, so that an interrupted run goes on.",
)
@click.option("--seconds", type=float, default=10.0, show_default=True, help="Core-seconds a cell.")
def command(
    named: tuple[str, ...],
    every: bool,
    tier: str,
    jobs: int,
    out: Path | None,
    cache: Path,
    seconds: float,
) -> int:
    """Put estimators through the conformance suite; exit code 1 when a check failed.

    MODULE is found on the import path, the working folder included. With --all and the tier
    calibration the scoreboard is written to docs/calibration, or to --out.
    """
    from exportimpact.conformance import certify_all
    from exportimpact.conformance.lookup import builtin, find

    if every == bool(named):
        raise click.UsageError("Name one estimator or more as MODULE:CLASS, or pass --all.")
    sys.path.insert(0, str(Path.cwd()))
    estimators = list(builtin()) if every else [find(name) for name in named]
    with _progress() as say:
        if every and tier == "calibration":
            from exportimpact.conformance.scoreboard import score, write_scoreboard

            board = score(estimators, jobs=jobs, cache=cache, seconds=seconds, progress=say)
            folder = write_scoreboard(board, out or _BOARD)
            click.echo(board.summary())
            click.echo(f"Scoreboard: {folder / 'scoreboard.md'}")
            return 0
        receipts = certify_all(estimators, tier=tier, jobs=jobs, cache=cache, progress=say)
    return _told(receipts, out)


def _told(receipts: tuple[Receipt, ...], out: Path | None) -> int:
    for receipt in receipts:
        click.echo(str(receipt))
        click.echo("")
    if out is not None:
        texts = [receipt.to_json() for receipt in receipts]
        whole = texts[0] if len(texts) == 1 else "[" + ",\n".join(texts) + "]"
        half = out.with_name(out.name + ".part")
        half.write_text(whole + "\n", encoding="utf-8")
        half.replace(out)
        click.echo(f"Receipt: {out}", err=True)
    return 0 if all(receipt.ok for receipt in receipts) else 1


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None] | None]:
    """Yield a callback that shows the scenario and counts replications, None in a pipe."""
    stream = sys.stderr
    if not stream.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns: tuple[Any, ...] = (
        SpinnerColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.completed:,.0f} replications"),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def say(scenario: str, done: int) -> None:
            bar.update(task, description=scenario, advance=done)

        yield say
