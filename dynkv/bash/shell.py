"""A shell as it is read: its variables, what it has printed, and what has been seen of the script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dynkv.bash.conditions import Part, judge
from dynkv.bash.expansion import Expander, array_items
from dynkv.bash.syntax import Block
from dynkv.bash.values import Value, Variables, readable
from dynkv.bash.words import Reader
from dynkv.errors import ScriptError


@dataclass(frozen=True, slots=True)
class Started:
    """A program that the script would run. What is unknown in `argv` and `env` is marked (see `values`)."""

    line: int
    argv: tuple[str, ...]
    env: Mapping[str, str]
    """Exported, and given before the command."""
    is_background: bool = False


@dataclass(frozen=True, slots=True)
class Remark:
    line: int
    text: str


@dataclass(slots=True)
class Record:
    """What has been seen of a script."""

    started: list[Started] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    ended: Remark | None = None
    """Where it ends itself with an error, and what it says before."""
    unread: ScriptError | None = None
    """Why what follows cannot be read, where something cannot."""
    statements: int = 0
    """How many have been gone through."""


class Exit(Exception):
    def __init__(self, is_good: bool) -> None:
        super().__init__()
        self.is_good = is_good


class Return(Exception):
    def __init__(self, status: bool | None) -> None:
        super().__init__()
        self.status = status


class Break(Exception):
    pass


class Continue(Exception):
    pass


Substitute = Callable[["Shell", str], str]
"""What the commands of a substitution print."""


class Shell:
    def __init__(self, variables: Variables, record: Record, substitute: Substitute) -> None:
        self.variables = variables
        self.record = record
        self.functions: dict[str, Block] = {}
        self.printed: list[str] | None = None
        """What a substitution takes; None where it goes to the terminal."""
        self.said = ""
        """The last line that was printed there."""
        self.line = 1
        self.hidden: list[dict[str, Value | None]] = []
        """Variables that functions have of their own while they run, as they were before."""
        self._substitute = substitute
        self.expander = Expander(variables, lambda text: substitute(self, text))

    def inner(self, record: Record) -> Shell:
        """One that has what this one has, and cannot change it."""
        inner = Shell(self.variables.copied(), record, self._substitute)
        inner.functions = dict(self.functions)
        inner.line = self.line
        return inner

    def print(self, text: str) -> None:
        if self.printed is not None:
            self.printed.append(text)
        elif text.strip():
            self.said = readable(text.strip().splitlines()[-1])

    def remark(self, text: str) -> None:
        self.record.remarks.append(Remark(self.line, readable(text)))

    def assign(self, written: str) -> str:
        """`NAME=value`, `NAME+=value` or an array; the name."""
        head, _, value = written.partition("=")
        adds = head.endswith("+")
        name, _, index = head.rstrip("+").partition("[")
        variables = self.variables
        if value.startswith("(") and written.endswith(")"):
            items = [item for word in _array_words(written) for item in self.expander.words(word)]
            variables.put(name, [*variables.items(name), *items] if adds else items)
        elif index or (adds and isinstance(variables.get(name), list)):
            variables.put(name, [*variables.items(name), self.expander.text(value)])
        else:
            text = self.expander.text(value)
            variables.put(name, (variables.text(name) or "") + text if adds else text)
        return name

    def judge(self, parts: list[Part]) -> bool | None:
        """Of `[[ … ]]`; what only running the script would tell is remarked."""
        found = judge(parts, self.expander.number, lambda name: self.variables.get(name) is not None)
        if found is None:
            shown = " ".join(readable(part.text) for part in parts)
            self.remark(f"whether `{shown}` holds is known only when it runs; it was taken as false")
        return found


def _array_words(written: str) -> list[str]:
    """The words between the brackets of an array, over several lines."""
    return [token.text for token in Reader(array_items(written)).tokens() if not token.is_operator]
