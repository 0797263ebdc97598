"""The command line, and the one place where errors become text and exit codes."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated

import typer

from dynkv import __version__
from dynkv.errors import DynkvError

_VERBS = {
    "up": "up",
    "status": "status",
    "wait": "status",
    "down": "status",
    "logs": "history",
    "events": "history",
    "restart": "units",
    "start": "units",
    "stop": "units",
    "plan": "plan",
    "doctor": "plan",
    "profiles": "plan",
}
"""Each verb, in the order of the help, with the file that has it."""


def command_line(words: list[str]) -> typer.Typer:
    """With all verbs, or only the one in `words`: reading profiles takes longer than asking for a status."""
    app = typer.Typer(
        name="dynkv",
        help="Runs NVIDIA Dynamo's vLLM backend with LMCache on one machine: up, status, down.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    asked = words[:1] if words[:1] and words[0] in _VERBS else list(_VERBS)
    for verb in asked:
        found = getattr(import_module(f"dynkv.cli.{_VERBS[verb]}"), verb)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=verb)
        else:
            app.command()(found)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"dynkv {__version__}")  # noqa: T201
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> int:
    """Run the command line; the exit codes are part of the contract: 0 to 5, and 130 for Ctrl-C."""
    try:
        command_line(sys.argv[1:])(standalone_mode=True)
    except DynkvError as error:
        from dynkv.cli.report import show_error

        show_error(error)
        return error.exit_code
    except BrokenPipeError:
        # whoever read our output has gone; Python would complain once more while it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
