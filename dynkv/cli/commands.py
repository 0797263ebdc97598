"""The command line, as typer has it."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import typer

from dynkv import __version__

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
    "doctor": "doctor",
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


def run(words: list[str]) -> None:
    """Raises SystemExit for an exit code that is not 0, and whatever the verb raises."""
    command_line(words)(words, prog_name="dynkv", standalone_mode=True)
