"""Values of a script's variables during reading, and what is unknown of them."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

Value = str | list[str]

_MARK = "\0"
_LENGTH_MAX = 32 * 1024
"""Longest value of a variable: no script needs more, and a loop may double it."""


def unknown(why: str) -> str:
    """A placeholder for what only running the script would show; `why` says what that is."""
    return f"{_MARK}{why}{_MARK}"


def is_known(text: str) -> bool:
    return _MARK not in text


def readable(text: str) -> str:
    """The text with unknown parts as written in the script."""
    return text.replace(_MARK, "")


class Variables(Struct):
    """Variables of one shell. A list is an array."""

    values: dict[str, Value] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)
    """Names exported by the script itself."""
    inherited: frozenset[str] = frozenset()
    """Names from the environment: assignments to them are exported."""
    arguments: list[str] = field(default_factory=list)
    """`$1` and so on."""
    script: str = "script"
    """`$0`."""
    status: bool | None = True
    """Whether the last command succeeded; None if only running it would show."""

    @classmethod
    def of(cls, environ: Mapping[str, str], script: str, arguments: list[str]) -> Variables:
        return cls(dict(environ), set(), frozenset(environ), arguments, script)

    def copied(self) -> Variables:
        return replace(self, values=dict(self.values), exported=set(self.exported), arguments=list(self.arguments))

    def put(self, name: str, value: Value) -> None:
        """Assign a value; one that is too long becomes unknown."""
        if len(value) > _LENGTH_MAX or (isinstance(value, list) and sum(map(len, value)) > _LENGTH_MAX):
            value = unknown(f"${name}")
        self.values[name] = value
        if name in self.inherited:
            self.exported.add(name)

    def get(self, name: str) -> Value | None:
        """The value of a variable, or of one that bash sets itself; None if it is not set."""
        special: dict[str, Value] = {
            "#": str(len(self.arguments)),
            "@": self.arguments,
            "*": self.arguments,
            "?": unknown("$?") if self.status is None else "0" if self.status else "1",
            "0": self.script,
            "BASH_SOURCE": [self.script],
            "BASH_VERSINFO": ["5", "2"],
            "SECONDS": "0",
        }
        if name in special:
            return special[name]
        if name in ("!", "$", "PPID", "RANDOM"):
            return unknown(f"${name}")
        if name.isdigit():
            number = int(name)
            return self.arguments[number - 1] if number <= len(self.arguments) else None
        return self.values.get(name)

    def text(self, name: str) -> str | None:
        """The value of `$name`: of an array, its first item."""
        value = self.get(name)
        if isinstance(value, list):
            return value[0] if value else None
        return value

    def items(self, name: str) -> list[str]:
        """The value of `${name[@]}`."""
        value = self.get(name)
        return value if isinstance(value, list) else [] if value is None else [value]

    def environment(self) -> dict[str, str]:
        """What a started program gets from the script, besides what it inherits."""
        return {name: text for name in sorted(self.exported) if (text := self.text(name)) is not None}
