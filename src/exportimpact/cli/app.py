"""The group of commands, and how errors become messages and exit codes.

0: done, whatever was found. 1: a verification found differences. 2: bad input or usage. 3: an
internal error. 130: interrupted. Results go to stdout, progress and messages to stderr.
"""

from __future__ import annotations

import importlib
import io
import logging
import sys
import traceback
from typing import Any

import click

from exportimpact.errors import ExportImpactError

DONE, DIFFERENCES, BAD_INPUT, INTERNAL, INTERRUPTED = 0, 1, 2, 3, 130

_COMMANDS = {
    "run": "Run a study file and write its report.",
    "demo": "Run an evaluation on shipped data.",
    "verify": "Re-perform a run and list every difference.",
    "bench": "Put an estimator through the conformance suite.",
    "explain": "Explain the code of a message.",
    "versions": "Print versions for a bug report.",
}


class _Lazy(click.Group):
    """Loads a command when it is called, so that help is fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        found: click.Command = importlib.import_module(f"exportimpact.cli.{cmd_name}").command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--traceback", is_flag=True, help="Show where an error was raised.")
@click.version_option(package_name="exportimpact", message="%(prog)s %(version)s")
def cli(traceback: bool) -> None:
    """Measure what a support programme did to firms, and how far the evidence can be trusted."""


def main(args: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    given = (sys.argv[1:] if args is None else args) or ["--help"]
    show = "--traceback" in given  # taken out, so that it may stand anywhere
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # a console of another encoding is no reason to fail
            stream.reconfigure(errors="replace")
    log = logging.getLogger("exportimpact")
    level = log.level
    # Errors and results are printed; a package that is wrapped may turn on logging for everybody.
    log.setLevel(logging.WARNING)
    try:
        code: Any = cli.main(
            args=[a for a in given if a != "--traceback"],
            prog_name="exportimpact",
            standalone_mode=False,
        )
        return code if isinstance(code, int) else DONE
    except click.ClickException as error:
        error.show()
        return BAD_INPUT
    except ExportImpactError as error:
        _tell(error, show)
        return BAD_INPUT
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted; nothing was written.", err=True)
        return INTERRUPTED
    except SystemExit:
        # click leaves so when nobody reads the output any more; what was asked for is done.
        return DONE
    except Exception as error:
        click.echo(
            f"Internal error: {type(error).__name__}: {error}\nThis is a fault of exportimpact, "
            "not of your data. Run again with --traceback and report what it prints.",
            err=True,
        )
        if show:
            click.echo(traceback.format_exc(), err=True)
        return INTERNAL
    finally:
        log.setLevel(level)


def _tell(error: ExportImpactError, show: bool) -> None:
    if show:
        click.echo(traceback.format_exc(), err=True)
    click.echo(str(error), err=True)
    click.echo(f"More: exportimpact explain {error.code}", err=True)
