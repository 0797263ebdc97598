"""The command line, from typer's commands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import EnumType
from typing import Any, get_args

from typer.main import get_command

from dynkv.cli.commands import command_line
from dynkv.cli.manual import EXAMPLES
from dynkv.cli.verbs import VERBS
from generate.markdown import code, sentence, table

HEAD = """# Command line

Every verb of `dynkv`. `dynkv --help`, `dynkv VERB --help` and the manual pages contain the same.

NAME is the name of a deployment, which is only needed if several are running. PROFILE is the name of a shipped profile,
or the path of a YAML file: see [profile](profile.md). The exit codes are explained in [exit codes](exit-codes.md).

Output has colours in a terminal, and is plain text with whole lines in a pipe. `NO_COLOR` switches the colours off.
`DYNKV_HOME` is the directory for everything that dynkv writes, by default `dynkv` in the XDG state directory
(`~/.local/state/dynkv`).
"""


def page() -> str:
    root: Any = get_command(command_line([]))
    parts = [HEAD, "## dynkv", _groups(), _parameters(root)]
    parts += [part for verb, command in root.commands.items() for part in _command(f"dynkv {verb}", command)]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def _groups() -> str:
    """The table of verbs, grouped as in `dynkv --help`."""
    rows = [(verb.group, f"[{verb.name}](#dynkv-{verb.name})", verb.short) for verb in VERBS]
    return table(("group", "verb", "what it is for"), rows)


def _command(path: str, command: Any) -> Iterator[str]:
    yield f"## {path}" if path.count(" ") == 1 else f"### {path}"
    yield f"```text\n{_usage(path, command)}\n```"
    yield command.help or ""
    yield _parameters(command)
    yield _examples(path.removeprefix("dynkv "))
    for name, inner in getattr(command, "commands", {}).items():
        yield from _command(f"{path} {name}", inner)


def _examples(verb: str) -> str:
    width = max(len(typed) for typed, _ in EXAMPLES[verb])
    lines = [f"{typed:{width}}  # {does}" for typed, does in EXAMPLES[verb]]
    return "\n".join(["```sh", *lines, "```"])


def _usage(path: str, command: Any) -> str:
    words = [path, "[OPTIONS]"]
    words += [_argument(parameter) for parameter in command.params if parameter.param_type_name == "argument"]
    if getattr(command, "commands", None):
        words.append("[COMMAND]")
    return " ".join(words)


def _argument(parameter: Any) -> str:
    name = str(parameter.metavar)
    return name if parameter.required or name.startswith("[") else f"[{name}]"


def _parameters(command: Any) -> str:
    rows = [_parameter(it) for it in command.params if not it.hidden]
    return table(("argument or option", "meaning"), rows) if rows else ""


def _parameter(parameter: Any) -> tuple[str, str]:
    meaning, default = sentence(parameter.help or ""), parameter.default
    if default not in (None, False, "", ...) and not parameter.multiple:
        meaning += f" {code(f'{default:g}' if isinstance(default, float) else default)} if omitted."
    if parameter.param_type_name == "argument":
        return code(parameter.metavar), meaning
    value = "" if parameter.is_flag else " " + value_of(parameter)
    names = ", ".join(code(f"{name}{value}") for name in parameter.opts)
    return names, meaning


def value_of(parameter: Any) -> str:
    """The placeholder for an option's value: its own, else the choices, else the option's name."""
    kind = parameter.type_descriptor.annotation
    choices: Iterable[Any] = kind.__members__.values() if isinstance(kind, EnumType) else get_args(kind)
    words = [f"{it}" for it in choices if isinstance(it, str)]
    return str(parameter.metavar or "|".join(words) or parameter.name.upper())
