"""bash's own commands, as far as they affect what a script starts. Source: bash(1), "Shell Builtin Commands"."""

from __future__ import annotations

import re
from collections.abc import Callable

from dynkv.bash.arithmetic import Unknown
from dynkv.bash.conditions import Part
from dynkv.bash.shell import Break, Continue, Exit, Return, Shell
from dynkv.bash.syntax import Simple

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*(\[[^]]*\])?\+?=")
_FORMAT = re.compile(r"%[-0-9.]*[sdifqb]|%%")
_ESCAPE = re.compile(r"\\([nt\\])")
Builtin = Callable[[Shell, list[str], Simple, str | None], bool | None]


def _nothing(shell: Shell, words: list[str], command: Simple, document: str | None) -> bool | None:
    return True


def _false(shell: Shell, words: list[str], command: Simple, document: str | None) -> bool | None:
    return False


def _echo(shell: Shell, words: list[str], command: Simple, document: str | None) -> bool | None:
    given = words[1:]
    while given and re.fullmatch("-[neE]+", given[0]):
        given = given[1:]
    shell.print(" ".join(given) + "\n")
    return True


def _printf(shell: Shell, words: list[str], command: Simple, document: str | None) -> bool | None:
    if words[1:2] == ["-v"]:
        return True
    given = iter(words[2:])
    text = _FORMAT.sub(lambda match: "%" if match[0] == "%%" else next(given, ""), words[1] if words[1:] else "")
    shell.print(_ESCAPE.sub(lambda match: {"n": "\n", "t": "\t", "\\": "\\"}[match[1]], text))
    return True


def _cat(shell: Shell, words: list[str], command: Simple, document: str | None) -> bool | None:
    shell.print(document or "")
    return True


def _export(shell: Shell, words: list[str], command: Simple, document: str | None) -> bool | None:
    names = _declared(shell, command)
    if "-n" in words:
        shell.variables.exported -= names
    else:
        shell.variables.exported |= names
    return True


def _declare(shell: Shell, words: list[str], command: Simple, document: str | None) -> bool | None:
    hides = shell.hidden[-1] if shell.hidden and "-g" not in words else {}
    for written in command.words[1:]:
        name = re.split(r"[+\[=]", written)[0]
        if not name.startswith("-") and name not in hides:
            hides[name] = shell.variables.values.get(name)
    names = _declared(shell, command)
    if any(re.fullmatch("-[a-zA-Z]*x[a-zA-Z]*", word) for word in words[1:]):
        shell.variables.exported |= names
    return True


def _declared(shell: Shell, command: Simple) -> set[str]:
    names = set()
    for written in command.words[1:]:
        if _ASSIGNMENT.match(written):
            names.add(shell.assign(written))
        elif not written.startswith("-"):
            names |= set(shell.expander.words(written))
    return names


def _unset(shell: Shell, words: list[str], command: Simple, document: str | None) -> bool | None:
    for name in words[1:]:
        shell.variables.values.pop(name, None)
        shell.variables.exported.discard(name)
    return True


def _shift(shell: Shell, words: list[str], command: Simple, document: str | None) -> bool | None:
    count = int(words[1]) if words[1:] and re.fullmatch("[0-9]{1,4}", words[1]) else 1
    if count > len(shell.variables.arguments):
        return False
    del shell.variables.arguments[:count]
    return True


def _set(shell: Shell, words: list[str], command: Simple, document: str | None) -> bool | None:
    if "--" in words:
        shell.variables.arguments = words[words.index("--") + 1 :]
    return True


def _source(shell: Shell, words: list[str], command: Simple, document: str | None) -> bool | None:
    name = words[1].rpartition("/")[2] if words[1:] else ""
    if name not in SOURCED:
        shell.remark(f"{name or 'a file'} is sourced, and was not read: what it sets or defines is missing")
    return True


SOURCED = frozenset(["gpu_utils.sh", "launch_utils.sh"])
"""Files of Dynamo's examples whose functions are known."""


def _exit(shell: Shell, words: list[str], command: Simple, document: str | None) -> bool | None:
    raise Exit(words[1:] in ([], ["0"]) if words[1:] else shell.variables.status is not False)


def _return(shell: Shell, words: list[str], command: Simple, document: str | None) -> bool | None:
    raise Return(words[1] == "0" if words[1:] else shell.variables.status)


def _break(shell: Shell, words: list[str], command: Simple, document: str | None) -> bool | None:
    raise Break


def _continue(shell: Shell, words: list[str], command: Simple, document: str | None) -> bool | None:
    raise Continue


def _test(shell: Shell, words: list[str], command: Simple, document: str | None) -> bool | None:
    given = words[1:-1] if words[0] == "[" else words[1:]
    if len(given) == 1:
        return bool(given[0])
    return shell.judge([Part(word, index % 2 == 1 and word not in "=!=") for index, word in enumerate(given)])


def _read(shell: Shell, words: list[str], command: Simple, document: str | None) -> bool | None:
    if document is None:
        return False
    separators = next(
        (it.partition("=")[2].strip("'\"") for it in command.assignments if it.startswith("IFS=")), " \t\n"
    )
    first, *_ = document.splitlines() or [""]
    items = re.split(f"[{re.escape(separators)}]+", first) if separators and first else [first] if first else []
    names = [word for word in words[1:] if not word.startswith("-")]
    is_array = any(re.fullmatch("-[a-z]*a", word) for word in words[1:])
    if is_array and names:
        shell.variables.values[names[0]] = items
        return True
    for number, name in enumerate(names or ["REPLY"]):
        is_last = number == len(names) - 1 or not names
        shell.variables.values[name] = " ".join(items[number:]) if is_last else "".join(items[number : number + 1])
    return True


def _let(shell: Shell, words: list[str], command: Simple, document: str | None) -> bool | None:
    try:
        return [shell.expander.number(word) for word in words[1:]][-1:] != [0]
    except Unknown:
        return None


def _pwd(shell: Shell, words: list[str], command: Simple, document: str | None) -> bool | None:
    shell.print(shell.variables.text("PWD") or "")
    return True


def _cd(shell: Shell, words: list[str], command: Simple, document: str | None) -> bool | None:
    shell.variables.values["PWD"] = words[1] if words[1:] else shell.variables.text("HOME") or ""
    return True


BUILTINS: dict[str, Builtin] = {
    **dict.fromkeys(
        ": true trap wait sleep kill jobs disown ulimit umask hash type command tee grep curl shopt alias".split(),
        _nothing,
    ),
    **dict.fromkeys("export".split(), _export),
    **dict.fromkeys("declare typeset local readonly".split(), _declare),
    **dict.fromkeys(["source", "."], _source),
    **dict.fromkeys(["test", "["], _test),
    "false": _false,
    "echo": _echo,
    "printf": _printf,
    "cat": _cat,
    "unset": _unset,
    "shift": _shift,
    "set": _set,
    "exit": _exit,
    "return": _return,
    "break": _break,
    "continue": _continue,
    "read": _read,
    "let": _let,
    "pwd": _pwd,
    "cd": _cd,
}
"""bash's own commands, those with which scripts wait, end and print, and `curl`, which checks whether something is
up."""
