"""Recognising which of the stack's programs a command in a script runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum

from msgspec import Struct

from dynkv.bash.shell import Started
from dynkv.bash.values import readable

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)$", re.DOTALL)
_PYTHON = re.compile(r"(?:.*/)?python[0-9.]*$")
_PREFIXES = frozenset("exec nohup setsid time stdbuf nice".split())
_WORD_MAX, _WORDS_MAX = 40, 8


class Kind(Enum):
    FRONTEND = "frontend"
    WORKER = "worker"
    MOCKER = "mocker"
    OTHER_DYNAMO = "another part of Dynamo"
    LMCACHE = "lmcache"
    VLLM = "vllm serve"
    OTHER = "another program"


class Program(Struct, frozen=True):
    kind: Kind
    line: int
    argv: tuple[str, ...]
    """The words from the program on, without `env` and the like."""
    args: tuple[str, ...]
    """The words after `-m module` or a sub-command."""
    env: Mapping[str, str]
    before: tuple[str, ...] = ()
    """A wrapper in front of it, such as `numactl …`."""
    is_background: bool = False

    @property
    def module(self) -> str:
        return self.argv[2] if self.kind in _MODULES.values() or self.kind is Kind.OTHER_DYNAMO else ""

    def shown(self) -> str:
        """The beginning of the command, for a message."""
        words = [readable(word) for word in self.argv[:_WORDS_MAX]]
        short = [word if len(word) <= _WORD_MAX else f"{word[: _WORD_MAX - 1]}…" for word in words]
        return " ".join(" ".join(short).split()) + (" …" if len(self.argv) > _WORDS_MAX else "")


_MODULES = {
    "dynamo.frontend": Kind.FRONTEND,
    "dynamo.vllm": Kind.WORKER,
    "dynamo.vllm.unified_main": Kind.WORKER,
    "dynamo.mocker": Kind.MOCKER,
}


def recognized(started: Started) -> Program:
    env, argv = _unwrapped(dict(started.env), list(started.argv))
    start = next((at for at in range(len(argv)) if _kind(argv[at:]) is not Kind.OTHER), 0)
    before, argv = argv[:start], argv[start:]
    kind = _kind(argv)
    behind = 3 if kind in _MODULES.values() or kind is Kind.OTHER_DYNAMO else 2
    args = tuple(argv[behind:]) if kind is not Kind.OTHER else ()
    return Program(kind, started.line, tuple(argv), args, env, tuple(before), started.is_background)


def _unwrapped(env: dict[str, str], argv: list[str]) -> tuple[dict[str, str], list[str]]:
    """The command without `env NAME=value …` and other wrappers that change nothing else."""
    while argv and argv[0] in (*_PREFIXES, "env"):
        is_env = argv.pop(0) == "env"
        while argv and is_env:
            if argv[0] == "-u" and argv[1:]:
                env.pop(argv[1], None)
                argv = argv[2:]
            elif match := _ASSIGNMENT.match(argv[0]):
                env[match[1]] = match[2]
                argv = argv[1:]
            elif argv[0].startswith("-"):
                argv = argv[1:]
            else:
                break
    return env, argv


def _kind(argv: list[str]) -> Kind:
    program, *others = argv or [""]
    name = program.rpartition("/")[2]
    if _PYTHON.match(program) and others[:1] == ["-m"] and others[1:]:
        module = others[1]
        return _MODULES.get(module, Kind.OTHER_DYNAMO if module.split(".")[0] == "dynamo" else Kind.OTHER)
    if (name, *others[:1]) == ("lmcache", "server"):
        return Kind.LMCACHE
    if (name, *others[:1]) in (("vllm", "serve"), ("vllm-rs", "serve")):
        return Kind.VLLM
    return Kind.OTHER
