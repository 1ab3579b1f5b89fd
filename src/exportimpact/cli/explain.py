"""`exportimpact explain EI-P07`."""

from __future__ import annotations

import click


@click.command("explain")
@click.argument("code")
def command(code: str) -> None:
    """Print the page of a message's CODE."""
    from exportimpact.study.messages import page

    click.echo(page(code))
