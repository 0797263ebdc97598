"""The command line in typer."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from dynkv import __version__
from dynkv.cli.help import help_text
from dynkv.cli.inherited import let_signals_come
from dynkv.cli.ink import Ink
from dynkv.cli.manual import above_options, below_options
from dynkv.cli.verbs import VERBS
from dynkv.errors import UsageError

_VERBS = {verb.name: verb for verb in VERBS}


class _Root(TyperGroup):
    """The root group, with the same help text as without typer."""

    def get_help(self, ctx: Any) -> str:
        ctx.color = True  # whether to use colour is already decided
        return help_text(Ink(sys.stdout))


def command_line(words: list[str]) -> typer.Typer:
    """The command line with all verbs, or only the one in `words`: importing all takes longer than a status request."""
    app = typer.Typer(
        name="dynkv",
        cls=_Root,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    asked = words[:1] if words[:1] and words[0] in _VERBS else list(_VERBS)
    for verb in asked:
        found = getattr(import_module(f"dynkv.cli.{_VERBS[verb].file}"), _VERBS[verb].function)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=verb, epilog=below_options(verb))
        else:
            app.command(verb, help=above_options(found.__doc__), epilog=below_options(verb))(found)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"dynkv {__version__}")  # noqa: T201
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback for faults in dynkv itself.")] = False,
) -> None:
    pass


_CommandLineError: type[Exception] = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)
"""The base class of click's errors: of the click inside typer, or of click itself with older versions."""


def run(words: list[str]) -> int:
    """Run the command line and return the exit code. Raises UsageError, and whatever the verb raises."""
    command = get_command(command_line(words))  # imports the verb's modules
    let_signals_come()
    try:
        code = command.main(words, prog_name="dynkv", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except _CommandLineError as error:
        raise _usage_error(error) from None
    return code if isinstance(code, int) else 0


def _usage_error(error: Any) -> UsageError:
    asked = error.ctx.command_path if getattr(error, "ctx", None) else "dynkv"
    text = str(error.format_message()).strip().rstrip(".")
    return UsageError(text[:1].lower() + text[1:], hint=f"`{asked} --help` lists what is available")
