"""The command line: `exportimpact run | demo | verify | explain | versions`."""

from exportimpact.cli.app import main

__all__ = ["main"]
