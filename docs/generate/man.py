"""Manual pages and completion scripts, from typer's commands: `make man` writes them into a directory laid out like
`share`.

The pages use man(7), the older macros, which every viewer supports.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from typer.main import get_command

from dynkv import __version__
from dynkv.cli.commands import command_line
from dynkv.cli.manual import EXAMPLES
from dynkv.cli.verbs import VERBS
from dynkv.errors import EXIT_CODES
from generate.cli import value_of

SCRIPTS = {
    "bash": "bash-completion/completions/dynkv",
    "zsh": "zsh/site-functions/_dynkv",
    "fish": "fish/vendor_completions.d/dynkv.fish",
}
"""Where each shell looks for completion scripts. Source: bash-completion 2.11; zsh 5.9, zshcompsys(1); fish 3.6."""
_FILES = """.TP
.I $DYNKV_HOME
Everything that dynkv writes.
When it is not set, \\fIdynkv\\fR in the XDG state directory, \\fI~/.local/state/dynkv\\fR.
"""


def pages() -> dict[str, str]:
    """The pages by file name: one for dynkv, and one for each verb."""
    root: Any = get_command(command_line([]))
    found = {"dynkv.1": _overview(root)}
    return found | {f"dynkv-{verb}.1": _page(verb, command) for verb, command in root.commands.items()}


def _overview(root: Any) -> str:
    parts = [_head("dynkv", "runs NVIDIA Dynamo's vLLM backend with LMCache on one machine")]
    parts += [".SH SYNOPSIS", ".B dynkv", "[\\fIOPTIONS\\fR] \\fIVERB\\fR [\\fIARGUMENTS\\fR]", ".SH VERBS"]
    for group in dict.fromkeys(verb.group for verb in VERBS):
        parts.append(f".SS {group}")
        for verb in VERBS:
            if verb.group == group:
                parts += [
                    ".TP",
                    f".BR dynkv\\-{escaped(verb.name)} (1)",
                    escaped(_first_line(root.commands[verb.name])),
                ]
    parts += [".SH OPTIONS", *_parameters(root), *_exit_codes(), ".SH FILES", _FILES.strip()]
    return "\n".join(parts) + "\n"


def _page(verb: str, command: Any) -> str:
    parts = [_head(f"dynkv-{verb}", _first_line(command))]
    parts += [".SH SYNOPSIS", *_synopsis(f"dynkv {verb}", command), ".SH DESCRIPTION", *_text(command.help or "")]
    parts += [".SH OPTIONS", *_parameters(command)]
    for name, inner in getattr(command, "commands", {}).items():
        parts += [f'.SH "DYNKV {verb.upper()} {name.upper()}"', *_synopsis(f"dynkv {verb} {name}", inner)]
        parts += [".PP", *_text(inner.help or ""), *_parameters(inner), *_examples(f"{verb} {name}")]
    parts += [".SH EXAMPLES", *_examples(verb), *_exit_codes(), ".SH SEE ALSO", ".BR dynkv (1)"]
    return "\n".join(parts) + "\n"


def _head(name: str, what: str) -> str:
    title = name.upper().replace("-", "\\-")
    return (
        f'.TH "{title}" 1 "" "dynkv {__version__}" "dynkv"\n.SH NAME\n{escaped(name)} \\- {escaped(what.rstrip("."))}'
    )


def _first_line(command: Any) -> str:
    return str(command.help or command.get_short_help_str(200)).split("\n", 1)[0]


def _synopsis(path: str, command: Any) -> Iterator[str]:
    arguments = [it for it in command.params if it.param_type_name == "argument"]
    yield f".B {escaped(path)}"
    words = ["[\\fIOPTIONS\\fR]"]
    for argument in arguments:
        name = str(argument.metavar).strip("[]")
        words.append(f"\\fI{escaped(name)}\\fR" if argument.required else f"[\\fI{escaped(name)}\\fR]")
    yield " ".join(words)


def _parameters(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if parameter.hidden:
            continue
        yield ".TP"
        if parameter.param_type_name == "argument":
            yield f".I {escaped(str(parameter.metavar).strip('[]'))}"
        else:
            names = ", ".join(f"\\fB{escaped(name)}\\fR" for name in [*parameter.opts, *parameter.secondary_opts])
            value = "" if parameter.is_flag else f" \\fI{escaped(value_of(parameter))}\\fR"
            yield names + value
        yield escaped(parameter.help or "")


def _examples(verb: str) -> Iterator[str]:
    for typed, does in EXAMPLES[verb]:
        yield from (".TP", f".B {escaped(typed)}", escaped(does))


def _exit_codes() -> Iterator[str]:
    yield '.SH "EXIT STATUS"'
    for code, meaning in EXIT_CODES.items():
        yield from (".TP", f".B {code}", escaped(meaning))


def _text(paragraphs: str) -> Iterator[str]:
    for index, paragraph in enumerate(paragraphs.split("\n\n")):
        yield from ([".PP"] if index else [])
        yield escaped(paragraph.replace("\n", " "))


def escaped(text: str) -> str:
    """The text escaped for roff: its special letters, and a leading dot or quote, which would begin a request."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("·", "\\(pc").replace("…", "...")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain


def write(share: Path) -> None:
    texts = {f"man/man1/{name}": text for name, text in pages().items()}
    for shell, place in SCRIPTS.items():
        asked = [sys.executable, "-m", "dynkv", "completion", shell]
        texts[place] = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    for place, text in texts.items():
        (share / place).parent.mkdir(parents=True, exist_ok=True)
        (share / place).write_text(text, encoding="utf-8")


def main(words: Sequence[str]) -> None:
    write(Path(words[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
