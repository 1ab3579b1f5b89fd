"""`exportimpact verify DIR`."""

from __future__ import annotations

from pathlib import Path

import click

_MOST_ROWS = 40


@click.command("verify")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder (or single file) with the data, where they have moved.",
)
def command(folder: Path, data: Path | None) -> int:
    """Re-perform the run in DIR and list every difference; exit code 1 when there is one."""
    from rich.table import Table

    from exportimpact.cli.app import DIFFERENCES, DONE
    from exportimpact.cli.terminal import console, progress
    from exportimpact.study import verify

    with progress() as say:
        found = verify(folder, data=data, progress=say)
    out = console()
    table = Table(box=None, pad_edge=False)
    table.add_column("checked")
    for name in ("compared", "same", "differ"):
        table.add_column(name, justify="right")
    for row in found.summary().to_dict("records"):
        same = row["compared"] - row["differ"]
        table.add_row(row["kind"], str(row["compared"]), str(same), str(row["differ"]))
    out.print(table)
    differences = found.differences
    for text in differences["message"][:_MOST_ROWS]:
        out.print(f"- {text}", soft_wrap=True, markup=False)
    if len(differences) > _MOST_ROWS:
        out.print(f"- and {len(differences) - _MOST_ROWS} more")
    count = len(differences)
    verdict = "Everything is as recorded." if found.ok else f"{count} differences from the record."
    out.print(verdict)
    return DONE if found.ok else DIFFERENCES
