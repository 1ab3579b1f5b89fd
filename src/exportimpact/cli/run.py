"""`exportimpact run STUDY --out DIR`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("run")
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--force", is_flag=True, help="Replace a folder that an earlier run wrote.")
def command(study: Path, out: Path, force: bool) -> None:
    """Run the study file STUDY and write report, tables, figures and manifest."""
    from exportimpact.cli.terminal import progress, show_run
    from exportimpact.study import run_study

    with progress() as say:
        run = run_study(study, out, force=force, progress=say)
    show_run(run)
