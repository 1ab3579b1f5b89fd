"""`exportimpact versions`."""

from __future__ import annotations

import click


@click.command("versions")
def command() -> None:
    """Print versions of the package, of Python and of dependencies."""
    from exportimpact.study.versions import show_versions

    show_versions()
