"""`exportimpact demo [grants|vouchers] --out DIR`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("demo")
@click.argument("name", type=click.Choice(["grants", "vouchers"]), default="grants")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--force", is_flag=True, help="Replace a folder that an earlier run wrote.")
def command(name: str, out: Path, force: bool) -> None:
    """Run an evaluation on shipped data.

    "grants": training grants to 157 Michigan firms, 1987-89. "vouchers": export vouchers in a
    synthetic panel of 3,000 firms, with the known effect beside the estimate. The inputs are
    written to DIR/study.
    """
    from exportimpact.cli.terminal import progress, show_run
    from exportimpact.study import demo

    with progress() as say:
        run = demo(name, out, force=force, progress=say)
    show_run(run)
