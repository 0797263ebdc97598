"""The command line, and the one place where errors become text and exit codes."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from dynkv import __version__
from dynkv.cli import history, plan, status, units, up
from dynkv.errors import DynkvError

app = typer.Typer(
    name="dynkv",
    help="Runs NVIDIA Dynamo's vLLM backend with LMCache on one machine: up, status, down.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(up.up)
app.command()(status.status)
app.command()(status.down)
app.command()(history.logs)
app.command()(history.events)
app.command()(units.restart)
app.command()(units.start)
app.command()(units.stop)
app.command()(plan.plan)
app.command()(plan.doctor)
app.add_typer(plan.profiles, name="profiles")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"dynkv {__version__}")  # noqa: T201
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> int:
    """Run the command line; the exit codes are part of the contract: 0 to 5, and 130 for Ctrl-C."""
    try:
        app(standalone_mode=True)
    except DynkvError as error:
        from dynkv.cli import view

        view.show_error(error)
        return error.exit_code
    except BrokenPipeError:
        # whoever read our output has gone; Python would complain once more while it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
